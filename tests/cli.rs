//! The command line as a person sees it: whole outputs, help included.

#![allow(clippy::unwrap_used)] // what is not as expected ends the test

use std::{
    path::Path,
    process::{Command, Stdio},
};

/// Everything the program printed, and its exit code. Paths of this machine are taken out.
fn reprove(state: &Path, args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_reprove"))
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data"))
        .env_remove("NO_COLOR")
        .env_remove("CLICOLOR_FORCE")
        .env("REPROVE_STATE", state)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = format!(
        "exit {}\n--- stdout\n{}--- stderr\n{}",
        output.status.code().unwrap_or(-1),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    text.replace(&*state.to_string_lossy(), "STATE")
}

fn plain(args: &[&str]) -> String {
    let state = tempfile::tempdir().unwrap();
    reprove(state.path(), args)
}

#[test]
fn help() {
    insta::assert_snapshot!("help", plain(&["--help"]));
    for verb in [
        "plan",
        "build",
        "verify",
        "diff",
        "log",
        "explain",
        "drv",
        "nar",
        "source",
        "guest",
        "store",
        "completions",
    ] {
        insta::assert_snapshot!(format!("help_{verb}"), plain(&[verb, "--help"]));
    }
}

#[test]
fn explanations() {
    insta::assert_snapshot!("explain_all", plain(&["explain"]));
    insta::assert_snapshot!("explain_code", plain(&["explain", "rp0122"]));
    insta::assert_snapshot!("explain_cause", plain(&["explain", "embedded-build-time"]));
    insta::assert_snapshot!("explain_nothing", plain(&["explain", "RP9999"]));
}

#[test]
fn usage_errors() {
    insta::assert_snapshot!("no_verb", plain(&[]));
    insta::assert_snapshot!("unknown_reference", plain(&["verify", ".#x", "--against", "s3://bucket"]));
    insta::assert_snapshot!("unknown_setting", plain(&["verify", ".#x", "--vary", "phase-of-moon"]));
    insta::assert_snapshot!("memory", plain(&["build", ".#x", "--memory", "1000"]));
    insta::assert_snapshot!("no_run", plain(&["log", "00000000"]));
    insta::assert_snapshot!("no_drv", plain(&["drv", "check", "."]));
    insta::assert_snapshot!(
        "not_in_store",
        plain(&["store", "export", "/nix/store/00000000000000000000000000000000-x", "y"])
    );
}

#[test]
fn derivations() {
    insta::assert_snapshot!("drv_check", plain(&["drv", "check", "drvs"]));
    insta::assert_snapshot!("drv_check_json", plain(&["drv", "check", "drvs", "--json", "-"]));
}

#[test]
fn a_store_and_sources() {
    let state = tempfile::tempdir().unwrap();
    insta::assert_snapshot!("source_add", reprove(state.path(), &["source", "add", "drvs"]));
    insta::assert_snapshot!("store_verify", reprove(state.path(), &["store", "verify"]));
    insta::assert_snapshot!("guest_show_lines", reprove(state.path(), &["guest", "show"]).lines().count());
}

#[test]
fn every_code_is_explained_once() {
    let listed = plain(&["explain"]);
    let codes: Vec<&str> =
        listed.lines().filter_map(|l| l.get(..6)).filter(|c| c.starts_with("RP")).collect();
    let mut unique = codes.clone();
    unique.dedup();
    assert_eq!(codes, unique);
    assert!(codes.len() > 60, "{codes:?}");
}

#[test]
fn completions_name_every_verb() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = plain(&["completions", shell]);
        assert!(script.starts_with("exit 0") && script.contains("verify"), "{shell}");
    }
}
