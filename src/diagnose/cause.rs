//! Causes: what a diagnosis says.

use std::fmt;

use super::catalogue::Entry;
use crate::diff::Place;

/// How sure a cause is, from 0 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Confidence(pub u8);

impl Confidence {
    /// A setting of the machine was changed, nothing else, and the bits changed.
    pub const PROVEN: Confidence = Confidence(100);
    /// The bytes say so by themselves.
    pub const HIGH: Confidence = Confidence(90);
    /// It looks like it.
    pub const MEDIUM: Confidence = Confidence(60);
    /// It could be.
    pub const LOW: Confidence = Confidence(30);

    /// `proven`, `high`, `medium`, `low`.
    pub fn word(self) -> &'static str {
        match self.0 {
            100.. => "proven",
            80..=99 => "high",
            50..=79 => "medium",
            _ => "low",
        }
    }
}

impl fmt::Display for Confidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A machine setting that was changed alone and flipped the bits: the name and the values as settings print them.
/// What `verify` knows and bytes cannot tell. The two sides diagnosed must differ in no other setting: what no rule
/// explains is taken to follow from the ones given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The setting's name: `clock`, `seed`, `rate`, `memory`, `cores`, `hostname`, `build-dir`, `user`.
    pub setting: String,
    /// Its value in the run that gave side a.
    pub a: String,
    /// Its value in the run that gave side b.
    pub b: String,
}

/// Why two things differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// What the catalogue says about it: id, title, fix.
    pub entry: &'static Entry,
    /// How sure it is.
    pub confidence: Confidence,
    /// Whether it only follows from other differences.
    pub derived: bool,
    /// The setting that proved it.
    pub proof: Option<Proof>,
    /// Where it shows, the first places.
    pub evidence: Vec<Evidence>,
    /// Every part of a file that it shows in, in the order in which they were met.
    pub sites: Vec<Site>,
    /// In how many places it shows.
    pub places: u64,
    /// How many differing bytes it explains.
    pub bytes: u64,
}

/// A part of a file that a cause shows in, in one place or many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Path of the entry in the compared trees; empty for the root.
    pub path: Vec<u8>,
    /// The members of archives on the way to it, from the outermost.
    pub inside: Vec<Vec<u8>>,
    /// The part of the file: a section, a field of a header.
    pub part: Option<String>,
    /// In how many places of it.
    pub places: u64,
    /// How many differing bytes are explained there.
    pub bytes: u64,
}

/// One place where a cause shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Path of the entry in the compared trees; empty for the root.
    pub path: Vec<u8>,
    /// The members of archives on the way to it, from the outermost.
    pub inside: Vec<Vec<u8>>,
    /// The part of the file: a section, a header.
    pub part: Option<String>,
    /// The symbol.
    pub symbol: Option<Vec<u8>>,
    /// What stands there on side a; absent when it shows on the other side only.
    pub a: Option<Quote>,
    /// What stands there on side b.
    pub b: Option<Quote>,
}

impl Evidence {
    /// Whether it is in the same file, or member of an archive, as `place`.
    pub(super) fn is_of(&self, place: &Place<'_>) -> bool {
        self.path == place.path() && self.inside == place.inside()
    }
}

/// Bytes quoted from one side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// Offset in the file, or in the innermost member; absent for what is no part of its bytes, such as a file's mode.
    pub offset: Option<u64>,
    /// The bytes, or what is said in their place.
    pub text: Vec<u8>,
    /// Whether `text` is bytes that are no text, to be printed in hexadecimal.
    pub binary: bool,
}
