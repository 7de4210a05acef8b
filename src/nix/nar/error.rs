//! What can be wrong with a NAR, or with what is to become one.

use std::io;

/// Why a stream is no NAR, and at which byte.
#[derive(Debug, thiserror::Error)]
#[error("NAR, byte {offset}: {what}")]
pub struct NarError {
    /// Offset into the stream, in bytes.
    pub offset: u64,
    /// What is wrong there.
    pub what: NarErrorKind,
}

/// What is wrong with a NAR. Names and targets are escaped and shortened.
#[derive(Debug, thiserror::Error)]
pub enum NarErrorKind {
    /// Reading failed; says nothing about the NAR.
    #[error("cannot read: {0}")]
    Io(#[from] io::Error),
    /// The stream ends too early.
    #[error("the stream ends here, in the middle of {what}: the NAR is truncated")]
    Truncated {
        /// What was being read.
        what: &'static str,
    },
    /// Not a NAR at all.
    #[error("this is no NAR: it does not begin with `nix-archive-1`")]
    Magic,
    /// Another keyword than the grammar demands.
    #[error("found {found} where {expected} should be")]
    Tag {
        /// What should have come.
        expected: &'static str,
        /// What came.
        found: String,
    },
    /// A string longer than its place allows.
    #[error("{what} of {len} bytes, at most {max} are allowed")]
    TooLong {
        /// What the string is.
        what: &'static str,
        /// The length it claims.
        len: u64,
        /// The longest allowed.
        max: usize,
    },
    /// The padding behind a string is not zero.
    #[error("the padding is not zero")]
    Padding,
    /// A file whose end would lie beyond the largest offset.
    #[error("a file of {len} bytes cannot be")]
    Size {
        /// The length it claims.
        len: u64,
    },
    /// A name no file may have.
    #[error("entry name {name} {why}")]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it, as a predicate.
        why: &'static str,
    },
    /// The entries are not in strictly ascending order of bytes, or one is there twice.
    #[error("entry {name} does not come after {previous}: entries must be sorted, each once")]
    Order {
        /// The entry.
        name: String,
        /// The entry before it.
        previous: String,
    },
    /// A target no symbolic link may have.
    #[error("symbolic link target {target} {why}")]
    Target {
        /// The target.
        target: String,
        /// What is wrong with it, as a predicate.
        why: &'static str,
    },
    /// Nested deeper than [`super::MAX_DEPTH`].
    #[error("nested deeper than {} levels", super::MAX_DEPTH)]
    Depth,
    /// Something follows the end.
    #[error("bytes follow the end of the NAR")]
    Trailing,
    /// More than [`super::MAX_ENTRIES`], or more bytes of names than a listing holds.
    #[error(
        "too many entries to list: more than {} or more than {} bytes of names",
        super::MAX_ENTRIES,
        super::tree::MAX_TEXT
    )]
    Entries,
}

/// Why a NAR cannot be written. Names and targets are escaped and shortened.
#[derive(Debug, thiserror::Error)]
pub enum NarWriteError {
    /// Writing failed, or reading a file's contents did.
    #[error("writing a NAR: {0}")]
    Io(#[from] io::Error),
    /// What is to be written is no legal tree.
    #[error("writing a NAR: {0}")]
    Tree(NarErrorKind),
    /// A file turned out longer or shorter than said beforehand.
    #[error("writing a NAR: a file of {expected} bytes gave {}", found.map_or("more".to_owned(), |n| format!("only {n}")))]
    Changed {
        /// The size said beforehand.
        expected: u64,
        /// How many bytes came; `None` when more came than said.
        found: Option<u64>,
    },
    /// The calls came in an order that makes no tree; a fault of the caller.
    #[error("writing a NAR: {0}")]
    Misuse(&'static str),
}
