//! Secret keys, as `nix key generate-secret` makes them: `<name>:<base-64 of 64 bytes>`, the seed and the public key.

use std::{fmt, str::FromStr};

use data_encoding::BASE64;
use ed25519_dalek::{Signer as _, SigningKey};

use super::signature::PublicKey;

/// A key to sign with.
pub struct SecretKey {
    name: String,
    key: SigningKey,
}

/// Why a text is no secret key. What the text is stays where it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no secret key as `nix key generate-secret` makes them: {0}")]
pub struct SecretKeyError(&'static str);

impl SecretKey {
    /// The key's name, e.g. `cache.example.org-1`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A signature of `message`: `<name>:<base-64 of 64 bytes>`.
    pub fn sign(&self, message: &[u8]) -> String {
        format!("{}:{}", self.name, BASE64.encode(&self.key.sign(message).to_bytes()))
    }

    /// What others check its signatures with.
    pub fn public(&self) -> PublicKey {
        PublicKey::new(self.name.clone(), self.key.verifying_key())
    }
}

/// What `nix key generate-secret` would write of a key with this name, from 32 secret bytes. The name is for others to know the
/// key by, usually that of a host and a number.
pub fn spelled(name: &str, secret: &[u8; 32]) -> String {
    format!("{name}:{}", BASE64.encode(&SigningKey::from_bytes(secret).to_keypair_bytes()))
}

/// Whether a key may be called so when it is made: what lists of keys are separated by is no part of a name.
pub fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && !b":,;\"'".contains(&byte))
}

impl FromStr for SecretKey {
    type Err = SecretKeyError;

    fn from_str(text: &str) -> Result<Self, SecretKeyError> {
        let (name, base64) =
            text.trim_end().split_once(':').ok_or(SecretKeyError("it is spelled NAME:BASE64"))?;
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(SecretKeyError("its name must be there, without spaces"));
        }
        let bytes = BASE64.decode(base64.as_bytes()).ok().and_then(|bytes| <[u8; 64]>::try_from(bytes).ok());
        let bytes = bytes.ok_or(SecretKeyError("behind the colon must be 64 bytes in base-64"))?;
        let key = SigningKey::from_keypair_bytes(&bytes);
        let key = key.map_err(|_| SecretKeyError("its second half is not the public key of its first"))?;
        Ok(SecretKey { name: name.to_owned(), key })
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:(secret)", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text() -> String {
        spelled("k-1", &[7; 32])
    }

    #[test]
    fn what_it_signs_its_public_key_knows_and_no_other_message() {
        let secret: SecretKey = text().parse().unwrap();
        let (public, signature) = (secret.public(), secret.sign(b"message"));
        assert!(public.has_signed_message(b"message", &signature));
        assert!(!public.has_signed_message(b"messagE", &signature));
        assert!(!public.has_signed_message(b"message", &signature.replace("k-1:", "k-2:")));
        assert_eq!(format!("{public:?}").parse::<PublicKey>().unwrap(), public);
    }

    #[test]
    fn a_name_that_no_list_of_keys_could_hold_is_none() {
        for name in ["mirror-1", "cache.example.org-1", "a"] {
            assert!(is_name(name) && spelled(name, &[7; 32]).parse::<SecretKey>().is_ok(), "{name}");
        }
        for name in ["", "a b", "a:b", "a,b", "a\n", "\u{fc}"] {
            assert!(!is_name(name), "{name:?}");
        }
    }

    #[test]
    fn a_broken_key_is_refused_and_not_shown() {
        let text = text();
        let other = SigningKey::from_bytes(&[8; 32]).to_keypair_bytes();
        let mut halves = SigningKey::from_bytes(&[7; 32]).to_keypair_bytes();
        halves[32..].copy_from_slice(&other[32..]);
        let mixed = format!("k-1:{}", BASE64.encode(&halves));
        for wrong in [&text[4..], &text[3..], &text[..40], &mixed, "", "k 1:AAAA"] {
            let error = wrong.parse::<SecretKey>().unwrap_err().to_string();
            assert!(wrong.len() < 10 || !error.contains(&wrong[8..]), "{error}");
        }
        assert_eq!(format!("{:?}", text.parse::<SecretKey>().unwrap()), "k-1:(secret)");
    }
}
