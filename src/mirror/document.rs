//! Signed documents of a mirror, read back: seeds, refusals, conflicts.

use serde::{Serialize, de::DeserializeOwned};

use super::{Mirror, MirrorError, layout::Object, location::Put};
use crate::{
    attest::envelope::Envelope,
    nix::{secret_key::SecretKey, signature::PublicKey},
};

/// Longest signed document, in bytes.
pub(super) const MAX_LEN: u64 = 16 << 20;

/// A document, and who of the mirror's signers stands for it.
#[derive(Clone, Debug)]
pub struct Told<T> {
    /// What is said.
    pub document: T,
    /// Names of the contributors who signed it.
    pub by: Vec<String>,
}

/// The object of a document: its envelope, signed, on a line.
pub(super) fn enveloped(
    kind: &str,
    document: &impl Serialize,
    key: &SecretKey,
) -> serde_json::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(&Envelope::sign(kind, &serde_json::to_vec(document)?, key))?;
    bytes.push(b'\n');
    Ok(bytes)
}

impl Mirror {
    /// Leaves a signed document. One that is there stays: whoever was first has said it. Says which of both.
    pub(super) fn put_told(
        &self,
        object: &Object,
        kind: &str,
        document: &impl Serialize,
        key: &SecretKey,
    ) -> Result<Put, MirrorError> {
        let bytes = enveloped(kind, document, key).map_err(|error| MirrorError::Io(error.into()))?;
        Ok(self.location.put_new(&object.name(), &bytes)?)
    }

    /// A document that at least one of the mirror's signers has signed; `None` when it is not there.
    ///
    /// # Errors
    /// [`MirrorError::Document`] for what is none of `kind`, [`MirrorError::Unsigned`] for one that none of the signers signed.
    pub(super) fn told<T: DeserializeOwned>(
        &self,
        object: &Object,
        kind: &str,
    ) -> Result<Option<Told<T>>, MirrorError> {
        let name = object.name();
        let Some(bytes) = self.location.get(&name, MAX_LEN)? else { return Ok(None) };
        let damaged = |why: String| MirrorError::Document { object: self.location.url(&name), why };
        let envelope: Envelope =
            serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
        if envelope.payload_type != kind {
            return Err(damaged(format!("it is no {kind}")));
        }
        let (mut by, mut read) = (Vec::new(), None);
        for contributor in &self.signers.contributors {
            let keys: &[PublicKey] = &contributor.nix;
            if let Ok((document, _)) = envelope.open(keys) {
                by.push(contributor.name.clone());
                read = Some(document);
            }
        }
        let Some(document) = read else {
            let why = "none of the mirror's signers has signed it".to_owned();
            return Err(MirrorError::Unsigned { object: self.location.url(&name), why });
        };
        let document = serde_json::from_slice(&document).map_err(|error| damaged(error.to_string()))?;
        Ok(Some(Told { document, by }))
    }
}
