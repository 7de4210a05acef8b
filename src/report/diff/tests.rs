use std::{collections::BTreeMap, io};

use super::*;
use crate::{
    diagnose::{Proof, diagnose},
    diff::{Comparison, Content, Entry, Limits, Pair, Tree, compare_files, compare_trees},
};

/// A tree in memory: regular files, executable or not.
struct Files(BTreeMap<Vec<u8>, Entry>, BTreeMap<Vec<u8>, Vec<u8>>);

impl Files {
    fn new(files: &[(&str, bool, &[u8])]) -> Self {
        let mut entries = BTreeMap::from([(Vec::new(), Entry::Directory)]);
        let mut contents = BTreeMap::new();
        for (path, executable, bytes) in files {
            let size = bytes.len();
            entries.insert(path.as_bytes().to_vec(), Entry::Regular { executable: *executable, size });
            contents.insert(path.as_bytes().to_vec(), bytes.to_vec());
        }
        Files(entries, contents)
    }
}

impl Tree for Files {
    fn entries(&self) -> &BTreeMap<Vec<u8>, Entry> {
        &self.0
    }

    fn open(&self, path: &[u8]) -> io::Result<Box<dyn Content + '_>> {
        Ok(Box::new(self.1.get(path).ok_or(io::ErrorKind::NotFound)?))
    }
}

fn sample() -> Comparison {
    let binary =
        |text: &str, last: u8| [&[0; 40][..], text.as_bytes(), &[0; 200], &[last; 3], &[7; 9]].concat();
    let a = Files::new(&[
        ("README", false, b"one\nbuilt Nov 21 2026\nthree\nfour\n"),
        ("bin", false, &binary("built 12:34:56", 0xaa)),
        ("lone", false, b"12345"),
        ("run", true, b"#!/bin/sh\n"),
        ("evil\x1b[2J\n", false, b"\0a\x1b[31m\0"),
    ]);
    let b = Files::new(&[
        ("README", false, b"one\nbuilt Jan  1 2020\nthree\nfour and more\nfive\n"),
        ("bin", false, &binary("built 00:00:07", 0xbb)),
        ("run", false, b"#!/bin/sh\n"),
        ("evil\x1b[2J\n", false, b"\0b\x1b[32m and longer\0"),
    ]);
    compare_trees(&a, &b, &Limits::default()).unwrap()
}

fn clock() -> Vec<Proof> {
    vec![Proof { setting: "clock".into(), a: "1577836800".into(), b: "1621047787".into() }]
}

fn terminal(comparison: &Comparison, proven: &[Proof], detail: Detail) -> String {
    let mut out = Vec::new();
    write(&mut out, Pair::new("result-a", "result-b"), comparison, &diagnose(comparison, proven), detail)
        .unwrap();
    String::from_utf8(out).unwrap()
}

fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

#[test]
fn for_a_terminal() {
    insta::assert_snapshot!(plain(&terminal(&sample(), &[], Detail::Short)));
}

#[test]
fn for_a_terminal_with_a_proven_setting() {
    let comparison =
        compare_files(&&b"\0made 12:34:56\0\x01"[..], &&b"\0made 00:00:07\0\x02"[..], &Limits::default());
    insta::assert_snapshot!(plain(&terminal(&comparison.unwrap(), &clock(), Detail::Short)));
}

#[test]
fn as_json() {
    let comparison = sample();
    insta::assert_json_snapshot!(
        serde_json::to_value(document(&comparison, &diagnose(&comparison, &clock()), None)).unwrap()
    );
}

#[test]
fn identical_things_are_said_to_be() {
    let comparison = compare_files(&&b"x"[..], &&b"x"[..], &Limits::default()).unwrap();
    assert_eq!(plain(&terminal(&comparison, &[], Detail::Short)), "identical  result-a and result-b\n");
    let json = serde_json::to_value(document(&comparison, &[], None)).unwrap();
    assert_eq!(json["schema"], SCHEMA);
    assert_eq!(json["identical"], true);
}

#[test]
fn t12_nothing_in_the_files_reaches_the_terminal_as_control() {
    for detail in [Detail::Short, Detail::Full] {
        let text = terminal(&sample(), &clock(), detail);
        let text = plain(&text);
        assert!(text.contains(r"evil\x1b[2J\x0a"), "{text}");
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    }
    // What is ours: colours only.
    let coloured = terminal(&sample(), &clock(), Detail::Full);
    for escape in coloured.split('\x1b').skip(1) {
        let end = escape.find('m').unwrap();
        assert!(escape[1..end].bytes().all(|byte| byte.is_ascii_digit() || byte == b';'), "{escape:?}");
    }
}

#[test]
fn the_short_view_says_what_it_left_out() {
    let a = vec![0u8; 64 * 2000];
    let mut b = a.clone();
    b.iter_mut().step_by(64).for_each(|byte| *byte = 1);
    let comparison = compare_files(&a, &b, &Limits::default()).unwrap();
    let text = plain(&terminal(&comparison, &[], Detail::Short));
    assert!(text.contains("… 1 996 ranges more, see --full or --json"), "{text}");
    assert!(text.lines().count() < 60);
}
