//! Named parts of sections: functions and objects, from whatever table a format has.

use std::ops::Range;

use crate::diff::{Ranges, Side, Symbol};

/// Symbols one file may have; more are not used. Names are a help, not a fact the comparison rests on.
pub(in crate::diff) const MAX_SYMBOLS: usize = 4 << 20;

/// Bytes of names used in all: names that share their bytes could be many times longer than the file.
const MAX_NAMES: usize = 256 << 20;

/// A named part of a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::diff) struct Part {
    /// Index of the section.
    pub section: usize,
    /// Offset of its first byte in the section.
    pub start: u64,
    /// Its length in bytes; the table says so, or it reaches to the next one.
    pub len: u64,
    /// Its name, as a range of the names.
    name: Range<u32>,
}

/// The symbols of one file.
#[derive(Clone, Debug, Default)]
pub(in crate::diff) struct Symbols {
    /// The table they are from, in the format's own words.
    pub table: &'static str,
    list: Vec<Part>,
    names: Vec<u8>,
    /// Bytes of names used so far.
    named: usize,
}

impl Symbols {
    /// Symbols whose names lie in `names`.
    pub fn new(table: &'static str, names: Vec<u8>) -> Self {
        Symbols { table, list: Vec::new(), names, named: 0 }
    }

    /// Adds one whose name lies at `name` of the names; what does not fit them is left out.
    pub fn push(&mut self, section: usize, start: u64, len: u64, name: Range<usize>) {
        let range = u32::try_from(name.start).ok().zip(u32::try_from(name.end).ok());
        if let Some((from, to)) = range.filter(|_| name.end <= self.names.len() && !name.is_empty())
            && self.list.len() < MAX_SYMBOLS
            && self.named < MAX_NAMES
        {
            self.named += name.len();
            self.list.push(Part { section, start, len, name: from..to });
        }
    }

    /// Adds one with a name of its own.
    pub fn push_named(&mut self, section: usize, start: u64, len: u64, name: &[u8]) {
        let from = self.names.len();
        self.names.extend_from_slice(name);
        self.push(section, start, len, from..from + name.len());
    }

    /// Sorts by place, after the last one was added.
    #[must_use]
    pub fn sorted(mut self) -> Self {
        self.list.sort_unstable_by_key(|part| (part.section, part.start, part.len, part.name.start));
        self
    }

    /// Gives those without a length the room up to the next one, or to the end of their section.
    #[must_use]
    pub fn reaching(self, section_size: impl Fn(usize) -> u64) -> Self {
        let mut symbols = self.sorted();
        for index in 0..symbols.list.len() {
            let here = &symbols.list[index];
            let rest = symbols.list[index + 1..].iter();
            let next = rest
                .take_while(|part| part.section == here.section)
                .take(64)
                .find(|part| part.start > here.start)
                .map_or_else(|| section_size(here.section), |part| part.start);
            if here.len == 0 {
                symbols.list[index].len = next.saturating_sub(here.start);
            }
        }
        symbols
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// All, by section and start.
    pub fn list(&self) -> &[Part] {
        &self.list
    }

    /// Those of one section that do not lie in each other: of several at one place the longest.
    pub fn apart(&self, section: usize) -> Vec<&Part> {
        let from = self.list.partition_point(|part| part.section < section);
        let mut apart: Vec<&Part> = Vec::new();
        for part in self.list[from..].iter().take_while(|part| part.section == section) {
            match apart.last_mut() {
                Some(last) if last.start == part.start => *last = part,
                Some(last) if part.start < last.start.saturating_add(last.len) => {}
                _ => apart.push(part),
            }
        }
        apart
    }

    /// The name of one.
    pub fn name(&self, part: &Part) -> &[u8] {
        self.names.get(part.name.start as usize..part.name.end as usize).unwrap_or_default()
    }

    /// The symbol that byte `offset` of a section lies in.
    pub fn at(&self, section: usize, offset: u64) -> Option<Symbol> {
        let end = self.list.partition_point(|part| (part.section, part.start) <= (section, offset));
        // Symbols may lie in each other; the one that begins last is the closest. A few steps back find it.
        let candidates = self.list[..end].iter().rev().take(8);
        let part = candidates
            .filter(|part| part.section == section)
            .find(|part| offset - part.start < part.len.max(1))?;
        Some(Symbol { name: self.name(part).to_vec(), offset: offset - part.start })
    }

    /// Names the symbols of ranges in a section that begins at `base` of the file, as seen from one side.
    pub fn name_ranges(&self, section: usize, base: u64, side: Side, ranges: &mut Ranges) {
        for range in ranges.list.iter_mut().filter(|range| range.symbol.is_none()) {
            let offset = match side {
                Side::A => range.a.offset,
                Side::B => range.b.offset,
            };
            range.symbol = offset.checked_sub(base).and_then(|offset| self.at(section, offset));
        }
    }
}

/// A name without what compilers hash into it, so that the same thing has the same name in two builds.
pub(in crate::diff) fn without_hash(name: &[u8]) -> Vec<u8> {
    let mut out = name.to_vec();
    // Rust, legacy mangling: `17h` and sixteen hexadecimal digits at the end, before `E`.
    if let Some(at) = out.windows(3).rposition(|window| window == b"17h") {
        let hash = out.get(at + 3..at + 19).is_some_and(|hash| hash.iter().all(u8::is_ascii_hexdigit));
        if hash && out.get(at + 19) == Some(&b'E') {
            out[at + 3..at + 19].fill(b'#');
        }
    }
    // LLVM's promoted locals and GCC's link-time partitions: a number at the end.
    for mark in [&b".llvm."[..], b".lto_priv.", b".cgu."] {
        if let Some(at) = out.windows(mark.len()).position(|window| window == mark) {
            out.truncate(at + mark.len());
        }
    }
    // Rust, v0 mangling: the disambiguators of crates, `Cs` and base 62 up to `_`. The linker's and rustc's own
    // names of units: `name.0123456789abcdef-cgu.0`.
    mask(&mut out, b"Cs", b'_', 8..16);
    mask(&mut out, b"_GLOBAL__sub_I_", b'_', 8..40);
    mask(&mut out, b"_GLOBAL__N__", b'_', 8..40);
    if let Some(at) = out.windows(5).position(|window| window == b"-cgu.")
        && let Some(dot) = out[..at].iter().rposition(|byte| *byte == b'.')
    {
        out[dot + 1..at].fill(b'#');
    }
    out
}

/// Drops the letters and digits between `before` and `after`, where they are as many as a hash has.
fn mask(name: &mut Vec<u8>, before: &[u8], after: u8, lengths: Range<usize>) {
    let mut at = 0;
    while let Some(found) = name[at..].windows(before.len()).position(|window| window == before) {
        let start = at + found + before.len();
        let len = name[start..].iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        if lengths.contains(&len) && name.get(start + len) == Some(&after) {
            name.drain(start..start + len);
        }
        at = start;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_their_hash_and_nothing_else() {
        let bare = |name: &str| String::from_utf8(without_hash(name.as_bytes())).unwrap();
        assert_eq!(
            bare("_ZN4core3fmt9Formatter3pad17h0123456789abcdefE"),
            bare("_ZN4core3fmt9Formatter3pad17hfedcba9876543210E")
        );
        assert_ne!(
            bare("_ZN4core3fmt9Formatter3pad17h0123456789abcdefE"),
            bare("_ZN4core3fmt9Formatter4side17h0123456789abcdefE")
        );
        assert_eq!(bare("anon.12.llvm.123"), bare("anon.12.llvm.456"));
        assert_eq!(bare("_RNvCs1234567890a_4demo4main"), bare("_RNvCsabcdefghijk_4demo4main"));
        assert_eq!(bare("demo.0123456789abcdef-cgu.0"), bare("demo.9876543210fedcba-cgu.0"));
        assert_eq!(bare("main"), "main");
        assert_eq!(bare("_ZN3fooC2Ev"), "_ZN3fooC2Ev");
    }

    #[test]
    fn the_closest_symbol_is_named() {
        let mut symbols = Symbols::new("symbol table", b"outerinner".to_vec());
        symbols.push(1, 0, 100, 0..5);
        symbols.push(1, 10, 5, 5..10);
        let symbols = symbols.sorted();
        assert_eq!(symbols.at(1, 12).unwrap().name, b"inner");
        assert_eq!(symbols.at(1, 20).unwrap(), Symbol { name: b"outer".to_vec(), offset: 20 });
        assert_eq!(symbols.at(1, 100), None);
        assert_eq!(symbols.at(2, 12), None);
        assert_eq!(symbols.apart(1).len(), 1);
    }
}
