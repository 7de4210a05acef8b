//! `reprove attest`: statements of a verification whose runs our store has, signed by a key of `nix`.

use std::{fs, path::Path};

use reprove::{
    nix::nar::NarHasher,
    store::{Store, write_nar},
};

use crate::{fail, people::Project, succeed, support};

const PATH: &str = "/nix/store/00000000000000000000000000000000-a";

/// A run in the store that `reprove` works with in `dir`; its id.
fn run(dir: &Path) -> String {
    let hex = "ab".repeat(32);
    let record = support::run::record(hex.clone(), format!("{PATH}.drv"), &hex);
    let drv = format!("{PATH}.drv").parse().unwrap();
    Store::open(&dir.join("state")).unwrap().save_run(&drv, &record, &[]).unwrap().to_string()
}

/// What `verify --json` writes of one output, as far as it counts here.
fn verification(dir: &Path, run: &str, verdict: &str, hashes: [&str; 2]) {
    let round = |hash| serde_json::json!({"round": "round", "run": run, "nar_hash": hash});
    let output = serde_json::json!({
        "installable": ".#a", "drv": format!("{PATH}.drv"), "output": "out", "path": PATH, "nar_hash": hashes[0],
        "verdict": verdict, "level": 2, "level_name": "varied", "rounds": hashes.map(round),
    });
    let document = serde_json::json!({"schema": "reprove.verify/1", "outputs": [output], "inputs": []});
    fs::write(dir.join("verify.json"), document.to_string()).unwrap();
}

#[test]
fn a_verdict_is_signed_and_checked_against_the_bits_and_the_keys() {
    let project = Project::new();
    let dir = project.dir();
    let (alice, mallory) = (project.nix_key("alice-1"), project.nix_key("mallory-1"));
    let hash = write_nar(&dir.join("tool-1.0"), NarHasher::default()).unwrap().finish().0.to_string();
    let run = run(dir);
    let make = ["attest", "make", "verify.json", "--key", "alice-1.key", "--to", "a.intoto.jsonl"];
    let verify = ["attest", "verify", "a.intoto.jsonl", "--key", &alice];

    verification(dir, &run, "reproduced", [&hash, &hash]);
    succeed(dir, &make);
    let said = succeed(dir, &[&verify[..], &["--subject", "tool-1.0"]].concat());
    assert!(
        said.contains("level 2 (varied), signed by alice-1")
            && said.contains("urn:reprove:machine:embedded:1"),
        "{said}"
    );
    assert!(fail(dir, 102, &[&verify[..], &["--subject", "manifest.json"]].concat()).contains(&hash[..7]));
    assert!(fail(dir, 121, &["attest", "verify", "a.intoto.jsonl", "--key", &mallory]).contains("RP1302"));

    verification(dir, &run, "diverged", [&hash, &hash.replace(&hash[7..11], "AAAA")]);
    succeed(dir, &make);
    fail(dir, 104, &verify);
    verification(dir, &run, "not-checked", [&hash, &hash]);
    succeed(dir, &make);
    fail(dir, 122, &verify);
    verification(dir, &"0".repeat(64), "reproduced", [&hash, &hash]);
    assert!(fail(dir, 122, &make).contains("RP1304"));
}
