//! Rules about text as a whole: the same lines in another shape.

use super::{Diagnosis, evidence, quotes, said};
use crate::{
    diagnose::Confidence,
    diff::{Finding, Place},
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
    let Finding::Reordered { lines, first } = finding else { return false };
    let quotes = quotes(first);
    let mut found = evidence(place, Some(first), quotes.a, quotes.b);
    found.part = Some(format!("{lines} lines"));
    diagnosis.add("unordered-output", Confidence(85), found, *lines);
    true
}
