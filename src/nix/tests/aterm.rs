use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::path;
use crate::nix::{
    aterm::{AtermErrorKind, MAX_LEN},
    derivation::{Derivation, Output, OutputsError},
    hash::{Algorithm, Hash},
    make_path::Method,
};

/// A derivation with every feature of the text: escapes, bytes that are no UTF-8, several of everything.
fn sample() -> Derivation {
    let wanted = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    Derivation {
        outputs: BTreeMap::from([
            ("dev".to_owned(), Output::InputAddressed { path: path(1, "x-dev") }),
            ("out".to_owned(), Output::InputAddressed { path: path(2, "x") }),
        ]),
        input_drvs: BTreeMap::from([
            (path(3, "a.drv"), wanted(&["dev", "out"])),
            (path(4, "b.drv"), wanted(&["out"])),
        ]),
        input_srcs: BTreeSet::from([path(5, "builder.sh"), path(6, ".gitignore")]),
        system: b"riscv64-linux".to_vec(),
        builder: b"/bin/sh".to_vec(),
        args: vec![b"-c".to_vec(), b"echo \"a\\b\"\n\t\r".to_vec(), Vec::new()],
        env: BTreeMap::from([
            (Vec::new(), Vec::new()),
            (b"latin-1".to_vec(), b"caf\xe9\0".to_vec()),
            (b"out".to_vec(), b"/nix/store/x".to_vec()),
        ]),
    }
}

fn fault(text: &[u8]) -> AtermErrorKind {
    Derivation::parse(text).expect_err("this text is not canonical").what
}

fn fault_of(from: &str, to: &str) -> AtermErrorKind {
    let text = String::from_utf8_lossy(&plain().serialise()).into_owned();
    assert!(text.contains(from), "{from} is not in {text}");
    fault(text.replacen(from, to, 1).as_bytes())
}

/// [`sample`] without what is not UTF-8.
fn plain() -> Derivation {
    let mut derivation = sample();
    derivation.env.insert(b"latin-1".to_vec(), b"caf\\\"".to_vec());
    derivation
}

#[test]
fn t07_bytes_that_are_no_utf8_come_back() {
    let derivation = sample();
    let text = derivation.serialise();
    assert_eq!(Derivation::parse(&text).as_ref(), Ok(&derivation));
    assert_eq!(derivation.env_get("latin-1"), Some(b"caf\xe9\0".as_slice()));
}

#[test]
fn t01_t02_truncated_at_every_byte() {
    let text = sample().serialise();
    for len in 0..text.len() {
        let error = Derivation::parse(&text[..len]).expect_err("a truncated text");
        assert!(error.offset <= len);
        assert!(matches!(error.what, AtermErrorKind::Truncated { .. }), "{len}: {error}");
    }
}

#[test]
fn every_bit_flipped_is_refused_or_means_itself() {
    let text = sample().serialise();
    for at in 0..text.len() {
        for bit in 0..8 {
            let mut changed = text.clone();
            changed[at] ^= 1 << bit;
            if let Ok(derivation) = Derivation::parse(&changed) {
                assert_eq!(derivation.serialise(), changed);
            }
        }
    }
}

#[test]
fn t03_huge_and_nested() {
    assert!(matches!(fault(&vec![b'['; MAX_LEN + 1]), AtermErrorKind::TooLong { .. }));
    let mut nested = b"Derive(".to_vec();
    nested.resize(1_000_000, b'[');
    assert!(matches!(fault(&nested), AtermErrorKind::Syntax { .. }));
    let mut endless = b"Derive([(\"".to_vec();
    endless.resize(10_000_000, b'a');
    assert!(matches!(fault(&endless), AtermErrorKind::Truncated { .. }));
}

#[test]
fn t04_duplicates() {
    let twice = |entry: &str| fault_of(entry, &format!("{entry},{entry}"));
    let out = format!("(\"out\",\"{}\",\"\",\"\")", path(2, "x"));
    assert!(matches!(twice(&out), AtermErrorKind::Duplicate { what: "output", .. }));
    let input = format!("(\"{}\",[\"out\"])", path(4, "b.drv"));
    assert!(matches!(twice(&input), AtermErrorKind::Duplicate { what: "input derivation", .. }));
    let source = format!("\"{}\"", path(5, "builder.sh"));
    assert!(matches!(twice(&source), AtermErrorKind::Duplicate { what: "input source", .. }));
    let variable = "(\"out\",\"/nix/store/x\")";
    assert!(matches!(twice(variable), AtermErrorKind::Duplicate { what: "environment variable", .. }));
    assert!(matches!(
        fault_of("[\"dev\",\"out\"]", "[\"dev\",\"dev\"]"),
        AtermErrorKind::Duplicate { what: "output name", .. }
    ));
}

#[test]
fn t05_not_canonical() {
    let not_canonical = |what| matches!(what, AtermErrorKind::NotCanonical(_));
    assert!(not_canonical(fault_of("[\"dev\",\"out\"]", "[\"out\",\"dev\"]")));
    assert!(not_canonical(fault_of("(\"\",\"\"),(\"latin-1\"", "(\"z\",\"\"),(\"latin-1\"")));
    assert!(not_canonical(fault_of("riscv64", "\\riscv64".replace("\\r", "\\x").as_str())));
    assert!(not_canonical(fault_of("\\n", "\n")));
    assert!(not_canonical(fault_of("\\t", "\t")));
    assert!(not_canonical(fault_of("\\r", "\r")));
    let fixed = Derivation { outputs: BTreeMap::from([("out".to_owned(), fixed_output())]), ..plain() };
    let text = String::from_utf8_lossy(&fixed.serialise()).into_owned();
    let hash = Hash::of(Algorithm::Sha256, b"x");
    assert!(not_canonical(fault(text.replace(&hash.to_base16(), &hash.to_base32()).as_bytes())));
    assert!(not_canonical(fault(
        text.replace(&hash.to_base16(), &hash.to_base16().to_uppercase()).as_bytes()
    )));
}

#[test]
fn t06_other_versions_are_unsupported() {
    let text = b"DrvWithVersion(\"xp-dyn-drv\",[],[],[],\"\",\"\",[],[])";
    assert!(matches!(fault(text), AtermErrorKind::Unsupported { .. }));
    assert!(fault(text).to_string().contains("xp-dyn-drv"));
    for method in ["text:sha256", "git:sha1"] {
        let text = format!("Derive([(\"out\",\"\",\"{method}\",\"\")],[],[],\"\",\"\",[],[])");
        assert!(matches!(fault(text.as_bytes()), AtermErrorKind::Unsupported { .. }));
    }
}

#[test]
fn t13_output_names() {
    let text = |name: &str| format!("Derive([(\"{name}\",\"\",\"\",\"\")],[],[],\"\",\"\",[],[])");
    assert!(Derivation::parse(text("out").as_bytes()).is_ok());
    assert_eq!(fault(text("drv").as_bytes()), AtermErrorKind::Outputs(OutputsError::Drv));
    for bad in ["out^*", "", "a/b", "..", "a b"] {
        let what = fault(text(bad).as_bytes());
        assert!(matches!(what, AtermErrorKind::Outputs(OutputsError::Name(_))), "{bad}");
    }
}

#[test]
fn outputs_that_do_not_go_together() {
    let text = |outputs: &str| format!("Derive([{outputs}],[],[],\"\",\"\",[],[])");
    let outputs_fault = |outputs: &str| fault(text(outputs).as_bytes());
    assert_eq!(outputs_fault(""), AtermErrorKind::Outputs(OutputsError::None));
    let mixed = r#"("dev","","",""),("out","","sha256","")"#;
    assert!(matches!(outputs_fault(mixed), AtermErrorKind::Outputs(OutputsError::Mixed { .. })));
    let hash = Hash::of(Algorithm::Sha1, b"x").to_base16();
    let fixed = format!(r#"("dev","{}","sha1","{hash}")"#, path(1, "x"));
    assert!(matches!(outputs_fault(&fixed), AtermErrorKind::Outputs(OutputsError::Fixed { .. })));
    for wrong in [
        r#"("out","","","00")"#.to_owned(),
        format!(r#"("out","{}","sha1","")"#, path(1, "x")),
        format!(r#"("out","{}","sha1","impure")"#, path(1, "x")),
        format!(r#"("out","","sha1","{hash}")"#),
    ] {
        assert!(matches!(outputs_fault(&wrong), AtermErrorKind::Output { .. }), "{wrong}");
    }
    assert!(matches!(outputs_fault(r#"("out","","sha3","")"#), AtermErrorKind::Hash(_)));
    assert!(matches!(outputs_fault(r#"("out","/tmp/x","","")"#), AtermErrorKind::StorePath(_)));
}

#[test]
fn trailing_bytes_and_inputs_that_are_no_derivations() {
    let mut text = sample().serialise();
    text.push(b'\n');
    assert_eq!(fault(&text), AtermErrorKind::Trailing { len: 1 });
    assert!(matches!(fault_of("-a.drv", "-a.drx"), AtermErrorKind::NoDerivation { .. }));
}

#[test]
fn offsets_point_at_the_fault() {
    let text = b"Derive([(\"out\",\"\",\"\",\"\")],[],[],\"\",\"\",[],[)";
    let error = Derivation::parse(text).expect_err("no derivation");
    assert_eq!(error.offset, text.len() - 1);
    assert_eq!(text[error.offset], b')');
}

fn fixed_output() -> Output {
    Output::Fixed { path: path(9, "x"), method: Method::Flat, hash: Hash::of(Algorithm::Sha256, b"x") }
}

fn any_outputs() -> impl Strategy<Value = BTreeMap<String, Output>> {
    let names = prop::collection::btree_set("[a-c][a-z0-9_.+-]{0,4}", 1..4);
    let algorithm = prop::sample::select(&Algorithm::ALL[..]);
    let method = prop::sample::select(&[Method::Flat, Method::Recursive][..]);
    (names, 0..5, algorithm, method).prop_map(|(names, kind, algorithm, method)| {
        let output = |name: &str| match kind {
            0 => Output::InputAddressed { path: path(1, name) },
            1 => Output::Floating { method, algorithm },
            2 => Output::Deferred,
            3 => Output::Impure { method, algorithm },
            _ => Output::Fixed { path: path(2, name), method, hash: Hash::of(algorithm, name.as_bytes()) },
        };
        if kind == 4 {
            return BTreeMap::from([("out".to_owned(), output("n"))]);
        }
        names.into_iter().map(|name| (name.clone(), output(&name))).collect()
    })
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(&b"\"\\\n\r\t,])"[..])], 0..8)
}

prop_compose! {
    fn any_derivation()(
        outputs in any_outputs(),
        inputs in prop::collection::btree_map(any::<u64>(), prop::collection::btree_set("[a-z]{1,3}", 0..3), 0..4),
        sources in prop::collection::btree_set(any::<u64>(), 0..4),
        system in bytes(),
        builder in bytes(),
        args in prop::collection::vec(bytes(), 0..4),
        env in prop::collection::btree_map(bytes(), bytes(), 0..4),
    ) -> Derivation {
        Derivation {
            outputs,
            input_drvs: inputs.into_iter().map(|(n, outputs)| (path(n, "i.drv"), outputs)).collect(),
            input_srcs: sources.into_iter().map(|n| path(n, "s")).collect(),
            system, builder, args, env,
        }
    }
}

proptest! {
    #[test]
    fn every_derivation_comes_back(derivation in any_derivation()) {
        let text = derivation.serialise();
        prop_assert_eq!(Derivation::parse(&text), Ok(derivation));
    }

    #[test]
    fn what_is_accepted_is_canonical(
        derivation in any_derivation(),
        cut in any::<prop::sample::Index>(),
        put in prop::collection::vec(any::<u8>(), 0..3),
    ) {
        let mut text = derivation.serialise();
        let at = cut.index(text.len());
        text.splice(at..(at + 1).min(text.len()), put);
        if let Ok(derivation) = Derivation::parse(&text) {
            prop_assert_eq!(derivation.serialise(), text);
        }
    }
}
