//! A challenge as a report.

use super::{given, word};
use crate::{
    mirror::challenge::{Challenge, Equivocation, PathResult, Said, Verdict},
    report::subject::{Problem, Report, Seen, Standing, Subject},
};

/// The report on what caches say.
pub fn subjects(challenge: &Challenge) -> Report<'_> {
    let problems = challenge
        .unlisted
        .iter()
        .chain(challenge.paths.iter().flat_map(|result| result.failed.iter().map(|(_, failed)| failed)));
    Report {
        verb: "mirror challenge",
        subjects: challenge.paths.iter().map(|result| subject(challenge, result)).collect(),
        problems: problems
            .map(|failed| Problem { code: failed.code.to_string(), text: failed.why.clone() })
            .collect(),
        graph: None,
    }
}

fn subject<'a>(challenge: &'a Challenge, result: &'a PathResult) -> Subject<'a> {
    let name = |cache: usize| challenge.caches.get(cache).map_or("", String::as_str);
    let mut facts: Vec<(String, String)> = Vec::new();
    for group in &result.groups {
        for said in &group.said {
            facts.push((name(said.cache).to_owned(), format!("{}, {}", group.nar_hash, says(said))));
        }
    }
    facts.extend(result.lacking.iter().map(|cache| (name(*cache).to_owned(), "does not have it".to_owned())));
    facts.extend(
        result
            .failed
            .iter()
            .map(|(cache, failed)| (name(*cache).to_owned(), format!("could not be asked: {}", failed.why))),
    );
    facts.extend(result.equivocations.iter().map(|one| (one.key.name().to_owned(), equivocates(one))));
    let first = result.groups.iter().flat_map(|group| &group.said);
    let mut first = first.filter(|said| given(said).0 == "shown");
    let a = first.next().map_or("", |said| name(said.cache));
    let seen = result.divergences.iter().map(|one| Seen {
        a: a.to_owned(),
        b: one.against.clone(),
        comparison: &one.comparison,
        causes: &one.causes,
    });
    Subject {
        name: result.path.to_string(),
        standing: match result.verdict {
            Verdict::Agree => Standing::Good,
            Verdict::Diverged => Standing::Bad,
            Verdict::NotChecked => Standing::Unknown,
        },
        word: word(result.verdict).to_owned(),
        level: None,
        reason: result.reason.clone(),
        facts,
        seen: seen.collect(),
        judgement: None,
    }
}

/// `has signed each of sha256-…, sha256-…`
pub(super) fn equivocates(found: &Equivocation) -> String {
    let hashes: Vec<String> = found.signed.iter().map(|one| one.nar_hash.to_string()).collect();
    format!("has signed each of {}", hashes.join(", "))
}

/// `signed by a-1; its signature of b-1 is not b-1's; it gives …`
pub(super) fn says(said: &Said) -> String {
    let signatures = &said.claim.signatures;
    let mut parts = Vec::new();
    match (&signatures.valid[..], &signatures.unknown[..]) {
        ([], []) if said.claim.references.is_none() => parts.push("as it lies there".to_owned()),
        ([], []) => parts.push("not signed by anybody who is known".to_owned()),
        ([], unknown) => parts.push(format!("signed by nobody who is known ({})", unknown.join(", "))),
        (valid, []) => parts.push(format!("signed by {}", valid.join(", "))),
        (valid, unknown) => {
            parts.push(format!("signed by {} (and, not known, {})", valid.join(", "), unknown.join(", ")))
        }
    }
    if !signatures.wrong.is_empty() {
        parts.push(format!("WRONG signature of {}", signatures.wrong.join(", ")));
    }
    match given(said) {
        ("shown", _) => parts.push("and gives it".to_owned()),
        ("lie", Some(why)) => parts.push(format!("and LIES: {why}")),
        ("failed", Some(why)) => parts.push(format!("and does not give it: {why}")),
        _ => {}
    }
    parts.join("; ")
}
