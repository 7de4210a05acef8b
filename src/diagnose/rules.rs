//! The rules, and the ranking of what they find.

use std::collections::{BTreeMap, HashSet};

use super::{
    Cause, Confidence, Evidence, Proof, Quote,
    catalogue::{CATALOGUE, find},
    passage::Passage,
    tokens::{Ascii, RECOGNISERS},
};
use crate::diff::{Comparison, Finding, Pair, Place, Range, Side, Step, Strings, Value};

/// Places kept as evidence for one cause; all are counted.
const EVIDENCE: usize = 32;
/// Bytes quoted of what is no token.
const QUOTED: usize = 16;

/// The causes of what differs, the first one first. Empty only for what is identical.
pub fn diagnose(comparison: &Comparison, proven: &[Proof]) -> Vec<Cause> {
    let mut diagnosis = Diagnosis::default();
    for place in comparison.places() {
        for finding in &place.difference.found {
            diagnosis.finding(&place, finding);
        }
    }
    diagnosis.conclude(proven)
}

/// What has been found of one cause.
#[derive(Default)]
struct Draft {
    confidence: u8,
    evidence: Vec<Evidence>,
    places: u64,
    bytes: u64,
}

impl Draft {
    fn add(&mut self, confidence: Confidence, evidence: Evidence, bytes: u64) {
        self.confidence = self.confidence.max(confidence.0);
        self.bytes += bytes;
        self.places += 1;
        if self.evidence.len() < EVIDENCE {
            self.evidence.push(evidence);
        }
    }
}

/// A cause and what both sides say of it.
type Known = (&'static str, Option<Vec<u8>>, Option<Vec<u8>>);

#[derive(Default)]
struct Diagnosis {
    drafts: BTreeMap<&'static str, Draft>,
    /// What no rule explained.
    rest: Draft,
    /// Fields that say where things lie: they follow from anything else.
    layout: Draft,
    /// Texts of evidence by token, so that a string found once more by another way is not reported again.
    known: HashSet<Known>,
}

impl Diagnosis {
    fn finding(&mut self, place: &Place<'_>, finding: &Finding) {
        let said = |a: String, b: String| {
            evidence(place, None, Some(quote(None, a.into_bytes())), Some(quote(None, b.into_bytes())))
        };
        match finding {
            Finding::OnlyIn { side, what, size } if matches!(place.part(), Some(Step::Section(_))) => {
                let here = format!("{what} of {size} bytes");
                let (a, b) = one_sided(*side, here, "no such section".to_owned());
                self.rest.add(Confidence::LOW, said(a, b), *size);
            }
            Finding::OnlyIn { side, what, size } => {
                let (a, b) = one_sided(*side, format!("{what} of {size} bytes"), "nothing".to_owned());
                self.add("missing-file", Confidence(95), said(a, b), *size);
            }
            Finding::Kind(kinds) => {
                self.add(
                    "missing-file",
                    Confidence(95),
                    said(kinds.a.name().into(), kinds.b.name().into()),
                    0,
                );
            }
            Finding::Executable(pair) => {
                let word = |yes: bool| if yes { "executable" } else { "not executable" }.to_owned();
                self.add("file-mode", Confidence(95), said(word(pair.a), word(pair.b)), 0);
            }
            Finding::Target(pair) => {
                let quotes = pair.as_ref().map(|target| Some(quote(None, target.clone())));
                self.add("symlink-target", Confidence(95), evidence(place, None, quotes.a, quotes.b), 0);
            }
            Finding::LineEndings(counts) => {
                let word = |count: u64| format!("{count} lines end in CR LF");
                self.add(
                    "line-endings",
                    Confidence(95),
                    said(word(counts.a), word(counts.b)),
                    counts.a.max(counts.b),
                );
            }
            Finding::Reordered { lines, first } => {
                let quotes = quotes(first);
                let mut found = evidence(place, Some(first), quotes.a, quotes.b);
                found.part = Some(format!("{lines} lines"));
                self.add("unordered-output", Confidence(85), found, *lines);
            }
            Finding::Field { name, values, layout } => self.field(place, name, values, *layout),
            Finding::Bytes(ranges) | Finding::Lines(ranges) => {
                for range in &ranges.list {
                    self.range(place, range);
                }
                let kept: u64 = ranges.list.iter().map(|range| range.differing).sum();
                self.rest.bytes += ranges.differing.saturating_sub(kept);
                self.rest.places += ranges.total - ranges.list.len() as u64;
            }
            Finding::Strings(strings) => self.strings(place, strings),
        }
    }

    fn field(&mut self, place: &Place<'_>, name: &str, values: &Pair<Value>, layout: bool) {
        let quotes = values.as_ref().map(|value| Some(quote_value(value)));
        let mut found = evidence(place, None, quotes.a, quotes.b);
        found.part = Some(match &found.part {
            Some(part) => format!("{part}, {name}"),
            None => name.to_owned(),
        });
        match name {
            "program interpreter" | "DT_RUNPATH" | "DT_RPATH" => {
                self.add("interpreter-or-rpath", Confidence(95), found, 0);
            }
            "compiler" => self.add("compiler-version", Confidence::HIGH, found, 0),
            "build id" => self.add("build-id-random", Confidence::MEDIUM, found, 0),
            _ if layout => self.layout.add(Confidence::LOW, found, 0),
            _ => self.rest.add(Confidence::LOW, found, 0),
        }
    }

    fn range(&mut self, place: &Place<'_>, range: &Range) {
        // Sections that are one value: the field beside them has told it.
        let whole_section = match place.section() {
            Some(b".interp") => Some("interpreter-or-rpath"),
            Some(b".comment") => Some("compiler-version"),
            Some(b".note.gnu.build-id") => Some("build-id-random"),
            _ => None,
        };
        if let Some(draft) = whole_section.and_then(|id| self.drafts.get_mut(id)) {
            draft.bytes += range.differing;
            return;
        }
        let mut passage = Passage::new(range);
        if place.section() == Some(b".dynstr") && self.is_search_path(place, &passage) {
            self.drafts.entry("interpreter-or-rpath").or_default().bytes += range.differing;
            return;
        }
        for found in passage.matches() {
            let pieces = Pair::new(&range.a, &range.b);
            let quoted = |side: Side| {
                let piece = pieces.of(side);
                found.tokens.of(side).as_ref().map(|token| {
                    let offset = piece.sample_offset + token.range.start as u64;
                    quote(Some(offset), piece.sample[token.range.clone()].to_vec())
                })
            };
            let (a, b) = (quoted(Side::A), quoted(Side::B));
            let text = |quote: &Option<Quote>| quote.as_ref().map(|quote| quote.text.clone());
            self.known.insert((found.recogniser.cause, text(&a), text(&b)));
            let sure = |side: Side| found.tokens.of(side).as_ref().map(|token| token.confidence);
            let confidence =
                [sure(Side::A), sure(Side::B)].into_iter().flatten().max().unwrap_or(Confidence::LOW);
            self.add(found.recogniser.cause, confidence, evidence(place, Some(range), a, b), 0);
            self.drafts.entry(found.recogniser.cause).or_default().bytes += found.bytes;
        }
        let left = passage.unexplained();
        if left > 0 {
            let quotes = quotes(range);
            self.rest.add(Confidence::LOW, evidence(place, Some(range), quotes.a, quotes.b), left);
        }
    }

    /// Whether a range of the dynamic string table is part of a search path that differs.
    fn is_search_path(&self, place: &Place<'_>, passage: &Passage<'_>) -> bool {
        let Some(draft) = self.drafts.get("interpreter-or-rpath") else { return false };
        let of_file = draft.evidence.iter().filter(|evidence| evidence.path == place.path());
        of_file.into_iter().any(|evidence| {
            let inside = |side: Side, quote: &Option<Quote>| {
                quote.as_ref().is_some_and(|quote| {
                    passage.lies_in(side, |run| {
                        !run.is_empty() && quote.text.windows(run.len()).any(|w| w == run)
                    })
                })
            };
            inside(Side::A, &evidence.a) && inside(Side::B, &evidence.b)
        })
    }

    /// New strings of a place whose bytes moved: tokens that only one side has.
    fn strings(&mut self, place: &Place<'_>, strings: &Pair<Strings>) {
        for recogniser in &RECOGNISERS {
            let tokens = strings.as_ref().map(|strings| {
                let mut tokens = Vec::new();
                for (offset, text) in &strings.list {
                    for token in recogniser.find(&Ascii::of(text)) {
                        let at = offset + token.range.start as u64;
                        tokens.push((at, text[token.range].to_vec(), token.confidence));
                    }
                }
                tokens
            });
            let texts =
                tokens.as_ref().map(|tokens| tokens.iter().map(|(_, text, _)| text).collect::<HashSet<_>>());
            let new = Pair::new(
                tokens.a.iter().filter(|(_, text, _)| !texts.b.contains(text)).collect::<Vec<_>>(),
                tokens.b.iter().filter(|(_, text, _)| !texts.a.contains(text)).collect::<Vec<_>>(),
            );
            for index in 0..new.a.len().max(new.b.len()) {
                let pair = Pair::new(new.a.get(index), new.b.get(index));
                let both = pair.a.is_some() && pair.b.is_some();
                let text = |side: Option<&&(u64, Vec<u8>, Confidence)>| side.map(|token| token.1.clone());
                let key = (recogniser.cause, text(pair.a), text(pair.b));
                if !(both || recogniser.alone) || !self.known.insert(key) {
                    continue;
                }
                let quoted = |side: Option<&&(u64, Vec<u8>, Confidence)>| {
                    side.map(|(offset, text, _)| quote(Some(*offset), text.clone()))
                };
                let found = evidence(place, None, quoted(pair.a), quoted(pair.b));
                // The same bytes are counted with their ranges.
                let confidence = pair.a.or(pair.b).map_or(Confidence::LOW, |token| token.2);
                self.add(recogniser.cause, confidence, found, 0);
            }
        }
    }

    fn add(&mut self, id: &'static str, confidence: Confidence, evidence: Evidence, bytes: u64) {
        self.drafts.entry(id).or_default().add(confidence, evidence, bytes);
    }

    /// Joins what was found with what is proven, and ranks it.
    fn conclude(mut self, proven: &[Proof]) -> Vec<Cause> {
        // A build id is a consequence as soon as anything else differs.
        let only_build_id = self.drafts.len() == 1 && self.rest.places == 0 && self.layout.places == 0;
        if self.drafts.is_empty() && self.rest.places == 0 {
            self.rest = std::mem::take(&mut self.layout);
        }
        let mut settings: BTreeMap<&'static str, &Proof> = BTreeMap::new();
        for proof in proven {
            if let Some(id) = cause_of(&proof.setting) {
                settings.entry(id).or_insert(proof);
            }
        }
        let is_derived = |id: &str| id == "build-id-random" && !only_build_id;
        let mut causes = Vec::new();
        // What is left over follows the proven settings: nothing else was changed between the two builds.
        if self.rest.places > 0 && !settings.is_empty() {
            let rest = std::mem::take(&mut self.rest);
            let without: Vec<_> =
                settings.keys().filter(|id| !self.drafts.contains_key(*id)).copied().collect();
            let takers = if without.is_empty() { settings.keys().copied().collect() } else { without };
            for (index, id) in takers.into_iter().enumerate() {
                let draft = self.drafts.entry(id).or_default();
                draft.places += rest.places;
                draft.bytes += if index == 0 { rest.bytes } else { 0 };
                let space = EVIDENCE.saturating_sub(draft.evidence.len());
                draft.evidence.extend(rest.evidence.iter().take(space).cloned());
            }
        }
        for (id, draft) in self.drafts {
            let Some(entry) = find(id) else { continue };
            let proof = settings.get(id).map(|proof| (*proof).clone());
            let confidence = if proof.is_some() { Confidence::PROVEN } else { Confidence(draft.confidence) };
            let derived = is_derived(id);
            let Draft { evidence, places, bytes, .. } = draft;
            causes.push(Cause { entry, confidence, derived, proof, evidence, places, bytes });
        }
        if let Some(entry) = find("unexplained").filter(|_| self.rest.places > 0) {
            let Draft { evidence, places, bytes, .. } = self.rest;
            let confidence = Confidence(0);
            causes.push(Cause { entry, confidence, derived: false, proof: None, evidence, places, bytes });
        }
        let order = |cause: &Cause| CATALOGUE.iter().position(|entry| entry.id == cause.entry.id);
        causes.sort_by_key(|cause| (cause.derived, std::cmp::Reverse(cause.confidence), order(cause)));
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

fn one_sided(side: Side, here: String, there: String) -> (String, String) {
    match side {
        Side::A => (here, there),
        Side::B => (there, here),
    }
}

fn evidence(place: &Place<'_>, range: Option<&Range>, a: Option<Quote>, b: Option<Quote>) -> Evidence {
    Evidence {
        path: place.path().to_vec(),
        part: place.part().map(ToString::to_string),
        symbol: range.and_then(|range| range.symbol.as_ref()).map(|symbol| symbol.name.clone()),
        a,
        b,
    }
}

fn quote(offset: Option<u64>, text: Vec<u8>) -> Quote {
    Quote { offset, text, binary: false }
}

fn quote_value(value: &Value) -> Quote {
    let (text, binary) = match value {
        Value::Number(number) => (format!("{number:#x}").into_bytes(), false),
        Value::Named(_, name) => ((*name).as_bytes().to_vec(), false),
        Value::Text(Some(text)) => (text.clone(), false),
        Value::Hex(Some(bytes)) => (bytes.clone(), true),
        Value::Text(None) | Value::Hex(None) => (b"none".to_vec(), false),
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
