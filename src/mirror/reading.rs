//! What a signer has read and not built: that the statements of others are whole, well signed, and agree with the bits, the derivations
//! and each other. It says just that, and counts for nothing: neither towards a threshold nor as a signature that Nix would take.

use std::{collections::BTreeMap, time::SystemTime};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    MirrorError,
    check::{self, Believing, Report, Request},
    layout::{FileHash, HashPart, KeyId, Object},
    publish::Publisher,
};
use crate::{
    attest::check::MAX_LEN,
    nix::{hash::NarHash, store_path::StorePath},
};

/// The type that signatures of a reading name.
pub const READING_KIND: &str = "application/vnd.reprove.reading+json";

/// The schema of [`Reading`].
pub const READING_SCHEMA: &str = "reprove.reading/1";

/// "I have read what is said of this path, and found nothing wrong. I have not built it."
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Reading {
    /// [`READING_SCHEMA`].
    pub schema: String,
    /// The path.
    pub path: StorePath,
    /// The hash of its NAR.
    pub nar_hash: NarHash,
    /// What was read: the SHA-256 of each file of statements, by the key that signs them.
    pub statements: BTreeMap<String, String>,
}

/// What came of reading a mirror.
#[derive(Debug)]
pub enum Read {
    /// Nothing is wrong: these paths were read, and each has a reading by this signer now.
    Sound(Vec<StorePath>),
    /// Something is wrong, and nothing was signed.
    Faulty(Report),
}

impl Publisher<'_> {
    /// Checks everything in the mirror, and leaves a reading of each path of which others say why it is there.
    ///
    /// # Errors
    /// When the mirror cannot be listed, read, or written. What is wrong with what it holds is [`Read::Faulty`].
    pub fn read(&self, jobs: usize) -> Result<Read, MirrorError> {
        let before = self.readings();
        let location = self.mirror.location();
        let believing = Believing::ItsOwn;
        let request = Request { paths: &[], believing, since: &[], now: SystemTime::now(), jobs };
        let report = check::check(location, &request)?;
        if !report.findings.is_empty() {
            return Ok(Read::Faulty(report));
        }
        // What came or changed while the others were read, nobody has read.
        let before = before?;
        let mut after = self.readings()?;
        after.retain(|part, reading| before.get(part) == Some(reading));
        let own = KeyId::of(&self.key().public());
        for (part, reading) in &after {
            self.put_signed(&Object::Reading(part.clone(), own.clone()), READING_KIND, reading)?;
        }
        Ok(Read::Sound(after.into_values().map(|reading| reading.path).collect()))
    }

    /// What could be said of each path as it is now.
    fn readings(&self) -> Result<BTreeMap<HashPart, Reading>, MirrorError> {
        let own = KeyId::of(&self.key().public());
        let mut readings = BTreeMap::new();
        for part in self.mirror.parts()? {
            let Some((info, _)) = self.mirror.testified(&part)? else { continue };
            let statements = self.statements(&part, &own)?;
            if !statements.is_empty() {
                let (path, nar_hash) = (info.store_path, info.nar_hash);
                let schema = READING_SCHEMA.to_owned();
                readings.insert(part, Reading { schema, path, nar_hash, statements });
            }
        }
        Ok(readings)
    }

    /// The SHA-256 of what each of the others says of a path.
    fn statements(&self, part: &HashPart, own: &KeyId) -> Result<BTreeMap<String, String>, MirrorError> {
        let mut statements = BTreeMap::new();
        for key in self.mirror.keys().map(KeyId::of).filter(|key| key != own) {
            let name = Object::Attestation(part.clone(), key.clone()).name();
            if let Some(bytes) = self.mirror.location().get(&name, MAX_LEN)? {
                statements.insert(key.to_string(), FileHash::of(&bytes).hex());
            }
        }
        Ok(statements)
    }
}
