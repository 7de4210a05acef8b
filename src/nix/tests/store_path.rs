use proptest::prelude::*;

use super::path;
use crate::nix::{
    hash::{Algorithm, Hash},
    make_path::{Method, compress_hash, fixed_output_path, output_path, text_path},
    store_path::{MAX_NAME, StorePath, StorePathError, check_name},
};

const BASE: &str = "0123456789abcdfghijklmnpqrsvwxyz-hello-2.12";

#[test]
fn parts_of_a_path() {
    let path = StorePath::parse(format!("/nix/store/{BASE}").as_bytes()).expect("a valid path");
    assert_eq!(path.base_name(), BASE);
    assert_eq!(path.hash_part(), "0123456789abcdfghijklmnpqrsvwxyz");
    assert_eq!(path.name(), "hello-2.12");
    assert_eq!(path.to_string(), format!("/nix/store/{BASE}"));
    assert!(!path.is_derivation());
    let derivation = StorePath::from_base_name(format!("{BASE}.drv").as_bytes()).expect("a valid path");
    assert_eq!(derivation.derivation_name(), Some("hello-2.12"));
    let bare = StorePath::from_base_name(b"0123456789abcdfghijklmnpqrsvwxyz-.drv").expect("a valid path");
    assert!(!bare.is_derivation(), "`.drv` alone leaves no name for its outputs");
}

#[test]
fn t12_hostile_names() {
    let long = "a".repeat(MAX_NAME);
    for good in ["a", "A-z_0+?=.", ".gitignore", "..a", "...", "a..", "-", "--a", long.as_str()] {
        assert_eq!(check_name(good.as_bytes()), Ok(good));
    }
    let too_long = "a".repeat(MAX_NAME + 1);
    for bad in ["", ".", "..", ".-a", "..-a", too_long.as_str()] {
        assert!(matches!(check_name(bad.as_bytes()), Err(StorePathError::Name { .. })), "{bad:?}");
    }
    for bad in [
        "a/b", "a/../b", "a\0", "a\n", "a b", "\x1b[31m", "$(id)", "a;b", "a'b", "a\"b", "a~b", "a@b", "é",
        "a^out",
    ] {
        let error = check_name(bad.as_bytes()).expect_err("a bad name");
        assert!(matches!(error, StorePathError::Character { .. }), "{bad:?}");
        assert!(error.to_string().bytes().all(|byte| (0x20..0x7f).contains(&byte)));
    }
    assert!(check_name(b"latin-1 \xe9").is_err());
}

#[test]
fn refuses_what_is_no_store_path() {
    let not_in_store =
        |path: &str| matches!(StorePath::parse(path.as_bytes()), Err(StorePathError::NotInStore { .. }));
    assert!(not_in_store(BASE));
    assert!(not_in_store(&format!("/nix/store{BASE}")));
    assert!(not_in_store(&format!("/nix/store/{BASE}/bin")));
    assert!(not_in_store(&format!("/nix/store/{BASE}/")));
    assert!(not_in_store(&format!("/nix/store//{BASE}")));
    assert!(not_in_store(&format!("/gnu/store/{BASE}")));
    assert!(not_in_store(""));
    let no_hash = |base: &str| {
        matches!(StorePath::from_base_name(base.as_bytes()), Err(StorePathError::HashPart { .. }))
    };
    assert!(no_hash(&BASE[..31]));
    assert!(no_hash(&BASE[..32]));
    assert!(no_hash(&BASE.replace('-', "_")));
    assert!(no_hash(&BASE.replace("0123", "e123")));
    assert!(no_hash(&BASE.replace("abc", "ABC")));
    assert!(no_hash(&format!("0{BASE}")));
    assert!(matches!(StorePath::from_base_name(&BASE.as_bytes()[..33]), Err(StorePathError::Name { .. })));
    // 32 bytes that end within a character must not be cut there.
    assert!(no_hash(&format!("{}é-a", &BASE[..31])));
}

#[test]
fn references_are_sorted_and_named_once() {
    let (a, b) = (path(1, "a"), path(2, "b"));
    let once = text_path("t", b"x", [&a, &b]);
    assert_eq!(once, text_path("t", b"x", [&b, &a, &b]));
    assert_ne!(once, text_path("t", b"x", [&a]));
}

#[test]
fn output_names() {
    let modulo = [7; 32];
    assert_eq!(output_path("p", "out", &modulo).expect("valid").name(), "p");
    assert_eq!(output_path("p", "dev", &modulo).expect("valid").name(), "p-dev");
    assert!(output_path(&"p".repeat(210), "dev", &modulo).is_err());
}

#[test]
fn a_hash_is_folded() {
    assert_eq!(compress_hash(&[0xff; 40]), [0; 20]);
    assert_eq!(compress_hash(&[1, 2, 3])[..4], [1, 2, 3, 0]);
}

#[test]
fn method_and_algorithm_enter_a_fixed_path() {
    let mut paths = std::collections::BTreeSet::new();
    for algorithm in Algorithm::ALL {
        for method in [Method::Flat, Method::Recursive] {
            let hash = Hash::of(algorithm, b"x");
            paths.insert(fixed_output_path("n", method, &hash).expect("valid"));
        }
    }
    assert_eq!(paths.len(), 8);
}

proptest! {
    #[test]
    fn what_is_accepted_comes_back(text in prop::collection::vec(any::<u8>(), 0..60)) {
        if let Ok(path) = StorePath::from_base_name(&text) {
            prop_assert_eq!(path.base_name().as_bytes(), &text[..]);
        }
        if let Ok(path) = StorePath::parse(&text) {
            prop_assert_eq!(path.to_string().into_bytes(), text);
        }
    }

    #[test]
    fn valid_paths_are_accepted(text in "[0-9a-df-np-sv-z]{32}-[a-zA-Z0-9+_?=][a-zA-Z0-9+._?=-]{0,60}") {
        let path = StorePath::from_base_name(text.as_bytes());
        prop_assert_eq!(path.expect("valid").to_string(), format!("/nix/store/{text}"));
    }
}
