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
