//! Which derivations a rule is about.

use super::{Globs, Match, attributes::Attributes};
use crate::{
    graph::{Graph, Node},
    nix::derivation::Derivation,
};

impl Globs {
    /// Whether `text` is meant: one pattern matches, or there is none.
    pub(super) fn mean(&self, text: &[u8]) -> bool {
        self.0.is_empty() || self.name(text)
    }

    /// Whether a pattern matches.
    pub(super) fn name(&self, text: &[u8]) -> bool {
        self.0.iter().any(|glob| glob.is_match(bytes_as_path(text)))
    }
}

/// What globset wants to match. A path of Unix is any bytes.
fn bytes_as_path(text: &[u8]) -> &std::path::Path {
    use std::os::unix::ffi::OsStrExt as _;
    std::path::Path::new(std::ffi::OsStr::from_bytes(text))
}

impl Match {
    /// Whether it means a derivation of a graph, of which `derivation` is what earlier rules made of it.
    ///
    /// # Errors
    /// Attributes that cannot be read.
    pub(super) fn means(&self, graph: &Graph, node: &Node, derivation: &Derivation) -> Result<bool, String> {
        let fixed = derivation.fixed_output();
        let means = self.name.mean(node.name().as_bytes())
            && self.system.mean(&derivation.system)
            && self.builder.mean(&derivation.builder)
            && self.fixed_output.is_none_or(|wanted| wanted == fixed.is_some())
            && (self.hash.is_empty() || fixed.is_some_and(|(_, hash)| self.hash.contains(&hash.algorithm())))
            && (self.input.0.is_empty()
                || inputs(graph, derivation).any(|input| self.input.name(input.name().as_bytes())));
        if !means || self.attributes.is_empty() {
            return Ok(means);
        }
        let attributes = Attributes::of(derivation)?;
        Ok(self
            .attributes
            .iter()
            .all(|(name, globs)| attributes.text(name).is_some_and(|text| globs.mean(&text))))
    }
}

/// The direct inputs of a derivation that are in the graph, by path.
pub(super) fn inputs<'a>(graph: &'a Graph, derivation: &Derivation) -> impl Iterator<Item = &'a Node> {
    let indices = derivation.input_drvs.keys().filter_map(|input| graph.index_of(input));
    indices.map(|index| &graph.nodes()[index])
}
