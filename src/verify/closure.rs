//! Through the graph: which derivations make bits others by themselves, and which only pass on that an input has others.
//!
//! Leaves first, each derivation is built once more with everything varied at once and the inputs that round 1 had. If that
//! gives other bits, they begin there: it is a source. If one of its inputs has other bits by then, it is built with those and
//! nothing varied: what differs now is passed on, and what does not is where the difference ends. Where no input differs, there
//! is nothing to pass on, and nothing is built for it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
};

use super::{
    inputs::{Inputs, UnknownInput},
    needs::Needs,
    rounds::RoundPlan,
};
use crate::{
    build,
    graph::{Graph, Plan},
    machine::Setting,
    nix::{hash::NarHash, store_path::StorePath},
    schedule::{self, OnFailure, Outcome, RealiseError, Realiser, RoundOf},
    store::Origin,
};

/// What a walk through the graph found.
#[derive(Debug)]
pub struct Walk {
    /// Every derivation that was looked at, leaves first.
    pub steps: Vec<Walked>,
    /// What was varied, all at once.
    pub varied: Vec<Setting>,
    /// What they were built from and our store cannot say the origin of.
    pub unknown_inputs: Vec<UnknownInput>,
}

/// One derivation of a walk.
#[derive(Debug)]
pub struct Walked {
    /// Its place in the graph.
    pub index: usize,
    /// Its path.
    pub drv: StorePath,
    /// What was found, or why nothing was.
    pub role: Result<Role, String>,
}

/// What part a derivation has in differences.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Role {
    /// Outputs that have other bits though every input has the same: they begin to differ here.
    pub own: Vec<String>,
    /// Inputs that have other bits, by path.
    pub from: Vec<StorePath>,
    /// Outputs that have other bits because those have.
    pub passed_on: Vec<String>,
}

impl Role {
    /// In a word.
    pub fn word(&self) -> &'static str {
        match (self.own.is_empty(), self.from.is_empty(), self.passed_on.is_empty()) {
            (false, _, true) => "source",
            (false, _, false) => "source, and passes on",
            (true, false, false) => "passes on",
            (true, false, true) => "ends here",
            (true, true, _) => "steady",
        }
    }
}

impl Walk {
    /// The derivations at which bits begin to differ.
    pub fn sources(&self) -> impl Iterator<Item = (&Walked, &Role)> {
        let found = self.steps.iter().filter_map(|step| Some((step, step.role.as_ref().ok()?)));
        found.filter(|(_, role)| !role.own.is_empty())
    }

    /// Whether everything was looked at, and built from what is known.
    pub fn is_whole(&self) -> bool {
        self.unknown_inputs.is_empty() && self.steps.iter().all(|step| step.role.is_ok())
    }
}

/// The outputs of a build, by name.
type Outputs = BTreeMap<String, build::Output>;
/// The other bits of store paths.
type Replaced = BTreeMap<StorePath, build::Output>;

/// Walks through `among`, indices of `graph` in ascending order, at most `jobs` machines at once; brings what they need into the
/// store first, as `plan` says.
pub fn walk(
    graph: &Graph,
    plan: &Plan,
    among: &[usize],
    vary: &[Setting],
    realiser: &Realiser<'_>,
    jobs: usize,
) -> (Walk, Vec<RealiseError>) {
    let mut done = Needs::realise(graph, plan, &BTreeSet::new(), realiser, jobs, OnFailure::KeepGoing);
    let place = |index: &usize| among.binary_search(index).ok();
    let inputs = |index: &usize| graph.nodes()[*index].inputs.iter().filter_map(place).collect();
    let needs: Vec<Vec<usize>> = among.iter().map(inputs).collect();
    let (others, more) = (Mutex::new(Replaced::new()), Mutex::new(Vec::new()));
    let outcomes = schedule::run(&needs, jobs, OnFailure::KeepGoing, |task| {
        let index = among[task];
        match done.missing(index) {
            Some(why) => Err(why.clone()),
            None => look(graph, index, vary, realiser, &others).map_err(|error| {
                let why = error.to_string();
                more.lock().unwrap_or_else(PoisonError::into_inner).push(error);
                why
            }),
        }
    });
    let steps = among.iter().zip(outcomes).map(|(index, outcome)| {
        let role = match outcome {
            Outcome::Done(role) => Ok(role),
            Outcome::Failed(why) => Err(why),
            Outcome::Skipped(task) => Err(format!("not tried: {} failed", graph.nodes()[among[task]].drv)),
            Outcome::Stopped => Err("not tried".to_owned()),
        };
        Walked { index: *index, drv: graph.nodes()[*index].drv.clone(), role }
    });
    let steps = steps.collect();
    let unknown_inputs = Inputs::of(graph, plan, among.iter().copied(), realiser.store).unknown;
    done.failed.extend(more.into_inner().unwrap_or_else(PoisonError::into_inner));
    (Walk { steps, varied: vary.to_vec(), unknown_inputs }, done.failed)
}

/// `others` has the other bits of every path that has some; what is found here is added.
fn look(
    graph: &Graph,
    index: usize,
    vary: &[Setting],
    realiser: &Realiser<'_>,
    others: &Mutex<Replaced>,
) -> Result<Role, RealiseError> {
    let base = realiser.settings;
    let first = first(graph, index, realiser)?;
    let plan = RoundPlan { rounds: 2, base: base.clone(), vary: vary.to_vec() };
    let varied = realiser.build(graph, index, &plan.settings(1), "closure, varied")?.outputs;
    let mut role = Role { own: differing(&first, &varied), ..Role::default() };
    let replaced = others.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut changed: Outputs = varied;
    changed.retain(|name, _| role.own.contains(name));
    let round = RoundOf { graph, index, settings: base, label: "closure, other inputs" };
    let (from, finished) = realiser.build_with(round, &replaced)?;
    role.from = from;
    if let Some(outputs) = finished.map(|finished| finished.outputs) {
        role.passed_on = differing(&first, &outputs);
        let passed = outputs.into_iter().filter(|(name, _)| role.passed_on.contains(name));
        changed.extend(passed);
    }
    let mut others = others.lock().unwrap_or_else(PoisonError::into_inner);
    others.extend(changed.into_values().map(|output| (output.path.clone(), output)));
    Ok(role)
}

/// The bits of round 1: what is in the store from a build of ours, else of one that is made now.
fn first(
    graph: &Graph,
    index: usize,
    realiser: &Realiser<'_>,
) -> Result<BTreeMap<String, NarHash>, RealiseError> {
    let node = &graph.nodes()[index];
    let mut kept = BTreeMap::new();
    for (name, output) in &node.derivation.outputs {
        let info = output.path().map(|path| realiser.store.path(path)).transpose()?.flatten();
        if let Some(info) = info.filter(|info| matches!(info.origin, Origin::Built { .. })) {
            kept.insert(name.clone(), info.nar_hash);
        }
    }
    if kept.len() == node.derivation.outputs.len() {
        return Ok(kept);
    }
    let finished = realiser.build(graph, index, realiser.settings, "closure, round 1")?;
    Ok(finished.outputs.into_iter().map(|(name, output)| (name, output.nar_hash)).collect())
}

fn differing(first: &BTreeMap<String, NarHash>, other: &Outputs) -> Vec<String> {
    let differs = |(name, output): &(&String, &build::Output)| first.get(*name) != Some(&output.nar_hash);
    other.iter().filter(differs).map(|(name, _)| name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_is_not_whole_while_it_is_not_known_what_was_built_from() {
        let walk = |unknown_inputs| Walk { steps: Vec::new(), varied: Vec::new(), unknown_inputs };
        assert!(walk(Vec::new()).is_whole());
        assert!(!walk(vec![crate::verify::inputs::tests::damaged("b")]).is_whole());
    }

    #[test]
    fn a_derivation_is_a_source_by_its_own_outputs_and_passes_on_only_what_inputs_brought() {
        let input = || vec![crate::verify::session::tests::path("input")];
        let out = || vec!["out".to_owned()];
        let role = |own, from, passed_on| Role { own, from, passed_on };
        let cases = [
            (role(vec![], vec![], vec![]), "steady"),
            (role(out(), vec![], vec![]), "source"),
            (role(out(), input(), vec![]), "source"),
            (role(out(), input(), out()), "source, and passes on"),
            (role(vec![], input(), out()), "passes on"),
            (role(vec![], input(), vec![]), "ends here"),
        ];
        for (role, word) in cases {
            assert_eq!(role.word(), word, "{role:?}");
        }
    }
}
