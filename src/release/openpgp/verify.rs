//! Detached signatures.

use pgp::{
    composed::{Deserializable as _, DetachedSignature},
    packet::{SignatureType, SubpacketData},
};

use super::{
    Certificate,
    certificate::{Bound, Key, Material},
    is_strong,
};
use crate::release::signature::SignatureError;

/// A signature that is worth something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The fingerprint of the key that made it, in lower-case hexadecimal digits.
    pub key: String,
    /// When it says it was made, in seconds since 1970.
    pub made: u64,
}

/// Signatures in one file.
const MAX_SIGNATURES: usize = 64;

/// How much later than our own a signer's clock may be, in seconds.
const MAX_SKEW: u64 = 600;

/// The signatures in a file, armoured or not.
pub fn signatures(bytes: &[u8]) -> Result<Vec<DetachedSignature>, SignatureError> {
    let malformed = |error: pgp::errors::Error| SignatureError::Malformed(error.to_string());
    let parsed = if bytes.first().is_some_and(|byte| byte & 0x80 != 0) {
        DetachedSignature::from_bytes_many(bytes).map_err(malformed)?
    } else {
        DetachedSignature::from_armor_many_buf(bytes).map_err(malformed)?.0
    };
    let signatures = parsed.take(MAX_SIGNATURES + 1).collect::<Result<Vec<_>, _>>().map_err(malformed)?;
    match signatures.len() {
        0 => Err(SignatureError::Malformed("there is none in it".to_owned())),
        count if count > MAX_SIGNATURES => Err(SignatureError::Malformed("more than 64".to_owned())),
        _ => Ok(signatures),
    }
}

/// Whether one of `certificates` made `signature` over `data`, and which of them (its index) when.
pub fn verify(
    certificates: &[&Certificate],
    signature: &DetachedSignature,
    data: &[u8],
    now: u64,
) -> Result<(usize, Signed), SignatureError> {
    let malformed = |why: &str| SignatureError::Malformed(why.to_owned());
    let config = signature.signature.config().ok_or_else(|| malformed("a version that is not known"))?;
    if config.typ != SignatureType::Binary {
        return Err(malformed("it is not over the bytes of a file"));
    }
    if !is_strong(config.hash_alg) {
        return Err(SignatureError::Weak(config.hash_alg.to_string()));
    }
    let unknown =
        |data: &SubpacketData| matches!(data, SubpacketData::Experimental(..) | SubpacketData::Other(..));
    if config.hashed_subpackets().any(|packet| packet.is_critical && unknown(&packet.data)) {
        return Err(malformed("it has a critical part that is not known"));
    }
    let (ids, fingerprints) = (config.issuer_key_id(), config.issuer_fingerprint());
    let named = |key: &Key| {
        let id = key.id();
        fingerprints.contains(&&key.fingerprint()) || (fingerprints.is_empty() && ids.contains(&&id))
    };
    let keys = certificates.iter().enumerate().flat_map(|(owner, certificate)| {
        certificate.keys.iter().filter(|key| named(key)).map(move |key| (owner, key))
    });
    let keys: Vec<(usize, &Key)> = keys.collect();
    let Some((_, first)) = keys.first() else {
        let key =
            fingerprints.first().map(ToString::to_string).or_else(|| ids.first().map(ToString::to_string));
        return Err(SignatureError::Unknown {
            key: key.unwrap_or_else(|| "that it does not name".to_owned()),
        });
    };
    let made_it = |key: &Key| match &key.material {
        Material::Primary(key) => signature.verify(key, data).is_ok(),
        Material::Subkey(key) => signature.verify(key, data).is_ok(),
    };
    let Some((owner, key)) = keys.iter().find(|(_, key)| made_it(key)) else {
        return Err(SignatureError::Bad { key: first.fingerprint().to_string() });
    };
    let made =
        u64::from(config.created().ok_or_else(|| malformed("it does not say when it was made"))?.as_secs());
    let lifetime = signature.signature.signature_expiration_time();
    let lifetime = lifetime.map(|lifetime| std::time::Duration::from(lifetime).as_secs());
    if let Some(expired) = lifetime.filter(|seconds| *seconds > 0).map(|seconds| made + seconds)
        && expired <= now
    {
        return Err(SignatureError::Expired { what: "the signature".to_owned(), expired, made });
    }
    good_at(key, made, now)?;
    Ok((*owner, Signed { key: key.fingerprint().to_string(), made }))
}

/// Whether `key` was good when a signature says it was made.
fn good_at(key: &Key, made: u64, now: u64) -> Result<(), SignatureError> {
    let name = || key.fingerprint().to_string();
    if made > now + MAX_SKEW {
        return Err(SignatureError::Time { made, why: "which is later than now" });
    }
    if made < key.created {
        return Err(SignatureError::Time { made, why: "which is before its key was made" });
    }
    if let Some(revocation) = key.revocations.iter().find(|end| end.from.is_none_or(|from| from <= made)) {
        return Err(SignatureError::Revoked { key: name(), from: revocation.from });
    }
    let unbound = |why| SignatureError::NotForSigning { key: name(), why };
    match key.bound {
        Bound::Yes => {}
        Bound::Weakly => {
            return Err(SignatureError::Weak(format!("a hash in the certificate of the key {}", name())));
        }
        Bound::No => return Err(unbound("is not bound to its certificate by anything that verifies")),
    }
    if let Some(expired) = key.expires.filter(|expired| *expired <= made) {
        return Err(SignatureError::Expired { what: format!("the key {}", name()), expired, made });
    }
    if !key.may_sign {
        return Err(unbound("is not for signing"));
    }
    if !key.is_strong() {
        return Err(SignatureError::Weak(format!("the key {}", name())));
    }
    Ok(())
}
