//! Manifests, signatures and quorums: keys by `nix` and `gpg`, digests by `sha256sum`.

use std::fs;

use crate::{fail, people::Project, run, succeed};

const VERIFY: [&str; 5] = ["release", "verify", "manifest.json", "--signers", "signers.toml"];

/// One contributor with an ed25519 key has signed.
fn signed_by_alice() -> Project {
    let project = Project::new();
    let alice = project.nix_key("alice-1");
    project.signers(1, &[("alice", &[&alice], &[])]);
    project.sign(&["manifest.json", "--key", "alice-1.key"]);
    project
}

/// Nobody has signed; bob's OpenPGP key is to be the only one.
fn for_bob(make: impl FnOnce(&Project)) -> Project {
    let project = Project::new();
    make(&project);
    let key = project.export("bob");
    project.signers(1, &[("bob", &[], &[&key])]);
    project
}

#[test]
fn a_manifest_signed_by_three_kinds_of_keys_holds_as_long_as_two_agree() {
    let project = Project::new();
    let alice = project.nix_key("alice-1");
    project.gpg_key(None, "bob", "ed25519", "sign");
    let carol = project.gpg_key(None, "carol", "rsa2048", "cert");
    project.gpg(None, &["--quick-add-key", &carol, "rsa2048", "sign"]);
    let (bob_key, carol_key) = (project.export("bob"), project.export("carol"));
    project
        .signers(2, &[("alice", &[&alice], &[]), ("bob", &[], &[&bob_key]), ("carol", &[], &[&carol_key])]);
    project.sign(&["manifest.json", "--key", "alice-1.key"]);
    project.sign(&["manifest.json", "--gpg", "bob"]);
    project.sign(&["manifest.json", "--gpg", "carol"]);
    project.gpg(None, &["--verify", "manifest.json.carol.asc", "manifest.json"]);

    let said = succeed(project.dir(), &[&VERIFY[..], &["--version", "v1.0"]].concat());
    assert!(said.contains("3 (needed: 2): alice, bob, carol"), "{said}");
    assert!(said.contains("tool-linux-amd64  (for linux-amd64)"), "{said}");
    let json = succeed(project.dir(), &[&VERIFY[..], &["--json", "-"]].concat());
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["verified"], &json["agreed"][2]), (&true.into(), &"carol".into()));

    fs::remove_file(project.dir().join("manifest.json.bob.asc")).unwrap();
    assert!(succeed(project.dir(), &VERIFY).contains("2 (needed: 2): alice, carol"));
    fs::remove_file(project.dir().join("manifest.json.carol.asc")).unwrap();
    let said = fail(project.dir(), 121, &VERIFY);
    assert!(said.contains("RP1250") && said.contains("1 did: alice"), "{said}");
    fs::remove_file(project.dir().join("manifest.json.alice-1.sig")).unwrap();
    assert!(fail(project.dir(), 121, &VERIFY).contains("RP1250"));
}

#[test]
fn a_tampered_file_is_an_error_of_its_own() {
    let project = signed_by_alice();
    fs::write(project.dir().join("tool-linux-amd64"), "for amd65").unwrap();
    let said = fail(project.dir(), 102, &VERIFY);
    assert!(said.contains("RP1221") && said.contains("tool-linux-amd64"), "{said}");
    // The others are what they were.
    succeed(project.dir(), &[&VERIFY[..], &["tool-linux-arm64"]].concat());
}

#[test]
fn a_swapped_platform_is_an_error_of_its_own() {
    let project = signed_by_alice();
    fs::copy(project.dir().join("tool-linux-arm64"), project.dir().join("tool-linux-amd64")).unwrap();
    let said = fail(project.dir(), 102, &VERIFY);
    assert!(said.contains("RP1222") && said.contains("(for linux-arm64)"), "{said}");
    // Under a name that is not listed it is still known.
    fs::copy(project.dir().join("tool-linux-arm64"), project.dir().join("tool-windows-amd64")).unwrap();
    let said = fail(project.dir(), 102, &[&VERIFY[..], &["tool-windows-amd64"]].concat());
    assert!(said.contains("RP1222"), "{said}");
}

#[test]
fn a_missing_file_was_not_checked_and_an_unlisted_one_not_signed() {
    let project = signed_by_alice();
    fs::write(project.dir().join("other"), "").unwrap();
    assert!(fail(project.dir(), 121, &[&VERIFY[..], &["other"]].concat()).contains("RP1223"));
    fs::remove_file(project.dir().join("tool-source.tar.gz")).unwrap();
    assert!(fail(project.dir(), 122, &VERIFY).contains("RP1220"));
    run(project.dir(), "mkfifo", &["tool-source.tar.gz"]);
    assert!(fail(project.dir(), 122, &VERIFY).contains("RP1220"));
    succeed(project.dir(), &[&VERIFY[..], &["--no-files"]].concat());
}

#[test]
fn a_manifest_of_another_version_is_not_the_one_asked_for() {
    let project = signed_by_alice();
    let said = fail(project.dir(), 121, &[&VERIFY[..], &["--version", "v1.1"]].concat());
    assert!(said.contains("RP1224") && said.contains("v1.0"), "{said}");
}

#[test]
fn a_bad_signature_is_told_from_an_unknown_signer() {
    let project = signed_by_alice();
    // Over another version of the manifest.
    project.write_manifest("v1.1", "manifest.json");
    let said = fail(project.dir(), 121, &VERIFY);
    assert!(said.contains("RP1241") && said.contains("alice-1"), "{said}");
    project.nix_key("mallory-1");
    fs::remove_file(project.dir().join("manifest.json.alice-1.sig")).unwrap();
    project.sign(&["manifest.json", "--key", "mallory-1.key"]);
    let said = fail(project.dir(), 121, &VERIFY);
    assert!(said.contains("RP1242") && !said.contains("RP1241"), "{said}");
    // A key of alice's name that is not hers.
    let text = fs::read_to_string(project.dir().join("mallory-1.key")).unwrap();
    fs::write(project.dir().join("alice-1.key"), text.replace("mallory-1", "alice-1")).unwrap();
    project.sign(&["manifest.json", "--key", "alice-1.key"]);
    let said = fail(project.dir(), 121, &VERIFY);
    assert!(said.contains("RP1241") && said.contains("RP1242"), "{said}");
}

#[test]
fn openpgp_signatures_of_other_bytes_and_by_strangers_do_not_count() {
    let project = for_bob(|project| {
        project.gpg_key(None, "bob", "nistp256", "sign");
        project.gpg_key(None, "mallory", "ed25519", "sign");
    });
    project.gpg_sign(None, "mallory", "mallory", &[]);
    assert!(fail(project.dir(), 121, &VERIFY).contains("RP1242"));
    project.gpg_sign(None, "bob", "bob", &[]);
    succeed(project.dir(), &VERIFY);
    project.write_manifest("v1.1", "manifest.json");
    assert!(fail(project.dir(), 121, &VERIFY).contains("RP1241"));
}

#[test]
fn a_signature_in_text_mode_is_not_over_bytes() {
    let project = for_bob(|project| {
        project.gpg_key(None, "bob", "ed25519", "sign");
    });
    project.gpg_sign(None, "bob", "bob", &["--textmode"]);
    assert!(fail(project.dir(), 121, &VERIFY).contains("RP1240"));
}

#[test]
fn what_an_expired_key_signed_after_its_end_does_not_count() {
    let project = for_bob(|project| {
        let bob = project.gpg_key(Some("20200101T000000"), "bob", "ed25519", "sign");
        project.gpg_sign(Some("20200601T000000"), "bob", "before", &[]);
        project.gpg_sign(Some("20210601T000000"), "bob", "after", &[]);
        project.gpg(Some("20200102T000000"), &["--quick-set-expire", &bob, "20210101T000000"]);
    });
    let said = succeed(project.dir(), &VERIFY);
    assert!(
        said.contains("manifest.json.after.asc: RP1243") && said.contains("1 (needed: 1): bob"),
        "{said}"
    );
    fs::remove_file(project.dir().join("manifest.json.before.asc")).unwrap();
    assert!(fail(project.dir(), 121, &VERIFY).contains("RP1243"));
}

#[test]
fn an_expired_subkey_ends_with_its_primary_key_or_before() {
    for end in ["primary", "subkey"] {
        let project = for_bob(|project| {
            let bob = project.gpg_key(Some("20200101T000000"), "bob", "ed25519", "cert");
            project.gpg(Some("20200101T000000"), &["--quick-add-key", &bob, "ed25519", "sign", "never"]);
            project.gpg_sign(Some("20210601T000000"), "bob", "bob", &[]);
            let expire = ["--quick-set-expire", &bob, "20210101T000000", "*"];
            let which = if end == "subkey" { &expire[..] } else { &expire[..3] };
            project.gpg(Some("20200102T000000"), which);
        });
        assert!(fail(project.dir(), 121, &VERIFY).contains("RP1243"), "{end}");
    }
}

#[test]
fn a_revoked_key_never_signed_anything_unless_it_was_retired() {
    let stolen = for_bob(|project| {
        let bob = project.gpg_key(Some("20200101T000000"), "bob", "ed25519", "sign");
        project.gpg_sign(Some("20210601T000000"), "bob", "bob", &[]);
        revoke(project, &bob, "0", "20220101T000000");
    });
    assert!(fail(stolen.dir(), 121, &VERIFY).contains("RP1244"));
    let retired = for_bob(|project| {
        let bob = project.gpg_key(Some("20200101T000000"), "bob", "ed25519", "sign");
        project.gpg_sign(Some("20210601T000000"), "bob", "before", &[]);
        project.gpg_sign(Some("20230601T000000"), "bob", "after", &[]);
        revoke(project, &bob, "3", "20220101T000000");
    });
    let said = succeed(retired.dir(), &VERIFY);
    assert!(
        said.contains("manifest.json.after.asc: RP1244") && said.contains("1 (needed: 1): bob"),
        "{said}"
    );
}

/// 0: no reason; 3: no longer used.
fn revoke(project: &Project, key: &str, reason: &str, time: &str) {
    let answers = format!("y\n{reason}\n\ny\n");
    let revocation = ["--output", "revocation.asc", "--gen-revoke", key];
    project.gpg_asked(Some(time), &revocation, &answers);
    project.gpg(None, &["--import", "revocation.asc"]);
}

#[test]
fn signatures_from_the_future_do_not_count() {
    let project = for_bob(|project| {
        project.gpg_key(None, "bob", "ed25519", "sign");
    });
    project.gpg_sign(Some("20990101T000000"), "bob", "bob", &[]);
    assert!(fail(project.dir(), 121, &VERIFY).contains("RP1246"));
}

#[test]
fn weak_hashes_do_not_count() {
    let project = for_bob(|project| {
        project.gpg_key(None, "bob", "rsa2048", "sign");
    });
    project.gpg_sign(None, "bob", "bob", &["--digest-algo", "SHA1"]);
    assert!(fail(project.dir(), 121, &VERIFY).contains("RP1245"));
    let short = for_bob(|project| {
        project.gpg_key(None, "bob", "rsa1024", "sign");
    });
    short.gpg_sign(None, "bob", "bob", &[]);
    assert!(fail(short.dir(), 121, &VERIFY).contains("RP1245"));
}

#[test]
fn one_person_counts_once_and_a_malformed_signature_vetoes_nothing() {
    let project = Project::new();
    let (alice, bob) = (project.nix_key("alice-1"), project.nix_key("bob-1"));
    let second = project.nix_key("alice-2");
    project.gpg_key(None, "alice", "ed25519", "sign");
    let key = project.export("alice");
    let signers = |threshold| {
        project.signers(threshold, &[("alice", &[&alice, &second], &[&key]), ("bob", &[&bob], &[])])
    };
    signers(2);
    for key in ["alice-1.key", "alice-2.key"] {
        project.sign(&["manifest.json", "--key", key]);
    }
    project.sign(&["manifest.json", "--gpg", "alice"]);
    let garbage: [(&str, &[u8]); 6] = [
        ("x.sig", b"alice-1:AAAA\n"),
        ("y.sig", b""),
        ("z.sig", b"\0\0"),
        ("x.asc", b"-----BEGIN PGP SIGNATURE-----\n\n!\n-----END PGP SIGNATURE-----\n"),
        ("y.asc", &[0xff; 100]),
        ("z.asc", &[b'a'; 70_000]),
    ];
    for (name, bytes) in garbage {
        fs::write(project.dir().join(format!("manifest.json.{name}")), bytes).unwrap();
    }
    let said = fail(project.dir(), 121, &VERIFY);
    assert!(said.contains("RP1250") && said.contains("1 did: alice"), "{said}");
    signers(1);
    let said = succeed(project.dir(), &VERIFY);
    assert_eq!(said.matches("signed by     alice").count(), 3, "{said}");
    assert_eq!(said.matches(": RP1240 ").count(), garbage.len(), "{said}");
}

#[test]
fn the_plain_form_is_for_sha256sum_and_can_be_signed_as_well() {
    let project = signed_by_alice();
    let plain = ["release", "manifest", "--name", "tool", "--version", "v1.0", "--plain", "SHA256SUMS"];
    let files = ["tool-linux-arm64", "tool-linux-amd64", "tool-source.tar.gz"];
    let json = succeed(project.dir(), &[&plain[..], &files].concat());
    assert_eq!(json, fs::read_to_string(project.dir().join("manifest.json")).unwrap());
    run(project.dir(), "sha256sum", &["--check", "--strict", "SHA256SUMS"]);
    let sums =
        run(project.dir(), "sha256sum", &["tool-linux-amd64", "tool-linux-arm64", "tool-source.tar.gz"]);
    assert_eq!(fs::read(project.dir().join("SHA256SUMS")).unwrap(), sums);
    let inner = run(project.dir(), "sh", &["-c", "gzip -dc tool-source.tar.gz | sha256sum"]);
    assert!(json.contains(&String::from_utf8(inner).unwrap()[..64]), "{json}");
    project.sign(&["SHA256SUMS", "--key", "alice-1.key"]);
    let verify = ["release", "verify", "SHA256SUMS", "--signers", "signers.toml"];
    succeed(project.dir(), &verify);
    assert!(fail(project.dir(), 121, &[&verify[..], &["--version", "v1.0"]].concat()).contains("RP1224"));
    fs::write(project.dir().join("tool-linux-amd64"), "").unwrap();
    assert!(fail(project.dir(), 102, &verify).contains("RP1221"));
}

#[test]
fn an_objection_is_shown_and_its_signer_does_not_count() {
    let project = Project::new();
    let (alice, bob) = (project.nix_key("alice-1"), project.nix_key("bob-1"));
    project.signers(2, &[("alice", &[&alice], &[]), ("bob", &[&bob], &[])]);
    for key in ["alice-1.key", "bob-1.key"] {
        project.sign(&["manifest.json", "--key", key]);
    }
    let json = succeed(project.dir(), &[&VERIFY[..], &["--json", "-"]].concat());
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let (file, zeros) = ("tool-linux-amd64", "0".repeat(64));
    let objection = |manifest: &str| {
        format!(
            "{{\"schema\": \"reprove.objection/1\", \"manifest\": \"{manifest}\", \"artefacts\": [{{\"file\": \"{file}\", \
             \"published\": \"{zeros}\", \"rebuilt\": \"{zeros}\", \"causes\": [\"build-path\"]}}]}}"
        )
    };
    let write = |text: String| {
        fs::write(project.dir().join("manifest.json.bob.objection.json"), text).unwrap();
        project.sign(&["manifest.json.bob.objection.json", "--key", "bob-1.key"]);
    };
    // About another manifest.
    write(objection(&zeros));
    assert!(succeed(project.dir(), &VERIFY).contains("not about it  manifest.json.bob"));
    write(objection(json["manifest"].as_str().unwrap()));
    let said = fail(project.dir(), 121, &VERIFY);
    assert!(said.contains("RP1250") && said.contains("objected to it, and not counted: bob"), "{said}");
    // Nobody's objection changes nothing.
    fs::remove_file(project.dir().join("manifest.json.bob.objection.json.bob-1.sig")).unwrap();
    let said = succeed(project.dir(), &VERIFY);
    assert!(said.contains("(build-path)"), "{said}");
}

#[test]
fn what_is_signed_and_who_has_to_is_checked() {
    let project = signed_by_alice();
    let sign = |args: &[&str]| fail(project.dir(), 1, &[&["release", "sign"], args].concat());
    fs::write(project.dir().join("letter"), "Dear Sir\n").unwrap();
    assert!(sign(&["letter", "--key", "alice-1.key"]).contains("RP1211"));
    assert!(sign(&["manifest.json", "--key", "letter"]).contains("RP1260"));
    fs::write(project.dir().join("signers.toml"), "threshold = 0\n").unwrap();
    assert!(fail(project.dir(), 1, &VERIFY).contains("RP1231"));
    fs::write(project.dir().join("manifest.json"), "{").unwrap();
    assert!(
        fail(project.dir(), 1, &["release", "verify", "letter", "--signers", "signers.toml"])
            .contains("RP1231")
    );
}
