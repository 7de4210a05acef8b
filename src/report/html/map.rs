//! Where in a file the differences lie, as a picture: a bar for each side with its sections and the ranges that differ.

use super::{add, bytes};
use crate::diff::{Difference, Finding, Layout, Pair, Piece, Side};

/// Width of the bars, in the picture's own units.
const WIDTH: f64 = 1000.0;
/// Sections with a name in the picture: wide enough for it.
const NAMED: f64 = 40.0;

/// Writes the picture of a file that differs.
pub(super) fn write(out: &mut String, layout: &Pair<Layout>, difference: &Difference) {
    let longest = layout.a.size.max(layout.b.size).max(1) as f64;
    let mut pieces = Vec::new();
    collect(difference, &mut pieces);
    add(
        out,
        format_args!(
            "<svg class=\"map\" viewBox=\"0 0 {WIDTH} 66\" role=\"img\" aria-label=\"where the files differ\">"
        ),
    );
    for (side, top) in [(Side::A, 2.0), (Side::B, 34.0)] {
        let layout = layout.of(side);
        let x = |offset: u64| offset.min(layout.size) as f64 / longest * WIDTH;
        let part = |out: &mut String, start: u64, len: u64, name: &str| {
            let width = (x(start.saturating_add(len)) - x(start)).max(0.5);
            let left = x(start);
            add(
                out,
                format_args!(
                    "<rect class=\"part\" x=\"{left:.2}\" y=\"{top}\" width=\"{width:.2}\" height=\"28\"><title>{name} {start:#x}, {len} bytes</title></rect>"
                ),
            );
            if width >= NAMED {
                let letters = (width / 7.0) as usize;
                let shown: String = name.chars().take(letters).collect();
                // A name cut inside of an escape would be no HTML.
                let shown = if name.contains('&') { "" } else { shown.as_str() };
                add(out, format_args!("<text x=\"{:.2}\" y=\"{}\">{shown}</text>", left + 4.0, top + 18.0));
            }
        };
        part(out, 0, layout.size, "file");
        for section in &layout.sections {
            part(out, section.offset, section.size, &bytes(&section.name));
        }
        for pair in &pieces {
            let piece: &Piece = pair.of(side);
            let width = (x(piece.offset.saturating_add(piece.len)) - x(piece.offset)).max(1.2);
            add(
                out,
                format_args!(
                    "<rect class=\"hit-{side}\" x=\"{:.2}\" y=\"{}\" width=\"{width:.2}\" height=\"7\"/>",
                    x(piece.offset),
                    top + 21.0
                ),
            );
        }
    }
    out.push_str("</svg>\n");
}

/// The ranges of the file itself; members of archives have offsets of their own.
fn collect<'a>(difference: &'a Difference, pieces: &mut Vec<Pair<&'a Piece>>) {
    let mut todo = vec![difference];
    while let Some(one) = todo.pop() {
        for finding in &one.found {
            if let Finding::Bytes(ranges) | Finding::Lines(ranges) = finding {
                pieces.extend(ranges.list.iter().map(|range| Pair::new(&range.a, &range.b)));
            }
        }
        todo.extend(one.inside.iter().filter(|part| part.layout.is_none()));
    }
}
