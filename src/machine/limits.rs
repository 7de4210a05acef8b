//! Where a run is stopped from outside, in the host's time.

use std::time::{Duration, Instant};

use super::{Caps, End, Watch};

/// Console bytes allowed on top of the build log: firmware, kernel, and a beat every ten guest seconds.
const CONSOLE_SLACK: u64 = 1 << 20;

/// Console bytes of one guest second: a tenth of a beat, rounded up.
const BEAT: u64 = 4;

/// Where a run is stopped from outside.
pub struct Limits {
    /// Wall-clock time.
    pub wall: Duration,
    /// Wall-clock time without a byte on the console.
    pub silence: Duration,
    /// Bytes of console.
    pub console: u64,
}

impl Limits {
    /// What `caps` mean for an engine.
    pub fn of(caps: &Caps) -> Limits {
        let beats = caps.guest_seconds.saturating_mul(BEAT);
        let console = caps.log_bytes.saturating_add(CONSOLE_SLACK).saturating_add(beats);
        Limits { wall: caps.wall, silence: caps.silence, console }
    }
}

/// Looks whether a run has come to a limit.
pub struct Vigil<'a> {
    /// The limits.
    pub limits: &'a Limits,
    started: Instant,
    heard: Instant,
    console: u64,
}

impl<'a> Vigil<'a> {
    /// The run begins now.
    pub fn begin(limits: &'a Limits) -> Vigil<'a> {
        let now = Instant::now();
        Vigil { limits, started: now, heard: now, console: 0 }
    }

    /// Time since the run began.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Which limit a run has come to that has written `console` bytes so far. The length of the console comes first, so that
    /// it does not matter when one looks.
    pub fn stop(&mut self, console: u64, watch: &dyn Watch) -> Option<End> {
        if console > self.console {
            (self.console, self.heard) = (console, Instant::now());
        }
        if console >= self.limits.console {
            Some(End::ConsoleOverflow)
        } else if watch.cancelled() {
            Some(End::Cancelled)
        } else if self.elapsed() >= self.limits.wall {
            Some(End::WallTime)
        } else if self.heard.elapsed() >= self.limits.silence {
            Some(End::Silence)
        } else {
            None
        }
    }
}
