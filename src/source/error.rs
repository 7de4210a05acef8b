//! What can go wrong when sources are provided.

use std::path::PathBuf;

use super::apt::AptError;
use super::deb::DebError;
use super::fixed_output::FixedOutput;
use super::mirror::MirrorError;
use super::provide::{Answer, Tried};
use crate::code::Code;
use crate::nix::hash::Hash;
use crate::nix::make_path::Method;
use crate::nix::store_path::StorePath;
use crate::store::{StoreError, TreeError};

/// Why a source could not be provided or added.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// No place has it.
    #[error(
        "the source {} of {} is missing: nothing with the hash {} ({}) was found\n{}",
        .0.name, .0.drv, .0.hash, .0.over, .0
    )]
    Missing(Box<NotFound>),
    /// Places have something under its name, but with another hash.
    #[error(
        "the source {} of {} has the wrong hash: expected {} ({}), got {got} from {place}\n{}",
        .wanted.name, .wanted.drv, .wanted.hash, .wanted.over, .wanted
    )]
    HashMismatch {
        /// What was wanted.
        wanted: Box<NotFound>,
        /// The hash of what the first wrong place gave.
        got: Hash,
        /// That place.
        place: String,
    },
    /// The derivation's output path is not the one its hash makes.
    #[error("the derivation {drv} states the output path {path}, which its own hash does not make")]
    PathMismatch {
        /// The derivation.
        drv: StorePath,
        /// The path it states.
        path: StorePath,
    },
    /// A package could not be fetched.
    #[error(transparent)]
    Apt(#[from] AptError),
    /// A package could not be read.
    #[error("{pin}: {source}")]
    Deb {
        /// The pin.
        pin: String,
        /// What is wrong with the package.
        source: DebError,
    },
    /// A mirror's address is none.
    #[error(transparent)]
    Mirror(#[from] MirrorError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A folder to be added cannot be packed.
    #[error("{path}: {source}")]
    Tree {
        /// The folder.
        path: PathBuf,
        /// Why not.
        source: TreeError,
    },
    /// Something to be added is neither a file nor a folder.
    #[error("{path} is neither a file nor a folder")]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// An index file of the file folder is damaged.
    #[error("{path} is damaged: add the file again, or remove this one")]
    DamagedIndex {
        /// The index file.
        path: PathBuf,
    },
}

/// A source that was looked for in vain. It prints as the places and the way out, a line each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotFound {
    /// The derivation that fetches it.
    pub drv: StorePath,
    /// The output's name.
    pub name: String,
    /// The hash it must have.
    pub hash: Hash,
    /// What the hash is taken over.
    pub over: &'static str,
    /// Every place, and its answer.
    pub tried: Vec<Tried>,
    /// The command to add it by hand.
    pub add: String,
}

impl std::fmt::Display for NotFound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("places looked at:")?;
        self.tried.iter().try_for_each(|tried| write!(f, "\n  {tried}"))?;
        write!(f, "\nto add it by hand: {}", self.add)
    }
}

impl SourceError {
    /// No place had it: the graver error is that one had something else.
    pub(super) fn not_found(fixed: &FixedOutput, tried: Vec<Tried>) -> Self {
        let wrong = tried.iter().find_map(|tried| match &tried.answer {
            Answer::WrongHash(got) => Some((tried.place.clone(), got.clone())),
            _ => None,
        });
        let wanted = Box::new(NotFound {
            drv: fixed.drv.clone(),
            name: fixed.path.name().to_owned(),
            hash: fixed.hash.clone(),
            over: match fixed.method {
                Method::Flat => "over the file",
                Method::Recursive => "over the NAR",
            },
            tried,
            add: format!("reprove source add {}", shell_word(fixed.likely_file_name())),
        });
        match wrong {
            Some((place, got)) => SourceError::HashMismatch { wanted, got, place },
            None => SourceError::Missing(wanted),
        }
    }

    /// Whether bytes had another hash than they must have, which has an exit code of its own.
    pub fn is_hash_mismatch(&self) -> bool {
        matches!(self, SourceError::HashMismatch { .. } | SourceError::Apt(AptError::HashMismatch { .. }))
    }

    /// The stable code of the error.
    pub fn code(&self) -> Code {
        match self {
            SourceError::Apt(error) => error.code(),
            SourceError::Deb { source, .. } => source.code(),
            SourceError::Store(error) => error.code(),
            SourceError::Missing(_) => Code(450),
            SourceError::HashMismatch { .. } => Code(451),
            SourceError::PathMismatch { .. } => Code(452),
            SourceError::Mirror(_) => Code(453),
            SourceError::Io { .. } => Code(454),
            SourceError::Tree { .. } | SourceError::NotAFile { .. } => Code(455),
            SourceError::DamagedIndex { .. } => Code(456),
        }
    }
}

/// Quoted where a shell would take it for more than a word: the name comes from a derivation.
fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._+-=:@,".contains(c);
    let plain = !word.is_empty() && !word.starts_with('-') && word.chars().all(plain);
    if plain { word.to_owned() } else { format!("'./{}'", word.replace('\'', r"'\''")) }
}
