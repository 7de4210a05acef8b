use std::{collections::BTreeMap, io};

use proptest::prelude::*;

use super::*;

fn files(a: &[u8], b: &[u8]) -> Comparison {
    compare_files(&a, &b, &Limits::default()).unwrap()
}

fn ranges(comparison: &Comparison) -> &Ranges {
    match &comparison.differences[0].found[0] {
        Finding::Bytes(ranges) | Finding::Lines(ranges) => ranges,
        other => panic!("{other:?}"),
    }
}

/// A tree in memory.
#[derive(Default)]
struct Memory {
    entries: BTreeMap<Vec<u8>, Entry>,
    contents: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Memory {
    fn file(mut self, path: &str, executable: bool, bytes: &[u8]) -> Self {
        self.entries.insert(path.into(), Entry::Regular { executable, size: bytes.len() as u64 });
        self.contents.insert(path.into(), bytes.to_vec());
        self
    }

    fn directory(mut self, path: &str) -> Self {
        self.entries.insert(path.into(), Entry::Directory);
        self
    }

    fn link(mut self, path: &str, target: &str) -> Self {
        self.entries.insert(path.into(), Entry::Symlink(target.into()));
        self
    }
}

impl Tree for Memory {
    fn entries(&self) -> &BTreeMap<Vec<u8>, Entry> {
        &self.entries
    }

    fn open(&self, path: &[u8]) -> io::Result<Box<dyn Content + '_>> {
        Ok(Box::new(self.contents.get(path).ok_or(io::ErrorKind::NotFound)?))
    }
}

#[test]
fn equal_bytes_are_identical() {
    assert!(files(b"same", b"same").identical());
    assert!(files(b"", b"").identical());
    assert!(!files(b"", b"\0").identical());
}

#[test]
fn ranges_have_offsets_on_both_sides() {
    let a = [&[0u8; 100][..], b"old", &[0; 100]].concat();
    let b = [&[0u8; 100][..], b"newer", &[0; 100]].concat();
    let comparison = files(&a, &b);
    let range = &ranges(&comparison).list[0];
    assert_eq!((range.a.offset, range.a.len, range.b.offset, range.b.len), (100, 3, 100, 5));
    assert_eq!(&range.b.sample[range.b.marked()], b"newer");
}

#[test]
fn a_byte_inserted_is_one_byte() {
    let a: Vec<u8> = (0..20_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let mut b = a.clone();
    b.splice(1000..1000, [0xee]);
    b.splice(70_000..70_002, []);
    let comparison = files(&a, &b);
    let ranges = ranges(&comparison);
    assert_eq!(
        ranges.total,
        2,
        "{:?}",
        ranges.list.iter().map(|r| (r.a.offset, r.a.len, r.b.len)).collect::<Vec<_>>()
    );
    assert_eq!(ranges.differing, 3);
}

#[test]
fn every_range_is_counted_though_few_are_kept() {
    let a = vec![0u8; 64 * 2000];
    let mut b = a.clone();
    b.iter_mut().step_by(64).for_each(|byte| *byte = 1);
    let comparison = files(&a, &b);
    let ranges = ranges(&comparison);
    assert_eq!((ranges.total, ranges.differing), (2000, 2000));
    assert_eq!(ranges.list.len(), Limits::default().ranges_per_place);
}

#[test]
fn text_is_compared_by_lines() {
    let comparison = files(b"one\ntwo\nthree\n", b"one\n2\nthree\n");
    let Finding::Lines(ranges) = &comparison.differences[0].found[0] else { panic!() };
    assert_eq!(ranges.list[0].lines, Some(Pair::new(2, 2)));
    assert_eq!(&ranges.list[0].a.sample[ranges.list[0].a.marked()], b"two");
}

#[test]
fn line_endings_are_no_other_lines() {
    let comparison = files(b"one\r\ntwo\r\n", b"one\ntwo\n");
    assert_eq!(comparison.differences[0].found, [Finding::LineEndings(Pair::new(2, 0))]);
}

#[test]
fn the_same_lines_in_another_order() {
    let comparison = files(b"x\nb\na\nc\ny\n", b"x\na\nc\nb\ny\n");
    assert!(matches!(&comparison.differences[0].found[0], Finding::Reordered { lines: 3, .. }));
}

#[test]
fn trees_differ_in_what_a_nar_knows() {
    let a = Memory::default()
        .directory("")
        .file("run", true, b"x")
        .link("link", "one")
        .directory("lone")
        .file("lone/deep", false, b"12345")
        .file("lone-not-below", false, b"")
        .file("kind", false, b"");
    let b = Memory::default()
        .directory("")
        .file("run", false, b"x")
        .link("link", "two")
        .file("lone-not-below", false, b"")
        .directory("kind")
        .file("kind/below", false, b"");
    let comparison = compare_trees(&a, &b, &Limits::default()).unwrap();
    let found: Vec<_> = comparison.differences.iter().map(|d| (d.at.to_string(), d.found.clone())).collect();
    assert_eq!(
        found,
        [
            ("kind".into(), vec![Finding::Kind(Pair::new(EntryKind::Regular, EntryKind::Directory))]),
            ("link".into(), vec![Finding::Target(Pair::new(b"one".to_vec(), b"two".to_vec()))]),
            ("lone".into(), vec![Finding::OnlyIn { side: Side::A, what: "directory", size: 5 }]),
            ("run".into(), vec![Finding::Executable(Pair::new(true, false))]),
        ]
    );
}

#[test]
fn a_file_that_cannot_be_read_is_an_error_not_a_verdict() {
    let mut a = Memory::default().file("", false, b"x");
    let b = Memory::default().file("", false, b"x");
    a.contents.clear();
    let error = compare_trees(&a, &b, &Limits::default()).unwrap_err();
    assert_eq!(error.code().to_string(), "RP0901");
}

/// Endless zeros with a few other bytes, made as they are read. Panics when asked for more than a block.
struct Sparse {
    len: u64,
    ones: Vec<u64>,
}

impl Content for Sparse {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        // The end of a zip archive with the longest comment is a little longer than 64 KiB.
        assert!(buffer.len() <= 65 << 10, "{} bytes at once", buffer.len());
        buffer.fill(0);
        for one in &self.ones {
            if let Some(byte) = one.checked_sub(offset).and_then(|at| buffer.get_mut(at as usize)) {
                *byte = 1;
            }
        }
        Ok(())
    }
}

#[test]
fn t82_files_of_four_gigabytes_in_bounded_memory() {
    let len = 4 << 30;
    let a = Sparse { len, ones: vec![1000] };
    let b = Sparse { len, ones: vec![len - 1000] };
    let comparison = compare_files(&a, &b, &Limits::default()).unwrap();
    let ranges = ranges(&comparison);
    assert_eq!(ranges.list.iter().map(|range| range.a.offset).collect::<Vec<_>>(), [1000, len - 1000]);
}

#[test]
fn t82_a_part_too_large_to_search_is_one_range_and_says_so() {
    let a = Sparse { len: 100 << 20, ones: vec![1000] };
    let b = Sparse { len: (100 << 20) + 1, ones: vec![100 << 20] };
    let comparison = compare_files(&a, &b, &Limits::default()).unwrap();
    assert!(matches!(comparison.differences[0].notes[0], Note::ShiftTooLarge { .. }));
    assert_eq!(ranges(&comparison).total, 1);
}

/// Numbered lines, shuffled the same way each time.
fn shuffled(lines: u32, seed: u32) -> Vec<u8> {
    let mut order: Vec<u32> = (0..lines).collect();
    order.sort_by_key(|line| (line ^ seed).wrapping_mul(2_654_435_761).rotate_left(13));
    order.iter().flat_map(|line| format!("line {line}\n").into_bytes()).collect()
}

#[test]
fn t88_a_million_lines_in_another_order() {
    let comparison = files(&shuffled(1_000_000, 1), &shuffled(1_000_000, 77));
    assert!(matches!(comparison.differences[0].found[0], Finding::Reordered { lines: 900_000.., .. }));
}

#[test]
fn t88_a_million_other_lines_fall_back_and_say_so() {
    let mut b = shuffled(1_000_000, 77);
    b.extend(b"one more\n");
    let limits = Limits { moved_bytes: 1 << 20, ..Limits::default() };
    let comparison = compare_files(&shuffled(1_000_000, 1), &b, &limits).unwrap();
    let difference = &comparison.differences[0];
    assert!(matches!(difference.notes[0], Note::TextTooLarge { unit: "lines", .. }));
    assert!(matches!(difference.found[0], Finding::Bytes(_)));
}

#[test]
fn t88_as_many_shuffled_lines_as_are_matched() {
    let most = Limits::default().text_lines as u32;
    let mut b = shuffled(most - 1, 77);
    b.extend(b"one more\n");
    let comparison = files(&shuffled(most, 1), &b);
    assert!(matches!(comparison.differences[0].found[0], Finding::Lines(_)));
}

#[test]
fn t88_shuffled_lines_of_which_none_is_unique() {
    let lines = |seed: u32| -> Vec<u8> {
        (0..600u32)
            .flat_map(|n| format!("{}\n", (n ^ seed).wrapping_mul(2_654_435_761) >> 29).into_bytes())
            .collect()
    };
    let comparison = files(&lines(1), &[lines(77), b"8\n".to_vec()].concat());
    assert!(matches!(comparison.differences[0].found[0], Finding::Lines(_)));
}

#[test]
fn t88_one_line_longer_than_every_cap() {
    let a = vec![b'x'; 20 << 20];
    let mut b = a.clone();
    b[10 << 20] = b'y';
    let comparison = files(&a, &b);
    assert_eq!(ranges(&comparison).list[0].a.offset, 10 << 20);
}

#[test]
fn the_string_that_is_new_among_bytes_that_moved() {
    let noise: Vec<u8> = (0..40_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
    let moved = |pointer: u8, path: &str| {
        let mut bytes = noise.clone();
        // A pointer in every few bytes: no long match is left.
        bytes.iter_mut().step_by(12).for_each(|byte| *byte = byte.wrapping_add(pointer));
        bytes.splice(80_000..80_000, format!("\0{path}\0").into_bytes());
        bytes
    };
    let comparison = files(&moved(1, "/old/path/of/it"), &moved(9, "/another/path/of/the/same"));
    let found = &comparison.differences[0].found;
    let strings =
        found.iter().find_map(|f| if let Finding::Strings(strings) = f { Some(strings) } else { None });
    let texts = |strings: &Strings| strings.list.iter().map(|(_, text)| text.clone()).collect::<Vec<_>>();
    assert!(texts(&strings.unwrap().a).contains(&b"/old/path/of/it".to_vec()));
    assert!(texts(&strings.unwrap().b).contains(&b"/another/path/of/the/same".to_vec()));
}

/// Pairs of byte strings that have much in common.
fn related() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let bytes = prop::collection::vec(prop_oneof![0u8..4, any::<u8>(), Just(b'\n')], 0..3000);
    let edits = prop::collection::vec(
        (any::<prop::sample::Index>(), 0usize..40, prop::collection::vec(any::<u8>(), 0..40)),
        0..6,
    );
    (bytes, edits).prop_map(|(a, edits)| {
        let mut b = a.clone();
        for (at, cut, paste) in edits {
            let at = at.index(b.len() + 1);
            let end = (at + cut).min(b.len());
            b.splice(at..end, paste);
        }
        (a, b)
    })
}

proptest! {
    /// Identical exactly when equal, and the ranges really are all there is: what lies between them is equal.
    #[test]
    fn ranges_cover_every_difference((a, b) in related()) {
        let comparison = files(&a, &b);
        prop_assert_eq!(comparison.identical(), a == b);
        prop_assert!(files(&a, &a).identical());
        if let Some(Finding::Bytes(ranges)) = comparison.differences.first().and_then(|d| d.found.first()) {
            prop_assert_eq!(ranges.total as usize, ranges.list.len());
            let mut rebuilt = Vec::new();
            let mut at = 0;
            for range in &ranges.list {
                rebuilt.extend_from_slice(&a[at..range.a.offset as usize]);
                prop_assert_eq!(rebuilt.len() as u64, range.b.offset);
                rebuilt.extend_from_slice(&b[range.b.offset as usize..][..range.b.len as usize]);
                at = (range.a.offset + range.a.len) as usize;
            }
            rebuilt.extend_from_slice(&a[at..]);
            prop_assert_eq!(rebuilt, b);
        }
    }
}
