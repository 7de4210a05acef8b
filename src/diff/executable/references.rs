//! Tells whether bytes that differ are the address of something that moved, and nothing else.
//!
//! A linker that places one thing elsewhere changes every word that refers to it. Such a word is recognised by
//! where it points: what it means on side a must be exactly what it means on side b, given how the sections of
//! both files correspond. No instruction set is needed for that; a word that agrees by accident is as likely as the
//! size of the program is to all addresses there are.

use super::align::{Alignment, Place};
use crate::diff::Pair;

/// Bytes that two places must have in common to be the same thing, where no alignment says so.
const SAME: usize = 8;

/// Two sections of the same name.
pub(super) struct Counterpart<'a> {
    /// Where they are loaded; `None` for what is not loaded, such as debug information.
    pub address: Option<Pair<u64>>,
    /// Their sizes in memory.
    pub size: Pair<u64>,
    /// How their contents correspond.
    pub alignment: Alignment,
    /// Whether offsets in it are written in other sections that are not loaded: tables of strings and the like.
    pub is_debug: bool,
    /// Their contents, where they differ and are held.
    pub contents: Option<Pair<&'a [u8]>>,
}

/// Everything words can refer to.
pub(super) struct References<'a> {
    counterparts: Vec<Counterpart<'a>>,
    /// Addresses of side a with their counterparts, by address.
    by_address: Vec<(u64, usize)>,
    /// Addresses that offsets are counted from: the image's base, the beginning of the code.
    bases: Vec<Pair<u64>>,
    big_endian: bool,
    pointer: u64,
}

/// How far the next instruction may lie behind the beginning of an x86 displacement: the displacement itself and
/// an immediate operand; 0 for tables of distances.
const BEHIND: [u64; 5] = [4, 0, 5, 8, 6];

impl<'a> References<'a> {
    pub fn new(
        counterparts: Vec<Counterpart<'a>>,
        bases: Vec<Pair<u64>>,
        big_endian: bool,
        pointer: u64,
    ) -> Self {
        let mut by_address: Vec<_> = counterparts
            .iter()
            .enumerate()
            .filter(|(_, counterpart)| counterpart.size.a > 0)
            .filter_map(|(index, counterpart)| Some((counterpart.address?.a, index)))
            .collect();
        by_address.sort_unstable();
        References { counterparts, by_address, bases, big_endian, pointer }
    }

    /// How two sections correspond.
    pub fn alignment(&self, counterpart: usize) -> &Alignment {
        &self.counterparts[counterpart].alignment
    }

    /// If the differing byte at `at` of two sections is part of a word that means the same on both sides: the offset
    /// behind that word, counted from `at`.
    pub fn follows(&self, counterpart: usize, bytes: Pair<&[u8]>, at: Pair<usize>) -> Option<usize> {
        // The widest word first: half of a pointer is no word.
        for width in [8, 4] {
            if width == 8 && self.pointer < 8 {
                continue;
            }
            for back in 0..width {
                let start = Pair::new(at.a.checked_sub(back), at.b.checked_sub(back));
                let Pair { a: Some(start_a), b: Some(start_b) } = start else { break };
                if width == 8 && start_a % 4 != 0 {
                    continue;
                }
                let word = |bytes: &[u8], start: usize| self.word(bytes.get(start..start + width)?);
                let Some(words) = word(bytes.a, start_a).zip(word(bytes.b, start_b)) else { continue };
                let words = Pair::new(words.0, words.1);
                let start = Pair::new(start_a as u64, start_b as u64);
                if self.means_the_same(counterpart, width, start, words) {
                    return Some(width - back);
                }
            }
        }
        None
    }

    fn word(&self, bytes: &[u8]) -> Option<u64> {
        if let Ok(bytes) = <[u8; 8]>::try_from(bytes) {
            return Some(if self.big_endian { u64::from_be_bytes(bytes) } else { u64::from_le_bytes(bytes) });
        }
        let bytes = <[u8; 4]>::try_from(bytes).ok()?;
        Some(u64::from(if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }))
    }

    fn means_the_same(&self, counterpart: usize, width: usize, start: Pair<u64>, words: Pair<u64>) -> bool {
        if self.is_address(words, width as u64 != self.pointer) {
            return true;
        }
        let here = &self.counterparts[counterpart];
        let Some(address) = here.address else {
            // Not loaded: offsets in other sections that are not loaded.
            let others = self.counterparts.iter().filter(|other| other.is_debug);
            return others.into_iter().any(|other| other.means_the_same(Pair::new(0, 0), words, true));
        };
        if width != 4 {
            return false;
        }
        let distance = words.map(|word| i64::from(word as u32 as i32));
        let from = |base: Pair<u64>| {
            let target =
                Pair::new(base.a.wrapping_add_signed(distance.a), base.b.wrapping_add_signed(distance.b));
            self.is_address(target, true)
        };
        let place = Pair::new(address.a.wrapping_add(start.a), address.b.wrapping_add(start.b));
        BEHIND.iter().any(|behind| from(place.map(|place| place.wrapping_add(*behind))))
            || from(address)
            || self.bases.iter().any(|base| from(*base))
    }

    /// Whether two addresses are of the same thing; `exact` where a number that is no address may stand as well.
    fn is_address(&self, addresses: Pair<u64>, exact: bool) -> bool {
        let end = self.by_address.partition_point(|(start, _)| *start <= addresses.a);
        // An address may be the end of one section and the beginning of the next; empty ones may lie between.
        self.by_address[..end].iter().rev().take(3).any(|(_, index)| {
            let target = &self.counterparts[*index];
            target.address.is_some_and(|address| target.means_the_same(address, addresses, exact))
        })
    }
}

impl Counterpart<'_> {
    /// Whether two words, offsets from the given bases, are the same place of both sections.
    fn means_the_same(&self, bases: Pair<u64>, words: Pair<u64>, exact: bool) -> bool {
        let offsets = Pair::new(words.a.checked_sub(bases.a), words.b.checked_sub(bases.b));
        let Pair { a: Some(a), b: Some(b) } = offsets else { return false };
        if a > self.size.a || b > self.size.b {
            return false;
        }
        match self.alignment.to_b(a) {
            Some(Place::At(expected)) if expected == b => true,
            Some(Place::Somewhere) if !exact => true,
            _ => self.has_the_same(a, b),
        }
    }

    /// Whether the same stands at both offsets: a constant, or a short string to its end.
    fn has_the_same(&self, a: u64, b: u64) -> bool {
        let Some(contents) = self.contents else { return false };
        let at = |bytes: &'_ [u8], offset: u64| -> Option<Vec<u8>> {
            let rest = bytes.get(usize::try_from(offset).ok()?..)?;
            let rest = &rest[..rest.len().min(SAME)];
            let end = rest.iter().position(|byte| *byte == 0).map_or(rest.len(), |end| end + 1);
            Some(if end >= 4 { rest[..end].to_vec() } else { rest.to_vec() })
        };
        let (Some(a), Some(b)) = (at(contents.a, a), at(contents.b, b)) else { return false };
        a == b && a.len() >= 4 && a.iter().any(|byte| *byte != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Code at 0x1000, data behind it; side b has its data 16 bytes further on.
    fn moved_data() -> References<'static> {
        let code = Counterpart {
            address: Some(Pair::new(0x1000, 0x1000)),
            size: Pair::new(0x100, 0x110),
            alignment: Alignment::in_place(Pair::new(0x100, 0x110), false),
            is_debug: false,
            contents: None,
        };
        let data = Counterpart {
            address: Some(Pair::new(0x2000, 0x2010)),
            size: Pair::new(0x100, 0x100),
            alignment: Alignment::in_place(Pair::new(0x100, 0x100), true),
            is_debug: false,
            contents: None,
        };
        References::new(vec![code, data], Vec::new(), false, 8)
    }

    #[test]
    fn an_absolute_address_follows_what_moved() {
        let references = moved_data();
        let bytes = Pair::new(0x2040u64.to_le_bytes(), 0x2050u64.to_le_bytes());
        let slices = Pair::new(&bytes.a[..], &bytes.b[..]);
        assert_eq!(references.follows(0, slices, Pair::new(0, 0)), Some(8));
    }

    #[test]
    fn a_distance_follows_what_moved() {
        let references = moved_data();
        // call [rip + distance] at 0x1002, ending at 0x1006
        let bytes = Pair::new([0xff, 0x15, 0xfa, 0x0f, 0, 0], [0xff, 0x15, 0x0a, 0x10, 0, 0]);
        let slices = Pair::new(&bytes.a[..], &bytes.b[..]);
        assert_eq!(references.follows(0, slices, Pair::new(2, 2)), Some(4));
        assert_eq!(references.follows(0, slices, Pair::new(3, 3)), Some(3));
    }

    #[test]
    fn another_number_does_not() {
        let references = moved_data();
        for (a, b) in [(0x2040u64, 0x2048u64), (0x2040, 0x2051), (7, 8), (0x2040, 0x9999)] {
            let bytes = Pair::new(a.to_le_bytes(), b.to_le_bytes());
            let slices = Pair::new(&bytes.a[..], &bytes.b[..]);
            assert_eq!(references.follows(0, slices, Pair::new(0, 0)), None, "{a:#x} {b:#x}");
        }
    }
}
