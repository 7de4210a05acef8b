//! Several caches, challenged: whether they say the same of the same store paths, and where and why the bits differ when they do not.
//!
//! What caches say is compared first, and costs a small answer each. Only what they disagree about is fetched, into our store; what a
//! cache gives counts when it has the hash that the cache says, and is then taken apart by `diff` and `diagnose`. Nobody is believed
//! more than another: signatures are reported, and decide nothing. But a key that has signed two different things of one path is told
//! of, with both signatures.

mod cache;
mod equivocation;

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    code::{Code, Explanation},
    mirror::{location::LocationError, parallel::parallel},
    nix::{hash::NarHash, signature::PublicKey, store_path::StorePath},
    source::binary_cache::CacheError,
    store::{Store, StoreError},
    verify::divergence::{Divergence, explain},
};

pub use cache::{Cache, Claim, HOST, Signatures};
pub use equivocation::{Equivocation, Signed};

/// Paths that are asked for in one run.
const MOST_PATHS: usize = 200_000;

/// What is challenged.
pub struct Request<'a> {
    /// The caches, two or more.
    pub caches: &'a [Cache],
    /// The paths; those that the first cache lists when there are none.
    pub paths: &'a [StorePath],
    /// Whether what the paths refer to is challenged, too.
    pub closure: bool,
    /// Keys whose signatures are looked for, beside those that mirrors name themselves.
    pub keys: &'a [PublicKey],
    /// Which bits are fetched.
    pub bits: Bits,
    /// Paths of which the bits are fetched and compared, at most.
    pub most: usize,
    /// How many requests at once.
    pub jobs: usize,
    /// Where fetched bits go.
    pub store: &'a Store,
}

/// Which bits are fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bits {
    /// None: what caches say is compared, and no more.
    None,
    /// One NAR of each that caches say, where they disagree.
    Disagreeing,
    /// Every NAR from every cache: whether it is what the cache says.
    All,
}

/// What came of it.
#[derive(Debug)]
pub struct Challenge {
    /// The addresses of the caches.
    pub caches: Vec<String>,
    /// What was found of each path, sorted by path.
    pub paths: Vec<PathResult>,
    /// What of the first cache's list could not be read.
    pub unlisted: Vec<Failed>,
}

/// What was found of a path.
#[derive(Debug)]
pub struct PathResult {
    /// The path.
    pub path: StorePath,
    /// In one word.
    pub verdict: Verdict,
    /// Why it was not checked, or what else is to be said of the verdict.
    pub reason: Option<String>,
    /// Who says what, by NAR hash, in the order of the caches.
    pub groups: Vec<Group>,
    /// Caches that do not have it, by index.
    pub lacking: Vec<usize>,
    /// Caches that could not be asked, by index, and why.
    pub failed: Vec<(usize, Failed)>,
    /// Keys that have signed more than one of what is said.
    pub equivocations: Vec<Equivocation>,
    /// Where the bits differ, and why: each other group's held against the first one's whose bits were had.
    pub divergences: Vec<Divergence>,
}

/// What is found of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All caches say the same, and there are at least two.
    Agree,
    /// They do not.
    Diverged,
    /// Nobody knows: not all could be asked, or too few have it.
    NotChecked,
}

/// Caches that say one NAR hash.
#[derive(Debug)]
pub struct Group {
    /// The hash.
    pub nar_hash: NarHash,
    /// Who says it.
    pub said: Vec<Said>,
}

/// What one cache says, and whether it gives it.
#[derive(Debug)]
pub struct Said {
    /// The cache, by index.
    pub cache: usize,
    /// What it says.
    pub claim: Claim,
    /// Whether it gives that.
    pub given: Given,
}

/// Whether a cache gives what it says.
#[derive(Debug)]
pub enum Given {
    /// It was not asked to.
    NotAsked,
    /// It does: the bits were hashed.
    Shown,
    /// It gives something else.
    Lie(String),
    /// It could not be had.
    Failed(Failed),
}

/// Why a cache could not be asked.
#[derive(Clone, Debug)]
pub struct Failed {
    /// What went wrong.
    pub why: String,
    /// Its code.
    pub code: Code,
}

impl Failed {
    fn new(error: CacheError) -> Self {
        Failed { why: error.to_string(), code: error.code() }
    }
}

/// Why nothing was challenged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChallengeError {
    /// A location that cannot be read.
    #[error(transparent)]
    Location(#[from] LocationError),
    /// No address of a cache.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// Our store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// One cache agrees with itself.
    #[error("there are {caches} caches: it takes two to disagree")]
    TooFew {
        /// How many there are.
        caches: usize,
    },
    /// No paths were named, and nobody can say what there is.
    #[error("{address} cannot be listed: name the store paths")]
    NotListable {
        /// The first cache.
        address: String,
    },
    /// More paths than are asked for.
    #[error("there are more than {MOST_PATHS} paths")]
    TooMany,
}

impl ChallengeError {
    /// The stable code.
    pub fn code(&self) -> Code {
        Code(match self {
            ChallengeError::Location(error) => return error.code(),
            ChallengeError::Cache(error) => return error.code(),
            ChallengeError::Store(error) => return error.code(),
            ChallengeError::TooFew { .. } | ChallengeError::NotListable { .. } | ChallengeError::TooMany => {
                1440
            }
        })
    }
}

/// What `reprove explain` prints for these codes.
pub const EXPLANATIONS: &[Explanation] = &[Explanation {
    code: Code(1440),
    title: "nothing to challenge",
    text: "`reprove mirror challenge` compares what two or more binary caches say about the same store paths. Without paths it \
           takes those of the first cache, which has to be a folder or a bucket then: over HTTP a cache can be asked for a path, \
           and not what it has.",
}];

/// Asks every cache for every path, and looks into what they disagree about.
///
/// # Errors
/// When there is nothing to ask, or our store fails. That a cache cannot be asked is in what is returned.
pub fn challenge(request: &Request<'_>) -> Result<Challenge, ChallengeError> {
    let caches = request.caches.len();
    if caches < 2 {
        return Err(ChallengeError::TooFew { caches });
    }
    let mut unlisted = Vec::new();
    let mut wanted: BTreeSet<StorePath> = request.paths.iter().cloned().collect();
    if wanted.is_empty() {
        let first = &request.caches[0];
        let listed = first.list()?;
        let listed =
            listed.ok_or_else(|| ChallengeError::NotListable { address: first.address().to_owned() })?;
        wanted.extend(listed.paths);
        unlisted = listed.failed;
    }
    let mut found: BTreeMap<StorePath, PathResult> = BTreeMap::new();
    while !wanted.is_empty() {
        if found.len() + wanted.len() > MOST_PATHS {
            return Err(ChallengeError::TooMany);
        }
        let paths: Vec<StorePath> = std::mem::take(&mut wanted).into_iter().collect();
        let results = parallel(&paths, request.jobs, |path| ask(request, path));
        for result in results {
            if request.closure {
                let said = result.groups.iter().flat_map(|group| &group.said);
                wanted.extend(said.filter_map(|said| said.claim.references.clone()).flatten());
            }
            found.insert(result.path.clone(), result);
        }
        wanted.retain(|path| !found.contains_key(path));
    }
    let mut paths: Vec<PathResult> = found.into_values().collect();
    look_into(request, &mut paths)?;
    Ok(Challenge {
        caches: request.caches.iter().map(|cache| cache.address().to_owned()).collect(),
        paths,
        unlisted,
    })
}

/// What every cache says of a path.
fn ask(request: &Request<'_>, path: &StorePath) -> PathResult {
    let mut result = PathResult {
        path: path.clone(),
        verdict: Verdict::NotChecked,
        reason: None,
        groups: Vec::new(),
        lacking: Vec::new(),
        failed: Vec::new(),
        equivocations: Vec::new(),
        divergences: Vec::new(),
    };
    for (cache, asked) in request.caches.iter().enumerate() {
        match asked.claim(path, request.keys) {
            Ok(None) => result.lacking.push(cache),
            Err(failed) => result.failed.push((cache, failed)),
            Ok(Some(claim)) => {
                let nar_hash = claim.nar_hash;
                let said = Said { cache, claim, given: Given::NotAsked };
                match result.groups.iter_mut().find(|group| group.nar_hash == nar_hash) {
                    Some(group) => group.said.push(said),
                    None => result.groups.push(Group { nar_hash, said: vec![said] }),
                }
            }
        }
    }
    result.equivocations = equivocation::find(&result.groups, request.caches, request.keys);
    result.judge();
    result
}

impl PathResult {
    /// The verdict that follows from who says what, and who gives what.
    fn judge(&mut self) {
        let lies = |group: &Group| group.said.iter().any(|said| matches!(said.given, Given::Lie(_)));
        let fails = |group: &Group| group.said.iter().any(|said| matches!(said.given, Given::Failed(_)));
        let (verdict, reason) = if self.groups.len() > 1 {
            (Verdict::Diverged, None)
        } else if self.groups.iter().any(contradicts_itself) {
            let why = "the caches say the same hash, and other sizes or references";
            (Verdict::Diverged, Some(why.to_owned()))
        } else if self.groups.iter().any(lies) {
            let why = "a cache gives something else than it says";
            (Verdict::NotChecked, Some(why.to_owned()))
        } else if self.groups.iter().any(fails) {
            let why = "a cache does not give what it says";
            (Verdict::NotChecked, Some(why.to_owned()))
        } else if !self.failed.is_empty() {
            let why = format!("{} of the caches could not be asked", self.failed.len());
            (Verdict::NotChecked, Some(why))
        } else {
            match self.groups.iter().map(|group| group.said.len()).sum() {
                0 => (Verdict::NotChecked, Some("no cache has it".to_owned())),
                1 => (Verdict::NotChecked, Some("one cache only has it".to_owned())),
                _ => (Verdict::Agree, None),
            }
        };
        (self.verdict, self.reason) = (verdict, reason);
    }
}

/// Whether caches that say the same hash say otherwise different things.
fn contradicts_itself(group: &Group) -> bool {
    let sizes: BTreeSet<u64> = group.said.iter().map(|said| said.claim.nar_size).collect();
    let references: BTreeSet<_> =
        group.said.iter().filter_map(|said| said.claim.references.as_ref()).collect();
    sizes.len() > 1 || references.len() > 1
}

/// Fetches what is to be looked at, and compares what is different.
fn look_into(request: &Request<'_>, paths: &mut [PathResult]) -> Result<(), ChallengeError> {
    let mut left = request.most;
    for result in paths {
        let disagree = result.groups.len() > 1;
        let fetch = match request.bits {
            Bits::None => false,
            Bits::Disagreeing => disagree,
            Bits::All => !result.groups.is_empty(),
        };
        if !fetch {
            continue;
        }
        if let Some(less) = left.checked_sub(1) {
            left = less;
        } else {
            let why = format!("its bits were not fetched: {} other paths were before it", request.most);
            if request.bits == Bits::All && result.verdict == Verdict::Agree {
                result.unknown(&why);
            } else {
                result.reason.get_or_insert(why);
            }
            continue;
        }
        for group in &mut result.groups {
            for said in &mut group.said {
                let cache = &request.caches[said.cache];
                said.given = give(cache, &result.path, &said.claim, request.store)?;
                if matches!(said.given, Given::Shown) && request.bits != Bits::All {
                    break;
                }
            }
        }
        result.judge();
        if disagree {
            compare(request, result);
        }
    }
    Ok(())
}

/// Whether a cache gives what it says.
fn give(cache: &Cache, path: &StorePath, claim: &Claim, store: &Store) -> Result<Given, ChallengeError> {
    Ok(match cache.fetch(path, claim, store) {
        Ok(nar) if (nar.hash, nar.size) == (claim.nar_hash, claim.nar_size) => Given::Shown,
        Ok(nar) => Given::Lie(format!("it gives {} in {} bytes", nar.hash, nar.size)),
        Err(CacheError::Store { source: StoreError::HashMismatch { got, .. }, .. }) => {
            Given::Lie(format!("it gives {got}"))
        }
        Err(CacheError::Store {
            source: source @ (StoreError::Io { .. } | StoreError::Full { .. }), ..
        }) => {
            return Err(source.into());
        }
        Err(error) => Given::Failed(Failed::new(error)),
    })
}

/// Compares the bits that were had. Where fewer than two were, there is nothing to see, and nobody knows whether they differ.
fn compare(request: &Request<'_>, result: &mut PathResult) {
    let shown = |group: &&Group| group.said.iter().any(|said| matches!(said.given, Given::Shown));
    let shown: Vec<NarHash> = result.groups.iter().filter(shown).map(|group| group.nar_hash).collect();
    let [first, others @ ..] = &shown[..] else {
        return result.unknown("what they say differs, and none gives the bits that it says");
    };
    if others.is_empty() {
        return result.unknown("what they say differs, and the bits of only one could be had");
    }
    for other in others {
        let group = result.groups.iter().find(|group| group.nar_hash == *other);
        let cache = group.and_then(|group| group.said.first());
        let against = cache.map(|said| request.caches[said.cache].address().to_owned()).unwrap_or_default();
        match explain(request.store, against, *first, *other, &[]) {
            Ok(divergence) => result.divergences.push(divergence),
            // That they differ is sure: their hashes do.
            Err(error) => result.reason = Some(format!("where they differ is not known: {error}")),
        }
    }
}

impl PathResult {
    fn unknown(&mut self, why: &str) {
        (self.verdict, self.reason) = (Verdict::NotChecked, Some(why.to_owned()));
    }
}
