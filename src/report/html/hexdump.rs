//! Both sides of a range beside each other, the differing bytes marked.

use super::{add, bytes, escaped};
use crate::{
    diff::{Piece, Range, Side},
    report::{
        count::count,
        diff::hexdump::{Cell, ROW, marks, row},
    },
};

/// Rows of one side, at most.
const ROWS: u64 = 12;

/// Writes the hexdumps of a range.
pub(super) fn write(out: &mut String, range: &Range) {
    let symbol =
        range.symbol.as_ref().map(|symbol| format!(" in {} + {:#x}", bytes(&symbol.name), symbol.offset));
    add(
        out,
        format_args!(
            "<p class=\"dim\">{}{}</p><div class=\"sides\">",
            count(range.differing, "byte", "bytes"),
            symbol.unwrap_or_default()
        ),
    );
    side(out, Side::A, range, &range.a, &range.b);
    side(out, Side::B, range, &range.b, &range.a);
    out.push_str("</div>\n");
}

fn side(out: &mut String, side: Side, range: &Range, piece: &Piece, other: &Piece) {
    add(out, format_args!("<pre class=\"hex side-{side}\">"));
    if piece.len == 0 {
        add(out, format_args!("{:#010x}  nothing", piece.offset));
    } else {
        let marks = marks(range, piece, other);
        let (first, last) = (piece.offset / ROW, (piece.offset + piece.len - 1) / ROW);
        let held = piece.sample_offset + piece.sample.len() as u64;
        let shown = (first..=last).take(ROWS as usize).take_while(|row| row * ROW < held);
        let mut count = 0;
        for number in shown {
            line(out, number * ROW, &row(piece, &marks, number * ROW));
            count += 1;
        }
        if let Some(more @ 1..) = (last - first + 1).checked_sub(count) {
            add(out, format_args!("<span class=\"dim\">{more} more rows</span>"));
        }
    }
    out.push_str("</pre>");
}

fn line(out: &mut String, start: u64, cells: &[Cell]) {
    add(out, format_args!("<span class=\"dim\">{start:#010x}</span> "));
    runs(out, cells, |cell| match cell.byte {
        Some(byte) => format!("{byte:02x} "),
        None => "   ".to_owned(),
    });
    out.push(' ');
    runs(out, cells, |cell| match cell.byte {
        Some(byte @ 0x20..=0x7e) => escaped(&char::from(byte).to_string()),
        Some(_) => ".".to_owned(),
        None => " ".to_owned(),
    });
    out.push('\n');
}

/// Writes the cells, each run of marked ones in a mark.
fn runs(out: &mut String, cells: &[Cell], show: impl Fn(&Cell) -> String) {
    for run in cells.chunk_by(|a, b| a.marked == b.marked) {
        let text: String = run.iter().map(&show).collect();
        match run.first() {
            Some(cell) if cell.marked => add(out, format_args!("<mark>{text}</mark>")),
            _ => out.push_str(&text),
        }
    }
}
