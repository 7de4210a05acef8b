//! Signatures and keys with every byte changed, and cut off everywhere: nothing panics, and nothing counts that should not.

use std::{fs, io};

use reprove::release::{
    openpgp,
    signature::{Document, judge},
    signers::Signers,
    statement,
};

use crate::people::Project;

const NOW: u64 = 4_000_000_000;

fn signers(key: &[u8]) -> Option<Signers> {
    let text = "threshold = 1\n[[contributor]]\nname = \"bob\"\nopenpgp = [\"key\"]\n";
    let read = |_: &str| -> io::Result<Vec<u8>> { Ok(key.to_vec()) };
    Signers::parse(text, &read).ok()
}

fn counts(signers: &Signers, bytes: &[u8], signature: &[u8]) -> bool {
    let document = Document { kind: statement::MANIFEST, bytes };
    judge(signers, document, signature, NOW).iter().any(Result::is_ok)
}

/// `bytes` with one bit of each byte changed, and all its beginnings.
fn mutations(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let changed = (0..bytes.len()).map(|at| {
        let mut changed = bytes.to_vec();
        changed[at] ^= 1 << (at % 8);
        changed
    });
    changed.chain((0..bytes.len()).map(|end| bytes[..end].to_vec()))
}

#[test]
fn changed_signatures_and_keys_panic_nowhere_and_change_no_answer() {
    let project = Project::new();
    for (user, primary, algorithm) in [
        ("bob", "ed25519", "ed25519"),
        ("carol", "rsa2048", "rsa2048"),
        ("dave", "nistp256", "nistp256/ecdsa"),
    ] {
        let primary = project.gpg_key(None, user, primary, "cert");
        project.gpg(None, &["--quick-add-key", &primary, algorithm, "sign"]);
        let key = project.gpg(None, &["--export", user]);
        let signature =
            project.gpg(None, &["--local-user", user, "--output", "-", "--detach-sign", "manifest.json"]);
        let manifest = fs::read(project.dir().join("manifest.json")).unwrap();
        let signers_of_it = signers(&key).unwrap();
        assert!(counts(&signers_of_it, &manifest, &signature), "{user}");
        let mut other = manifest.clone();
        other[10] ^= 1;
        for changed in mutations(&signature) {
            // What is not signed in a signature may change; what it is of may not.
            assert!(!counts(&signers_of_it, &other, &changed), "{user}");
            counts(&signers_of_it, &manifest, &changed);
        }
        for changed in mutations(&key) {
            if openpgp::read(&changed).is_ok()
                && let Some(signers) = signers(&changed)
            {
                assert!(!counts(&signers, &other, &signature), "{user}");
                counts(&signers, &manifest, &signature);
            }
        }
    }
}
