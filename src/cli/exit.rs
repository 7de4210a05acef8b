//! Exit codes: a compatible superset of Nix's.

use std::process::ExitCode;

/// How the program ends. Build outcomes are bits, as in `nix build --keep-going`: they are OR-ed onto 96.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Everything asked for holds.
    Success,
    /// Wrong usage, configuration or input.
    Usage,
    /// A defect or a failure of the host.
    Internal,
    /// Nobody reads standard output any more.
    BrokenPipe,
    /// One or more of [`Exit::FAILED`], [`Exit::TIMED_OUT`], [`Exit::HASH_MISMATCH`], [`Exit::DIVERGED`].
    Build(u8),
    /// A policy was violated, or what a project accepts does not hold.
    Policy,
    /// Too few signatures by those who have to agree: 121.
    Unsigned,
    /// Something could not be compared.
    NotChecked,
}

impl Exit {
    /// A build failed: 100.
    pub const FAILED: Exit = Exit::Build(4);
    /// A build reached a limit on time or silence: 101.
    pub const TIMED_OUT: Exit = Exit::Build(4 | 1);
    /// Bytes have another hash than they must have: 102.
    pub const HASH_MISMATCH: Exit = Exit::Build(4 | 2);
    /// Bits were compared and differ: 104.
    pub const DIVERGED: Exit = Exit::Build(8);

    /// The number the shell sees.
    pub fn number(self) -> u8 {
        match self {
            Exit::Success => 0,
            Exit::Usage => 1,
            Exit::Internal => 2,
            Exit::BrokenPipe => 3,
            Exit::Build(bits) => 96 | bits,
            Exit::Policy => 120,
            Exit::Unsigned => 121,
            Exit::NotChecked => 122,
        }
    }

    /// The exit of two things that happened: bits of builds are OR-ed; of other failures the graver one counts,
    /// and every failure counts more than success.
    #[must_use]
    pub fn and(self, other: Exit) -> Exit {
        match (self, other) {
            (Exit::Build(a), Exit::Build(b)) => Exit::Build(a | b),
            (a, b) if a.rank() >= b.rank() => a,
            (_, b) => b,
        }
    }

    fn rank(self) -> u8 {
        match self {
            Exit::Success => 0,
            Exit::NotChecked => 1,
            Exit::Policy => 2,
            Exit::Unsigned => 3,
            Exit::Build(_) => 4,
            Exit::BrokenPipe => 5,
            Exit::Usage => 6,
            Exit::Internal => 7,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_nix() {
        let numbers = [Exit::FAILED, Exit::TIMED_OUT, Exit::HASH_MISMATCH, Exit::DIVERGED].map(Exit::number);
        assert_eq!(numbers, [100, 101, 102, 104]);
        assert_eq!(Exit::FAILED.and(Exit::DIVERGED).number(), 108);
    }

    #[test]
    fn nothing_outweighs_a_failure() {
        for exit in [Exit::FAILED, Exit::NotChecked, Exit::Unsigned, Exit::Usage, Exit::Internal] {
            assert_eq!(Exit::Success.and(exit), exit);
            assert_eq!(exit.and(Exit::Success), exit);
        }
        assert_eq!(Exit::NotChecked.and(Exit::DIVERGED), Exit::DIVERGED);
    }
}
