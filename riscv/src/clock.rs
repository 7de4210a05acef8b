//! Time: a function of the steps the machine has taken, of nothing else.
//!
//! A step is an instruction run, whether it completed or trapped, or one that was not run because the hart waited for
//! the timer: then the clock jumps.

use crate::hart::FLUSH_INTERVAL;

/// Guest nanoseconds of one tick of the timer: it runs at 10 MHz.
pub const TICK: u64 = 100;

/// Ticks of the timer in a second.
pub const FREQUENCY: u32 = 10_000_000;

/// Steps no machine goes beyond: years of them, and few enough that nothing overflows at any rate.
pub const LONGEST: u64 = 1 << 56;

/// The clock of a machine, and its one timer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clock {
    /// Guest nanoseconds a step takes, as a power of two.
    pub rate: u8,
    /// Steps since reset.
    pub(crate) steps: u64,
    /// Of these, steps that trapped.
    pub(crate) traps: u64,
    /// Of these, steps that were jumped over.
    pub(crate) idle: u64,
    /// The tick at which the timer is due; `u64::MAX` is never.
    pub(crate) deadline: u64,
    /// The flush interval that was entered last.
    pub(crate) flushed: u64,
}

impl Clock {
    /// A clock at zero with `1 << rate` nanoseconds a step.
    pub fn new(rate: u8) -> Clock {
        Clock { rate: rate.min(6), steps: 0, traps: 0, idle: 0, deadline: u64::MAX, flushed: 0 }
    }

    /// Whether it can have come to read so.
    pub(crate) fn is_sound(&self) -> bool {
        let counted = self.traps.checked_add(self.idle).is_some_and(|other| other <= self.steps);
        counted && self.rate <= 6 && self.steps <= LONGEST && self.flushed <= self.steps >> FLUSH_INTERVAL
    }

    /// Steps since reset.
    pub fn now(&self) -> u64 {
        self.steps
    }

    /// Instructions retired since reset.
    pub fn retired(&self) -> u64 {
        self.steps - self.traps - self.idle
    }

    /// Steps that were jumped over since reset.
    pub fn idle(&self) -> u64 {
        self.idle
    }

    /// What the timer reads.
    pub fn time(&self) -> u64 {
        self.time_at(self.steps)
    }

    /// What the timer will read after as many `steps` more.
    pub(crate) fn time_after(&self, steps: u64) -> u64 {
        self.time_at(self.steps + steps)
    }

    fn time_at(&self, steps: u64) -> u64 {
        (steps << self.rate) / TICK // no overflow: see LONGEST
    }

    pub(crate) fn advance(&mut self, steps: u64) {
        self.steps += steps;
    }

    pub(crate) fn trap(&mut self) {
        self.steps += 1;
        self.traps += 1;
    }

    pub(crate) fn idle_to(&mut self, step: u64) {
        let step = step.max(self.steps);
        self.idle += step - self.steps;
        self.steps = step;
    }

    pub(crate) fn timer_due(&self) -> bool {
        self.time() >= self.deadline
    }

    /// The first step at which the timer is due, if it ever is.
    pub(crate) fn timer_step(&self) -> Option<u64> {
        // A deadline for which this overflows lies beyond LONGEST.
        let nanoseconds = self.deadline.checked_mul(TICK)?;
        Some(nanoseconds.checked_add((1 << self.rate) - 1)? >> self.rate)
    }

    /// The step up to which blocks may run without looking.
    pub(crate) fn due(&self, until: u64) -> u64 {
        let flush = (self.flushed + 1) << FLUSH_INTERVAL;
        let timer = self.timer_step().filter(|step| *step > self.steps).unwrap_or(u64::MAX);
        until.min(flush).min(timer)
    }

    /// Whether the clock has come into another flush interval since the last call.
    pub(crate) fn pass_flush(&mut self) -> bool {
        let interval = self.steps >> FLUSH_INTERVAL;
        std::mem::replace(&mut self.flushed, interval) != interval
    }
}
