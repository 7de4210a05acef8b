//! Roots of a machine's state along its run.

use crate::machine::RootAt;

/// Roots that are kept of a run at most: some megabytes of a run record.
pub const MOST: usize = 1 << 16;

/// The roots of a run at every multiple of a power of two of steps. Of a run that has more than [`MOST`] such multiples, the
/// power is doubled as often as it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roots {
    /// The exponent.
    pub every: u8,
    /// The roots so far.
    pub taken: Vec<RootAt>,
}

impl Roots {
    /// Roots at every 2^`every` steps.
    pub fn new(every: u8) -> Roots {
        Roots { every: every.min(62), taken: Vec::new() }
    }

    /// Whether the root is to be taken at this step.
    pub fn is_due(&self, step: u64) -> bool {
        step.is_multiple_of(1 << self.every)
    }

    /// Takes a root that was due.
    pub fn take(&mut self, at: RootAt) {
        self.taken.push(at);
        while self.taken.len() > MOST && self.every < 62 {
            self.every += 1;
            let every = self.every;
            self.taken.retain(|at| at.step.is_multiple_of(1 << every));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_run_keeps_as_many_roots_as_there_is_room_for_evenly() {
        let mut roots = Roots::new(22);
        for step in (1..5 * MOST as u64).map(|n| n << 22) {
            if roots.is_due(step) {
                roots.take(RootAt { step, root: [0; 32] });
            }
        }
        assert_eq!(roots.every, 25);
        let steps: Vec<u64> = roots.taken.iter().map(|at| at.step >> 25).collect();
        assert_eq!(steps, (1..(5 * MOST as u64).div_ceil(8)).collect::<Vec<_>>());
    }
}
