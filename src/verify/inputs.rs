//! What the targets were built from: how each of it came into our store, and of what our store cannot say that.

use std::collections::BTreeSet;

use super::{Level, Verdict, conclusion::Conclusion};
use crate::{
    graph::{Graph, Plan},
    nix::store_path::StorePath,
    store::{Origin, Store, StoreError},
};

/// How something that the targets were built from came into the store.
#[derive(Debug)]
pub struct Input {
    /// The path.
    pub path: StorePath,
    /// Where it came from.
    pub origin: Origin,
}

/// Something the targets were built from, of which our store cannot say where it came from.
#[derive(Debug)]
pub struct UnknownInput {
    /// The path.
    pub path: StorePath,
    /// Why not.
    pub error: StoreError,
}

impl UnknownInput {
    /// Why nothing that was built from it is reproduced.
    pub fn why(&self) -> String {
        format!("it is not known where {} came from: {}", self.path, self.error)
    }
}

/// What is known and not known of what targets were built from.
#[derive(Debug, Default)]
pub struct Inputs {
    /// What it is, and how it came here.
    pub known: Vec<Input>,
    /// What our store cannot say the origin of; with anything in here nothing is reproduced.
    pub unknown: Vec<UnknownInput>,
}

impl Inputs {
    /// Where everything that the derivations at `targets` were built from came from, in the order of the graph; the targets
    /// themselves are not among it. What was taken on trust is listed however deep it lies, also behind something that was
    /// there already.
    pub fn of(graph: &Graph, plan: &Plan, targets: impl IntoIterator<Item = usize>, store: &Store) -> Inputs {
        let targets: BTreeSet<usize> = targets.into_iter().collect();
        let roots: Vec<usize> = targets.iter().copied().collect();
        let mut seen = BTreeSet::new();
        let mut inputs = Inputs::default();
        for index in graph.closure(&roots) {
            let (node, step) = (&graph.nodes()[index], &plan.steps[index]);
            let outputs = node.derivation.outputs.iter().filter(|_| !targets.contains(&index));
            let outputs =
                outputs.filter_map(|(name, output)| Some((step.outputs.contains(name), output.path()?)));
            let sources = node.derivation.input_srcs.iter().map(|path| (false, path));
            for (needed, path) in outputs.chain(sources) {
                let info = match store.path(path) {
                    Ok(Some(info)) => info,
                    Ok(None) => continue,
                    Err(error) if seen.insert(path.clone()) => {
                        inputs.unknown.push(UnknownInput { path: path.clone(), error });
                        continue;
                    }
                    Err(_) => continue,
                };
                if (needed || info.origin.is_on_trust()) && seen.insert(info.path.clone()) {
                    inputs.known.push(Input { path: info.path, origin: info.origin });
                }
            }
        }
        inputs
    }
}

/// Bits say nothing of a source while it is unknown what they were built from.
pub(super) fn round_down(conclusion: &mut Conclusion, unknown: &[UnknownInput]) {
    let Some(unknown) = unknown.first() else { return };
    if matches!(conclusion.verdict, Verdict::Reproduced | Verdict::Equivalent) {
        let reason = Some(unknown.why());
        *conclusion = Conclusion { verdict: Verdict::NotChecked, level: Level::Built, reason };
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::{collections::BTreeMap, fs};

    use super::*;
    use crate::{
        graph::{Rule, frontier, plan},
        nix::derivation::Derivation,
        verify::session::tests::path,
    };

    /// An input of which the record cannot be read.
    pub(crate) fn damaged(name: &str) -> UnknownInput {
        let error = StoreError::Damaged { file: "paths/b.json".into(), why: "it is no JSON".to_owned() };
        UnknownInput { path: path(name), error }
    }

    #[test]
    fn a_source_of_which_the_record_is_damaged_is_unknown_and_one_without_a_record_is_not_there() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let derivation = Derivation {
            outputs: BTreeMap::new(),
            input_drvs: BTreeMap::new(),
            input_srcs: [path("source.c"), path("absent.c")].into(),
            system: b"x86_64-linux".to_vec(),
            builder: b"/bin/sh".to_vec(),
            args: Vec::new(),
            env: BTreeMap::new(),
        };
        let resolve = |_: &StorePath| Ok::<_, String>(derivation.clone());
        let graph = Graph::load(&[path("a.drv")], resolve).unwrap();
        let plan = plan(&graph, &frontier(&graph, &Rule::default()), |_| true, |_| false, |_| false);
        let unknown = || Inputs::of(&graph, &plan, [0], &store).unknown;
        assert!(unknown().is_empty());
        fs::write(dir.path().join(format!("paths/{}.json", path("source.c").base_name())), "{").unwrap();
        let found = unknown();
        assert_eq!(found.iter().map(|input| &input.path).collect::<Vec<_>>(), [&path("source.c")]);
        let reproduced = || Conclusion { verdict: Verdict::Reproduced, level: Level::Varied, reason: None };
        let (mut conclusion, mut known) = (reproduced(), reproduced());
        round_down(&mut conclusion, &found);
        round_down(&mut known, &[]);
        assert_eq!((conclusion.verdict, known.verdict), (Verdict::NotChecked, Verdict::Reproduced));
    }
}
