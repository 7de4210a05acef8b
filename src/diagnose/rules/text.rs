//! Rules about text as a whole: the same lines in another shape.

use super::{Diagnosis, Passage, evidence, quotes, said};
use crate::{
    diagnose::Confidence,
    diff::{Finding, Place, Sorted},
};

/// The same lines with other endings.
pub(super) fn line_endings(diagnosis: &mut Diagnosis, place: &Place<'_>, finding: &Finding) -> bool {
    let Finding::LineEndings(counts) = finding else { return false };
    let word = |count: u64| format!("{count} lines end in CR LF");
    let bytes = counts.a.max(counts.b);
    diagnosis.add("line-endings", Confidence(95), said(place, word(counts.a), word(counts.b)), bytes);
    true
}

/// The same lines in another order.
pub(super) fn order(diagnosis: &mut Diagnosis, place: &Place<'_>, finding: &Finding) -> bool {
    let Finding::Reordered { lines, sorted, first } = finding else { return false };
    if matches!((sorted.a, sorted.b), (Sorted::Bytes, Sorted::Letters) | (Sorted::Letters, Sorted::Bytes)) {
        let found = said(place, sorted.a.words().to_owned(), sorted.b.words().to_owned());
        diagnosis.add("locale-order", Confidence::HIGH, found, *lines);
        return true;
    }
    let quotes = quotes(first);
    let mut found = evidence(place, Some(first), quotes.a, quotes.b);
    found.part = Some(format!("{lines} lines"));
    diagnosis.add("unordered-output", Confidence(85), found, *lines);
    true
}

/// Documents that say the same.
pub(super) fn same_value(diagnosis: &mut Diagnosis, place: &Place<'_>, finding: &Finding) -> bool {
    let Finding::SameValue { format } = finding else { return false };
    let word = || format!("the same {format} value");
    diagnosis.add("unordered-output", Confidence::HIGH, said(place, word(), word()), 0);
    true
}

/// Lines of documents that say the same: the finding beside them has told it.
pub(super) fn of_same_value(diagnosis: &mut Diagnosis, place: &Place<'_>, passage: &mut Passage<'_>) -> bool {
    let known = place.difference.found.iter().any(|finding| matches!(finding, Finding::SameValue { .. }));
    if known {
        diagnosis.add_bytes("unordered-output", place, passage.range.differing);
    }
    known
}
