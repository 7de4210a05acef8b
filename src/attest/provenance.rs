//! The predicate of SLSA v1: how something was built.
//!
//! Format: SLSA v1.0, "Provenance". What a build type of ours means is in `docs/attest.md`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{statement::Resource, verdict::MachineRun};
use crate::{build::run_record::RunRecord, machine::Settings};

/// The type of the predicate.
pub const TYPE: &str = "https://slsa.dev/provenance/v1";

/// What a build is: one derivation in one machine, under Nix's build contract.
pub const BUILD: &str = "urn:reprove:build:1";

/// The predicate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Provenance {
    /// What was to be built.
    pub build_definition: BuildDefinition,
    /// How it was.
    pub run_details: RunDetails,
}

/// What was to be built.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BuildDefinition {
    /// [`BUILD`].
    pub build_type: String,
    /// What was asked for.
    pub external_parameters: Asked,
    /// Under which settings of the machine.
    #[schemars(with = "serde_json::Value")]
    pub internal_parameters: Settings,
    /// The guest, and the drive with all inputs.
    pub resolved_dependencies: Vec<Resource>,
}

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Asked {
    /// As it was typed.
    pub installable: String,
    /// The derivation.
    pub derivation: String,
    /// The output.
    pub output: String,
}

/// How it was built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunDetails {
    /// By what.
    pub builder: Builder,
    /// In which run.
    pub metadata: Metadata,
    /// What else came out.
    pub byproducts: Vec<Resource>,
}

/// What built it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Builder {
    /// The kind of machine, with its version.
    pub id: String,
    /// The version of this program.
    pub version: std::collections::BTreeMap<String, String>,
}

/// Which run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// The id of the run: a hash over what went in.
    pub invocation_id: String,
}

impl Provenance {
    /// Of an output that came out of a run.
    pub fn of(asked: Asked, run: &RunRecord) -> Self {
        let version = [("reprove".to_owned(), env!("CARGO_PKG_VERSION").to_owned())];
        Provenance {
            build_definition: BuildDefinition {
                build_type: BUILD.to_owned(),
                external_parameters: asked,
                internal_parameters: run.settings.clone(),
                resolved_dependencies: dependencies(&run.bundle, &run.input).into(),
            },
            run_details: RunDetails {
                builder: Builder { id: machine(&run.engine), version: version.into() },
                metadata: Metadata { invocation_id: run.run.clone() },
                byproducts: vec![Resource::new("console", &run.console)],
            },
        }
    }

    /// Whether it is of this run, as far as a verdict says what that was.
    pub fn is_of(&self, run: &MachineRun) -> bool {
        let (build, details) = (&self.build_definition, &self.run_details);
        details.metadata.invocation_id == run.run
            && details.builder.id == machine(&run.engine)
            && build.internal_parameters == run.settings
            && build.resolved_dependencies == dependencies(&run.guest_bundle, &run.input_drive)
    }
}

/// How a kind of machine, with its version, is named as a builder.
fn machine(engine: &str) -> String {
    format!("urn:reprove:machine:{}", engine.replace(' ', ":"))
}

/// What a run is made of.
fn dependencies(bundle: &str, input: &str) -> [Resource; 2] {
    [Resource::new("guest bundle", bundle), Resource::new("input drive", input)]
}
