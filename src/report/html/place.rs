//! One place with differences.

use super::{add, bytes, hexdump, map, styled};
use crate::{
    diff::{Finding, Place, Ranges},
    report::diff::finding_for_terminal,
};

/// Ranges of one place, at most.
const RANGES: usize = 16;
/// Fields and other findings of one place, at most.
const FINDINGS: usize = 60;

/// Writes the place: what it is, a picture where it is a file, what was found there.
pub(super) fn write(out: &mut String, place: &Place<'_>) {
    let difference = place.difference;
    if difference.found.is_empty() && difference.notes.is_empty() && difference.layout.is_none() {
        return;
    }
    let steps: Vec<String> = place.steps.iter().map(|step| bytes(step.to_string().as_bytes())).collect();
    let kind = difference
        .kind
        .as_ref()
        .map(|kind| format!(" <span class=\"dim\">{}</span>", super::text(&kind.words)));
    add(
        out,
        format_args!(
            "<details class=\"place\" open><summary>{}{}</summary>\n",
            steps.join(" » "),
            kind.unwrap_or_default()
        ),
    );
    if let Some(layout) = &difference.layout {
        map::write(out, layout, difference);
    }
    for note in &difference.notes {
        add(
            out,
            format_args!(
                "<p class=\"warn\">note: {} [{}]</p>\n",
                super::text(&note.to_string()),
                note.code()
            ),
        );
    }
    for finding in difference.found.iter().take(FINDINGS) {
        match finding {
            Finding::Bytes(ranges) => self::ranges(out, ranges),
            other => add(out, format_args!("<pre>{}</pre>\n", styled::html(&finding_for_terminal(other)))),
        }
    }
    if let Some(more @ 1..) = difference.found.len().checked_sub(FINDINGS) {
        add(out, format_args!("<p class=\"more\">{more} more</p>\n"));
    }
    out.push_str("</details>\n");
}

fn ranges(out: &mut String, ranges: &Ranges) {
    ranges.list.iter().take(RANGES).for_each(|range| hexdump::write(out, range));
    if let Some(more @ 1..) = ranges.total.checked_sub(ranges.list.len().min(RANGES) as u64) {
        add(
            out,
            format_args!(
                "<p class=\"more\">{more} more ranges; {} bytes differ in all</p>\n",
                ranges.differing
            ),
        );
    }
}
