//! Seeds: paths that are taken as they are, because everything has to begin somewhere. Each is recorded with its bits and with
//! why, and whatever is built from it says so.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Mirror, MirrorError,
    layout::{HashPart, Object},
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

impl Publisher<'_> {
    /// Takes paths of our store, and everything they refer to, as seeds. Says of each what came of it, references first.
    pub fn seed(&self, paths: &[StorePath], why: &str) -> Result<Vec<(StorePath, Published)>, MirrorError> {
        let closure = self.store.closure(paths)?;
        closure.iter().map(|info| Ok((info.path.clone(), self.seed_one(info, why)?))).collect()
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

    fn seed_one(&self, info: &PathInfo, why: &str) -> Result<Published, MirrorError> {
        // What was built for the mirror is no seed because somebody names it as one.
        let part = HashPart::of(&info.path);
        let told = self.mirror.testified(&part)?;
        if told.is_some_and(|(_, admission)| !matches!(admission.ground, Ground::Seed { .. })) {
            return self.mirror.settle(&part);
        }
        let there = self.mirror.narinfo(&info.path)?.is_some();
        let others = info.references.iter().filter(|reference| **reference != info.path);
        let mut seeds = self.mirror.seeds_of(others)?;
        seeds.insert(info.path.clone());
        let admission = Admission {
            ground: Ground::Seed { why: why.to_owned() },
            inputs: Default::default(),
            sources: Default::default(),
            seeds,
            log: None,
        };
        if !there {
            let seed = Seed {
                schema: SEED_SCHEMA.to_owned(),
                path: info.path.clone(),
                nar_hash: info.nar_hash,
                nar_size: info.nar_size,
                references: info.references.clone(),
                why: why.to_owned(),
            };
            self.put_signed(&Object::Seed(HashPart::of(&info.path)), SEED_KIND, &seed)?;
        }
        self.publish(&Entry { info, admission: &admission, statements: &[], log: None })
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
