//! Rules about executables and objects: fields, sections, symbols, and what only follows from them.

mod facts;
mod fields;
mod flags;
mod symbols;

pub(super) use facts::{File, enter};
pub(super) use fields::field;
pub(super) use symbols::{of_go, symbols};

use super::{Diagnosis, Passage, evidence, quote, quotes, said, tree::one_sided};
use crate::{
    diagnose::{Confidence, Quote},
    diff::{Finding, Piece, Place, Ranges, Side, Step},
};

/// A section that one side lacks.
pub(super) fn section_of_one_side(diagnosis: &mut Diagnosis, place: &Place<'_>, finding: &Finding) -> bool {
    let Finding::OnlyIn { side, what, size } = finding else { return false };
    let Some(step) = place.part() else { return false };
    let here = if *size == 0 { (*what).to_owned() } else { format!("{what} of {size} bytes") };
    let (a, b) = one_sided(*side, here, format!("no such {what}"));
    let found = said(place, a, b);
    match step {
        Step::Section(name) if facts::is_debug(name) => {
            diagnosis.add("debug-info-kept", Confidence(92), found, *size);
        }
        Step::Section(name)
            if matches!(&name[..], b".comment" | b"COFF symbols") && is_stripped(diagnosis, place) =>
        {
            diagnosis.add("stripped-after-link", Confidence::MEDIUM, found, *size);
        }
        Step::Section(_) => match compiled(diagnosis, place) {
            Some(cause) => diagnosis.add_bytes(cause, place, *size),
            None => diagnosis.rest.add(Confidence::LOW, found, *size),
        },
        Step::Unit(name) if is_partition(name) => {
            diagnosis.add("codegen-units", Confidence(92), found, 0);
        }
        Step::Unit(_) => diagnosis.rest.add(Confidence::LOW, found, 0),
        // The counts of tables are fields themselves.
        Step::Segment(..) | Step::Table(_) => diagnosis.layout.add(Confidence::LOW, found, 0),
        _ => return false,
    }
    true
}

/// Whether a unit is one of those that rustc splits a crate into.
fn is_partition(unit: &[u8]) -> bool {
    unit.windows(5).any(|window| window == b"-cgu.") || unit.windows(5).any(|window| window == b".cgu.")
}

/// Words that refer to what moved: never more than a consequence.
pub(super) fn moved(diagnosis: &mut Diagnosis, place: &Place<'_>, finding: &Finding) -> bool {
    let Finding::Moved { words, bytes } = finding else { return false };
    let text = match words {
        0 => format!("{bytes} bytes of padding"),
        1 => "1 word that refers to what moved".to_owned(),
        _ => format!("{words} words that refer to what moved"),
    };
    let text = text.into_bytes();
    let found = evidence(place, None, Some(quote(None, text.clone())), Some(quote(None, text)));
    diagnosis.add("address-shift", Confidence::HIGH, found, *bytes);
    true
}

/// The same bytes in another order, where symbols are in another order too.
pub(super) fn permuted(diagnosis: &mut Diagnosis, place: &Place<'_>, finding: &Finding) -> bool {
    let Finding::Bytes(ranges) = finding else { return false };
    let in_order = diagnosis.file.as_ref().is_some_and(|file| file.holds(place) && file.link_order);
    if !in_order || !is_permutation(ranges) {
        return false;
    }
    diagnosis.add_bytes("link-order", place, ranges.differing);
    true
}

/// Whether what differs is the same bytes, as often as on the other side.
fn is_permutation(ranges: &Ranges) -> bool {
    let mut counts = [0i64; 256];
    for range in &ranges.list {
        if !range.a.is_whole() || !range.b.is_whole() {
            return false;
        }
        range.a.sample[range.a.marked()].iter().for_each(|byte| counts[usize::from(*byte)] += 1);
        range.b.sample[range.b.marked()].iter().for_each(|byte| counts[usize::from(*byte)] -= 1);
    }
    // Zeros may be padding, of which another order needs more or less.
    ranges.total == ranges.list.len() as u64 && counts[1..].iter().all(|count| *count == 0)
}

/// Bytes of a section that only describes others: they follow, as soon as anything else differs.
pub(super) fn describes(diagnosis: &mut Diagnosis, place: &Place<'_>, passage: &mut Passage<'_>) -> bool {
    let Some(file) = diagnosis.file.as_ref().filter(|file| file.holds(place)) else { return false };
    let Some(name) = place.section() else { return false };
    let left = passage.unexplained();
    let cause = if file.stripped() && facts::is_names(name) {
        "stripped-after-link"
    } else if file.changed && facts::describes_others(name) {
        "address-shift"
    } else {
        return false;
    };
    if left > 0 {
        diagnosis.add_bytes(cause, place, left);
    }
    true
}

/// A number that is the length of a text on both sides: Rust and Go keep lengths beside their strings.
pub(super) fn length(diagnosis: &mut Diagnosis, place: &Place<'_>, passage: &mut Passage<'_>) -> bool {
    let range = passage.range;
    if !diagnosis.file.as_ref().is_some_and(|file| file.holds(place))
        || range.a.len != range.b.len
        || range.a.len > 2
    {
        return false;
    }
    // Lengths are words; what differs is their end in little endian.
    let number = |piece: &Piece| -> Option<usize> {
        let start = piece.marked().start;
        let word = piece.sample.get(start..start + 4)?;
        Some(word.iter().rev().fold(0, |value, byte| value << 8 | usize::from(*byte)))
    };
    let (Some(a), Some(b)) = (number(&range.a), number(&range.b)) else { return false };
    let is = |text: &Option<Vec<u8>>, len: usize| text.as_ref().is_some_and(|text| text.len() == len);
    let Some((cause, ..)) = diagnosis.known.iter().find(|(_, one, two)| is(one, a) && is(two, b)) else {
        return false;
    };
    let cause = *cause;
    diagnosis.add_bytes(cause, place, range.differing);
    true
}

fn is_stripped(diagnosis: &Diagnosis, place: &Place<'_>) -> bool {
    diagnosis.file.as_ref().is_some_and(|file| file.holds(place) && file.stripped())
}

/// The cause that made all of a file's code anew.
fn compiled(diagnosis: &Diagnosis, place: &Place<'_>) -> Option<&'static str> {
    diagnosis.file.as_ref().filter(|file| file.holds(place))?.compiled
}

/// What is left of code and data when all of it was compiled anew, and the stamp of coverage counters.
pub(super) fn recompiled(diagnosis: &mut Diagnosis, place: &Place<'_>, passage: &mut Passage<'_>) -> bool {
    let left = passage.unexplained();
    let is_stamp = |file: &File| file.holds(place) && file.coverage && passage.range.a.len <= 4;
    let in_data = place.section().is_some_and(|name| name.starts_with(b".data"));
    if in_data && diagnosis.file.as_ref().is_some_and(is_stamp) {
        let quotes = quotes(passage.range);
        let found = evidence(place, Some(passage.range), quotes.a, quotes.b);
        diagnosis.add("coverage-stamp", Confidence(80), found, left);
        return true;
    }
    let Some(cause) = compiled(diagnosis, place).filter(|_| place.section().is_some()) else { return false };
    diagnosis.add_bytes(cause, place, left);
    true
}

/// Bytes of a field that was told by its name, and signatures over everything else.
pub(super) fn told(diagnosis: &mut Diagnosis, place: &Place<'_>, passage: &mut Passage<'_>) -> bool {
    let range = passage.range;
    let Some(file) = diagnosis.file.as_ref().filter(|file| file.holds(place)) else { return false };
    let cause = match place.section() {
        Some(b"code signature" | b"certificate table") => Some("code-signature"),
        _ => match file.told(range.a.offset, range.a.len) {
            Some(cause) => cause,
            None => return false,
        },
    };
    match cause {
        Some("code-signature") => {
            let quotes = quotes(range);
            let found = evidence(place, Some(range), quotes.a, quotes.b);
            diagnosis.add("code-signature", Confidence::HIGH, found, range.differing);
        }
        Some(cause) if diagnosis.drafts.contains_key(cause) => {
            diagnosis.add_bytes(cause, place, range.differing)
        }
        _ => {}
    }
    true
}

/// Sections that are one value: the field beside them has told it.
pub(super) fn section_of_one_value(
    diagnosis: &mut Diagnosis,
    place: &Place<'_>,
    passage: &mut Passage<'_>,
) -> bool {
    let cause = match place.section() {
        Some(b".interp") => "interpreter-or-rpath",
        Some(b".comment") => "compiler-version",
        Some(b".note.gnu.build-id" | b".note.go.buildid") => "build-id-random",
        Some(b".gnu_debuglink") => "debug-link",
        _ => return false,
    };
    let known = diagnosis.drafts.contains_key(cause);
    if known {
        diagnosis.add_bytes(cause, place, passage.range.differing);
    }
    known
}

/// A range of the dynamic string table that is part of a search path that differs.
pub(super) fn search_path(diagnosis: &mut Diagnosis, place: &Place<'_>, passage: &mut Passage<'_>) -> bool {
    if place.section() != Some(b".dynstr") {
        return false;
    }
    let Some(draft) = diagnosis.drafts.get("interpreter-or-rpath") else { return false };
    let mut of_file = draft.evidence.iter().filter(|evidence| evidence.is_of(place));
    let known = of_file.any(|evidence| {
        let inside = |side: Side, quote: &Option<Quote>| {
            quote.as_ref().is_some_and(|quote| {
                passage
                    .lies_in(side, |run| !run.is_empty() && quote.text.windows(run.len()).any(|w| w == run))
            })
        };
        inside(Side::A, &evidence.a) && inside(Side::B, &evidence.b)
    });
    if known {
        diagnosis.add_bytes("interpreter-or-rpath", place, passage.range.differing);
    }
    known
}
