//! Rows of a hexdump in which the differing bytes are marked, by brackets and by colour.

use anstyle::Style;

use crate::diff::{Piece, Range};

/// Bytes of one row.
pub(in crate::report) const ROW: u64 = 16;

/// Which bytes of a sample differ: position by position when both sides have the same length, else the whole range.
pub(in crate::report) fn marks(range: &Range, piece: &Piece, other: &Piece) -> Vec<bool> {
    let (marked, others) = (piece.marked(), other.marked());
    let in_place = range.a.len == range.b.len;
    (0..piece.sample.len())
        .map(|at| {
            let position = at.wrapping_sub(marked.start);
            let same = in_place && other.sample[others.clone()].get(position) == piece.sample.get(at);
            marked.contains(&at) && !same
        })
        .collect()
}

/// The rows of one side: those the range touches, at most `rows` of them. Returns how many more there are.
pub(super) fn rows(piece: &Piece, marks: &[bool], rows: usize, style: Style) -> (Vec<String>, u64) {
    if piece.len == 0 {
        return (vec![format!("{:#010x}  nothing", piece.offset)], 0);
    }
    let last = piece.offset + piece.len - 1;
    let (first_row, last_row) = (piece.offset / ROW, last / ROW);
    let all = last_row - first_row + 1;
    let held = piece.sample_offset + piece.sample.len() as u64;
    let mut lines = Vec::new();
    for row in (first_row..=last_row).take(rows).take_while(|row| row * ROW < held) {
        lines.push(line(piece, marks, row * ROW, style));
    }
    let more = all - lines.len() as u64;
    (lines, more)
}

/// One byte of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::report) struct Cell {
    /// The byte; none where the sample has none.
    pub byte: Option<u8>,
    /// Whether it differs.
    pub marked: bool,
}

/// The bytes of the row that begins at offset `start`.
pub(in crate::report) fn row(piece: &Piece, marks: &[bool], start: u64) -> [Cell; ROW as usize] {
    std::array::from_fn(|column| {
        let at = (start + column as u64).checked_sub(piece.sample_offset);
        let index = at.and_then(|index| usize::try_from(index).ok());
        Cell {
            byte: index.and_then(|index| piece.sample.get(index)).copied(),
            marked: index.and_then(|index| marks.get(index)).copied().unwrap_or(false),
        }
    })
}

/// One row: offset, bytes, and what they say. Marked bytes stand in brackets.
fn line(piece: &Piece, marks: &[bool], start: u64, style: Style) -> String {
    let (mut bytes, mut text) = (String::new(), String::new());
    let mut open = false;
    for Cell { byte, marked } in row(piece, marks, start) {
        let (before, colour) = match (open, marked) {
            (false, true) => (format!("{style}["), format!("{style}")),
            (true, false) => (format!("]{style:#}"), format!("{style:#}")),
            _ => (" ".to_owned(), String::new()),
        };
        open = marked;
        let (hex, shown) = match byte {
            Some(byte @ 0x20..=0x7e) => (format!("{byte:02x}"), char::from(byte)),
            Some(byte) => (format!("{byte:02x}"), '.'),
            None => ("  ".to_owned(), ' '),
        };
        bytes.push_str(&format!("{before}{hex}"));
        text.push_str(&format!("{colour}{shown}"));
    }
    let (end, colour) =
        if open { (format!("]{style:#}"), format!("{style:#}")) } else { (" ".to_owned(), String::new()) };
    format!("{start:#010x} {bytes}{end} {}{colour}", text.trim_end_matches(' '))
}
