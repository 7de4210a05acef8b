//! How the bytes of a section lie in the same section of the other file.

use std::collections::HashMap;

use super::symbols::{Part, Symbols, without_hash};
use crate::diff::{
    Pair,
    moved::{self, Hunk},
};

/// Parts of two sections that correspond, in the order of side a. What corresponds to nothing has length 0 on the
/// other side.
#[derive(Clone, Debug, Default)]
pub(super) struct Alignment {
    pieces: Vec<Matched>,
    sizes: Pair<u64>,
}

/// Two parts that correspond: offsets in their sections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Matched {
    pub at: Pair<u64>,
    pub len: Pair<u64>,
    /// Whether all bytes are known to be equal.
    pub equal: bool,
    /// Whether it lies between symbols: padding, or data nobody named.
    pub between: bool,
}

impl Matched {
    fn new(at: Pair<u64>, len: Pair<u64>) -> Self {
        Matched { at, len, equal: false, between: false }
    }
}

/// Where an offset of side a lies on side b.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// At this offset.
    At(u64),
    /// Somewhere in what corresponds to a part that changed its size.
    Somewhere,
}

impl Alignment {
    /// Byte for byte, as far as both reach.
    pub fn in_place(sizes: Pair<u64>, equal: bool) -> Self {
        let mut piece = Matched::new(Pair::new(0, 0), sizes);
        piece.equal = equal;
        Alignment { pieces: vec![piece], sizes }
    }

    /// By blocks of equal bytes.
    pub fn by_blocks(a: &[u8], b: &[u8]) -> Self {
        let sizes = Pair::new(a.len() as u64, b.len() as u64);
        let mut pieces = Vec::new();
        let mut at = Pair::new(0, 0);
        let end = Hunk { at: sizes, len: Pair::new(0, 0) };
        for hunk in moved::hunks(a, b).into_iter().chain([end]) {
            if hunk.at.a > at.a {
                let len = hunk.at.a - at.a;
                pieces.push(Matched { equal: true, ..Matched::new(at, Pair::new(len, len)) });
            }
            if hunk.len != Pair::new(0, 0) {
                pieces.push(Matched::new(hunk.at, hunk.len));
            }
            at = Pair::new(hunk.at.a + hunk.len.a, hunk.at.b + hunk.len.b);
        }
        Alignment { pieces, sizes }
    }

    /// By strings that end in NUL, in whatever order: linkers that merge equal strings sort them by what they hash to.
    /// Strings that the other side lacks are paired in order.
    pub fn by_strings(a: &[u8], b: &[u8]) -> Self {
        let sizes = Pair::new(a.len() as u64, b.len() as u64);
        let (in_a, in_b) = (strings(a), strings(b));
        let mut index: HashMap<&[u8], Vec<usize>> = HashMap::new();
        for (number, (start, end)) in in_b.iter().enumerate().rev() {
            index.entry(&b[*start..*end]).or_default().push(number);
        }
        let partners: Vec<Option<usize>> =
            in_a.iter().map(|(start, end)| index.get_mut(&a[*start..*end]).and_then(Vec::pop)).collect();
        let mut left: Vec<usize> = index.into_values().flatten().collect();
        left.sort_unstable();
        // Text with text, and what is no text with what is none.
        let (texts, others): (Vec<usize>, Vec<usize>) =
            left.into_iter().partition(|number| is_string(&b[in_b[*number].0..in_b[*number].1]));
        let (mut texts, mut others) = (texts.into_iter(), others.into_iter());
        let of = |(start, end): (usize, usize)| (start as u64, (end - start) as u64);
        let mut pieces = Vec::new();
        for (string, partner) in in_a.into_iter().zip(partners) {
            let equal = partner.is_some();
            let next = || if is_string(&a[string.0..string.1]) { texts.next() } else { others.next() };
            let other = partner.or_else(next).map_or((b.len() as u64, 0), |number| of(in_b[number]));
            let here = of(string);
            let mut piece =
                Matched { equal, ..Matched::new(Pair::new(here.0, other.0), Pair::new(here.1, other.1)) };
            // What is no text may only differ in the zeros that align it, or what follows it.
            if let Some((padding, first)) = padding(a, b, &piece) {
                let end = Pair::new(piece.at.a + piece.len.a, piece.at.b + piece.len.b);
                let at = if first { piece.at } else { Pair::new(end.a - padding.a, end.b - padding.b) };
                pieces.push(Matched { at, len: padding, ..piece });
                if first {
                    piece.at = Pair::new(piece.at.a + padding.a, piece.at.b + padding.b);
                }
                piece.len = Pair::new(piece.len.a - padding.a, piece.len.b - padding.b);
            }
            pieces.push(piece);
        }
        for number in texts.chain(others) {
            let (start, len) = of(in_b[number]);
            pieces.push(Matched::new(Pair::new(sizes.a, start), Pair::new(0, len)));
        }
        pieces.sort_by_key(|piece| (piece.at.a, piece.len.a));
        Alignment { pieces, sizes }
    }

    /// By symbols of the same name; `None` when the sections have none.
    pub fn by_symbols(symbols: Pair<&Symbols>, sections: Pair<usize>, sizes: Pair<u64>) -> Option<Self> {
        let parts = Pair::new(symbols.a.apart(sections.a), symbols.b.apart(sections.b));
        if parts.a.is_empty() || parts.b.is_empty() {
            return None;
        }
        let (partners, left) = match_by_name(symbols, parts.as_ref());
        let mut pieces = vec![];
        let first = Pair::new(parts.a[0].start.min(sizes.a), parts.b[0].start.min(sizes.b));
        if first.a > 0 || first.b > 0 {
            pieces.push(Matched { between: true, ..Matched::new(Pair::new(0, 0), first) });
        }
        // A part and the gap behind it, up to the next part.
        let spans = |parts: &[&Part], index: usize, size: u64| {
            let start = parts[index].start.min(size);
            let next = parts.get(index + 1).map_or(size, |part| part.start.min(size));
            let end = start.saturating_add(parts[index].len).min(next);
            (start, end, next)
        };
        for (index, partner) in partners.iter().enumerate() {
            let (start, end, next) = spans(&parts.a, index, sizes.a);
            let other = match partner {
                Some(partner) => spans(&parts.b, *partner, sizes.b),
                None => (0, 0, 0),
            };
            let at = Pair::new(start, other.0);
            pieces.push(Matched::new(at, Pair::new(end - start, other.1 - other.0)));
            if next > end || other.2 > other.1 {
                let at = Pair::new(end, other.1);
                let len = Pair::new(next - end, other.2 - other.1);
                pieces.push(Matched { between: true, ..Matched::new(at, len) });
            }
        }
        for index in left {
            let (start, _, next) = spans(&parts.b, index, sizes.b);
            pieces.push(Matched::new(Pair::new(sizes.a, start), Pair::new(0, next - start)));
        }
        Some(Alignment { pieces, sizes })
    }

    /// The parts, in the order of side a.
    pub fn pieces(&self) -> &[Matched] {
        &self.pieces
    }

    /// Where `offset` of side a lies on side b; `None` when nothing corresponds to it.
    pub fn to_b(&self, offset: u64) -> Option<Place> {
        if offset >= self.sizes.a {
            return (offset == self.sizes.a).then_some(Place::At(self.sizes.b));
        }
        let end = self.pieces.partition_point(|piece| piece.at.a <= offset);
        let piece =
            self.pieces[..end].iter().rev().take(3).find(|piece| offset - piece.at.a < piece.len.a)?;
        if piece.len.a == piece.len.b || offset == piece.at.a {
            (piece.len.b > 0).then(|| Place::At(piece.at.b + (offset - piece.at.a)))
        } else {
            (piece.len.b > 0).then_some(Place::Somewhere)
        }
    }
}

/// The zeros that one of two parts has more of, when they are all that makes it longer: how many on which side, and
/// whether they come first.
fn padding(a: &[u8], b: &[u8], piece: &Matched) -> Option<(Pair<u64>, bool)> {
    let (len, at) = (piece.len.map(|len| len as usize), piece.at.map(|at| at as usize));
    let more = len.a.abs_diff(len.b);
    if more == 0 || more >= 64 || len.a.min(len.b) == 0 {
        return None;
    }
    let longer = if len.a > len.b { a.get(at.a..at.a + len.a)? } else { b.get(at.b..at.b + len.b)? };
    let is_zero = |bytes: &[u8]| bytes.iter().all(|byte| *byte == 0);
    let padding = if len.a > len.b { Pair::new(more as u64, 0) } else { Pair::new(0, more as u64) };
    if is_zero(&longer[longer.len() - more..]) {
        Some((padding, false))
    } else {
        is_zero(&longer[..more]).then_some((padding, true))
    }
}

/// The strings of a section, each with its NUL, and what lies between them.
fn strings(bytes: &[u8]) -> Vec<(usize, usize)> {
    let mut list: Vec<(usize, usize)> = Vec::new();
    let mut last_is_string = true;
    let mut at = 0;
    for chunk in bytes.split_inclusive(|byte| *byte == 0) {
        let string = is_string(chunk);
        match list.last_mut().filter(|_| !string && !last_is_string) {
            Some(last) => last.1 += chunk.len(),
            None => list.push((at, at + chunk.len())),
        }
        last_is_string = string;
        at += chunk.len();
    }
    list
}

/// Whether bytes up to a NUL are text: short ones could be anything.
fn is_string(chunk: &[u8]) -> bool {
    let printable = chunk.iter().filter(|byte| matches!(byte, b'\t' | b'\n' | 0x20..=0x7e)).count();
    chunk.len() >= 8 && printable * 4 >= chunk.len() * 3 && chunk.len() < 64 << 10
}

/// For each part of a its partner of b, and the parts of b that are left: by name and size, by name, and by what
/// remains of the name without its hash. Several of one name are matched in order.
fn match_by_name(symbols: Pair<&Symbols>, parts: Pair<&Vec<&Part>>) -> (Vec<Option<usize>>, Vec<usize>) {
    let mut partners = vec![None; parts.a.len()];
    let mut free: Vec<bool> = vec![true; parts.b.len()];
    type Key = (Vec<u8>, Option<u64>);
    let keys: [fn(&Symbols, &Part) -> Key; 4] = [
        |symbols, part| (symbols.name(part).to_vec(), Some(part.len)),
        |symbols, part| (symbols.name(part).to_vec(), None),
        |symbols, part| (without_hash(symbols.name(part)), Some(part.len)),
        |symbols, part| (without_hash(symbols.name(part)), None),
    ];
    for key in keys {
        let mut index: HashMap<Key, Vec<usize>> = HashMap::new();
        for (number, part) in parts.b.iter().enumerate().rev().filter(|(number, _)| free[*number]) {
            index.entry(key(symbols.b, part)).or_default().push(number);
        }
        if index.is_empty() {
            break;
        }
        for (number, part) in parts.a.iter().enumerate() {
            if partners[number].is_none()
                && let Some(partner) = index.get_mut(&key(symbols.a, part)).and_then(Vec::pop)
            {
                partners[number] = Some(partner);
                free[partner] = false;
            }
        }
        if partners.iter().all(Option::is_some) {
            break;
        }
    }
    let left = free.iter().enumerate().filter(|(_, free)| **free).map(|(number, _)| number).collect();
    (partners, left)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbols(list: &[(&str, u64, u64)]) -> Symbols {
        let mut symbols = Symbols::new("symbol table", Vec::new());
        for (name, start, len) in list {
            symbols.push_named(1, *start, *len, name.as_bytes());
        }
        symbols.sorted()
    }

    #[test]
    fn functions_that_changed_places_keep_their_partners() {
        let a = symbols(&[("one", 0, 10), ("two", 16, 20)]);
        let b = symbols(&[("two", 0, 20), ("one", 32, 10)]);
        let aligned = Alignment::by_symbols(Pair::new(&a, &b), Pair::new(1, 1), Pair::new(36, 42)).unwrap();
        assert_eq!(aligned.to_b(3), Some(Place::At(35)));
        assert_eq!(aligned.to_b(20), Some(Place::At(4)));
        assert_eq!(aligned.to_b(36), Some(Place::At(42)));
        assert_eq!(aligned.to_b(37), None);
    }

    #[test]
    fn a_function_that_grew_is_found_at_its_entry_only() {
        let a = symbols(&[("one", 0, 10), ("two", 10, 20)]);
        let b = symbols(&[("one", 0, 14), ("two", 14, 20)]);
        let aligned = Alignment::by_symbols(Pair::new(&a, &b), Pair::new(1, 1), Pair::new(30, 34)).unwrap();
        assert_eq!(aligned.to_b(0), Some(Place::At(0)));
        assert_eq!(aligned.to_b(5), Some(Place::Somewhere));
        assert_eq!(aligned.to_b(12), Some(Place::At(16)));
    }

    #[test]
    fn bytes_behind_an_insertion_moved() {
        let tail: Vec<u8> = (0..200u8).collect();
        let a = [&[7; 40][..], &tail].concat();
        let b = [&[7; 40][..], b"more", &tail].concat();
        let aligned = Alignment::by_blocks(&a, &b);
        assert_eq!(aligned.to_b(60), Some(Place::At(64)));
    }
}
