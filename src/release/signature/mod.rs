//! Signatures of a document: who of the signers made them.

mod error;

use super::{openpgp, signers::Signers, statement::pre_authentication_encoding};

pub use error::{EXPLANATIONS, SignatureError};

/// Longest file of signatures, in bytes.
pub const MAX_LEN: u64 = 64 << 10;

/// Signatures by ed25519 keys in one file.
const MAX_LINES: usize = 64;

/// A document that is signed.
#[derive(Clone, Copy, Debug)]
pub struct Document<'a> {
    /// Its type, as in [`super::statement`].
    pub kind: &'a str,
    /// Its bytes.
    pub bytes: &'a [u8],
}

/// A good signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Whose.
    pub contributor: String,
    /// The ed25519 key's name, or the OpenPGP key's fingerprint.
    pub key: String,
    /// When it says it was made, in seconds since 1970; ed25519 keys do not say.
    pub made: Option<u64>,
}

/// What each signature in a file is worth, at the time `now` (seconds since 1970).
pub fn judge(
    signers: &Signers,
    document: Document<'_>,
    file: &[u8],
    now: u64,
) -> Vec<Result<Signature, SignatureError>> {
    if file.len() as u64 > MAX_LEN {
        return vec![Err(SignatureError::Malformed("the file has more than 64 KiB".to_owned()))];
    }
    let is_openpgp = file.first().is_some_and(|byte| byte & 0x80 != 0) || file.starts_with(b"-----BEGIN ");
    if is_openpgp { by_openpgp(signers, document, file, now) } else { by_nix(signers, document, file) }
}

fn by_openpgp(
    signers: &Signers,
    document: Document<'_>,
    file: &[u8],
    now: u64,
) -> Vec<Result<Signature, SignatureError>> {
    let signatures = match openpgp::signatures(file) {
        Ok(signatures) => signatures,
        Err(error) => return vec![Err(error)],
    };
    let owned =
        signers.contributors.iter().flat_map(|owner| owner.openpgp.iter().map(move |key| (owner, key)));
    let (owners, certificates): (Vec<_>, Vec<_>) = owned.unzip();
    let judge = |signature| {
        let (owner, signed) = openpgp::verify(&certificates, signature, document.bytes, now)?;
        let contributor = owners.get(owner).map(|owner| owner.name.clone()).unwrap_or_default();
        Ok(Signature { contributor, key: signed.key, made: Some(signed.made) })
    };
    signatures.iter().map(judge).collect()
}

fn by_nix(signers: &Signers, document: Document<'_>, file: &[u8]) -> Vec<Result<Signature, SignatureError>> {
    let malformed = |why: &str| SignatureError::Malformed(why.to_owned());
    let Ok(text) = str::from_utf8(file) else { return vec![Err(malformed("it is no text"))] };
    let lines: Vec<&str> = text.lines().collect();
    if lines.is_empty() || lines.len() > MAX_LINES {
        return vec![Err(malformed("there is none in it, or more than 64"))];
    }
    let message = pre_authentication_encoding(document.kind, document.bytes);
    let judge = |line: &&str| {
        let named = line.split_once(':').filter(|(name, _)| !name.is_empty());
        let (name, base64) = named.ok_or_else(|| malformed("it is not spelled NAME:BASE64"))?;
        if data_encoding::BASE64.decode(base64.as_bytes()).map_or(0, |bytes| bytes.len()) != 64 {
            return Err(malformed("behind the colon must be 64 bytes in base-64"));
        }
        let (owner, key) = signers
            .nix_keys()
            .find(|(_, key)| key.name() == name)
            .ok_or_else(|| SignatureError::Unknown { key: name.to_owned() })?;
        if !key.has_signed_message(&message, line) {
            return Err(SignatureError::Bad { key: name.to_owned() });
        }
        Ok(Signature { contributor: owner.to_owned(), key: name.to_owned(), made: None })
    };
    lines.iter().map(judge).collect()
}
