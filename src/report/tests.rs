//! The views that are made from one report, of things with names that mean harm.

use std::{
    collections::BTreeMap,
    io::Write as _,
    process::{Command, Stdio},
};

use super::{
    html, junit, sarif,
    subject::{Picture, Problem, Report, Seen, Spot, Standing, Subject},
};
use crate::{
    diagnose::{Cause, diagnose},
    diff::{Comparison, Content, Entry, Limits, Tree, compare_trees},
};

/// What would run, close an element or an attribute, or move a cursor.
const EVIL: &str = "\"><script>alert(1)</script>'&<!--]]>\u{1b}[2J\u{202e}";

/// A folder of files in memory.
struct Folder {
    entries: BTreeMap<Vec<u8>, Entry>,
    files: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Folder {
    fn of(files: &[(&str, &[u8])]) -> Folder {
        let entry = |(name, bytes): &(&str, &[u8])| {
            (name.as_bytes().to_vec(), Entry::Regular { executable: false, size: bytes.len() })
        };
        let root = (Vec::new(), Entry::Directory);
        let entries = files.iter().map(entry).chain([root]).collect();
        let files = files.iter().map(|(name, bytes)| (name.as_bytes().to_vec(), bytes.to_vec())).collect();
        Folder { entries, files }
    }
}

impl Tree for Folder {
    fn entries(&self) -> &BTreeMap<Vec<u8>, Entry> {
        &self.entries
    }

    fn open(&self, path: &[u8]) -> std::io::Result<Box<dyn Content + '_>> {
        Ok(Box::new(self.files[path].as_slice().to_vec()))
    }
}

fn compared() -> (Comparison, Vec<Cause>) {
    let text = format!("one\n{EVIL}\nthree\n");
    let a = Folder::of(&[(EVIL, b"\0\x01built on Jan  1 2020"), ("text", text.as_bytes()), ("only", b"x")]);
    let b = Folder::of(&[(EVIL, b"\0\x01built on Feb  2 2021"), ("text", b"one\n<b>\nthree\n")]);
    let comparison = compare_trees(&a, &b, &Limits::default()).unwrap();
    let causes = diagnose(&comparison, &[]);
    (comparison, causes)
}

fn report<'a>(comparison: &'a Comparison, causes: &'a [Cause]) -> Report<'a> {
    let subject = |name: &str, standing, word: &str| Subject {
        name: name.to_owned(),
        standing,
        word: word.to_owned(),
        level: Some("level 0 (built)".to_owned()),
        reason: (standing == Standing::Unknown).then(|| format!("no builder: {EVIL}")),
        facts: vec![("path".to_owned(), EVIL.to_owned())],
        seen: Vec::new(),
        judgement: None,
    };
    let mut different = subject(EVIL, Standing::Bad, "diverged");
    different.seen.push(Seen { a: "round 1".to_owned(), b: EVIL.to_owned(), comparison, causes });
    let spot = |needs, standing| Spot {
        name: EVIL.to_owned(),
        depth: usize::from(standing == Some(Standing::Bad)),
        needs,
        standing,
        word: "built".to_owned(),
    };
    Report {
        verb: "verify",
        subjects: vec![
            subject("good", Standing::Good, "reproduced"),
            different,
            subject("unknown", Standing::Unknown, "not-built"),
        ],
        problems: vec![Problem { code: "RP0710".to_owned(), text: EVIL.to_owned() }],
        graph: Some(Picture { nodes: vec![spot(Vec::new(), None), spot(vec![0], Some(Standing::Bad))] }),
    }
}

/// What `python3` makes of `document` with a program that reads it from standard input.
pub(in crate::report) fn python(program: &str, document: &str) -> String {
    let mut child = Command::new("python3")
        .args(["-c", program])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3");
    child.stdin.take().unwrap().write_all(document.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{document}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn nothing_from_outside_becomes_part_of_the_page() {
    let (comparison, causes) = compared();
    let page = html::page(&report(&comparison, &causes));
    assert_eq!(page.matches("<script>").count(), 1, "our own");
    assert!(!page.contains('\u{1b}') && !page.contains('\u{202e}') && !page.contains("<b>"));
    assert!(!page.contains("http://") && !page.contains("https://"), "no network");
    // Every element that is opened is closed, in order; text stays text.
    let program = r#"
import sys
from html.parser import HTMLParser
VOID = {'meta', 'input'}
class Reader(HTMLParser):
    def __init__(self):
        super().__init__(); self.open = []; self.seen = set(); self.text = ''
    def handle_starttag(self, tag, attributes):
        self.seen.add(tag)
        assert not any(name.startswith('on') for name, _ in attributes), attributes
        if tag not in VOID: self.open.append(tag)
    def handle_startendtag(self, tag, attributes): self.seen.add(tag)
    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag
    def handle_data(self, data): self.text += data
    def handle_comment(self, data): raise AssertionError('a comment')
reader = Reader(); reader.feed(sys.stdin.read()); reader.close()
assert not reader.open, reader.open
assert 'alert(1)' in reader.text
print(' '.join(sorted(reader.seen)))
"#;
    insta::assert_snapshot!(python(program, &page));
}

#[test]
fn build_servers_read_the_verdicts_and_what_was_not_checked_is_an_error() {
    let (comparison, causes) = compared();
    let document = junit::document(&report(&comparison, &causes));
    let program = "
import sys, xml.etree.ElementTree as tree
root = tree.fromstring(sys.stdin.read().encode())
suite = root.find('testsuite')
print(dict(suite.attrib))
for case in suite:
    print(case.get('name'), [(child.tag, child.get('type'), child.get('message')) for child in case])
";
    insta::assert_snapshot!(python(program, &document));
}

#[test]
fn code_hosts_read_the_causes() {
    let (comparison, causes) = compared();
    let mut document = serde_json::to_value(sarif::document(&report(&comparison, &causes))).unwrap();
    assert_eq!(document["version"], "2.1.0");
    let run = &document["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    for result in run["results"].as_array().unwrap() {
        let rule = result["ruleIndex"].as_u64().unwrap() as usize;
        assert_eq!(rules[rule]["id"], result["ruleId"]);
    }
    // The catalogue grows.
    let results = document["runs"][0]["results"].as_array_mut().unwrap();
    for result in results.iter_mut() {
        result.as_object_mut().unwrap().remove("ruleIndex");
    }
    insta::assert_json_snapshot!(results);
}
