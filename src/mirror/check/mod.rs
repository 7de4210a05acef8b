//! Everything that a stranger can check of a mirror: without its makers, without a network when it was copied, and with no more
//! trust than in the keys that they name.
//!
//! Nothing is believed because it is there: signatures are checked, NARs and files hashed, listings made again, references
//! followed, statements read and held against each other. Every byte of an object of an admitted path is covered by a hash or a
//! signature, or is written only one way.

mod closure;
mod derivation;
mod document;
mod memory;
mod path;
mod shown;
mod signatures;
mod snapshot;
mod source;
mod together;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    io::{self, Read as _},
    time::SystemTime,
};

use super::{
    MirrorError,
    layout::{FileHash, HashPart, KeyId, Object},
    location::{Location, LocationError, Opened},
    parallel::parallel,
    policy::{self, Policy},
    stream::Hashed,
};
use crate::{
    nix::{signature::PublicKey, store_path::StorePath},
    release::signers::{Contributor, Signers},
};
use memory::Memory;
use path::PathResult;
use snapshot::Scope;
pub use snapshot::SeenSnapshot;

/// What kind of fault was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// An object is not what it has to be, or is missing.
    Damaged,
    /// Too few of those who have to have signed it.
    Unsigned,
    /// Something that a path refers to or was made from, or that was asked for, is not in.
    NotClosed,
    /// It says itself that it is less than the policy asks.
    BelowPolicy,
    /// Other bits are on record for an admitted path.
    Conflict,
    /// A signer signs it, and its narinfo does not have that signature yet: the signer, or any other, cosigns again.
    Unlisted,
    /// It follows from other objects, and is not what follows from them now.
    Outdated,
    /// It was admitted, and somebody took it away without a record.
    Gone,
    /// It held once: what is seen may be old.
    Stale,
    /// It could not be read, so nothing is known of it.
    Unread,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Kind::Damaged => "damaged",
            Kind::Unsigned => "unsigned",
            Kind::NotClosed => "not-closed",
            Kind::BelowPolicy => "below-policy",
            Kind::Conflict => "conflict",
            Kind::Unlisted => "unlisted",
            Kind::Outdated => "outdated",
            Kind::Gone => "gone",
            Kind::Stale => "stale",
            Kind::Unread => "unread",
        })
    }
}

/// A fault.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// What kind.
    pub kind: Kind,
    /// The name of the object.
    pub object: String,
    /// What is wrong with it.
    pub why: String,
}

/// What a check found.
#[derive(Debug, Default)]
pub struct Report {
    /// Paths that were looked at.
    pub paths: u64,
    /// Of them, those that were taken as they are.
    pub seeds: u64,
    /// Bytes of their NARs.
    pub nar_bytes: u64,
    /// Bytes of objects that were hashed.
    pub file_bytes: u64,
    /// Sources that are kept.
    pub sources: u64,
    /// Derivations that paths were built by, and what those need.
    pub derivations: u64,
    /// Derivations that were refused.
    pub refused: u64,
    /// Readings: what signers have read and not built. They count for nothing.
    pub readings: u64,
    /// Paths that somebody has testified to, and too few others: they have no narinfo.
    pub pending: u64,
    /// Claims of who is at work.
    pub claims: u64,
    /// Paths by the contributors whose good signature they have.
    pub signed: BTreeMap<String, u64>,
    /// Objects that no path refers to, as unfinished writers leave them: nobody uses them.
    pub left: Vec<String>,
    /// Paths that were removed as they should be.
    pub removed: u64,
    /// Names of objects that a killed writer did not come to: that a path was admitted, which the next writer says.
    pub unremembered: Vec<String>,
    /// The snapshots of its signers.
    pub snapshots: Vec<SeenSnapshot>,
    /// Whether keys were named by whoever asked. Without, the mirror was held against what it says of itself.
    pub by_own_keys: bool,
    /// Whether records of other bits could not be looked for, because the location cannot be listed and no snapshot lists them.
    pub conflicts_unseen: bool,
    /// Faults, sorted.
    pub findings: Vec<Finding>,
}

/// What to check, and whom to believe.
pub struct Request<'a> {
    /// The paths to check, and what they refer to; the whole mirror when there are none.
    pub paths: &'a [StorePath],
    /// The keys to believe; those that the mirror names when there are none.
    pub believed: &'a [PublicKey],
    /// Snapshots that were kept: the mirror has to have everything that they list.
    pub since: &'a [Vec<u8>],
    /// What time it is.
    pub now: SystemTime,
    /// How many threads.
    pub jobs: usize,
}

/// Who is believed.
struct Believed {
    /// Everybody whom the mirror names.
    named: Signers,
    /// Those of them who count.
    counted: Vec<Contributor>,
}

impl Believed {
    /// Every key that the mirror names.
    fn keys(&self) -> impl Iterator<Item = &PublicKey> + Clone {
        self.named.contributors.iter().flat_map(|one| &one.nix)
    }
}

/// What the parts of a check work with.
struct Checker<'a> {
    location: &'a Location,
    policy: Policy,
    believed: Believed,
}

/// Checks a mirror.
///
/// # Errors
/// When it cannot be read, or its policy is none: then nothing can be said. Everything else is a finding.
pub fn check(location: &Location, request: &Request<'_>) -> Result<Report, MirrorError> {
    let name = Object::Policy.name();
    let document = location.get(&name, policy::MAX_LEN)?;
    let document =
        document.ok_or_else(|| MirrorError::NotAMirror { address: location.address().to_owned() })?;
    let policy = Policy::from_json(&document)?;
    let named = policy.signers()?;
    let counted = counted(&named, request.believed);
    let checker = Checker { location, policy, believed: Believed { named, counted } };
    let mut report = Report { by_own_keys: request.believed.is_empty(), ..Report::default() };
    report.add(checker.policy_signatures(&document));
    report.add(checker.cache_info());
    let mut found = Found::default();
    let snapshots = checker.snapshots(request, &mut found);
    report.add(found);
    let paths = if request.paths.is_empty() {
        let paths = checker.whole(request.jobs, &mut report)?;
        checker.against_snapshots(request, &snapshots, &Scope::Whole, &paths, &mut report);
        paths
    } else {
        let (paths, parts) = checker.closure(request, &snapshots, &mut report);
        checker.against_snapshots(request, &snapshots, &Scope::Parts(&parts), &paths, &mut report);
        paths
    };
    together::check(&paths, &mut report);
    report.findings.sort();
    report.findings.dedup();
    Ok(report)
}

/// Those contributors, with those of their keys, who are believed.
fn counted(named: &Signers, believed: &[PublicKey]) -> Vec<Contributor> {
    let counted = named.contributors.iter().map(|one| {
        let keys = one.nix.iter().filter(|key| believed.is_empty() || believed.contains(key));
        Contributor { name: one.name.clone(), nix: keys.cloned().collect(), openpgp: Vec::new() }
    });
    counted.filter(|one| !one.nix.is_empty()).collect()
}

impl Checker<'_> {
    /// The whole mirror, by what is listed.
    fn whole(&self, jobs: usize, report: &mut Report) -> Result<BTreeMap<HashPart, PathResult>, MirrorError> {
        let listed = self.location.list("")?;
        let (mut parts, mut signed) = (BTreeSet::new(), BTreeSet::new());
        let (mut documents, mut others) = (Vec::new(), BTreeSet::new());
        let mut memory = Memory::default();
        for (name, _) in listed {
            match Object::parse(&name) {
                Some(Object::NarInfo(part)) => {
                    parts.insert(part);
                }
                Some(Object::Signature(part, key)) => {
                    others.insert(name);
                    if self.believed.keys().any(|one| KeyId::of(one) == key) {
                        signed.insert(part);
                    }
                }
                // The page follows from the others, and whoever makes pages holds it against them.
                Some(Object::CacheInfo | Object::Policy | Object::PolicySignature | Object::Page) => {}
                // They were looked at before.
                Some(Object::Snapshot(key)) if self.believed.keys().any(|one| KeyId::of(one) == key) => {}
                Some(Object::Claim(..)) => report.claims += 1,
                Some(
                    object @ (Object::Source(_)
                    | Object::Refused(..)
                    | Object::Reading(..)
                    | Object::Conflict(..)),
                ) => documents.push(object),
                Some(Object::Admitted(part)) => {
                    memory.admitted.insert(part);
                }
                Some(Object::Removed(part)) => {
                    memory.removed.insert(part);
                }
                _ => {
                    others.insert(name);
                }
            }
        }
        let parts: Vec<HashPart> = parts.union(&signed).cloned().collect();
        let paths = self.paths(&parts, jobs, report);
        for found in parallel(&documents, jobs, |object| self.document(object)) {
            report.add(found);
        }
        for object in &documents {
            match object {
                Object::Source(_) => report.sources += 1,
                Object::Refused(..) => report.refused += 1,
                Object::Reading(..) => report.readings += 1,
                Object::Conflict(part, hash) => {
                    others.remove(&Object::OtherNar(part.clone(), *hash).name());
                }
                _ => {}
            }
        }
        let derivations = self.derivations(&paths, jobs, report);
        for used in paths.values().flat_map(|path| &path.uses).chain(&derivations) {
            others.remove(used);
        }
        self.memory(&memory, &paths, jobs, report);
        // What was said of a path that was removed stays.
        let stays = |name: &String| match Object::parse(name) {
            Some(Object::Attestation(part, _) | Object::Seed(part)) => memory.removed.contains(&part),
            _ => false,
        };
        report.left = others.into_iter().filter(|name| !stays(name)).collect();
        Ok(paths)
    }

    fn paths(&self, parts: &[HashPart], jobs: usize, report: &mut Report) -> BTreeMap<HashPart, PathResult> {
        let results = parallel(parts, jobs, |part| self.path(part));
        let mut paths = BTreeMap::new();
        for (part, mut result) in parts.iter().zip(results) {
            report.add(std::mem::take(&mut result.found));
            paths.insert(part.clone(), result);
        }
        paths
    }
}

/// Findings on the way, and how many bytes were hashed for them.
#[derive(Debug, Default)]
struct Found {
    findings: Vec<Finding>,
    nar_bytes: u64,
    file_bytes: u64,
}

impl Found {
    fn fault(&mut self, kind: Kind, object: &str, why: impl Into<String>) {
        self.findings.push(Finding { kind, object: object.to_owned(), why: why.into() });
    }
}

impl Report {
    fn add(&mut self, found: Found) {
        self.findings.extend(found.findings);
        self.nar_bytes += found.nar_bytes;
        self.file_bytes += found.file_bytes;
    }
}

impl Checker<'_> {
    /// The bytes of a small object that has to be there.
    fn get(&self, found: &mut Found, name: &str, most: u64) -> Option<Vec<u8>> {
        match self.location.get(name, most) {
            Ok(Some(bytes)) => return Some(bytes),
            Ok(None) => found.fault(Kind::Damaged, name, "it is missing"),
            Err(error @ LocationError::TooLarge { .. }) => {
                found.fault(Kind::Damaged, name, error.to_string())
            }
            Err(error) => found.fault(Kind::Unread, name, error.to_string()),
        }
        None
    }

    /// An object that has to be there, to be read.
    fn open(&self, found: &mut Found, name: &str) -> Option<Opened> {
        match self.location.open(name) {
            Ok(Some(opened)) => return Some(opened),
            Ok(None) => found.fault(Kind::Damaged, name, "it is missing"),
            Err(error) => found.fault(Kind::Unread, name, error.to_string()),
        }
        None
    }

    /// Hash and size of an object that has to be there.
    fn hash(&self, found: &mut Found, name: &str) -> Option<(FileHash, u64)> {
        let opened = self.open(found, name)?;
        let mut hashed = Hashed::new(io::sink());
        // One byte more than there should be is enough to see that there is more.
        let copied = io::copy(&mut opened.bytes.take(opened.size.saturating_add(1)), &mut hashed);
        if let Err(error) = copied {
            found.fault(Kind::Unread, name, error.to_string());
            return None;
        }
        let (_, hash, size) = hashed.finish();
        found.file_bytes += size;
        Some((hash, size))
    }
}
