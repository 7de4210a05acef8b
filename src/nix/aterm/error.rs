//! What can be wrong with the text of a derivation.

use super::MAX_LEN;
use crate::nix::{
    derivation::OutputsError,
    hash::HashError,
    store_path::{StorePath, StorePathError},
};

/// Why a text is no derivation, and at which byte.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("derivation, byte {offset}: {what}")]
pub struct AtermError {
    /// Offset into the text, in bytes.
    pub offset: usize,
    /// What is wrong there.
    pub what: AtermErrorKind,
}

/// What is wrong with a derivation's text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AtermErrorKind {
    /// More than [`MAX_LEN`] bytes.
    #[error("the text is {len} bytes long, more than the {MAX_LEN} that are read")]
    TooLong {
        /// Its length.
        len: usize,
    },
    /// The text ends too early.
    #[error("the text ends where {expected} should be: the file is truncated")]
    Truncated {
        /// What should have come.
        expected: &'static str,
    },
    /// Something else than the grammar demands.
    #[error("found {found} where {expected} should be")]
    Syntax {
        /// What should have come.
        expected: &'static str,
        /// What came, escaped and shortened.
        found: String,
    },
    /// Text after the end.
    #[error("{len} more bytes after the end of the derivation")]
    Trailing {
        /// How many.
        len: usize,
    },
    /// Readable, but not as Nix would write it.
    #[error("not canonical: {0}; Nix would write this derivation differently and give it another path")]
    NotCanonical(&'static str),
    /// The same key twice.
    #[error("duplicate {what} {key}")]
    Duplicate {
        /// What kind of key.
        what: &'static str,
        /// The key, escaped and shortened.
        key: String,
    },
    /// A derivation that needs an experimental feature of Nix.
    #[error("unsupported: {what}")]
    Unsupported {
        /// What it needs.
        what: String,
    },
    /// A store path is invalid.
    #[error("{0}")]
    StorePath(#[from] StorePathError),
    /// An input derivation's path does not end in `.drv`.
    #[error("input derivation {path} does not end in `.drv`")]
    NoDerivation {
        /// The path.
        path: StorePath,
    },
    /// A hash is invalid.
    #[error("{0}")]
    Hash(#[from] HashError),
    /// Path, algorithm and hash of an output do not go together.
    #[error("output {name} {why}")]
    Output {
        /// The output, escaped and shortened.
        name: String,
        /// What is wrong with it, as a predicate.
        why: &'static str,
    },
    /// The outputs do not go together.
    #[error("{0}")]
    Outputs(#[from] OutputsError),
}
