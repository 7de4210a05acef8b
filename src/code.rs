//! Error codes: every error a person can meet has one, `RP` and four digits, stable across releases.
//!
//! Each room owns a range and keeps its explanations beside its errors: 00xx the command line,
//! 01xx `nix`, 02xx `flake`, 03xx `graph`, 04xx `source`, 05xx `guest`, 06xx `machine`, 07xx `build`,
//! 08xx `store`, 09xx `diff` (from 0950 on `diagnose`), 10xx `verify`, 11xx `policy`, 12xx `release`, 13xx `attest`,
//! 14xx `mirror`.
//! `reprove explain RP0123` prints them.

use std::fmt;

/// A stable error code, printed as `RP0123`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(pub u16);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RP{:04}", self.0)
    }
}

/// What `reprove explain` prints for one code.
#[derive(Clone, Copy, Debug)]
pub struct Explanation {
    /// The code explained.
    pub code: Code,
    /// One line, in the words of the error itself.
    pub title: &'static str,
    /// What happened, why it is an error, and what to do: plain text, a few lines.
    pub text: &'static str,
}
