//! What a mirror says of a path and signs: why it was admitted, and what it rests on.
//!
//! In-toto statements in DSSE envelopes, as `attest` makes them; beside provenance and verdict of a path that was built, which
//! are `attest`'s, each path has one of the predicate here. Nothing in it depends on when or by which worker it was made.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::publish::Entry;
use crate::{
    attest::{
        AttestError,
        envelope::{Envelope, IN_TOTO},
        statement::Statement,
    },
    nix::{hash::NarHash, secret_key::SecretKey, store_path::StorePath},
    store::PathInfo,
};

/// The type of the predicate.
pub const TYPE: &str = "urn:reprove:admission:1";

/// Why a path was admitted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Admission {
    /// On what ground.
    pub ground: Ground,
    /// What of this mirror it was made from, directly, and which bits that had.
    pub inputs: BTreeMap<StorePath, NarHash>,
    /// The sources it was made from, and the SHA-256 under which each lies in `sources/sha256`.
    pub sources: BTreeMap<StorePath, String>,
    /// The seeds it rests on, however deep they lie: those of its inputs and of what it refers to, and itself if it is one.
    pub seeds: BTreeSet<StorePath>,
    /// SHA-256 of the log that lies under `log/`, if there is one.
    pub log: Option<String>,
}

/// On what ground a path was admitted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Ground {
    /// It was built, and its bits were reproduced.
    Built {
        /// By this derivation.
        derivation: StorePath,
        /// As this output.
        output: String,
    },
    /// Its path follows from its bits.
    Source,
    /// It was taken as it is.
    Seed {
        /// Why.
        why: String,
    },
}

impl Admission {
    /// The derivation it was built by, if it was.
    pub fn deriver(&self) -> Option<&StorePath> {
        match &self.ground {
            Ground::Built { derivation, .. } => Some(derivation),
            Ground::Source | Ground::Seed { .. } => None,
        }
    }

    /// Whether another one says the same of a path, whatever each has to say of why it is a seed, and of the log.
    pub(super) fn same_ground(&self, other: &Admission) -> bool {
        let ground = match (&self.ground, &other.ground) {
            (Ground::Seed { .. }, Ground::Seed { .. }) => true,
            (one, other) => one == other,
        };
        ground && (&self.inputs, &self.sources, &self.seeds) == (&other.inputs, &other.sources, &other.seeds)
    }

    /// The statement about a path.
    ///
    /// # Errors
    /// None that a value of this type could cause: that it cannot be written as JSON.
    pub fn statement(&self, info: &PathInfo) -> Result<Statement, AttestError> {
        let value = serde_json::to_value(self);
        let value = value.map_err(|error| AttestError::Malformed { why: error.to_string() })?;
        Ok(Statement::new(&info.path, info.nar_hash, TYPE, value))
    }
}

/// Everything that is said of a path, as signed envelopes, one a line.
pub(super) fn lines(entry: &Entry<'_>, key: &SecretKey) -> Result<Vec<u8>, AttestError> {
    let malformed = |error: serde_json::Error| AttestError::Malformed { why: error.to_string() };
    let admission = entry.admission.statement(entry.info)?;
    let mut lines = Vec::new();
    for statement in entry.statements.iter().chain([&admission]) {
        let envelope = Envelope::sign(IN_TOTO, &serde_json::to_vec(statement).map_err(malformed)?, key);
        lines.extend(serde_json::to_vec(&envelope).map_err(malformed)?);
        lines.push(b'\n');
    }
    Ok(lines)
}
