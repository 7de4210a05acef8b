//! Rounds of a verification that are done, so that an interrupted verification goes on where it was.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::PathBuf,
};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{
    RunId, Store, StoreError, error::Context as _, nars::hash_file, paths::to_json, read_record, sync_dir,
};
use crate::nix::{hash::NarHash, store_path::StorePath};

/// Everything the bits of a round depend on, and which round it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoundKey {
    /// The derivation.
    pub derivation: StorePath,
    /// Which round of the verification: `round 1`, `probe clock`. Without it, a second build under the same settings
    /// would be answered by the first, and prove nothing.
    pub round: String,
    /// What identifies the settings.
    pub settings: String,
    /// What identifies the NARs of the input closure: the derivation alone does not, an input that differs from
    /// build to build has one path and several NARs.
    pub inputs: String,
    /// The guest bundle's id.
    pub bundle: String,
    /// The engine's name and version.
    pub engine: String,
    /// This program's version: it writes what the guest is told.
    pub tool: String,
}

/// What a round gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Round {
    /// The run.
    pub run: RunId,
    /// The outputs by name.
    pub outputs: BTreeMap<String, RoundOutput>,
}

/// One output of a round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoundOutput {
    /// Its NAR.
    pub nar_hash: NarHash,
    /// The length of the NAR in bytes.
    pub nar_size: u64,
    /// The references found in it.
    pub references: BTreeSet<StorePath>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Saved {
    pub(super) key: RoundKey,
    pub(super) round: Round,
}

impl Store {
    /// Saves the result of a round, whose NARs and run are in the store, in the place of an earlier one.
    pub fn save_round(&self, key: &RoundKey, round: &Round) -> Result<(), StoreError> {
        let saved = Saved { key: key.clone(), round: round.clone() };
        self.write_record(&saved, "a round")?.replace(&self.round_file(key)?)
    }

    /// The result of a round that was done before, if everything it stands on is still there: every NAR, with the hash it
    /// has by its name, read again just now; and the run, every file of it.
    pub fn round(&self, key: &RoundKey) -> Result<Option<Round>, StoreError> {
        let file = self.round_file(key)?;
        let Some(saved) = read_round(&file)? else { return Ok(None) };
        if saved.key != *key {
            return Err(StoreError::Damaged { file, why: "it is another round's".to_owned() });
        }
        for output in saved.round.outputs.values() {
            if !self.nar_is_sound(&output.nar_hash, output.nar_size) {
                return Ok(None);
            }
        }
        match self.run(saved.round.run)? {
            Some(run) if run.derivation == key.derivation && run.damage()?.is_none() => Ok(Some(saved.round)),
            _ => Ok(None),
        }
    }

    /// Removes a round, if it is there; its NARs and its run stay until [`Store::gc`].
    pub fn forget_round(&self, key: &RoundKey) -> Result<(), StoreError> {
        let file = self.round_file(key)?;
        match fs::remove_file(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            removed => removed.context("remove", &file)?,
        }
        sync_dir(&self.dir("rounds"))
    }

    /// Whether the NAR with that hash is in the store, whole: its bytes are read and hashed now. One that cannot be read is
    /// not sound.
    pub fn nar_is_sound(&self, hash: &NarHash, size: u64) -> bool {
        hash_file(&self.nar_path(hash)).is_ok_and(|found| found.hash == *hash && found.size == size)
    }

    pub(super) fn round_file(&self, key: &RoundKey) -> Result<PathBuf, StoreError> {
        let name = HEXLOWER.encode(&Sha256::digest(to_json(key, "a round")?));
        Ok(self.dir("rounds").join(format!("{name}.json")))
    }
}

pub(super) fn read_round(file: &std::path::Path) -> Result<Option<Saved>, StoreError> {
    let Some(text) = read_record(file)? else { return Ok(None) };
    let saved = serde_json::from_slice(&text);
    saved.map(Some).map_err(|error| StoreError::Damaged { file: file.to_owned(), why: error.to_string() })
}
