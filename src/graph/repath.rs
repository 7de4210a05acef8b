//! A closure whose derivations were changed, written anew with the paths that follow from what they say now (pure).
//!
//! Paths of outputs are in the texts of whatever needs them, and the path of a derivation is made from its text: a change in a
//! leaf is a change in everything above it. What is written here is what Nix's evaluation of the changed expressions would write.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::{Graph, GraphError, rename};
use crate::nix::{
    derivation::{Derivation, Output},
    hash_modulo::{HashModulos, OutputCheck, own_path},
    store_path::StorePath,
};

/// What was written anew.
#[derive(Clone, Debug, Default)]
pub struct Repathed {
    /// The derivations that have another path now, leaves first.
    pub derivations: Vec<(StorePath, Arc<Derivation>)>,
    /// The new path of each of them, by the old one.
    pub paths: BTreeMap<StorePath, StorePath>,
}

impl Repathed {
    /// Where a derivation of the graph is now.
    pub fn now<'a>(&'a self, drv: &'a StorePath) -> &'a StorePath {
        self.paths.get(drv).unwrap_or(drv)
    }
}

impl Graph {
    /// Gives every derivation of a graph that was loaded with changed texts the path that its text has, and every output its
    /// own; what is as it was keeps its path. A path that is named in a text is renamed there in whole, wherever it stands.
    ///
    /// # Errors
    /// A hash that cannot be computed, as a name that is too long.
    pub fn repath(&self) -> Result<Repathed, GraphError> {
        let mut modulos = HashModulos::new();
        let mut repathed = Repathed::default();
        // The old and new paths of derivations and outputs that are others now, by derivation.
        let mut renamed: HashMap<&StorePath, Vec<(StorePath, StorePath)>> = HashMap::new();
        for node in self.nodes() {
            let mut derivation = node.derivation.clone();
            let inputs = node.derivation.input_drvs.keys().filter_map(|input| renamed.get(input));
            let all: BTreeMap<&StorePath, &StorePath> =
                inputs.flatten().map(|(old, new)| (old, new)).collect();
            if !all.is_empty() {
                rename(Arc::make_mut(&mut derivation), &all);
            }
            let mut own = Vec::new();
            for (output, check) in modulos.check_outputs(&node.drv, &derivation)? {
                if let OutputCheck::Different { stated, computed } = check {
                    own.extend(stated.map(|stated| (stated, computed.clone())));
                    state(Arc::make_mut(&mut derivation), &output, computed);
                }
            }
            let drv = own_path(&node.drv, &derivation)?;
            modulos.insert(&drv, &derivation)?;
            if drv != node.drv {
                own.push((node.drv.clone(), drv.clone()));
                repathed.paths.insert(node.drv.clone(), drv.clone());
                repathed.derivations.push((drv, derivation));
                renamed.insert(&node.drv, own);
            }
        }
        Ok(repathed)
    }
}

/// Sets the path of an output, where the derivation states it: in its outputs, and in the variable of that name.
fn state(derivation: &mut Derivation, output: &str, path: StorePath) {
    if let Some(value) = derivation.env.get_mut(output.as_bytes()) {
        *value = path.to_string().into_bytes();
    }
    match derivation.outputs.get_mut(output) {
        Some(Output::InputAddressed { path: stated } | Output::Fixed { path: stated, .. }) => *stated = path,
        Some(deferred @ Output::Deferred) => *deferred = Output::InputAddressed { path },
        Some(Output::Floating { .. } | Output::Impure { .. }) | None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{derivation, drv, load};
    use super::*;

    /// A graph with honest paths: whatever stands in these texts, written anew.
    fn honest(derivations: &[(&str, Derivation)], roots: &[&str]) -> Graph {
        let forged = load(derivations, roots).unwrap();
        let repathed = forged.repath().unwrap();
        let all: BTreeMap<_, _> = repathed.derivations.iter().cloned().collect();
        let roots: Vec<StorePath> = roots.iter().map(|root| repathed.now(&drv(root)).clone()).collect();
        Graph::load(&roots, |path| all.get(path).cloned().ok_or(format!("{path} is missing"))).unwrap()
    }

    fn chain() -> Graph {
        let mut middle = derivation("middle", &["leaf"]);
        let leaf = derivation("leaf", &[]);
        let path = leaf.output_path("out").unwrap().to_string();
        middle.env.insert(b"leaf".to_vec(), format!("-I{path}/include").into());
        middle.env.insert(b"out".to_vec(), middle.output_path("out").unwrap().to_string().into());
        honest(&[("top", derivation("top", &["middle"])), ("middle", middle), ("leaf", leaf)], &["top"])
    }

    /// The same closure with one derivation changed.
    fn changed(graph: &Graph, name: &str, change: impl Fn(&mut Derivation)) -> Graph {
        let roots: Vec<StorePath> =
            graph.roots().iter().map(|root| graph.nodes()[*root].drv.clone()).collect();
        let resolve = |path: &StorePath| {
            let mut derivation = Derivation::clone(&graph.nodes()[graph.index_of(path).unwrap()].derivation);
            if path.derivation_name() == Some(name) {
                change(&mut derivation);
            }
            Ok::<_, String>(derivation)
        };
        Graph::load(&roots, resolve).unwrap()
    }

    #[test]
    fn what_was_not_changed_keeps_its_path() {
        let graph = chain();
        graph.check_paths().unwrap();
        let repathed = changed(&graph, "nobody", |_| {}).repath().unwrap();
        assert!(repathed.derivations.is_empty() && repathed.paths.is_empty());
    }

    #[test]
    fn a_change_in_a_leaf_goes_up_and_is_sound() {
        let graph = chain();
        let edited =
            changed(&graph, "leaf", |leaf| _ = leaf.env.insert(b"dontStrip".to_vec(), b"1".to_vec()));
        let repathed = edited.repath().unwrap();
        assert_eq!(repathed.derivations.len(), 3);
        let all: BTreeMap<_, _> = repathed.derivations.iter().cloned().collect();
        let top = repathed.now(&graph.nodes()[graph.roots()[0]].drv).clone();
        let again = Graph::load(&[top], |path| all.get(path).cloned().ok_or("missing")).unwrap();
        again.check_paths().unwrap();
        let middle = again.nodes().iter().find(|node| node.name() == "middle").unwrap();
        let leaf = again.nodes().iter().find(|node| node.name() == "leaf").unwrap();
        let path = leaf.derivation.output_path("out").unwrap();
        assert_eq!(middle.derivation.env_get("leaf"), Some(format!("-I{path}/include").as_bytes()));
        let own = middle.derivation.output_path("out").unwrap().to_string();
        assert_eq!(middle.derivation.env_get("out"), Some(own.as_bytes()));
    }

    #[test]
    fn a_change_in_the_middle_leaves_the_leaf_alone() {
        let graph = chain();
        let edited = changed(&graph, "middle", |middle| _ = middle.env.insert(b"x".to_vec(), b"1".to_vec()));
        let names: Vec<_> =
            edited.repath().unwrap().derivations.iter().map(|(path, _)| path.name().to_owned()).collect();
        assert_eq!(names, ["middle.drv", "top.drv"]);
    }
}
