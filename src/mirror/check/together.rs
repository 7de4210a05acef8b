//! What only shows when all paths are held together: that references are closed, that inputs are the ones that the mirror holds,
//! and that the seeds which each path names are those it rests on.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Kind, Report,
    path::{PathResult, others},
};
use crate::{
    mirror::{
        layout::HashPart,
        statement::{Admission, Ground},
    },
    nix::store_path::StorePath,
};

/// Holds the paths together, and counts them.
pub(super) fn check(paths: &BTreeMap<HashPart, PathResult>, report: &mut Report) {
    let mut faults = super::Found::default();
    for path in paths.values() {
        let Some(info) = &path.info else { continue };
        if path.pending {
            report.pending += 1;
        } else {
            report.paths += 1;
        }
        for name in &path.signed {
            *report.signed.entry(name.clone()).or_default() += 1;
        }
        let is_seed = |admission: &Admission| matches!(admission.ground, Ground::Seed { .. });
        report.seeds += u64::from(!path.pending && path.admissions.iter().any(is_seed));
        let name = path.name();
        for reference in others(info).filter(|reference| !holds(paths, path, reference)) {
            faults.fault(Kind::NotClosed, &name, format!("it refers to {reference}, which is not there"));
        }
        for admission in &path.admissions {
            for (input, nar_hash) in &admission.inputs {
                match paths.get(&HashPart::of(input)).and_then(|input| input.info.as_ref()) {
                    Some(held) if held.store_path == *input && held.nar_hash == *nar_hash => {
                        if !holds(paths, path, input) {
                            let why = format!("it was made from {input}, which is not admitted yet");
                            faults.fault(Kind::NotClosed, &name, why);
                        }
                    }
                    Some(held) if held.store_path == *input => {
                        let why = format!("it was made from other bits of {input} than are there");
                        faults.fault(Kind::Damaged, &name, why);
                    }
                    _ => faults.fault(
                        Kind::NotClosed,
                        &name,
                        format!("it was made from {input}, which is not there"),
                    ),
                }
            }
            let expected = rests_on(paths, &info.store_path, others(info), admission);
            if admission.seeds != expected {
                faults.fault(Kind::Damaged, &name, "the seeds it names are not those it rests on");
            }
        }
    }
    report.findings.extend(faults.findings);
}

/// Whether a path may need another one: what is admitted only what is admitted too.
fn holds(paths: &BTreeMap<HashPart, PathResult>, by: &PathResult, path: &StorePath) -> bool {
    let there = paths.get(&HashPart::of(path)).filter(|there| by.pending || !there.pending);
    there.and_then(|there| there.info.as_ref()).is_some_and(|info| info.store_path == *path)
}

/// The seeds of a path's inputs and references, as those name them, and itself when it is one.
fn rests_on<'a>(
    paths: &BTreeMap<HashPart, PathResult>,
    path: &StorePath,
    references: impl Iterator<Item = &'a StorePath>,
    admission: &'a Admission,
) -> BTreeSet<StorePath> {
    let mut seeds: BTreeSet<StorePath> = BTreeSet::new();
    if matches!(admission.ground, Ground::Seed { .. }) {
        seeds.insert(path.clone());
    }
    for other in references.chain(admission.inputs.keys()) {
        let said = paths.get(&HashPart::of(other)).into_iter().flat_map(|other| &other.admissions);
        seeds.extend(said.flat_map(|admission| admission.seeds.iter().cloned()));
    }
    seeds
}
