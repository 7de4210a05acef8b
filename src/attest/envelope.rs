//! DSSE envelopes: a document, its type, and signatures over both.
//!
//! Format: DSSE v1.0 ("Dead Simple Signing Envelope", envelope and protocol). Signatures are Nix' ed25519 keys'; `keyid` is the
//! key's name.

use std::fmt;

use data_encoding::BASE64;
use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error as _, SeqAccess, Visitor},
};

use super::AttestError;
use crate::{
    nix::{secret_key::SecretKey, signature::PublicKey},
    release::statement::pre_authentication_encoding,
};

/// The type of an in-toto statement.
pub const IN_TOTO: &str = "application/vnd.in-toto+json";

/// Signatures of one envelope.
const MAX_SIGNATURES: usize = 64;

/// A document in an envelope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    /// The document's type.
    pub payload_type: String,
    /// The document, in base-64.
    payload: String,
    /// Who signed it.
    #[serde(deserialize_with = "few")]
    pub signatures: Vec<EnvelopeSignature>,
}

/// One signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EnvelopeSignature {
    /// The key's name; a hint, and no part of what is signed.
    #[serde(default)]
    pub keyid: String,
    /// The signature, in base-64.
    pub sig: String,
}

/// As many signatures as there may be: an envelope is read before anybody knows whose it is, and empty ones take little to write.
fn few<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<EnvelopeSignature>, D::Error> {
    struct Few;

    impl<'de> Visitor<'de> for Few {
        type Value = Vec<EnvelopeSignature>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{MAX_SIGNATURES} signatures at most")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut signatures: A) -> Result<Self::Value, A::Error> {
            let mut few = Vec::new();
            while let Some(signature) = signatures.next_element()? {
                if few.len() == MAX_SIGNATURES {
                    return Err(A::Error::custom(format!("it has more than {MAX_SIGNATURES} signatures")));
                }
                few.push(signature);
            }
            Ok(few)
        }
    }

    deserializer.deserialize_seq(Few)
}

impl Envelope {
    /// Signs a document.
    pub fn sign(kind: &str, document: &[u8], key: &SecretKey) -> Self {
        let signature = key.sign(&pre_authentication_encoding(kind, document));
        // A signature of Nix is `<name>:<base-64>`.
        let sig = signature.rsplit(':').next().unwrap_or_default().to_owned();
        Envelope {
            payload_type: kind.to_owned(),
            payload: BASE64.encode(document),
            signatures: vec![EnvelopeSignature { keyid: key.name().to_owned(), sig }],
        }
    }

    /// The document, if one of `keys` signed it: with the names of those that did. A signature that does not count takes
    /// nothing from the others.
    pub fn open(&self, keys: &[PublicKey]) -> Result<(Vec<u8>, Vec<String>), AttestError> {
        let malformed = |why: &str| AttestError::Malformed { why: why.to_owned() };
        let document =
            BASE64.decode(self.payload.as_bytes()).map_err(|_| malformed("its payload is not base-64"))?;
        let message = pre_authentication_encoding(&self.payload_type, &document);
        let signed = |key: &&PublicKey| {
            let by = self.signatures.iter().filter(|one| one.keyid == key.name());
            by.into_iter().any(|one| key.has_signed_message(&message, &format!("{}:{}", key.name(), one.sig)))
        };
        let signers: Vec<String> = keys.iter().filter(signed).map(|key| key.name().to_owned()).collect();
        if signers.is_empty() {
            let by = self.signatures.iter().map(|one| one.keyid.clone()).collect();
            return Err(AttestError::Untrusted { by });
        }
        Ok((document, signers))
    }
}
