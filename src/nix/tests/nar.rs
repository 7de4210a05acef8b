use std::{
    collections::BTreeMap,
    io::{self, Read},
};

use proptest::prelude::*;

use crate::nix::{
    hash::NarHash,
    nar::{
        Event, MAX_DEPTH, NarError, NarErrorKind, NarWriteError, Node, Reader, Writer, hash, is_executable,
    },
};

/// A tree with its contents, and a second, plain writer of NARs to hold ours against.
#[derive(Clone, Debug)]
enum Tree {
    File(bool, Vec<u8>),
    Link(Vec<u8>),
    Dir(BTreeMap<Vec<u8>, Tree>),
}

fn string(text: impl AsRef<[u8]>) -> Vec<u8> {
    let text = text.as_ref();
    let mut out = (text.len() as u64).to_le_bytes().to_vec();
    out.extend(text);
    out.resize(out.len().div_ceil(8) * 8, 0);
    out
}

fn strings<const N: usize>(texts: [&[u8]; N]) -> Vec<u8> {
    texts.iter().flat_map(string).collect()
}

impl Tree {
    fn node(&self) -> Vec<u8> {
        let mut out = strings([b"(", b"type"]);
        match self {
            Tree::File(executable, contents) => {
                out.extend(string("regular"));
                if *executable {
                    out.extend(strings([b"executable", b""]));
                }
                out.extend(strings([b"contents", contents]));
            }
            Tree::Link(target) => out.extend(strings([b"symlink", b"target", target])),
            Tree::Dir(entries) => {
                out.extend(string("directory"));
                for (name, tree) in entries {
                    out.extend(strings([b"entry", b"(", b"name", name, b"node"]));
                    out.extend(tree.node());
                    out.extend(string(")"));
                }
            }
        }
        out.extend(string(")"));
        out
    }

    fn nar(&self) -> Vec<u8> {
        [string("nix-archive-1"), self.node()].concat()
    }
}

fn file(contents: &str) -> Tree {
    Tree::File(false, contents.as_bytes().to_vec())
}

fn dir<const N: usize>(entries: [(&str, Tree); N]) -> Tree {
    Tree::Dir(entries.into_iter().map(|(name, tree)| (name.as_bytes().to_vec(), tree)).collect())
}

fn sample() -> Tree {
    dir([
        ("bin", dir([("run", Tree::File(true, b"#!/bin/sh\n".to_vec()))])),
        ("empty", dir([])),
        ("link", Tree::Link(b"../../etc".to_vec())),
        ("zero", file("")),
        ("~", file("12345678")),
    ])
}

/// A directory with these entries in this order, right or wrong.
fn raw_dir(entries: &[(&[u8], Vec<u8>)]) -> Vec<u8> {
    let mut out = strings([b"nix-archive-1", b"(", b"type", b"directory"]);
    for (name, node) in entries {
        out.extend(strings([b"entry", b"(", b"name", name, b"node"]));
        out.extend(node);
        out.extend(string(")"));
    }
    out.extend(string(")"));
    out
}

fn raw(texts: &[&[u8]]) -> Vec<u8> {
    let mut out = strings([b"nix-archive-1", b"(", b"type"]);
    out.extend(texts.iter().flat_map(string));
    out
}

#[derive(Clone, Copy, PartialEq)]
enum Manner {
    Skip,
    Drain,
    /// Only some bytes of every file.
    Part,
}

fn events(nar: impl Read, manner: Manner) -> Result<Vec<Event>, NarError> {
    let mut reader = Reader::new(nar);
    let mut found = Vec::new();
    while let Some(event) = reader.next_event()? {
        if let Event::Regular { size, .. } = event {
            let wanted = match manner {
                Manner::Skip => 0,
                Manner::Drain => size,
                Manner::Part => size / 2,
            };
            // What goes wrong here goes wrong once more in `next_event`.
            let _ = io::copy(&mut reader.contents().take(wanted), &mut io::sink());
        }
        found.push(event);
    }
    Ok(found)
}

fn fault(nar: &[u8]) -> NarErrorKind {
    events(nar, Manner::Skip).expect_err("this is no NAR").what
}

/// Reads a NAR and writes it again.
fn again(nar: &[u8]) -> Vec<u8> {
    let tree = Node::read(nar).expect("a valid NAR");
    let open = |contents: crate::nix::nar::Contents| {
        let start = usize::try_from(contents.offset).map_err(io::Error::other)?;
        Ok(nar[start..].take(contents.size))
    };
    tree.write(open, Vec::new()).expect("a tree that was read")
}

#[test]
fn t34_events_and_the_way_back() {
    let nar = sample().nar();
    let found = events(nar.as_slice(), Manner::Drain).expect("a valid NAR");
    assert_eq!(found.first(), Some(&Event::Directory));
    assert_eq!(found.iter().filter(|event| **event == Event::Leave).count(), 3);
    assert_eq!(again(&nar), nar);
    assert_eq!(hash(nar.as_slice()).expect("memory"), (NarHash::of(&nar), nar.len() as u64));
    let tree = Node::read(nar.as_slice()).expect("a valid NAR");
    assert_eq!(tree.lookup(b"link"), Some(&Node::Symlink { target: b"../../etc".to_vec() }));
    assert!(matches!(tree.lookup(b"bin/run"), Some(Node::Regular { executable: true, .. })));
    assert!(matches!(tree.lookup(b""), Some(Node::Directory { .. })));
    assert_eq!(tree.lookup(b"bin/run/x"), None);
    assert_eq!(tree.lookup(b"../bin"), None);
}

#[test]
fn t01_t26_truncated_at_every_byte() {
    let nar = sample().nar();
    for len in 0..nar.len() {
        for manner in [Manner::Skip, Manner::Drain, Manner::Part] {
            let error = events(&nar[..len], manner).expect_err("a truncated NAR");
            assert!(matches!(error.what, NarErrorKind::Truncated { .. }), "{len}: {error}");
            assert_eq!(error.offset, len as u64);
        }
        assert!(Node::read(&nar[..len]).is_err());
    }
}

#[test]
fn t32_every_bit_flipped_skipped_or_drained() {
    let nar = sample().nar();
    for at in 0..nar.len() {
        for bit in 0..8 {
            let mut changed = nar.clone();
            changed[at] ^= 1 << bit;
            let found: Vec<_> = [Manner::Skip, Manner::Drain, Manner::Part]
                .map(|manner| events(changed.as_slice(), manner).map_err(|error| error.to_string()))
                .into();
            assert_eq!(found[0], found[1]);
            assert_eq!(found[0], found[2]);
            if found[0].is_ok() {
                assert_eq!(again(&changed), changed);
            }
        }
    }
}

#[test]
fn t20_names_that_escape() {
    let long = [b'a'; 256];
    for name in [b".".as_slice(), b"..", b"", b"a/b", b"/", b"a\0", b"a\0b"] {
        let what = fault(&raw_dir(&[(name, file("").node())]));
        assert!(matches!(what, NarErrorKind::Name { .. }), "{name:?}: {what}");
    }
    assert!(matches!(fault(&raw_dir(&[(&long, file("").node())])), NarErrorKind::TooLong { .. }));
    for name in [&long[..255], b"...", b"-rf", b"a\nb", b"\xff", b" "] {
        assert!(events(raw_dir(&[(name, file("").node())]).as_slice(), Manner::Skip).is_ok());
    }
}

#[test]
fn t21_duplicate_and_unsorted_entries() {
    let entries = |a: &'static [u8], b: &'static [u8]| raw_dir(&[(a, file("").node()), (b, file("").node())]);
    assert!(matches!(fault(&entries(b"a", b"a")), NarErrorKind::Order { .. }));
    assert!(matches!(fault(&entries(b"b", b"a")), NarErrorKind::Order { .. }));
    assert!(matches!(fault(&entries(b"a\x80", b"a")), NarErrorKind::Order { .. }));
    assert!(events(entries(b"a", b"a\x80").as_slice(), Manner::Skip).is_ok());
    // The order starts anew in every directory.
    let nested = dir([("b", dir([("a", file(""))])), ("c", file(""))]);
    assert!(events(nested.nar().as_slice(), Manner::Skip).is_ok());
}

#[test]
fn t22_case_hack_names_are_plain_bytes() {
    let tree = dir([
        ("Foo", file("")),
        ("foo", file("")),
        ("foo~nix~case~hack~1", file("")),
        ("\u{e9}", file("")),
        ("e\u{301}", file("")),
    ]);
    let nar = tree.nar();
    assert_eq!(again(&nar), nar);
}

#[test]
fn t23_nesting() {
    let nested = |levels: usize| {
        let mut out = string("nix-archive-1");
        for _ in 1..levels {
            out.extend(strings([b"(", b"type", b"directory", b"entry", b"(", b"name", b"a", b"node"]));
        }
        out.extend(file("").node());
        for _ in 1..levels {
            out.extend(strings([b")", b")"]));
        }
        out
    };
    let deepest = nested(MAX_DEPTH);
    assert_eq!(again(&deepest), deepest);
    assert!(matches!(fault(&nested(MAX_DEPTH + 1)), NarErrorKind::Depth));
    assert!(matches!(fault(&nested(200_000)), NarErrorKind::Depth));
    let mut writer = Writer::new(io::sink());
    for _ in 0..MAX_DEPTH {
        writer.directory().expect("not too deep");
        writer.entry(b"a").expect("an entry");
    }
    assert!(matches!(writer.symlink(b"x"), Err(NarWriteError::Tree(NarErrorKind::Depth))));
}

#[test]
fn t24_lengths_that_cannot_be() {
    for size in [1 << 63, u64::MAX, u64::MAX - 7, i64::MAX as u64] {
        let mut nar = raw(&[b"regular", b"contents"]);
        nar.extend(size.to_le_bytes());
        assert!(matches!(fault(&nar), NarErrorKind::Size { len } if len == size));
    }
    // A length that could be, of bytes that do not come: no memory is taken for it.
    let mut nar = raw(&[b"regular", b"contents"]);
    nar.extend((1u64 << 40).to_le_bytes());
    assert!(matches!(fault(&nar), NarErrorKind::Truncated { .. }));
    for head in
        [Vec::new(), raw(&[b"symlink", b"target"]), raw(&[b"symlink"]), raw(&[b"regular", b"executable"])]
    {
        for len in [1 << 62, u64::MAX, 5000] {
            let mut nar = head.clone();
            nar.extend(u64::to_le_bytes(len));
            assert!(matches!(fault(&nar), NarErrorKind::TooLong { .. } | NarErrorKind::Magic));
        }
    }
}

#[test]
fn t25_padding_is_zero() {
    let mut nar = raw(&[b"regular", b"contents", b"x", b")"]);
    let at = nar.len() - 17;
    assert_eq!(nar[at], 0);
    nar[at] = 1;
    for manner in [Manner::Skip, Manner::Drain, Manner::Part] {
        assert!(matches!(events(nar.as_slice(), manner), Err(NarError { what: NarErrorKind::Padding, .. })));
    }
    let mut nar = file("x").nar();
    nar[8 + 13] = 1;
    assert!(matches!(fault(&nar), NarErrorKind::Magic));
}

#[test]
fn t27_nothing_after_the_end() {
    for more in [&[0u8][..], &[0; 8], &file("").nar()] {
        let nar = [sample().nar(), more.to_vec()].concat();
        assert!(matches!(fault(&nar), NarErrorKind::Trailing));
    }
}

#[test]
fn t28_fields_in_another_order() {
    let tag = |texts: &[&[u8]]| matches!(fault(&raw(texts)), NarErrorKind::Tag { .. });
    assert!(tag(&[b"regular", b"contents", b"x", b"executable", b"", b")"]));
    assert!(tag(&[b"regular", b"executable", b"", b"executable", b"", b"contents", b"x", b")"]));
    assert!(tag(&[b"regular", b")"]));
    assert!(tag(&[b"regular", b"contents", b"x", b"contents", b"y", b")"]));
    assert!(tag(&[b"symlink", b"target", b"x", b"target", b"y", b")"]));
    assert!(tag(&[b"symlink", b")"]));
    assert!(tag(&[b"socket", b")"]));
    assert!(tag(&[b"directory", b"type", b"directory", b")"]));
    assert!(tag(&[b"directory", b"entry", b"(", b"node", b"name", b"a"]));
    assert!(tag(&[b"directory", b"contents", b"x", b")"]));
    let executable = fault(&raw(&[b"regular", b"executable", b"x", b"contents", b"y", b")"]));
    assert!(matches!(executable, NarErrorKind::TooLong { max: 0, .. }));
    assert!(matches!(fault(&strings([b"nix-archive-2", b"("])), NarErrorKind::Magic));
    assert!(matches!(fault(b"\x7fELF and whatever follows it"), NarErrorKind::Magic));
}

#[test]
fn t29_link_targets() {
    let link = |target: &[u8]| Tree::Link(target.to_vec()).nar();
    assert!(matches!(fault(&link(b"")), NarErrorKind::Target { .. }));
    assert!(matches!(fault(&link(b"a\0b")), NarErrorKind::Target { .. }));
    assert!(matches!(fault(&link(&[b'a'; 4096])), NarErrorKind::TooLong { .. }));
    for target in [[b'a'; 4095].as_slice(), b"/etc/passwd", b"../../etc", b"\xff"] {
        assert_eq!(again(&link(target)), link(target));
    }
}

#[test]
fn t33_a_million_entries_in_bounded_memory() {
    /// The NAR of a directory of many empty files, made while it is read.
    struct Many {
        next: u32,
        count: u32,
        pending: io::Cursor<Vec<u8>>,
    }
    impl Read for Many {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let read = self.pending.read(buffer)?;
            if read > 0 || self.next > self.count {
                return Ok(read);
            }
            let text = if self.next == self.count {
                string(")")
            } else {
                let name = format!("{:08}", self.next);
                [strings([b"entry", b"(", b"name", name.as_bytes(), b"node"]), file("").node(), string(")")]
                    .concat()
            };
            self.next += 1;
            self.pending = io::Cursor::new(text);
            self.pending.read(buffer)
        }
    }
    let many = |count| Many {
        next: 0,
        count,
        pending: io::Cursor::new(strings([b"nix-archive-1", b"(", b"type", b"directory"])),
    };
    let mut reader = Reader::new(many(1_000_000));
    let mut files = 0;
    while let Some(event) = reader.next_event().expect("a valid NAR") {
        files += u32::from(matches!(event, Event::Regular { .. }));
    }
    assert_eq!(files, 1_000_000);
    assert!(Node::read_capped(many(99), 100, 10_000).is_ok());
    for (entries, text) in [(99, 10_000), (1000, 99 * 8 - 1)] {
        let error = Node::read_capped(many(99), entries, text).expect_err("beyond a cap");
        assert!(matches!(error.what, NarErrorKind::Entries));
    }
}

#[test]
fn the_writer_refuses_what_the_reader_would() {
    let mut writer = Writer::new(Vec::new());
    assert!(matches!(writer.entry(b"a"), Err(NarWriteError::Misuse(_))));
    assert!(matches!(writer.leave(), Err(NarWriteError::Misuse(_))));
    assert!(matches!(writer.symlink(b""), Err(NarWriteError::Tree(NarErrorKind::Target { .. }))));
    writer.directory().expect("a directory");
    assert!(matches!(writer.symlink(b"x"), Err(NarWriteError::Misuse(_))));
    for name in [b"".as_slice(), b"..", b"a/b", &[b'a'; 256]] {
        assert!(matches!(writer.entry(name), Err(NarWriteError::Tree(NarErrorKind::Name { .. }))));
    }
    writer.entry(b"b").expect("an entry");
    assert!(matches!(writer.entry(b"c"), Err(NarWriteError::Misuse(_))));
    assert!(matches!(writer.leave(), Err(NarWriteError::Misuse(_))));
    writer.regular(false, 1, b"x".as_slice()).expect("a file");
    for name in [b"a".as_slice(), b"b"] {
        assert!(matches!(writer.entry(name), Err(NarWriteError::Tree(NarErrorKind::Order { .. }))));
    }
    assert!(matches!(writer.finish(), Err(NarWriteError::Misuse(_))));
}

#[test]
fn a_file_that_changes_while_it_is_packed() {
    let mut short = Writer::new(Vec::new());
    let error = short.regular(false, 5, b"1234".as_slice()).expect_err("too short");
    assert!(matches!(error, NarWriteError::Changed { expected: 5, found: Some(4) }));
    let mut long = Writer::new(Vec::new());
    let error = long.regular(false, 3, b"1234".as_slice()).expect_err("too long");
    assert!(matches!(error, NarWriteError::Changed { expected: 3, found: None }));
}

#[test]
fn errors_of_the_stream_are_not_the_nars() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is gone"))
        }
    }
    let head = [raw(&[b"regular", b"contents"]), 8u64.to_le_bytes().to_vec()].concat();
    let nar = head.as_slice().chain(Broken);
    let mut reader = Reader::new(nar);
    assert!(matches!(reader.next_event(), Ok(Some(Event::Regular { size: 8, .. }))));
    assert!(matches!(reader.next_event(), Err(NarError { what: NarErrorKind::Io(_), .. })));
    assert!(reader.next_event().is_err(), "an error stays one");
}

#[test]
fn executable_is_the_owners_bit() {
    assert!(is_executable(0o100755) && is_executable(0o100100));
    assert!(!is_executable(0o100655) && !is_executable(0o100011));
}

fn any_name() -> impl Strategy<Value = Vec<u8>> {
    let byte = any::<u8>().prop_filter("a byte of a name", |byte| !matches!(byte, 0 | b'/'));
    prop::collection::vec(byte, 1..6).prop_filter("a real name", |name| name != b"." && name != b"..")
}

fn any_tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        (any::<bool>(), prop::collection::vec(any::<u8>(), 0..40))
            .prop_map(|(x, bytes)| Tree::File(x, bytes)),
        prop::collection::vec(1u8.., 1..20).prop_map(Tree::Link),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop::collection::btree_map(any_name(), inner, 0..6).prop_map(Tree::Dir)
    })
}

proptest! {
    #[test]
    fn t34_every_tree_comes_back(tree in any_tree()) {
        let nar = tree.nar();
        prop_assert_eq!(again(&nar), nar);
    }

    #[test]
    fn t32_what_is_accepted_is_canonical(
        tree in any_tree(),
        cut in any::<prop::sample::Index>(),
        len in 0usize..20,
        put in prop::collection::vec(any::<u8>(), 0..20),
    ) {
        let mut nar = tree.nar();
        let at = cut.index(nar.len());
        nar.splice(at..(at + len).min(nar.len()), put);
        let skipped = events(nar.as_slice(), Manner::Skip).map_err(|error| error.to_string());
        let drained = events(nar.as_slice(), Manner::Drain).map_err(|error| error.to_string());
        prop_assert_eq!(&skipped, &drained);
        if skipped.is_ok() {
            prop_assert_eq!(again(&nar), nar);
        }
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(events(bytes.as_slice(), Manner::Skip).is_err());
    }
}
