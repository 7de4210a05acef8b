//! Derivations kept in the mirror: what is to be done to build a path again, without asking an evaluator.
//!
//! The text of a derivation lies under the base name of its path, which follows from the text and what it refers to; so nobody has
//! to sign it, and it is checked whenever it is read. It comes after everything it needs: one that is there is there with its
//! closure, as far as nobody has removed any of it.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Mirror, MirrorError,
    layout::Object,
    location::{Location, LocationError},
    publish::Publisher,
};
use crate::{
    graph::{Graph, LoadError},
    nix::{derivation::Derivation, hash_modulo::own_path, store_path::StorePath},
};

/// Longest text of a derivation, in bytes; the largest of nixpkgs have a few hundred thousand.
const MAX_TEXT: u64 = 64 << 20;

/// Why the text of a derivation cannot be had from a mirror.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    /// The place failed.
    #[error(transparent)]
    Location(#[from] LocationError),
    /// It is not there.
    #[error("it is not there")]
    Missing,
    /// It is not what its name says.
    #[error("{0}")]
    Damaged(String),
}

/// Reads a derivation, and believes it because its path follows from it.
pub(super) fn read(location: &Location, drv: &StorePath) -> Result<Derivation, Unreadable> {
    let text = location.get(&Object::Derivation(drv.clone()).name(), MAX_TEXT)?;
    let text = text.ok_or(Unreadable::Missing)?;
    let damaged = |error: &dyn std::fmt::Display| Unreadable::Damaged(error.to_string());
    let derivation = Derivation::parse(&text).map_err(|error| damaged(&error))?;
    let own = own_path(drv, &derivation).map_err(|error| damaged(&error))?;
    if own != *drv {
        return Err(Unreadable::Damaged(format!("it is the text of {own}")));
    }
    Ok(derivation)
}

impl Publisher<'_> {
    /// Keeps the text of a derivation and of everything it needs, leaves first.
    ///
    /// # Errors
    /// [`MirrorError::Left`] where another text lies under the name of a derivation.
    pub fn keep(&self, graph: &Graph, index: usize) -> Result<(), MirrorError> {
        let mut missing = BTreeSet::new();
        let mut left = vec![index];
        // Behind one that is there nothing is missing.
        while let Some(next) = left.pop() {
            let node = &graph.nodes()[next];
            let name = Object::Derivation(node.drv.clone()).name();
            if !missing.contains(&next) && self.mirror.location().open(&name)?.is_none() {
                missing.insert(next);
                left.extend(&node.inputs);
            }
        }
        for node in missing.into_iter().map(|index| &graph.nodes()[index]) {
            let text = node.derivation.serialise();
            self.put_bytes(&Object::Derivation(node.drv.clone()).name(), &text)?;
        }
        Ok(())
    }
}

impl Mirror {
    /// Derivations that the mirror keeps and everything they need, each of them and every path in them checked.
    ///
    /// # Errors
    /// [`MirrorError::Document`] for one that is not there or is not what its path says; [`MirrorError::Graph`] for an output that
    /// does not follow from it.
    pub fn graph(&self, roots: &[StorePath]) -> Result<Graph, MirrorError> {
        let resolve = |drv: &StorePath| {
            read(&self.location, drv).map_err(|error| match error {
                Unreadable::Location(error) => error.into(),
                error => MirrorError::Document {
                    object: self.location.url(&Object::Derivation(drv.clone()).name()),
                    why: error.to_string(),
                },
            })
        };
        let graph = Graph::load(roots, resolve).map_err(|error| match error {
            LoadError::Graph(error) => error.into(),
            LoadError::Resolve(error) => error,
        })?;
        graph.check_paths()?;
        Ok(graph)
    }
    /// The same of those roots for which it can be had, and why it cannot for the others: one that is damaged costs only what needs
    /// it.
    ///
    /// # Errors
    /// When what could be read a moment ago cannot be any more.
    pub(super) fn graph_as_far_as_whole(
        &self,
        roots: &[StorePath],
    ) -> Result<(Graph, BTreeMap<StorePath, MirrorError>), MirrorError> {
        if let Ok(graph) = self.graph(roots) {
            return Ok((graph, BTreeMap::new()));
        }
        let (mut whole, mut faults) = (Vec::new(), BTreeMap::new());
        for root in roots {
            match self.graph(std::slice::from_ref(root)) {
                Ok(_) => whole.push(root.clone()),
                Err(error) => drop(faults.insert(root.clone(), error)),
            }
        }
        Ok((self.graph(&whole)?, faults))
    }
}
