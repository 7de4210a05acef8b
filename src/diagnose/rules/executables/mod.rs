//! Rules about executables and objects: fields, sections, symbols, and what only follows from them.

mod facts;
mod fields;
mod symbols;

pub(super) use facts::{File, enter};
pub(super) use fields::field;
pub(super) use symbols::{of_go, symbols};

use super::{Diagnosis, Passage, evidence, quote, said, tree::one_sided};
use crate::{
    diagnose::{Confidence, Quote},
    diff::{Finding, Place, Ranges, Side, Step},
};

/// A section that one side lacks.
pub(super) fn section_of_one_side(diagnosis: &mut Diagnosis, place: &Place<'_>, finding: &Finding) -> bool {
    let Finding::OnlyIn { side, what, size } = finding else { return false };
    let Some(step) = place.part() else { return false };
    let (a, b) = one_sided(*side, format!("{what} of {size} bytes"), format!("no such {what}"));
    let found = said(place, a, b);
    match step {
        Step::Section(name) if facts::is_debug(name) => {
            diagnosis.add("debug-info-kept", Confidence(92), found, *size);
        }
        Step::Section(_) => diagnosis.rest.add(Confidence::LOW, found, *size),
        // The counts of tables are fields themselves.
        Step::Segment(..) | Step::Table(_) => diagnosis.layout.add(Confidence::LOW, found, 0),
        _ => return false,
    }
    true
}

/// Words that refer to what moved: never more than a consequence.
pub(super) fn moved(diagnosis: &mut Diagnosis, place: &Place<'_>, finding: &Finding) -> bool {
    let Finding::Moved { words, bytes } = finding else { return false };
    let text = format!("{words} words that refer to what moved").into_bytes();
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
    diagnosis.add_bytes("link-order", ranges.differing);
    true
}

/// Whether what differs is exactly the same bytes, as often as on the other side.
fn is_permutation(ranges: &Ranges) -> bool {
    let mut counts = [0i64; 256];
    for range in &ranges.list {
        if !range.a.is_whole() || !range.b.is_whole() {
            return false;
        }
        range.a.sample[range.a.marked()].iter().for_each(|byte| counts[usize::from(*byte)] += 1);
        range.b.sample[range.b.marked()].iter().for_each(|byte| counts[usize::from(*byte)] -= 1);
    }
    ranges.total == ranges.list.len() as u64 && counts.iter().all(|count| *count == 0)
}

/// Bytes of a section that only describes others: they follow, as soon as anything else differs.
pub(super) fn describes(diagnosis: &mut Diagnosis, place: &Place<'_>, passage: &mut Passage<'_>) -> bool {
    let Some(file) = diagnosis.file.as_ref().filter(|file| file.holds(place)) else { return false };
    let Some(name) = place.section() else { return false };
    let left = passage.unexplained();
    let cause = if file.relaid && facts::is_names(name) {
        "stripped-after-link"
    } else if file.changed && facts::describes_others(name) {
        "address-shift"
    } else {
        return false;
    };
    if left > 0 {
        diagnosis.add_bytes(cause, left);
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
        diagnosis.add_bytes(cause, passage.range.differing);
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
        diagnosis.add_bytes("interpreter-or-rpath", passage.range.differing);
    }
    known
}
