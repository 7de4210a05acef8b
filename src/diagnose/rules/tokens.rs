//! Rules about what is recognised in bytes and strings: store paths, dates, people.

use std::collections::HashSet;

use super::{Diagnosis, Passage, evidence, executables, quote};
use crate::{
    diagnose::{Confidence, Quote, tokens::RECOGNISERS},
    diff::{Finding, Pair, Place, Side, Strings},
};

/// Tokens in a range. Explains what they cover, and leaves the rest of it.
pub(super) fn passage(diagnosis: &mut Diagnosis, place: &Place<'_>, passage: &mut Passage<'_>) -> bool {
    let range = passage.range;
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
        diagnosis.known.insert((found.recogniser.cause, text(&a), text(&b)));
        let sure = |side: Side| found.tokens.of(side).as_ref().map(|token| token.confidence);
        let confidence =
            [sure(Side::A), sure(Side::B)].into_iter().flatten().max().unwrap_or(Confidence::LOW);
        let cause = executables::of_go(diagnosis, place, found.recogniser.cause, [&a, &b]);
        diagnosis.add(cause, confidence, evidence(place, Some(range), a, b), found.bytes);
    }
    false
}

/// New strings of a place whose bytes moved: tokens that only one side has.
pub(super) fn strings(diagnosis: &mut Diagnosis, place: &Place<'_>, finding: &Finding) -> bool {
    let Finding::Strings(strings) = finding else { return false };
    in_strings(diagnosis, place, strings);
    true
}

/// Tokens that only one side's strings have; whether there are any.
pub(super) fn in_strings(diagnosis: &mut Diagnosis, place: &Place<'_>, strings: &Pair<Strings>) -> bool {
    let mut any = false;
    for recogniser in &RECOGNISERS {
        let tokens = strings.as_ref().map(|strings| {
            let mut tokens = Vec::new();
            for (offset, text) in &strings.list {
                for token in recogniser.find(text) {
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
            let other = match pair {
                Pair { a: Some(a), b: Some(b) } => !(recogniser.same)((&a.1, a.2), (&b.1, b.2)),
                _ => false,
            };
            if other || !(both || recogniser.alone) {
                continue;
            }
            any = true;
            if !diagnosis.known.insert(key) {
                continue;
            }
            let quoted = |side: Option<&&(u64, Vec<u8>, Confidence)>| {
                side.map(|(offset, text, _)| quote(Some(*offset), text.clone()))
            };
            let (a, b) = (quoted(pair.a), quoted(pair.b));
            let cause = executables::of_go(diagnosis, place, recogniser.cause, [&a, &b]);
            // The same bytes are counted with their ranges.
            let confidence = pair.a.or(pair.b).map_or(Confidence::LOW, |token| token.2);
            diagnosis.add(cause, confidence, evidence(place, None, a, b), 0);
        }
    }
    any
}
