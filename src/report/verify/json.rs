//! `reprove.verify/1`: a verification as a document.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::{
    machine::{Contract, Setting, Settings},
    nix::{hash::NarHash, store_path::StorePath},
    report::{accepted, brought::BroughtOf, diff, escape::escape},
    schedule::RealiseError,
    store::Origin,
    verify::{
        Compared, Level, Note, OutputResult, UnknownInput, Verdict,
        conclusion::Comparison,
        derivation::Round,
        session::{TargetResult, Verification},
    },
};

/// The version of the document.
pub const SCHEMA: &str = "reprove.verify/1";

#[derive(Serialize, schemars::JsonSchema)]
struct Document<'a> {
    #[schemars(extend("const" = SCHEMA))]
    schema: &'static str,
    tool: &'static str,
    outputs: Vec<Output<'a>>,
    /// What the outputs were built from, and how that came here.
    inputs: Vec<Input<'a>>,
    failed_inputs: Vec<Failed>,
    /// What our store cannot say the origin of; nothing is reproduced then.
    unknown_inputs: Vec<Unknown<'a>>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct Output<'a> {
    installable: &'a str,
    /// The system it is for, where it was verified for several.
    #[serde(skip_serializing_if = "Option::is_none")]
    system: Option<&'a str>,
    /// The policies that were made to hold in what it needs, each with what it looked at.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    policies: &'a [String],
    drv: &'a StorePath,
    output: &'a str,
    path: Option<&'a StorePath>,
    nar_hash: Option<NarHash>,
    verdict: Verdict,
    /// 0 built, 1 repeated, 2 varied, 3 replayed, 4 cross-engine, 5 attested.
    #[schemars(with = "u8", range(max = 5))]
    level: Level,
    level_name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Even the same settings gave other bits: no setting is the cause.
    unsteady: bool,
    /// Every setting that flips the bits is one that Nix gives every builder the same.
    outside_contract: bool,
    flipped_by: Vec<Flipped>,
    rounds: Vec<RoundOf<'a>>,
    probes: Vec<RoundOf<'a>>,
    references: Vec<ReferenceOf>,
    #[schemars(with = "Vec<diff::CauseOf>")]
    causes: Vec<Value>,
    divergences: Vec<DivergenceOf>,
    /// How store paths among the bits that differ came into the build.
    brought: Vec<BroughtOf<'a>>,
    /// What of it is accepted, when anything can be.
    #[serde(skip_serializing_if = "Option::is_none")]
    accepted: Option<accepted::Document<'a>>,
    /// What went wrong beside the verdict.
    notes: Vec<Failed>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct Flipped {
    setting: Setting,
    contract: &'static str,
}

#[derive(Serialize, schemars::JsonSchema)]
struct RoundOf<'a> {
    round: &'a str,
    #[serde(flatten)]
    made: MadeOf<'a>,
}

/// One build, and what it made of an output.
#[derive(Serialize, schemars::JsonSchema)]
pub(in crate::report) struct MadeOf<'a> {
    settings: &'a Settings,
    varied: &'a [Setting],
    nar_hash: Option<NarHash>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<String>,
    instructions: Option<u64>,
    wall_seconds: Option<f64>,
    /// An earlier run, which was interrupted, built it; its bits were hashed again for this one.
    kept_from_an_earlier_run: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct ReferenceOf {
    reference: String,
    verdict: Verdict,
    nar_hash: Option<NarHash>,
    /// The run that made them, when it was one of this verification.
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<String>,
    /// Who of those who have to agree signed them; only of a binary cache, and when somebody has to.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    signed_by: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct DivergenceOf {
    against: String,
    nar_hash: NarHash,
    #[schemars(with = "diff::Document")]
    diff: Value,
}

#[derive(Serialize, schemars::JsonSchema)]
struct Input<'a> {
    path: &'a StorePath,
    origin: &'a Origin,
}

/// Something of which our store cannot say where it came from.
#[derive(Serialize, schemars::JsonSchema)]
pub(in crate::report) struct Unknown<'a> {
    path: &'a StorePath,
    error: String,
    code: String,
}

#[derive(Serialize, schemars::JsonSchema)]
struct Failed {
    error: String,
    code: String,
}

/// Its JSON Schema.
pub fn schema() -> schemars::Schema {
    crate::report::schema::of::<Document<'_>>()
}

/// The document, ready to be serialised.
pub fn document(verification: &Verification) -> impl Serialize {
    let outputs = verification.targets.iter().flat_map(outputs).collect();
    let inputs = verification.inputs.iter().map(|input| Input { path: &input.path, origin: &input.origin });
    let failed = verification
        .failed_inputs
        .iter()
        .map(|error| Failed { error: escape(&error.to_string()), code: error.code().to_string() });
    Document {
        schema: SCHEMA,
        tool: concat!("reprove ", env!("CARGO_PKG_VERSION")),
        outputs,
        inputs: inputs.collect(),
        failed_inputs: failed.collect(),
        unknown_inputs: verification.unknown_inputs.iter().map(Unknown::new).collect(),
    }
}

fn outputs(target: &TargetResult) -> Vec<Output<'_>> {
    target.outputs.iter().map(|result| output(target, result)).collect()
}

fn output<'a>(target: &'a TargetResult, result: &'a OutputResult) -> Output<'a> {
    let rounds =
        |rounds: &'a [Round<RealiseError>]| rounds.iter().map(|r| round(r, &result.output)).collect();
    let mut causes: BTreeMap<String, Value> = BTreeMap::new();
    let mut ranked = Vec::new();
    let mut divergences = Vec::new();
    for divergence in &result.divergences {
        let document = diff::document(&divergence.comparison, &divergence.causes, None);
        // Our own types: strings for keys, no map with other keys, so this cannot fail.
        let document = serde_json::to_value(document).unwrap_or_default();
        for cause in document.get("causes").and_then(Value::as_array).into_iter().flatten() {
            let id = cause.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
            if causes.insert(id, Value::Null).is_none() {
                ranked.push(cause.clone());
            }
        }
        divergences.push(DivergenceOf {
            against: divergence.against.clone(),
            nar_hash: divergence.other,
            diff: document,
        });
    }
    Output {
        installable: &target.target.installable,
        system: target.target.system.as_deref(),
        policies: &target.target.policies,
        drv: &target.drv,
        output: &result.output,
        path: result.path.as_ref(),
        nar_hash: result.finding.nar_hash,
        verdict: result.conclusion.verdict,
        level: result.conclusion.level,
        level_name: result.conclusion.level.name(),
        reason: result.conclusion.reason.as_deref().map(escape),
        unsteady: result.finding.unsteady,
        outside_contract: result.outside_contract(),
        flipped_by: result.finding.flipped.iter().map(|setting| flipped(*setting)).collect(),
        rounds: target.rounds.as_ref().map_or_else(Vec::new, |all| rounds(&all.rounds)),
        probes: target.rounds.as_ref().map_or_else(Vec::new, |all| rounds(&all.probes)),
        references: result.compared.iter().map(reference).collect(),
        causes: ranked,
        divergences,
        brought: result.brought.iter().map(BroughtOf::new).collect(),
        accepted: result.judgement.as_ref().map(accepted::Document::of),
        notes: result.notes.iter().map(note).collect(),
    }
}

fn note(note: &Note) -> Failed {
    Failed { error: escape(&note.text), code: note.code.to_string() }
}

impl Unknown<'_> {
    pub(in crate::report) fn new(input: &UnknownInput) -> Unknown<'_> {
        Unknown {
            path: &input.path,
            error: escape(&input.error.to_string()),
            code: input.error.code().to_string(),
        }
    }
}

fn flipped(setting: Setting) -> Flipped {
    let contract = match setting.contract() {
        Contract::Open => "open",
        Contract::Fixed => "fixed",
    };
    Flipped { setting, contract }
}

fn round<'a>(round: &'a Round<RealiseError>, output: &str) -> RoundOf<'a> {
    RoundOf { round: &round.label, made: MadeOf::new(round, output) }
}

impl<'a> MadeOf<'a> {
    pub(in crate::report) fn new(round: &'a Round<RealiseError>, output: &str) -> MadeOf<'a> {
        let built = round.built();
        let failed = round.result.as_ref().and_then(|result| result.as_ref().err());
        let failed_run = match failed {
            Some(RealiseError::Build { run, .. }) => *run,
            _ => None,
        };
        MadeOf {
            settings: &round.settings,
            varied: &round.varied,
            nar_hash: built.and_then(|built| built.outputs.get(output).copied()),
            run: built.map(|built| built.run.clone()).or_else(|| failed_run.map(|run| run.to_string())),
            instructions: built.and_then(|built| built.instructions),
            wall_seconds: built.and_then(|built| Some(built.wall?.as_secs_f64())),
            kept_from_an_earlier_run: built.is_some_and(|built| built.wall.is_none()),
            error: failed.map(|error| escape(&error.to_string())),
            code: failed.map(|error| error.code().to_string()),
        }
    }
}

fn reference(compared: &Compared) -> ReferenceOf {
    let reason = match &compared.comparison {
        Comparison::Equal { .. } | Comparison::Different => None,
        Comparison::Missing { why } | Comparison::Unlike { why } => Some(escape(why)),
    };
    let Compared { nar_hash, run, signed_by, .. } = compared;
    ReferenceOf {
        reference: compared.reference.to_string(),
        verdict: compared.comparison.verdict(),
        nar_hash: *nar_hash,
        run: run.clone(),
        signed_by: signed_by.clone(),
        reason,
    }
}
