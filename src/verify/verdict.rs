//! The values a verification ends in. They are never rounded up.

use std::fmt;

use serde::Serialize;

/// What was found about one output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The bits were compared and are equal.
    Reproduced,
    /// Equal after normalisations that are named in the report.
    Equivalent,
    /// The bits were compared and differ.
    Diverged,
    /// There are no bits: a build failed or was stopped.
    NotBuilt,
    /// There are bits and nothing to compare them with, or the comparison itself failed.
    NotChecked,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Verdict::Reproduced => "reproduced",
            Verdict::Equivalent => "equivalent",
            Verdict::Diverged => "diverged",
            Verdict::NotBuilt => "not-built",
            Verdict::NotChecked => "not-checked",
        })
    }
}

/// How much a `reproduced` shows; printed next to every verdict. The numbers are part of the JSON schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// One build.
    Built = 0,
    /// Two builds, same bits.
    Repeated = 1,
    /// Same bits under varied machine settings.
    Varied = 2,
    /// Whole-run identity: same instruction count and same state root in two runs.
    Replayed = 3,
    /// Two independent engines, or a host's own `nix build`, give the same bits.
    CrossEngine = 4,
    /// As many independent signers as have to agree published the same bits.
    Attested = 5,
}

impl Level {
    /// All of them, the least first.
    pub const ALL: [Level; 6] =
        [Level::Built, Level::Repeated, Level::Varied, Level::Replayed, Level::CrossEngine, Level::Attested];

    /// The name in the table of levels.
    pub fn name(self) -> &'static str {
        match self {
            Level::Built => "built",
            Level::Repeated => "repeated",
            Level::Varied => "varied",
            Level::Replayed => "replayed",
            Level::CrossEngine => "cross-engine",
            Level::Attested => "attested",
        }
    }
}

impl Serialize for Level {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(*self as u8)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "level {} ({})", *self as u8, self.name())
    }
}
