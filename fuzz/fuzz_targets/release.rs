//! What lies beside a release: manifests in both forms, who has to agree, signatures, objections; and signed statements.
#![no_main]

use std::io;

use libfuzzer_sys::fuzz_target;
use reprove::{
    attest::check,
    nix::signature::PublicKey,
    release::{
        manifest::Manifest,
        objection::Objection,
        quorum::{Found, FoundObjection, Quorum},
        signers::Signers,
    },
};

/// The example of RFC 8037; no input is signed by it.
const KEY: &str = "k-1:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

/// Files, each ends with a line of this.
const CUT: &[u8] = b"\n%%\n";

fn parts(input: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    let mut rest = input;
    while let Some(at) = rest.windows(CUT.len()).position(|window| window == CUT) {
        parts.push(&rest[..at]);
        rest = &rest[at + CUT.len()..];
    }
    parts.push(rest);
    parts
}

fuzz_target!(|input: &[u8]| {
    let parts = parts(input);
    for part in &parts {
        match Manifest::parse(part) {
            Ok(manifest) => {
                // Either form is read as what was written.
                let written = manifest.to_json().unwrap_or_else(|| manifest.to_plain());
                assert_eq!(Manifest::parse(written.as_bytes()).ok().as_ref(), Some(&manifest));
            }
            Err(error) => _ = error.to_string(),
        }
        if let Err(error) = Objection::parse(part) {
            let _ = error.to_string();
        }
        let key: PublicKey = KEY.parse().expect("a key");
        assert!(check::check(part, &[key]).is_err(), "nobody has signed anything");
    }
    // Who has to agree, a manifest, and everything else is a signature of it or a key.
    let [signers, manifest, rest @ ..] = parts.as_slice() else { return };
    let Ok(signers) = std::str::from_utf8(signers) else { return };
    let read = |file: &str| -> io::Result<Vec<u8>> {
        let number: usize = file.parse().map_err(io::Error::other)?;
        rest.get(number).map(|part| part.to_vec()).ok_or_else(|| io::Error::other("no such file"))
    };
    match Signers::parse(signers, &read) {
        Ok(signers) => {
            let found = |part: &&[u8]| Found { file: "x".to_owned(), bytes: part.to_vec() };
            let signatures: Vec<Found> = rest.iter().map(found).collect();
            let objections: Vec<FoundObjection> = rest
                .iter()
                .take(1)
                .map(|part| FoundObjection { document: found(part), signatures: signatures.clone() })
                .collect();
            let quorum = Quorum::of(&signers, manifest, &signatures, &objections, 4_000_000_000);
            if let Err(error) = quorum.check() {
                let _ = (error.to_string(), error.code());
            }
        }
        Err(error) => _ = error.to_string(),
    }
});
