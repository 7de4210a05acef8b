//! What can go wrong between a folder and its archive.

use std::{io, path::PathBuf};

use bstr::ByteSlice as _;

use crate::code::{Code, Explanation};

/// Why a folder could not be archived.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The operating system refused.
    #[error("cannot {what} {path:?}: {source}")]
    Read {
        /// What was being done: a verb.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
    /// The archive could not be written.
    #[error("cannot write the archive: {0}")]
    Output(#[source] io::Error),
    /// Something that is no part of a release.
    #[error(
        "{path:?} is a {kind}; an archive of a release holds regular files, folders and symbolic links only"
    )]
    Special {
        /// The file.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
    },
    /// A file was written to while it was read.
    #[error("{path:?} changed while it was read")]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// More than an archive is given room for.
    #[error("{path:?}: {what}; an archive holds {limit} at the most")]
    Cap {
        /// The entry that went over it.
        path: PathBuf,
        /// What there is too much of.
        what: &'static str,
        /// The cap.
        limit: u64,
    },
    /// A name that a zip file cannot say so that all its readers understand the same.
    #[error("`{}` is not UTF-8: readers of zip files understand such a name differently", name.as_bstr())]
    ZipName {
        /// The entry's path.
        name: Vec<u8>,
    },
    /// More than a zip file without extensions holds.
    #[error("`{}`: {what} does not fit into a zip file", name.as_bstr())]
    ZipSize {
        /// The entry's path.
        name: Vec<u8>,
        /// What is too large.
        what: &'static str,
    },
    /// The folder cannot have this name in the archive.
    #[error("`{}` cannot be the name of the folder in the archive: it is to be one name, without a slash", name.as_bstr())]
    Root {
        /// The name.
        name: Vec<u8>,
    },
    /// A time that tar archives of GNU's format write differently.
    #[error("the time {mtime} is later than an archive can say (8589934591, in the year 2242)")]
    Time {
        /// Seconds since 1970.
        mtime: u64,
    },
}

impl ArchiveError {
    /// The stable code.
    pub fn code(&self) -> Code {
        Code(match self {
            ArchiveError::Read { .. } | ArchiveError::Output(_) => 1201,
            ArchiveError::Special { .. } => 1202,
            ArchiveError::Changed { .. } => 1203,
            ArchiveError::Cap { .. } | ArchiveError::ZipSize { .. } => 1204,
            ArchiveError::ZipName { .. } => 1205,
            ArchiveError::Root { .. } | ArchiveError::Time { .. } => 1206,
        })
    }
}

/// What `reprove explain` prints for these codes.
pub const EXPLANATIONS: &[Explanation] = &[
    Explanation {
        code: Code(1201),
        title: "a folder could not be read, or its archive not be written",
        text: "The message names the file and gives the operating system's answer. There is no archive then: it appears \
               under its name only when it is whole.",
    },
    Explanation {
        code: Code(1202),
        title: "a socket, device or pipe in a folder that is to be archived",
        text: "What such a file is depends on the host. Remove it from the folder.",
    },
    Explanation {
        code: Code(1203),
        title: "a file changed while it was archived",
        text: "It grew or shrank between looking at it and reading it. Archive the folder when nothing writes to it any \
               more.",
    },
    Explanation {
        code: Code(1204),
        title: "a folder is larger than its archive can be",
        text: "A tar archive takes a million entries, nested 512 deep; a zip file without extensions 65534 entries and 4 \
               GiB altogether, which old readers rely on. Use a tar archive for what is larger.",
    },
    Explanation {
        code: Code(1205),
        title: "a name that is not UTF-8 cannot be in a zip file",
        text: "The format knows UTF-8 and the code page of the first IBM PC, and readers guess for anything else. Rename \
               the file, or use a tar archive, which holds any name.",
    },
    Explanation {
        code: Code(1206),
        title: "an archive cannot have this name for its folder, or this time",
        text: "The folder is one name in the archive (--root), without a slash; its time (--mtime, SOURCE_DATE_EPOCH) is in \
               seconds since 1970, up to 8589934591.",
    },
];
