//! Rounds of a verification that are done, so that an interrupted verification goes on where it was.

use std::path::PathBuf;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{RunId, Store, StoreError, paths::to_json, read_record};
use crate::nix::{hash::NarHash, store_path::StorePath};

/// Everything the bits of a round depend on, and which round it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoundKey {
    /// The derivation.
    pub derivation: StorePath,
    /// The output's name.
    pub output: String,
    /// Which round of the verification, from 0. Without it, a second build under the same settings would be
    /// answered by the first, and prove nothing.
    pub round: u32,
    /// What identifies the settings.
    pub settings: String,
    /// What identifies the NARs of the input closure: the derivation alone does not, an input that differs from
    /// build to build has one path and several NARs.
    pub inputs: String,
    /// The guest bundle's id.
    pub bundle: String,
    /// The engine's name and version.
    pub engine: String,
}

/// What a round gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Round {
    /// The output's NAR.
    pub nar_hash: NarHash,
    /// Its length in bytes.
    pub nar_size: u64,
    /// The references found in it.
    pub references: std::collections::BTreeSet<StorePath>,
    /// The run.
    pub run: RunId,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Saved {
    pub(super) key: RoundKey,
    pub(super) round: Round,
}

impl Store {
    /// Saves the result of a round, whose NAR and run are in the store. The answer is the earlier result under
    /// this key if that had other bits: the machine is then not as deterministic as it should be.
    pub fn save_round(&self, key: &RoundKey, round: &Round) -> Result<Option<Round>, StoreError> {
        let before = self.round(key)?;
        let saved = Saved { key: key.clone(), round: round.clone() };
        self.write_record(&saved, "a round")?.replace(&self.round_file(key)?)?;
        Ok(before.filter(|before| before.nar_hash != round.nar_hash))
    }

    /// The result of a round that was done before, and whose NAR is still there.
    pub fn round(&self, key: &RoundKey) -> Result<Option<Round>, StoreError> {
        let file = self.round_file(key)?;
        let Some(saved) = read_round(&file)? else { return Ok(None) };
        if saved.key != *key {
            return Err(StoreError::Damaged { file, why: "it is another round's".to_owned() });
        }
        let there = self.nar_size(&saved.round.nar_hash)? == Some(saved.round.nar_size);
        Ok(there.then_some(saved.round))
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
