//! Files against the lines of a manifest.

use std::{fs::File, io, path::Path};

use super::{
    digest::{Digest, Sha256},
    manifest::{Artefact, Manifest},
};
use crate::code::{Code, Explanation};

/// Why a file is not what a manifest lists.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// Nothing there.
    #[error("{file} is missing")]
    Missing {
        /// The artefact.
        file: String,
    },
    /// The operating system refused.
    #[error("{file}: {source}")]
    Read {
        /// The artefact.
        file: String,
        /// The operating system's answer.
        source: io::Error,
    },
    /// Other bytes.
    #[error("{file} is not what was released: its SHA-256 is {found}, not {listed}")]
    Tampered {
        /// The artefact.
        file: String,
        /// What the manifest says.
        listed: Sha256,
        /// What it is.
        found: Sha256,
    },
    /// The bytes of another artefact.
    #[error("{file}{} holds what was released as {other}{}", platform(target), platform(other_target))]
    Swapped {
        /// The artefact.
        file: String,
        /// The platform it is for.
        target: Option<String>,
        /// The artefact whose bytes they are.
        other: String,
        /// The platform those are for.
        other_target: Option<String>,
    },
    /// Not in the manifest.
    #[error("{file} is not in the manifest")]
    Unlisted {
        /// The file's name.
        file: String,
    },
    /// The manifest of another version.
    #[error("the manifest is of {found}, not of {asked}")]
    OtherVersion {
        /// The version that was asked for.
        asked: String,
        /// What the manifest says.
        found: String,
    },
}

fn platform(target: &Option<String>) -> String {
    target.as_ref().map(|target| format!(" (for {target})")).unwrap_or_default()
}

impl FileError {
    /// The stable code.
    pub fn code(&self) -> Code {
        Code(match self {
            FileError::Missing { .. } | FileError::Read { .. } => 1220,
            FileError::Tampered { .. } => 1221,
            FileError::Swapped { .. } => 1222,
            FileError::Unlisted { .. } => 1223,
            FileError::OtherVersion { .. } => 1224,
        })
    }

    /// Whether other bytes were found than were listed, rather than none.
    pub fn is_mismatch(&self) -> bool {
        matches!(self, FileError::Tampered { .. } | FileError::Swapped { .. })
    }
}

/// Whether the file at `path` is the artefact of its name.
///
/// # Errors
/// See [`FileError`]; a swapped file is told from a changed one by the other lines of the manifest.
pub fn check(manifest: &Manifest, path: &Path) -> Result<Digest, FileError> {
    let file = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let digest = digest(path, &file)?;
    let same = |artefact: &&Artefact| artefact.sha256 == digest.sha256;
    let Some(listed) = manifest.artefact(&file) else {
        return Err(match manifest.artefacts.iter().find(same) {
            Some(other) => swapped(file, None, other),
            None => FileError::Unlisted { file },
        });
    };
    if listed.sha256 == digest.sha256 && listed.size.is_none_or(|size| size == digest.size) {
        return Ok(digest);
    }
    Err(match manifest.artefacts.iter().find(same) {
        Some(other) if other.file != file => swapped(file, listed.target.clone(), other),
        _ => FileError::Tampered { file, listed: listed.sha256, found: digest.sha256 },
    })
}

fn swapped(file: String, target: Option<String>, other: &Artefact) -> FileError {
    FileError::Swapped { file, target, other: other.file.clone(), other_target: other.target.clone() }
}

fn digest(path: &Path, file: &str) -> Result<Digest, FileError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => FileError::Missing { file: file.to_owned() },
        _ => FileError::Read { file: file.to_owned(), source },
    };
    // A pipe that was put there must not be waited for.
    let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::CLOEXEC;
    let opened = rustix::fs::open(path, flags, rustix::fs::Mode::empty());
    let opened = File::from(opened.map_err(|error| failed(error.into()))?);
    if !opened.metadata().map_err(failed)?.is_file() {
        return Err(failed(io::Error::other("it is no regular file")));
    }
    Digest::of(opened).map_err(failed)
}

/// Whether the manifest is that of `version`.
pub fn check_version(manifest: &Manifest, version: &str) -> Result<(), FileError> {
    match &manifest.release {
        Some(release) if release.version == version => Ok(()),
        release => Err(FileError::OtherVersion {
            asked: version.to_owned(),
            found: release.as_ref().map_or("no version that it names", |release| &release.version).to_owned(),
        }),
    }
}

/// What `reprove explain` prints for these codes.
pub const EXPLANATIONS: &[Explanation] = &[
    Explanation {
        code: Code(1220),
        title: "a released file is missing or cannot be read",
        text: "Every file of a manifest is looked for beside it; name the files you have to check only those.",
    },
    Explanation {
        code: Code(1221),
        title: "a file is not what was released",
        text: "Its bytes have another digest than the manifest lists. Do not run it. Get it again, from somewhere else; if it \
               stays so, tell the project.",
    },
    Explanation {
        code: Code(1222),
        title: "a file holds what was released under another name",
        text: "Each file is a released one, but not the one its name says: one for another platform, or an older tool under a \
               newer one's name. Get it again from where the project publishes it.",
    },
    Explanation {
        code: Code(1223),
        title: "a file is not in the manifest",
        text: "Nobody said anything about it. Check its name, and that the manifest is of the same release.",
    },
    Explanation {
        code: Code(1224),
        title: "the manifest is of another version",
        text: "An older release that was signed properly is still an older release. The plain form of a manifest names no \
               version and cannot be checked against one.",
    },
];
