//! What can go wrong between apt and us.

use std::path::{Path, PathBuf};

use crate::code::Code;
use crate::source::pin::PinError;
use crate::source::tool::ToolError;

/// Why a package could not be had through apt.
#[derive(Debug, thiserror::Error)]
pub enum AptError {
    /// A program is missing or failed.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// A name that is none.
    #[error(transparent)]
    Pin(#[from] PinError),
    /// The private state, or a downloaded file, could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// This machine names no Debian archive.
    #[error(
        "no Debian archive is configured on this machine: /etc/apt has no entry with the component main \
         that Debian signs; give a mirror of the Debian archive with --apt-mirror URI"
    )]
    NoMirror,
    /// A mirror's address is none.
    #[error(
        "{uri:?} is no mirror of the Debian archive: it is spelled as in sources.list, http://HOST/debian"
    )]
    Mirror {
        /// What was given.
        uri: String,
    },
    /// The list of packages could not be downloaded.
    #[error("apt could not get the package lists of {suite} for {arch}:\n{said}")]
    Update {
        /// The suite.
        suite: String,
        /// The architecture.
        arch: String,
        /// What apt said.
        said: String,
    },
    /// There is no such package in the suite.
    #[error("the suite {suite} has no package {package} for {arch}{note}")]
    UnknownPackage {
        /// The suite.
        suite: String,
        /// The architecture, or `source`.
        arch: String,
        /// The package.
        package: String,
        /// What else went wrong on the way, or nothing.
        note: String,
    },
    /// The pinned version is not in the archive any more (or not yet).
    #[error(
        "{pin}: version {pinned} of {package} is not in the archive; available: {available}. Add the file by \
         hand (`reprove source add FILE`), or pin another version (`reprove guest update` for the guest's \
         lock file){note}"
    )]
    VersionGone {
        /// The whole pin.
        pin: String,
        /// The package.
        package: String,
        /// The pinned version.
        pinned: String,
        /// The versions that the archive has, newest first.
        available: String,
        /// What else went wrong on the way, or nothing.
        note: String,
    },
    /// The source package has no such file.
    #[error("{pin}: the source package has no such file; it has {available}")]
    NoSourceFile {
        /// The whole pin.
        pin: String,
        /// Its files.
        available: String,
    },
    /// The archive has other bytes under the pinned version than the pin says.
    #[error(
        "{pin}: wrong hash: expected sha256 {expected}, got {got}. The archive's file is another one than the \
         pinned: do not use it before you know why"
    )]
    HashMismatch {
        /// The whole pin.
        pin: String,
        /// The pinned hash, base-16.
        expected: String,
        /// The hash of what came, base-16.
        got: String,
    },
    /// A program's output did not look as it should.
    #[error("{program} printed something we do not understand: {line:?}")]
    Output {
        /// The program.
        program: &'static str,
        /// What it printed.
        line: String,
    },
}

impl AptError {
    /// The stable code of the error.
    pub fn code(&self) -> Code {
        match self {
            AptError::Tool(error) => error.code(),
            AptError::Pin(error) => error.code(),
            AptError::Io { .. } => Code(424),
            AptError::NoMirror | AptError::Mirror { .. } => Code(425),
            AptError::Update { .. } => Code(426),
            AptError::UnknownPackage { .. } => Code(427),
            AptError::VersionGone { .. } | AptError::NoSourceFile { .. } => Code(428),
            AptError::HashMismatch { .. } => Code(429),
            AptError::Output { .. } => Code(430),
        }
    }
}

/// Puts the path to an I/O error.
pub(super) fn at(path: &Path) -> impl Fn(std::io::Error) -> AptError + '_ {
    move |source| AptError::Io { path: path.to_owned(), source }
}
