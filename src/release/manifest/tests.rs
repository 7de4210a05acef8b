use super::*;

fn artefact(file: &str) -> Artefact {
    let digest = Digest::of(file.as_bytes()).unwrap();
    let target = crate::release::target::of(file).map(str::to_owned);
    Artefact { file: file.to_owned(), target, size: Some(digest.size), sha256: digest.sha256, tar: None }
}

fn release() -> Release {
    Release { name: "tool".to_owned(), version: "v1.0".to_owned() }
}

fn manifest() -> Manifest {
    let artefacts = ["tool-linux-arm64", "tool-linux-amd64", "Source.tar"].map(artefact).to_vec();
    Manifest::new(release(), artefacts).unwrap()
}

#[test]
fn both_forms_are_read_as_they_are_written() {
    let manifest = manifest();
    let json = manifest.to_json().unwrap();
    assert_eq!(Manifest::parse(json.as_bytes()).unwrap(), manifest);
    let plain = Manifest::parse(manifest.to_plain().as_bytes()).unwrap();
    assert_eq!(plain.to_plain(), manifest.to_plain());
    assert_eq!((plain.release.clone(), plain.to_json()), (None, None));
    let files: Vec<&str> = plain.artefacts.iter().map(|artefact| artefact.file.as_str()).collect();
    assert_eq!(files, ["Source.tar", "tool-linux-amd64", "tool-linux-arm64"]);
    // sha256sum's mark of a binary file.
    let starred = manifest.to_plain().replace("  ", " *");
    assert_eq!(Manifest::parse(starred.as_bytes()).unwrap(), plain);
}

#[test]
fn a_document_has_one_spelling() {
    let json = manifest().to_json().unwrap();
    let compact = serde_json::to_string(&serde_json::from_str::<serde_json::Value>(&json).unwrap()).unwrap();
    let others = [
        json.trim_end().to_owned(),
        format!("{json}\n"),
        compact,
        json.replace("\"tool\"", "\"t\\u006fol\""),
        json.replace("\n", "\r\n"),
        json.replace("\"name\"", "\"name\": \"other\",\n  \"name\""),
        json.replace("\"name\"", "\"extra\": 1,\n  \"name\""),
        json.replace(SCHEMA, "reprove.manifest/2"),
        json.replace("tool-linux-arm64", "a-linux-arm64"),
        format!("{json}{json}"),
    ];
    for other in others {
        assert_ne!(other, json);
        let error = Manifest::parse(other.as_bytes()).unwrap_err();
        assert!([1211, 1212].contains(&error.code().0), "{error}: {other}");
    }
}

#[test]
fn what_is_no_manifest_is_an_error_and_where() {
    let digest = "a".repeat(64);
    for (text, code, says) in [
        (String::new(), 1211, "line 1"),
        (format!("{digest}  a"), 1211, "not ended"),
        (format!("{digest}  a\n\n"), 1211, "line 2"),
        (format!("{digest}  a\n{digest} b\n"), 1211, "line 2"),
        (format!("{}  a\n", &digest[1..]), 1211, "line 1"),
        (format!("{}  a\n", digest.to_uppercase()), 1211, "line 1"),
        (format!("\u{feff}{digest}  a\n"), 1211, "line 1"),
        (format!("{digest}  a\r\n"), 1213, "a\r"),
        (format!("{digest}  ../a\n"), 1213, "slash"),
        (format!("{digest}  /a\n"), 1213, "slash"),
        (format!("{digest}  ..\n"), 1213, "folder"),
        (format!("{digest}   a\n"), 1213, "space"),
        (format!("{digest}  a\u{202e}b\n"), 1213, "neither"),
        (format!("{digest}  a\n{digest}  a\n"), 1214, "twice"),
        (format!("{digest}  a\n{digest}  A\n"), 1214, "twice"),
        ("{}\n".to_owned(), 1211, "schema"),
    ] {
        let error = Manifest::parse(text.as_bytes()).unwrap_err();
        assert_eq!(error.code().0, code, "{text:?}: {error}");
        assert!(error.to_string().contains(says), "{text:?}: {error}");
    }
    assert!(matches!(Manifest::parse(b"\xff"), Err(ManifestError::NotText { at: 0 })));
    assert!(matches!(Manifest::parse(&vec![b'{'; 5 << 20]), Err(ManifestError::TooLong)));
    assert!(Manifest::parse("[".repeat(100_000).as_bytes()).is_err());
    assert!(matches!(Manifest::new(release(), Vec::new()), Err(ManifestError::Empty)));
    let twice = vec![artefact("a"), artefact("A")];
    assert!(matches!(Manifest::new(release(), twice), Err(ManifestError::Twice { .. })));
}

/// Cut off anywhere, it is no manifest.
#[test]
fn no_manifest_begins_another_one() {
    let json = manifest().to_json().unwrap();
    for end in 0..json.len() {
        assert!(Manifest::parse(&json.as_bytes()[..end]).is_err(), "{end}");
    }
}
