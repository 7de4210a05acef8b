//! `reprove.diagnose/1`: a diagnosis as a document.

use serde::Serialize;
use serde_json::Value;

use super::{closure::WalkedOf, origins::OriginOf, places};
use crate::{
    machine::{Contract, Setting},
    nix::{hash::NarHash, store_path::StorePath},
    report::{
        accepted,
        brought::BroughtOf,
        diff,
        escape::escape,
        verify::{MadeOf, Unknown},
    },
    schedule::RealiseError,
    verify::{
        Verdict,
        derivation::Round,
        diagnosis::{Diagnosis, OutputDiagnosis, TargetDiagnosis},
        isolate::{Dependence, Isolation},
    },
};

/// The version of the document.
pub const SCHEMA: &str = "reprove.diagnose/1";

#[derive(Serialize, schemars::JsonSchema)]
struct Document<'a> {
    #[schemars(extend("const" = SCHEMA))]
    schema: &'static str,
    tool: &'static str,
    outputs: Vec<Output<'a>>,
    failed_inputs: Vec<Failed>,
    /// What our store cannot say the origin of; nothing is reproduced then.
    unknown_inputs: Vec<Unknown<'a>>,
    /// Where in the graph bits begin to differ, when that was looked for, leaves first; the outputs above are those then.
    #[serde(skip_serializing_if = "Option::is_none")]
    closure: Option<Vec<WalkedOf<'a>>>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct Output<'a> {
    installable: &'a str,
    /// The policies that were made to hold in what it needs, each with what it looked at.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    policies: &'a [String],
    drv: &'a StorePath,
    output: &'a str,
    path: Option<&'a StorePath>,
    nar_hash: Option<NarHash>,
    verdict: Verdict,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Even the same settings gave other bits: no setting is the cause.
    unsteady: bool,
    /// Every setting that flips the bits is one that Nix gives every builder the same.
    outside_contract: bool,
    /// Sets of settings that flip the bits, and of which none can be left out.
    flipped_by: Vec<Flipped<'a>>,
    /// What was varied.
    tried: &'a [Setting],
    builds: Vec<Build<'a>>,
    /// How store paths among the bits that differ came into the build.
    brought: Vec<BroughtOf<'a>>,
    /// What of it is accepted, when anything can be.
    #[serde(skip_serializing_if = "Option::is_none")]
    accepted: Option<accepted::Document<'a>>,
    /// What went wrong beside.
    notes: Vec<Failed>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct Flipped<'a> {
    /// The build that shows it; none of its settings is varied in round 1.
    build: &'a str,
    settings: Vec<SettingOf>,
    files: Vec<FileOf>,
    #[schemars(with = "Vec<diff::CauseOf>")]
    causes: Value,
    /// Where in the build it begins to differ; absent when that was not looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<OriginOf>,
    #[schemars(with = "diff::Document")]
    diff: Value,
}

#[derive(Serialize, schemars::JsonSchema)]
struct SettingOf {
    setting: Setting,
    contract: &'static str,
    a: String,
    b: String,
}

#[derive(Serialize, schemars::JsonSchema)]
struct FileOf {
    path: String,
    parts: Vec<String>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct Build<'a> {
    build: &'a str,
    #[serde(flatten)]
    made: MadeOf<'a>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct Failed {
    error: String,
    code: String,
}

fn outputs(target: &TargetDiagnosis) -> impl Iterator<Item = Output<'_>> {
    target.outputs.iter().map(move |result| output(target, result))
}

/// Its JSON Schema.
pub fn schema() -> schemars::Schema {
    crate::report::schema::of::<Document<'_>>()
}

/// The document, ready to be serialised.
pub fn document(diagnosis: &Diagnosis) -> impl Serialize {
    Document {
        schema: SCHEMA,
        tool: concat!("reprove ", env!("CARGO_PKG_VERSION")),
        outputs: diagnosis.targets.iter().flat_map(outputs).collect(),
        failed_inputs: diagnosis.failed_inputs.iter().map(failed).collect(),
        unknown_inputs: diagnosis.unknown_inputs().map(Unknown::new).collect(),
        closure: diagnosis.walk.as_ref().map(|walk| walk.steps.iter().map(WalkedOf::new).collect()),
    }
}

fn failed(error: &RealiseError) -> Failed {
    Failed { error: escape(&error.to_string()), code: error.code().to_string() }
}

fn output<'a>(target: &'a TargetDiagnosis, result: &'a OutputDiagnosis) -> Output<'a> {
    let isolation = target.isolation.as_ref();
    Output {
        installable: &target.target.installable,
        policies: &target.target.policies,
        drv: &target.drv,
        output: &result.output,
        path: result.path.as_ref(),
        nar_hash: result.nar_hash,
        verdict: result.conclusion.verdict,
        reason: result.conclusion.reason.as_deref().map(escape),
        unsteady: result.dependence == Dependence::Unsteady,
        outside_contract: result.outside_contract(),
        flipped_by: isolation.map_or_else(Vec::new, |isolation| flipped(isolation, result)),
        tried: isolation.map_or(&[], |isolation| &isolation.tried),
        builds: isolation.map_or_else(Vec::new, |isolation| {
            isolation.rounds.iter().map(|round| build(round, &result.output)).collect()
        }),
        brought: result.brought.iter().map(BroughtOf::new).collect(),
        accepted: result.judgement.as_ref().map(accepted::Document::of),
        notes: result
            .notes
            .iter()
            .map(|note| Failed { error: escape(&note.text), code: note.code.to_string() })
            .collect(),
    }
}

fn flipped<'a>(isolation: &'a Isolation<RealiseError>, result: &OutputDiagnosis) -> Vec<Flipped<'a>> {
    let flipped = isolation.witnesses(&result.output).into_iter().filter_map(|round| {
        let divergence = result.divergences.iter().find(|divergence| divergence.against == round.label)?;
        let diff = serde_json::to_value(diff::document(&divergence.comparison, &divergence.causes, None))
            .unwrap_or_default();
        let causes = diff.get("causes").cloned().unwrap_or_default();
        let setting = |which: &Setting| SettingOf {
            setting: *which,
            contract: match which.contract() {
                Contract::Open => "open",
                Contract::Fixed => "fixed",
            },
            a: isolation.base.value(*which),
            b: round.settings.value(*which),
        };
        let files = places::of(&divergence.comparison);
        Some(Flipped {
            build: &round.label,
            settings: round.varied.iter().map(setting).collect(),
            files: files.into_iter().map(|file| FileOf { path: file.name(), parts: file.parts }).collect(),
            causes,
            origin: result
                .origins
                .iter()
                .find(|(against, _)| *against == round.label)
                .map(|(_, origin)| OriginOf::new(origin)),
            diff,
        })
    });
    flipped.collect()
}

fn build<'a>(round: &'a Round<RealiseError>, output: &str) -> Build<'a> {
    Build { build: &round.label, made: MadeOf::new(round, output) }
}
