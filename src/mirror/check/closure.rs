//! Some paths, with what they refer to and were made from, and everything that is said of those.

use std::collections::{BTreeMap, BTreeSet};

use super::{Checker, Found, Kind, Report, Request, path::PathResult, snapshot::OfKey};
use crate::{
    mirror::{
        layout::{FileHash, HashPart, Object},
        location::LocationError,
        memory::{REMOVAL_KIND, Removal},
        parallel::parallel,
        statement::Admission,
    },
    nix::store_path::StorePath,
};

/// Paths that some paths may need. A server can make up, and sign, another one for each that it is asked for.
const MAX_PATHS: usize = 200_000;

/// Looks at paths, and at what those need, as long as these are not more than `most`. Also returns what is left then.
fn reach(
    wanted: BTreeSet<HashPart>,
    most: usize,
    mut look: impl FnMut(&[HashPart]) -> BTreeMap<HashPart, PathResult>,
) -> (BTreeMap<HashPart, PathResult>, BTreeSet<HashPart>) {
    let (mut paths, mut left) = (BTreeMap::new(), wanted);
    while !left.is_empty() && paths.len() + left.len() <= most {
        let parts: Vec<HashPart> = left.into_iter().collect();
        let new = look(&parts);
        left = new.values().flat_map(PathResult::needs).collect();
        paths.extend(new);
        left.retain(|part| !paths.contains_key(part));
    }
    (paths, left)
}

impl Checker<'_> {
    /// Looks at them, and tells what was looked at: they, and the derivations that they were built by. What nothing of them needs is
    /// not looked at.
    pub(super) fn closure(
        &self,
        request: &Request<'_>,
        snapshots: &[OfKey<'_>],
        report: &mut Report,
    ) -> (BTreeMap<HashPart, PathResult>, BTreeSet<HashPart>) {
        let (roots, jobs) = (request.paths, request.jobs);
        let (there, absent): (Vec<&StorePath>, Vec<&StorePath>) =
            roots.iter().partition(|root| self.is_known(root));
        absent.into_iter().for_each(|root| report.add(self.absent(root)));
        let wanted: BTreeSet<HashPart> = there.iter().copied().map(HashPart::of).collect();
        let (paths, left) = reach(wanted, MAX_PATHS, |parts| self.paths(parts, jobs, report));
        if let Some(next) = left.first() {
            let mut found = Found::default();
            let why =
                format!("more than {MAX_PATHS} paths are needed: this one and others were not looked at");
            found.fault(Kind::Unread, &Object::NarInfo(next.clone()).name(), why);
            report.add(found);
        }
        for root in there {
            report.add(self.is_admitted(root, &paths));
        }
        self.derivations(&paths, jobs, report);
        let sources = paths.values().flat_map(|path| &path.admissions).flat_map(|one| one.sources.values());
        let sources: BTreeSet<FileHash> = sources.filter_map(|hex| FileHash::from_hex(hex)).collect();
        report.sources = sources.len() as u64;
        let derivers = paths.values().flat_map(|path| &path.admissions).filter_map(Admission::deriver);
        let parts: BTreeSet<HashPart> =
            paths.keys().cloned().chain(roots.iter().chain(derivers).map(HashPart::of)).collect();
        let conflicts = self.conflicts(&parts, snapshots, report);
        let documents: Vec<Object> = sources.into_iter().map(Object::Source).chain(conflicts).collect();
        for found in parallel(&documents, jobs, |object| self.document(object)) {
            report.add(found);
        }
        (paths, parts)
    }

    /// Whether there is anything of a path: its narinfo, or what a signer signs of it.
    fn is_known(&self, path: &StorePath) -> bool {
        let part = HashPart::of(path);
        // What cannot be read is told of where it is read again.
        !matches!(self.location.open(&Object::NarInfo(part.clone()).name()), Ok(None))
            || !self.each_signs(&mut PathResult::default(), &part).is_empty()
    }

    /// A path that was asked for and is not there.
    fn absent(&self, path: &StorePath) -> Found {
        let mut found = Found::default();
        let part = HashPart::of(path);
        let mut is_there = |object: Object| match self.location.open(&object.name()) {
            Ok(there) => there.is_some(),
            Err(error) => {
                found.fault(Kind::Unread, &object.name(), error.to_string());
                false
            }
        };
        let removed = Object::Removed(part.clone());
        let (was_removed, was_admitted) =
            (is_there(removed.clone()), is_there(Object::Admitted(part.clone())));
        let removal = was_removed.then(|| self.signed::<Removal>(&mut found, &removed.name(), REMOVAL_KIND));
        let (kind, why) = if removal.flatten().is_some_and(|removal| removal.path == *path) {
            (Kind::NotClosed, "it was removed on record, because nothing needed it")
        } else if was_admitted {
            (Kind::Gone, "it was admitted, is not there, and nobody removed it on record")
        } else {
            (Kind::NotClosed, "it is not in this mirror")
        };
        found.fault(kind, &Object::NarInfo(part).name(), format!("{path}: {why}"));
        found
    }

    /// That a path which was asked for is that very path, and that enough have signed it.
    fn is_admitted(&self, path: &StorePath, paths: &BTreeMap<HashPart, PathResult>) -> Found {
        let mut found = Found::default();
        let part = HashPart::of(path);
        let name = Object::NarInfo(part.clone()).name();
        let Some(result) = paths.get(&part) else { return found };
        let Some(info) = &result.info else { return found };
        if info.store_path != *path {
            found.fault(Kind::NotClosed, &name, format!("it is about {}, not {path}", info.store_path));
        }
        if result.pending {
            let needed = self.believed.needed;
            let why =
                format!("it is not admitted yet: {needed} signers have to agree, on it and on what it needs");
            found.fault(Kind::Unsigned, &name, why);
        }
        found
    }

    /// The records of other bits that were found for any of these paths: those that are there, or, where nothing can be listed, those
    /// that snapshots list.
    fn conflicts(
        &self,
        parts: &BTreeSet<HashPart>,
        snapshots: &[OfKey<'_>],
        report: &mut Report,
    ) -> BTreeSet<Object> {
        let names: Vec<String> = match self.location.list("conflicts/") {
            Ok(listed) => listed.into_iter().map(|(name, _)| name).collect(),
            Err(LocationError::NotListed { .. }) => {
                report.conflicts_unseen = !self.somebody_looks_after_it(snapshots);
                let listed = snapshots.iter().filter_map(OfKey::snapshot).map(|one| &one.listed);
                listed.flat_map(|listed| listed.records.keys().cloned()).collect()
            }
            Err(error) => {
                let mut found = Found::default();
                found.fault(Kind::Unread, "conflicts/", error.to_string());
                report.add(found);
                Vec::new()
            }
        };
        let objects = names.iter().filter_map(|name| Object::parse(name));
        let is_of = |object: &Object| matches!(object, Object::Conflict(part, _) if parts.contains(part));
        objects.filter(is_of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{mirror::statement::Ground, nix::hash::NarHash};

    fn named(n: usize) -> StorePath {
        StorePath::from_base_name(format!("{n:032}-x").as_bytes()).unwrap()
    }

    #[test]
    fn paths_that_somebody_makes_up_without_an_end_are_looked_at_up_to_a_bound() {
        let needs = |n: usize| PathResult {
            admissions: vec![Admission {
                ground: Ground::Source,
                inputs: [(named(n), NarHash([0; 32]))].into(),
                sources: Default::default(),
                seeds: Default::default(),
                log: None,
            }],
            ..PathResult::default()
        };
        let next = |part: &HashPart| part.to_string().parse::<usize>().unwrap() + 1;
        let wanted = || BTreeSet::from([HashPart::of(&named(0))]);
        let look = |parts: &[HashPart]| parts.iter().map(|part| (part.clone(), needs(next(part)))).collect();
        let (paths, left) = reach(wanted(), 20, look);
        assert_eq!((paths.len(), left), (20, [HashPart::of(&named(20))].into()));
        // A circle has an end.
        let round =
            |parts: &[HashPart]| parts.iter().map(|part| (part.clone(), needs(next(part) % 20))).collect();
        let (paths, left) = reach(wanted(), 20, round);
        assert_eq!((paths.len(), left.len()), (20, 0));
    }
}
