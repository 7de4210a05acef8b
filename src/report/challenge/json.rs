//! `reprove.mirror-challenge/1`.

use serde::Serialize;
use serde_json::Value;

use super::{given, word};
use crate::{
    mirror::challenge::{self, Challenge, Failed, PathResult},
    nix::{hash::NarHash, store_path::StorePath},
    report::{diff, escape::escape},
};

/// The version of the document.
const SCHEMA: &str = "reprove.mirror-challenge/1";

#[derive(Serialize, schemars::JsonSchema)]
struct Document<'a> {
    #[schemars(extend("const" = SCHEMA))]
    schema: &'static str,
    caches: &'a [String],
    paths: Vec<Path<'a>>,
    /// What of the first cache's list could not be read.
    unlisted: Vec<Problem>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct Path<'a> {
    path: &'a StorePath,
    /// `agree`, `diverged` or `not-checked`.
    verdict: &'static str,
    reason: Option<String>,
    says: Vec<Says<'a>>,
    /// Caches that do not have it.
    lacking: Vec<&'a str>,
    /// Caches that could not be asked.
    failed: Vec<NotAsked<'a>>,
    /// Keys that have signed more than one of `says`.
    equivocations: Vec<Equivocation<'a>>,
    divergences: Vec<Divergence<'a>>,
}

/// A key that has signed several things of one path. Each signature is over its fingerprint, by this key: nothing else is needed to
/// check that.
#[derive(Serialize, schemars::JsonSchema)]
struct Equivocation<'a> {
    /// `NAME:BASE64`.
    key: String,
    signed: Vec<Signed<'a>>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct Signed<'a> {
    nar_hash: NarHash,
    fingerprint: &'a str,
    signature: &'a str,
}

/// Caches that say one NAR hash.
#[derive(Serialize, schemars::JsonSchema)]
struct Says<'a> {
    nar_hash: NarHash,
    caches: Vec<Cache<'a>>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct Cache<'a> {
    cache: &'a str,
    nar_size: u64,
    /// None for a host's store.
    references: Option<Vec<&'a StorePath>>,
    /// Names of keys whose signature is good.
    signed_by: &'a [String],
    /// Names of keys that are not known.
    unknown_signers: &'a [String],
    /// Names of keys that are known, whose signature is not theirs.
    wrong_signatures: &'a [String],
    /// Whether it gives what it says: `shown`, `lie`, `failed` or `not-asked`.
    given: &'static str,
    why: Option<String>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct NotAsked<'a> {
    cache: &'a str,
    #[serde(flatten)]
    problem: Problem,
}

#[derive(Serialize, schemars::JsonSchema)]
struct Problem {
    error: String,
    code: String,
}

#[derive(Serialize, schemars::JsonSchema)]
struct Divergence<'a> {
    /// The first cache that says the other bits.
    against: &'a str,
    /// The other bits; side a of the diff is the first of `says` whose bits were had.
    nar_hash: NarHash,
    #[schemars(with = "diff::Document")]
    diff: Value,
}

/// Its JSON Schema.
pub fn schema() -> schemars::Schema {
    crate::report::schema::of::<Document<'_>>()
}

/// The document, ready to be serialised.
pub fn document(challenge: &Challenge) -> impl Serialize + use<'_> {
    Document {
        schema: SCHEMA,
        caches: &challenge.caches,
        paths: challenge.paths.iter().map(|result| path(challenge, result)).collect(),
        unlisted: challenge.unlisted.iter().map(problem).collect(),
    }
}

fn path<'a>(challenge: &'a Challenge, result: &'a PathResult) -> Path<'a> {
    let name = |cache: usize| challenge.caches.get(cache).map_or("", String::as_str);
    let says = result.groups.iter().map(|group| Says {
        nar_hash: group.nar_hash,
        caches: group
            .said
            .iter()
            .map(|said| {
                let (given, why) = given(said);
                let claim = &said.claim;
                Cache {
                    cache: name(said.cache),
                    nar_size: claim.nar_size,
                    references: claim.references.as_ref().map(|all| all.iter().collect()),
                    signed_by: &claim.signatures.valid,
                    unknown_signers: &claim.signatures.unknown,
                    wrong_signatures: &claim.signatures.wrong,
                    given,
                    why: why.map(escape),
                }
            })
            .collect(),
    });
    let divergences = result.divergences.iter().map(|one| Divergence {
        against: &one.against,
        nar_hash: one.other,
        diff: serde_json::to_value(diff::document(&one.comparison, &one.causes, None)).unwrap_or(Value::Null),
    });
    Path {
        path: &result.path,
        verdict: word(result.verdict),
        reason: result.reason.as_deref().map(escape),
        says: says.collect(),
        lacking: result.lacking.iter().map(|cache| name(*cache)).collect(),
        failed: result
            .failed
            .iter()
            .map(|(cache, failed)| NotAsked { cache: name(*cache), problem: problem(failed) })
            .collect(),
        equivocations: result.equivocations.iter().map(equivocation).collect(),
        divergences: divergences.collect(),
    }
}

fn equivocation(found: &challenge::Equivocation) -> Equivocation<'_> {
    let signed = found.signed.iter().map(|one| Signed {
        nar_hash: one.nar_hash,
        fingerprint: &one.fingerprint,
        signature: &one.signature,
    });
    Equivocation { key: format!("{:?}", found.key), signed: signed.collect() }
}

fn problem(failed: &Failed) -> Problem {
    Problem { error: escape(&failed.why), code: failed.code.to_string() }
}
