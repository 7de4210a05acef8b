//! What can be wrong with a manifest.

use std::{io, path::PathBuf};

use crate::code::{Code, Explanation};

/// Why there is no manifest.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// A file that is to be in it, or the manifest itself, could not be read.
    #[error("{path:?}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's answer, or the decoder's.
        source: io::Error,
    },
    /// Too many bytes.
    #[error("the manifest has more than 4 MiB")]
    TooLong,
    /// Not UTF-8.
    #[error("the manifest is no text: byte {at} is not UTF-8")]
    NotText {
        /// The first byte that is not.
        at: usize,
    },
    /// The document is not what it has to be.
    #[error("the manifest cannot be read: {why}")]
    Malformed {
        /// Why, and where.
        why: String,
    },
    /// A document that says it in another way.
    #[error("the manifest is not written the way manifests are written (`reprove release manifest`)")]
    NotCanonical,
    /// A line of the plain form.
    #[error("line {line} of the manifest cannot be read: {why}")]
    Line {
        /// Its number, from 1 on.
        line: usize,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Nothing in it.
    #[error("the manifest lists nothing")]
    Empty,
    /// A name that cannot be.
    #[error("`{name}` cannot be a name in a manifest: {why}")]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A file without a name that could be in a manifest.
    #[error("{path:?} has no name that is UTF-8")]
    NoName {
        /// The file.
        path: PathBuf,
    },
    /// One name for two files.
    #[error("`{file}` is there twice (as `{other}`; case does not count)")]
    Twice {
        /// The second of them.
        file: String,
        /// The first.
        other: String,
    },
    /// Lines out of order.
    #[error("`{file}` is not in its place: artefacts are sorted by the bytes of their names")]
    NotSorted {
        /// The first that is not.
        file: String,
    },
}

impl ManifestError {
    /// The stable code.
    pub fn code(&self) -> Code {
        Code(match self {
            ManifestError::Read { .. } => 1210,
            ManifestError::TooLong
            | ManifestError::NotText { .. }
            | ManifestError::Malformed { .. }
            | ManifestError::Line { .. }
            | ManifestError::Empty => 1211,
            ManifestError::NotCanonical | ManifestError::NotSorted { .. } => 1212,
            ManifestError::Name { .. } | ManifestError::NoName { .. } => 1213,
            ManifestError::Twice { .. } => 1214,
        })
    }
}

/// What `reprove explain` prints for these codes.
pub const EXPLANATIONS: &[Explanation] = &[
    Explanation {
        code: Code(1210),
        title: "a file of a release could not be read",
        text: "The message names it. A compressed tar archive is also unpacked, for the digest of the archive inside; one \
               that is cut off or damaged is not listed.",
    },
    Explanation {
        code: Code(1211),
        title: "a manifest cannot be read",
        text: "It is neither a document of reprove.manifest/1 nor lines as sha256sum writes them: 64 lower-case digits, two \
               spaces, a name. docs/release.md describes both.",
    },
    Explanation {
        code: Code(1212),
        title: "a manifest is not in the one form that manifests have",
        text: "Another order, other white space or other escapes: it might say the same, but a signature is over bytes, and \
               contributors can only agree about bytes. Write it anew with `reprove release manifest`.",
    },
    Explanation {
        code: Code(1213),
        title: "a name cannot be in a manifest",
        text: "Names of files, targets and versions hold letters, digits and printable ASCII, no slash, no control or \
               invisible characters, and do not begin with a dash. Anything else could mean another file to another reader.",
    },
    Explanation {
        code: Code(1214),
        title: "two artefacts of a manifest have one name",
        text: "Where file systems fold case they would be one file. Rename one of them.",
    },
];
