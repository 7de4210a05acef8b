//! Which derivations violate a policy.

use std::collections::BTreeMap;

use super::{
    At, Demand, Policy, PolicyError, Rule,
    change::{changes, drop_unnamed, perform},
};
use crate::{
    graph::{Change, Graph, Node},
    nix::{derivation::Derivation, store_path::StorePath},
};

/// What was found of one policy.
#[derive(Clone, Debug)]
pub struct Checked<'a> {
    /// The policy.
    pub policy: &'a Policy,
    /// Which derivations it looked at.
    pub at: &'a At,
    /// How many it looked at.
    pub looked: usize,
    /// How many of them a rule was about.
    pub about: usize,
    /// Those that violate it, leaves first.
    pub violations: Vec<Violation>,
}

/// A derivation that violates a policy.
#[derive(Clone, Debug)]
pub struct Violation {
    /// Its index in the graph.
    pub index: usize,
    /// What would have to change.
    pub changes: Vec<Change>,
    /// Why it must not be there at all.
    pub forbidden: Vec<String>,
    /// The shortest way to it from what was asked for, that first and itself last, as indices.
    pub way: Vec<usize>,
}

/// Looks for violations of `policy` among the derivations of `graph` that `at` names; `asked` are the roots.
///
/// # Errors
/// Structured attributes that cannot be read, and changes that cannot be made.
pub fn check<'a>(
    graph: &Graph,
    asked: &[StorePath],
    policy: &'a Policy,
    at: &'a At,
) -> Result<Checked<'a>, PolicyError> {
    let above = above(graph, asked);
    let mut checked = Checked { policy, at, looked: 0, about: 0, violations: Vec::new() };
    for (index, node) in graph.nodes().iter().enumerate() {
        if !above.contains_key(&index) || !at.selects(node, asked) {
            continue;
        }
        checked.looked += 1;
        let mut derivation = Derivation::clone(&node.derivation);
        let held = hold(&policy.rules, graph, node, &mut derivation)?;
        checked.about += usize::from(held.about);
        if derivation != *node.derivation || !held.forbidden.is_empty() {
            let changes = changes(graph, node, &node.derivation, &derivation)?;
            let way = way(&above, index);
            checked.violations.push(Violation { index, changes, forbidden: held.forbidden, way });
        }
    }
    Ok(checked)
}

impl At {
    /// Whether a derivation is looked at.
    pub(super) fn selects(&self, node: &Node, asked: &[StorePath]) -> bool {
        match self {
            At::Root => asked.contains(&node.drv),
            At::All => true,
            At::Name(pattern) => pattern.is_match(node.name()),
        }
    }
}

/// What came of making rules hold.
pub(super) struct Held {
    /// Whether one of them was about the derivation.
    pub(super) about: bool,
    /// Why the derivation must not be there.
    pub(super) forbidden: Vec<String>,
}

/// Makes `rules` hold of `derivation`, which stands for a node of `graph`, one after the other.
pub(super) fn hold(
    rules: &[Rule],
    graph: &Graph,
    node: &Node,
    derivation: &mut Derivation,
) -> Result<Held, PolicyError> {
    let mut held = Held { about: false, forbidden: Vec::new() };
    for rule in rules {
        let means = rule.about.means(graph, node, derivation);
        if !means.map_err(|why| PolicyError::Attributes { drv: node.drv.clone(), why })? {
            continue;
        }
        held.about = true;
        match &rule.demand {
            Demand::Forbidden(why) => held.forbidden.push(why.clone()),
            Demand::Changes(actions) => {
                let before = derivation.clone();
                for action in actions {
                    perform(action, graph, node, derivation)?;
                }
                if *derivation != before {
                    drop_unnamed(graph, &before, derivation);
                }
            }
        }
    }
    Ok(held)
}

/// Everything that `asked` needs, with who needs it on a shortest way; nobody for what was asked for.
fn above(graph: &Graph, asked: &[StorePath]) -> BTreeMap<usize, Option<usize>> {
    let mut above: BTreeMap<usize, Option<usize>> =
        asked.iter().filter_map(|drv| Some((graph.index_of(drv)?, None))).collect();
    let mut level: Vec<usize> = above.keys().copied().collect();
    while !level.is_empty() {
        let mut next = Vec::new();
        for index in level {
            for input in &graph.nodes()[index].inputs {
                above.entry(*input).or_insert_with(|| {
                    next.push(*input);
                    Some(index)
                });
            }
        }
        level = next;
    }
    above
}

fn way(above: &BTreeMap<usize, Option<usize>>, index: usize) -> Vec<usize> {
    let mut way = vec![index];
    while let Some(Some(next)) = way.last().and_then(|last| above.get(last)) {
        way.push(*next);
    }
    way.reverse();
    way
}
