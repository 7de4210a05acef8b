use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::{
    mirror::{
        admission::{Refusal, RefusedOutput},
        conflict::{Bits, Conflict},
        document::Told,
        holdings::{Dated, ReadBy, Shown, Testimony, Totals, Unread, Waiting},
        policy::{Policy, Trusted},
    },
    nix::{hash::NarHash, secret_key},
};

/// What everything from outside is in these tests.
const EVIL: &str = "</td><script>alert(1)</script>\"'&<b onmouseover=alert(2)>\u{1b}[2J\u{202e}";

fn path(number: usize, name: &str) -> StorePath {
    StorePath::from_base_name(format!("{number:032}-{name}").as_bytes()).unwrap()
}

fn evil() -> Holdings {
    let key = secret_key::spelled("k-1", &[1; 32]).parse().unwrap();
    let mut policy = Policy::from_toml("", &key).unwrap();
    policy.signers[0].name = EVIL.to_owned();
    policy.signers[0].keys = vec![EVIL.to_owned()];
    policy.policies = vec![EVIL.to_owned()];
    policy.systems = [(EVIL.to_owned(), vec![EVIL.to_owned()])].into();
    policy.trusted = vec![Trusted { what: EVIL.to_owned(), why: EVIL.to_owned() }];
    let said = |ground| Testimony {
        by: EVIL.to_owned(),
        object: EVIL.to_owned(),
        ground,
        inputs: BTreeSet::from([path(9, "elsewhere")]),
        seeds: BTreeSet::from([path(1, "a?b=c")]),
        sources: 1,
        log: true,
        shown: Some(Shown {
            verdict: EVIL.to_owned(),
            level: u64::MAX,
            level_name: EVIL.to_owned(),
            rounds: [(EVIL.to_owned(), 2)].into(),
            references: vec![EVIL.to_owned()],
        }),
    };
    let held = |path: StorePath, ground| Held {
        path,
        nar_hash: NarHash([7; 32]),
        nar_size: u64::MAX,
        file_size: Some(u64::MAX),
        references: BTreeSet::new(),
        signed: vec![EVIL.to_owned()],
        said: vec![said(ground)],
        read: vec![ReadBy { by: EVIL.to_owned(), object: EVIL.to_owned() }],
    };
    let built = Ground::Built { derivation: path(3, "x?y.drv"), output: EVIL.to_owned() };
    let bits = Bits { nar_hash: NarHash([8; 32]), nar_size: 1, references: Vec::new() };
    let conflict = Conflict {
        schema: EVIL.to_owned(),
        path: path(1, "a?b=c"),
        admitted: bits.clone(),
        narinfo: Some(EVIL.to_owned()),
        found: bits,
    };
    let output = RefusedOutput {
        output: EVIL.to_owned(),
        path: None,
        nar_hashes: Vec::new(),
        causes: vec![EVIL.to_owned()],
    };
    let refusal = Refusal { schema: EVIL.to_owned(), derivation: path(4, "r.drv"), outputs: vec![output] };
    Holdings {
        policy,
        stand_for_policy: vec![EVIL.to_owned()],
        paths: vec![
            held(path(1, "a?b=c"), Ground::Seed { why: EVIL.to_owned() }),
            held(path(2, "b-1.0"), built),
        ],
        pending: vec![Waiting {
            path: path(5, "p-1"),
            nar_hash: NarHash([9; 32]),
            nar_size: 1,
            signed: vec![EVIL.to_owned()],
        }],
        refusals: vec![Told { document: refusal, by: vec![EVIL.to_owned()] }],
        conflicts: vec![Told { document: conflict, by: vec![EVIL.to_owned()] }],
        snapshots: vec![Dated {
            by: EVIL.to_owned(),
            object: EVIL.to_owned(),
            number: u64::MAX,
            made: "2026-01-01T00:00:00Z".parse().unwrap(),
            until: "9999-12-31T23:59:59Z".parse().unwrap(),
            paths: usize::MAX,
        }],
        unread: vec![Unread { object: EVIL.to_owned(), why: EVIL.to_owned() }],
        totals: Totals {
            paths: 2,
            built: 1,
            seeds: 1,
            levels: BTreeMap::from([(u64::MAX, 1)]),
            pending: 9,
            refusals: 9,
            conflicts: 9,
            unread: 9,
            too_few: 1,
            ..Totals::default()
        },
    }
}

#[test]
fn nothing_from_outside_becomes_part_of_the_page() {
    let page = page(&evil(), None).html;
    assert!(!page.contains('\u{1b}') && !page.contains('\u{202e}') && !page.contains("<b "));
    assert!(!page.contains("<script") && !page.contains("http://") && !page.contains("https://"));
    // Every element that is opened is closed, in order; every link leads into the page or to an object; all of it is text.
    let program = r#"
import sys
from html.parser import HTMLParser
VOID = {'meta', 'br', 'link', 'path', 'rect'}
class Reader(HTMLParser):
    def __init__(self):
        super().__init__(); self.open = []; self.ids = set(); self.links = set(); self.text = ''
    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            assert not name.startswith('on') and name != 'style', attributes
            if name == 'id': assert value not in self.ids, value; self.ids.add(value)
            if name == 'href': self.links.add(value)
            if name in ('href', 'src'): assert ':' not in value and not value.startswith('/'), value
        if tag == 'th': assert any(name == 'scope' for name, _ in attributes), attributes
        if tag not in VOID: self.open.append(tag)
    def handle_startendtag(self, tag, attributes): pass
    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag
    def handle_data(self, data): self.text += data
    def handle_comment(self, data): raise AssertionError('a comment')
reader = Reader(); reader.feed(sys.stdin.read()); reader.close()
assert not reader.open, reader.open
assert reader.text.count('alert(1)') > 15, reader.text.count('alert(1)')
missing = [link for link in reader.links if link.startswith('#') and link[1:] not in reader.ids]
assert not missing, missing
print(' '.join(sorted(link for link in reader.links if not link.startswith('#'))))
"#;
    let links = crate::report::tests::python(program, &page);
    assert!(links.contains("log/00000000000000000000000000000003-x%3Fy.drv"), "{links}");
    assert!(links.contains("00000000000000000000000000000009.narinfo"), "{links}");
}

#[test]
fn an_address_is_told_only_when_it_means_the_same_everywhere() {
    for good in
        ["https://mirror.example", "http://127.0.0.1:8080/m/", "file:///srv/mirror", "s3://bucket/a-b"]
    {
        let address = Address::parse(good).unwrap();
        let html = page(&evil(), Some(&address)).html;
        assert!(html.contains(&format!("--from {} ", good.trim_end_matches('/'))), "{good}");
        assert_eq!(Address::of_page(html.as_bytes()), Some(address));
    }
    let long = format!("https://{}", "a".repeat(MAX_ADDRESS));
    for bad in [
        "",
        "mirror",
        "ftp://x",
        "https://",
        "https://a'b",
        "https://a b",
        "https://a\"b",
        "https://$(x)",
        "https://a;b",
        "javascript://x",
        &long,
    ] {
        assert_eq!(Address::parse(bad), None, "{bad}");
    }
    assert_eq!(Address::of_page(page(&evil(), None).html.as_bytes()), None);
    assert_eq!(Address::of_page(b"<link rel=\"canonical\" href=\"https://a'/\">"), None);
}

#[test]
fn names_come_apart_as_nix_takes_them_apart() {
    for (name, expected) in [
        ("zlib-1.3.1", ("zlib", "1.3.1")),
        ("zlib-1.3.1-dev", ("zlib", "1.3.1-dev")),
        ("gtk+-3.24", ("gtk+", "3.24")),
        ("greeting", ("greeting", "")),
        ("a-b", ("a-b", "")),
        ("x-", ("x-", "")),
        ("-1", ("-1", "")),
        ("lua5.4-_x", ("lua5.4", "_x")),
    ] {
        assert_eq!(name_and_version(name), expected, "{name}");
    }
}
