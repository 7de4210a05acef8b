//! What a verification showed of an output, as statements that come out the same whenever and wherever the same was shown: runs
//! are named by what went into them, and what they were compared with here and now (our store, files of this host) is left out.

use std::collections::BTreeSet;

use super::MirrorError;
use crate::{
    attest::{
        AttestError,
        provenance::{self, Asked, Provenance},
        statement::Statement,
        verdict::{self, MachineRun, Reference, Taken, VerdictPredicate},
    },
    build::RunRecord,
    nix::store_path::StorePath,
    schedule::Realiser,
    store::PathInfo,
    verify::{self, OutputResult, session::TargetResult},
};

/// The statements about an output that was built: how, and the verdict.
pub(super) fn statements(
    target: &TargetResult,
    result: &OutputResult,
    info: &PathInfo,
    seeds: &BTreeSet<StorePath>,
    realiser: &Realiser<'_>,
) -> Result<Vec<Statement>, MirrorError> {
    let mut statements = Vec::new();
    let mut rounds = Vec::new();
    for round in target.rounds.iter().flat_map(|all| &all.rounds) {
        let Some(built) = round.built() else { continue };
        let record: RunRecord = realiser.record(&built.run)?;
        let nar_hash = built.outputs.get(&result.output);
        if rounds.is_empty() {
            let asked = Asked {
                installable: format!("{}^{}", target.drv, result.output),
                derivation: target.drv.to_string(),
                output: result.output.clone(),
            };
            statements.push(statement(info, provenance::TYPE, &Provenance::of(asked, &record))?);
        }
        let (label, run) = (round.label.clone(), record.run.clone());
        rounds.push(MachineRun::of(label, run, nar_hash.map(ToString::to_string), record));
    }
    let references = result.compared.iter().filter(|one| {
        use verify::Reference::{Machine, Nix, Replay};
        matches!(one.reference, Machine(_) | Nix | Replay)
    });
    let references = references.map(|one| Reference {
        reference: one.reference.to_string(),
        verdict: one.comparison.verdict().to_string(),
        nar_hash: one.nar_hash.map(|hash| hash.to_string()),
    });
    // How its inputs came into this worker's store says nothing: they are those of the mirror, and rest on the same seeds.
    let taken_on_trust =
        seeds.iter().map(|path| Taken { path: path.to_string(), from: None, signed_by: None });
    let predicate = VerdictPredicate {
        derivation: target.drv.to_string(),
        output: result.output.clone(),
        system: None,
        // The derivation is built as it is. Which policies hold in it whoever has the derivation finds out for himself.
        policies: Vec::new(),
        verdict: result.conclusion.verdict.to_string(),
        level: result.conclusion.level as u64,
        level_name: result.conclusion.level.name().to_owned(),
        outside_contract: result.outside_contract(),
        rounds,
        references: references.collect(),
        causes: causes(result),
        taken_on_trust: taken_on_trust.collect(),
    };
    statements.push(statement(info, verdict::TYPE, &predicate)?);
    Ok(statements)
}

/// Ids of the causes of an output's differences, the surest first, each once.
pub(super) fn causes(result: &OutputResult) -> Vec<String> {
    let mut causes: Vec<String> = Vec::new();
    for cause in result.divergences.iter().flat_map(|divergence| &divergence.causes) {
        if !causes.iter().any(|id| id == cause.entry.id) {
            causes.push(cause.entry.id.to_owned());
        }
    }
    causes
}

fn statement(
    info: &PathInfo,
    kind: &str,
    predicate: &impl serde::Serialize,
) -> Result<Statement, MirrorError> {
    let value = serde_json::to_value(predicate);
    let value = value.map_err(|error| AttestError::Malformed { why: error.to_string() })?;
    Ok(Statement::new(&info.path, info.nar_hash, kind, value))
}
