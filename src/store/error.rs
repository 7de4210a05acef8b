//! What can go wrong with the store.

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
};

use super::{RunId, TreeError};
use crate::{
    code::Code,
    nix::{hash::NarHash, nar::NarError, store_path::StorePath},
};

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
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
    /// No room on the disk, or in the quota.
    #[error("cannot {what} {path:?}: no space left; nothing was registered")]
    Full {
        /// What was being done: a verb.
        what: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
    /// The layout is of a later release.
    #[error("the state directory {root:?} has layout {found}, this program knows {known}")]
    Newer {
        /// The state directory.
        root: PathBuf,
        /// Its layout.
        found: u32,
        /// The latest layout known here.
        known: u32,
    },
    /// A directory that holds something else.
    #[error("{root:?} is no state directory: it holds {entry:?}")]
    NotAStore {
        /// The directory.
        root: PathBuf,
        /// Something in it that is not ours.
        entry: OsString,
    },
    /// Another process has the store open.
    #[error("another process is using {root:?}")]
    InUse {
        /// The state directory.
        root: PathBuf,
    },
    /// A record or NAR is not what its name says.
    #[error("{file:?} is damaged: {why}")]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Bytes offered as a NAR are none.
    #[error("not a NAR")]
    NotANar(#[source] NarError),
    /// The bytes are not the ones asked for.
    #[error("NAR hash mismatch: expected {expected}, got {got}")]
    HashMismatch {
        /// The hash that was promised.
        expected: NarHash,
        /// The hash of what came.
        got: NarHash,
    },
    /// A path cannot be registered before its NAR is there.
    #[error("{path}: its NAR {nar_hash} ({nar_size} bytes) is not in the store")]
    NarMissing {
        /// The path to be registered.
        path: StorePath,
        /// The NAR it needs.
        nar_hash: NarHash,
        /// The size it needs, in bytes.
        nar_size: u64,
    },
    /// The path is registered with other bits.
    #[error("{path} is registered with NAR {registered}, and now came with {offered}")]
    Conflict {
        /// The path.
        path: StorePath,
        /// What is registered and stays.
        registered: NarHash,
        /// What was offered and is not registered; the NAR itself is kept.
        offered: NarHash,
    },
    /// The path is registered with the same bits but other references.
    #[error("{path} is registered with other references: {}", difference(.registered, .offered))]
    ReferencesConflict {
        /// The path.
        path: StorePath,
        /// The references that are registered and stay.
        registered: Vec<StorePath>,
        /// The references that were offered.
        offered: Vec<StorePath>,
    },
    /// References lead to paths that are not registered.
    #[error("{} is not in the store{}{}", .missing[0].0, referrer(.missing[0].1.as_ref()), others(.missing.len()))]
    NotClosed {
        /// Each missing path, and who refers to it; nobody for a path that was asked for by name. Never empty.
        missing: Vec<(StorePath, Option<StorePath>)>,
    },
    /// A name for an attachment that is no plain file name.
    #[error(
        "`{name}` cannot be an attachment of a run: lower-case letters, digits, `.`, `-`, not `run.json`"
    )]
    AttachmentName {
        /// The name.
        name: String,
    },
    /// A run's attachment is not there.
    #[error("run {run} has no `{name}`")]
    NoAttachment {
        /// The run.
        run: RunId,
        /// The name asked for.
        name: String,
    },
    /// A record could not be written as JSON, or is not what the caller reads it as.
    #[error("the record of {of} does not fit its type")]
    Record {
        /// Which record.
        of: String,
        /// What the JSON library says.
        source: serde_json::Error,
    },
    /// A file tree could not be read or written.
    #[error(transparent)]
    Tree(#[from] TreeError),
}

fn difference(registered: &[StorePath], offered: &[StorePath]) -> String {
    let only = |a: &[StorePath], b: &[StorePath]| {
        a.iter().filter(|path| !b.contains(path)).map(|path| path.base_name().to_owned()).collect::<Vec<_>>()
    };
    let (gone, new) = (only(registered, offered), only(offered, registered));
    match (gone.is_empty(), new.is_empty()) {
        (false, true) => format!("no longer {}", gone.join(", ")),
        (true, false) => format!("now also {}", new.join(", ")),
        _ => format!("no longer {}, now {}", gone.join(", "), new.join(", ")),
    }
}

fn referrer(path: Option<&StorePath>) -> String {
    path.map(|path| format!(", {path} refers to it")).unwrap_or_default()
}

fn others(missing: usize) -> String {
    if missing > 1 { format!(", nor are {} others", missing - 1) } else { String::new() }
}

impl StoreError {
    /// The error's stable code.
    pub fn code(&self) -> Code {
        Code(match self {
            StoreError::Io { .. } => 801,
            StoreError::Full { .. } => 802,
            StoreError::Newer { .. } => 803,
            StoreError::NotAStore { .. } => 804,
            StoreError::InUse { .. } => 805,
            StoreError::Damaged { .. } => 806,
            StoreError::NotANar(nar) => return nar.code(),
            StoreError::HashMismatch { .. } => 808,
            StoreError::NarMissing { .. } => 809,
            StoreError::Conflict { .. } => 810,
            StoreError::ReferencesConflict { .. } => 811,
            StoreError::NotClosed { .. } => 812,
            StoreError::AttachmentName { .. } | StoreError::NoAttachment { .. } => 813,
            StoreError::Record { .. } => 814,
            StoreError::Tree(tree) => return tree.code(),
        })
    }
}

/// Says what was being done, and to which file, when an operation fails.
pub(super) trait Context<T> {
    fn context(self, what: &'static str, path: &Path) -> Result<T, StoreError>;
}

impl<T, E: Into<io::Error>> Context<T> for Result<T, E> {
    fn context(self, what: &'static str, path: &Path) -> Result<T, StoreError> {
        self.map_err(|error| {
            let (path, source) = (path.to_owned(), error.into());
            match source.kind() {
                // FileTooLarge is the limit a process has on the size of its files.
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                    StoreError::Full { what, path, source }
                }
                _ => StoreError::Io { what, path, source },
            }
        })
    }
}
