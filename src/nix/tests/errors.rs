use std::collections::BTreeSet;

use crate::nix::EXPLANATIONS;

#[test]
fn codes_are_explained_once_and_in_range() {
    let codes: BTreeSet<_> = EXPLANATIONS.iter().map(|explanation| explanation.code.0).collect();
    assert_eq!(codes.len(), EXPLANATIONS.len());
    assert!(codes.iter().all(|code| (100..200).contains(code)));
    // Every code the errors give out: the numbers in the source of `error.rs` are the whole truth.
    let source = include_str!("../error.rs");
    let given: BTreeSet<u16> = source
        .split("Code(")
        .skip(1)
        .filter_map(|rest| rest.split_once(')').and_then(|(number, _)| number.parse().ok()))
        .collect();
    assert_eq!(given, codes);
}
