//! Fills a mirror: leaves first over a whole closure, each derivation built from what the mirror holds, verified to the level that
//! its policy asks, and admitted or refused. What is in is not built again, so that a killed run is simply begun again.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read as _,
    time::{Duration, SystemTime},
};

use super::{
    Mirror, MirrorError,
    admission::{self, Decision, REFUSAL_KIND, Refusal},
    claims::{Claimed, Worker},
    layout::{FileHash, HashPart, KeyId, Object},
    publish::{Entry, Published, Publisher},
    statement::{Admission, Ground},
    testimony,
};
use crate::{
    graph::{self, Choice, Frontier, Graph, Node, Plan},
    machine::Arch,
    nix::{hash::NarHash, make_path::Method, store_path::StorePath},
    schedule::{self, OnFailure, Outcome, RealiseError, Realiser},
    source::FixedOutput,
    store::{Origin, PathInfo, RunId, StoreError},
    verify::{
        reference::Native,
        rounds::RoundPlan,
        session::{Request, Target, TargetResult, verify},
        target::KeptRounds,
    },
};

/// Between two looks at what other workers are at.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a mirror is filled with, and by whom.
pub struct Populate<'a> {
    /// The mirror.
    pub mirror: &'a Mirror,
    /// Who admits.
    pub publisher: &'a Publisher<'a>,
    /// The derivations.
    pub graph: &'a Graph,
    /// Who builds.
    pub realiser: &'a Realiser<'a>,
    /// Who is at work.
    pub worker: &'a Worker,
    /// This host's own builds, to compare with.
    pub native: Option<&'a dyn Native>,
    /// Machines that run at once.
    pub jobs: usize,
    /// What to do about what was refused before.
    pub refused: OnRefused,
}

/// What to do about a derivation that this signer refused before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnRefused {
    /// It stays refused.
    Keep,
    /// It is built again.
    Retry,
}

/// What became of a derivation.
#[derive(Debug)]
pub enum Fate {
    /// All its outputs are in: now, or since before.
    In(Published),
    /// Its bits diverge, and the mirror says so.
    Refused(Refusal),
    /// It was refused by this signer in an earlier run.
    RefusedBefore,
    /// It is not in, for now.
    NotNow(String),
    /// Something it needs is not in: the derivation at this place of the graph.
    Blocked(usize),
    /// It could not be tried, or the mirror could not be written.
    Failed(MirrorError),
    /// It could not be built.
    NotBuilt(RealiseError),
    /// Another worker is at it.
    Theirs,
}

impl Fate {
    /// Whether nothing that another worker does can change it.
    fn is_settled(&self) -> bool {
        !matches!(self, Fate::Theirs | Fate::Blocked(_))
    }
}

impl From<MirrorError> for Fate {
    fn from(error: MirrorError) -> Self {
        Fate::Failed(error)
    }
}

impl From<RealiseError> for Fate {
    fn from(error: RealiseError) -> Self {
        Fate::NotBuilt(error)
    }
}

impl From<StoreError> for Fate {
    fn from(error: StoreError) -> Self {
        Fate::Failed(error.into())
    }
}

impl Populate<'_> {
    /// Admits what can be admitted of everything that was asked for, and says of each derivation what became of it, leaves first.
    /// Returns when there is nothing left that this worker or another one is still to do.
    pub fn run(&self) -> Result<Vec<(usize, Fate)>, MirrorError> {
        let mut fates: BTreeMap<usize, Fate> = BTreeMap::new();
        loop {
            let wanted = self.wanted()?;
            let tasks: Vec<usize> = wanted.keys().copied().collect();
            let place = |index: &usize| tasks.binary_search(index).ok();
            let inputs = |index: &usize| self.graph.nodes()[*index].inputs.iter().filter_map(place).collect();
            let needs: Vec<Vec<usize>> = tasks.iter().map(inputs).collect();
            let outcomes = schedule::run(&needs, self.jobs, OnFailure::KeepGoing, |task| {
                let index = tasks[task];
                // What could not be admitted a moment ago cannot be now.
                if fates.get(&index).is_some_and(Fate::is_settled) {
                    return Err(None);
                }
                self.admit(index, &wanted[&index]).map_err(Some)
            });
            for (index, outcome) in tasks.iter().zip(outcomes) {
                let fate = match outcome {
                    Outcome::Done(published) => Fate::In(published),
                    Outcome::Failed(Some(fate)) => fate,
                    Outcome::Failed(None) => continue,
                    Outcome::Skipped(task) => Fate::Blocked(tasks[task]),
                    Outcome::Stopped => Fate::NotNow("it was not tried".to_owned()),
                };
                fates.insert(*index, fate);
            }
            if !fates.values().any(|fate| matches!(fate, Fate::Theirs)) {
                return Ok(fates.into_iter().collect());
            }
            self.realiser.observer.note("waiting for another worker");
            std::thread::sleep(PATIENCE);
        }
    }

    /// What is to be built, and which outputs of it are needed: from what was asked for down to what the mirror holds already,
    /// without looking behind that. What was asked for is among it even so.
    fn wanted(&self) -> Result<BTreeMap<usize, BTreeSet<String>>, MirrorError> {
        let mut needed: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
        for root in self.graph.roots() {
            let outputs = self.graph.nodes()[*root].derivation.outputs.keys().cloned().collect();
            needed.insert(*root, outputs);
        }
        let mut wanted = BTreeMap::new();
        // Whoever needs a derivation stands behind it, so from the end everything is known in time.
        for (index, node) in self.graph.nodes().iter().enumerate().rev() {
            let Some(outputs) = needed.remove(&index).filter(|_| !node.derivation.is_fixed_output()) else {
                continue;
            };
            let held = self.holds(node, &outputs)?;
            if !held {
                for (input, outputs) in &node.derivation.input_drvs {
                    let input = self.graph.index_of(input).into_iter();
                    input.for_each(|input| needed.entry(input).or_default().extend(outputs.iter().cloned()));
                }
            }
            if !held || self.graph.roots().contains(&index) {
                wanted.insert(index, outputs);
            }
        }
        Ok(wanted)
    }

    /// Whether the mirror has a derivation: all outputs of one that was built; of one that was taken as it is those that are
    /// needed. One of which a killed writer admitted some outputs only is built again, and the others follow.
    fn holds(&self, node: &Node, needed: &BTreeSet<String>) -> Result<bool, MirrorError> {
        let mut all = true;
        let mut seeds = true;
        for (name, output) in &node.derivation.outputs {
            let there = match output.path() {
                Some(path) if self.mirror.narinfo(path)?.is_some() => Some(self.mirror.admission(path)?),
                _ => None,
            };
            all &= there.is_some();
            let is_seed = there.is_some_and(|admission| matches!(admission.ground, Ground::Seed { .. }));
            seeds &= is_seed || !needed.contains(name);
        }
        Ok(all || (seeds && !needed.is_empty()))
    }

    /// Builds, verifies and admits one derivation whose inputs are in.
    fn admit(&self, index: usize, needed: &BTreeSet<String>) -> Result<Published, Fate> {
        let node = &self.graph.nodes()[index];
        if self.holds(node, needed)? {
            // Of a mirror that an earlier release filled it may be missing.
            self.publisher.keep(self.graph, index)?;
            return Ok(Published::There);
        }
        let refused = Object::Refused(HashPart::of(&node.drv), KeyId::of(&self.publisher.key().public()));
        if self.refused == OnRefused::Keep
            && self.mirror.location().open(&refused.name()).map_err(MirrorError::from)?.is_some()
        {
            return Err(Fate::RefusedBefore);
        }
        // Of two processes with one state directory, whose claims are one's own, one waits here.
        let _alone = self.realiser.store.lock(&node.drv, || {
            self.realiser
                .observer
                .note(&format!("waiting for another process that builds {}", node.drv.name()))
        })?;
        if self.holds(node, needed)? {
            return Ok(Published::There);
        }
        if self.mirror.claim(&node.drv, self.worker, SystemTime::now())? == Claimed::Theirs {
            return Err(Fate::Theirs);
        }
        let admitted = self.build(index);
        self.mirror.release(&node.drv)?;
        admitted
    }

    fn build(&self, index: usize) -> Result<Published, Fate> {
        let node = &self.graph.nodes()[index];
        let inputs = self.inputs(index)?;
        let sources = self.sources(index)?;
        let target = self.verify(index)?;
        match admission::decide(self.mirror.policy(), &target) {
            Decision::Admit => {}
            Decision::NotNow(why) => return Err(Fate::NotNow(why)),
            Decision::Refuse(refusal) => {
                let object =
                    Object::Refused(HashPart::of(&node.drv), KeyId::of(&self.publisher.key().public()));
                self.publisher.put_signed(&object, REFUSAL_KIND, &refusal)?;
                return Err(Fate::Refused(refusal));
            }
        }
        self.publisher.keep(self.graph, index)?;
        let log = self.log(&target)?;
        let mut published = Published::There;
        for (output, info) in self.outputs(&target)? {
            self.sources_in(&info)?;
            let others = inputs.iter().map(|(path, _)| path).chain(&info.references);
            let seeds = self.mirror.seeds_of(others.filter(|path| **path != info.path))?;
            let admission = Admission {
                ground: Ground::Built { derivation: node.drv.clone(), output: output.output.clone() },
                inputs: inputs.iter().cloned().collect(),
                sources: sources.iter().map(|(path, hash)| (path.clone(), hash.hex())).collect(),
                seeds,
                log: log.as_ref().map(|log| FileHash::of(log).hex()),
            };
            let statements = testimony::statements(&target, output, &info, &admission.seeds, self.realiser)?;
            let entry =
                Entry { info: &info, admission: &admission, statements: &statements, log: log.as_deref() };
            match self.publisher.publish(&entry)? {
                Published::New => published = Published::New,
                Published::There => {}
                conflict @ Published::Conflict { .. } => return Ok(conflict),
            }
        }
        Ok(published)
    }

    /// The outputs of derivations that one is built from, brought from the mirror into our store, with the bits that they have.
    fn inputs(&self, index: usize) -> Result<Vec<(StorePath, NarHash)>, Fate> {
        let node = &self.graph.nodes()[index];
        let mut inputs = Vec::new();
        for (drv, outputs) in &node.derivation.input_drvs {
            let Some(input) = self.graph.index_of(drv).map(|input| &self.graph.nodes()[input]) else {
                continue;
            };
            if input.derivation.is_fixed_output() {
                continue;
            }
            for path in outputs.iter().filter_map(|output| input.derivation.output_path(output)) {
                self.mirror.bring(path, self.realiser.store)?;
                let info = self.realiser.store.path(path)?;
                inputs.extend(info.map(|info| (path.clone(), info.nar_hash)));
            }
        }
        Ok(inputs)
    }

    /// The sources that it is built from: found by hash, and kept in the mirror.
    fn sources(&self, index: usize) -> Result<Vec<(StorePath, FileHash)>, Fate> {
        let node = &self.graph.nodes()[index];
        let mut sources = Vec::new();
        for drv in node.derivation.input_drvs.keys() {
            let input = self.graph.index_of(drv).map(|input| &self.graph.nodes()[input]);
            let fixed = input.and_then(|input| FixedOutput::of(&input.drv, &input.derivation));
            let Some(fixed) = fixed else { continue };
            let info = self.realiser.sources.provide(&fixed).map_err(RealiseError::from)?.info;
            sources.push((info.path.clone(), self.publisher.escrow(&info, fixed.method)?));
        }
        let files = node.derivation.input_srcs.iter().cloned();
        for info in self.realiser.evaluated.import_all(files, self.realiser.store)? {
            sources.push((info.path.clone(), self.publisher.escrow(&info, Method::Recursive)?));
        }
        Ok(sources)
    }

    /// Sources that an output refers to come in before it.
    fn sources_in(&self, info: &PathInfo) -> Result<(), Fate> {
        for reference in &info.references {
            let held = self.realiser.store.path(reference)?;
            let is_source = held.is_some_and(|held| matches!(held.origin, Origin::Source { .. }));
            if is_source && self.mirror.narinfo(reference)?.is_none() {
                self.publisher.source(reference)?;
            }
        }
        Ok(())
    }

    /// Builds it as often and in as many machines as the policy says.
    fn verify(&self, index: usize) -> Result<TargetResult, Fate> {
        let node = &self.graph.nodes()[index];
        let policy = self.mirror.policy();
        let engines = policy.engines(&node.derivation.system);
        let system = || String::from_utf8_lossy(&node.derivation.system).into_owned();
        let arch = Arch::of_system(&node.derivation.system);
        let (Some(first), Some(arch)) = (engines.first(), arch) else {
            return Err(Fate::NotNow(format!("the mirror's policy admits nothing for {}", system())));
        };
        match self.realiser.machines.engine(arch) {
            Ok(engine) if engine == *first => {}
            _ => {
                let why =
                    format!("the mirror's policy wants {} builds in the machine {}", system(), first.name());
                return Err(Fate::NotNow(format!("{why}: name it with --machine")));
            }
        }
        let rounds = RoundPlan::new(policy.rounds, self.realiser.settings.clone(), &[]);
        let outputs = node.derivation.outputs.keys().cloned().collect();
        let target = Target {
            installable: node.drv.to_string(),
            index,
            outputs,
            policies: Vec::new(),
            system: None,
            counterpart: None,
        };
        let request = Request {
            graph: self.graph,
            plan: &self.plan(index),
            targets: &[target],
            rounds: &rounds,
            references: &[],
            engines: &engines,
            replay: policy.level == crate::verify::Level::Replayed as u8,
            accepted: None,
            jobs: 1,
            on_failure: OnFailure::Stop,
            kept: KeptRounds::TakeUp,
        };
        let mut verification = verify(&request, self.realiser, self.native);
        if let Some(error) = verification.failed_inputs.pop() {
            return Err(error.into());
        }
        verification.forget_rounds(self.realiser.store)?;
        let target = verification.targets.pop();
        let target = target.ok_or_else(|| Fate::NotNow("nothing was verified".to_owned()))?;
        failure_of(target)
    }

    /// A plan in which this derivation is built and nothing else is: its inputs are there.
    fn plan(&self, index: usize) -> Plan {
        let frontier =
            Frontier { choices: vec![Choice::Build; self.graph.nodes().len()], targets: vec![index] };
        let outputs = &self.graph.nodes()[index].derivation.outputs;
        let own = |path: &StorePath| outputs.values().any(|output| output.path() == Some(path));
        let present = |path: &StorePath| !own(path) && matches!(self.realiser.store.path(path), Ok(Some(_)));
        graph::plan(self.graph, &frontier, |system| Arch::of_system(system).is_some(), present, |_| false)
    }

    /// What the builder said in the first round.
    fn log(&self, target: &TargetResult) -> Result<Option<Vec<u8>>, Fate> {
        let first = target.rounds.as_ref().and_then(|rounds| rounds.rounds.first()?.built());
        let Some(run) = first.and_then(|built| built.run.parse::<RunId>().ok()) else { return Ok(None) };
        let Some(run) = self.realiser.store.run(run)? else { return Ok(None) };
        let mut log = Vec::new();
        run.open("log")?.read_to_end(&mut log).map_err(MirrorError::from)?;
        Ok(Some(log))
    }

    /// The outputs as they are registered in our store, each after those it refers to.
    fn outputs<'t>(
        &self,
        target: &'t TargetResult,
    ) -> Result<Vec<(&'t crate::verify::OutputResult, PathInfo)>, Fate> {
        let mut found = Vec::new();
        for output in &target.outputs {
            let info = output.path.as_ref().map(|path| self.realiser.store.path(path)).transpose()?.flatten();
            match info {
                Some(info) if Some(info.nar_hash) == output.finding.nar_hash => found.push((output, info)),
                _ => {
                    let why = format!("our store has other bits of {}, or none", output.output);
                    return Err(Fate::NotNow(why));
                }
            }
        }
        let mut ordered: Vec<(&crate::verify::OutputResult, PathInfo)> = Vec::new();
        while !found.is_empty() {
            let waits = |info: &PathInfo| {
                found
                    .iter()
                    .any(|(_, other)| other.path != info.path && info.references.contains(&other.path))
            };
            let Some(at) = found.iter().position(|(_, info)| !waits(info)) else {
                return Err(Fate::NotNow("its outputs refer to each other in a circle".to_owned()));
            };
            ordered.push(found.remove(at));
        }
        Ok(ordered)
    }
}

/// A target that never came to bits, because a round could not be built.
fn failure_of(mut target: TargetResult) -> Result<TargetResult, Fate> {
    let rounds = target.rounds.iter_mut().flat_map(|rounds| &mut rounds.rounds);
    for round in rounds {
        if let Some(Err(_)) = &round.result
            && let Some(Err(error)) = round.result.take()
        {
            return Err(Fate::NotBuilt(error));
        }
    }
    Ok(target)
}
