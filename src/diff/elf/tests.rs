//! Hostile and ordinary ELF files; the classes of broken ones are those that other tools were broken by.

use std::process::Command;

use proptest::prelude::*;

use super::parse::{Broken, parse};
use crate::diff::{Comparison, Finding, Limits, Note, Step, compare_files};

const SHSTRTAB: &[u8] = b"\0.shstrtab\0.rodata\0";

/// A small ELF file, section by section, in 64-bit little endian or 32-bit big endian.
struct Small {
    is_64: bool,
    rodata: Vec<u8>,
}

impl Small {
    fn new() -> Self {
        Small { is_64: true, rodata: b"built Nov 21 2026\0".to_vec() }
    }

    fn word(&self, value: u64) -> Vec<u8> {
        if self.is_64 { value.to_le_bytes().to_vec() } else { (value as u32).to_be_bytes().to_vec() }
    }

    fn long(&self, value: u32) -> Vec<u8> {
        if self.is_64 { value.to_le_bytes().to_vec() } else { value.to_be_bytes().to_vec() }
    }

    fn half(&self, value: u16) -> Vec<u8> {
        if self.is_64 { value.to_le_bytes().to_vec() } else { value.to_be_bytes().to_vec() }
    }

    fn ehsize(&self) -> u64 {
        if self.is_64 { 64 } else { 52 }
    }

    fn shoff(&self) -> u64 {
        self.ehsize() + SHSTRTAB.len() as u64 + self.rodata.len() as u64
    }

    /// Offset of a field of section `index` in the file.
    fn field(&self, index: u64, name: &str) -> usize {
        let (entry, offset) = match (self.is_64, name) {
            (true, "sh_name") => (64, 0),
            (true, "sh_offset") => (64, 24),
            (true, "sh_size") => (64, 32),
            (false, "sh_offset") => (40, 16),
            (false, "sh_size") => (40, 20),
            _ => panic!("{name}"),
        };
        (self.shoff() + index * entry + offset) as usize
    }

    fn bytes(&self) -> Vec<u8> {
        let shentsize = if self.is_64 { 64 } else { 40 };
        let ident = if self.is_64 { [2, 1] } else { [1, 2] };
        let mut out = [&b"\x7fELF"[..], &ident, &[1, 0, 0, 0, 0, 0, 0, 0, 0, 0]].concat();
        out.extend([self.half(1), self.half(62), self.long(1)].concat());
        out.extend([self.word(0), self.word(0), self.word(self.shoff()), self.long(0)].concat());
        for half in [self.ehsize() as u16, 0, 0, shentsize, 3, 1] {
            out.extend(self.half(half));
        }
        out.extend(SHSTRTAB);
        out.extend(&self.rodata);
        let mut section = |name: u32, kind: u32, offset: u64, size: u64| {
            out.extend([self.long(name), self.long(kind), self.word(0), self.word(0)].concat());
            out.extend([self.word(offset), self.word(size), self.long(0), self.long(0)].concat());
            out.extend([self.word(1), self.word(0)].concat());
        };
        section(0, 0, 0, 0);
        section(1, 3, self.ehsize(), SHSTRTAB.len() as u64);
        section(11, 1, self.ehsize() + SHSTRTAB.len() as u64, self.rodata.len() as u64);
        out
    }
}

fn compare(a: &[u8], b: &[u8]) -> Comparison {
    compare_files(&a, &b, &Limits::default()).unwrap()
}

/// Compares a sound file with a broken one: the fallback says what is wrong at which byte, and the bytes still differ.
#[track_caller]
fn assert_broken(bytes: &[u8], at: u64, says: &str) {
    let comparison = compare(&Small::new().bytes(), bytes);
    let difference = &comparison.differences[0];
    let Some(Note::BrokenElf { offset, what, .. }) = difference.notes.first() else {
        panic!("{:?}", difference.notes)
    };
    assert!(what.contains(says), "{what}");
    assert_eq!(*offset, at, "{what}");
    assert!(matches!(difference.found[0], Finding::Bytes(_)));
}

fn with(at: usize, value: &[u8]) -> Vec<u8> {
    let mut bytes = Small::new().bytes();
    bytes[at..at + value.len()].copy_from_slice(value);
    bytes
}

#[test]
fn sections_in_both_classes_and_byte_orders() {
    for is_64 in [true, false] {
        let a = Small { is_64, ..Small::new() };
        let b = Small { is_64, rodata: b"built Jan  1 2020\0".to_vec() };
        let comparison = compare(&a.bytes(), &b.bytes());
        let places = comparison.places();
        let place = places.last().unwrap();
        assert_eq!(place.section(), Some(&b".rodata"[..]));
        let Finding::Bytes(ranges) = &place.difference.found[0] else { panic!() };
        assert_eq!(ranges.list[0].a.offset, a.ehsize() + SHSTRTAB.len() as u64 + 6);
        assert!(places.iter().all(|place| place.difference.notes.is_empty()));
    }
}

#[test]
fn t81_section_count_lies() {
    assert_broken(&with(60, &[0xff, 0xff]), Small::new().shoff(), "section table of 4194240 bytes");
}

#[test]
fn t81_section_count_in_section_zero_is_huge() {
    let mut bytes = with(60, &[0, 0]);
    let at = Small::new().field(0, "sh_size");
    bytes[at..at + 8].fill(0xff);
    assert_broken(&bytes, 60, "sections are more than");
}

#[test]
fn t81_a_million_sections() {
    let mut bytes = with(60, &[0, 0]);
    let at = Small::new().field(0, "sh_size");
    bytes[at..at + 8].copy_from_slice(&1_000_000u64.to_le_bytes());
    bytes.resize(70_000_000, 0);
    assert_broken(&bytes, 60, "1000000 sections are more than");
}

#[test]
fn t81_names_in_a_section_that_is_not_there() {
    assert_broken(&with(62, &[9, 0]), Small::new().shoff(), "section 9 should hold the names");
}

#[test]
fn t81_section_behind_the_end() {
    let small = Small::new();
    let at = small.field(2, "sh_offset");
    assert_broken(&with(at, &u64::MAX.to_le_bytes()), small.shoff() + 128, "ends behind the file");
    let at = small.field(2, "sh_size");
    assert_broken(&with(at, &u64::MAX.to_le_bytes()), small.shoff() + 128, "ends behind the file");
}

#[test]
fn t81_sections_that_overlap() {
    // Every section covers the whole file; there are many.
    let mut small = Small::new();
    small.rodata = vec![0; 64 * 400];
    let mut bytes = small.bytes();
    let len = bytes.len() as u64;
    let mut entry = vec![0; 64];
    entry[4] = 1;
    entry[32..40].copy_from_slice(&len.to_le_bytes());
    for _ in 0..100 {
        bytes.extend(&entry);
    }
    bytes[60..62].copy_from_slice(&103u16.to_le_bytes());
    let error = parse(&bytes).err();
    assert!(matches!(error, Some(Broken::At(_, what)) if what.contains("overlap")));
}

#[test]
fn t81_names_without_an_end() {
    let small = Small::new();
    let at = small.field(2, "sh_name");
    assert_broken(&with(at, &u32::MAX.to_le_bytes()), small.shoff() + 128, "has no end");
    // The last name loses its NUL.
    assert_broken(&with(64 + SHSTRTAB.len() - 1, b"x"), small.shoff() + 128, "has no end");
}

#[test]
fn t81_entries_of_no_size() {
    assert_broken(&with(58, &[0, 0]), 58, "entries of 0 bytes");
}

#[test]
fn t81_classes_and_orders_that_do_not_exist() {
    assert_broken(&with(4, &[3]), 4, "class 3");
    assert_broken(&with(5, &[0]), 5, "byte order 0");
}

#[test]
fn t81_cut_off_at_every_byte() {
    let whole = Small::new().bytes();
    for end in 0..whole.len() {
        let comparison = compare(&whole, &whole[..end]);
        assert!(!comparison.identical(), "{end}");
    }
}

#[test]
fn a_difference_between_sections_is_not_lost() {
    let mut a = Small::new().bytes();
    a.extend(b"trailing a");
    let mut b = Small::new().bytes();
    b.extend(b"trailing b");
    let comparison = compare(&a, &b);
    let places = comparison.places();
    assert!(places.iter().any(|place| place.part() == Some(&Step::BetweenSections)));
}

#[test]
fn zeros_added_at_the_end_are_a_difference() {
    let a = Small::new().bytes();
    let b = [a.as_slice(), &[0; 100]].concat();
    let comparison = compare(&a, &b);
    assert_eq!(comparison.differences[0].notes, [Note::NothingByStructure]);
    assert!(matches!(comparison.differences[0].found[0], Finding::Bytes(_)));
}

/// `readelf` as the judge, over this very test program: linked by a real linker, with symbols and debug information.
#[test]
fn sections_are_those_that_readelf_sees() {
    let program = std::env::current_exe().unwrap();
    let output = Command::new("readelf").args(["-SW"]).arg(&program).env("LC_ALL", "C").output();
    let output = output.expect("readelf is missing: install binutils");
    assert!(output.status.success());
    let listing = String::from_utf8(output.stdout).unwrap();
    let theirs: Vec<(String, u64, u64, u64)> = listing
        .lines()
        .filter_map(|line| {
            let rest = line.trim_start().strip_prefix('[')?;
            let (number, rest) = rest.split_once(']')?;
            let mut words = rest.split_whitespace();
            if number.trim() == "0" || number.trim() == "Nr" {
                return None;
            }
            let name = words.next()?.to_owned();
            let mut hex = words.skip(1).map(|word| u64::from_str_radix(word, 16).unwrap());
            Some((name, hex.next()?, hex.next()?, hex.next()?))
        })
        .collect();
    let bytes = std::fs::read(&program).unwrap();
    let elf = parse(&bytes).unwrap_or_else(|_| panic!("not parsed"));
    let ours: Vec<_> = elf.sections[1..]
        .iter()
        .map(|s| (String::from_utf8(s.name.clone()).unwrap(), s.address, s.offset, s.size))
        .collect();
    assert_eq!(ours, theirs);
    assert!(ours.len() > 10);
}

proptest! {
    /// Whatever bytes change: no panic, never called identical, and the same file is.
    #[test]
    fn t80_mutated_files(edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8), is_64: bool) {
        let sound = Small { is_64, ..Small::new() }.bytes();
        let mut mutated = sound.clone();
        for (at, byte) in edits {
            let at = at.index(mutated.len());
            mutated[at] = byte;
        }
        prop_assert_eq!(compare(&sound, &mutated).identical(), sound == mutated);
        prop_assert_eq!(compare(&mutated, &sound).identical(), sound == mutated);
        prop_assert!(compare(&mutated, &mutated).identical());
    }
}
