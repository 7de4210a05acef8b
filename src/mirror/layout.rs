//! The names of a mirror's objects.
//!
//! Those that Nix looks for have Nix's names (Nix manual, "HTTP Binary Cache Store"); the others are ours.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::nix::{
    base32,
    hash::NarHash,
    signature::PublicKey,
    store_path::{HASH_CHARS, StorePath},
};

/// The SHA-256 of an object's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileHash(pub [u8; 32]);

impl FileHash {
    /// Of bytes in memory.
    pub fn of(bytes: &[u8]) -> Self {
        FileHash(Sha256::digest(bytes).into())
    }

    /// In lower-case base-16.
    pub fn hex(&self) -> String {
        data_encoding::HEXLOWER.encode(&self.0)
    }

    /// From lower-case base-16.
    pub fn from_hex(digits: &str) -> Option<Self> {
        Some(FileHash(data_encoding::HEXLOWER.decode(digits.as_bytes()).ok()?.try_into().ok()?))
    }
}

/// The 32 characters that a store path is found by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HashPart(String);

impl HashPart {
    /// Of a path.
    pub fn of(path: &StorePath) -> Self {
        HashPart(path.hash_part().to_owned())
    }

    /// The one that is no path's: what stands for a whole mirror.
    pub(super) fn nobody() -> Self {
        HashPart("0".repeat(HASH_CHARS))
    }

    /// One that is no path's, and follows from a name: what stands for who is at nothing in particular.
    pub(super) fn of_name(name: &str) -> Self {
        HashPart(base32::encode(&Sha256::digest(name)[..20]))
    }

    fn parse(text: &str) -> Option<Self> {
        let legal = text.len() == HASH_CHARS && text.bytes().all(|byte| base32::ALPHABET.contains(&byte));
        legal.then(|| HashPart(text.to_owned()))
    }
}

impl fmt::Display for HashPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who signed a statement, as a part of a name: the first 20 bytes of the SHA-256 of a public key, in base-32.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(String);

impl KeyId {
    /// Of a key. Names of keys can hold anything, and two keys can have one.
    pub fn of(key: &PublicKey) -> Self {
        KeyId(base32::encode(&Sha256::digest(key.bytes())[..20]))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An object of a mirror.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Object {
    /// `nix-cache-info`: which store the mirror is of.
    CacheInfo,
    /// `mirror.json`: what is admitted, and by whom.
    Policy,
    /// `mirror.json.sig`: signatures of that, one a line.
    PolicySignature,
    /// `index.html`: a page for people.
    Page,
    /// `<hash part>.narinfo`: a path that was admitted.
    NarInfo(HashPart),
    /// `<hash part>.ls`: the tree of its NAR.
    Listing(HashPart),
    /// `nar/<SHA-256 of the file>.nar.zst`.
    Nar(FileHash),
    /// `log/<derivation>`: what its builder said.
    Log(StorePath),
    /// `derivations/<base name>`: the text of a derivation that something was built by, or that one of those needs.
    Derivation(StorePath),
    /// `attestations/<hash part>/<key id>.jsonl`: why a path was admitted, in signed statements, one a line.
    Attestation(HashPart, KeyId),
    /// `attestations/<hash part>/<key id>.narinfo`: the narinfo of a path as one signer signs it, whether enough others do or not.
    Signature(HashPart, KeyId),
    /// `sources/sha256/<SHA-256 of the file>`: a source, or the NAR of one.
    Source(FileHash),
    /// `seeds/<hash part>.json`: a path that was taken as it is, and why, signed.
    Seed(HashPart),
    /// `refused/<hash part of the derivation>/<key id>.json`: why one was not admitted, signed.
    Refused(HashPart, KeyId),
    /// `readings/<hash part>/<key id>.json`: what a signer has read of it and not built, signed.
    Reading(HashPart, KeyId),
    /// `conflicts/<hash part>-<NAR hash>.json`: other bits for an admitted path, signed.
    Conflict(HashPart, NarHash),
    /// `conflicts/<hash part>-<NAR hash>.nar.zst`: those bits.
    OtherNar(HashPart, NarHash),
    /// `admitted/<hash part>.json`: that a path was admitted, and with which bits.
    Admitted(HashPart),
    /// `removed/<hash part>.json`: that a path was removed as it should be, signed.
    Removed(HashPart),
    /// `snapshots/<key id>.json`: what was there at a time, as a signer says.
    Snapshot(KeyId),
    /// `claims/<hash part of the derivation>/<n>`: who is at work on it.
    Claim(HashPart, u32),
}

impl Object {
    /// Its name.
    pub fn name(&self) -> String {
        self.to_string()
    }

    /// What it is, as HTTP says it.
    pub fn content_type(&self) -> &'static str {
        match self {
            Object::CacheInfo => "text/x-nix-cache-info",
            Object::NarInfo(_) | Object::Signature(..) => "text/x-nix-narinfo",
            Object::Nar(_) | Object::OtherNar(..) => "application/x-nix-nar",
            Object::Page => "text/html; charset=utf-8",
            Object::Log(_) | Object::PolicySignature => "text/plain; charset=utf-8",
            Object::Attestation(..) => "application/jsonl",
            Object::Source(_) | Object::Derivation(_) => "application/octet-stream",
            _ => "application/json",
        }
    }

    /// The object of a name; `None` for what is none of a mirror's. Every object has one name, and every name one object.
    pub fn parse(name: &str) -> Option<Self> {
        let object = Self::read(name)?;
        (object.name() == name).then_some(object)
    }

    fn read(name: &str) -> Option<Self> {
        match name {
            "nix-cache-info" => return Some(Object::CacheInfo),
            "mirror.json" => return Some(Object::Policy),
            "mirror.json.sig" => return Some(Object::PolicySignature),
            "index.html" => return Some(Object::Page),
            _ => {}
        }
        let Some((folder, rest)) = name.split_once('/') else {
            let (part, kind) = name.split_once('.')?;
            let part = HashPart::parse(part)?;
            return match kind {
                "narinfo" => Some(Object::NarInfo(part)),
                "ls" => Some(Object::Listing(part)),
                _ => None,
            };
        };
        match folder {
            "nar" => Some(Object::Nar(FileHash(base32_hash(rest.strip_suffix(".nar.zst")?)?))),
            "log" => Some(Object::Log(StorePath::from_base_name(rest.as_bytes()).ok()?)),
            "derivations" => Some(Object::Derivation(derivation(rest)?)),
            "attestations" => {
                let (part, key) = rest.split_once('/')?;
                let (part, (key, kind)) = (HashPart::parse(part)?, key.split_once('.')?);
                match kind {
                    "jsonl" => Some(Object::Attestation(part, key_id(key)?)),
                    "narinfo" => Some(Object::Signature(part, key_id(key)?)),
                    _ => None,
                }
            }
            "sources" => Some(Object::Source(FileHash::from_hex(rest.strip_prefix("sha256/")?)?)),
            "seeds" => Some(Object::Seed(HashPart::parse(rest.strip_suffix(".json")?)?)),
            "admitted" => Some(Object::Admitted(HashPart::parse(rest.strip_suffix(".json")?)?)),
            "removed" => Some(Object::Removed(HashPart::parse(rest.strip_suffix(".json")?)?)),
            "refused" => {
                let (part, key) = rest.split_once('/')?;
                Some(Object::Refused(HashPart::parse(part)?, key_id(key.strip_suffix(".json")?)?))
            }
            "readings" => {
                let (part, key) = rest.split_once('/')?;
                Some(Object::Reading(HashPart::parse(part)?, key_id(key.strip_suffix(".json")?)?))
            }
            "conflicts" => {
                let (part, rest) = rest.split_once('-')?;
                let (hash, kind) = rest.split_once('.')?;
                let (part, hash) = (HashPart::parse(part)?, NarHash(base32_hash(hash)?));
                match kind {
                    "json" => Some(Object::Conflict(part, hash)),
                    "nar.zst" => Some(Object::OtherNar(part, hash)),
                    _ => None,
                }
            }
            "snapshots" => Some(Object::Snapshot(key_id(rest.strip_suffix(".json")?)?)),
            "claims" => {
                let (part, number) = rest.split_once('/')?;
                Some(Object::Claim(HashPart::parse(part)?, number.parse().ok()?))
            }
            _ => None,
        }
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Object::CacheInfo => f.write_str("nix-cache-info"),
            Object::Policy => f.write_str("mirror.json"),
            Object::PolicySignature => f.write_str("mirror.json.sig"),
            Object::Page => f.write_str("index.html"),
            Object::NarInfo(part) => write!(f, "{part}.narinfo"),
            Object::Listing(part) => write!(f, "{part}.ls"),
            Object::Nar(file) => write!(f, "nar/{}.nar.zst", base32::encode(&file.0)),
            Object::Log(drv) => write!(f, "log/{}", drv.base_name()),
            Object::Derivation(drv) => write!(f, "derivations/{}", drv.base_name()),
            Object::Attestation(part, key) => write!(f, "attestations/{part}/{key}.jsonl"),
            Object::Signature(part, key) => write!(f, "attestations/{part}/{key}.narinfo"),
            Object::Source(hash) => write!(f, "sources/sha256/{}", hash.hex()),
            Object::Seed(part) => write!(f, "seeds/{part}.json"),
            Object::Refused(part, key) => write!(f, "refused/{part}/{key}.json"),
            Object::Reading(part, key) => write!(f, "readings/{part}/{key}.json"),
            Object::Conflict(part, hash) => write!(f, "conflicts/{part}-{}.json", hash.to_base32()),
            Object::OtherNar(part, hash) => write!(f, "conflicts/{part}-{}.nar.zst", hash.to_base32()),
            Object::Admitted(part) => write!(f, "admitted/{part}.json"),
            Object::Removed(part) => write!(f, "removed/{part}.json"),
            Object::Snapshot(key) => write!(f, "snapshots/{key}.json"),
            Object::Claim(part, number) => write!(f, "claims/{part}/{number}"),
        }
    }
}

fn derivation(name: &str) -> Option<StorePath> {
    StorePath::from_base_name(name.as_bytes()).ok().filter(StorePath::is_derivation)
}

fn base32_hash(digits: &str) -> Option<[u8; 32]> {
    base32::decode(digits.as_bytes(), 32)?.try_into().ok()
}

fn key_id(text: &str) -> Option<KeyId> {
    HashPart::parse(text).map(|HashPart(text)| KeyId(text))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn objects() -> Vec<Object> {
        let path = StorePath::from_base_name(b"00000000000000000000000000000000-a-1.0.drv").unwrap();
        let part = || HashPart::of(&path);
        let hash = FileHash([7; 32]);
        let key = || KeyId("1".repeat(32));
        vec![
            Object::CacheInfo,
            Object::Policy,
            Object::PolicySignature,
            Object::Page,
            Object::NarInfo(part()),
            Object::Listing(part()),
            Object::Nar(hash),
            Object::Log(path.clone()),
            Object::Derivation(path.clone()),
            Object::Attestation(part(), key()),
            Object::Signature(part(), key()),
            Object::Source(hash),
            Object::Seed(part()),
            Object::Refused(part(), key()),
            Object::Reading(part(), key()),
            Object::Conflict(part(), NarHash([7; 32])),
            Object::OtherNar(part(), NarHash([7; 32])),
            Object::Admitted(part()),
            Object::Removed(part()),
            Object::Snapshot(key()),
            Object::Claim(part(), 17),
        ]
    }

    #[test]
    fn every_object_is_found_by_its_name() {
        for object in objects() {
            assert_eq!(Object::parse(&object.name()), Some(object.clone()), "{object}");
        }
    }

    #[test]
    fn no_other_spelling_is_an_object() {
        let hex = FileHash([0xab; 32]).hex();
        let path = "00000000000000000000000000000000";
        for name in [
            format!("nar/{hex}.nar.zst"),
            format!("{path}e.narinfo"),
            format!("{path}.narinfo.ls"),
            format!("sources/sha256/{}", hex.to_uppercase()),
            format!("sources/sha1/{hex}"),
            format!("claims/{path}/01"),
            format!("claims/{path}/+1"),
            format!("claims/{path}/-1"),
            format!("log/{path}"),
            format!("log/../{path}-a"),
            format!("derivations/{path}-a"),
            "NIX-CACHE-INFO".to_owned(),
            String::new(),
            "..".to_owned(),
        ] {
            assert_eq!(Object::parse(&name), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn a_name_of_an_object_leads_nowhere_else(name in "[a-z0-9./%\\\\:-]{0,60}") {
            if let Some(object) = Object::parse(&name) {
                prop_assert!(object.name() == name && !name.contains(".."));
            }
        }
    }
}
