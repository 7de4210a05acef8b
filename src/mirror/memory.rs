//! What was once admitted, and what was removed since: so that a path that somebody took away is told from one that never came in, and
//! from one that was removed as it should be.
//!
//! `admitted/<hash>.json` comes right after the narinfo and stays for good: whatever comes again under that path has to have those bits.
//! A writer who is killed between the two leaves a path of which nobody remembers that it was admitted, which [`super::check`] says and
//! the next writer or [`super::gc`] makes good.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Mirror, MirrorError,
    conflict::Bits,
    document::Told,
    layout::{HashPart, KeyId, Object},
};
use crate::nix::{narinfo::NarInfo, secret_key::SecretKey, store_path::StorePath};

/// The schema of [`Admitted`].
pub const ADMITTED_SCHEMA: &str = "reprove.admitted/1";

/// The type that signatures of a removal name.
pub const REMOVAL_KIND: &str = "application/vnd.reprove.removal+json";

/// The schema of [`Removal`].
pub const REMOVAL_SCHEMA: &str = "reprove.removal/1";

/// Longest of these, in bytes: a path and what it refers to.
pub(super) const MAX_LEN: u64 = 8 << 20;

/// A path that was admitted, with its bits. Nobody signs it: it says that there was something, and not that this was right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Admitted {
    /// [`ADMITTED_SCHEMA`].
    pub schema: String,
    /// The path.
    pub path: StorePath,
    /// What it had.
    pub bits: Bits,
}

/// A path that was removed because nothing needs it any more; signed. It goes when the path comes in again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Removal {
    /// [`REMOVAL_SCHEMA`].
    pub schema: String,
    /// The path.
    pub path: StorePath,
    /// What it had.
    pub bits: Bits,
    /// Its narinfo, so that a removal can be undone for as long as the NAR is there.
    pub narinfo: String,
    /// The names of the objects that were its own, or its and others'.
    pub objects: Vec<String>,
    /// The numbers of the snapshots that lay there, by the ids of their keys: those, and older ones, may list the path.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub snapshots: BTreeMap<String, u64>,
}

impl Removal {
    /// Whether it is later than the snapshot of this number by this key. A path that came in again after it is listed by later ones only.
    pub(super) fn knew_of(&self, key: &KeyId, number: u64) -> bool {
        self.snapshots.get(&key.to_string()).is_some_and(|seen| *seen >= number)
    }
}

impl Admitted {
    /// What there is to remember of an admitted path.
    pub fn of(info: &NarInfo) -> Self {
        Admitted { schema: ADMITTED_SCHEMA.to_owned(), path: info.store_path.clone(), bits: Bits::of(info) }
    }

    /// The one way in which it is written.
    pub(super) fn to_json(&self) -> Result<Vec<u8>, MirrorError> {
        let mut bytes = serde_json::to_vec(self).map_err(std::io::Error::from)?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}

impl Mirror {
    /// Remembers that a path is in: whoever admits it says so right afterwards, and whoever finds it in does so again.
    pub(super) fn remember(&self, info: &NarInfo) -> Result<(), MirrorError> {
        let part = HashPart::of(&info.store_path);
        self.location.put_new(&Object::Admitted(part.clone()).name(), &Admitted::of(info).to_json()?)?;
        self.location.delete(&Object::Removed(part).name())?;
        Ok(())
    }

    /// Remembers every path that is in and of which that was not said yet: a writer was killed at that very moment, or was of an
    /// earlier release.
    ///
    /// # Errors
    /// A narinfo that cannot be read.
    pub fn remember_all(&self) -> Result<(), MirrorError> {
        let (mut there, mut said) = (BTreeSet::new(), BTreeSet::new());
        for (name, _) in self.location.list("")? {
            match Object::parse(&name) {
                Some(Object::NarInfo(part)) => {
                    there.insert(part);
                }
                Some(Object::Admitted(part)) => {
                    said.insert(part);
                }
                _ => {}
            }
        }
        for part in there.difference(&said) {
            if let Some(info) = self.admitted(part)? {
                self.remember(&info)?;
            }
        }
        Ok(())
    }

    /// What a path had when it was admitted, if it ever was.
    pub(super) fn remembered(&self, part: &HashPart) -> Result<Option<Admitted>, MirrorError> {
        let name = Object::Admitted(part.clone()).name();
        let Some(bytes) = self.location.get(&name, MAX_LEN)? else { return Ok(None) };
        let read: Result<Admitted, _> = serde_json::from_slice(&bytes);
        let damaged = |why: String| MirrorError::Document { object: self.location.url(&name), why };
        let admitted = read.map_err(|error| damaged(error.to_string()))?;
        if HashPart::of(&admitted.path) != *part {
            return Err(damaged(format!("it is about {}", admitted.path)));
        }
        Ok(Some(admitted))
    }

    /// The record of a removal, if there is one.
    pub(super) fn removal(&self, part: &HashPart) -> Result<Option<Told<Removal>>, MirrorError> {
        let object = Object::Removed(part.clone());
        let told: Option<Told<Removal>> = self.told(&object, REMOVAL_KIND)?;
        match told {
            Some(told) if HashPart::of(&told.document.path) != *part => Err(MirrorError::Document {
                object: self.location.url(&object.name()),
                why: format!("it is about {}", told.document.path),
            }),
            told => Ok(told),
        }
    }

    /// Removes a path for everybody who asks: leaves a record, and takes its narinfo. What else is its own stays for now.
    pub(super) fn take_out(&self, removal: &Removal, key: &SecretKey) -> Result<(), MirrorError> {
        let part = HashPart::of(&removal.path);
        self.put_told(&Object::Removed(part.clone()), REMOVAL_KIND, removal, key)?;
        Ok(self.location.delete(&Object::NarInfo(part).name())?)
    }

    /// Undoes that: what each of its signers signed first, and the narinfo that follows from it last.
    pub(super) fn put_back(&self, removal: &Removal) -> Result<(), MirrorError> {
        let part = HashPart::of(&removal.path);
        let object = Object::NarInfo(part.clone());
        let info = NarInfo::parse(removal.narinfo.as_bytes()).map_err(|error| MirrorError::Document {
            object: self.location.url(&Object::Removed(part.clone()).name()),
            why: error.to_string(),
        })?;
        for key in self.keys() {
            let signed = Object::Signature(part.clone(), KeyId::of(key)).name();
            if !removal.objects.contains(&signed) {
                continue;
            }
            let own = info.signatures.iter().filter(|signature| key.has_signed(&info, signature));
            for signature in own {
                let one = NarInfo { signatures: vec![signature.clone()], ..info.clone() };
                self.location.put_new(&signed, one.to_string().as_bytes())?;
            }
        }
        self.location.put_new(&object.name(), removal.narinfo.as_bytes())?;
        Ok(self.location.delete(&Object::Removed(part).name())?)
    }
}
