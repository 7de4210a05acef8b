use super::*;
use crate::{
    diagnose::diagnose,
    diff::{Limits, compare_files},
};

/// An entry for a cause anywhere, with `more` lines.
fn entry(cause: &str, more: &str) -> String {
    let expires = if more.contains("expires") { "" } else { "expires = 2030-01-01\n" };
    let path = if more.contains("path =") { "" } else { "path = \"**\"\n" };
    format!("[[accepted]]\n{path}cause = \"{cause}\"\nreason = \"known\"\nowner = \"me\"\n{expires}{more}\n")
}

fn judge(text: &str, a: &[u8], b: &[u8]) -> Judgement {
    let comparison = compare_files(&a, &b, &Limits::default()).unwrap();
    let causes = diagnose(&comparison, &[]);
    Accepted::parse(text).unwrap().judge(b"hello-2.10", &comparison, &causes)
}

const DATES: (&[u8], &[u8]) = (b"made Nov 21 2026 here\n", b"made Jan  1 2020 here\n");

#[test]
fn what_an_entry_names_is_accepted_and_counted() {
    let judgement = judge(&entry("embedded-build-time", ""), DATES.0, DATES.1);
    assert!(judgement.all_accepted());
    assert_eq!((judgement.met.len(), judgement.met[0].places), (1, 1));
    assert!(judgement.met[0].bytes > 0);
}

#[test]
fn another_cause_is_left_open() {
    let judgement = judge(&entry("build-path", ""), DATES.0, DATES.1);
    assert!(!judgement.all_accepted() && judgement.met.is_empty());
    assert_eq!(judgement.open[0].cause, Some("embedded-build-time"));
}

#[test]
fn one_accepted_cause_does_not_cover_another_in_the_same_file() {
    let (a, b) = (b"made Nov 21 2026 \0\x01\x07\0", b"made Jan  1 2020 \0\x02\x09\0");
    let judgement = judge(&entry("embedded-build-time", ""), a, b);
    assert_eq!(judgement.met.len(), 1);
    assert_eq!(judgement.open.iter().map(|open| open.cause).collect::<Vec<_>>(), [Some("unexplained")]);
    let both = entry("embedded-build-time", "") + &entry("unexplained", "");
    assert!(judge(&both, a, b).all_accepted());
}

#[test]
fn each_pattern_narrows() {
    for (more, accepted) in [
        ("package = \"hello-*\"", true),
        ("package = \"other\"", false),
        ("path = \".\"", true),
        ("path = \"bin/*\"", false),
        ("section = \".rodata\"", false),
        ("member = \"?*\"", false),
        ("member = \"\"", true),
    ] {
        let judgement = judge(&entry("embedded-build-time", more), DATES.0, DATES.1);
        assert_eq!(judgement.all_accepted(), accepted, "{more}");
    }
}

#[test]
fn a_star_in_a_path_stops_at_a_slash() {
    let accepted = Accepted::parse(&entry("build-path", "path = \"share/*\"")).unwrap();
    let site = |path: &str| Site { path: path.into(), inside: Vec::new(), part: None, places: 1, bytes: 1 };
    let cause = crate::diagnose::find("build-path").unwrap();
    let accepts = |path: &str| accepted.entries()[0].accepts(b"p", cause, &site(path));
    assert!(accepts("share/a") && !accepts("share/a/b"));
}

#[test]
fn a_member_is_named_by_its_way_through_the_archives() {
    let accepted = Accepted::parse(&entry("archive-member-mtime", "member = \"data.tar!*\"")).unwrap();
    let cause = crate::diagnose::find("archive-member-mtime").unwrap();
    let site = |inside: &[&[u8]]| Site {
        path: b"a.deb".to_vec(),
        inside: inside.iter().map(|name| name.to_vec()).collect(),
        part: None,
        places: 1,
        bytes: 0,
    };
    let accepts = |inside: &[&[u8]]| accepted.entries()[0].accepts(b"p", cause, &site(inside));
    assert!(accepts(&[b"data.tar", b"./usr/bin/x"]));
    assert!(!accepts(&[b"control.tar", b"./control"]));
}

#[test]
fn the_last_day_still_counts() {
    let accepted = Accepted::parse(&entry("build-path", "expires = 2026-11-22")).unwrap();
    assert_eq!(accepted.expired(Date::new(2026, 11, 22)), None);
    let error = accepted.expired(Date::new(2026, 11, 23)).unwrap();
    assert_eq!(error.code(), Code(952));
    assert!(error.to_string().contains("expired on 2026-11-22") && error.to_string().contains("ask me"));
    assert_eq!(Date::of_seconds(1_795_305_600).to_string(), "2026-11-22");
}

#[test]
fn an_entry_is_unused_only_once_what_it_is_for_was_compared() {
    let text = entry("build-path", "package = \"a-*\"") + &entry("build-path", "package = \"b-*\"");
    let accepted = Accepted::parse(&text).unwrap();
    let numbers = |compared: &[&str], met: &[usize]| {
        let compared = compared.iter().map(|name| name.as_bytes().to_vec()).collect();
        let met = met.iter().copied().collect();
        let unused = accepted.unused(&compared, &met);
        unused
            .map(|error| match error {
                AcceptedError::Unused { number, .. } => number,
                other => panic!("{other}"),
            })
            .collect::<Vec<_>>()
    };
    assert!(numbers(&[], &[]).is_empty());
    assert_eq!(numbers(&["a-1"], &[]), [1]);
    assert_eq!(numbers(&["a-1", "b-1"], &[1]), [2]);
    assert!(numbers(&["a-1", "b-1"], &[1, 2]).is_empty());
}

#[test]
fn files_that_cannot_be_meant_are_refused_with_the_entry_and_key() {
    for (text, says) in [
        ("accepted = 1", "cannot be read"),
        (&*(entry("build-path", "") + "more = 1"), "unknown field `more`"),
        (&entry("no-such-cause", ""), "entry 1: `cause`: there is no cause `no-such-cause`"),
        (&entry("build-path", "path = \"[\""), "entry 1: `path`"),
        (&entry("build-path", "expires = 2026-11-22T10:00:00Z"), "entry 1: `expires`"),
        (
            &(entry("build-path", "") + &entry("build-path", "").replace("\"me\"", "\" \"")),
            "entry 2: `owner`",
        ),
        (&entry("build-path", "").replace("reason = \"known\"\n", ""), "missing field `reason`"),
    ] {
        let error = Accepted::parse(text).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn what_only_follows_is_accepted_with_what_it_follows_from_and_never_alone() {
    let cause = |id: &str, derived: bool, path: &str| Cause {
        entry: crate::diagnose::find(id).unwrap(),
        confidence: crate::diagnose::Confidence::HIGH,
        derived,
        proof: None,
        evidence: Vec::new(),
        sites: vec![Site { path: path.into(), inside: Vec::new(), part: None, places: 1, bytes: 1 }],
        places: 1,
        bytes: 1,
    };
    let accepted = Accepted::parse(&entry("embedded-build-time", "")).unwrap();
    let judge = |causes: &[Cause]| accepted.judge(b"p", &Comparison::default(), causes);
    let date = || cause("embedded-build-time", false, "bin/a");
    assert!(judge(&[date(), cause("build-id-random", true, "bin/a")]).all_accepted());
    assert!(!judge(&[date(), cause("build-id-random", true, "bin/b")]).all_accepted());
    assert!(!judge(&[cause("build-id-random", true, "bin/a")]).all_accepted());
}

#[test]
fn a_file_that_no_cause_speaks_of_is_never_accepted() {
    let comparison = compare_files(&DATES.0, &DATES.1, &Limits::default()).unwrap();
    let accepted = Accepted::parse(&entry("embedded-build-time", "")).unwrap();
    let judgement = accepted.judge(b"p", &comparison, &[]);
    assert_eq!(judgement.open.len(), 1);
    assert_eq!(judgement.open[0].cause, None);
}
