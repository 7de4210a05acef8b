use std::io::Write as _;

use proptest::prelude::*;

use crate::nix::{
    base32,
    hash::{Algorithm, Hash, HashError, Hasher, NarHash},
};

fn any_hash() -> impl Strategy<Value = Hash> {
    (prop::sample::select(&Algorithm::ALL[..]), prop::collection::vec(any::<u8>(), 64)).prop_map(
        |(algorithm, bytes)| Hash::new(algorithm, &bytes[..algorithm.size()]).expect("right length"),
    )
}

proptest! {
    #[test]
    fn every_spelling_comes_back(hash in any_hash()) {
        let algorithm = hash.algorithm();
        let base64 = data_encoding::BASE64.encode(hash.bytes());
        prop_assert_eq!(&Hash::parse(hash.to_sri().as_bytes(), None), &Ok(hash.clone()));
        for digits in [hash.to_base16(), hash.to_base16().to_uppercase(), hash.to_base32(), base64] {
            prop_assert_eq!(&Hash::parse(digits.as_bytes(), Some(algorithm)), &Ok(hash.clone()));
            let prefixed = format!("{algorithm}:{digits}");
            prop_assert_eq!(&Hash::parse(prefixed.as_bytes(), None), &Ok(hash.clone()));
        }
    }

    #[test]
    fn parsing_never_panics(text in prop::collection::vec(any::<u8>(), 0..140)) {
        for algorithm in Algorithm::ALL {
            let _ = Hash::parse(&text, Some(algorithm));
        }
        let _ = NarHash::parse(&text);
    }

    #[test]
    fn base32_means_the_same_bytes_only_once(bytes in prop::collection::vec(any::<u8>(), 0..70), flip in any::<prop::sample::Index>()) {
        let text = base32::encode(&bytes);
        prop_assert_eq!(base32::decode(text.as_bytes(), bytes.len()), Some(bytes.clone()));
        if !text.is_empty() {
            let mut other = text.into_bytes();
            let at = flip.index(other.len());
            other[at] = if other[at] == b'0' { b'1' } else { b'0' };
            prop_assert_ne!(base32::decode(&other, bytes.len()), Some(bytes));
        }
    }
}

#[test]
fn streaming_equals_whole() {
    for algorithm in Algorithm::ALL {
        let mut hasher = Hasher::new(algorithm);
        for piece in b"some bytes".chunks(3) {
            hasher.write_all(piece).expect("hashing never fails");
        }
        assert_eq!(hasher.finish(), Hash::of(algorithm, b"some bytes"));
    }
}

#[test]
fn refuses_what_is_no_hash() {
    let sha256 = Some(Algorithm::Sha256);
    let parse = |text: &str, given| Hash::parse(text.as_bytes(), given);
    let hex = "0".repeat(64);
    assert!(matches!(parse(&hex, None), Err(HashError::NoAlgorithm { .. })));
    assert!(matches!(parse(&format!("sha1:{hex}"), sha256), Err(HashError::OtherAlgorithm { .. })));
    assert!(matches!(parse(&format!("sha1:{hex}"), None), Err(HashError::Length { .. })));
    assert!(matches!(parse("blake3-AAAA", None), Err(HashError::UnknownAlgorithm { .. })));
    assert!(matches!(parse("SHA256:00", None), Err(HashError::UnknownAlgorithm { .. })));
    assert!(matches!(parse(&"g".repeat(64), sha256), Err(HashError::Digits { base: "base-16", .. })));
    assert!(matches!(parse(&"e".repeat(52), sha256), Err(HashError::Digits { base: "base-32", .. })));
    // 52 characters are 260 bits, the four highest of which must be zero.
    assert!(matches!(parse(&"z".repeat(52), sha256), Err(HashError::Digits { base: "base-32", .. })));
    // Base-64 whose last digit has bits beyond the last byte, and without its padding.
    let base64 = "A".repeat(43);
    assert!(parse(&format!("sha256-{base64}="), None).is_ok());
    assert!(matches!(parse(&format!("sha256-{}B=", &base64[1..]), None), Err(HashError::Digits { .. })));
    assert!(matches!(parse(&format!("sha256-{base64}"), None), Err(HashError::Length { .. })));
    // SRI is base-64 and nothing else.
    assert!(matches!(parse(&format!("sha256-{hex}"), None), Err(HashError::Length { .. })));
    assert!(matches!(parse("", sha256), Err(HashError::Length { .. })));
}

#[test]
fn messages_show_no_control_characters() {
    let error = Hash::parse(b"\x1b[31m:\n::error::", None).expect_err("no hash").to_string();
    assert!(error.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{error:?}");
}
