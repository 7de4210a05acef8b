//! That a mirror is the one that its signers saw, and no older copy of it: what their snapshots list is there, and they still hold.

use std::collections::{BTreeMap, BTreeSet};

use super::{Checker, Found, Kind, Report, Request, path::PathResult};
use crate::{
    mirror::{
        layout::{FileHash, HashPart, KeyId, Object},
        memory::{REMOVAL_KIND, Removal},
        parallel::parallel,
        snapshot::{self, Listed, ListedPath, Loss, Lost, Snapshot},
        time::Time,
    },
    nix::signature::PublicKey,
};

/// By how many days another clock may be ahead of ours.
const AHEAD: u32 = 1;

/// A snapshot that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenSnapshot {
    /// The name of the signer.
    pub by: String,
    /// The how-manieth of this key it is.
    pub number: u64,
    /// When it was made.
    pub made: Time,
    /// Until when it holds.
    pub until: Time,
    /// Whether it holds now.
    pub holds: bool,
}

/// What a key has in the place of its snapshot.
pub(super) enum Place {
    /// Nothing.
    Empty,
    /// Something that says nothing of this mirror, which was told of.
    Unusable,
    /// A snapshot of this mirror.
    Taken(Snapshot),
}

/// A key of the mirror, and its snapshot.
pub(super) struct OfKey<'k> {
    key: &'k PublicKey,
    by: &'k str,
    place: Place,
    /// Why it does not hold now, if it does not.
    stale: Option<String>,
}

impl OfKey<'_> {
    /// What it lists, if it is of this mirror.
    pub(super) fn snapshot(&self) -> Option<&Snapshot> {
        match &self.place {
            Place::Taken(snapshot) => Some(snapshot),
            Place::Empty | Place::Unusable => None,
        }
    }

    fn object(&self) -> String {
        Object::Snapshot(KeyId::of(self.key)).name()
    }
}

/// What part of a mirror is looked at.
pub(super) enum Scope<'a> {
    /// All of it.
    Whole,
    /// These paths, and what is said of them and of these derivations.
    Parts(&'a BTreeSet<HashPart>),
}

impl Scope<'_> {
    /// Whether an object that a snapshot lists is looked at.
    fn has(&self, name: &str) -> bool {
        let Scope::Parts(parts) = self else { return true };
        matches!(
            Object::parse(name),
            Some(
                Object::NarInfo(part)
                | Object::Seed(part)
                | Object::Refused(part, _)
                | Object::Reading(part, _)
                | Object::Conflict(part, _)
            ) if parts.contains(&part)
        )
    }
}

/// Bytes of all snapshots, which are held together: a hundred signers of a large mirror.
const MAX_SNAPSHOTS: u64 = 1 << 30;

/// A list that the mirror is held against.
struct List<'s> {
    /// What it is called.
    name: String,
    key: &'s PublicKey,
    snapshot: &'s Snapshot,
}

impl Checker<'_> {
    /// The snapshots of all keys that the mirror names.
    pub(super) fn snapshots(&self, request: &Request<'_>, found: &mut Found) -> Vec<OfKey<'_>> {
        let mut left = MAX_SNAPSHOTS;
        let keys = self.believed.named.nix_keys();
        keys.map(|(by, key)| self.snapshot_of(by, key, request, &mut left, found)).collect()
    }

    fn snapshot_of<'k>(
        &self,
        by: &'k str,
        key: &'k PublicKey,
        request: &Request<'_>,
        left: &mut u64,
        found: &mut Found,
    ) -> OfKey<'k> {
        let mut of_key = OfKey { key, by, place: Place::Unusable, stale: None };
        let name = of_key.object();
        let bytes = match self.location.get(&name, snapshot::MAX_LEN.min(*left)) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return OfKey { place: Place::Empty, ..of_key },
            Err(error) => {
                found.fault(Kind::Unread, &name, error.to_string());
                return of_key;
            }
        };
        *left -= bytes.len() as u64;
        match Snapshot::read(&bytes, key) {
            Ok(snapshot) if self.is_of_it(&snapshot) => {
                of_key.stale = self.stale(&snapshot, Time::of(request.now));
                of_key.place = Place::Taken(snapshot);
            }
            Ok(_) => found.fault(Kind::Damaged, &name, "it is of a mirror with another policy"),
            Err(why) => found.fault(Kind::Damaged, &name, why),
        }
        of_key
    }

    fn is_of_it(&self, snapshot: &Snapshot) -> bool {
        snapshot.policy == FileHash::of(&self.policy.to_json()).hex()
    }

    /// Why a snapshot does not hold now, if it does not.
    fn stale(&self, snapshot: &Snapshot, now: Time) -> Option<String> {
        let until = snapshot.holds_until(&self.policy);
        if snapshot.made > now.plus_days(AHEAD) {
            let made = snapshot.made;
            Some(format!("it was made at {made}, which is still to come by the clock of this host"))
        } else if until < now {
            Some(format!("it held until {until}"))
        } else {
            None
        }
    }

    /// Whether somebody who is believed has a snapshot that holds.
    pub(super) fn somebody_looks_after_it(&self, snapshots: &[OfKey<'_>]) -> bool {
        snapshots.iter().any(|one| one.snapshot().is_some() && one.stale.is_none() && self.counts(one.key))
    }

    fn counts(&self, key: &PublicKey) -> bool {
        self.believed.who(key).is_some()
    }

    /// Holds the mirror against them, and against those that whoever asks has kept.
    pub(super) fn against_snapshots(
        &self,
        request: &Request<'_>,
        snapshots: &[OfKey<'_>],
        scope: &Scope<'_>,
        paths: &BTreeMap<HashPart, PathResult>,
        report: &mut Report,
    ) {
        let mut found = Found::default();
        for one in snapshots {
            let Some(snapshot) = one.snapshot() else { continue };
            report.snapshots.push(SeenSnapshot {
                by: one.by.to_owned(),
                number: snapshot.number,
                made: snapshot.made,
                until: snapshot.holds_until(&self.policy),
                holds: one.stale.is_none(),
            });
        }
        self.they_hold(&mut found, snapshots);
        let kept: Vec<(&OfKey<'_>, Snapshot)> =
            request.since.iter().filter_map(|kept| self.kept(&mut found, kept, snapshots)).collect();
        let own = snapshots.iter().filter_map(|one| Some((one.object(), one, one.snapshot()?)));
        let others = kept.iter().map(|(one, snapshot)| ("the one that was kept".to_owned(), *one, snapshot));
        let lists = own.chain(others).map(|(name, one, snapshot)| List { name, key: one.key, snapshot });
        let lists: Vec<List<'_>> = lists.collect();
        let now = self.now(&mut found, &lists, scope, paths, request.jobs);
        for list in &lists {
            let lost = list.snapshot.listed.lost_in(&now);
            for lost in lost.into_iter().filter(|lost| scope.has(&lost.object)) {
                self.lost(&mut found, list, &lost, paths);
            }
        }
        report.add(found);
    }

    /// That as many hold as have to: where none are asked for, that somebody still looks after a mirror that has some. Of a signer who
    /// has several keys one that holds is enough.
    fn they_hold(&self, found: &mut Found, snapshots: &[OfKey<'_>]) {
        let with_one = snapshots.iter().filter(|one| one.snapshot().is_some());
        let there: Vec<(&str, &OfKey<'_>)> =
            with_one.filter_map(|one| Some((self.believed.who(one.key)?, one))).collect();
        let signers: BTreeSet<&str> = there.iter().map(|(who, _)| *who).collect();
        let holding: BTreeSet<&str> =
            there.iter().filter(|(_, one)| one.stale.is_none()).map(|(who, _)| *who).collect();
        let needed = match self.policy.snapshot_days {
            Some(_) => self.believed.needed,
            None => usize::from(!signers.is_empty()),
        };
        if holding.len() >= needed {
            return;
        }
        for (_, one) in there.iter().filter(|(who, _)| !holding.contains(who)) {
            if let Some(why) = &one.stale {
                let why = format!("{why}: this is an old copy of the mirror, or nobody looks after it");
                found.fault(Kind::Stale, &one.object(), why);
            }
        }
        if signers.len() < needed {
            let has = signers.len();
            let why =
                format!("{needed} signers have to have a snapshot, and {has} have: it may be an old copy");
            found.fault(Kind::Stale, "snapshots/", why);
        }
    }

    /// A snapshot that was kept, and the key that signed it: that the mirror goes on from it.
    fn kept<'s, 'k>(
        &self,
        found: &mut Found,
        kept: &[u8],
        snapshots: &'s [OfKey<'k>],
    ) -> Option<(&'s OfKey<'k>, Snapshot)> {
        let mut believed = snapshots.iter().filter(|one| self.counts(one.key));
        let Some((of_key, was)) = believed.find_map(|one| Some((one, Snapshot::read(kept, one.key).ok()?)))
        else {
            let why = "the snapshot that was kept is of none of the signers who are believed";
            found.fault(Kind::Unsigned, "snapshots/", why);
            return None;
        };
        if !self.is_of_it(&was) {
            let why = "the snapshot that was kept is of a mirror with another policy";
            found.fault(Kind::Damaged, &Object::Policy.name(), why);
            return None;
        }
        let name = of_key.object();
        match &of_key.place {
            Place::Empty => {
                found.fault(
                    Kind::Gone,
                    &name,
                    format!("it is not there, and number {} was seen before", was.number),
                );
            }
            Place::Unusable => {}
            Place::Taken(is) if is.number < was.number => {
                let why = format!("it is number {}, and number {} was seen before", is.number, was.number);
                found.fault(Kind::Gone, &name, why);
            }
            Place::Taken(is) => {
                let is_next = is.number == was.number.saturating_add(1);
                let forked =
                    if is.number == was.number { *is != was } else { is_next && is.before != was.hash() };
                if forked {
                    let key = of_key.key.name();
                    let why =
                        format!("{key} has signed another number {} than the one that was kept", was.number);
                    found.fault(Kind::Conflict, &name, why);
                }
            }
        }
        Some((of_key, was))
    }

    /// What is there of what is listed, as far as it is looked at.
    fn now(
        &self,
        found: &mut Found,
        lists: &[List<'_>],
        scope: &Scope<'_>,
        paths: &BTreeMap<HashPart, PathResult>,
        jobs: usize,
    ) -> Listed {
        let mut now = Listed::default();
        if lists.is_empty() {
            return now;
        }
        for info in paths.values().filter(|path| !path.pending).filter_map(|path| path.info.as_ref()) {
            now.paths.insert(info.store_path.clone(), ListedPath::of(info, self.believed.keys()));
        }
        let records: BTreeMap<&String, &String> =
            lists.iter().flat_map(|list| &list.snapshot.listed.records).collect();
        // What is no record is not looked for, and so it is not there.
        let is_record = |name: &str| Object::parse(name).is_some_and(|object| snapshot::is_record(&object));
        let records: Vec<(&String, &String)> =
            records.into_iter().filter(|(name, _)| scope.has(name) && is_record(name)).collect();
        let hashes = parallel(&records, jobs, |(name, _)| snapshot::record(self.location, name));
        for ((name, was), hash) in records.into_iter().zip(hashes) {
            match hash {
                Ok(hash) => now.records.extend(hash.map(|hash| (name.clone(), hash))),
                Err(error) => {
                    found.fault(Kind::Unread, name, error.to_string());
                    now.records.insert(name.clone(), was.clone());
                }
            }
        }
        now
    }

    /// Something that is listed and is not there as it was, unless there is a reason for that.
    fn lost(&self, found: &mut Found, list: &List<'_>, lost: &Lost, paths: &BTreeMap<HashPart, PathResult>) {
        let says = || format!("{}, as {} says, made at {}", lost.loss, list.name, list.snapshot.made);
        let kind = match (&lost.loss, Object::parse(&lost.object)) {
            (Loss::Bits | Loss::Said, _) => Kind::Damaged,
            (Loss::Path(path), Some(Object::NarInfo(part))) => match paths.get(&part) {
                // What could not be read was told of.
                Some(there) if there.info.is_none() => return,
                Some(there) if there.pending => {
                    let why = format!("{path} was admitted, and waits for signers now");
                    return found.fault(Kind::Unsigned, &lost.object, why);
                }
                // It was admitted since the mirror was listed.
                None if matches!(self.location.open(&lost.object), Ok(Some(_))) => return,
                _ if self.was_removed(found, list, &part) => return,
                _ => Kind::Gone,
            },
            _ => Kind::Gone,
        };
        found.fault(kind, &lost.object, says());
    }

    /// Whether a path was removed on record by somebody who knew of this list. A record from before, which went when the path came in
    /// again, does not count, whoever puts it back.
    fn was_removed(&self, found: &mut Found, list: &List<'_>, part: &HashPart) -> bool {
        let name = Object::Removed(part.clone()).name();
        match self.location.open(&name) {
            Ok(Some(_)) => {}
            Ok(None) => return false,
            Err(error) => {
                found.fault(Kind::Unread, &name, error.to_string());
                return true;
            }
        }
        let removal = self.signed::<Removal>(found, &name, REMOVAL_KIND);
        removal.is_some_and(|removal| {
            HashPart::of(&removal.path) == *part
                && removal.knew_of(&KeyId::of(list.key), list.snapshot.number)
        })
    }
}
