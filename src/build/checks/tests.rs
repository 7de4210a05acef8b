//! The rules, one by one; what they are in Nix was read off `LocalDerivationGoal::checkOutputs`' behaviour.

use std::{io::Write as _, sync::Arc};

use super::*;
use crate::{
    build::inputs::InputObject,
    machine::Region,
    nix::{derivation::Derivation, hash::NarHash},
};

fn path(name: &str) -> StorePath {
    let letter = name.chars().next().unwrap();
    StorePath::from_base_name(format!("{}-{name}", letter.to_string().repeat(32)).as_bytes()).unwrap()
}

fn paths(names: &[&str]) -> BTreeSet<StorePath> {
    names.iter().map(|name| path(name)).collect()
}

/// Inputs `a` -> `b` of 100 bytes each; outputs `out` (named x) -> a, lib, itself; `lib` (named y) -> b.
struct Fixture {
    inputs: Inputs,
    outputs: BTreeMap<String, Output>,
}

fn fixture() -> Fixture {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&[0; 100]).unwrap();
    let nar = Region::new(Arc::new(file), 0, 100);
    let input = |references: &[&str]| InputObject {
        nar: nar.clone(),
        nar_hash: NarHash([0; 32]),
        references: paths(references),
    };
    let output = |name: &str, references: &[&str]| Output {
        path: path(name),
        nar_hash: NarHash([0; 32]),
        nar_size: 1000,
        references: paths(references),
    };
    Fixture {
        inputs: BTreeMap::from([(path("a"), input(&["b"])), (path("b"), input(&[]))]),
        outputs: BTreeMap::from([
            ("out".to_owned(), output("x", &["a", "x", "y"])),
            ("lib".to_owned(), output("y", &["b"])),
        ]),
    }
}

fn run(env: &str) -> Result<Result<(), Violation>, ContractError> {
    let text = format!(
        r#"Derive([("out","/nix/store/00000000000000000000000000000000-x","","")],[],[],"x86_64-linux","/b",[],[{env}])"#
    );
    let derivation = Derivation::parse(text.as_bytes()).unwrap();
    let Fixture { inputs, outputs } = fixture();
    Checks { outputs: &outputs, inputs: &inputs }.run(&Attributes::of(&derivation).unwrap())
}

fn list_of(attribute: &str, list: &str) -> Result<(), Violation> {
    run(&format!(r#"("{attribute}","{list}")"#)).unwrap()
}

fn forbidden(attribute: &str, list: &str) -> (String, Vec<StorePath>) {
    match list_of(attribute, list) {
        Err(Violation::References { output, paths, .. }) => (output, paths),
        other => panic!("{other:?}"),
    }
}

fn structured(checks: &str) -> Result<Result<(), Violation>, ContractError> {
    let json = format!(r#"{{"outputChecks":{{"out":{checks}}}}}"#).replace('"', "\\\"");
    run(&format!(r#"("__json","{json}")"#))
}

#[test]
fn nothing_said_nothing_forbidden() {
    assert_eq!(run("").unwrap(), Ok(()));
}

#[test]
fn allowed_references_are_direct_and_name_the_output_itself() {
    let all = format!("{} {} out lib", path("a"), path("b"));
    assert_eq!(list_of("allowedReferences", &all), Ok(()));
    let without_self = format!("{} {} lib", path("a"), path("b"));
    assert_eq!(forbidden("allowedReferences", &without_self), ("out".to_owned(), vec![path("x")]));
    assert_eq!(forbidden("allowedReferences", ""), ("lib".to_owned(), vec![path("b")]));
}

#[test]
fn allowed_requisites_are_the_closure_without_the_output_itself() {
    let all = format!("{} {} lib", path("a"), path("b"));
    assert_eq!(list_of("allowedRequisites", &all), Ok(()));
    let without_b = format!("{} lib", path("a"));
    assert_eq!(forbidden("allowedRequisites", &without_b).1, [path("b")]);
}

#[test]
fn disallowed_references_are_direct_and_requisites_are_not() {
    assert_eq!(list_of("disallowedReferences", &path("z").to_string()), Ok(()));
    assert_eq!(
        forbidden("disallowedReferences", &path("a").to_string()),
        ("out".to_owned(), vec![path("a")])
    );
    assert_eq!(forbidden("disallowedReferences", "lib").1, [path("y")]);
    // `out` reaches b through a and through lib; only lib refers to it itself.
    assert_eq!(forbidden("disallowedReferences", &path("b").to_string()).0, "lib");
    assert_eq!(forbidden("disallowedRequisites", &path("b").to_string()).1, [path("b")]);
    assert_eq!(list_of("disallowedRequisites", "out"), Ok(()));
}

#[test]
fn a_specifier_must_be_a_path_or_an_output() {
    let error = run(r#"("allowedReferences","doc")"#).unwrap_err();
    assert!(matches!(error, ContractError::Specifier { .. }), "{error}");
}

#[test]
fn structured_checks_are_for_one_output_and_know_sizes() {
    assert_eq!(structured(r#"{"maxSize":1000,"maxClosureSize":2200}"#).unwrap(), Ok(()));
    let size = |checks: &str| match structured(checks).unwrap() {
        Err(Violation::Size { size, .. }) => size,
        other => panic!("{other:?}"),
    };
    assert_eq!(size(r#"{"maxSize":999}"#), 1000);
    assert_eq!(size(r#"{"maxClosureSize":2199}"#), 2200);
    // Without ignoreSelfRefs the output itself counts.
    let requisites = |more: &str| {
        structured(&format!(r#"{{"allowedRequisites":["{}","{}","lib"]{more}}}"#, path("a"), path("b")))
            .unwrap()
    };
    assert!(requisites("").is_err());
    assert_eq!(requisites(r#","ignoreSelfRefs":true"#), Ok(()));
    assert!(structured(r#"{"maxSize":-1}"#).is_err());
    assert!(structured(r#"{"allowedReferences":"out"}"#).is_err());
    assert!(structured("[]").is_err());
}

#[test]
fn structured_attributes_turn_the_plain_lists_off() {
    assert_eq!(run(r#"("__json","{\"allowedReferences\":[]}")"#).unwrap(), Ok(()));
}

#[test]
fn outputs_must_not_refer_to_each_other_in_a_cycle() {
    let Fixture { inputs, mut outputs } = fixture();
    outputs.get_mut("lib").unwrap().references.insert(path("x"));
    let found = Checks { outputs: &outputs, inputs: &inputs }.no_cycle();
    assert_eq!(found, Err(Violation::Cycle { outputs: vec!["lib".to_owned(), "out".to_owned()] }));
}
