//! Hashes as Nix spells them.
//!
//! Nix manual, `nix hash` and "Hash" in the store chapter: base-16, base-32 (see [`base32`]) and base-64,
//! each bare or behind `<algorithm>:`, and SRI (`<algorithm>-<base-64>`). The length tells which base it is.

use std::{fmt, io};

use sha2::Digest as _;

use super::{base32, text::shown};

/// A hash algorithm Nix knows. BLAKE3 is experimental in Nix and not among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// MD5: broken; still legal in old fixed-output derivations.
    Md5,
    /// SHA-1: broken; still legal in old fixed-output derivations.
    Sha1,
    /// SHA-256: what Nix itself uses everywhere.
    Sha256,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    /// Every algorithm, the weakest first.
    pub const ALL: [Algorithm; 4] = [Self::Md5, Self::Sha1, Self::Sha256, Self::Sha512];

    /// As Nix names it: `md5`, `sha1`, `sha256`, `sha512`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// Length of a hash in bytes.
    pub const fn size(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    /// Whether collisions can be made for it, so that it names a file only to those who trust its maker.
    pub const fn is_broken(self) -> bool {
        matches!(self, Self::Md5 | Self::Sha1)
    }

    /// Reads a name, in lower case as Nix demands.
    pub fn parse(name: &[u8]) -> Result<Self, HashError> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name().as_bytes() == name)
            .ok_or_else(|| HashError::UnknownAlgorithm { name: shown(name) })
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a text is no hash. The texts are escaped and shortened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// The algorithm's name is none of [`Algorithm::ALL`].
    #[error("unknown hash algorithm {name}: expected md5, sha1, sha256 or sha512")]
    UnknownAlgorithm {
        /// The name found.
        name: String,
    },
    /// Neither the text nor the caller says which algorithm it is.
    #[error("hash {text} names no algorithm: write `sha256:…` or `sha256-…`")]
    NoAlgorithm {
        /// The whole text.
        text: String,
    },
    /// The text names another algorithm than the one asked for.
    #[error("hash {text} should be of {expected}")]
    OtherAlgorithm {
        /// What the caller asked for.
        expected: Algorithm,
        /// The whole text.
        text: String,
    },
    /// The length fits no base.
    #[error("hash {text} has a length that fits no spelling of {algorithm}")]
    Length {
        /// The algorithm.
        algorithm: Algorithm,
        /// The whole text.
        text: String,
    },
    /// A character outside the alphabet, or bits set that mean nothing.
    #[error("hash {text} is not valid {base}")]
    Digits {
        /// `base-16`, `base-32` or `base-64`, as the length says.
        base: &'static str,
        /// The whole text.
        text: String,
    },
}

/// A hash and its algorithm; the length always fits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash {
    algorithm: Algorithm,
    bytes: Vec<u8>,
}

impl Hash {
    /// From raw bytes; `None` when the length does not fit the algorithm.
    pub fn new(algorithm: Algorithm, bytes: &[u8]) -> Option<Self> {
        (bytes.len() == algorithm.size()).then(|| Hash { algorithm, bytes: bytes.to_vec() })
    }

    /// The hash of `data` in memory; see [`Hasher`] for streams.
    pub fn of(algorithm: Algorithm, data: &[u8]) -> Self {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(data);
        hasher.finish()
    }

    /// Reads every spelling Nix accepts. `given` is the algorithm of the context, needed for a bare hash;
    /// a text that names another one is refused.
    ///
    /// Base-16 may be in either case as in Nix; base-64 must be padded and canonical.
    pub fn parse(text: &[u8], given: Option<Algorithm>) -> Result<Self, HashError> {
        let split = text.iter().position(|byte| matches!(byte, b':' | b'-'));
        let (algorithm, digits, sri) = match split {
            Some(at) => (Algorithm::parse(&text[..at])?, &text[at + 1..], text[at] == b'-'),
            None => {
                let algorithm = given.ok_or_else(|| HashError::NoAlgorithm { text: shown(text) })?;
                (algorithm, text, false)
            }
        };
        if let Some(expected) = given.filter(|expected| *expected != algorithm) {
            return Err(HashError::OtherAlgorithm { expected, text: shown(text) });
        }
        let len = algorithm.size();
        let (base, bytes) = if digits.len() == data_encoding::BASE64.encode_len(len) {
            ("base-64", data_encoding::BASE64.decode(digits).ok())
        } else if digits.len() == 2 * len && !sri {
            ("base-16", data_encoding::HEXLOWER_PERMISSIVE.decode(digits).ok())
        } else if digits.len() == base32::encoded_len(len) && !sri {
            ("base-32", base32::decode(digits, len))
        } else {
            return Err(HashError::Length { algorithm, text: shown(text) });
        };
        bytes
            .and_then(|bytes| Hash::new(algorithm, &bytes))
            .ok_or_else(|| HashError::Digits { base, text: shown(text) })
    }

    /// Which algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The raw bytes, [`Algorithm::len`] of them.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Bare lower-case base-16, as in derivations.
    pub fn to_base16(&self) -> String {
        data_encoding::HEXLOWER.encode(&self.bytes)
    }

    /// Bare base-32.
    pub fn to_base32(&self) -> String {
        base32::encode(&self.bytes)
    }

    /// The SRI form, `sha256-…=`.
    pub fn to_sri(&self) -> String {
        format!("{}-{}", self.algorithm, data_encoding::BASE64.encode(&self.bytes))
    }
}

impl fmt::Display for Hash {
    /// The SRI form, as the `nix` program prints it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_sri())
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Hashes a stream: write to it, then [`finish`](Hasher::finish). Writing never fails.
#[derive(Clone)]
pub struct Hasher(State);

// The unused size of the smaller states does not matter: there is one of these per stream.
#[derive(Clone)]
enum State {
    Md5(md5::Md5),
    Sha1(sha1::Sha1),
    Sha256(sha2::Sha256),
    Sha512(sha2::Sha512),
}

impl Hasher {
    /// A hasher that has seen nothing yet.
    pub fn new(algorithm: Algorithm) -> Self {
        Hasher(match algorithm {
            Algorithm::Md5 => State::Md5(md5::Md5::new()),
            Algorithm::Sha1 => State::Sha1(sha1::Sha1::new()),
            Algorithm::Sha256 => State::Sha256(sha2::Sha256::new()),
            Algorithm::Sha512 => State::Sha512(sha2::Sha512::new()),
        })
    }

    /// Adds `data`.
    pub fn update(&mut self, data: &[u8]) {
        match &mut self.0 {
            State::Md5(state) => state.update(data),
            State::Sha1(state) => state.update(data),
            State::Sha256(state) => state.update(data),
            State::Sha512(state) => state.update(data),
        }
    }

    /// The hash of everything written.
    pub fn finish(self) -> Hash {
        let (algorithm, bytes) = match self.0 {
            State::Md5(state) => (Algorithm::Md5, state.finalize().to_vec()),
            State::Sha1(state) => (Algorithm::Sha1, state.finalize().to_vec()),
            State::Sha256(state) => (Algorithm::Sha256, state.finalize().to_vec()),
            State::Sha512(state) => (Algorithm::Sha512, state.finalize().to_vec()),
        };
        Hash { algorithm, bytes }
    }
}

impl io::Write for Hasher {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.update(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A SHA-256 over a NAR: what makes two store objects equal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NarHash(pub [u8; 32]);

impl NarHash {
    /// The hash of a whole NAR in memory; see [`super::nar::hash`] for streams.
    pub fn of(nar: &[u8]) -> Self {
        NarHash(sha2::Sha256::digest(nar).into())
    }

    /// Reads any spelling of a SHA-256, bare or not.
    pub fn parse(text: &[u8]) -> Result<Self, HashError> {
        let hash = Hash::parse(text, Some(Algorithm::Sha256))?;
        let bytes = <[u8; 32]>::try_from(hash.bytes())
            .map_err(|_| HashError::Length { algorithm: Algorithm::Sha256, text: shown(text) })?;
        Ok(NarHash(bytes))
    }

    /// `sha256:` and base-32, as in narinfo files.
    pub fn to_nix(self) -> String {
        format!("sha256:{}", base32::encode(&self.0))
    }

    /// Base-32 alone; file names in our store.
    pub fn to_base32(self) -> String {
        base32::encode(&self.0)
    }
}

impl fmt::Display for NarHash {
    /// The SRI form, `sha256-…=`, as the `nix` program prints it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256-{}", data_encoding::BASE64.encode(&self.0))
    }
}

impl fmt::Debug for NarHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
