//! Signatures of binary caches: Ed25519 over a narinfo's fingerprint, as `nix key` and `nix store sign` make them.
//!
//! Nix manual, "Binary cache", and `nix.conf`, `trusted-public-keys`: a key is `<name>:<base-64 of 32 bytes>`, a signature
//! `<name>:<base-64 of 64 bytes>`; the name says which key to check with and is no part of what is signed.

use std::{fmt, str::FromStr};

use data_encoding::BASE64;
use ed25519_dalek::{Signature, VerifyingKey};

use super::{narinfo::NarInfo, text::shown};

/// A key whose signatures are believed.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    name: String,
    key: VerifyingKey,
}

/// Why a text is no public key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text} is no public key: {why}")]
pub struct PublicKeyError {
    /// The text, escaped.
    pub text: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl PublicKey {
    pub(super) fn new(name: String, key: VerifyingKey) -> Self {
        PublicKey { name, key }
    }

    /// The key itself.
    pub fn bytes(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }

    /// The key's name, e.g. `cache.example.org-1`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether `signature`, as a narinfo states it, is this key's over `info`. Weak keys and malleable signatures are
    /// refused.
    pub fn has_signed(&self, info: &NarInfo, signature: &str) -> bool {
        self.has_signed_message(info.fingerprint().as_bytes(), signature)
    }

    /// Whether `signature`, spelled `<name>:<base-64>`, is this key's over `message`. Weak keys and malleable signatures are
    /// refused.
    pub fn has_signed_message(&self, message: &[u8], signature: &str) -> bool {
        let Some((name, base64)) = signature.split_once(':') else { return false };
        let bytes = BASE64.decode(base64.as_bytes()).ok().and_then(|bytes| <[u8; 64]>::try_from(bytes).ok());
        bytes
            .filter(|_| name == self.name)
            .is_some_and(|bytes| self.key.verify_strict(message, &Signature::from_bytes(&bytes)).is_ok())
    }
}

/// The first of `keys` that signed `info`.
pub fn signer<'a>(keys: &'a [PublicKey], info: &NarInfo) -> Option<&'a PublicKey> {
    keys.iter().find(|key| info.signatures.iter().any(|signature| key.has_signed(info, signature)))
}

impl FromStr for PublicKey {
    type Err = PublicKeyError;

    fn from_str(text: &str) -> Result<Self, PublicKeyError> {
        let wrong = |why| PublicKeyError { text: shown(text.as_bytes()), why };
        let (name, base64) = text.split_once(':').ok_or(wrong("it is spelled NAME:BASE64"))?;
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(wrong("its name must be there, without spaces"));
        }
        let bytes = BASE64.decode(base64.as_bytes()).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        let bytes = bytes.ok_or(wrong("behind the colon must be 32 bytes in base-64"))?;
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_| wrong("it is no point of the curve"))?;
        if key.is_weak() {
            return Err(wrong("it is a weak key: anything has its signature"));
        }
        Ok(PublicKey { name: name.to_owned(), key })
    }
}

/// As nix.conf spells it: `NAME:BASE64`.
impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, BASE64.encode(self.bytes()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use ed25519_dalek::{Signer as _, SigningKey};

    use super::*;
    use crate::nix::{hash::NarHash, narinfo::Compression, store_path::StorePath};

    fn path(name: &str) -> StorePath {
        StorePath::from_base_name(format!("{}-{name}", "0".repeat(32)).as_bytes()).unwrap()
    }

    fn info() -> NarInfo {
        NarInfo {
            store_path: path("a"),
            url: "nar/a.nar".to_owned(),
            compression: Compression::None,
            file_hash: None,
            file_size: None,
            nar_hash: NarHash([1; 32]),
            nar_size: 120,
            references: BTreeSet::from([path("b")]),
            deriver: None,
            signatures: Vec::new(),
            content_address: None,
            other: Default::default(),
        }
    }

    fn pair(name: &str, seed: u8) -> (SigningKey, PublicKey) {
        let secret = SigningKey::from_bytes(&[seed; 32]);
        let public = format!("{name}:{}", BASE64.encode(secret.verifying_key().as_bytes()));
        (secret, public.parse().unwrap())
    }

    fn sign(name: &str, secret: &SigningKey, info: &NarInfo) -> String {
        format!("{name}:{}", BASE64.encode(&secret.sign(info.fingerprint().as_bytes()).to_bytes()))
    }

    #[test]
    fn a_signature_covers_path_hash_size_and_references() {
        let (secret, key) = pair("k-1", 1);
        let mut signed = info();
        signed.signatures = vec!["k-1:AAAA".to_owned(), sign("k-1", &secret, &signed)];
        assert_eq!(signer(std::slice::from_ref(&key), &signed), Some(&key));
        let others = [
            NarInfo { store_path: path("c"), ..signed.clone() },
            NarInfo { nar_hash: NarHash([2; 32]), ..signed.clone() },
            NarInfo { nar_size: 121, ..signed.clone() },
            NarInfo { references: BTreeSet::new(), ..signed.clone() },
        ];
        for other in others {
            assert_eq!(signer(std::slice::from_ref(&key), &other), None, "{other:?}");
        }
    }

    #[test]
    fn only_the_named_key_counts() {
        let ((secret, key), (other, _)) = (pair("k-1", 1), pair("k-1", 2));
        let mut signed = info();
        signed.signatures = vec![sign("k-1", &other, &signed), sign("k-2", &secret, &signed)];
        assert_eq!(signer(&[key], &signed), None);
        assert_eq!(signer(&[], &signed), None);
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let zero = BASE64.encode(&[0; 32]);
        for text in ["", "name", "name:", ":AAAA", "name:AAAA", "a b:AAAA", &format!("name:{zero}")] {
            assert!(text.parse::<PublicKey>().is_err(), "{text}");
        }
    }
}
