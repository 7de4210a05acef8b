//! A mirror filled in machines: from one seed, refused and blocked paths among what was asked for, killed on the way.
//!
//! The state directory is that of the other tests that boot machines, so that the toolchain is built once.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use serde_json::Value;

use crate::{
    fixture::{check_at, files},
    support::nix::Nix,
};

pub fn command(args: &[&str]) -> Command {
    let state: PathBuf = Path::new(env!("CARGO_TARGET_TMPDIR")).join("end-to-end-state");
    let mut command = Command::new(env!("CARGO_BIN_EXE_reprove"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).env_remove("REPROVE_STATE").arg("--state").arg(state);
    command.args(args).stdin(Stdio::null());
    command
}

pub fn reprove(args: &[&str]) -> Output {
    let output = command(args).output().unwrap();
    eprintln!("$ reprove {}", args.join(" "));
    eprint!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    output
}

pub fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

pub const HELLO: &str = "examples/hello#packages.riscv64-linux";

/// What became of each derivation, by its name.
fn fates(document: &Value) -> BTreeMap<String, String> {
    let name = |one: &Value| one["drv"].as_str().unwrap()[44..].to_owned();
    let derivations = document["derivations"].as_array().unwrap().iter();
    derivations.map(|one| (name(one), one["fate"].as_str().unwrap().to_owned())).collect()
}

#[test]
#[ignore = "slow: boots machines"]
fn a_mirror_grows_from_a_seed_and_is_the_same_whoever_fills_it_however_often_killed() {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("key");
    let key = key.to_str().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let toolchain = text(&reprove(&["build", &format!("{HELLO}.toolchain")]));
    let wanted = ["diamond", "multi", "stamped"].map(|name| format!("{HELLO}.{name}"));
    let populate = |mirror: &str| -> Vec<String> {
        let mut args = vec![
            "mirror", "populate", mirror, "--key", key, "--seed", &toolchain, "--why", "a test", "--json",
            "-",
        ];
        args.extend(wanted.iter().map(String::as_str));
        args.into_iter().map(str::to_owned).collect()
    };
    let run = |mirror: &str| -> (Option<i32>, Value) {
        let args = populate(mirror);
        let output = reprove(&args.iter().map(String::as_str).collect::<Vec<_>>());
        (output.status.code(), serde_json::from_slice(&output.stdout).unwrap())
    };

    let public = text(&reprove(&["mirror", "init", &at("first"), "--key", key]));
    let (exit, document) = run(&at("first"));
    crate::support::schema::check("mirror-populate", &document);
    let expected = [
        ("diamond.drv", "admitted"),
        ("diamond-left.drv", "admitted"),
        ("diamond-right.drv", "admitted"),
        ("diamond-tip.drv", "admitted"),
        ("multi.drv", "admitted"),
        ("stamp.drv", "refused"),
        ("stamp-copied.drv", "blocked"),
        ("stamp-lines.drv", "blocked"),
        ("stamped.drv", "blocked"),
    ];
    let expected: BTreeMap<String, String> =
        expected.map(|(name, fate)| (name.to_owned(), fate.to_owned())).into();
    assert_eq!((exit, fates(&document)), (Some(104), expected));
    let report = check_at(Path::new(&at("first")), &[], &[]);
    assert_eq!((report.findings, report.left), (vec![], vec![]));
    // The seed, the diamond's four, and three outputs.
    assert_eq!((report.paths, report.seeds, report.refused), (8, 1, 1));

    // Again: nothing is built, nothing changes.
    let before = files(Path::new(&at("first")));
    let (_, document) = run(&at("first"));
    let again = fates(&document);
    assert_eq!((again["diamond.drv"].as_str(), again["stamp.drv"].as_str()), ("there", "refused"));
    assert!(files(Path::new(&at("first"))) == before);

    // Another one, by runs that are killed: the same to the last byte.
    reprove(&["mirror", "init", &at("second"), "--key", key]);
    for seconds in [3, 7, 11] {
        let mut child = command(&populate(&at("second")).iter().map(String::as_str).collect::<Vec<_>>())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_secs(seconds));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(check_at(Path::new(&at("second")), &[], &[]).findings, []);
    }
    run(&at("second"));
    let after = files(Path::new(&at("second")));
    let differ: Vec<&String> =
        after.iter().filter(|(name, bytes)| before.get(*name) != Some(bytes)).map(|(name, _)| name).collect();
    assert!(after == before, "{differ:?}");

    let nix = Nix::new();
    let diamond = before.keys().find(|name| name.starts_with("log/") && name.ends_with("-diamond.drv"));
    assert!(diamond.is_some(), "the log is there");
    let joined = text(&reprove(&["store", "ls"]));
    // The state that tests share may have one of an earlier toolchain.
    let is_in = |path: &&str| before.contains_key(&format!("{}.narinfo", &path[11..43]));
    let named = joined.lines().filter(|line| line.contains("-diamond "));
    let path = named.filter_map(|line| line.split(' ').next()).find(is_in).unwrap().to_owned();
    let from = format!("file://{}", at("first"));
    let mut copy = nix.command("nix");
    copy.args(["copy", "--from", &from, &path, "--option", "trusted-public-keys", &public]);
    let copied = copy.output().unwrap();
    assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
    let at = nix.root().join("nix/store").join(&path[11..]).join("joined");
    assert_eq!(fs::read_to_string(at).unwrap(), "tip\ndiamond-left\ntip\ndiamond-right\n");
}
