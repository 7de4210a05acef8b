//! Our own predicate: what several builds of an output showed, and how each machine ran.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    build::run_record::{RunRecord, StateRoots},
    machine::Settings,
    store::Origin,
};

/// The type of the predicate.
pub const TYPE: &str = "urn:reprove:verdict:1";

/// The predicate. Hashes are SHA-256 in lower-case hexadecimal digits but for those of NARs, which are in Nix' own spelling.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VerdictPredicate {
    /// The derivation.
    pub derivation: String,
    /// Which of its outputs.
    pub output: String,
    /// The system it was verified for, where that was done for several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// The policies that were made to hold: the derivation is not the one that the installable evaluates to.
    pub policies: Vec<String>,
    /// `reproduced`, `equivalent`, `diverged`, `not-built` or `not-checked`.
    pub verdict: String,
    /// What was shown: 0 built to 4 cross-engine.
    pub level: u64,
    /// The level's name.
    pub level_name: String,
    /// Whether a difference shows only where Nix's contract fixes what was varied.
    pub outside_contract: bool,
    /// The builds that were compared.
    pub rounds: Vec<MachineRun>,
    /// What they were compared with besides.
    pub references: Vec<Reference>,
    /// Ids of the causes of differences.
    pub causes: Vec<String>,
    /// What the verification was built from, directly or through others, and nobody built here.
    pub taken_on_trust: Vec<Taken>,
}

/// A store path that was taken as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Taken {
    /// The path.
    pub path: String,
    /// The binary cache that gave it; none for the host's own store.
    pub from: Option<String>,
    /// The name of the key that signed for it; none when the cache's word was taken.
    pub signed_by: Option<String>,
}

impl Taken {
    /// What came into our store as `origin` says, if that is on trust.
    pub fn of(path: String, origin: Origin) -> Option<Self> {
        match origin {
            Origin::Built { .. } | Origin::Source { .. } => None,
            Origin::HostStore => Some(Taken { path, from: None, signed_by: None }),
            Origin::Substituted { from, signed_by } => Some(Taken { path, from: Some(from), signed_by }),
        }
    }
}

/// One run of a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MachineRun {
    /// What the round was for.
    pub round: String,
    /// The id of the run's record: a hash over all of it.
    pub run: String,
    /// The engine's name and version.
    pub engine: String,
    /// Id of the guest bundle: kernel, initial file system, modules.
    pub guest_bundle: String,
    /// The settings.
    #[schemars(with = "serde_json::Value")]
    pub settings: Settings,
    /// Hash of the drive with all inputs.
    pub input_drive: String,
    /// Instructions retired, from an engine that counts them.
    pub instructions: Option<u64>,
    /// Roots of the machine's state, from an engine that has them (`docs/state-tree.md`).
    pub state_roots: Option<Roots>,
    /// What came out.
    pub nar_hash: Option<String>,
}

/// The machine's state at its beginning and end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Roots {
    /// When the guest had booted.
    pub first: String,
    /// When it had stopped.
    pub last: String,
}

/// Something else that was compared with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Reference {
    /// As `--against` spells it.
    pub reference: String,
    /// What the comparison showed.
    pub verdict: String,
    /// What it has.
    pub nar_hash: Option<String>,
}

impl MachineRun {
    /// A round by its record.
    pub fn of(round: String, run: String, nar_hash: Option<String>, record: RunRecord) -> Self {
        let RunRecord { engine, bundle, settings, input, instructions, state, .. } = record;
        let state_roots = state.map(|StateRoots { first, last, .. }| Roots { first, last });
        let (guest_bundle, input_drive) = (bundle, input);
        MachineRun {
            round,
            run,
            engine,
            guest_bundle,
            settings,
            input_drive,
            instructions,
            state_roots,
            nar_hash,
        }
    }
}
