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
mod unpack;

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

/// Whom a check believes.
#[derive(Clone, Copy)]
pub enum Believing<'a> {
    /// Everybody whom the mirror names: that finds damage, and nobody who made a mirror of their own.
    ItsOwn,
    /// Those of them who have one of these keys; as many as the mirror says have to agree.
    Keys(&'a [PublicKey]),
    /// These, by the keys that the mirror names as well; as many have to agree as they say, and as the mirror says. Who is who, and how
    /// many have to agree, is then not left to whoever has written and signed `mirror.json`.
    Signers(&'a Signers),
}

/// What to check, and whom to believe.
pub struct Request<'a> {
    /// The paths to check, and what they refer to; the whole mirror when there are none.
    pub paths: &'a [StorePath],
    /// Whom to believe.
    pub believing: Believing<'a>,
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
    /// Those who count, with those of their keys that the mirror names.
    counted: Vec<Contributor>,
    /// How many of them have to agree.
    needed: usize,
}

impl Believed {
    fn new(named: Signers, believing: Believing<'_>) -> Self {
        let with = |contributors: &[Contributor], counts: &dyn Fn(&PublicKey) -> bool| {
            let with = contributors.iter().map(|one| Contributor {
                name: one.name.clone(),
                nix: one.nix.iter().filter(|key| counts(key)).cloned().collect(),
                openpgp: Vec::new(),
            });
            with.filter(|one| !one.nix.is_empty()).collect()
        };
        let (counted, needed) = match believing {
            Believing::ItsOwn => (with(&named.contributors, &|_| true), named.threshold),
            Believing::Keys(keys) => (with(&named.contributors, &|key| keys.contains(key)), named.threshold),
            Believing::Signers(signers) => (
                with(&signers.contributors, &|key| named.has_nix_key(key)),
                named.threshold.max(signers.threshold),
            ),
        };
        Believed { named, counted, needed }
    }

    /// Every key that the mirror names.
    fn keys(&self) -> impl Iterator<Item = &PublicKey> + Clone {
        self.named.nix_keys().map(|(_, key)| key)
    }

    /// Who of those who count has this key.
    fn who(&self, key: &PublicKey) -> Option<&str> {
        self.counted.iter().find(|one| one.nix.contains(key)).map(|one| one.name.as_str())
    }
}

/// What the parts of a check work with.
struct Checker<'a> {
    location: &'a Location,
    policy: Policy,
    believed: Believed,
}

/// How often a mirror is looked at, when something seems to be wrong with it that may be because it has changed meanwhile.
const LOOKS: usize = 3;

/// Checks a mirror. It may be written meanwhile: what is listed is not of one moment, and what was listed may have been removed on
/// record before it is read. What only seems wrong for that reason is none of the findings, unless it happens again and again.
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
    let checker = Checker { location, policy, believed: Believed::new(named, request.believing) };
    let mut before: Option<Report> = None;
    for _ in 1..LOOKS {
        let (report, listed) = checker.look(&document, request)?;
        let again = before.as_ref().is_some_and(|before| before.findings == report.findings);
        if again || !report.findings.iter().any(Finding::may_be_of_a_moment) || checker.is_still(&listed) {
            return Ok(report);
        }
        before = Some(report);
    }
    checker.look(&document, request).map(|(report, _)| report)
}

/// The names of what a mirror holds when it is listed; nothing where it was not.
type Seen = Option<BTreeSet<String>>;

/// All but who is at work.
fn seen(listed: &[(String, u64)]) -> BTreeSet<String> {
    let stays = |name: &&String| !matches!(Object::parse(name), Some(Object::Claim(..)));
    listed.iter().map(|(name, _)| name).filter(stays).cloned().collect()
}

impl Finding {
    /// Whether it may be so because somebody wrote, or removed something on record, while it was looked at.
    fn may_be_of_a_moment(&self) -> bool {
        match self.kind {
            Kind::Damaged | Kind::NotClosed | Kind::Gone | Kind::Unsigned | Kind::Unlisted => true,
            Kind::BelowPolicy | Kind::Conflict | Kind::Outdated | Kind::Stale | Kind::Unread => false,
        }
    }
}

impl Checker<'_> {
    fn look(&self, document: &[u8], request: &Request<'_>) -> Result<(Report, Seen), MirrorError> {
        let by_own_keys = matches!(request.believing, Believing::ItsOwn);
        let mut report = Report { by_own_keys, ..Report::default() };
        report.add(self.policy_signatures(document));
        report.add(self.cache_info());
        let mut found = Found::default();
        let snapshots = self.snapshots(request, &mut found);
        report.add(found);
        let (paths, listed) = if request.paths.is_empty() {
            let listed = self.location.list("")?;
            let was = seen(&listed);
            let paths = self.whole(listed, request.jobs, &mut report);
            self.against_snapshots(request, &snapshots, &Scope::Whole, &paths, &mut report);
            (paths, Some(was))
        } else {
            let (paths, parts) = self.closure(request, &snapshots, &mut report);
            self.against_snapshots(request, &snapshots, &Scope::Parts(&parts), &paths, &mut report);
            (paths, None)
        };
        together::check(&paths, &mut report);
        report.findings.sort();
        report.findings.dedup();
        Ok((report, listed))
    }

    /// Whether nothing has come or gone since it was listed. Where it was not, nobody knows.
    fn is_still(&self, was: &Seen) -> bool {
        let Some(was) = was else { return false };
        self.location.list("").is_ok_and(|listed| seen(&listed) == *was)
    }

    /// The whole mirror, by what is listed.
    fn whole(
        &self,
        listed: Vec<(String, u64)>,
        jobs: usize,
        report: &mut Report,
    ) -> BTreeMap<HashPart, PathResult> {
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
        paths
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
