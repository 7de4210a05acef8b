use super::*;
use crate::diff::{Limits, compare_files};

fn causes(a: &[u8], b: &[u8], proven: &[Proof]) -> Vec<Cause> {
    diagnose(&compare_files(&a, &b, &Limits::default()).unwrap(), proven)
}

fn ids(causes: &[Cause]) -> Vec<&str> {
    causes.iter().map(|cause| cause.entry.id).collect()
}

fn clock() -> Proof {
    Proof { setting: "clock".into(), a: "1577836800".into(), b: "1621047787".into() }
}

#[test]
fn identical_things_have_no_cause() {
    assert!(causes(b"same", b"same", &[clock()]).is_empty());
}

#[test]
fn a_date_in_text_is_named_with_both_spellings() {
    let found = causes(b"made Nov 21 2026 here\n", b"made Jan  1 2020 here\n", &[]);
    assert_eq!(ids(&found), ["embedded-build-time"]);
    let evidence = &found[0].evidence[0];
    assert_eq!(evidence.a.as_ref().unwrap().text, b"Nov 21 2026");
    assert_eq!(evidence.b.as_ref().unwrap().text, b"Jan  1 2020");
    assert_eq!(evidence.b.as_ref().unwrap().offset, Some(5));
    assert_eq!(found[0].confidence.word(), "high");
}

#[test]
fn a_proven_setting_is_named_and_explains_the_rest() {
    let found = causes(b"made Nov 21 2026 \0\x01\0", b"made Jan  1 2020 \0\x02\0", &[clock()]);
    assert_eq!(ids(&found), ["embedded-build-time"]);
    assert_eq!(found[0].confidence, Confidence::PROVEN);
    assert_eq!(found[0].proof, Some(clock()));
}

#[test]
fn what_no_rule_knows_is_counted() {
    let found = causes(b"\0\0abcd\0\0", b"\0\0wxyz\0\0", &[]);
    assert_eq!(ids(&found), ["unexplained"]);
    assert_eq!(found[0].bytes, 4);
}

fn proof(setting: &str) -> Proof {
    Proof { setting: setting.into(), a: "one".into(), b: "two".into() }
}

/// Binary, so that it is not compared by lines, with `text` inside.
fn binary(text: &str) -> Vec<u8> {
    [&[0, 1, 2, 3, 0][..], text.as_bytes(), &[0, 9, 9, 0]].concat()
}

#[test]
fn each_thing_that_builds_embed_is_named() {
    let hash = |c: &str| format!("/nix/store/{}-zlib-1.3.1/lib", c.repeat(32));
    for (id, a, b) in [
        ("nix-store-path", hash("a"), hash("b")),
        ("embedded-build-time", "12:34:56".into(), "12:35:07".into()),
        ("embedded-build-time", "built 1577836800 now".into(), "built 1621047787 now".into()),
        ("build-path", "/build/source/main.c".into(), "/tmp/nix-build-x.drv-0/source/main.c".into()),
        ("build-user-or-host", "nixbld1@alpha".into(), "nixbld12@beta".into()),
        ("build-user-or-host", "Linux version 6.1.0-9".into(), "Linux version 6.12.57-1".into()),
        ("compiler-version", "GCC: (GNU) 12.2.0".into(), "GCC: (GNU) 13.3.0".into()),
        ("parallelism", "make -j2 all".into(), "make -j16 all".into()),
        (
            "random-seed",
            "6f1c0a52-7d3e-4b8f-9a21-0c5d7e9f1b3a".into(),
            "d09a6b1e-12c4-4f7a-8e3d-5a7b9c1d2e4f".into(),
        ),
    ] {
        let (a, b): (String, String) = (a, b);
        for (a, b) in [(binary(&a), binary(&b)), (format!("x {a} y\n").into(), format!("x {b} y\n").into())] {
            let found = causes(&a, &b, &[]);
            assert_eq!(ids(&found), [id], "{}", String::from_utf8_lossy(&a));
            assert!(found[0].bytes > 0);
        }
    }
}

#[test]
fn a_store_path_names_its_package_on_both_sides() {
    let path = |c: &str| format!("/nix/store/{}-zlib-1.3.1", c.repeat(32));
    let found = causes(&binary(&path("a")), &binary(&path("b")), &[]);
    assert_eq!(found[0].evidence[0].a.as_ref().unwrap().text, path("a").as_bytes());
}

#[test]
fn every_setting_proves_a_cause_whatever_the_bytes_say() {
    for (setting, id) in [
        ("clock", "embedded-build-time"),
        ("seed", "random-seed"),
        ("cores", "parallelism"),
        ("rate", "parallelism"),
        ("memory", "parallelism"),
        ("hostname", "build-user-or-host"),
        ("user", "build-user-or-host"),
        ("build-dir", "build-path"),
    ] {
        let found = causes(b"\0\x11\x22\0", b"\0\x33\x44\0", &[proof(setting)]);
        assert_eq!(ids(&found), [id], "{setting}");
        assert_eq!(found[0].confidence.word(), "proven");
        assert_eq!(found[0].proof.as_ref().unwrap().setting, setting);
        assert_eq!(found[0].bytes, 2);
    }
}

#[test]
fn a_setting_nobody_knows_proves_nothing() {
    let found = causes(b"\0\x11\0", b"\0\x22\0", &[proof("moon")]);
    assert_eq!(ids(&found), ["unexplained"]);
}

#[test]
fn names_of_packages_are_no_paths_where_they_change_or_move() {
    let name = |curve: &str| format!("*func(crypto/internal/fips140/nistec.{curve}) go/build.Context");
    let (first, second) = (binary(&name("P224Point")), binary(&name("P256Point")));
    assert_eq!(ids(&causes(&first, &second, &[])), ["unexplained"]);
    // Behind what was inserted, every name stands elsewhere, beside another one.
    let names = ["P224Point", "P256Point", "P384Point", "P521Element"].map(name).concat();
    let moved = [&[7; 300][..], &names.as_bytes()[60..], &[1, 2, 3], &names.as_bytes()[..60]].concat();
    assert_eq!(ids(&causes(&binary(&names), &moved, &[])), ["unexplained"]);
    let at = |root: &str| binary(&format!("called by{root}/nistec/main.go or {}", name("P224Point")));
    assert_eq!(ids(&causes(&at("/build/one"), &at("/tmp/another"), &[])), ["build-path"]);
}

#[test]
fn what_moved_or_stayed_is_no_evidence() {
    // The date is the same on both sides; only the byte before it differs.
    let found = causes(b"\0\x11 Nov 21 2026\0", b"\0\x22 Nov 21 2026\0", &[]);
    assert_eq!(ids(&found), ["unexplained"]);
}

#[test]
fn order_and_line_endings_are_causes() {
    assert_eq!(ids(&causes(b"b\na\nc\n", b"a\nb\nc\n", &[])), ["unordered-output"]);
    assert_eq!(ids(&causes(b"a\r\nb\r\n", b"a\nb\n", &[])), ["line-endings"]);
}

#[test]
fn bytes_behind_the_cap_on_ranges_are_unexplained_not_forgotten() {
    let a = vec![0u8; 64 * 2000];
    let mut b = a.clone();
    b.iter_mut().step_by(64).for_each(|byte| *byte = 1);
    let found = causes(&a, &b, &[]);
    assert_eq!((found[0].entry.id, found[0].bytes, found[0].places), ("unexplained", 2000, 2000));
}

#[test]
fn the_catalogue_is_whole() {
    let mut ids: Vec<_> = CATALOGUE.iter().map(|entry| entry.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), CATALOGUE.len());
    for entry in CATALOGUE {
        assert!(
            [entry.title, entry.what, entry.example, entry.fix].iter().all(|text| !text.is_empty()),
            "{}",
            entry.id
        );
    }
}
