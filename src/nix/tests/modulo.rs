use std::collections::{BTreeMap, BTreeSet};

use super::path;
use crate::nix::{
    derivation::{Derivation, Output},
    drv_check,
    hash::{Algorithm, Hash},
    hash_modulo::{HashModulos, ModuloError, OutputCheck, own_path},
    make_path::{Method, fixed_output_path},
    store_path::StorePath,
};

fn derivation(output: Output, inputs: &[&StorePath]) -> Derivation {
    let wanted = BTreeSet::from(["out".to_owned()]);
    Derivation {
        outputs: BTreeMap::from([("out".to_owned(), output)]),
        input_drvs: inputs.iter().map(|input| ((*input).clone(), wanted.clone())).collect(),
        input_srcs: BTreeSet::new(),
        system: b"x86_64-linux".to_vec(),
        builder: b"/bin/sh".to_vec(),
        args: Vec::new(),
        env: BTreeMap::new(),
    }
}

fn input_addressed(inputs: &[&StorePath]) -> Derivation {
    derivation(Output::InputAddressed { path: path(0, "x") }, inputs)
}

fn fixed(name: &str, url: &str) -> Derivation {
    let hash = Hash::of(Algorithm::Sha256, b"contents");
    let path = fixed_output_path(name, Method::Flat, &hash).expect("valid");
    let mut derivation = derivation(Output::Fixed { path, method: Method::Flat, hash }, &[]);
    derivation.env.insert(b"url".to_vec(), url.as_bytes().to_vec());
    derivation
}

fn chain(length: u64) -> impl Fn(&StorePath) -> Derivation {
    let names: BTreeMap<StorePath, u64> = (0..length).map(|n| (path(n, "n.drv"), n)).collect();
    move |drv_path| match names[drv_path] {
        0 => input_addressed(&[]),
        n => input_addressed(&[&path(n - 1, "n.drv")]),
    }
}

#[test]
fn t11_a_chain_of_a_hundred_thousand() {
    let resolve = chain(100_000);
    let mut modulos = HashModulos::new();
    let last = path(99_999, "n.drv");
    modulos
        .insert_closure(&last, |path| Ok::<_, ModuloError>(resolve(path)))
        .expect("a closure without faults");
    assert!(modulos.get(&last).is_some());
}

#[test]
fn t11_a_diamond_of_forty_levels_is_read_once() {
    let mut reads = 0;
    let level = |n: u64| [path(2 * n, "n.drv"), path(2 * n + 1, "n.drv")];
    let levels: BTreeMap<StorePath, u64> = (0..40).flat_map(|n| level(n).map(|path| (path, n))).collect();
    let mut modulos = HashModulos::new();
    let resolve = |path: &StorePath| {
        reads += 1;
        Ok::<_, ModuloError>(match levels[path] {
            0 => {
                // The two of the lowest level must differ, or all levels merge.
                let mut derivation = input_addressed(&[]);
                derivation.args.push(path.base_name().as_bytes().to_vec());
                derivation
            }
            n => {
                let mut derivation = input_addressed(&level(n - 1).each_ref());
                derivation.args.push(path.base_name().as_bytes().to_vec());
                derivation
            }
        })
    };
    modulos.insert_closure(&level(39)[0], resolve).expect("a closure without faults");
    assert_eq!(reads, 79);
}

#[test]
fn t10_a_circle_is_named() {
    let (a, b, c) = (path(1, "a.drv"), path(2, "b.drv"), path(3, "c.drv"));
    let resolve = |path: &StorePath| {
        let next = if *path == a {
            &b
        } else if *path == b {
            &c
        } else {
            &b
        };
        Ok::<_, ModuloError>(input_addressed(&[next]))
    };
    let error = HashModulos::new().insert_closure(&a, resolve).expect_err("a circle");
    assert_eq!(error, ModuloError::Cycle { cycle: vec![b.clone(), c.clone(), b.clone()] });
    let own = HashModulos::new().insert_closure(&a, |_| Ok::<_, ModuloError>(input_addressed(&[&a])));
    assert_eq!(own, Err(ModuloError::Cycle { cycle: vec![a.clone(), a.clone()] }));
}

#[test]
fn t10_a_folder_with_a_circle() {
    let (a, b, c) = (path(1, "a.drv"), path(2, "b.drv"), path(3, "c.drv"));
    let files = [(&a, &b), (&b, &a), (&c, &a)]
        .map(|(path, input)| (path.base_name().as_bytes().to_vec(), input_addressed(&[input]).serialise()));
    let found = drv_check::check(files);
    assert_eq!((found.derivations, found.reserialised_equal, found.output_paths_equal), (3, 3, 0));
    assert_eq!(found.errors.len(), 3);
    assert!(found.errors.iter().all(|fault| fault.code == "RP0121" && fault.message.contains("→")));
}

#[test]
fn missing_inputs_and_outputs() {
    let (a, b) = (path(1, "a.drv"), path(2, "b.drv"));
    let mut modulos = HashModulos::new();
    let needs_b = input_addressed(&[&b]);
    let missing = ModuloError::MissingInput { derivation: a.clone(), input: b.clone() };
    assert_eq!(modulos.insert(&a, &needs_b), Err(missing.clone()));
    assert_eq!(modulos.check_paths(&a, &needs_b), Err(missing));
    let mut other_output = input_addressed(&[]);
    other_output.outputs =
        BTreeMap::from([("dev".to_owned(), Output::InputAddressed { path: path(0, "x") })]);
    modulos.insert(&b, &other_output).expect("no inputs");
    assert!(matches!(modulos.insert(&a, &needs_b), Err(ModuloError::MissingOutput { .. })));
}

#[test]
fn inputs_that_share_a_hash_modulo_are_one() {
    let mut modulos = HashModulos::new();
    let (one, two) = (path(1, "f.drv"), path(2, "f.drv"));
    modulos.insert(&one, &fixed("f", "https://one")).expect("a leaf");
    modulos.insert(&two, &fixed("f", "https://two")).expect("a leaf");
    assert_eq!(modulos.get(&one), modulos.get(&two));
    let user = path(3, "u.drv");
    let computed = |inputs: &[&StorePath]| {
        let check = modulos.check_paths(&user, &input_addressed(inputs)).expect("inputs are there");
        match &check.outputs["out"] {
            OutputCheck::Different { computed, .. } => computed.clone(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(computed(&[&one]), computed(&[&two]));
    assert_eq!(computed(&[&one]), computed(&[&one, &two]));
}

#[test]
fn t08_wrong_paths_are_found() {
    let drv_path = path(1, "n.drv");
    let modulos = HashModulos::new();
    let wrong = input_addressed(&[]);
    let check = modulos.check_paths(&drv_path, &wrong).expect("no inputs");
    let OutputCheck::Different { stated, computed } = &check.outputs["out"] else { panic!("{check:?}") };
    assert_eq!(stated.as_ref(), Some(&path(0, "x")));
    assert!(!check.is_right(&drv_path));
    // With the path put right it is accepted, since its own path does not enter the hash.
    let right = derivation(Output::InputAddressed { path: computed.clone() }, &[]);
    let own = own_path(&drv_path, &right).expect("a valid name");
    let check = modulos.check_paths(&own, &right).expect("no inputs");
    assert!(check.is_right(&own));
    // A fixed output's path follows from its hash.
    let mut forged = fixed("f", "https://one");
    if let Some(Output::Fixed { path: stated, .. }) = forged.outputs.get_mut("out") {
        *stated = path(5, "f");
    }
    let check = modulos.check_paths(&path(2, "f.drv"), &forged).expect("no inputs");
    assert!(matches!(check.outputs["out"], OutputCheck::Different { .. }));
}

#[test]
fn t08_paths_known_only_after_a_build() {
    let mut modulos = HashModulos::new();
    let floating = Output::Floating { method: Method::Recursive, algorithm: Algorithm::Sha256 };
    let leaf = path(1, "leaf.drv");
    let check = modulos.check_paths(&leaf, &derivation(floating.clone(), &[])).expect("no inputs");
    assert!(matches!(check.outputs["out"], OutputCheck::NotComputable { .. }));
    modulos.insert(&leaf, &derivation(floating, &[])).expect("no inputs");
    assert_eq!(modulos.get(&leaf), None);
    let user = path(2, "user.drv");
    let check =
        modulos.check_paths(&user, &derivation(Output::Deferred, &[&leaf])).expect("inputs are there");
    assert!(matches!(check.outputs["out"], OutputCheck::NotComputable { .. }));
    // An output that states a path although it cannot be known is not called right.
    let check = modulos.check_paths(&user, &input_addressed(&[&leaf])).expect("inputs are there");
    assert!(matches!(check.outputs["out"], OutputCheck::Unfounded { .. }), "{check:?}");
    assert!(!check.is_right(&check.drv_path));
    // An output that is deferred without need is not right either.
    let check = modulos.check_paths(&user, &derivation(Output::Deferred, &[])).expect("no inputs");
    assert!(matches!(check.outputs["out"], OutputCheck::Different { stated: None, .. }));
}

#[test]
fn t09_a_changed_or_renamed_file() {
    let drv_path = path(1, "f.drv");
    let text = fixed("f", "https://one").serialise();
    let found = drv_check::check([(drv_path.base_name().as_bytes().to_vec(), text.clone())]);
    assert_eq!((found.derivations, found.paths_equal, found.output_paths_equal), (1, 0, 1));
    assert_eq!(found.errors[0].code, "RP0122");
    let right = own_path(&drv_path, &fixed("f", "https://one")).expect("a valid name");
    let file = (right.base_name().as_bytes().to_vec(), text);
    assert!(drv_check::check([file.clone()]).is_right());
    let twice = drv_check::check([file.clone(), file]);
    assert!(!twice.is_right());
    assert_eq!(twice.errors[0].code, "RP0102");
}

#[test]
fn a_folder_with_other_files() {
    let files =
        [(b"README".to_vec(), Vec::new()), (path(1, "x").base_name().as_bytes().to_vec(), Vec::new())];
    let found = drv_check::check(files);
    assert_eq!((found.derivations, found.errors.len()), (2, 2));
    assert!(!found.is_right());
    assert!(!drv_check::check([]).is_right(), "nothing looked at is nothing found right");
}
