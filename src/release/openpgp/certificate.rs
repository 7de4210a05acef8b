//! Certificates: a primary key, its subkeys, and what the primary key said about them.

use pgp::{
    composed::{Deserializable as _, SignedPublicKey, SignedPublicSubKey},
    packet::{PublicKey, PublicSubkey, RevocationCode, Signature, SignatureType, SubpacketData},
    ser::Serialize as _,
    types::{Fingerprint, KeyDetails, KeyId, PublicParams, Tag},
};

use super::is_strong;

/// Longest file of certificates, in bytes: real ones with hundreds of certifications have some hundred thousand.
pub const MAX_LEN: u64 = 1 << 20;

/// Certificates of one file.
const MAX_CERTIFICATES: usize = 64;

/// Why there is no certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Too many bytes, or too many certificates.
    #[error("it has more than 1 MiB, or more than 64 certificates")]
    TooLong,
    /// Not OpenPGP.
    #[error("it is no OpenPGP certificate: {0}")]
    Malformed(String),
    /// Nothing there.
    #[error("there is no OpenPGP certificate in it")]
    Empty,
}

/// One person's keys.
pub struct Certificate {
    /// The primary key first.
    pub(super) keys: Vec<Key>,
}

/// One key, and what is known of it.
pub(super) struct Key {
    pub material: Material,
    pub created: u64,
    /// When it stops being good; a subkey not later than its primary key.
    pub expires: Option<u64>,
    pub revocations: Vec<Revocation>,
    pub bound: Bound,
    pub may_sign: bool,
}

/// The arithmetic of a key.
pub(super) enum Material {
    Primary(PublicKey),
    Subkey(PublicSubkey),
}

/// Whether it belongs to the certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    Yes,
    /// Only by signatures with a weak hash.
    Weakly,
    No,
}

/// The end of a key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Revocation {
    /// From when on; `None` when nothing the key ever signed is to be believed.
    pub from: Option<u64>,
}

/// What the primary key says about a key.
#[derive(Clone, Copy)]
struct Word {
    made: u64,
    lifetime: Option<u64>,
    may_sign: bool,
}

/// Reads the certificates in `bytes`, armoured or not.
pub fn read(bytes: &[u8]) -> Result<Vec<Certificate>, CertificateError> {
    if bytes.len() as u64 > MAX_LEN {
        return Err(CertificateError::TooLong);
    }
    let malformed = |error: pgp::errors::Error| CertificateError::Malformed(error.to_string());
    let parsed = if bytes.first().is_some_and(|byte| byte & 0x80 != 0) {
        SignedPublicKey::from_bytes_many(bytes).map_err(malformed)?
    } else {
        SignedPublicKey::from_armor_many_buf(bytes).map_err(malformed)?.0
    };
    let mut certificates = Vec::new();
    for key in parsed {
        if certificates.len() == MAX_CERTIFICATES {
            return Err(CertificateError::TooLong);
        }
        certificates.push(Certificate::new(key.map_err(malformed)?));
    }
    if certificates.is_empty() { Err(CertificateError::Empty) } else { Ok(certificates) }
}

impl Certificate {
    fn new(key: SignedPublicKey) -> Self {
        let primary = Key::primary(&key);
        let until = primary.expires;
        let given_up = primary.revocations.clone();
        let mut keys = vec![primary];
        for subkey in key.public_subkeys {
            let mut subkey = Key::subkey(&key.primary_key, subkey);
            subkey.expires = subkey.expires.into_iter().chain(until).min();
            subkey.revocations.extend(&given_up);
            keys.push(subkey);
        }
        Certificate { keys }
    }

    /// The fingerprint of the primary key, in lower-case hexadecimal digits.
    pub fn fingerprint(&self) -> String {
        self.keys.first().map(|key| key.fingerprint().to_string()).unwrap_or_default()
    }

    /// The fingerprints of all keys.
    pub fn fingerprints(&self) -> impl Iterator<Item = String> {
        self.keys.iter().map(|key| key.fingerprint().to_string())
    }
}

impl Key {
    fn primary(key: &SignedPublicKey) -> Self {
        let primary = &key.primary_key;
        let details = &key.details;
        let (mut words, mut weakly) = (Vec::new(), false);
        let mut count = |signature: &Signature| {
            let strong = has_strong_hash(signature);
            weakly |= !strong;
            words.extend(word(signature).filter(|_| strong));
        };
        for user in &details.users {
            let verified = |signature: &&Signature| {
                signature.verify_certification(primary, Tag::UserId, &user.id).is_ok()
            };
            let (revoking, binding): (Vec<&Signature>, _) = user
                .signatures
                .iter()
                .filter(verified)
                .partition(|signature| signature.typ() == Some(SignatureType::CertRevocation));
            if revoking.is_empty() {
                binding.into_iter().for_each(&mut count);
            }
        }
        let direct = details.direct_signatures.iter();
        direct
            .filter(|signature| {
                signature.typ() == Some(SignatureType::Key) && signature.verify_key(primary).is_ok()
            })
            .for_each(&mut count);
        let revoking = details.revocation_signatures.iter();
        let revocations = revoking
            .filter(|signature| signature.typ() == Some(SignatureType::KeyRevocation))
            .filter(|signature| signature.verify_key(primary).is_ok())
            .map(revocation)
            .collect();
        Key::new(Material::Primary(primary.clone()), &words, weakly, revocations)
    }

    fn subkey(primary: &PublicKey, subkey: SignedPublicSubKey) -> Self {
        let (mut words, mut revocations, mut weakly) = (Vec::new(), Vec::new(), false);
        for signature in &subkey.signatures {
            if signature.verify_subkey_binding(primary, &subkey.key).is_err() {
                continue;
            }
            if signature.typ() == Some(SignatureType::SubkeyRevocation) {
                revocations.push(revocation(signature));
                continue;
            }
            // A subkey that signs has to have said itself whose it is: else one could adopt another's signatures.
            let back = signature.embedded_signature();
            let own_word =
                back.is_some_and(|back| back.verify_primary_key_binding(&subkey.key, primary).is_ok());
            let strong = has_strong_hash(signature) && back.is_none_or(has_strong_hash);
            weakly |= !strong;
            words.extend(
                word(signature)
                    .filter(|_| strong)
                    .map(|word| Word { may_sign: word.may_sign && own_word, ..word }),
            );
        }
        Key::new(Material::Subkey(subkey.key), &words, weakly, revocations)
    }

    fn new(material: Material, words: &[Word], weakly: bool, revocations: Vec<Revocation>) -> Self {
        let newest = words.iter().max_by_key(|word| word.made);
        let created = material.created();
        let bound = match (newest, weakly) {
            (Some(_), _) => Bound::Yes,
            (None, true) => Bound::Weakly,
            (None, false) => Bound::No,
        };
        let lifetime = newest.and_then(|word| word.lifetime);
        Key {
            created,
            expires: lifetime.map(|seconds| created + seconds),
            revocations,
            bound,
            may_sign: newest.is_some_and(|word| word.may_sign),
            material,
        }
    }

    pub fn fingerprint(&self) -> Fingerprint {
        match &self.material {
            Material::Primary(key) => key.fingerprint(),
            Material::Subkey(key) => key.fingerprint(),
        }
    }

    pub fn id(&self) -> KeyId {
        match &self.material {
            Material::Primary(key) => key.legacy_key_id(),
            Material::Subkey(key) => key.legacy_key_id(),
        }
    }

    /// Whether signatures by it are out of reach of those who do not have it.
    pub fn is_strong(&self) -> bool {
        let params = match &self.material {
            Material::Primary(key) => key.public_params(),
            Material::Subkey(key) => key.public_params(),
        };
        match params {
            // A modulus of 2048 bits is 256 bytes behind two of length; an exponent has three at the least.
            PublicParams::RSA(_) => params.write_len() >= 2 + 256 + 3,
            PublicParams::DSA(_) => false,
            _ => true,
        }
    }
}

impl Material {
    fn created(&self) -> u64 {
        u64::from(match self {
            Material::Primary(key) => key.created_at().as_secs(),
            Material::Subkey(key) => key.created_at().as_secs(),
        })
    }
}

fn has_strong_hash(signature: &Signature) -> bool {
    signature.hash_alg().is_some_and(is_strong)
}

/// What a binding says; nothing, if it does not say since when.
fn word(signature: &Signature) -> Option<Word> {
    let made = u64::from(signature.created()?.as_secs());
    let lifetime =
        signature.key_expiration_time().map(|lifetime| std::time::Duration::from(lifetime).as_secs());
    let flags = signature.config()?.hashed_subpackets().find_map(|packet| match &packet.data {
        SubpacketData::KeyFlags(flags) => Some(flags.sign()),
        _ => None,
    });
    // Zero seconds mean no end.
    Some(Word { made, lifetime: lifetime.filter(|seconds| *seconds > 0), may_sign: flags.unwrap_or(false) })
}

/// A key that was retired or replaced was good until then; one that was given up for any other reason never was.
fn revocation(signature: &Signature) -> Revocation {
    let soft = matches!(
        signature.revocation_reason_code(),
        Some(RevocationCode::KeySuperseded | RevocationCode::KeyRetired)
    );
    let from = signature.created().filter(|_| soft).map(|made| u64::from(made.as_secs()));
    Revocation { from }
}
