//! A whole diagnosis: what of the machine each output of the targets depends on, and what shows it in the bits.

use super::{
    NOT_COMPARED, Verdict, brought,
    closure::Walk,
    derivation::Round,
    divergence::{Divergence, explain},
    isolate::{Dependence, Isolation, isolate},
    needs::Needs,
    origin::{Observed, Origin},
    output::Note,
    session::Target,
    target::{KeptRounds, TargetBuilder},
};
use crate::{
    build::Observe,
    diagnose::Proof,
    graph::{Brought, Graph, Node, Plan},
    machine::{Contract, Setting, Settings},
    nix::{hash::NarHash, store_path::StorePath},
    schedule::{OnFailure, RealiseError, Realiser},
    store::{RoundKey, Store, StoreError},
};

/// What to diagnose, and how.
pub struct Request<'a> {
    /// The derivations.
    pub graph: &'a Graph,
    /// What is to be done for each of them, as if the targets were not there.
    pub plan: &'a Plan,
    /// What to diagnose.
    pub targets: &'a [Target],
    /// What is varied, one setting at a time.
    pub vary: &'a [Setting],
    /// Machines that run at once.
    pub jobs: usize,
    /// What to do after a failure.
    pub on_failure: OnFailure,
    /// What to do about builds that an earlier run finished.
    pub kept: KeptRounds,
    /// Whether builds that differ are built once more, to look at their processes.
    pub observe: Observe,
}

/// What a diagnosis varies when nothing else is asked for: whatever Nix's contract leaves open, and the host name, which it
/// fixes and which other ways of building do not.
pub fn varied(also: &[Setting]) -> Vec<Setting> {
    let usual = |which: &Setting| which.contract() == Contract::Open || *which == Setting::Hostname;
    Setting::ALL.into_iter().filter(|which| usual(which) || also.contains(which)).collect()
}

/// The result of a diagnosis.
#[derive(Debug)]
pub struct Diagnosis {
    /// The targets, in the order they were asked for.
    pub targets: Vec<TargetDiagnosis>,
    /// What failed of what the targets need.
    pub failed_inputs: Vec<RealiseError>,
    /// Where in the graph bits begin to differ, when that was looked for: the targets are those then.
    pub walk: Option<Walk>,
}

/// What was found about one target.
#[derive(Debug)]
pub struct TargetDiagnosis {
    /// The target.
    pub target: Target,
    /// Its derivation.
    pub drv: StorePath,
    /// Its builds; none when it never came to that.
    pub isolation: Option<Isolation<RealiseError>>,
    /// Its outputs.
    pub outputs: Vec<OutputDiagnosis>,
    /// What its builds are kept under until the diagnosis is over.
    kept: Vec<RoundKey>,
}

/// What was found about one output.
#[derive(Debug)]
pub struct OutputDiagnosis {
    /// Its name.
    pub output: String,
    /// Its path; none when that is known only after a build.
    pub path: Option<StorePath>,
    /// The bits of round 1.
    pub nar_hash: Option<NarHash>,
    /// What they depend on.
    pub dependence: Dependence,
    /// Where the bits differ and why: one for each setting or set that flips them.
    pub divergences: Vec<Divergence>,
    /// Where in the build it begins to differ: for each divergence, by the name of the build that shows it.
    pub origins: Vec<(String, Result<Origin, String>)>,
    /// How store paths among the bits that differ came into the build.
    pub brought: Vec<Brought>,
    /// What could not be said about it.
    pub notes: Vec<Note>,
}

impl OutputDiagnosis {
    /// The verdict: never better than what was built and compared.
    pub fn verdict(&self) -> Verdict {
        match &self.dependence {
            Dependence::Nothing => Verdict::Reproduced,
            Dependence::Settings { .. } | Dependence::Unsteady => Verdict::Diverged,
            Dependence::Unknown(_) if self.nar_hash.is_none() => Verdict::NotBuilt,
            Dependence::Unknown(_) => Verdict::NotChecked,
        }
    }

    /// Every setting that has a part in it.
    pub fn settings(&self) -> impl Iterator<Item = Setting> {
        let sets = match &self.dependence {
            Dependence::Settings { alone, together } => [alone.as_slice(), together.as_slice()],
            _ => [&[][..]; 2],
        };
        sets.into_iter().flatten().copied()
    }

    /// Whether the bits depend only on what Nix gives every builder the same.
    pub fn outside_contract(&self) -> bool {
        let fixed = |which: Setting| which.contract() == Contract::Fixed;
        self.settings().next().is_some() && self.settings().all(fixed)
    }
}

impl Diagnosis {
    /// Lets the kept builds go of every target that was built to the end. To be called when the result is delivered.
    pub fn forget_rounds(&self, store: &Store) -> Result<(), StoreError> {
        let whole = |target: &&TargetDiagnosis| {
            let rounds = target.isolation.iter().flat_map(|isolation| &isolation.rounds);
            rounds.into_iter().all(|round| round.built().is_some())
        };
        let over = self.targets.iter().filter(whole);
        over.flat_map(|target| &target.kept).try_for_each(|key| store.forget_round(key))
    }
}

/// Diagnoses every target.
pub fn diagnose(request: &Request<'_>, realiser: &Realiser<'_>) -> Diagnosis {
    let Request { graph, plan, targets, jobs, on_failure, .. } = *request;
    let needs = Needs::realise(graph, plan, targets, realiser, jobs, on_failure);
    let targets = targets.iter().map(|target| diagnose_target(request, realiser, target, &needs)).collect();
    Diagnosis { targets, failed_inputs: needs.failed, walk: None }
}

fn diagnose_target(
    request: &Request<'_>,
    realiser: &Realiser<'_>,
    target: &Target,
    needs: &Needs,
) -> TargetDiagnosis {
    let node = &request.graph.nodes()[target.index];
    let (target, drv) = (target.clone(), node.drv.clone());
    if let Some((_, why)) = needs.blocked(request.graph, request.plan, target.index) {
        let output = |name: &String| blocked(node, name, &why);
        let outputs = target.outputs.iter().map(output).collect();
        return TargetDiagnosis { target, drv, isolation: None, outputs, kept: Vec::new() };
    }
    let builder = TargetBuilder::new(realiser, request.graph, target.index, request.kept);
    let isolation = isolate(realiser.settings, request.vary, &target.outputs, &builder, request.jobs);
    let output = |name: &String| output(realiser.store, node, &isolation, name);
    let mut outputs: Vec<OutputDiagnosis> = target.outputs.iter().map(output).collect();
    for output in &mut outputs {
        output.brought = brought::of(request.graph, target.index, &output.divergences);
    }
    if request.observe == Observe::Processes {
        let place = (request.graph, target.index);
        let observed = Observed::of(&isolation, &target.outputs, place, realiser, request.jobs);
        for output in &mut outputs {
            let origin = |one: &Divergence| (one.against.clone(), observed.origin(&isolation, output, one));
            output.origins = output.divergences.iter().map(origin).collect();
        }
    }
    let (_, kept) = builder.finish();
    TargetDiagnosis { target, drv, isolation: Some(isolation), outputs, kept }
}

fn blocked(node: &Node, output: &str, why: &str) -> OutputDiagnosis {
    OutputDiagnosis {
        output: output.to_owned(),
        path: node.derivation.output_path(output).cloned(),
        nar_hash: None,
        dependence: Dependence::Unknown(why.to_owned()),
        divergences: Vec::new(),
        origins: Vec::new(),
        brought: Vec::new(),
        notes: Vec::new(),
    }
}

fn output(store: &Store, node: &Node, isolation: &Isolation<RealiseError>, output: &str) -> OutputDiagnosis {
    let nar_hash = isolation.first().and_then(|first| first.get(output)).copied();
    let (mut divergences, mut notes) = (Vec::new(), Vec::new());
    for round in isolation.witnesses(output) {
        let other = round.built().and_then(|built| built.outputs.get(output)).copied();
        let (Some(ours), Some(other)) = (nar_hash, other) else { continue };
        let proofs = proofs(&isolation.base, round);
        match explain(store, round.label.clone(), ours, other, &proofs) {
            Ok(divergence) => divergences.push(divergence),
            Err(error) => notes.push(Note {
                code: NOT_COMPARED,
                text: format!("where the bits of {} differ is not known: {error}", round.label),
            }),
        }
    }
    OutputDiagnosis {
        output: output.to_owned(),
        path: node.derivation.output_path(output).cloned(),
        nar_hash,
        dependence: isolation.dependence(output),
        divergences,
        origins: Vec::new(),
        brought: Vec::new(),
        notes,
    }
}

/// What a round with one varied setting proves; of several at once none is proven alone.
fn proofs(base: &Settings, round: &Round<RealiseError>) -> Vec<Proof> {
    match round.varied.as_slice() {
        [which] => vec![Proof {
            setting: which.name().to_owned(),
            a: base.value(*which),
            b: round.settings.value(*which),
        }],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_name_is_varied_though_nix_fixes_it_and_the_rest_of_that_when_asked() {
        use Setting::{BuildDir, Clock, Cores, Hostname, Memory, Rate, Seed};
        assert_eq!(varied(&[]), [Clock, Seed, Rate, Memory, Cores, Hostname]);
        assert_eq!(varied(&[BuildDir]).last(), Some(&BuildDir));
    }

    #[test]
    fn what_only_an_unusual_host_would_see_is_told_from_what_any_could() {
        let output = |alone: &[Setting]| OutputDiagnosis {
            nar_hash: Some(NarHash([1; 32])),
            dependence: Dependence::Settings { alone: alone.to_vec(), together: Vec::new() },
            output: "out".to_owned(),
            path: None,
            divergences: Vec::new(),
            origins: Vec::new(),
            brought: Vec::new(),
            notes: Vec::new(),
        };
        assert!(output(&[Setting::Hostname]).outside_contract());
        assert!(!output(&[Setting::Hostname, Setting::Clock]).outside_contract());
        let nothing = OutputDiagnosis { dependence: Dependence::Nothing, ..output(&[]) };
        assert!(!nothing.outside_contract() && nothing.verdict() == Verdict::Reproduced);
        let unknown = |nar_hash| OutputDiagnosis {
            dependence: Dependence::Unknown(String::new()),
            nar_hash,
            ..output(&[])
        };
        assert_eq!(unknown(None).verdict(), Verdict::NotBuilt);
        assert_eq!(unknown(Some(NarHash([1; 32]))).verdict(), Verdict::NotChecked);
    }
}
