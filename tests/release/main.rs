//! Releases, with the programs that people use instead as oracles.

#![allow(clippy::unwrap_used, clippy::panic)] // what is not as expected ends the test

#[path = "../support/mod.rs"]
mod support;

mod archive;
mod attest;
mod hostile;
mod people;
mod reproduce;
mod signing;

use std::{
    path::Path,
    process::{Command, Output, Stdio},
};

/// Runs `reprove` in `dir`.
fn reprove(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_reprove"))
        .current_dir(dir)
        .env("REPROVE_STATE", dir.join("state"))
        .env("NO_COLOR", "1")
        .env_remove("SOURCE_DATE_EPOCH")
        .args(args)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Runs an oracle in `dir`, which has to be there and succeed; what it printed.
fn run(dir: &Path, program: &str, args: &[&str]) -> Vec<u8> {
    let output = Command::new(program).current_dir(dir).env("LC_ALL", "C.UTF-8").args(args).output();
    let output = output
        .unwrap_or_else(|error| panic!("{program}: {error}; `scripts/install-deps --tests` installs it"));
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Runs `reprove` in `dir`, which has to succeed; what it printed.
fn succeed(dir: &Path, args: &[&str]) -> String {
    let output = reprove(dir, args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs `reprove` in `dir`, which has to end with `exit`; what it said.
fn fail(dir: &Path, exit: i32, args: &[&str]) -> String {
    let output = reprove(dir, args);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(
        output.status.code(),
        Some(exit),
        "{args:?}: {said}{}",
        String::from_utf8_lossy(&output.stdout)
    );
    said
}
