//! A whole diagnosis: what of the machine each output of the targets depends on, and what shows it in the bits.

use std::collections::BTreeMap;

use super::{
    Level, NOT_COMPARED, Verdict,
    acceptance::accept_diagnosed,
    brought,
    closure::Walk,
    conclusion::Conclusion,
    derivation::Round,
    divergence::{Divergence, explain},
    inputs::{Inputs, UnknownInput, round_down},
    isolate::{Dependence, Isolation, isolate},
    needs::{Needs, lone_targets},
    origin::{Observed, Origin},
    output::Note,
    session::Target,
    target::{KeptRounds, TargetBuilder},
};
use crate::{
    build::Observe,
    diagnose::{Accepted, Judgement, Proof},
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
    /// What may differ, when the project accepts anything.
    pub accepted: Option<&'a Accepted>,
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
    /// What they were built from and our store cannot say the origin of; with anything in here nothing is reproduced.
    pub unknown_inputs: Vec<UnknownInput>,
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
    /// The verdict: never better than what was built and compared, and what is known of what it was built from.
    pub conclusion: Conclusion,
    /// Where the bits differ and why: one for each setting or set that flips them.
    pub divergences: Vec<Divergence>,
    /// Where in the build it begins to differ: for each divergence, by the name of the build that shows it.
    pub origins: Vec<(String, Result<Origin, String>)>,
    /// Which accepted differences it has, and what else, where bits differ and some are accepted.
    pub judgement: Option<Judgement>,
    /// How store paths among the bits that differ came into the build.
    pub brought: Vec<Brought>,
    /// What could not be said about it.
    pub notes: Vec<Note>,
}

impl OutputDiagnosis {
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

/// What a dependence says of an output with these bits.
fn conclude(dependence: &Dependence, nar_hash: Option<NarHash>) -> Conclusion {
    let found = |verdict, level, reason| Conclusion { verdict, level, reason };
    match dependence {
        Dependence::Nothing => found(Verdict::Reproduced, Level::Varied, None),
        Dependence::Settings { .. } | Dependence::Unsteady => found(Verdict::Diverged, Level::Built, None),
        Dependence::Unknown(why) => {
            let verdict = if nar_hash.is_none() { Verdict::NotBuilt } else { Verdict::NotChecked };
            found(verdict, Level::Built, Some(why.clone()))
        }
    }
}

impl Diagnosis {
    /// Of targets, what failed of what they need, and what our store cannot say the origin of.
    fn new(
        mut targets: Vec<TargetDiagnosis>,
        failed_inputs: Vec<RealiseError>,
        unknown_inputs: Vec<UnknownInput>,
    ) -> Diagnosis {
        for output in targets.iter_mut().flat_map(|target| &mut target.outputs) {
            round_down(&mut output.conclusion, &unknown_inputs);
        }
        Diagnosis { targets, failed_inputs, unknown_inputs, walk: None }
    }

    /// What our store cannot say the origin of, of what the targets or anything looked through was built from: each once.
    pub fn unknown_inputs(&self) -> impl Iterator<Item = &UnknownInput> {
        let walked = self.walk.iter().flat_map(|walk| &walk.unknown_inputs);
        let all = self.unknown_inputs.iter().chain(walked).map(|input| (&input.path, input));
        all.collect::<BTreeMap<_, _>>().into_values()
    }

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
    let needs = Needs::realise(graph, plan, &lone_targets(graph, targets), realiser, jobs, on_failure);
    let diagnosed = targets.iter().map(|target| diagnose_target(request, realiser, target, &needs)).collect();
    let inputs = Inputs::of(graph, plan, targets.iter().map(|target| target.index), realiser.store);
    Diagnosis::new(diagnosed, needs.failed, inputs.unknown)
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
        if let Some(accepted) = request.accepted {
            accept_diagnosed(realiser.store, accepted, &isolation, output);
        }
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
    let dependence = Dependence::Unknown(why.to_owned());
    OutputDiagnosis {
        output: output.to_owned(),
        path: node.derivation.output_path(output).cloned(),
        nar_hash: None,
        conclusion: conclude(&dependence, None),
        dependence,
        divergences: Vec::new(),
        origins: Vec::new(),
        judgement: None,
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
    let dependence = isolation.dependence(output);
    OutputDiagnosis {
        output: output.to_owned(),
        path: node.derivation.output_path(output).cloned(),
        nar_hash,
        conclusion: conclude(&dependence, nar_hash),
        dependence,
        divergences,
        origins: Vec::new(),
        judgement: None,
        brought: Vec::new(),
        notes,
    }
}

/// What a round with one varied setting proves; of several at once none is proven alone.
pub(super) fn proofs(base: &Settings, round: &Round<RealiseError>) -> Vec<Proof> {
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
pub(crate) mod tests {
    use super::*;
    use crate::verify::{derivation::Built, inputs::tests::damaged, session::tests::path};

    #[test]
    fn the_host_name_is_varied_though_nix_fixes_it_and_the_rest_of_that_when_asked() {
        use Setting::{BuildDir, Clock, Cores, Hostname, Memory, Rate, Seed};
        assert_eq!(varied(&[]), [Clock, Seed, Rate, Memory, Cores, Hostname]);
        assert_eq!(varied(&[BuildDir]).last(), Some(&BuildDir));
    }

    /// The only output of a derivation.
    pub(crate) fn output(dependence: Dependence, nar_hash: Option<NarHash>) -> OutputDiagnosis {
        OutputDiagnosis {
            conclusion: conclude(&dependence, nar_hash),
            nar_hash,
            dependence,
            output: "out".to_owned(),
            path: None,
            divergences: Vec::new(),
            origins: Vec::new(),
            judgement: None,
            brought: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// A diagnosis of one target with these outputs.
    pub(crate) fn diagnosis(outputs: Vec<OutputDiagnosis>, unknown: Vec<UnknownInput>) -> Diagnosis {
        let target = Target {
            installable: ".#a".to_owned(),
            index: 0,
            outputs: vec!["out".to_owned()],
            policies: vec![],
            system: None,
            counterpart: None,
        };
        let (drv, kept) = (path("a.drv"), Vec::new());
        let target = TargetDiagnosis { target, drv, isolation: None, outputs, kept };
        Diagnosis::new(vec![target], Vec::new(), unknown)
    }

    const BITS: Option<NarHash> = Some(NarHash([1; 32]));

    #[test]
    fn what_only_an_unusual_host_would_see_is_told_from_what_any_could() {
        let alone = |alone: &[Setting]| {
            output(Dependence::Settings { alone: alone.to_vec(), together: Vec::new() }, BITS)
        };
        assert!(alone(&[Setting::Hostname]).outside_contract());
        assert!(!alone(&[Setting::Hostname, Setting::Clock]).outside_contract());
        assert!(!output(Dependence::Nothing, BITS).outside_contract());
    }

    #[test]
    fn bits_that_differ_only_in_what_is_accepted_are_equivalent_while_every_build_is_there() {
        let text = "[[accepted]]\npath = \".\"\ncause = \"embedded-build-time\"\nreason = \"r\"\nowner = \"o\"\nexpires = 2030-01-01";
        let accepted = Accepted::parse(text).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("state")).unwrap();
        let bits = |text: &str| {
            std::fs::write(dir.path().join("bits"), text).unwrap();
            store.add_tree(&dir.path().join("bits")).unwrap().hash
        };
        let [ours, later, other] = ["made Nov 21 2026", "made Jan  1 2020", "sold Jan  2 2021"].map(bits);
        let judged = |rounds: &[Option<NarHash>], unknown: Vec<UnknownInput>| {
            let round = |(number, hash): (usize, &Option<NarHash>)| {
                let outputs = hash.map(|hash| ("out".to_owned(), hash)).into_iter().collect();
                let built = Built { outputs, run: String::new(), instructions: None, wall: None };
                let (label, settings) = (format!("round {number}"), Settings::default());
                Round { label, settings, varied: Vec::new(), result: hash.map(|_| Ok(built)) }
            };
            let rounds = rounds.iter().enumerate().map(round).collect();
            let isolation = Isolation { base: Settings::default(), tried: Vec::new(), rounds };
            let mut output = output(Dependence::Unsteady, Some(ours));
            accept_diagnosed(&store, &accepted, &isolation, &mut output);
            diagnosis(vec![output], unknown).targets.remove(0).outputs.remove(0)
        };
        let verdict = |rounds: &[Option<NarHash>]| judged(rounds, Vec::new()).conclusion.verdict;
        assert_eq!(verdict(&[Some(ours), Some(later)]), Verdict::Equivalent);
        assert_eq!(verdict(&[Some(ours), Some(later), Some(other)]), Verdict::Diverged);
        assert_eq!(verdict(&[Some(ours), Some(later), None]), Verdict::Diverged);
        assert_eq!(verdict(&[Some(ours), Some(NarHash([9; 32]))]), Verdict::Diverged);
        let unknown = judged(&[Some(ours), Some(later)], vec![damaged("b")]);
        assert_eq!(unknown.conclusion.verdict, Verdict::NotChecked);
        assert_eq!(unknown.judgement.unwrap().met[0].number, 1);
    }

    #[test]
    fn nothing_is_reproduced_while_an_input_is_unknown() {
        let verdict = |dependence, bits, unknown| {
            let diagnosis = diagnosis(vec![output(dependence, bits)], unknown);
            diagnosis.targets[0].outputs[0].conclusion.clone()
        };
        let unknown = || vec![damaged("b")];
        let settings = || Dependence::Settings { alone: vec![Setting::Clock], together: Vec::new() };
        let not_known = || Dependence::Unknown("it broke".to_owned());
        assert_eq!(verdict(Dependence::Nothing, BITS, Vec::new()).verdict, Verdict::Reproduced);
        let down = verdict(Dependence::Nothing, BITS, unknown());
        assert_eq!((down.verdict, down.level), (Verdict::NotChecked, Level::Built));
        assert!(down.reason.unwrap().contains("-b came from"));
        // What is worse stays what it is.
        assert_eq!(verdict(settings(), BITS, unknown()).verdict, Verdict::Diverged);
        assert_eq!(verdict(Dependence::Unsteady, BITS, unknown()).verdict, Verdict::Diverged);
        assert_eq!(verdict(not_known(), None, unknown()).verdict, Verdict::NotBuilt);
        let open = verdict(not_known(), BITS, unknown());
        assert_eq!((open.verdict, open.reason.as_deref()), (Verdict::NotChecked, Some("it broke")));
    }
}
