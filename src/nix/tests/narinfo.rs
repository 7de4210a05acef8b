use proptest::prelude::*;

use super::path;
use crate::nix::narinfo::{Compression, MAX_LEN, MAX_SIGNATURES, NarInfo, NarInfoErrorKind};

fn sample() -> String {
    let (own, other, drv) = (path(1, "hello"), path(2, "glibc"), path(3, "hello.drv"));
    let hash = "0".repeat(52);
    format!(
        "StorePath: {own}\nURL: nar/{hash}.nar.xz\nCompression: xz\nFileHash: sha256:{hash}\nFileSize: 10\n\
         NarHash: sha256:{hash}\nNarSize: 120\nReferences: {} {}\nDeriver: {}\nSig: a-1:AAAA\nSig: b-1:not base64\n\
         CA: fixed:r:sha256:{hash}\nX-Emulator-Cycles: 12345\n",
        own.base_name(),
        other.base_name(),
        drv.base_name(),
    )
}

fn fault(text: &str) -> NarInfoErrorKind {
    NarInfo::parse(text.as_bytes()).expect_err("no valid narinfo").what
}

fn fault_of(from: &str, to: &str) -> NarInfoErrorKind {
    let text = sample();
    assert!(text.contains(from), "{from} is not in {text}");
    fault(&text.replacen(from, to, 1))
}

#[test]
fn comes_back() {
    let info = NarInfo::parse(sample().as_bytes()).expect("a valid narinfo");
    assert_eq!(info.to_string(), sample());
    assert_eq!(info.compression, Compression::Xz);
    assert_eq!(info.signatures.len(), 2);
    assert_eq!(info.other["X-Emulator-Cycles"], "12345");
    let expected = format!(
        "1;{};sha256:{};120;{},{}",
        path(1, "hello"),
        "0".repeat(52),
        path(1, "hello"),
        path(2, "glibc")
    );
    assert_eq!(info.fingerprint(), expected);
}

#[test]
fn keys_may_come_in_any_order() {
    let mut lines: Vec<&str> = Vec::new();
    let text = sample();
    lines.extend(text.split_inclusive('\n'));
    lines.reverse();
    let mut info = NarInfo::parse(lines.concat().as_bytes()).expect("a valid narinfo");
    info.signatures.reverse();
    assert_eq!(info.to_string(), text);
}

#[test]
fn t40_duplicates_of_every_key() {
    for line in sample().split_inclusive('\n') {
        let text = format!("{}{line}", sample());
        assert!(matches!(fault(&text), NarInfoErrorKind::Duplicate { .. }), "{line}");
    }
    let twice = format!("{0} {0}", path(2, "glibc").base_name());
    assert!(matches!(fault_of(path(2, "glibc").base_name(), &twice), NarInfoErrorKind::Duplicate { .. }));
}

#[test]
fn t40_missing_keys() {
    for key in ["StorePath", "URL", "NarHash", "NarSize"] {
        assert_eq!(fault_of(&format!("{key}: "), "Other: "), NarInfoErrorKind::Missing { key });
        let lower = key.to_lowercase();
        assert_eq!(fault_of(&format!("{key}: "), &format!("{lower}: ")), NarInfoErrorKind::Missing { key });
    }
    assert_eq!(fault(""), NarInfoErrorKind::Missing { key: "StorePath" });
}

#[test]
fn t40_sizes() {
    for bad in ["0", "-1", "+1", "01", "", "1e3", " 120", "18446744073709551616"] {
        let what = fault_of("NarSize: 120", &format!("NarSize: {bad}"));
        assert!(matches!(what, NarInfoErrorKind::Value { key: "NarSize", .. }), "{bad}");
    }
    assert!(matches!(
        fault_of("FileSize: 10", "FileSize: x"),
        NarInfoErrorKind::Value { key: "FileSize", .. }
    ));
}

#[test]
fn t40_huge_and_many() {
    let long = format!("{}X: {}\n", sample(), "x".repeat(MAX_LEN));
    assert!(matches!(fault(&long), NarInfoErrorKind::TooLong { .. }));
    let many: String = (0..=MAX_SIGNATURES).map(|n| format!("Sig: k:{n}\n")).collect();
    assert_eq!(fault(&format!("{}{many}", sample())), NarInfoErrorKind::TooManySignatures);
}

#[test]
fn t40_lines() {
    assert_eq!(fault(&sample().replace('\n', "\r\n")), NarInfoErrorKind::Character { byte: b'\r' });
    assert_eq!(fault_of("12345", "\x1b[31m"), NarInfoErrorKind::Character { byte: 0x1b });
    assert_eq!(fault(sample().trim_end()), NarInfoErrorKind::Truncated);
    for bad in ["StorePath", "StorePath:x", ": x", "Store Path: x", ""] {
        let text = format!("{}{bad}\n", sample());
        assert!(matches!(fault(&text), NarInfoErrorKind::Line { .. }), "{bad}");
    }
}

#[test]
fn t43_urls_that_lead_elsewhere() {
    for bad in [
        "../../x",
        "nar/../../x",
        "/etc/shadow",
        "http://evil/x",
        "file:///etc/shadow",
        "//evil/x",
        "",
        "nar//x",
        "nar/",
        "nar/%2e%2e/x",
        "nar\\x",
        "./x",
        "?x",
        "nar/a b",
        "nar/a?b c",
    ] {
        let what = fault_of(&format!("URL: nar/{}.nar.xz", "0".repeat(52)), &format!("URL: {bad}"));
        assert!(matches!(what, NarInfoErrorKind::Value { key: "URL", .. }), "{bad}");
    }
    let query = sample().replace(".nar.xz", ".nar?hash=abc");
    assert!(NarInfo::parse(query.as_bytes()).is_ok());
}

#[test]
fn t45_unknown_compression() {
    for bad in ["", "XZ", "rar"] {
        let what = fault_of("Compression: xz", &format!("Compression: {bad}"));
        assert!(matches!(what, NarInfoErrorKind::Value { key: "Compression", .. }), "{bad}");
    }
    let missing = sample().replace("Compression: xz\n", "");
    assert_eq!(NarInfo::parse(missing.as_bytes()).expect("valid").compression, Compression::Bzip2);
}

#[test]
fn t49_paths_outside_of_the_store() {
    assert!(matches!(
        fault_of("StorePath: /nix/store", "StorePath: /gnu/store"),
        NarInfoErrorKind::StorePath(_)
    ));
    assert!(matches!(fault_of("References: ", "References: /nix/store/"), NarInfoErrorKind::StorePath(_)));
    assert!(matches!(fault_of("References: ", "References:  "), NarInfoErrorKind::StorePath(_)));
    assert!(matches!(fault_of("NarHash: sha256:0", "NarHash: sha1:0"), NarInfoErrorKind::Hash(_)));
    assert!(matches!(
        fault_of("NarHash: sha256:", "NarHash: "),
        NarInfoErrorKind::Value { key: "NarHash", .. }
    ));
}

#[test]
fn truncated_at_every_byte() {
    let text = sample();
    for len in 0..text.len() {
        match NarInfo::parse(&text.as_bytes()[..len]) {
            // Cut between lines it is another, shorter narinfo: nothing in the format says where it ends.
            Ok(info) => assert_eq!(text.as_bytes()[len - 1], b'\n', "{info}"),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}

proptest! {
    #[test]
    fn what_is_accepted_is_stable(cut in any::<prop::sample::Index>(), put in prop::collection::vec(any::<u8>(), 0..4)) {
        let mut text = sample().into_bytes();
        let at = cut.index(text.len());
        text.splice(at..at + 1, put);
        if let Ok(info) = NarInfo::parse(&text) {
            let canonical = info.to_string();
            prop_assert_eq!(NarInfo::parse(canonical.as_bytes()), Ok(info));
        }
    }
}
