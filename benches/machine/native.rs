//! The workloads on the host, in a folder that looks as the machine's file system does.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use crate::Results;
use crate::course::{Course, MARK, Used, seconds_of_process};
use crate::parts::Parts;

pub fn run(parts: &Parts) -> Results {
    if !parts.has_workloads() {
        return Results::new();
    }
    let folder = tempfile::tempdir().unwrap();
    parts.lay_out_native(folder.path());
    let mut shell = Command::new(folder.path().join("bin/sh"))
        .arg(folder.path().join("init"))
        .env_clear()
        .env("BENCH_ROOT", folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut answer = shell.stdin.take().unwrap();
    let mut course = Course::default();
    let mut lines = BufReader::new(shell.stdout.take().unwrap());
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).unwrap() > 0 {
        // The shell has waited for all its children, and now waits for us.
        course.hear(&line, || Used { seconds: seconds_of_process(shell.id()), steps: None });
        if line.starts_with(MARK.as_bytes()) {
            answer.write_all(b"\n").unwrap();
        }
        line.clear();
    }
    assert!(shell.wait().unwrap().success(), "{}", course.console());
    course.results()
}
