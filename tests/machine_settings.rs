//! What can be varied about a run reaches the guest.

#![allow(clippy::panic)] // in helpers of tests

mod support;

use std::time::Duration;

use reprove::{
    build::Observe,
    diagnose::trace::Trace,
    machine::{Arch, End, Engine, Setting, Watch},
};
use sha2::{Digest as _, Sha256};
use support::guest::{Builder, OUT, Outcome, machine, run, run_in, run_watched};

/// Tells one value per line for the settings that Nix's contract leaves open.
const TELL: &str = "
    echo clock $(date +%s); echo seed $(od -An -N16 -tx1 /dev/urandom)
    echo memory $(head -1 /proc/meminfo); echo hi > $out";

/// Each setting changes what it should and nothing else of what is told.
fn settings(arch: Arch) {
    let base = Builder::script(TELL);
    let told = |outcome: &Outcome, what: &str| -> String {
        let log = outcome.log();
        let line = log.lines().find(|line| line.starts_with(what));
        line.unwrap_or_else(|| panic!("no {what}: {outcome}")).to_owned()
    };
    let first = run(arch, &base);
    assert_eq!(told(&first, "clock"), format!("clock {}", base.settings.clock));
    for setting in [Setting::Clock, Setting::Seed, Setting::Memory, Setting::Rate] {
        let settings = base.settings.varied(setting, 1);
        let clock = settings.clock;
        let other = run(arch, &Builder { settings, ..Builder::script(TELL) });
        assert_eq!(told(&other, "clock"), format!("clock {clock}"), "{setting:?}");
        let same = told(&other, "memory") == told(&first, "memory");
        assert_eq!(same, setting != Setting::Memory, "{setting:?}: {first} {other}");
        let same = told(&other, "seed") == told(&first, "seed");
        assert!(setting != Setting::Seed || !same, "{setting:?}: {first} {other}");
        assert_ne!(first.run.instructions, other.run.instructions, "{setting:?}");
        assert_eq!(first.output(), other.output(), "{setting:?}");
    }
}

#[test]
#[ignore = "slow: boots a machine five times"]
fn riscv64_settings_change_what_they_should() {
    settings(Arch::Riscv64);
}

#[test]
#[ignore = "slow: boots a machine five times"]
fn x86_64_settings_change_what_they_should() {
    settings(Arch::X86_64);
}

/// Memory that goes on behind x86_64's hole below 4 GiB, and drives behind that.
fn large_memory(arch: Arch) {
    let mut builder = Builder::script(TELL);
    builder.settings.memory = (3 << 30) + (512 << 20);
    let outcome = run(arch, &builder);
    assert_eq!(outcome.output(), b"hi\n", "{outcome}");
    let log = outcome.log();
    let total = log.lines().find_map(|line| line.strip_prefix("memory MemTotal: ")?.strip_suffix(" kB"));
    let total: u64 = total.unwrap_or_else(|| panic!("{outcome}")).parse().unwrap_or_default();
    let memory = builder.settings.memory >> 10;
    assert!(total < memory && total > memory - (200 << 10), "{total} of {memory} KiB: {outcome}");
}

#[test]
#[ignore = "slow: boots a machine"]
fn riscv64_with_more_than_3_gib() {
    large_memory(Arch::Riscv64);
}

#[test]
#[ignore = "slow: boots a machine"]
fn x86_64_with_more_than_3_gib() {
    large_memory(Arch::X86_64);
}

/// A builder that never ends, by itself or by a cap inside the guest.
fn endless(script: &str) -> Builder {
    let mut builder = Builder::script(script);
    builder.caps.guest_seconds = 1 << 30;
    builder
}

/// Nothing of a run that the host stopped counts: no record, nothing in the outputs.
fn stopped(outcome: &Outcome, end: End) {
    assert_eq!(outcome.run.end, end, "{outcome}");
    assert_eq!(outcome.record("stopped"), "(absent)", "{outcome}");
    assert!(outcome.tar().is_empty(), "{outcome}");
}

#[test]
#[ignore = "slow: boots machines"]
fn the_wall_cap_ends_a_machine_whatever_it_does() {
    for engine in Engine::ALL {
        let mut builder = endless("while :; do :; done");
        builder.caps.wall = Duration::from_secs(1);
        let outcome = run_in(engine, Arch::Riscv64, &builder);
        stopped(&outcome, End::WallTime);
        assert!(outcome.run.wall >= builder.caps.wall, "{outcome}");
    }
}

#[test]
#[ignore = "slow: boots machines"]
fn silence_ends_a_machine_that_says_nothing() {
    for engine in Engine::ALL {
        // The first beat comes after ten guest seconds; a busy guest needs longer for them than the cap on silence.
        let mut builder = endless("echo last words; while :; do :; done");
        builder.caps.silence = Duration::from_secs(1);
        let outcome = run_in(engine, Arch::Riscv64, &builder);
        stopped(&outcome, End::Silence);
    }
}

/// Cancels once the builder has said something.
#[derive(Default)]
struct Heard(Vec<u8>);

impl Watch for Heard {
    fn console(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn cancelled(&self) -> bool {
        String::from_utf8_lossy(&self.0).contains("the builder is here")
    }
}

#[test]
#[ignore = "slow: boots machines"]
fn a_watcher_that_cancels_ends_a_machine() {
    for engine in Engine::ALL {
        let builder = endless("echo the builder is here; while :; do :; done");
        let mut heard = Heard::default();
        let outcome = run_watched(&*machine(engine, Arch::Riscv64), &builder, &mut heard);
        stopped(&outcome, End::Cancelled);
        assert_eq!(outcome.log(), "the builder is here\n", "{outcome}");
        assert_eq!(heard.0, outcome.run.console);
    }
}

/// What the guest writes down about a builder whose processes write files in every way there is: by redirection, which the
/// kernel closes when the process is gone already, from a copy of the shell, and under a name that is gone again.
fn observed(arch: Arch) {
    let mut builder = Builder::script(
        "echo hi > $out; /bin/sh -c 'date +%s > /build/clock' zero 'two\nlines'; (echo sub > /build/sub); \
         exec 5>/build/gone; rm /build/gone; echo late >&5; exec 5>&-; \
         i=0; while [ $i -lt 50 ]; do i=$((i+1)); /bin/sh -c 'echo $0 > /build/$0' $i; done",
    );
    builder.observe = Observe::Processes;
    let outcome = run(arch, &builder);
    assert_eq!((outcome.record("stopped"), outcome.record("status")), ("exited", "0"), "{outcome}");
    assert_eq!(outcome.output(), b"hi\n", "{outcome}");
    let length: u64 = outcome.record("observed").parse().unwrap_or_else(|_| panic!("{outcome}"));
    let start = 4096 + outcome.tar().len() as u64;
    let archive = &outcome.drive()[start as usize..][..length as usize];
    let mut reader = reprove::source::tar::Reader::new(archive, Default::default());
    let mut logs = [Vec::new(), Vec::new()];
    for log in &mut logs {
        assert!(reader.next_entry().is_ok_and(|entry| entry.is_some()), "{outcome}");
        assert!(std::io::Read::read_to_end(&mut reader.contents(), log).is_ok(), "{outcome}");
    }
    let trace = Trace::parse(&logs[0], &logs[1]).unwrap_or_else(|error| panic!("{error}: {outcome}"));
    let of = |path: &str| {
        let written = trace.last_written(path.as_bytes()).unwrap_or_else(|| panic!("{path}: {trace:?}"));
        let command = trace.process_of(written).map(|process| process.command.clone()).unwrap_or_default();
        let command: Vec<String> =
            command.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
        (written.clone(), command)
    };
    let sha256 = |text: &str| Some(<[u8; 32]>::from(Sha256::digest(text)));
    let (clock, command) = of("/build/clock");
    assert_eq!(clock.sha256, sha256(&format!("{}\n", builder.settings.clock)), "{trace:?}");
    assert_eq!(command, ["/bin/sh", "-c", "date +%s > /build/clock", "zero", "two\nlines"]);
    assert_eq!(trace.process_of(&clock).and_then(|process| process.folder.as_deref()), Some(&b"/build"[..]));
    for (path, text) in [(OUT, "hi\n"), ("/build/sub", "sub\n"), ("/build/gone (deleted)", "late\n")] {
        let (written, command) = of(path);
        assert_eq!((written.sha256, written.size), (sha256(text), Some(text.len() as u64)), "{path}");
        assert_eq!(command, ["sh", "-c", &builder.script], "{path}");
    }
    let numbered =
        trace.written.iter().filter(|written| written.sha256.is_some() && written.process.is_some());
    assert_eq!(numbered.count(), 54, "{trace:?}");
    // The builder finds nothing of it, and no run that is not looked at has any.
    assert!(!outcome.log().contains("observed"), "{outcome}");
}

#[test]
#[ignore = "slow: boots a machine"]
fn riscv64_processes_and_the_files_they_write_are_written_down() {
    observed(Arch::Riscv64);
}

#[test]
#[ignore = "slow: boots a machine"]
fn x86_64_processes_and_the_files_they_write_are_written_down() {
    observed(Arch::X86_64);
}
