//! The same attribute for several systems: what one of them makes is compared with what another makes.
//!
//! Two systems have two derivations, other paths, and another machine from the processor on; where the bits are equal all the
//! same, nothing of the host is in them. That is what a release for everybody has to show. Of the build itself it shows that
//! two of them gave the same bits, and no more: neither is a build of the other's derivation. Other bits make it `diverged`.

use super::{
    Level,
    output::Other,
    reference::{Native, Reference},
    session::TargetResult,
};
use crate::{graph::Node, nix::hash::NarHash, store::Store};

/// The same attribute for another system, to compare with.
#[derive(Clone, Debug)]
pub struct Counterpart {
    /// The system.
    pub system: String,
    /// Who builds it.
    pub by: CounterpartBy,
}

/// Who builds a [`Counterpart`].
#[derive(Clone, Debug)]
pub enum CounterpartBy {
    /// This verification, as a target of its own that comes before: its place in the graph.
    Target(usize),
    /// This host's own `nix`.
    Nix(Box<Node>),
}

impl Counterpart {
    /// What this host's own `nix` makes of `outputs`, when it is who builds them; needs no other target.
    pub(super) fn by_nix(
        &self,
        outputs: &[String],
        store: &Store,
        native: Option<&dyn Native>,
    ) -> Option<Other> {
        let CounterpartBy::Nix(node) = &self.by else { return None };
        let bits = |output: &String| -> Result<NarHash, String> {
            let native = native.ok_or("there is no `nix` here")?;
            let tree = native.build(node, output)?;
            Ok(store.add_tree(&tree).map_err(|error| error.to_string())?.hash)
        };
        Some(self.made(outputs, bits))
    }

    /// What was made of `outputs` by a target that came before, among `done`, when that is who builds them.
    pub(super) fn by_target(&self, outputs: &[String], done: &[TargetResult]) -> Option<Other> {
        let CounterpartBy::Target(index) = self.by else { return None };
        let bits = |output: &String| {
            let found = done.iter().filter(|result| result.target.index == index);
            let result = found.flat_map(|result| &result.outputs).find(|result| result.output == *output);
            result.and_then(|result| result.finding.nar_hash).ok_or_else(|| "it was not built".to_owned())
        };
        Some(self.made(outputs, bits))
    }

    fn made(&self, outputs: &[String], bits: impl Fn(&String) -> Result<NarHash, String>) -> Other {
        let outputs = outputs.iter().map(|output| Ok((output.clone(), bits(output)?))).collect();
        Other { reference: Reference::System(self.system.clone()), shows: Level::Repeated, outputs }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    use super::*;
    use crate::{
        nix::derivation::Derivation,
        verify::session::tests::{path, verification},
    };

    /// A `nix` that has built everything already.
    struct Built(PathBuf);

    impl Native for Built {
        fn build(&self, node: &Node, output: &str) -> Result<PathBuf, String> {
            match output {
                "out" => Ok(self.0.clone()),
                _ => Err(format!("{} has no output `{output}`", node.drv.short_name())),
            }
        }
    }

    #[test]
    fn bits_of_another_system_are_those_of_its_target_or_of_nix() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("state")).unwrap();
        let verification = verification();
        let outputs_of = |by: CounterpartBy, output: &str, native: Option<&dyn Native>| {
            let counterpart = Counterpart { system: "x86_64-linux".to_owned(), by };
            let outputs = [output.to_owned()];
            let by_nix = counterpart.by_nix(&outputs, &store, native);
            let by_target = counterpart.by_target(&outputs, &verification.targets);
            assert!(by_nix.is_some() != by_target.is_some(), "one of them builds it");
            let other = by_nix.or(by_target).unwrap();
            assert_eq!(other.reference.to_string(), "x86_64-linux");
            assert_eq!(other.shows, Level::Repeated, "two builds, and no more");
            other.outputs.map(|outputs| outputs.into_values().collect::<Vec<_>>())
        };
        let first = &verification.targets[0].outputs[0];
        let target = |index| CounterpartBy::Target(index);
        assert_eq!(
            outputs_of(target(0), &first.output, None),
            Ok(first.finding.nar_hash.into_iter().collect())
        );
        assert_eq!(outputs_of(target(0), "doc", None), Err("it was not built".to_owned()));
        assert_eq!(outputs_of(target(7), &first.output, None), Err("it was not built".to_owned()));

        let text = br#"Derive([("out","/nix/store/00000000000000000000000000000000-a","","")],[],[],"x86_64-linux","/bin/sh",[],[])"#;
        let derivation = Derivation::parse(text).unwrap();
        let node = Node { drv: path("a.drv"), derivation: derivation.into(), inputs: Vec::new(), depth: 0 };
        let nix = || CounterpartBy::Nix(Box::new(node.clone()));
        let tree = folder.path().join("tree");
        fs::write(&tree, "bits").unwrap();
        let built = Built(tree.clone());
        assert_eq!(outputs_of(nix(), "out", Some(&built)), Ok(vec![store.add_tree(&tree).unwrap().hash]));
        assert_eq!(outputs_of(nix(), "dev", Some(&built)), Err("a has no output `dev`".to_owned()));
        assert_eq!(outputs_of(nix(), "out", None), Err("there is no `nix` here".to_owned()));
    }
}
