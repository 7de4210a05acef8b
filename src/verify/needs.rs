//! What the targets need, brought into the store before the first of them is built.

use std::collections::{BTreeMap, BTreeSet};

use super::{Verdict, session::Target};
use crate::{
    graph::{Action, Graph, Plan},
    schedule::{OnFailure, Outcome, RealiseError, Realiser},
};

/// What came of what the targets need.
pub(super) struct Needs {
    /// What failed.
    pub(super) failed: Vec<RealiseError>,
    /// Why each derivation is not there that is not, by its place in the graph.
    missing: BTreeMap<usize, String>,
}

impl Needs {
    /// Does what `plan` says, but for what is to be left out.
    pub(super) fn realise(
        graph: &Graph,
        plan: &Plan,
        leave: &BTreeSet<usize>,
        realiser: &Realiser<'_>,
        jobs: usize,
        on_failure: OnFailure,
    ) -> Needs {
        let outcomes = realiser.realise(graph, plan, leave, jobs, on_failure);
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
        Needs { failed, missing }
    }

    /// Why the derivation at `index` was not done.
    pub(super) fn missing(&self, index: usize) -> Option<&String> {
        self.missing.get(&index)
    }

    /// Why the derivation at `index` cannot be built at all, and what its outputs are then.
    pub(super) fn blocked(&self, graph: &Graph, plan: &Plan, index: usize) -> Option<(Verdict, String)> {
        match self.first_missing(graph, plan, index) {
            Some(why) => Some((Verdict::NotBuilt, why.clone())),
            None if graph.nodes()[index].derivation.is_fixed_output() => {
                let why =
                    "it is a source: its hash says what it is, and there is nothing to build".to_owned();
                Some((Verdict::NotChecked, why))
            }
            None => match &plan.steps[index].action {
                Action::Refuse(why) => Some((Verdict::NotChecked, why.to_string())),
                _ => None,
            },
        }
    }

    /// Why something that has to be there to build `target` is not. What lies behind an input that is there does not
    /// matter.
    fn first_missing(&self, graph: &Graph, plan: &Plan, target: usize) -> Option<&String> {
        let (mut seen, mut left) = (BTreeSet::new(), graph.nodes()[target].inputs.clone());
        while let Some(index) = left.pop() {
            let idle = matches!(plan.steps[index].action, Action::Present | Action::NotNeeded);
            if idle || !seen.insert(index) {
                continue;
            }
            if let Some(why) = self.missing(index) {
                return Some(why);
            }
            left.extend(&graph.nodes()[index].inputs);
        }
        None
    }
}

/// The targets that no other target needs: their rounds are the only builds they get.
pub(super) fn lone_targets(graph: &Graph, targets: &[Target]) -> BTreeSet<usize> {
    let inputs: Vec<usize> =
        targets.iter().flat_map(|target| graph.nodes()[target.index].inputs.clone()).collect();
    let needed = graph.closure(&inputs);
    targets.iter().map(|target| target.index).filter(|index| needed.binary_search(index).is_err()).collect()
}
