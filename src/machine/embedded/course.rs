//! A run from its first slice to its end: what it leaves besides the machine's state, where it is stopped, and when its state
//! is kept.

use std::time::Duration;

use reprove_riscv::{self as riscv, Stop};

use super::checkpoints::Place;
use super::roots::Roots;
use crate::machine::limits::{Limits, Vigil};
use crate::machine::{End, News, RootAt, Watch};

/// Steps between two looks at the host's clock: some milliseconds. A run is always cut at multiples of it, so that it is
/// stopped at the same steps whether it was taken up in the middle or not.
pub const SLICE: u64 = 1 << 22;

/// What a run has left so far besides the machine's state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trail {
    /// The console, from the first byte.
    pub console: Vec<u8>,
    /// Roots of its state along the way, if they were asked for.
    pub roots: Option<Roots>,
}

/// A run that goes on.
pub struct Course<'a> {
    pub trail: Trail,
    vigil: Vigil<'a>,
    watch: &'a mut dyn Watch,
}

/// Why a slice did not come to its end.
enum Cut {
    /// The mark stands on the console.
    Marked,
    /// The run is over.
    Ended(End),
}

impl<'a> Course<'a> {
    /// A run that begins now.
    pub fn begin(limits: &'a Limits, watch: &'a mut dyn Watch) -> Course<'a> {
        Course { trail: Trail::default(), vigil: Vigil::begin(limits), watch }
    }

    /// Takes more of the console.
    pub fn hear(&mut self, bytes: &[u8]) {
        let room = self.vigil.limits.console.saturating_sub(self.trail.console.len() as u64);
        let bytes = &bytes[..bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX))];
        if !bytes.is_empty() {
            self.trail.console.extend_from_slice(bytes);
            self.watch.console(bytes);
        }
    }

    /// Goes on with the trail of a run that was interrupted, which began as this one did.
    pub fn go_on(&mut self, mut trail: Trail, machine: &riscv::Machine) {
        let rest = trail.console.split_off(self.trail.console.len().min(trail.console.len()));
        self.hear(&rest);
        self.trail.roots = trail.roots;
        self.watch.news(&News::TakenUp { instructions: machine.clock().retired() });
    }

    /// Runs to the next multiple of [`SLICE`]; why not when it did not come there.
    fn slice(&mut self, machine: &mut riscv::Machine) -> Option<Cut> {
        let now = machine.clock().now();
        let stop = machine.run(now - now % SLICE + SLICE);
        self.hear(&machine.take_console());
        match stop {
            Stop::Marked => return Some(Cut::Marked),
            Stop::PoweredOff { .. } => return Some(Cut::Ended(End::PoweredOff)),
            Stop::Stuck => return Some(Cut::Ended(End::Stuck)),
            Stop::Reached => {}
        }
        self.vigil.stop(self.trail.console.len() as u64, self.watch).map(Cut::Ended)
    }

    /// Runs to the mark; how it ended when it did not come there.
    pub fn until_mark(&mut self, machine: &mut riscv::Machine) -> Option<End> {
        loop {
            match self.slice(machine) {
                None => {}
                Some(Cut::Marked) => return None,
                Some(Cut::Ended(end)) => return Some(end),
            }
        }
    }

    /// Runs to the end; roots are taken and the state is kept in `place` when it is time.
    pub fn follow(&mut self, machine: &mut riscv::Machine, mut place: Option<&mut Place>) -> End {
        loop {
            if let Some(Cut::Ended(end)) = self.slice(machine) {
                return end;
            }
            let step = machine.clock().now();
            if let Some(roots) = self.trail.roots.as_mut().filter(|roots| roots.is_due(step)) {
                roots.take(RootAt { step, root: machine.state_root() });
            }
            if let Some(place) = &mut place
                && place.is_due(machine)
                && let Err(why) = place.keep(machine, &self.trail)
            {
                self.watch.news(&News::NotKept { why: why.to_string() });
            }
        }
    }

    /// Time since the run began, or was taken up.
    pub fn elapsed(&self) -> Duration {
        self.vigil.elapsed()
    }
}
