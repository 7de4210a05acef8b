//! The derivations that paths were built by: that each is what its path says, with everything it needs, that a path, its inputs
//! and its sources are those that its derivation names, and that it was built in the machines that the policy names for its system.

use std::collections::{BTreeMap, BTreeSet};

use super::{Checker, Found, Kind, Report, path::PathResult};
use crate::{
    graph::{Graph, MAX_DERIVATIONS},
    mirror::{
        derivations::{self, Unreadable},
        layout::{HashPart, Object},
        parallel::parallel,
        statement::{Admission, Ground},
    },
    nix::{
        derivation::Derivation,
        hash_modulo::{HashModulos, OutputCheck},
        store_path::StorePath,
    },
};

type Derivations = BTreeMap<StorePath, Derivation>;

impl Checker<'_> {
    /// Looks at the derivations of all paths. Returns the names of those that something needs.
    pub(super) fn derivations(
        &self,
        paths: &BTreeMap<HashPart, PathResult>,
        jobs: usize,
        report: &mut Report,
    ) -> BTreeSet<String> {
        let derivers = paths.values().flat_map(|path| &path.admissions).filter_map(Admission::deriver);
        let derivers: BTreeSet<StorePath> = derivers.cloned().collect();
        let read_one = |drv: &StorePath| derivations::read(self.location, drv);
        let (read, asked, mut found) = read_all(derivers.clone(), MAX_DERIVATIONS, jobs, read_one);
        for path in paths.values() {
            for admission in &path.admissions {
                names_what_it_was_made_from(&mut found, path, admission, &read);
            }
            for machines in &path.machines {
                // One that could not be read was told of.
                let Some(derivation) = read.get(&machines.derivation) else { continue };
                if let Some(why) = machines.fault(&self.policy, &derivation.system) {
                    found.fault(Kind::BelowPolicy, &machines.object, why);
                }
            }
        }
        follow(&mut found, &derivers, read);
        report.add(found);
        report.derivations = asked.len() as u64;
        asked.into_iter().map(|drv| Object::Derivation(drv).name()).collect()
    }
}

/// Reads derivations and everything they need, as far as there are not more than `most`. Also returns all that were asked for, and what
/// could not be read.
fn read_all(
    roots: BTreeSet<StorePath>,
    most: usize,
    jobs: usize,
    read_one: impl Fn(&StorePath) -> Result<Derivation, Unreadable> + Sync,
) -> (Derivations, BTreeSet<StorePath>, Found) {
    let (mut read, mut asked, mut found) = (Derivations::new(), roots.clone(), Found::default());
    let mut left = roots;
    while !left.is_empty() {
        if asked.len() > most {
            let why = format!("paths were built by more than {most} derivations: not all of them were read");
            found.fault(Kind::Unread, "derivations/", why);
            break;
        }
        let batch: Vec<StorePath> = std::mem::take(&mut left).into_iter().collect();
        let results = parallel(&batch, jobs, &read_one);
        for (drv, result) in batch.into_iter().zip(results) {
            match result {
                Ok(derivation) => {
                    let new = derivation.input_drvs.keys().filter(|input| !asked.contains(*input));
                    left.extend(new.cloned());
                    read.insert(drv, derivation);
                }
                Err(error) => {
                    let kind = match error {
                        Unreadable::Missing => Kind::NotClosed,
                        Unreadable::Damaged(_) => Kind::Damaged,
                        Unreadable::Location(_) => Kind::Unread,
                    };
                    found.fault(kind, &Object::Derivation(drv).name(), error.to_string());
                }
            }
        }
        asked.extend(left.iter().cloned());
    }
    (read, asked, found)
}

/// That a path is what its derivation makes, and that the statement names its inputs and sources.
fn names_what_it_was_made_from(
    found: &mut Found,
    path: &PathResult,
    admission: &Admission,
    read: &Derivations,
) {
    let (Ground::Built { derivation, output }, Some(info)) = (&admission.ground, &path.info) else { return };
    let name = path.name();
    let Some(derivation) = read.get(derivation) else { return };
    if derivation.output_path(output) != Some(&info.store_path) {
        found.fault(Kind::Damaged, &name, "the derivation it is said to be built by makes another path");
    }
    let (mut inputs, mut sources): (BTreeSet<&StorePath>, BTreeSet<&StorePath>) =
        (BTreeSet::new(), derivation.input_srcs.iter().collect());
    for (drv, outputs) in &derivation.input_drvs {
        // One that could not be read was told of.
        let Some(input) = read.get(drv) else { return };
        let made = outputs.iter().filter_map(|output| input.output_path(output));
        if input.is_fixed_output() { sources.extend(made) } else { inputs.extend(made) }
    }
    if !inputs.iter().copied().eq(admission.inputs.keys()) {
        found.fault(Kind::Damaged, &name, "the inputs it names are not those of its derivation");
    }
    if !sources.iter().all(|source| admission.sources.contains_key(*source)) {
        found.fault(Kind::Damaged, &name, "it does not name every source of its derivation");
    }
}

/// That every output's path follows from its derivation and what that needs.
fn follow(found: &mut Found, roots: &BTreeSet<StorePath>, mut read: Derivations) {
    let roots: Vec<StorePath> = roots.iter().cloned().collect();
    let graph = match Graph::load(&roots, |drv| read.remove(drv).ok_or("a derivation is missing")) {
        Ok(graph) => graph,
        // What is missing was told of.
        Err(crate::graph::LoadError::Resolve(_)) => return,
        Err(crate::graph::LoadError::Graph(error)) => {
            return found.fault(Kind::Damaged, "derivations/", error.to_string());
        }
    };
    let mut modulos = HashModulos::new();
    for node in graph.nodes() {
        let name = Object::Derivation(node.drv.clone()).name();
        match modulos.check_outputs(&node.drv, &node.derivation) {
            Ok(outputs) => {
                for (output, check) in outputs {
                    if !matches!(check, OutputCheck::Equal | OutputCheck::NotComputable { .. }) {
                        let why = format!("the path of its output `{output}` does not follow from it");
                        found.fault(Kind::Damaged, &name, why);
                    }
                }
            }
            Err(error) => found.fault(Kind::Damaged, &name, error.to_string()),
        }
        if let Err(error) = modulos.insert(&node.drv, &node.derivation) {
            // Nothing that needs it can be checked any more.
            return found.fault(Kind::Damaged, &name, error.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The nth of derivations that need each other in a row.
    fn named(n: usize) -> StorePath {
        StorePath::from_base_name(format!("{n:032}-x.drv").as_bytes()).unwrap()
    }

    #[test]
    fn more_derivations_than_are_read_are_a_finding_and_not_passed_over() {
        let next = |drv: &StorePath| -> Result<Derivation, Unreadable> {
            let n: usize = drv.hash_part().parse().unwrap();
            let text =
                format!(r#"Derive([("out","","","")],[("{}",["out"])],[],"x","y",[],[])"#, named(n + 1));
            Ok(Derivation::parse(text.as_bytes()).unwrap())
        };
        let (read, asked, found) = read_all([named(0)].into(), 20, 2, next);
        assert_eq!((read.len(), asked.len()), (20, 21));
        let [one] = &found.findings[..] else { panic!("{found:?}") };
        assert_eq!((one.kind, one.object.as_str()), (Kind::Unread, "derivations/"));
        let ends = |drv: &StorePath| match drv.hash_part().parse() {
            Ok(20) => Err(Unreadable::Missing),
            _ => next(drv),
        };
        let (read, asked, found) = read_all([named(0)].into(), 21, 2, ends);
        assert_eq!((read.len(), asked.len(), found.findings[0].kind), (20, 21, Kind::NotClosed));
    }
}
