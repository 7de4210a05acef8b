//! Derivations as a graph, leaves first (pure).
//!
//! [`Graph::load`] reads a closure through a resolver and orders it; [`frontier`] says what is built and what is
//! taken by hash; [`plan`] says what is left to do;
//! [`Graph::repath`] writes a changed closure anew. All of it is linear in derivations and edges and none of it
//! recurses, so a chain of 100,000 derivations or a diamond of 2^40 paths costs no more than its size.

mod brought;
mod differences;
mod error;
mod frontier;
mod load;
mod plan;
mod rename;
mod repath;
#[cfg(test)]
mod tests;

pub use brought::{Attribute, Brought, BroughtKind, Link, brought, named_by};
pub use differences::{Change, Differences, Pair as DrvPair, What, differences};
pub use error::{EXPLANATIONS, GraphError, LoadError};
pub use frontier::{Choice, Frontier, Rule, frontier};
pub use plan::{Action, Kind, Plan, Step, Unsupported, plan};
pub use rename::rename;
pub use repath::Repathed;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::nix::{derivation::Derivation, store_path::StorePath};

/// Most derivations in one graph; nixpkgs as a whole has a fifth of that.
pub const MAX_DERIVATIONS: usize = 1_000_000;

/// One derivation of a [`Graph`].
#[derive(Clone, Debug)]
pub struct Node {
    /// Its path.
    pub drv: StorePath,
    /// What it says; shared by the graphs that have it unchanged.
    pub derivation: Arc<Derivation>,
    /// The derivations it needs, as indices into the graph, ascending; all of them smaller than its own.
    pub inputs: Vec<usize>,
    /// Longest way down to a leaf, in derivations; 0 for a leaf.
    pub depth: usize,
}

impl Node {
    /// The derivation's name, without `.drv`.
    pub fn name(&self) -> &str {
        self.drv.short_name()
    }
}

/// A closure of derivations, leaves first: by depth, then by name, then by path, so that the order is the same
/// wherever it is computed. An index is a derivation's place in that order.
#[derive(Clone, Debug)]
pub struct Graph {
    nodes: Vec<Node>,
    by_path: BTreeMap<StorePath, usize>,
    roots: Vec<usize>,
}

impl Graph {
    /// Every derivation, leaves first.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Where a derivation stands.
    pub fn index_of(&self, drv: &StorePath) -> Option<usize> {
        self.by_path.get(drv).copied()
    }

    /// What was asked for: ascending, each once.
    pub fn roots(&self) -> &[usize] {
        &self.roots
    }

    /// For every derivation the indices of what it needs: what an executor takes.
    pub fn needs(&self) -> Vec<Vec<usize>> {
        self.nodes.iter().map(|node| node.inputs.clone()).collect()
    }

    /// `of` and everything needed to build it, leaves first.
    pub fn closure(&self, of: &[usize]) -> Vec<usize> {
        let mut reached = vec![false; self.nodes.len()];
        for index in of {
            reached[*index] = true;
        }
        for index in (0..self.nodes.len()).rev() {
            if reached[index] {
                for input in &self.nodes[index].inputs {
                    reached[*input] = true;
                }
            }
        }
        (0..self.nodes.len()).filter(|index| reached[*index]).collect()
    }

    /// The store paths one derivation's build is given: the wanted outputs of its input derivations, and its sources.
    /// What those refer to at run time comes on top and is known only to who has them.
    pub fn input_paths(&self, index: usize) -> Result<BTreeSet<StorePath>, GraphError> {
        let node = &self.nodes[index];
        let mut paths = node.derivation.input_srcs.clone();
        for (input, wanted) in &node.derivation.input_drvs {
            let derivation = self.index_of(input).map(|index| &self.nodes[index].derivation);
            for output in wanted {
                let path = derivation.and_then(|derivation| derivation.output_path(output));
                let path = path.ok_or_else(|| GraphError::UnknownPath {
                    drv: node.drv.clone(),
                    input: input.clone(),
                    output: output.clone(),
                })?;
                paths.insert(path.clone());
            }
        }
        Ok(paths)
    }
}
