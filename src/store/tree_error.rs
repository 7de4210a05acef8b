//! What can go wrong between a file tree on the disk and its NAR.

use std::{io, path::PathBuf};

use crate::{
    code::Code,
    nix::nar::{NarError, NarErrorKind, NarWriteError},
};

/// Why a tree could not be packed or unpacked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// The operating system refused.
    #[error("cannot {what} {path:?}")]
    Io {
        /// What was being done: a verb.
        what: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
    /// Writing the NAR failed.
    #[error("cannot write the NAR")]
    Output(#[source] io::Error),
    /// Something a NAR cannot hold.
    #[error("{path:?} is a {kind}; a NAR holds regular files, directories and symbolic links only")]
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
    /// A name, link target or depth that NARs do not allow.
    #[error("{path:?} cannot be in a NAR: {what}")]
    Unrepresentable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: NarErrorKind,
    },
    /// The bytes to be unpacked are no NAR.
    #[error("not a NAR")]
    NotANar(#[source] NarError),
    /// What is to be made is there.
    #[error("{path:?} exists; a NAR is unpacked to a new path only")]
    Exists {
        /// The destination.
        path: PathBuf,
    },
    /// The destination names no new entry of a directory.
    #[error("cannot unpack to {path:?}: {why}")]
    Destination {
        /// The destination.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Two entries of the NAR are one on this file system.
    #[error("{path:?} is there twice: the file system takes two names in the NAR for one")]
    Collision {
        /// The second of them.
        path: PathBuf,
    },
}

impl TreeError {
    /// The error's stable code.
    pub fn code(&self) -> Code {
        Code(match self {
            TreeError::Io { .. } | TreeError::Output(_) => 820,
            TreeError::Special { .. } => 821,
            TreeError::Changed { .. } => 822,
            TreeError::Unrepresentable { .. } => 823,
            TreeError::NotANar(nar) => return nar.code(),
            TreeError::Exists { .. } | TreeError::Destination { .. } => 824,
            TreeError::Collision { .. } => 825,
        })
    }
}

/// A failure to write the NAR of `path`, told apart from what is wrong with the tree.
pub(super) fn while_writing(error: NarWriteError, path: &std::path::Path) -> TreeError {
    let path = path.to_owned();
    match error {
        NarWriteError::Io(error) => TreeError::Output(error),
        NarWriteError::Tree(what) => TreeError::Unrepresentable { path, what },
        NarWriteError::Changed { .. } => TreeError::Changed { path },
        NarWriteError::Misuse(what) => TreeError::Output(io::Error::other(what)),
    }
}
