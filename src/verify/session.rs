//! A whole verification: what the targets need, their rounds, the references, a verdict for every output.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Reference,
    conclusion::{Comparison, Conclusion, conclude},
    derivation::{Finding, Rounds, run_rounds},
    divergence::{Divergence, DivergenceError, explain},
    reference::{Native, fetch},
    rounds::RoundPlan,
    target::{KeptRounds, TargetBuilder},
};
use crate::{
    diagnose::Proof,
    graph::{Action, Graph, Plan},
    machine::Settings,
    nix::{hash::NarHash, store_path::StorePath},
    schedule::{OnFailure, Outcome, RealiseError, Realiser},
    store::{Origin, RoundKey, Store, StoreError},
    verify::{Level, Verdict},
};

/// One thing to verify: some outputs of a derivation.
#[derive(Clone, Debug)]
pub struct Target {
    /// As it was typed.
    pub installable: String,
    /// The derivation's place in the graph.
    pub index: usize,
    /// Which outputs.
    pub outputs: Vec<String>,
}

/// What to verify, and how.
pub struct Request<'a> {
    /// The derivations.
    pub graph: &'a Graph,
    /// What is to be done for each of them, as if the targets were not there.
    pub plan: &'a Plan,
    /// What to verify.
    pub targets: &'a [Target],
    /// The rounds.
    pub rounds: &'a RoundPlan,
    /// What to compare with.
    pub references: &'a [Reference],
    /// Machines that run at once.
    pub jobs: usize,
    /// What to do after a failure.
    pub on_failure: OnFailure,
    /// What to do about rounds that an earlier run finished.
    pub kept: KeptRounds,
}

/// One reference and what comparing with it gave.
#[derive(Debug)]
pub struct Compared {
    /// The reference.
    pub reference: Reference,
    /// Its bits, when it has any.
    pub nar_hash: Option<NarHash>,
    /// What came of it.
    pub comparison: Comparison,
}

/// What was found about one output.
#[derive(Debug)]
pub struct OutputResult {
    /// Its name.
    pub output: String,
    /// Its path; none when that is known only after a build.
    pub path: Option<StorePath>,
    /// What the rounds say.
    pub finding: Finding,
    /// What the references say.
    pub compared: Vec<Compared>,
    /// The verdict.
    pub conclusion: Conclusion,
    /// Where bits differ and why, against the first round that differs and against every reference that does.
    pub divergences: Vec<Divergence>,
}

impl OutputResult {
    /// Whether the only differences seen are under settings that Nix gives every builder the same.
    pub fn outside_contract(&self) -> bool {
        let different = |compared: &Compared| compared.comparison == Comparison::Different;
        self.finding.outside_contract() && !self.compared.iter().any(different)
    }
}

/// What was found about one target.
#[derive(Debug)]
pub struct TargetResult {
    /// The target.
    pub target: Target,
    /// Its derivation.
    pub drv: StorePath,
    /// Its rounds; none when it never came to that.
    pub rounds: Option<Rounds<RealiseError>>,
    /// Its outputs.
    pub outputs: Vec<OutputResult>,
    /// What its rounds are kept under until the verification is over.
    kept: Vec<RoundKey>,
}

/// How something that the targets were built from came into the store.
#[derive(Debug)]
pub struct Input {
    /// The path.
    pub path: StorePath,
    /// Where it came from.
    pub origin: Origin,
}

/// The result of a verification.
#[derive(Debug)]
pub struct Verification {
    /// The targets, in the order they were asked for.
    pub targets: Vec<TargetResult>,
    /// What failed of what the targets need.
    pub failed_inputs: Vec<RealiseError>,
    /// What they were built from: the frontier between what was built here and what was taken.
    pub inputs: Vec<Input>,
}

impl Verification {
    /// Lets the kept rounds go of every target that was built to the end: the next verification builds again. To be called
    /// when the result is delivered; until then an interruption costs nothing but what was running.
    pub fn forget_rounds(&self, store: &Store) -> Result<(), StoreError> {
        let is_over = |target: &&TargetResult| {
            target
                .rounds
                .as_ref()
                .is_some_and(|all| all.rounds.iter().chain(&all.probes).all(|round| round.built().is_some()))
        };
        let over = self.targets.iter().filter(is_over);
        over.flat_map(|target| &target.kept).try_for_each(|key| store.forget_round(key))
    }
}

/// Why a verification could not be finished; nothing is said about any output then.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// Building and registering.
    #[error(transparent)]
    Realise(#[from] RealiseError),
    /// Comparing.
    #[error(transparent)]
    Divergence(#[from] DivergenceError),
}

/// Verifies every target.
pub fn verify(
    request: &Request<'_>,
    realiser: &Realiser<'_>,
    native: Option<&dyn Native>,
) -> Result<Verification, VerifyError> {
    let graph = request.graph;
    let leave = lone_targets(graph, request.targets);
    let outcomes = realiser.realise(graph, request.plan, &leave, request.jobs, request.on_failure);
    let (mut failed, mut missing) = (Vec::new(), BTreeMap::new());
    for (index, outcome) in outcomes {
        let why = match outcome {
            Outcome::Done(()) => continue,
            Outcome::Failed(error) => {
                let why = error.to_string();
                failed.push(error);
                why
            }
            Outcome::Skipped(other) => format!("not tried: {} failed", graph.nodes()[other].drv),
            Outcome::Stopped => {
                format!(
                    "not tried: {} was to come after a failure; --keep-going goes on",
                    graph.nodes()[index].drv
                )
            }
        };
        missing.insert(index, why);
    }
    let mut targets = Vec::new();
    for target in request.targets {
        targets.push(verify_target(request, realiser, native, target, &missing)?);
    }
    let inputs = inputs(request, realiser)?;
    Ok(Verification { targets, failed_inputs: failed, inputs })
}

/// The targets that no other target needs: their rounds are the only builds they get.
fn lone_targets(graph: &Graph, targets: &[Target]) -> BTreeSet<usize> {
    let inputs: Vec<usize> =
        targets.iter().flat_map(|target| graph.nodes()[target.index].inputs.clone()).collect();
    let needed = graph.closure(&inputs);
    targets.iter().map(|target| target.index).filter(|index| needed.binary_search(index).is_err()).collect()
}

fn verify_target(
    request: &Request<'_>,
    realiser: &Realiser<'_>,
    native: Option<&dyn Native>,
    target: &Target,
    missing: &BTreeMap<usize, String>,
) -> Result<TargetResult, VerifyError> {
    let node = &request.graph.nodes()[target.index];
    let builder = TargetBuilder::new(realiser, request.graph, target.index, request.kept);
    let blocked = match first_missing(request, target.index, missing) {
        Some(why) => Some((Verdict::NotBuilt, why.clone())),
        None if node.derivation.is_fixed_output() => {
            let why = "it is a source: its hash says what it is, and there is nothing to build".to_owned();
            Some((Verdict::NotChecked, why))
        }
        None => match &request.plan.steps[target.index].action {
            Action::Refuse(why) => Some((Verdict::NotChecked, why.to_string())),
            _ => None,
        },
    };
    let rounds = blocked.is_none().then(|| run_rounds(request.rounds.clone(), &builder, request.jobs));
    let mut outputs = Vec::new();
    for output in &target.outputs {
        let path = node.derivation.output_path(output).cloned();
        let finding = match (&rounds, &blocked) {
            (Some(rounds), _) => rounds.finding(output),
            (None, blocked) => nothing_built(blocked.as_ref()),
        };
        outputs.push(verify_output(
            request,
            realiser,
            native,
            target,
            rounds.as_ref(),
            finding,
            output,
            path,
        )?);
    }
    let reproduced = |result: &OutputResult| result.conclusion.verdict == Verdict::Reproduced;
    // Only a derivation of which every output held is worth keeping under its name.
    let all = outputs.len() == node.derivation.outputs.len() && outputs.iter().all(reproduced);
    let (first, kept) = builder.finish();
    if let Some(first) = first.filter(|_| all) {
        realiser.register(&node.drv, &first)?;
    }
    Ok(TargetResult { target: target.clone(), drv: node.drv.clone(), rounds, outputs, kept })
}

/// Why something that has to be there to build `target` is not. What lies behind an input that is there does not matter.
fn first_missing<'a>(
    request: &Request<'_>,
    target: usize,
    missing: &'a BTreeMap<usize, String>,
) -> Option<&'a String> {
    let (mut seen, mut left) = (BTreeSet::new(), request.graph.nodes()[target].inputs.clone());
    while let Some(index) = left.pop() {
        let idle = matches!(request.plan.steps[index].action, Action::Present | Action::NotNeeded);
        if idle || !seen.insert(index) {
            continue;
        }
        if let Some(why) = missing.get(&index) {
            return Some(why);
        }
        left.extend(&request.graph.nodes()[index].inputs);
    }
    None
}

fn nothing_built(blocked: Option<&(Verdict, String)>) -> Finding {
    let (verdict, reason) = match blocked {
        Some((verdict, reason)) => (*verdict, Some(reason.clone())),
        None => (Verdict::NotChecked, None),
    };
    Finding {
        verdict,
        level: Level::Built,
        reason,
        nar_hash: None,
        other: None,
        flipped: Vec::new(),
        single: false,
        unsteady: false,
    }
}

#[allow(
    clippy::too_many_arguments,
    reason = "what one output depends on; a struct would only be taken apart again"
)]
fn verify_output(
    request: &Request<'_>,
    realiser: &Realiser<'_>,
    native: Option<&dyn Native>,
    target: &Target,
    rounds: Option<&Rounds<RealiseError>>,
    finding: Finding,
    output: &str,
    path: Option<StorePath>,
) -> Result<OutputResult, VerifyError> {
    let store = realiser.store;
    let mut divergences = Vec::new();
    if let (Some(first), Some((round, other)), Some(rounds)) = (finding.nar_hash, finding.other, rounds) {
        let proofs = proofs(&rounds.plan.base, &rounds.plan.settings(round), &finding);
        divergences.push(explain(store, format!("round {}", round + 1), first, other, &proofs)?);
    }
    let mut compared = Vec::new();
    if let (Some(ours), Some(path)) = (finding.nar_hash, &path) {
        compared.extend(compare_with_store(store, path, ours, rounds)?);
        let only = request.targets.len() == 1 && target.outputs.len() == 1;
        for reference in request.references {
            let node = &request.graph.nodes()[target.index];
            let theirs = fetch(reference, node, output, path, only, store, native);
            let comparison = match &theirs {
                Err(error) => Comparison::Missing { why: format!("{reference}: {error}") },
                Ok(theirs) if *theirs == ours => {
                    Comparison::Equal { independent: matches!(reference, Reference::Nix) }
                }
                Ok(_) => Comparison::Different,
            };
            compared.push(Compared { reference: reference.clone(), nar_hash: theirs.ok(), comparison });
        }
        for other in compared.iter().filter(|other| other.comparison == Comparison::Different) {
            if let Some(theirs) = other.nar_hash {
                divergences.push(explain(store, other.reference.to_string(), ours, theirs, &[])?);
            }
        }
    }
    let comparisons: Vec<Comparison> = compared.iter().map(|c| c.comparison.clone()).collect();
    let conclusion = conclude(&finding, &comparisons);
    Ok(OutputResult { output: output.to_owned(), path, finding, compared, conclusion, divergences })
}

/// The settings proven to flip the bits, with their two values.
fn proofs(base: &Settings, other: &Settings, finding: &Finding) -> Vec<Proof> {
    let proof = |setting: &crate::machine::Setting| Proof {
        setting: setting.name().to_owned(),
        a: base.value(*setting),
        b: other.value(*setting),
    };
    finding.flipped.iter().map(proof).collect()
}

/// What an earlier build of ours made of the same path, when there is one and it was another build. A round that was kept
/// from an interrupted run may be the very build that is registered: it is no second witness of itself.
fn compare_with_store(
    store: &Store,
    path: &StorePath,
    ours: NarHash,
    rounds: Option<&Rounds<RealiseError>>,
) -> Result<Option<Compared>, VerifyError> {
    let Some(info) = store.path(path).map_err(RealiseError::from)? else { return Ok(None) };
    if let Origin::Built { run } = &info.origin
        && rounds.is_some_and(|rounds| rounds.has_run(&run.to_string()))
    {
        return Ok(None);
    }
    let comparison = match info.nar_hash == ours {
        true => Comparison::Equal { independent: false },
        false => Comparison::Different,
    };
    Ok(Some(Compared { reference: Reference::OurStore, nar_hash: Some(info.nar_hash), comparison }))
}

/// Where everything the targets were built from came from, in the order of the graph; the targets themselves are not
/// among it. What was taken on trust is listed however deep it lies, also behind something that was there already.
fn inputs(request: &Request<'_>, realiser: &Realiser<'_>) -> Result<Vec<Input>, VerifyError> {
    let targets: BTreeSet<usize> = request.targets.iter().map(|target| target.index).collect();
    let roots: Vec<usize> = targets.iter().copied().collect();
    let mut seen = BTreeSet::new();
    let mut inputs = Vec::new();
    for index in request.graph.closure(&roots) {
        let (node, step) = (&request.graph.nodes()[index], &request.plan.steps[index]);
        let outputs = node.derivation.outputs.iter().filter(|_| !targets.contains(&index));
        let outputs =
            outputs.filter_map(|(name, output)| Some((step.outputs.contains(name), output.path()?)));
        let sources = node.derivation.input_srcs.iter().map(|path| (false, path));
        for (needed, path) in outputs.chain(sources) {
            let Some(info) = realiser.store.path(path).map_err(RealiseError::from)? else { continue };
            let on_trust = matches!(info.origin, Origin::HostStore | Origin::Substituted { .. });
            if (needed || on_trust) && seen.insert(info.path.clone()) {
                inputs.push(Input { path: info.path, origin: info.origin });
            }
        }
    }
    Ok(inputs)
}
