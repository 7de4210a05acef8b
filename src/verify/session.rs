//! A whole verification: what the targets need, their rounds, the references, a verdict for every output.

use super::{
    Level, Verdict,
    across::Counterpart,
    brought,
    builds::{self, FirstBuilds},
    derivation::{Builder as _, Built, Finding, Rounds},
    inputs::{Input, Inputs, UnknownInput, round_down},
    needs::{Needs, lone_targets},
    output::{Note, Other, OutputCheck, OutputResult},
    reference::{Against, Native, Reference},
    replay::{Replay, Sameness},
    rounds::RoundPlan,
    target::{KeptRounds, TargetBuilder},
};
use crate::{
    diagnose::Accepted,
    graph::{Graph, Plan},
    machine::{Arch, Engine},
    nix::store_path::StorePath,
    release::signers::Signers,
    schedule::{OnFailure, RealiseError, Realiser},
    store::{RoundKey, Store, StoreError},
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
    /// The policies that were made to hold in what it needs, each with what it looked at: the derivation is not the one that the
    /// installable evaluates to.
    pub policies: Vec<String>,
    /// The system it is for, where it is verified for several.
    pub system: Option<String>,
    /// What its outputs are compared with across systems. What builds it comes before it.
    pub counterpart: Option<Counterpart>,
}

impl Target {
    /// What one of its outputs is called by a person.
    pub fn name(&self, output: &str) -> String {
        let name = match &self.system {
            None => format!("{}^{output}", self.installable),
            Some(system) => format!("{}^{output} on {system}", self.installable),
        };
        match &self.policies[..] {
            [] => name,
            policies => format!("{name} with {}", policies.join(", ")),
        }
    }
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
    pub references: &'a [Against],
    /// Who has to agree about what is compared with in binary caches, if anybody has to.
    pub signers: Option<&'a Signers>,
    /// Kinds of machine. The first that runs a target does its rounds; what each further one makes of it is compared.
    pub engines: &'a [Engine],
    /// Whether round 1 is run once more under the very same settings, to see whether it is the same run.
    pub replay: bool,
    /// What may differ, when the project accepts anything.
    pub accepted: Option<&'a Accepted>,
    /// Machines that run at once.
    pub jobs: usize,
    /// What to do after a failure.
    pub on_failure: OnFailure,
    /// What to do about rounds that an earlier run finished.
    pub kept: KeptRounds,
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
    pub kept: Vec<RoundKey>,
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
    /// What of it cannot be said; with anything in here nothing is reproduced.
    pub unknown_inputs: Vec<UnknownInput>,
}

impl Verification {
    /// Never better than what is known of what the targets were built from.
    fn round_down(&mut self) {
        for output in self.targets.iter_mut().flat_map(|target| &mut target.outputs) {
            round_down(&mut output.conclusion, &self.unknown_inputs);
        }
    }

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

/// Verifies every target.
pub fn verify(request: &Request<'_>, realiser: &Realiser<'_>, native: Option<&dyn Native>) -> Verification {
    let Request { graph, plan, jobs, on_failure, .. } = *request;
    let needs =
        Needs::realise(graph, plan, &lone_targets(graph, request.targets), realiser, jobs, on_failure);
    let prepared: Vec<Prepared<'_, '_>> = request
        .targets
        .iter()
        .map(|target| Prepared {
            target,
            builder: TargetBuilder::new(realiser, graph, target.index, request.kept),
            blocked: needs.blocked(graph, plan, target.index),
        })
        .collect();
    let builders: Vec<_> = prepared.iter().map(Prepared::builder).collect();
    let derivations: Vec<usize> = request.targets.iter().map(|target| target.index).collect();
    let aside = |n: usize| {
        let Target { counterpart, outputs, .. } = prepared[n].target;
        counterpart.as_ref()?.by_nix(outputs, realiser.store, native)
    };
    let builds = builds::first(request.rounds, &builders, &derivations, aside, jobs);
    let mut targets: Vec<TargetResult> = Vec::with_capacity(request.targets.len());
    for (prepared, builds) in prepared.into_iter().zip(builds) {
        let result = judge(request, realiser, native, prepared, builds, &targets);
        targets.push(result);
    }
    let inputs = Inputs::of(request.graph, request.plan, derivations, realiser.store);
    let mut verification = Verification {
        targets,
        failed_inputs: needs.failed,
        inputs: inputs.known,
        unknown_inputs: inputs.unknown,
    };
    verification.round_down();
    verification
}

/// A target that can be built, or why not.
struct Prepared<'a, 'r> {
    target: &'a Target,
    builder: TargetBuilder<'a, 'r>,
    blocked: Option<(Verdict, String)>,
}

impl<'a, 'r> Prepared<'a, 'r> {
    fn builder(&self) -> Option<&TargetBuilder<'a, 'r>> {
        self.blocked.is_none().then_some(&self.builder)
    }
}

/// What the builds of a target show, and what more of them that takes; `done` are the targets before it.
fn judge(
    request: &Request<'_>,
    realiser: &Realiser<'_>,
    native: Option<&dyn Native>,
    prepared: Prepared<'_, '_>,
    builds: FirstBuilds<RealiseError, Other>,
    done: &[TargetResult],
) -> TargetResult {
    let Prepared { target, builder, blocked } = prepared;
    let FirstBuilds { mut rounds, aside } = builds;
    let node = &request.graph.nodes()[target.index];
    let mut others = Vec::new();
    if let Some(rounds) = &mut rounds {
        rounds.probe(&builder, request.jobs);
        others.extend(other_machines(request, realiser, target.index));
        let counterpart = target.counterpart.as_ref();
        others.extend(aside.or_else(|| counterpart?.by_target(&target.outputs, done)));
    }
    let first = rounds.as_ref().and_then(|rounds| rounds.rounds.first()?.built()).filter(|_| request.replay);
    let replay = first.map(|first| replay(request, realiser, &builder, first));
    let check = OutputCheck {
        others: &others,
        replay: replay.as_ref(),
        store: realiser.store,
        node,
        rounds: rounds.as_ref(),
        references: request.references,
        accepted: request.accepted,
        native,
        signers: request.signers,
        one_target: request.targets.len() == 1,
        one_output: target.outputs.len() == 1,
    };
    let finding = |output: &str| match &rounds {
        Some(rounds) => rounds.finding(output),
        None => nothing_built(blocked.as_ref()),
    };
    let mut outputs: Vec<OutputResult> =
        target.outputs.iter().map(|output| check.run(output, finding(output))).collect();
    for result in &mut outputs {
        result.brought = brought::of(request.graph, target.index, &result.divergences);
    }
    let reproduced = |result: &OutputResult| result.conclusion.verdict == Verdict::Reproduced;
    // Only a derivation of which every output held is worth keeping under its name.
    let all = outputs.len() == node.derivation.outputs.len() && outputs.iter().all(reproduced);
    let (first, kept) = builder.finish();
    if let Some(Err(error)) = first.filter(|_| all).map(|first| realiser.register(&node.drv, &first)) {
        let note = Note { code: error.code(), text: format!("not registered in our store: {error}") };
        outputs.iter_mut().for_each(|output| output.notes.push(note.clone()));
    }
    TargetResult { target: target.clone(), drv: node.drv.clone(), rounds, outputs, kept }
}

/// Runs round 1, which made `first`, once more.
fn replay(
    request: &Request<'_>,
    realiser: &Realiser<'_>,
    builder: &TargetBuilder<'_, '_>,
    first: &Built,
) -> Replay {
    let built = match builder.build(&request.rounds.base, "replay") {
        Ok(built) => built,
        Err(error) => {
            let why = error.to_string();
            return Replay { built: Err(why.clone()), sameness: Sameness::Unknown(why) };
        }
    };
    let sameness = match (realiser.record(&first.run), realiser.record(&built.run)) {
        (Ok(first), Ok(second)) => Sameness::of(&first, &second),
        (Err(error), _) | (_, Err(error)) => Sameness::Unknown(error.to_string()),
    };
    Replay { built: Ok((built.outputs, built.run)), sameness }
}

/// What every machine but the first makes of a target, under the settings that are not varied.
fn other_machines(request: &Request<'_>, realiser: &Realiser<'_>, index: usize) -> Vec<Other> {
    let system = &request.graph.nodes()[index].derivation.system;
    let fitting =
        request.engines.iter().filter(|engine| Arch::of_system(system).is_some_and(|arch| engine.runs(arch)));
    let build = |engine: &Engine| {
        let host = realiser.host_in(*engine, request.graph, index).map_err(|error| error.to_string())?;
        let built = realiser.build_in(&host, request.graph, index, realiser.settings, engine.name());
        let built = built.map_err(|error| error.to_string())?;
        Ok(built.outputs.into_iter().map(|(name, output)| (name, output.nar_hash)).collect())
    };
    let other = |engine: &Engine| Other {
        reference: Reference::Machine(*engine),
        shows: Level::CrossEngine,
        outputs: build(engine),
    };
    fitting.skip(1).map(other).collect()
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

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        machine::Settings,
        nix::hash::NarHash,
        store::RunId,
        verify::{
            derivation::{Built, Round},
            inputs::tests::damaged,
        },
    };

    pub(crate) fn path(name: &str) -> StorePath {
        StorePath::from_base_name(format!("{}-{name}", "0".repeat(32)).as_bytes()).unwrap()
    }

    fn key(round: &str) -> RoundKey {
        let nothing = String::new;
        RoundKey {
            derivation: path("a.drv"),
            round: round.to_owned(),
            settings: nothing(),
            inputs: nothing(),
            bundle: nothing(),
            engine: nothing(),
            tool: nothing(),
        }
    }

    /// Two rounds with equal bits, the first from an earlier run.
    pub(crate) fn verification() -> Verification {
        let hash = NarHash([1; 32]);
        let round = |label: &str, wall| Round {
            label: label.to_owned(),
            settings: Settings::default(),
            varied: Vec::new(),
            result: Some(Ok(Built {
                outputs: [("out".to_owned(), hash)].into(),
                run: RunId([2; 32]).to_string(),
                instructions: Some(1_000_000),
                wall,
            })),
        };
        let rounds = Rounds {
            rounds: vec![round("round 1", None), round("round 2", Some(Duration::from_secs(3)))],
            probes: Vec::new(),
            plan: RoundPlan::new(2, Settings::default(), &[]),
        };
        let finding = rounds.finding("out");
        let conclusion = crate::verify::conclusion::conclude(&finding, &[]);
        let output = OutputResult {
            output: "out".to_owned(),
            path: Some(path("a")),
            finding,
            compared: Vec::new(),
            conclusion,
            divergences: Vec::new(),
            brought: Vec::new(),
            judgement: None,
            notes: Vec::new(),
        };
        let target = Target {
            installable: ".#a".to_owned(),
            index: 0,
            outputs: vec!["out".to_owned()],
            policies: vec![],
            system: None,
            counterpart: None,
        };
        let kept = vec![key("round 1"), key("round 2")];
        let target =
            TargetResult { target, drv: path("a.drv"), rounds: Some(rounds), outputs: vec![output], kept };
        Verification {
            targets: vec![target],
            failed_inputs: Vec::new(),
            inputs: Vec::new(),
            unknown_inputs: Vec::new(),
        }
    }

    #[test]
    fn nothing_is_reproduced_while_an_input_is_unknown() {
        let mut verification = verification();
        verification.round_down();
        assert_eq!(verification.targets[0].outputs[0].conclusion.verdict, Verdict::Reproduced);
        verification.unknown_inputs.push(damaged("b"));
        verification.round_down();
        let conclusion = &verification.targets[0].outputs[0].conclusion;
        assert_eq!((conclusion.verdict, conclusion.level), (Verdict::NotChecked, Level::Built));
        assert!(conclusion.reason.as_ref().unwrap().contains("-b came from"));
    }

    #[test]
    fn rounds_stay_on_record_until_every_one_of_the_target_is_built() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let run = store.save_run(&path("a.drv"), &(), &[]).unwrap();
        let round = crate::store::Round { run, outputs: Default::default() };
        store.save_round(&key("round 1"), &round).unwrap();
        let there = || store.round(&key("round 1")).unwrap().is_some();
        let mut interrupted = verification();
        if let Some(rounds) = &mut interrupted.targets[0].rounds {
            rounds.rounds[1].result = None;
        }
        interrupted.forget_rounds(&store).unwrap();
        assert!(there());
        verification().forget_rounds(&store).unwrap();
        assert!(!there());
    }
}
