//! That a mirror is the one that its signers saw, and no older copy of it: what their snapshots list is there, and they still hold.

use std::collections::{BTreeMap, BTreeSet};

use super::{Checker, Found, Kind, Report, Request, path::PathResult};
use crate::{
    mirror::{
        layout::{FileHash, HashPart, KeyId, Object},
        snapshot::{self, Listed, ListedPath, Snapshot, Time},
    },
    nix::signature::PublicKey,
};

/// By how many days another clock may be ahead of ours.
const AHEAD: u32 = 1;

/// A snapshot that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The name of the signer.
    pub by: String,
    /// The how-manieth of theirs it is.
    pub number: u64,
    /// When it was made.
    pub made: Time,
    /// Until when it holds.
    pub until: Time,
}

/// A snapshot, and who has signed it.
pub(super) struct Signed<'k> {
    key: &'k PublicKey,
    bytes: Vec<u8>,
    pub(super) snapshot: Snapshot,
}

/// What part of a mirror is looked at.
pub(super) enum Scope<'a> {
    /// All of it.
    Whole,
    /// These paths, and what is said of them and of these derivations.
    Parts(&'a BTreeSet<HashPart>),
}

impl Scope<'_> {
    fn has(&self, part: &HashPart) -> bool {
        match self {
            Scope::Whole => true,
            Scope::Parts(parts) => parts.contains(part),
        }
    }

    /// Whether a record is about something that is looked at.
    fn has_record(&self, name: &str) -> bool {
        match Object::parse(name) {
            Some(
                Object::Seed(part)
                | Object::Refused(part, _)
                | Object::Reading(part, _)
                | Object::Conflict(part, _),
            ) => self.has(&part),
            _ => matches!(self, Scope::Whole),
        }
    }
}

impl Checker<'_> {
    /// The snapshots of all signers, as they are.
    pub(super) fn snapshots(&self, found: &mut Found) -> Vec<Signed<'_>> {
        let mut snapshots = Vec::new();
        for key in self.believed.named.contributors.iter().flat_map(|one| &one.nix) {
            let name = Object::Snapshot(KeyId::of(key)).name();
            let bytes = match self.location.get(&name, snapshot::MAX_LEN) {
                Ok(Some(bytes)) => bytes,
                Ok(None) => continue,
                Err(error) => {
                    found.fault(Kind::Unread, &name, error.to_string());
                    continue;
                }
            };
            match Snapshot::read(&bytes, key) {
                Ok(snapshot) => snapshots.push(Signed { key, bytes, snapshot }),
                Err(why) => found.fault(Kind::Damaged, &name, why),
            }
        }
        snapshots
    }

    /// Holds the mirror against them, and against those that whoever asks has kept.
    pub(super) fn against_snapshots(
        &self,
        request: &Request<'_>,
        snapshots: &[Signed<'_>],
        scope: &Scope<'_>,
        paths: &BTreeMap<HashPart, PathResult>,
        report: &mut Report,
    ) {
        let mut found = Found::default();
        let mut holding: BTreeSet<&str> = BTreeSet::new();
        for Signed { key, snapshot, .. } in snapshots {
            let name = Object::Snapshot(KeyId::of(key)).name();
            if self.holds(&mut found, &name, snapshot, request)
                && let Some(one) = self.believed.counted.iter().find(|one| one.nix.contains(key))
            {
                holding.insert(&one.name);
            }
            self.listed_is_there(&mut found, &name, snapshot, scope, paths);
            let owner = self.believed.named.contributors.iter().find(|one| one.nix.contains(key));
            report.snapshots.push(Seen {
                by: owner.map(|one| one.name.clone()).unwrap_or_default(),
                number: snapshot.number,
                made: snapshot.made,
                until: snapshot.holds_until(&self.policy),
            });
        }
        let needed = self.believed.named.threshold;
        if self.policy.snapshot_days.is_some() && holding.len() < needed {
            let why = format!(
                "{needed} signers have to have a snapshot that holds, and {} have: this may be an old copy of the mirror",
                holding.len()
            );
            found.fault(Kind::Stale, "snapshots/", why);
        }
        for kept in request.since {
            self.since(&mut found, kept, snapshots, scope, paths);
        }
        report.add(found);
    }

    /// Whether a snapshot holds now, and is of this mirror.
    fn holds(&self, found: &mut Found, name: &str, snapshot: &Snapshot, request: &Request<'_>) -> bool {
        let now = Time::of(request.now);
        let until = snapshot.holds_until(&self.policy);
        let stale = if snapshot.made > now.plus_days(AHEAD) {
            Some(format!(
                "it was made at {}, which is still to come by the clock of this host",
                snapshot.made
            ))
        } else if until < now {
            Some(format!(
                "it held until {until}: this is an old copy of the mirror, or nobody looks after it"
            ))
        } else {
            None
        };
        let is_of_it = snapshot.policy == FileHash::of(&self.policy.to_json()).hex();
        if !is_of_it {
            found.fault(Kind::Damaged, name, "it is of a mirror with another policy");
        }
        let holds = stale.is_none() && is_of_it;
        if let Some(why) = stale {
            found.fault(Kind::Stale, name, why);
        }
        holds
    }

    /// That what it lists is there, as far as it was looked at.
    fn listed_is_there(
        &self,
        found: &mut Found,
        name: &str,
        snapshot: &Snapshot,
        scope: &Scope<'_>,
        paths: &BTreeMap<HashPart, PathResult>,
    ) {
        let listed = snapshot.listed.clone();
        let was = Listed {
            paths: listed.paths.into_iter().filter(|(path, _)| scope.has(&HashPart::of(path))).collect(),
            records: listed.records.into_iter().filter(|(record, _)| scope.has_record(record)).collect(),
        };
        let mut now = Listed::default();
        for info in paths.values().filter(|path| !path.pending).filter_map(|path| path.info.as_ref()) {
            let keys = self.believed.named.contributors.iter().flat_map(|one| &one.nix);
            now.paths.insert(info.store_path.clone(), ListedPath::of(info, keys));
        }
        for record in was.records.keys() {
            // What is no record is not looked for, and so it is not there.
            if !Object::parse(record).is_some_and(|object| snapshot::is_record(&object)) {
                continue;
            }
            match snapshot::record(self.location, record) {
                Ok(hash) => now.records.extend(hash.map(|hash| (record.clone(), hash))),
                Err(error) => {
                    found.fault(Kind::Unread, record, error.to_string());
                    now.records.insert(record.clone(), was.records[record].clone());
                }
            }
        }
        let mut excused: BTreeSet<HashPart> = BTreeSet::new();
        for part in was.paths.keys().filter(|path| !now.paths.contains_key(*path)).map(HashPart::of) {
            // A record of a removal is checked where it lies; what could not be read was told of.
            let removed = Object::Removed(part.clone()).name();
            let unread = paths.get(&part).is_some_and(|path| path.info.is_none());
            match self.location.open(&removed) {
                Ok(there) if there.is_some() || unread => _ = excused.insert(part),
                Ok(_) => {}
                Err(error) => {
                    found.fault(Kind::Unread, &removed, error.to_string());
                    excused.insert(part);
                }
            }
        }
        for lost in was.lost_in(&now, |part| excused.contains(part)) {
            let kind = if lost.is_other { Kind::Damaged } else { Kind::Gone };
            let why = format!("{}, as {name} says, made at {}", lost.why, snapshot.made);
            found.fault(kind, &lost.object, why);
        }
    }

    /// That the mirror goes on from a snapshot that somebody has kept.
    fn since(
        &self,
        found: &mut Found,
        kept: &[u8],
        snapshots: &[Signed<'_>],
        scope: &Scope<'_>,
        paths: &BTreeMap<HashPart, PathResult>,
    ) {
        let keys = || self.believed.counted.iter().flat_map(|one| &one.nix);
        let Some((key, was)) = keys().find_map(|key| Some((key, Snapshot::read(kept, key).ok()?))) else {
            let why = "the snapshot that was kept is of none of the signers who are believed";
            return found.fault(Kind::Unsigned, "snapshots/", why);
        };
        let name = Object::Snapshot(KeyId::of(key)).name();
        match snapshots.iter().find(|one| one.key == key) {
            Some(Signed { snapshot: is, .. }) if is.number < was.number => {
                let why = format!("it is number {}, and number {} was seen before", is.number, was.number);
                found.fault(Kind::Gone, &name, why);
            }
            Some(Signed { snapshot: is, bytes, .. }) if is.number == was.number && bytes != kept => {
                let why = format!("{} has signed two snapshots of number {}", key.name(), is.number);
                found.fault(Kind::Conflict, &name, why);
            }
            Some(_) => {}
            None => found.fault(
                Kind::Gone,
                &name,
                format!("it is not there, and number {} was seen before", was.number),
            ),
        }
        self.listed_is_there(found, "the one that was kept", &was, scope, paths);
    }
}
