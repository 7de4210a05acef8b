//! The `.narinfo` files of a binary cache: what a cache says about one store path.
//!
//! Nix manual, "Binary cache store"; there is no other specification than Nix's own reader, which takes the last of
//! two equal keys, so that one document can mean two things to two programs. Here every key may come once.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use super::{
    hash::{Hash, HashError, NarHash},
    store_path::{STORE_DIR, StorePath, StorePathError},
    text::shown,
};

/// Longest text read. A path with ten thousand references needs well under a megabyte.
pub const MAX_LEN: usize = 4 << 20;

/// Most `Sig` lines read; each will cost a check.
pub const MAX_SIGNATURES: usize = 256;

/// How the NAR is compressed behind its URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Compression {
    /// Not at all.
    None,
    /// xz, what Nix uses when nothing else is said.
    Xz,
    /// bzip2, what a missing line means.
    Bzip2,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
    /// lzip.
    Lzip,
    /// LZ4.
    Lz4,
    /// Brotli.
    Brotli,
}

impl Compression {
    const NAMES: [(Compression, &'static str); 8] = [
        (Compression::None, "none"),
        (Compression::Xz, "xz"),
        (Compression::Bzip2, "bzip2"),
        (Compression::Gzip, "gzip"),
        (Compression::Zstd, "zstd"),
        (Compression::Lzip, "lzip"),
        (Compression::Lz4, "lz4"),
        (Compression::Brotli, "br"),
    ];

    /// As narinfo files name it.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(value, _)| *value == self).map_or("", |(_, name)| name)
    }
}

/// Why a text is no narinfo, and in which line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("narinfo, line {line}: {what}")]
pub struct NarInfoError {
    /// The line, the first is 1; one beyond the last for what is missing.
    pub line: usize,
    /// What is wrong there.
    pub what: NarInfoErrorKind,
}

/// What is wrong with a narinfo. Texts are escaped and shortened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NarInfoErrorKind {
    /// More than [`MAX_LEN`] bytes.
    #[error("the text is {len} bytes long, more than the {MAX_LEN} that are read")]
    TooLong {
        /// Its length.
        len: usize,
    },
    /// More than [`MAX_SIGNATURES`].
    #[error("more than {MAX_SIGNATURES} signatures")]
    TooManySignatures,
    /// Not `Key: value`.
    #[error("{text} is not of the form `Key: value`")]
    Line {
        /// The line.
        text: String,
    },
    /// Not printable ASCII.
    #[error("the line has byte {byte:#04x}, which is not printable ASCII")]
    Character {
        /// The byte.
        byte: u8,
    },
    /// The last line does not end.
    #[error("the last line does not end with a newline: the file is truncated")]
    Truncated,
    /// The same key twice, or the same signature.
    #[error("duplicate {key}")]
    Duplicate {
        /// The key.
        key: String,
    },
    /// A key without which nothing can be done.
    #[error("`{key}` is missing")]
    Missing {
        /// The key.
        key: &'static str,
    },
    /// A value of the wrong form.
    #[error("`{key}` is {value}: {why}")]
    Value {
        /// The key.
        key: &'static str,
        /// The value.
        value: String,
        /// What it should be.
        why: &'static str,
    },
    /// A store path is invalid.
    #[error("{0}")]
    StorePath(#[from] StorePathError),
    /// A hash is invalid.
    #[error("{0}")]
    Hash(#[from] HashError),
}

use NarInfoErrorKind as Kind;

/// What a binary cache says about one store path. Nothing of it is to be believed before a signature was checked, and
/// a signature covers only [`fingerprint`](Self::fingerprint): never the URL, the compression, the file's hash and size,
/// the deriver or the content address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NarInfo {
    /// The path.
    pub store_path: StorePath,
    /// Where the NAR is, relative to the cache: no scheme, no way up.
    pub url: String,
    /// How it is compressed there.
    pub compression: Compression,
    /// The hash of the compressed file.
    pub file_hash: Option<Hash>,
    /// The size of the compressed file in bytes.
    pub file_size: Option<u64>,
    /// The hash of the NAR.
    pub nar_hash: NarHash,
    /// The size of the NAR in bytes, never zero.
    pub nar_size: u64,
    /// The paths it refers to, perhaps itself among them.
    pub references: BTreeSet<StorePath>,
    /// The derivation it was built from, as the cache says.
    pub deriver: Option<StorePath>,
    /// Signatures as they stand, `<key name>:<base-64>`, unchecked, in order; a malformed one among them is nobody's veto.
    pub signatures: Vec<String>,
    /// The content address, as the cache says.
    pub content_address: Option<String>,
    /// Keys this program does not know.
    pub other: BTreeMap<String, String>,
}

impl NarInfo {
    /// Reads a narinfo: keys in any order, each once (`Sig` as often as wanted).
    pub fn parse(text: &[u8]) -> Result<Self, NarInfoError> {
        if text.len() > MAX_LEN {
            return Err(NarInfoError { line: 1, what: Kind::TooLong { len: text.len() } });
        }
        let mut fields = Fields::read(text)?;
        let parsed = NarInfo {
            store_path: fields.need("StorePath", |value| Ok(StorePath::parse(value.as_bytes())?))?,
            url: fields.need("URL", url)?,
            compression: fields.take("Compression", compression)?.unwrap_or(Compression::Bzip2),
            file_hash: fields.take("FileHash", |value| Ok(Hash::parse(value.as_bytes(), None)?))?,
            file_size: fields.take("FileSize", |value| size("FileSize", value))?,
            nar_hash: fields.need("NarHash", nar_hash)?,
            nar_size: fields.need("NarSize", nar_size)?,
            references: fields.take("References", references)?.unwrap_or_default(),
            deriver: fields.take("Deriver", deriver)?.flatten(),
            content_address: fields
                .take("CA", |value| Ok(value.to_owned()))?
                .filter(|value| !value.is_empty()),
            signatures: fields.signatures,
            other: fields
                .by_key
                .into_iter()
                .map(|(key, (_, value))| (key.to_owned(), value.to_owned()))
                .collect(),
        };
        Ok(parsed)
    }

    /// What a signature is over: `1;<path>;<NAR hash>;<NAR size>;<references>`.
    pub fn fingerprint(&self) -> String {
        let references: Vec<String> = self.references.iter().map(StorePath::to_string).collect();
        let (path, hash, size) = (&self.store_path, self.nar_hash.to_nix(), self.nar_size);
        format!("1;{path};{hash};{size};{}", references.join(","))
    }
}

impl fmt::Display for NarInfo {
    /// The canonical text, as Nix writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "StorePath: {}", self.store_path)?;
        writeln!(f, "URL: {}", self.url)?;
        writeln!(f, "Compression: {}", self.compression.name())?;
        if let Some(hash) = &self.file_hash {
            writeln!(f, "FileHash: {}:{}", hash.algorithm(), hash.to_base32())?;
        }
        if let Some(size) = self.file_size {
            writeln!(f, "FileSize: {size}")?;
        }
        writeln!(f, "NarHash: {}", self.nar_hash.to_nix())?;
        writeln!(f, "NarSize: {}", self.nar_size)?;
        let references: Vec<&str> = self.references.iter().map(StorePath::base_name).collect();
        writeln!(f, "References: {}", references.join(" "))?;
        if let Some(deriver) = &self.deriver {
            writeln!(f, "Deriver: {}", deriver.base_name())?;
        }
        for signature in &self.signatures {
            writeln!(f, "Sig: {signature}")?;
        }
        if let Some(address) = &self.content_address {
            writeln!(f, "CA: {address}")?;
        }
        for (key, value) in &self.other {
            writeln!(f, "{key}: {value}")?;
        }
        Ok(())
    }
}

/// The lines by key, with their numbers.
struct Fields<'a> {
    by_key: BTreeMap<&'a str, (usize, &'a str)>,
    signatures: Vec<String>,
    lines: usize,
}

impl<'a> Fields<'a> {
    fn read(text: &'a [u8]) -> Result<Self, NarInfoError> {
        let mut fields = Fields { by_key: BTreeMap::new(), signatures: Vec::new(), lines: 0 };
        let mut seen = BTreeSet::new();
        for bytes in text.split_inclusive(|byte| *byte == b'\n') {
            fields.lines += 1;
            let fail = |what| Err(NarInfoError { line: fields.lines, what });
            let Some(bytes) = bytes.strip_suffix(b"\n") else { return fail(Kind::Truncated) };
            if let Some(byte) = bytes.iter().find(|byte| !(0x20..0x7f).contains(*byte)) {
                return fail(Kind::Character { byte: *byte });
            }
            let wrong = || Kind::Line { text: shown(bytes) };
            let line = std::str::from_utf8(bytes).ok().and_then(|line| line.split_once(": "));
            let Some((key, value)) = line else { return fail(wrong()) };
            if key.is_empty() || key.contains([' ', ':']) {
                return fail(wrong());
            }
            if key == "Sig" {
                if !seen.insert(value) {
                    return fail(Kind::Duplicate { key: "signature".to_owned() });
                }
                if fields.signatures.len() == MAX_SIGNATURES {
                    return fail(Kind::TooManySignatures);
                }
                fields.signatures.push(value.to_owned());
            } else if fields.by_key.insert(key, (fields.lines, value)).is_some() {
                return fail(Kind::Duplicate { key: shown(key.as_bytes()) });
            }
        }
        Ok(fields)
    }

    fn take<T>(
        &mut self,
        key: &str,
        parse: impl FnOnce(&str) -> Result<T, Kind>,
    ) -> Result<Option<T>, NarInfoError> {
        let Some((line, value)) = self.by_key.remove(key) else { return Ok(None) };
        parse(value).map(Some).map_err(|what| NarInfoError { line, what })
    }

    fn need<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, Kind>,
    ) -> Result<T, NarInfoError> {
        let missing = NarInfoError { line: self.lines + 1, what: Kind::Missing { key } };
        self.take(key, parse)?.ok_or(missing)
    }
}

fn wrong(key: &'static str, value: &str, why: &'static str) -> Kind {
    Kind::Value { key, value: shown(value.as_bytes()), why }
}

/// Only what stays below the cache: a mirror must not send its readers elsewhere.
fn url(value: &str) -> Result<String, Kind> {
    let path = value.split('?').next().unwrap_or_default();
    let below = path.split('/').all(|part| !matches!(part, "" | "." | ".."));
    // An encoded dot or slash would be the same thing for the server.
    if below && !path.contains([':', '\\', '%', '#', ' ']) && !value.contains(' ') {
        return Ok(value.to_owned());
    }
    Err(wrong("URL", value, "it must be a plain path below the cache"))
}

fn compression(value: &str) -> Result<Compression, Kind> {
    let known = Compression::NAMES.iter().find(|(_, name)| *name == value);
    known.map(|(value, _)| *value).ok_or_else(|| wrong("Compression", value, "no such method is known"))
}

fn size(key: &'static str, value: &str) -> Result<u64, Kind> {
    let digits = value.bytes().all(|byte| byte.is_ascii_digit()) && (value == "0" || !value.starts_with('0'));
    let number = value.parse().ok().filter(|_| digits);
    number.ok_or_else(|| wrong(key, value, "it must be a number of bytes"))
}

fn nar_size(value: &str) -> Result<u64, Kind> {
    match size("NarSize", value)? {
        0 => Err(wrong("NarSize", value, "no NAR is empty")),
        size => Ok(size),
    }
}

fn nar_hash(value: &str) -> Result<NarHash, Kind> {
    if !value.contains([':', '-']) {
        return Err(wrong("NarHash", value, "it must name its algorithm, `sha256:…`"));
    }
    Ok(NarHash::parse(value.as_bytes())?)
}

fn references(value: &str) -> Result<BTreeSet<StorePath>, Kind> {
    let mut found = BTreeSet::new();
    for name in value.split(' ').filter(|_| !value.is_empty()) {
        let path = StorePath::from_base_name(name.as_bytes())?;
        if !found.insert(path) {
            return Err(Kind::Duplicate { key: format!("reference {STORE_DIR}/{name}") });
        }
    }
    Ok(found)
}

fn deriver(value: &str) -> Result<Option<StorePath>, Kind> {
    match value {
        // What Nix once wrote for none.
        "" | "unknown-deriver" => Ok(None),
        name => Ok(Some(StorePath::from_base_name(name.as_bytes())?)),
    }
}
