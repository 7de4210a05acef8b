//! Going through all objects, and keeping the first of each kind.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    super::{
        Mirror, MirrorError,
        admission::{REFUSAL_KIND, Refusal},
        conflict::{self, Conflict},
        document::Told,
        layout::{HashPart, KeyId, Object},
        parallel::parallel,
        statement::Ground,
    },
    Dated, Held, Holdings, MOST_DOCUMENTS, MOST_PATHS, Totals, Unread, Waiting,
};
use crate::nix::store_path::StorePath;

/// Paths that are read before they are sorted in.
const BATCH: usize = 256;

/// The keys by which paths were read and not built.
type Readings = BTreeMap<HashPart, Vec<KeyId>>;

impl Mirror {
    /// Gathers what it holds; `jobs` objects are read at once.
    ///
    /// # Errors
    /// When it cannot be listed, or the signatures of its policy cannot be read. What else cannot be read is said to be so in what is returned.
    pub fn holdings(&self, jobs: usize) -> Result<Holdings, MirrorError> {
        let mut gathered = Gathered::new(self);
        let (mut parts, mut documents) = (BTreeSet::new(), Vec::new());
        let keys: BTreeSet<KeyId> = self.keys().map(KeyId::of).collect();
        let (mut signed, mut removed, mut readings) = (BTreeSet::new(), BTreeSet::new(), Readings::new());
        for (name, size) in self.location.list("")? {
            match Object::parse(&name) {
                Some(Object::NarInfo(part)) => _ = parts.insert(part),
                Some(Object::Signature(part, _)) => _ = signed.insert(part),
                Some(Object::Removed(part)) => _ = removed.insert(part),
                // What is no signer's is for `check` to tell of.
                Some(Object::Reading(part, key)) if keys.contains(&key) => {
                    readings.entry(part).or_default().push(key);
                }
                Some(object @ (Object::Refused(..) | Object::Conflict(..))) => documents.push(object),
                Some(Object::Source(_)) => {
                    gathered.totals.kept_sources.0 += 1;
                    gathered.totals.kept_sources.1 += size;
                }
                _ => {}
            }
        }
        // What is there has been admitted, and what was removed waits for nobody.
        let pending: Vec<HashPart> =
            signed.into_iter().filter(|part| !parts.contains(part) && !removed.contains(part)).collect();
        let parts: Vec<HashPart> = parts.into_iter().collect();
        for batch in parts.chunks(BATCH) {
            let held = |part: &HashPart| self.held(part, readings.get(part).map_or(&[], Vec::as_slice));
            for (part, held) in batch.iter().zip(parallel(batch, jobs, held)) {
                match held {
                    // Removed since it was listed.
                    Ok(None) => {}
                    Ok(Some((held, unread))) => {
                        gathered.add(held);
                        unread.into_iter().for_each(|one| gathered.unread(one));
                    }
                    Err(error) => gathered.unread(self.unread(&Object::NarInfo(part.clone()).name(), &error)),
                }
            }
        }
        for batch in pending.chunks(BATCH) {
            for (part, waiting) in batch.iter().zip(parallel(batch, jobs, |part| self.waiting(part))) {
                match waiting {
                    Ok(waiting) => waiting.into_iter().for_each(|one| gathered.waits(one)),
                    Err(error) => gathered.unread(self.unread(&Object::NarInfo(part.clone()).name(), &error)),
                }
            }
        }
        for object in &documents {
            gathered.document(object);
        }
        gathered.snapshots();
        let stand_for_policy = self.stand_for_policy()?.into_iter().map(str::to_owned).collect();
        Ok(gathered.finish(stand_for_policy))
    }
}

/// Holdings as they grow.
struct Gathered<'m> {
    mirror: &'m Mirror,
    paths: BTreeMap<(String, StorePath), Held>,
    pending: BTreeMap<(String, StorePath), Waiting>,
    refusals: Vec<Told<Refusal>>,
    conflicts: Vec<Told<Conflict>>,
    snapshots: Vec<Dated>,
    unread: BTreeSet<Unread>,
    totals: Totals,
}

impl<'m> Gathered<'m> {
    fn new(mirror: &'m Mirror) -> Self {
        Gathered {
            mirror,
            paths: BTreeMap::new(),
            pending: BTreeMap::new(),
            refusals: Vec::new(),
            conflicts: Vec::new(),
            snapshots: Vec::new(),
            unread: BTreeSet::new(),
            totals: Totals::default(),
        }
    }

    fn add(&mut self, held: Held) {
        let totals = &mut self.totals;
        totals.paths += 1;
        match held.ground() {
            Some(Ground::Built { .. }) => totals.built += 1,
            Some(Ground::Source) => totals.sources += 1,
            Some(Ground::Seed { .. }) => totals.seeds += 1,
            None => {}
        }
        if let Some(shown) = held.level() {
            *totals.levels.entry(shown.level).or_default() += 1;
        }
        totals.nar_bytes += held.nar_size;
        totals.file_bytes += held.file_size.unwrap_or_default();
        for name in &held.signed {
            *totals.signed.entry(name.clone()).or_default() += 1;
        }
        totals.read += usize::from(!held.read.is_empty());
        totals.too_few += usize::from(held.signed.len() < self.mirror.signers.threshold);
        for seed in held.seeds() {
            if totals.resting_on.len() < MOST_PATHS || totals.resting_on.contains_key(seed) {
                *totals.resting_on.entry(seed.clone()).or_default() += 1;
            }
        }
        self.paths.insert((held.path.name().to_owned(), held.path.clone()), held);
        if self.paths.len() > MOST_PATHS {
            self.paths.pop_last();
        }
    }

    fn waits(&mut self, one: Waiting) {
        self.totals.pending += 1;
        self.pending.insert((one.path.name().to_owned(), one.path.clone()), one);
        if self.pending.len() > MOST_DOCUMENTS {
            self.pending.pop_last();
        }
    }

    fn unread(&mut self, one: Unread) {
        self.totals.unread += 1;
        self.unread.insert(one);
        if self.unread.len() > MOST_DOCUMENTS {
            self.unread.pop_last();
        }
    }

    /// A refusal or a conflict.
    fn document(&mut self, object: &Object) {
        let read = match object {
            Object::Refused(..) => self.mirror.told(object, REFUSAL_KIND).map(|told| {
                self.totals.refusals += 1;
                keep(&mut self.refusals, told);
            }),
            _ => self.mirror.told(object, conflict::KIND).map(|told| {
                self.totals.conflicts += 1;
                keep(&mut self.conflicts, told);
            }),
        };
        if let Err(error) = read {
            self.unread(self.mirror.unread(&object.name(), &error));
        }
    }

    /// What is said of when it was all there.
    fn snapshots(&mut self) {
        let mirror = self.mirror;
        for (by, key) in mirror.signers.nix_keys() {
            let object = Object::Snapshot(KeyId::of(key)).name();
            match mirror.snapshot_by(key) {
                Ok(None) => {}
                Ok(Some(snapshot)) => self.snapshots.push(Dated {
                    by: by.to_owned(),
                    object,
                    number: snapshot.number,
                    made: snapshot.made,
                    until: snapshot.holds_until(&mirror.policy),
                    paths: snapshot.listed.paths.len(),
                }),
                Err(error) => self.unread(mirror.unread(&object, &error)),
            }
        }
    }

    fn finish(self, stand_for_policy: Vec<String>) -> Holdings {
        Holdings {
            policy: self.mirror.policy.clone(),
            stand_for_policy,
            paths: self.paths.into_values().collect(),
            pending: self.pending.into_values().collect(),
            refusals: self.refusals,
            conflicts: self.conflicts,
            snapshots: self.snapshots,
            unread: self.unread.into_iter().collect(),
            totals: self.totals,
        }
    }
}

fn keep<T>(list: &mut Vec<Told<T>>, told: Option<Told<T>>) {
    if list.len() < MOST_DOCUMENTS {
        list.extend(told);
    }
}
