//! What can be varied about a run reaches the guest.

#![allow(clippy::panic)] // in helpers of tests

mod support;

use std::time::Duration;

use reprove::machine::{Arch, End, Engine, Setting, Watch};
use support::guest::{Builder, Outcome, machine, run, run_in, run_watched};

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
