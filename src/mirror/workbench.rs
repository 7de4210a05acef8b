//! One derivation, built from what a mirror holds and verified as its policy asks: what whoever fills the mirror does, and whoever
//! proves it again.

use std::{collections::BTreeMap, io::Read as _};

use super::{Mirror, MirrorError};
use crate::{
    graph::{self, Choice, Frontier, Graph, Plan},
    machine::{Arch, Engine},
    nix::{hash::NarHash, store_path::StorePath},
    schedule::{Member, OnFailure, RealiseError, Realiser},
    store::{PathInfo, RunId, StoreError},
    verify::{
        OutputResult,
        reference::Native,
        rounds::RoundPlan,
        session::{Request, Target, TargetResult, verify},
        target::KeptRounds,
    },
};

/// Where it is done.
pub struct Workbench<'a> {
    /// The mirror that inputs come from, and whose policy says how often and in which machines it is built.
    pub mirror: &'a Mirror,
    /// The derivations.
    pub graph: &'a Graph,
    /// Who builds.
    pub realiser: &'a Realiser<'a>,
    /// This host's own builds, to compare with.
    pub native: Option<&'a dyn Native>,
    /// What of the machines is for it.
    pub member: &'a Member<'a>,
}

/// Why there is no verdict.
#[derive(Debug)]
pub enum Obstacle {
    /// It could not be tried, or was not brought to an end.
    NotNow(String),
    /// It could not be built.
    NotBuilt(RealiseError),
    /// The mirror, or our store, failed.
    Failed(MirrorError),
}

impl From<MirrorError> for Obstacle {
    fn from(error: MirrorError) -> Self {
        Obstacle::Failed(error)
    }
}

impl From<RealiseError> for Obstacle {
    fn from(error: RealiseError) -> Self {
        Obstacle::NotBuilt(error)
    }
}

impl From<StoreError> for Obstacle {
    fn from(error: StoreError) -> Self {
        Obstacle::Failed(error.into())
    }
}

impl Workbench<'_> {
    /// The outputs of derivations that one is built from, brought from the mirror into our store, with the bits that they have.
    pub(super) fn inputs(&self, index: usize) -> Result<BTreeMap<StorePath, NarHash>, Obstacle> {
        let node = &self.graph.nodes()[index];
        let mut inputs = BTreeMap::new();
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

    /// The machines that the policy names for it, if it is admitted at all and these are the ones that we have.
    pub(super) fn engines(&self, index: usize) -> Result<Vec<Engine>, Obstacle> {
        let node = &self.graph.nodes()[index];
        let engines = self.mirror.policy().engines(&node.derivation.system);
        let system = || String::from_utf8_lossy(&node.derivation.system).into_owned();
        let arch = Arch::of_system(&node.derivation.system);
        let (Some(first), Some(arch)) = (engines.first(), arch) else {
            return Err(Obstacle::NotNow(format!("the mirror's policy admits nothing for {}", system())));
        };
        match self.realiser.machines.engine(arch) {
            Ok(engine) if engine == *first => Ok(engines),
            _ => {
                let why =
                    format!("the mirror's policy wants {} builds in the machine {}", system(), first.name());
                Err(Obstacle::NotNow(format!("{why}: name it with --machine")))
            }
        }
    }

    /// Builds it as often and in as many machines as the policy says.
    pub(super) fn verify(&self, index: usize) -> Result<TargetResult, Obstacle> {
        let engines = self.engines(index)?;
        let node = &self.graph.nodes()[index];
        let policy = self.mirror.policy();
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
            signers: None,
            engines: &engines,
            replay: policy.level == crate::verify::Level::Replayed as u8,
            accepted: None,
            jobs: self.member.machines(),
            on_failure: OnFailure::Stop,
            kept: KeptRounds::TakeUp,
        };
        let mut verification = verify(&request, self.realiser, self.native);
        if let Some(error) = verification.failed_inputs.pop() {
            return Err(error.into());
        }
        verification.forget_rounds(self.realiser.store)?;
        let target = verification.targets.pop();
        let target = target.ok_or_else(|| Obstacle::NotNow("nothing was verified".to_owned()))?;
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
    pub(super) fn log(&self, target: &TargetResult) -> Result<Option<Vec<u8>>, Obstacle> {
        let first = target.rounds.as_ref().and_then(|rounds| rounds.rounds.first()?.built());
        let Some(run) = first.and_then(|built| built.run.parse::<RunId>().ok()) else { return Ok(None) };
        let Some(run) = self.realiser.store.run(run)? else { return Ok(None) };
        let mut log = Vec::new();
        run.open("log")?.read_to_end(&mut log).map_err(MirrorError::from)?;
        Ok(Some(log))
    }

    /// The outputs as they are registered in our store, each after those it refers to.
    pub(super) fn outputs<'t>(
        &self,
        target: &'t TargetResult,
    ) -> Result<Vec<(&'t OutputResult, PathInfo)>, Obstacle> {
        let mut found = Vec::new();
        for output in &target.outputs {
            let info = output.path.as_ref().map(|path| self.realiser.store.path(path)).transpose()?.flatten();
            match info {
                Some(info) if Some(info.nar_hash) == output.finding.nar_hash => found.push((output, info)),
                _ => {
                    let why = format!("our store has other bits of {}, or none", output.output);
                    return Err(Obstacle::NotNow(why));
                }
            }
        }
        let mut ordered: Vec<(&OutputResult, PathInfo)> = Vec::new();
        while !found.is_empty() {
            let waits = |info: &PathInfo| {
                found
                    .iter()
                    .any(|(_, other)| other.path != info.path && info.references.contains(&other.path))
            };
            let Some(at) = found.iter().position(|(_, info)| !waits(info)) else {
                return Err(Obstacle::NotNow("its outputs refer to each other in a circle".to_owned()));
            };
            ordered.push(found.remove(at));
        }
        Ok(ordered)
    }
}

/// A target that never came to bits, because a round could not be built.
fn failure_of(mut target: TargetResult) -> Result<TargetResult, Obstacle> {
    let rounds = target.rounds.iter_mut().flat_map(|rounds| &mut rounds.rounds);
    for round in rounds {
        if let Some(Err(_)) = &round.result
            && let Some(Err(error)) = round.result.take()
        {
            return Err(Obstacle::NotBuilt(error));
        }
    }
    Ok(target)
}
