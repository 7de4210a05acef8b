//! Store paths: `/nix/store/<32 characters of base-32>-<name>`.
//!
//! Nix manual, "Store path specification". How paths are made from contents: [`super::make_path`].

use std::{fmt, str::FromStr};

use super::{base32, text::shown};

/// The store directory everything here is about.
pub const STORE_DIR: &str = "/nix/store";

/// Longest name Nix allows, in bytes.
pub const MAX_NAME: usize = 211;

/// Characters of base-32 in front of the name: 20 bytes.
pub const HASH_CHARS: usize = 32;

/// Why a text is no store path. The texts are escaped and shortened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StorePathError {
    /// Not `/nix/store/` in front, or more than one component behind it.
    #[error("{path} is not a path directly in {STORE_DIR}")]
    NotInStore {
        /// The whole text.
        path: String,
    },
    /// What stands before the first dash is not 32 characters of Nix's base-32.
    #[error("store path {path} does not begin with 32 characters of base-32 and a dash")]
    HashPart {
        /// The whole text.
        path: String,
    },
    /// The name is empty, too long, or reserved.
    #[error("name {name} {why}")]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it, as a predicate.
        why: &'static str,
    },
    /// A character that a name may not have.
    #[error(
        "name {name} has byte {byte:#04x} at offset {offset}: only 0-9 a-z A-Z + - . _ ? = may stand there"
    )]
    Character {
        /// The name.
        name: String,
        /// Offset into the name, in bytes.
        offset: usize,
        /// The byte found there.
        byte: u8,
    },
}

/// Checks the name behind a store path's hash, also a derivation's or an output's name.
///
/// The rules of Nix 2.20 and later: 1 to 211 characters of `0-9a-zA-Z+-._?=`, and neither `.` nor `..`, alone or
/// in front of a dash. Other names with a dot in front (`.gitignore`) are legal and occur.
pub fn check_name(name: &[u8]) -> Result<&str, StorePathError> {
    let wrong = |why| Err(StorePathError::Name { name: shown(name), why });
    if name.is_empty() {
        return wrong("is empty");
    }
    if name.len() > MAX_NAME {
        return wrong("is longer than 211 characters");
    }
    if name.split(|byte| *byte == b'-').next().is_some_and(|first| first == b"." || first == b"..") {
        return wrong("begins with a path component `.` or `..`");
    }
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"+-._?=".contains(&byte);
    if let Some(offset) = name.iter().position(|byte| !legal(*byte)) {
        return Err(StorePathError::Character { name: shown(name), offset, byte: name[offset] });
    }
    std::str::from_utf8(name).map_err(|_| StorePathError::Name { name: shown(name), why: "is not ASCII" })
}

/// A store path: always directly below [`STORE_DIR`], always with a valid name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StorePath {
    // `<hash>-<name>`, checked on construction.
    base: String,
}

impl StorePath {
    /// Reads an absolute path, exactly one component below [`STORE_DIR`].
    pub fn parse(path: &[u8]) -> Result<Self, StorePathError> {
        path.strip_prefix(STORE_DIR.as_bytes())
            .and_then(|rest| rest.strip_prefix(b"/"))
            .filter(|base| !base.contains(&b'/'))
            .ok_or_else(|| StorePathError::NotInStore { path: shown(path) })
            .and_then(Self::from_base_name)
    }

    /// Reads `<hash>-<name>`.
    pub fn from_base_name(base: &[u8]) -> Result<Self, StorePathError> {
        let wrong = || StorePathError::HashPart { path: shown(base) };
        let (hash, rest) = base.split_at_checked(HASH_CHARS).ok_or_else(wrong)?;
        let name = rest.strip_prefix(b"-").ok_or_else(wrong)?;
        if !hash.iter().all(|byte| base32::ALPHABET.contains(byte)) {
            return Err(wrong());
        }
        let name = check_name(name)?;
        let hash = std::str::from_utf8(hash).map_err(|_| wrong())?;
        Ok(StorePath { base: format!("{hash}-{name}") })
    }

    /// From the 20 bytes behind the hash part, and a name.
    pub fn from_digest(digest: &[u8; 20], name: &str) -> Result<Self, StorePathError> {
        let name = check_name(name.as_bytes())?;
        Ok(StorePath { base: format!("{}-{name}", base32::encode(digest)) })
    }

    /// `<hash>-<name>`, what stands behind the last slash.
    pub fn base_name(&self) -> &str {
        &self.base
    }

    /// The 32 characters of base-32 that references are found by.
    pub fn hash_part(&self) -> &str {
        &self.base[..HASH_CHARS]
    }

    /// The name behind the hash.
    pub fn name(&self) -> &str {
        &self.base[HASH_CHARS + 1..]
    }

    /// The name as people say it: that of a derivation without its `.drv`.
    pub fn short_name(&self) -> &str {
        self.derivation_name().unwrap_or_else(|| self.name())
    }

    /// Whether this is a derivation's path, by its `.drv` suffix.
    pub fn is_derivation(&self) -> bool {
        self.derivation_name().is_some()
    }

    /// The derivation's name: without `.drv`; `None` when this is no derivation's path.
    pub fn derivation_name(&self) -> Option<&str> {
        self.name().strip_suffix(".drv").filter(|name| !name.is_empty())
    }
}

impl FromStr for StorePath {
    type Err = StorePathError;

    fn from_str(path: &str) -> Result<Self, Self::Err> {
        Self::parse(path.as_bytes())
    }
}

impl fmt::Display for StorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{STORE_DIR}/{}", self.base)
    }
}

impl fmt::Debug for StorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
