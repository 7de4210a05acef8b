//! The causes as SARIF 2.1.0 (OASIS, Static Analysis Results Interchange Format), which code hosts show beside the source:
//! a result for each cause of each subject, with where it shows as locations.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    count::count,
    escape::{escape, escape_bytes},
    subject::{Report, Standing, Subject},
};
use crate::diagnose::{CATALOGUE, Cause, Evidence, Quote, accepted::Met};

/// Locations of a result, at most.
const LOCATIONS: usize = 20;

/// The rule of what has no cause of its own.
const NOT_CHECKED: &str = "not-checked";

#[derive(Serialize)]
struct Document {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run; 1],
}

#[derive(Serialize)]
struct Run {
    tool: Tool,
    #[serde(rename = "columnKind")]
    column_kind: &'static str,
    results: Vec<Outcome>,
}

#[derive(Serialize)]
struct Tool {
    driver: Driver,
}

#[derive(Serialize)]
struct Driver {
    name: &'static str,
    #[serde(rename = "semanticVersion")]
    version: &'static str,
    rules: Vec<Rule>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    id: &'static str,
    short_description: Message,
    full_description: Message,
    help: Message,
}

#[derive(Serialize)]
struct Message {
    text: String,
}

#[derive(Serialize)]
struct Suppression {
    kind: &'static str,
    justification: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcome {
    rule_id: &'static str,
    rule_index: usize,
    kind: &'static str,
    level: &'static str,
    message: Message,
    locations: Vec<Location>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    suppressions: Vec<Suppression>,
    partial_fingerprints: BTreeMap<&'static str, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Location {
    physical_location: Physical,
    logical_locations: Vec<Logical>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Physical {
    artifact_location: Artifact,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<Region>,
}

#[derive(Serialize)]
struct Artifact {
    uri: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    byte_offset: u64,
    byte_length: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Logical {
    fully_qualified_name: String,
}

/// The document, ready to be serialised.
pub fn document(report: &Report<'_>) -> impl Serialize {
    let mut results = Vec::new();
    for subject in &report.subjects {
        for seen in &subject.seen {
            results.extend(seen.causes.iter().map(|cause| of_cause(subject, &seen.b, cause)));
        }
        if matches!(subject.standing, Standing::Bad | Standing::Unknown) && subject.seen.is_empty() {
            let reason = subject.reason.as_deref().unwrap_or(&subject.word);
            results.push(not_checked(&subject.name, &format!("{}: {reason}", subject.word)));
        }
    }
    let problem = |problem: &super::subject::Problem| not_checked(&problem.code, &problem.text);
    results.extend(report.problems.iter().map(problem));
    let driver = Driver { name: "reprove", version: env!("CARGO_PKG_VERSION"), rules: rules() };
    let run = Run { tool: Tool { driver }, column_kind: "unicodeCodePoints", results };
    let schema = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";
    Document { schema, version: "2.1.0", runs: [run] }
}

/// The whole catalogue, and one more: the index of a rule is its place there.
fn rules() -> Vec<Rule> {
    let message = |text: &str| Message { text: text.split_whitespace().collect::<Vec<_>>().join(" ") };
    let rule = |entry: &crate::diagnose::Entry| Rule {
        id: entry.id,
        short_description: message(entry.title),
        full_description: message(entry.what),
        help: message(entry.fix),
    };
    let mut rules: Vec<Rule> = CATALOGUE.iter().map(rule).collect();
    rules.push(Rule {
        id: NOT_CHECKED,
        short_description: message("nothing was compared"),
        full_description: message("A build failed, an input was missing, or a comparison could not be made."),
        help: message("See the message; `reprove explain` tells more about its code."),
    });
    rules
}

fn index(id: &str) -> usize {
    CATALOGUE.iter().position(|entry| entry.id == id).unwrap_or(CATALOGUE.len())
}

fn of_cause(subject: &Subject<'_>, against: &str, cause: &Cause) -> Outcome {
    let level = if cause.derived { "note" } else { "error" };
    let (name, against) = (escape(&subject.name), escape(against));
    let (places, bytes) = (count(cause.places, "place", "places"), count(cause.bytes, "byte", "bytes"));
    let proof = cause.proof.as_ref().map_or_else(String::new, |proof| {
        format!("; the setting {} alone changes it", escape(&proof.setting))
    });
    let text = format!(
        "{name} differs from {against}: {} ({}, {places}, {bytes}{proof})",
        cause.entry.title, cause.confidence
    );
    let fingerprint = format!("{name} {}", cause.entry.id);
    Outcome {
        rule_id: cause.entry.id,
        rule_index: index(cause.entry.id),
        kind: "fail",
        level,
        message: Message { text },
        locations: cause.evidence.iter().take(LOCATIONS).map(location).collect(),
        suppressions: suppressions(subject, cause),
        partial_fingerprints: BTreeMap::from([("subjectAndCause/v1", fingerprint)]),
    }
}

/// That a cause is accepted in all of its places (SARIF 2.1.0, section 3.35): only where nothing else differs, so that a report
/// never shows less than the verdict says.
fn suppressions(subject: &Subject<'_>, cause: &Cause) -> Vec<Suppression> {
    let Some(judgement) = subject.judgement.filter(|_| subject.standing == Standing::Accepted) else {
        return Vec::new();
    };
    let for_it = judgement.met.iter().filter(|met| cause.derived || met.cause == cause.entry);
    let justification =
        |met: &Met| format!("{} ({}, until {})", escape(&met.reason), escape(&met.owner), met.expires);
    for_it.map(|met| Suppression { kind: "external", justification: justification(met) }).collect()
}

fn not_checked(name: &str, text: &str) -> Outcome {
    let name = escape(name);
    Outcome {
        rule_id: NOT_CHECKED,
        rule_index: CATALOGUE.len(),
        kind: "fail",
        level: "error",
        message: Message { text: format!("{name}: {}", escape(text)) },
        locations: Vec::new(),
        suppressions: Vec::new(),
        partial_fingerprints: BTreeMap::from([("subjectAndCause/v1", name)]),
    }
}

fn location(evidence: &Evidence) -> Location {
    // A region is of the artifact itself: inside of an archive there is no such place.
    let outside = evidence.inside.is_empty();
    let region = evidence.a.as_ref().or(evidence.b.as_ref()).filter(|_| outside).and_then(region);
    let mut names: Vec<String> = evidence.inside.iter().map(|name| escape_bytes(name)).collect();
    names.extend(evidence.part.as_deref().map(escape));
    names.extend(evidence.symbol.as_deref().map(escape_bytes));
    let logical = (!names.is_empty()).then(|| Logical { fully_qualified_name: names.join(" » ") });
    Location {
        physical_location: Physical { artifact_location: Artifact { uri: uri(&evidence.path) }, region },
        logical_locations: logical.into_iter().collect(),
    }
}

fn region(quote: &Quote) -> Option<Region> {
    // What a quote says need not be the bytes themselves; the offset is where they begin.
    Some(Region { byte_offset: quote.offset?, byte_length: quote.text.len() as u64 })
}

/// A relative reference (RFC 3986, section 4.2) for a path in an output; the root is the folder itself.
fn uri(path: &[u8]) -> String {
    if path.is_empty() {
        return "./".to_owned();
    }
    let mut uri = String::from("./");
    for byte in path {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                uri.push(char::from(*byte))
            }
            byte => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_any_bytes_is_a_reference() {
        assert_eq!(uri(b""), "./");
        assert_eq!(uri(b"bin/a b:\xff"), "./bin/a%20b%3A%FF");
    }
}
