//! What a mirror holds and says, gathered to be looked at: a function of its objects, of the mirror's own keys, and of nothing else.
//!
//! What cannot be read, or is signed by nobody whom the policy names, is said to be so and counts as nothing. It is no check of the
//! mirror: bits are not hashed here ([`super::check`] does that).

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Mirror, MirrorError,
    admission::{REFUSAL_KIND, Refusal},
    document::Told,
    layout::{HashPart, KeyId, Object},
    parallel::parallel,
    policy::Policy,
    publish::{CONFLICT_KIND, Conflict},
    statement::{self, Admission, Ground},
};
use crate::{
    attest::{
        check::{self as attested, Said},
        verdict::VerdictPredicate,
    },
    nix::{
        hash::NarHash,
        narinfo::{self, NarInfo},
        signature::PublicKey,
        store_path::StorePath,
    },
};

/// Paths of which more than the count is kept, at most: the first ones by name. A page of them has a few megabytes.
pub const MOST_PATHS: usize = 2000;

/// Refusals, conflicts and objects that cannot be read, at most of each.
pub const MOST_DOCUMENTS: usize = 500;

/// Paths that a path refers to, was made from or rests on, at most of each.
pub const MOST_NEEDS: usize = 1000;

/// Paths that are read before they are sorted in.
const BATCH: usize = 256;

/// What a mirror holds.
#[derive(Debug)]
pub struct Holdings {
    /// What it admits, and who says so.
    pub policy: Policy,
    /// Its paths, by name: the first [`MOST_PATHS`].
    pub paths: Vec<Held>,
    /// What was refused, and by whom.
    pub refusals: Vec<Told<Refusal>>,
    /// Other bits that were found for admitted paths.
    pub conflicts: Vec<Told<Conflict>>,
    /// Objects that cannot be read or believed, and why.
    pub unread: Vec<Unread>,
    /// Counts of everything, also of what is not kept here.
    pub totals: Totals,
}

/// A path that was admitted.
#[derive(Clone, Debug)]
pub struct Held {
    /// The path.
    pub path: StorePath,
    /// The hash of its NAR.
    pub nar_hash: NarHash,
    /// The size of its NAR in bytes.
    pub nar_size: u64,
    /// The size of the file in bytes.
    pub file_size: Option<u64>,
    /// What it refers to, but for itself: the first [`MOST_NEEDS`].
    pub references: BTreeSet<StorePath>,
    /// Contributors with a good signature of the path.
    pub signed: Vec<String>,
    /// What each of them says of it, who said anything.
    pub said: Vec<Testimony>,
}

/// What a signer says of a path.
#[derive(Clone, Debug)]
pub struct Testimony {
    /// The contributor's name.
    pub by: String,
    /// The object in which it is said.
    pub object: String,
    /// On what ground the path was admitted.
    pub ground: Ground,
    /// What of the mirror it was made from: the first [`MOST_NEEDS`].
    pub inputs: BTreeSet<StorePath>,
    /// The seeds it rests on: the first [`MOST_NEEDS`].
    pub seeds: BTreeSet<StorePath>,
    /// How many sources it was made from.
    pub sources: usize,
    /// Whether there is a log.
    pub log: bool,
    /// What comparing its builds showed, of a path that was built.
    pub shown: Option<Shown>,
}

/// What comparing builds showed.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The verdict.
    pub verdict: String,
    /// The level of assurance.
    pub level: u64,
    /// Its name.
    pub level_name: String,
    /// How many rounds each kind of machine did; kinds with their version.
    pub rounds: BTreeMap<String, usize>,
    /// What the rounds were compared with besides.
    pub references: Vec<String>,
}

/// An object that cannot be read or believed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unread {
    /// Its name.
    pub object: String,
    /// Why.
    pub why: String,
}

/// Counts of what a mirror holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Paths that were admitted.
    pub paths: usize,
    /// Of them, by ground.
    pub built: usize,
    /// Of them, by ground.
    pub sources: usize,
    /// Of them, by ground.
    pub seeds: usize,
    /// Paths that were built, by the level of assurance that all who signed them say at least.
    pub levels: BTreeMap<u64, usize>,
    /// Bytes of their NARs.
    pub nar_bytes: u64,
    /// Bytes of the NARs' files.
    pub file_bytes: u64,
    /// Sources that are kept, and their bytes.
    pub kept_sources: (usize, u64),
    /// Paths by the contributors with a good signature.
    pub signed: BTreeMap<String, usize>,
    /// Paths that fewer than have to agree signed.
    pub too_few: usize,
    /// Paths by the seed that they rest on, among seeds of the paths that are kept.
    pub resting_on: BTreeMap<StorePath, usize>,
    /// Refusals.
    pub refusals: usize,
    /// Conflicts.
    pub conflicts: usize,
    /// Objects that cannot be read or believed.
    pub unread: usize,
}

impl Held {
    /// On what ground it was admitted, as the first who says so.
    pub fn ground(&self) -> Option<&Ground> {
        self.said.first().map(|said| &said.ground)
    }

    /// The least that anybody who says something of it showed; none unless all showed something.
    pub fn level(&self) -> Option<&Shown> {
        let shown: Option<Vec<&Shown>> = self.said.iter().map(|said| said.shown.as_ref()).collect();
        shown?.into_iter().min_by_key(|shown| shown.level)
    }

    /// What it refers to and what it was made from.
    pub fn needs(&self) -> BTreeSet<&StorePath> {
        let inputs = self.said.iter().flat_map(|said| &said.inputs);
        self.references.iter().chain(inputs).filter(|path| **path != self.path).collect()
    }

    /// The seeds it rests on.
    pub fn seeds(&self) -> BTreeSet<&StorePath> {
        self.said.iter().flat_map(|said| &said.seeds).filter(|path| **path != self.path).collect()
    }
}

impl Mirror {
    /// Gathers what it holds; `jobs` objects are read at once.
    ///
    /// # Errors
    /// When it cannot be listed. What else cannot be read is said to be so in what is returned.
    pub fn holdings(&self, jobs: usize) -> Result<Holdings, MirrorError> {
        let mut gathered = Gathered::new(self);
        let (mut parts, mut documents) = (Vec::new(), Vec::new());
        for (name, size) in self.location.list("")? {
            match Object::parse(&name) {
                Some(Object::NarInfo(part)) => parts.push(part),
                Some(object @ (Object::Refused(..) | Object::Conflict(..))) => documents.push(object),
                Some(Object::Source(_)) => {
                    gathered.totals.kept_sources.0 += 1;
                    gathered.totals.kept_sources.1 += size;
                }
                _ => {}
            }
        }
        for batch in parts.chunks(BATCH) {
            for (part, held) in batch.iter().zip(parallel(batch, jobs, |part| self.held(part))) {
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
        for object in &documents {
            gathered.document(object);
        }
        Ok(gathered.finish())
    }

    /// A path, and what of it cannot be read or believed.
    fn held(&self, part: &HashPart) -> Result<Option<(Held, Vec<Unread>)>, MirrorError> {
        let object = Object::NarInfo(part.clone());
        let Some(text) = self.location.get(&object.name(), narinfo::MAX_LEN as u64)? else { return Ok(None) };
        let damaged = |why: String| MirrorError::Document { object: self.location.url(&object.name()), why };
        let info = NarInfo::parse(&text).map_err(|error| damaged(error.to_string()))?;
        if HashPart::of(&info.store_path) != *part {
            return Err(damaged(format!("it is about {}", info.store_path)));
        }
        let (mut signed, mut said, mut unread) = (Vec::new(), Vec::new(), Vec::new());
        for contributor in &self.signers.contributors {
            let keys: Vec<&PublicKey> = contributor
                .nix
                .iter()
                .filter(|key| info.signatures.iter().any(|signature| key.has_signed(&info, signature)))
                .collect();
            if keys.is_empty() {
                continue;
            }
            signed.push(contributor.name.clone());
            for key in keys {
                let object = Object::Attestation(part.clone(), KeyId::of(key)).name();
                match self.testimony(&info, key, &contributor.name, &object) {
                    Ok(one) => said.extend(one),
                    Err(error) => unread.push(self.unread(&object, &error)),
                }
            }
        }
        if signed.is_empty() {
            let why = "none of the mirror's signers has signed it".to_owned();
            return Err(MirrorError::Unsigned { object: self.location.url(&object.name()), why });
        }
        if said.is_empty() {
            let why = "nobody says why it was admitted".to_owned();
            unread.push(Unread { object: object.name(), why });
        }
        let mut references = info.references;
        references.remove(&info.store_path);
        let held = Held {
            path: info.store_path,
            nar_hash: info.nar_hash,
            nar_size: info.nar_size,
            file_size: info.file_size,
            references: references.into_iter().take(MOST_NEEDS).collect(),
            signed,
            said,
        };
        Ok(Some((held, unread)))
    }

    /// What the owner of a key says of a path; `None` when he says nothing.
    fn testimony(
        &self,
        info: &NarInfo,
        key: &PublicKey,
        by: &str,
        object: &str,
    ) -> Result<Option<Testimony>, MirrorError> {
        let Some(lines) = self.location.get(object, attested::MAX_LEN)? else { return Ok(None) };
        let damaged = |why: &str| MirrorError::Document { object: object.to_owned(), why: why.to_owned() };
        let (mut admission, mut verdict): (Option<Admission>, Option<Box<VerdictPredicate>>) = (None, None);
        for line in String::from_utf8_lossy(&lines).lines() {
            let one = attested::signed(line, std::slice::from_ref(key))?;
            if one.path != info.store_path || one.nar_hash != info.nar_hash {
                return Err(damaged("a statement in it is about something else"));
            }
            if one.predicate_type == statement::TYPE {
                let read = serde_json::from_value(one.predicate);
                admission = Some(read.map_err(|error| damaged(&error.to_string()))?);
                continue;
            }
            // What is said beside it, and is not known here, takes nothing from it.
            if let Ok(Said::Verdict(one)) =
                Said::read(&one.predicate_type, one.predicate, &one.path, one.nar_hash)
            {
                verdict = Some(one);
            }
        }
        let Some(admission) = admission else { return Ok(None) };
        let first = |paths: BTreeSet<StorePath>| paths.into_iter().take(MOST_NEEDS).collect();
        Ok(Some(Testimony {
            by: by.to_owned(),
            object: object.to_owned(),
            ground: admission.ground,
            inputs: first(admission.inputs.into_keys().collect()),
            seeds: first(admission.seeds),
            sources: admission.sources.len(),
            log: admission.log.is_some(),
            shown: verdict.map(|verdict| shown(*verdict)),
        }))
    }

    fn unread(&self, object: &str, error: &MirrorError) -> Unread {
        // Where the mirror lies is no part of what it holds.
        let why = error.to_string().replace(&self.location.url(object), object);
        let why = why.strip_prefix(&format!("{object}: ")).map(str::to_owned).unwrap_or(why);
        Unread { object: object.to_owned(), why }
    }
}

fn shown(verdict: VerdictPredicate) -> Shown {
    let mut rounds = BTreeMap::new();
    for round in verdict.rounds {
        *rounds.entry(round.engine).or_default() += 1;
    }
    Shown {
        verdict: verdict.verdict,
        level: verdict.level,
        level_name: verdict.level_name,
        rounds,
        references: verdict.references.into_iter().map(|one| one.reference).collect(),
    }
}

/// Holdings as they grow.
struct Gathered<'m> {
    mirror: &'m Mirror,
    paths: BTreeMap<(String, StorePath), Held>,
    refusals: Vec<Told<Refusal>>,
    conflicts: Vec<Told<Conflict>>,
    unread: BTreeSet<Unread>,
    totals: Totals,
}

impl<'m> Gathered<'m> {
    fn new(mirror: &'m Mirror) -> Self {
        Gathered {
            mirror,
            paths: BTreeMap::new(),
            refusals: Vec::new(),
            conflicts: Vec::new(),
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
            _ => self.mirror.told(object, CONFLICT_KIND).map(|told| {
                self.totals.conflicts += 1;
                keep(&mut self.conflicts, told);
            }),
        };
        if let Err(error) = read {
            self.unread(self.mirror.unread(&object.name(), &error));
        }
    }

    fn finish(self) -> Holdings {
        Holdings {
            policy: self.mirror.policy.clone(),
            paths: self.paths.into_values().collect(),
            refusals: self.refusals,
            conflicts: self.conflicts,
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
