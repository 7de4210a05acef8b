//! That what was admitted is there, or was removed as it should be.

use std::collections::{BTreeMap, BTreeSet};

use super::{Checker, Found, Kind, Report, path::PathResult};
use crate::mirror::{
    layout::{HashPart, Object},
    memory::{Admitted, MAX_LEN, REMOVAL_KIND, Removal},
    parallel::parallel,
};

/// What a mirror remembers.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Paths that were admitted.
    pub(super) admitted: BTreeSet<HashPart>,
    /// Paths that were removed.
    pub(super) removed: BTreeSet<HashPart>,
}

impl Checker<'_> {
    /// Looks at both.
    pub(super) fn memory(
        &self,
        memory: &Memory,
        paths: &BTreeMap<HashPart, PathResult>,
        jobs: usize,
        report: &mut Report,
    ) {
        let admitted: Vec<&HashPart> = memory.admitted.iter().collect();
        let looked_at = parallel(&admitted, jobs, |part| {
            let mut found = Found::default();
            self.was_admitted(&mut found, part, memory, paths);
            found
        });
        looked_at.into_iter().for_each(|found| report.add(found));
        for part in &memory.removed {
            let mut found = Found::default();
            let name = Object::Removed(part.clone()).name();
            let removal = self.signed::<Removal>(&mut found, &name, REMOVAL_KIND);
            if removal.is_some_and(|removal| HashPart::of(&removal.path) != *part) {
                found.fault(Kind::Damaged, &name, "it is about something else than its name says");
            }
            report.add(found);
        }
        let is_in = |(_, path): &(&HashPart, &PathResult)| path.info.is_some() && !path.pending;
        let forgotten = paths.iter().filter(is_in).map(|(part, _)| part);
        let forgotten = forgotten.filter(|part| !memory.admitted.contains(*part));
        report.unremembered = forgotten.map(|part| Object::Admitted(part.clone()).name()).collect();
        report.removed = memory.removed.iter().filter(|part| !paths.contains_key(*part)).count() as u64;
    }

    fn was_admitted(
        &self,
        found: &mut Found,
        part: &HashPart,
        memory: &Memory,
        paths: &BTreeMap<HashPart, PathResult>,
    ) {
        let name = Object::Admitted(part.clone()).name();
        let Some(bytes) = self.get(found, &name, MAX_LEN) else { return };
        let read = serde_json::from_slice::<Admitted>(&bytes).ok();
        let written = |one: &Admitted| one.to_json().is_ok_and(|again| again == bytes);
        let Some(admitted) = read.filter(|one| written(one) && HashPart::of(&one.path) == *part) else {
            return found.fault(Kind::Damaged, &name, "it is not written as this program writes it");
        };
        match paths.get(part) {
            Some(path) => {
                if path.info.as_ref().is_some_and(|info| Admitted::of(info) != admitted) {
                    found.fault(Kind::Damaged, &name, "the path has other bits than it was admitted with");
                }
            }
            None if memory.removed.contains(part) => {
                let mut quiet = Found::default();
                let object = Object::Removed(part.clone()).name();
                let removal = self.signed::<Removal>(&mut quiet, &object, REMOVAL_KIND);
                if removal
                    .is_some_and(|removal| (&removal.path, &removal.bits) != (&admitted.path, &admitted.bits))
                {
                    found.fault(Kind::Damaged, &object, "it removed other bits than were admitted");
                }
            }
            // It was admitted since the mirror was listed.
            None if matches!(self.location.open(&Object::NarInfo(part.clone()).name()), Ok(Some(_))) => {}
            None => {
                let why =
                    format!("{} was admitted, is not there, and nobody removed it on record", admitted.path);
                found.fault(Kind::Gone, &Object::NarInfo(part.clone()).name(), why);
            }
        }
    }
}
