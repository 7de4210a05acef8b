//! The rules, and the ranking of what they find.
//!
//! A rule is a function over one finding, or over one differing range, and the place where it was found. It adds
//! what it knows to the [`Diagnosis`] and says whether that explains the finding: the first rule that does is the
//! last one asked. What a rule needs to know of the rest of the file is in the diagnosis, or in the place.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashSet},
};

use super::{
    Cause, Confidence, Evidence, Proof, Quote, Site,
    catalogue::{CATALOGUE, find},
    passage::Passage,
};
use crate::diff::{Comparison, Finding, Pair, Place, Range, Value};

mod archives;
mod executables;
mod images;
mod text;
mod tokens;
mod tree;

/// Explains one finding, or leaves it to the next rule.
type Rule = fn(&mut Diagnosis, &Place<'_>, &Finding) -> bool;

/// Explains one differing range, or some of it, or leaves it to the next rule.
type RangeRule = fn(&mut Diagnosis, &Place<'_>, &mut Passage<'_>) -> bool;

/// All rules about findings, the most specific ones first.
const RULES: &[Rule] = &[
    images::value,
    images::final_tree,
    archives::field,
    archives::order,
    archives::renamed,
    archives::encoding,
    archives::strings_of_path,
    executables::section_of_one_side,
    executables::field,
    executables::moved,
    executables::symbols,
    executables::permuted,
    tree::only_in_one,
    tree::kind,
    tree::mode,
    tree::target,
    text::line_endings,
    text::order,
    text::same_value,
    tokens::strings,
    layout,
];

/// All rules about ranges of bytes or lines, the most specific ones first.
const RANGE_RULES: &[RangeRule] = &[
    archives::index,
    archives::path_of_source,
    text::of_same_value,
    executables::told,
    executables::section_of_one_value,
    executables::search_path,
    tokens::passage,
    executables::describes,
    executables::length,
    executables::recompiled,
];

/// Causes that are only a consequence as soon as anything else differs, each of those before it too: a build id is over what
/// moved, a signature over the build id.
const CONSEQUENCES: &[&str] = &["address-shift", "debug-link", "build-id-random", "code-signature"];

/// Causes that follow from another one of them: a hash in a name from what is hashed, the order of functions from how
/// they were split.
const FOLLOWS: &[(&str, &[&str])] = &[
    ("link-order", &["codegen-units", "compiler-version", "optimization-level", "linker-version"]),
    ("symbol-hash", &["build-path", "compiler-version", "codegen-units", "optimization-level"]),
];

/// Places kept as evidence for one cause; all are counted.
const EVIDENCE: usize = 32;
/// Bytes quoted of what is no token.
const QUOTED: usize = 16;

/// The causes of what differs, the first one first. Empty only for what is identical.
pub fn diagnose(comparison: &Comparison, proven: &[Proof]) -> Vec<Cause> {
    let mut diagnosis = Diagnosis::default();
    for place in comparison.places() {
        executables::enter(&mut diagnosis, &place);
        for finding in &place.difference.found {
            diagnosis.finding(&place, finding);
        }
    }
    diagnosis.conclude(proven)
}

/// Fields that say where things lie, and checksums: they follow from anything else.
fn layout(diagnosis: &mut Diagnosis, place: &Place<'_>, finding: &Finding) -> bool {
    let Finding::Field { name, values, at, derived: true } = finding else { return false };
    diagnosis.layout.add(Confidence::LOW, field_evidence(place, name, values, *at), 0);
    true
}

/// What has been found of one cause.
#[derive(Default)]
struct Draft {
    confidence: u8,
    evidence: Vec<Evidence>,
    sites: Vec<Site>,
    places: u64,
    bytes: u64,
}

impl Draft {
    fn add(&mut self, confidence: Confidence, evidence: Evidence, bytes: u64) {
        self.confidence = self.confidence.max(confidence.0);
        let Evidence { path, inside, part, .. } = &evidence;
        let (path, inside, part) = (path.clone(), inside.clone(), part.clone());
        self.more(Site { path, inside, part, places: 1, bytes });
        if self.evidence.len() < EVIDENCE {
            self.evidence.push(evidence);
        }
    }

    /// Counts places and bytes of which no evidence is kept. The places of a file come one after the other.
    fn more(&mut self, site: Site) {
        self.places += site.places;
        self.bytes += site.bytes;
        let same = |other: &&mut Site| {
            (&other.part, &other.path, &other.inside) == (&site.part, &site.path, &site.inside)
        };
        match self.sites.last_mut().filter(same) {
            Some(last) => {
                last.places += site.places;
                last.bytes += site.bytes;
            }
            None => self.sites.push(site),
        }
    }

    /// Takes all of another one, after what is there.
    fn take(&mut self, other: &Draft) {
        let space = EVIDENCE.saturating_sub(self.evidence.len());
        self.evidence.extend(other.evidence.iter().take(space).cloned());
        other.sites.iter().for_each(|site| self.more(site.clone()));
    }
}

/// A cause and what both sides say of it.
type Known = (&'static str, Option<Vec<u8>>, Option<Vec<u8>>);

/// What the rules have found so far.
#[derive(Default)]
struct Diagnosis {
    drafts: BTreeMap<&'static str, Draft>,
    /// What no rule explained.
    rest: Draft,
    /// What follows from anything else that differs: where things lie, checksums.
    layout: Draft,
    /// Texts of evidence by token, so that a string found once more by another way is not reported again.
    known: HashSet<Known>,
    /// The executable or object whose places are gone through.
    file: Option<executables::File>,
}

impl Diagnosis {
    fn finding(&mut self, place: &Place<'_>, finding: &Finding) {
        if RULES.iter().any(|rule| rule(self, place, finding)) {
            return;
        }
        match finding {
            Finding::Bytes(ranges) | Finding::Lines(ranges) => {
                for range in &ranges.list {
                    self.range(place, range);
                }
                let kept: u64 = ranges.list.iter().map(|range| range.differing).sum();
                let bytes = ranges.differing.saturating_sub(kept);
                let places = ranges.total.saturating_sub(ranges.list.len() as u64);
                if places > 0 || bytes > 0 {
                    self.rest.more(site(place, places, bytes));
                }
            }
            Finding::Field { name, values, at, .. } => {
                self.rest.add(Confidence::LOW, field_evidence(place, name, values, *at), 0);
            }
            _ => self.rest.add(Confidence::LOW, evidence(place, None, None, None), 0),
        }
    }

    fn range(&mut self, place: &Place<'_>, range: &Range) {
        let mut passage = Passage::new(range);
        if RANGE_RULES.iter().any(|rule| rule(self, place, &mut passage)) {
            return;
        }
        let left = passage.unexplained();
        if left > 0 {
            let quotes = quotes(range);
            self.rest.add(Confidence::LOW, evidence(place, Some(range), quotes.a, quotes.b), left);
        }
    }

    fn add(&mut self, id: &'static str, confidence: Confidence, evidence: Evidence, bytes: u64) {
        self.drafts.entry(id).or_default().add(confidence, evidence, bytes);
    }

    /// More differing bytes of a cause of which there is evidence already.
    fn add_bytes(&mut self, id: &'static str, place: &Place<'_>, bytes: u64) {
        self.drafts.entry(id).or_default().more(site(place, 0, bytes));
    }

    /// Joins what was found with what is proven, and ranks it.
    fn conclude(mut self, proven: &[Proof]) -> Vec<Cause> {
        // Where nothing else was found, the first of the consequences is the cause.
        let alone = self.rest.places == 0 && self.drafts.keys().all(|id| CONSEQUENCES.contains(id));
        let root = CONSEQUENCES.iter().find(|id| alone && self.drafts.contains_key(*id)).copied();
        if self.drafts.is_empty() && self.rest.places == 0 {
            self.rest = std::mem::take(&mut self.layout);
        }
        let mut settings: BTreeMap<&'static str, &Proof> = BTreeMap::new();
        for proof in proven {
            if let Some(id) = cause_of(&proof.setting) {
                settings.entry(id).or_insert(proof);
            }
        }
        let mut causes = Vec::new();
        // What is left over follows the proven settings: nothing else was changed between the two builds.
        if self.rest.places > 0 && !settings.is_empty() {
            let rest = std::mem::take(&mut self.rest);
            let without: Vec<_> =
                settings.keys().filter(|id| !self.drafts.contains_key(*id)).copied().collect();
            let takers = if without.is_empty() { settings.keys().copied().collect() } else { without };
            for (index, id) in takers.into_iter().enumerate() {
                let draft = self.drafts.entry(id).or_default();
                let bytes = draft.bytes;
                draft.take(&rest);
                if index > 0 {
                    // Counted with the first of them.
                    draft.bytes = bytes;
                }
            }
        }
        let found: HashSet<&str> = self.drafts.keys().copied().collect();
        let follows = |id: &str| {
            FOLLOWS.iter().any(|(what, from)| *what == id && from.iter().any(|cause| found.contains(cause)))
        };
        for (id, draft) in self.drafts {
            let Some(entry) = find(id) else { continue };
            let proof = settings.get(id).map(|proof| (*proof).clone());
            let confidence = if proof.is_some() { Confidence::PROVEN } else { Confidence(draft.confidence) };
            let derived =
                (CONSEQUENCES.contains(&id) && root != Some(id)) || (follows(id) && proof.is_none());
            let Draft { evidence, sites, places, bytes, .. } = draft;
            causes.push(Cause { entry, confidence, derived, proof, evidence, sites, places, bytes });
        }
        if let Some(entry) = find("unexplained").filter(|_| self.rest.places > 0) {
            let Draft { evidence, sites, places, bytes, .. } = self.rest;
            let confidence = Confidence(0);
            let (derived, proof) = (false, None);
            causes.push(Cause { entry, confidence, derived, proof, evidence, sites, places, bytes });
        }
        let order = |cause: &Cause| CATALOGUE.iter().position(|entry| entry.id == cause.entry.id);
        causes.sort_by_key(|cause| (cause.derived, Reverse(cause.confidence), order(cause)));
        causes
    }
}

/// Which cause a setting proves.
fn cause_of(setting: &str) -> Option<&'static str> {
    Some(match setting {
        "clock" => "embedded-build-time",
        "seed" => "random-seed",
        "cores" | "rate" | "memory" => "parallelism",
        "hostname" | "user" => "build-user-or-host",
        "build-dir" => "build-path",
        _ => return None,
    })
}

fn site(place: &Place<'_>, places: u64, bytes: u64) -> Site {
    let Evidence { path, inside, part, .. } = evidence(place, None, None, None);
    Site { path, inside, part, places, bytes }
}

fn evidence(place: &Place<'_>, range: Option<&Range>, a: Option<Quote>, b: Option<Quote>) -> Evidence {
    Evidence {
        path: place.path().to_vec(),
        inside: place.inside().into_iter().map(<[u8]>::to_vec).collect(),
        part: place.part().map(ToString::to_string),
        symbol: range.and_then(|range| range.symbol.as_ref()).map(|symbol| symbol.name.clone()),
        a,
        b,
    }
}

/// Evidence that is two words of ours.
fn said(place: &Place<'_>, a: String, b: String) -> Evidence {
    evidence(place, None, Some(quote(None, a.into_bytes())), Some(quote(None, b.into_bytes())))
}

/// Evidence that is a field with a name.
fn field_evidence(place: &Place<'_>, name: &str, values: &Pair<Value>, at: Option<Pair<u64>>) -> Evidence {
    let mut quotes = values.as_ref().map(quote_value);
    quotes.a.offset = at.map(|at| at.a);
    quotes.b.offset = at.map(|at| at.b);
    let mut found = evidence(place, None, Some(quotes.a), Some(quotes.b));
    found.part = Some(match &found.part {
        Some(part) => format!("{part}, {name}"),
        None => name.to_owned(),
    });
    found
}

fn quote(offset: Option<u64>, text: Vec<u8>) -> Quote {
    Quote { offset, text, binary: false }
}

fn quote_value(value: &Value) -> Quote {
    let (text, binary) = match value {
        Value::Text(Some(text)) => (text.clone(), false),
        Value::Hex(Some(bytes)) => (bytes.clone(), true),
        other => (other.to_string().into_bytes(), false),
    };
    Quote { offset: None, text, binary }
}

/// The beginning of what differs on both sides.
fn quotes(range: &Range) -> Pair<Option<Quote>> {
    Pair::new(&range.a, &range.b).map(|piece| {
        let bytes: Vec<u8> = piece.sample[piece.marked()].iter().take(QUOTED).copied().collect();
        let binary = bytes.iter().any(|byte| !matches!(byte, b'\t' | b'\n' | b'\r' | 0x20..=0x7e));
        Some(Quote { offset: Some(piece.offset), text: bytes, binary })
    })
}
