//! A closure in which policies hold.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{At, Policy, PolicyError, change::changes, check::hold};
use crate::{
    graph::{Change, Graph, LoadError},
    nix::{derivation::Derivation, store_path::StorePath},
};

/// A closure in which policies hold, and what was done for it.
#[derive(Clone, Debug)]
pub struct Rewritten {
    /// The closure of what was asked for, as it is now.
    pub graph: Graph,
    /// The derivations that have another path now, by the old one.
    pub paths: BTreeMap<StorePath, StorePath>,
    /// The derivations that were changed by a policy, leaves first.
    pub edits: Vec<Edit>,
}

/// A derivation that policies changed.
#[derive(Clone, Debug)]
pub struct Edit {
    /// Its path before.
    pub drv: StorePath,
    /// Those that changed it, by name.
    pub policies: Vec<String>,
    /// What they changed.
    pub changes: Vec<Change>,
}

impl Rewritten {
    /// Where a derivation is now.
    pub fn now<'a>(&'a self, drv: &'a StorePath) -> &'a StorePath {
        self.paths.get(drv).unwrap_or(drv)
    }
}

/// Makes policies hold, one after the other, in the closure of `asked`, which `graph` has. What a policy forbids stays:
/// [`super::check`] says so.
///
/// # Errors
/// A change that cannot be made, and a closure that is none any more: a derivation that stands in the place of one it needs.
pub fn rewrite(
    graph: &Graph,
    asked: &[StorePath],
    policies: &[(&Policy, &At)],
) -> Result<Rewritten, PolicyError> {
    let mut changed: BTreeMap<&StorePath, Arc<Derivation>> = BTreeMap::new();
    let mut edits = Vec::new();
    for node in graph.nodes() {
        let mut derivation = None::<Arc<Derivation>>;
        let mut by = Vec::new();
        for (policy, _) in policies.iter().filter(|(_, at)| at.selects(node, asked)) {
            let before = derivation.as_ref().unwrap_or(&node.derivation);
            let mut after = Derivation::clone(before);
            hold(&policy.rules, graph, node, &mut after)?;
            if after != **before {
                by.push(policy.name.clone());
                derivation = Some(Arc::new(after));
            }
        }
        if let Some(derivation) = derivation {
            let changes = changes(graph, node, &node.derivation, &derivation)?;
            edits.push(Edit { drv: node.drv.clone(), policies: by, changes });
            changed.insert(&node.drv, derivation);
        }
    }
    let stated = |path: &StorePath| {
        let known = || Some(graph.nodes()[graph.index_of(path)?].derivation.clone());
        changed.get(path).cloned().or_else(known).ok_or_else(|| missing(path))
    };
    let edited = Graph::load(asked, stated).map_err(of_load)?;
    let repathed = edited.repath()?;
    let roots: Vec<StorePath> = asked.iter().map(|drv| repathed.now(drv).clone()).collect();
    let now: BTreeMap<&StorePath, &Arc<Derivation>> =
        repathed.derivations.iter().map(|(path, derivation)| (path, derivation)).collect();
    let resolve = |path: &StorePath| {
        let kept = || Some(&edited.nodes()[edited.index_of(path)?].derivation);
        now.get(path).copied().or_else(kept).cloned().ok_or_else(|| missing(path))
    };
    let graph = Graph::load(&roots, resolve).map_err(of_load)?;
    // What a change made unneeded is not there any more, changed or not.
    let there: BTreeSet<&StorePath> = edited.nodes().iter().map(|node| &node.drv).collect();
    edits.retain(|edit| there.contains(&edit.drv));
    Ok(Rewritten { graph, paths: repathed.paths, edits })
}

/// A derivation that a closure lacks: nobody who read it whole meets this.
fn missing(path: &StorePath) -> PolicyError {
    PolicyError::Missing { drv: path.clone() }
}

fn of_load(error: LoadError<PolicyError>) -> PolicyError {
    match error {
        LoadError::Graph(error) => PolicyError::Graph(error),
        LoadError::Resolve(error) => error,
    }
}
