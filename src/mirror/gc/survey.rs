//! What a mirror has, and who needs what: the part of a removal that only looks.

use std::collections::{BTreeMap, BTreeSet};

use super::GcError;
use crate::{
    mirror::{
        Mirror, MirrorError,
        layout::{FileHash, HashPart, KeyId, Object},
        parallel::parallel,
        statement::{Admission, Ground},
    },
    nix::{narinfo::NarInfo, store_path::StorePath},
};

/// Paths that are read at once.
const BATCH: usize = 1024;

/// What lies there.
#[derive(Debug, Default)]
pub(super) struct Listed {
    /// Paths that are in.
    pub(super) parts: BTreeSet<HashPart>,
    /// Paths with a record of their removal.
    pub(super) removed: BTreeSet<HashPart>,
    /// Paths that somebody testified to.
    pub(super) attested: BTreeMap<HashPart, Vec<String>>,
    /// Every object that can be removed, with its size.
    pub(super) objects: BTreeMap<String, u64>,
}

/// A path, as far as it matters here.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) path: StorePath,
    /// What it refers to and what it was made from.
    pub(super) needs: BTreeSet<HashPart>,
    /// The derivation it was built by.
    pub(super) drv: Option<StorePath>,
    /// The objects that are its own or its and others': listing, NAR, log, and what each signer signs.
    pub(super) objects: Vec<String>,
    /// Names of the sources it was made from.
    pub(super) sources: Vec<String>,
}

impl Known {
    fn new(info: &NarInfo, admission: &Admission) -> Self {
        let part = HashPart::of(&info.store_path);
        let needs = info.references.iter().chain(admission.inputs.keys()).map(HashPart::of);
        let drv = match &admission.ground {
            Ground::Built { derivation, .. } => Some(derivation.clone()),
            Ground::Source | Ground::Seed { .. } => None,
        };
        let mut objects = vec![info.url.clone(), Object::Listing(part.clone()).name()];
        objects.extend(drv.clone().map(|drv| Object::Log(drv).name()));
        Known {
            needs: needs.filter(|need| *need != part).collect(),
            path: info.store_path.clone(),
            drv,
            objects,
            sources: sources(admission),
        }
    }
}

/// Names of the sources that a path was made from.
pub(super) fn sources(admission: &Admission) -> Vec<String> {
    let hashes = admission.sources.values().filter_map(|hash| FileHash::from_hex(hash));
    hashes.map(|hash| Object::Source(hash).name()).collect()
}

impl Listed {
    /// Lists a mirror.
    pub(super) fn of(mirror: &Mirror) -> Result<Self, MirrorError> {
        let mut listed = Listed::default();
        for (name, size) in mirror.location.list("")? {
            match Object::parse(&name) {
                Some(Object::NarInfo(part)) => {
                    listed.parts.insert(part.clone());
                    listed.objects.insert(name, size);
                }
                Some(Object::Removed(part)) => {
                    listed.removed.insert(part);
                }
                Some(Object::Attestation(part, _)) => {
                    listed.attested.entry(part).or_default().push(name);
                }
                Some(
                    Object::Signature(..)
                    | Object::Listing(_)
                    | Object::Nar(_)
                    | Object::Log(_)
                    | Object::Derivation(_)
                    | Object::Source(_),
                ) => {
                    listed.objects.insert(name, size);
                }
                _ => {}
            }
        }
        Ok(listed)
    }

    /// Paths that were begun and are not in: a writer was killed, or too few have testified so far.
    pub(super) fn unfinished(&self) -> impl Iterator<Item = (&HashPart, &Vec<String>)> {
        let there = |part: &HashPart| self.parts.contains(part) || self.removed.contains(part);
        self.attested.iter().filter(move |(part, _)| !there(part))
    }
}

impl Mirror {
    /// Reads what these paths need.
    ///
    /// # Errors
    /// When one cannot be read or believed: what needs what is not known then.
    pub(super) fn know<'p>(
        &self,
        parts: impl IntoIterator<Item = &'p HashPart>,
        jobs: usize,
    ) -> Result<BTreeMap<HashPart, Known>, GcError> {
        let parts: Vec<&HashPart> = parts.into_iter().collect();
        let mut known = BTreeMap::new();
        for batch in parts.chunks(BATCH) {
            for (part, one) in batch.iter().zip(parallel(batch, jobs, |part| self.know_one(part))) {
                if let Some(one) = one? {
                    known.insert((*part).clone(), one);
                }
            }
        }
        Ok(known)
    }

    fn know_one(&self, part: &HashPart) -> Result<Option<Known>, GcError> {
        let Some(info) = self.admitted(part)? else { return Ok(None) };
        let mut known = Known::new(&info, &self.admission(&info.store_path)?);
        let keys = self.keys().filter(|_| self.keys().count() > 1);
        known.objects.extend(keys.map(|key| Object::Signature(part.clone(), KeyId::of(key)).name()));
        Ok(Some(known))
    }
}
