//! Seeds: paths that are taken as they are, because everything has to begin somewhere. Each is recorded with its bits and with
//! why, and whatever is built from it says so.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Mirror, MirrorError,
    conflict::Bits,
    layout::{HashPart, Object},
    location::Put,
    publish::{Entry, Published, Publisher},
    statement::{Admission, Ground},
};
use crate::{
    nix::{hash::NarHash, store_path::StorePath},
    store::PathInfo,
};

/// The type that signatures of a seed name.
pub const SEED_KIND: &str = "application/vnd.reprove.seed+json";

/// The schema of [`Seed`].
pub const SEED_SCHEMA: &str = "reprove.seed/1";

/// A path that is taken as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Seed {
    /// [`SEED_SCHEMA`].
    pub schema: String,
    /// The path.
    pub path: StorePath,
    /// The hash of its NAR.
    pub nar_hash: NarHash,
    /// The size of its NAR in bytes.
    pub nar_size: u64,
    /// What it refers to.
    pub references: BTreeSet<StorePath>,
    /// Why it is taken.
    pub why: String,
}

impl Seed {
    /// What was taken, for whatever reason.
    pub(super) fn bits(&self) -> (&StorePath, NarHash, u64, &BTreeSet<StorePath>) {
        (&self.path, self.nar_hash, self.nar_size, &self.references)
    }
}

impl Publisher<'_> {
    /// Takes paths of our store, and everything they refer to, as seeds. Says of each what came of it, references first.
    ///
    /// # Errors
    /// [`MirrorError::Left`] when other bits of one are on record, by somebody who did not come to admit them; as [`Publisher::publish_all`].
    pub fn seed(&self, paths: &[StorePath], why: &str) -> Result<Vec<(StorePath, Published)>, MirrorError> {
        let closure = self.store.closure(paths)?;
        let mut rests_on: BTreeMap<&StorePath, BTreeSet<StorePath>> = BTreeMap::new();
        let (mut built, mut admissions) = (BTreeMap::new(), Vec::new());
        for info in &closure {
            let seeds = match self.mirror.testified(&HashPart::of(&info.path))? {
                // What was built for the mirror is no seed because somebody names it as one.
                Some((there, admission)) if !matches!(admission.ground, Ground::Seed { .. }) => {
                    built.insert(&info.path, self.compare(&there, info)?);
                    admission.seeds
                }
                _ => {
                    let below = info.references.iter().filter_map(|reference| rests_on.get(reference));
                    let mut seeds: BTreeSet<StorePath> = below.flatten().cloned().collect();
                    seeds.insert(info.path.clone());
                    self.record(info, why)?;
                    admissions.push((info, as_seed(seeds.clone(), why)));
                    seeds
                }
            };
            rests_on.insert(&info.path, seeds);
        }
        let entry = |(info, admission)| Entry { info, admission, statements: &[], log: None };
        let entries: Vec<Entry<'_>> =
            admissions.iter().map(|(info, admission)| entry((*info, admission))).collect();
        let mut published: BTreeMap<&StorePath, Published> =
            entries.iter().map(|entry| &entry.info.path).zip(self.publish_all(&entries)?).collect();
        published.append(&mut built);
        Ok(closure.iter().filter_map(|info| Some((info.path.clone(), *published.get(&info.path)?))).collect())
    }

    /// Admits a source of our store and everything it refers to: its path follows from its bits, which whoever checks the mirror
    /// finds out for himself.
    pub(super) fn source(&self, path: &StorePath) -> Result<(), MirrorError> {
        for info in self.store.closure(std::slice::from_ref(path))? {
            let others = info.references.iter().filter(|reference| **reference != info.path);
            let admission = Admission {
                ground: Ground::Source,
                inputs: Default::default(),
                sources: Default::default(),
                seeds: self.mirror.seeds_of(others)?,
                log: None,
            };
            self.publish(&Entry { info: &info, admission: &admission, statements: &[], log: None })?;
        }
        Ok(())
    }

    /// Leaves a record of a seed, unless it is admitted already, or was with other bits: that it is a conflict shows when it is published.
    fn record(&self, info: &PathInfo, why: &str) -> Result<(), MirrorError> {
        let part = HashPart::of(&info.path);
        let was_other = self.mirror.remembered(&part)?.is_some_and(|was| was.bits != Bits::found(info));
        if was_other || self.mirror.narinfo(&info.path)?.is_some() {
            return Ok(());
        }
        let seed = Seed {
            schema: SEED_SCHEMA.to_owned(),
            path: info.path.clone(),
            nar_hash: info.nar_hash,
            nar_size: info.nar_size,
            references: info.references.clone(),
            why: why.to_owned(),
        };
        let object = Object::Seed(part.clone());
        if self.put_signed(&object, SEED_KIND, &seed)? == Put::New {
            return Ok(());
        }
        let there = self.mirror.told::<Seed>(&object, SEED_KIND)?;
        if there.is_some_and(|there| there.document.bits() == seed.bits()) {
            return Ok(());
        }
        // Somebody found other bits before. If he came as far as to sign them, that is a conflict as well.
        let (admitted, signed) = (self.mirror.admitted(&part)?, self.mirror.signed(&part)?);
        let mut said = admitted.iter().chain(signed.values());
        if said.any(|there| Bits::of(there) != Bits::found(info)) {
            Ok(())
        } else {
            Err(self.left(&object.name()))
        }
    }
}

/// Why a seed is admitted, which rests on these and itself.
fn as_seed(seeds: BTreeSet<StorePath>, why: &str) -> Admission {
    Admission {
        ground: Ground::Seed { why: why.to_owned() },
        inputs: Default::default(),
        sources: Default::default(),
        seeds,
        log: None,
    }
}

impl Mirror {
    /// The seeds that paths of the mirror rest on, as those say themselves.
    ///
    /// # Errors
    /// [`MirrorError::Document`] for a path that does not say why it was admitted.
    pub fn seeds_of<'p>(
        &self,
        paths: impl IntoIterator<Item = &'p StorePath>,
    ) -> Result<BTreeSet<StorePath>, MirrorError> {
        let mut seeds = BTreeSet::new();
        for path in paths {
            seeds.extend(self.admission(path)?.seeds);
        }
        Ok(seeds)
    }
}
