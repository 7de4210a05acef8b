//! What a mirror holds and says, gathered to be looked at: a function of its objects, of the mirror's own keys, and of nothing else.
//!
//! What cannot be read, or is signed by nobody whom the policy names, is said to be so and counts as nothing. It is no check of the
//! mirror: bits are not hashed here ([`super::check`] does that).

mod gathered;
mod read;

use std::collections::{BTreeMap, BTreeSet};

use super::{
    admission::Refusal, conflict::Conflict, document::Told, policy::Policy, statement::Ground, time::Time,
};
use crate::nix::{hash::NarHash, store_path::StorePath};

/// Paths of which more than the count is kept, at most: the first ones by name. A page of them has a few megabytes.
pub const MOST_PATHS: usize = 2000;

/// Refusals, conflicts and objects that cannot be read, at most of each.
pub const MOST_DOCUMENTS: usize = 500;

/// Paths that a path refers to, was made from or rests on, at most of each.
pub const MOST_NEEDS: usize = 1000;

/// What a mirror holds.
#[derive(Debug)]
pub struct Holdings {
    /// What it admits, and who says so.
    pub policy: Policy,
    /// Who has signed that.
    pub stand_for_policy: Vec<String>,
    /// Its paths, by name: the first [`MOST_PATHS`].
    pub paths: Vec<Held>,
    /// Paths that too few signers have testified to, by name: the first [`MOST_DOCUMENTS`].
    pub pending: Vec<Waiting>,
    /// What was refused, and by whom.
    pub refusals: Vec<Told<Refusal>>,
    /// Other bits that were found for admitted paths.
    pub conflicts: Vec<Told<Conflict>>,
    /// When its signers said last what is in, in the order of the policy.
    pub snapshots: Vec<Dated>,
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
    /// Who has read what others say of it, and not built it.
    pub read: Vec<ReadBy>,
}

/// What a signer's snapshot says of itself.
#[derive(Clone, Debug)]
pub struct Dated {
    /// The contributor's name.
    pub by: String,
    /// The object in which it is said.
    pub object: String,
    /// The how-manieth it is.
    pub number: u64,
    /// When it was made.
    pub made: Time,
    /// Until when it holds under the policy.
    pub until: Time,
    /// How many paths it lists.
    pub paths: usize,
}

/// Somebody who has read what others say of a path, and found nothing wrong.
#[derive(Clone, Debug)]
pub struct ReadBy {
    /// The contributor's name.
    pub by: String,
    /// The object in which it is said.
    pub object: String,
}

/// A path that some signers have testified to and that is not admitted: too few have, of it or of what it needs.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// The path.
    pub path: StorePath,
    /// The hash of its NAR.
    pub nar_hash: NarHash,
    /// The size of its NAR in bytes.
    pub nar_size: u64,
    /// The contributors who have testified to these bits.
    pub signed: Vec<String>,
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
    /// Paths that too few signers have testified to.
    pub pending: usize,
    /// Paths that somebody has read and not built.
    pub read: usize,
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
