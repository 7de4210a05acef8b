//! What a mirror held at a time, signed: so that whoever serves an older copy of it, or a part, or parts of two, is found out.
//!
//! Everything else in a mirror proves itself, and nothing of it is dated. So every signature of an old copy is good, and where a
//! refusal or a record of other bits was taken away nothing is missing. A snapshot is one signer's list of all that is admitted and of
//! all that is said against anything, with the time until which it holds. It says when; whoever wants a mirror
//! whose bytes do not depend on that makes none.
//!
//! What is at stake: The Update Framework, "rollback", "indefinite freeze" and "mix-and-match attacks".

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::SystemTime,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Mirror, MirrorError, check_signer,
    document::{self, enveloped},
    layout::{FileHash, HashPart, KeyId, Object},
    location::{Location, LocationError, Put},
    parallel::parallel,
    policy::Policy,
    time::Time,
};
use crate::{
    attest::envelope::Envelope,
    nix::{
        hash::NarHash, narinfo::NarInfo, secret_key::SecretKey, signature::PublicKey, store_path::StorePath,
    },
};

/// The type that signatures of a snapshot name.
pub const KIND: &str = "application/vnd.reprove.snapshot+json";

/// The schema of [`Snapshot`].
pub const SCHEMA: &str = "reprove.snapshot/1";

/// Longest snapshot, in bytes: of half a million paths.
pub const MAX_LEN: u64 = 128 << 20;

/// For how many days a snapshot holds where nobody says.
pub const USUAL_DAYS: u32 = 30;

/// How often a snapshot is made again when another one with the same key comes between.
const ATTEMPTS: usize = 4;

/// What a mirror held at a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// [`SCHEMA`].
    pub schema: String,
    /// The how-manieth of this signer it is, from 1.
    pub number: u64,
    /// When it was made.
    pub made: Time,
    /// Until when it holds: who sees it later sees an old copy, or a mirror that nobody looks after.
    pub expires: Time,
    /// SHA-256 of `mirror.json`.
    pub policy: String,
    /// SHA-256 of the one before, without its envelope.
    pub before: Option<String>,
    /// What was there.
    pub listed: Listed,
}

/// How a snapshot is made.
pub struct Making<'a> {
    /// Who signs.
    pub key: &'a SecretKey,
    /// For how many days it holds.
    pub days: u32,
    /// What time it is.
    pub now: SystemTime,
    /// As many objects are read at once.
    pub jobs: usize,
}

/// What is there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Listed {
    /// The paths that are admitted.
    pub paths: BTreeMap<StorePath, ListedPath>,
    /// What is said of paths and derivations and never goes: seeds, refusals, readings, other bits. Names of objects, and the SHA-256
    /// of each.
    pub records: BTreeMap<String, String>,
}

/// A path that is admitted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListedPath {
    /// The hash of its NAR.
    pub nar_hash: NarHash,
    /// The signatures of its narinfo, by the ids of their keys as they are in names of objects.
    pub keys: BTreeSet<String>,
}

impl ListedPath {
    /// As its narinfo says, and those of `keys` have signed.
    pub(super) fn of<'k>(info: &NarInfo, keys: impl Iterator<Item = &'k PublicKey>) -> Self {
        let signed =
            |key: &&PublicKey| info.signatures.iter().any(|signature| key.has_signed(info, signature));
        let keys = keys.filter(signed).map(|key| KeyId::of(key).to_string()).collect();
        ListedPath { nar_hash: info.nar_hash, keys }
    }
}

/// Something that was listed and is not there as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The object.
    pub object: String,
    /// What is the matter with it.
    pub loss: Loss,
}

/// What is the matter with something that was listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loss {
    /// This path is not admitted. It may have been removed on record, which no list says.
    Path(StorePath),
    /// The path has other bits.
    Bits,
    /// The path lacks a signature.
    Signature,
    /// The record is not there.
    Record,
    /// The record says something else.
    Said,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Loss::Path(path) => write!(f, "{path} was there, and nobody removed it on record"),
            Loss::Bits => f.write_str("it had other bits"),
            Loss::Signature => f.write_str("it had a signature that it has no more"),
            Loss::Record => f.write_str("it was there, and such records stay"),
            Loss::Said => f.write_str("it said something else"),
        }
    }
}

impl Listed {
    /// What of it is not there any more.
    pub fn lost_in(&self, now: &Listed) -> Vec<Lost> {
        let mut lost = Vec::new();
        for (path, was) in &self.paths {
            let loss = match now.paths.get(path) {
                None => Loss::Path(path.clone()),
                Some(is) if is.nar_hash != was.nar_hash => Loss::Bits,
                Some(is) if !was.keys.is_subset(&is.keys) => Loss::Signature,
                Some(_) => continue,
            };
            lost.push(Lost { object: Object::NarInfo(HashPart::of(path)).name(), loss });
        }
        for (object, was) in &self.records {
            let loss = match now.records.get(object) {
                None => Loss::Record,
                Some(is) if is != was => Loss::Said,
                Some(_) => continue,
            };
            lost.push(Lost { object: object.clone(), loss });
        }
        lost
    }
}

impl Snapshot {
    /// What is in an object, signed by this key.
    ///
    /// # Errors
    /// Why it is none.
    pub fn read(bytes: &[u8], key: &PublicKey) -> Result<Self, String> {
        let envelope: Envelope = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if envelope.payload_type != KIND {
            return Err(format!("it is no {KIND}"));
        }
        let (document, _) = envelope.open(std::slice::from_ref(key)).map_err(|error| error.to_string())?;
        let snapshot: Snapshot = serde_json::from_slice(&document).map_err(|error| error.to_string())?;
        if snapshot.schema != SCHEMA {
            return Err(format!("its schema is `{}`, not {SCHEMA}", snapshot.schema));
        }
        Ok(snapshot)
    }

    /// SHA-256 of it, without the envelope, which can be written in several ways.
    pub fn hash(&self) -> Option<String> {
        serde_json::to_vec(self).ok().map(|document| FileHash::of(&document).hex())
    }

    /// Until when it holds under a policy, which may say how long any does.
    pub fn holds_until(&self, policy: &Policy) -> Time {
        let most = policy.snapshot_days.map(|days| self.made.plus_days(days));
        most.map_or(self.expires, |most| most.min(self.expires))
    }
}

/// Whether an object is one that a snapshot lists among its records.
pub(super) fn is_record(object: &Object) -> bool {
    matches!(object, Object::Seed(_) | Object::Refused(..) | Object::Reading(..) | Object::Conflict(..))
}

/// The SHA-256 of a record; `None` when it is not there.
pub(super) fn record(location: &Location, name: &str) -> Result<Option<String>, LocationError> {
    Ok(location.get(name, document::MAX_LEN)?.map(|bytes| FileHash::of(&bytes).hex()))
}

impl Mirror {
    /// Makes a snapshot of everything that is there now, in the place of the one that this signer made before.
    ///
    /// # Errors
    /// [`MirrorError::Lost`] when something is not there that the one before lists; [`MirrorError::Contended`] when others never
    /// cease to make one with this key; [`LocationError::TooLarge`] when there is more than a snapshot can list; a narinfo that cannot
    /// be believed.
    pub fn snapshot(&self, making: &Making<'_>) -> Result<Snapshot, MirrorError> {
        let key = making.key;
        check_signer(&self.signers, key)?;
        let name = Object::Snapshot(KeyId::of(&key.public())).name();
        let mut seen: Option<Listed> = None;
        for _ in 0..ATTEMPTS {
            let before = self.location.get(&name, MAX_LEN)?;
            let read = before.as_ref().map(|bytes| Snapshot::read(bytes, &key.public())).transpose();
            let last = read.map_err(|why| MirrorError::Document { object: self.location.url(&name), why })?;
            // Somebody else with this key was faster, and saw everything that was seen here.
            if let (Some(seen), Some(last)) = (&seen, &last)
                && seen.lost_in(&last.listed).is_empty()
            {
                return Ok(last.clone());
            }
            let snapshot = self.following(&name, last, making)?;
            let bytes = enveloped(KIND, &snapshot, key).map_err(|error| MirrorError::Io(error.into()))?;
            if bytes.len() as u64 > MAX_LEN {
                return Err(
                    LocationError::TooLarge { object: self.location.url(&name), most: MAX_LEN }.into()
                );
            }
            let written = match &before {
                Some(before) => self.location.exchange(&name, before, &bytes)?,
                None => self.location.put_new(&name, &bytes)? == Put::New,
            };
            if written {
                return Ok(snapshot);
            }
            seen = Some(snapshot.listed);
        }
        Err(MirrorError::Contended { object: self.location.url(&name) })
    }

    /// The snapshot that follows upon the last one of a key.
    fn following(
        &self,
        name: &str,
        last: Option<Snapshot>,
        making: &Making<'_>,
    ) -> Result<Snapshot, MirrorError> {
        let listed = self.listed(making.jobs)?;
        if let Some(last) = &last {
            let key = KeyId::of(&making.key.public());
            for lost in last.listed.lost_in(&listed) {
                if !self.is_excused(&lost, &key, last.number)? {
                    let (object, snapshot) = (self.location.url(&lost.object), self.location.url(name));
                    return Err(MirrorError::Lost { object, loss: lost.loss, snapshot });
                }
            }
        }
        let made = Time::of(making.now);
        Ok(Snapshot {
            schema: SCHEMA.to_owned(),
            number: last.as_ref().map_or(0, |last| last.number).saturating_add(1),
            made,
            expires: made.plus_days(making.days),
            policy: FileHash::of(&self.policy.to_json()).hex(),
            before: last.as_ref().and_then(Snapshot::hash),
            listed,
        })
    }

    /// Whether what was listed and is not there went as it should, or has come since it was looked for.
    fn is_excused(&self, lost: &Lost, key: &KeyId, number: u64) -> Result<bool, MirrorError> {
        let Loss::Path(path) = &lost.loss else { return Ok(false) };
        let part = HashPart::of(path);
        let removal = self.removal(&part)?;
        if removal.is_some_and(|told| told.document.knew_of(key, number)) {
            return Ok(true);
        }
        Ok(self.admitted(&part)?.is_some_and(|info| info.store_path == *path))
    }

    /// The number of each key's snapshot, by the key's id.
    ///
    /// # Errors
    /// One that cannot be read.
    pub(super) fn snapshot_numbers(&self) -> Result<BTreeMap<String, u64>, MirrorError> {
        let mut numbers = BTreeMap::new();
        for key in self.keys() {
            let snapshot = self.snapshot_by(key)?;
            numbers.extend(snapshot.map(|snapshot| (KeyId::of(key).to_string(), snapshot.number)));
        }
        Ok(numbers)
    }

    /// The snapshot that this key made last; `None` when it made none.
    ///
    /// # Errors
    /// One that cannot be read.
    pub(super) fn snapshot_by(&self, key: &PublicKey) -> Result<Option<Snapshot>, MirrorError> {
        let name = Object::Snapshot(KeyId::of(key)).name();
        let Some(bytes) = self.location.get(&name, MAX_LEN)? else { return Ok(None) };
        let read = Snapshot::read(&bytes, key);
        read.map(Some).map_err(|why| MirrorError::Document { object: self.location.url(&name), why })
    }

    /// What is there.
    fn listed(&self, jobs: usize) -> Result<Listed, MirrorError> {
        let (mut parts, mut records) = (Vec::new(), Vec::new());
        for (name, _) in self.location.list("")? {
            match Object::parse(&name) {
                Some(Object::NarInfo(part)) => parts.push(part),
                Some(object) if is_record(&object) => records.push(name),
                _ => {}
            }
        }
        let mut listed = Listed::default();
        for info in parallel(&parts, jobs, |part| self.admitted(part)) {
            // One that was removed since is on record.
            let Some(info) = info? else { continue };
            listed.paths.insert(info.store_path.clone(), ListedPath::of(&info, self.keys()));
        }
        let hashes = parallel(&records, jobs, |name| record(&self.location, name));
        for (name, hash) in records.into_iter().zip(hashes) {
            listed.records.extend(hash?.map(|hash| (name, hash)));
        }
        Ok(listed)
    }
}
