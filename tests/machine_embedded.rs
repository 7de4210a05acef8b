//! The embedded machine with the same guest as on QEMU: the same bits, and the same run every time.

#![allow(clippy::unwrap_used)] // helpers of tests: what is not as expected ends the test

mod support;

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use reprove::machine::embedded::Embedded;
use reprove::machine::{Arch, End, Engine, Setting, Unwatched};
use support::guest::{Builder, Outcome, PROBE, run, run_in, run_watched};

/// Files of every kind that an output may hold, made in an order, with modes and times of their own.
const FILES: &str = "
    mkdir -p $out/bin $out/share/doc; cd $out
    for i in $(seq 200); do echo line $i; done > share/doc/text
    head -c 300000 /dev/zero | gzip -9n > share/zeros.gz
    echo '#!/bin/sh' > bin/run; chmod 755 bin/run; chmod 444 share/doc/text
    ln -s ../share/doc/text bin/link; sleep 3; : > empty; ln empty hard";

/// Everything that is left of two runs of the same thing.
fn same(a: &Outcome, b: &Outcome) {
    assert_eq!(a.record("status"), "0", "{a}");
    assert_eq!(a.run.instructions, b.run.instructions);
    assert_eq!(String::from_utf8_lossy(&a.run.console), String::from_utf8_lossy(&b.run.console));
    assert!(a.drive() == b.drive(), "the output drives differ");
    assert!(a.run.state.is_some());
    assert_eq!(a.run.state, b.run.state, "the states differ");
}

#[test]
#[ignore = "slow: boots a machine"]
fn it_boots_and_leaves_a_record_and_counts_what_it_ran() {
    let outcome = run(Arch::Riscv64, &Builder::script("echo building; echo hi > $out; exit 3"));
    assert_eq!(outcome.run.end, End::PoweredOff, "{outcome}");
    assert_eq!((outcome.record("stopped"), outcome.record("status")), ("exited", "3"), "{outcome}");
    assert_eq!(outcome.log(), "building\n", "{outcome}");
    assert_eq!(outcome.output(), b"hi\n", "{outcome}");
    assert!(outcome.run.instructions > Some(500_000_000), "{outcome}");
    let state = outcome.run.state.unwrap();
    assert_ne!(state.first, state.last);
}

#[test]
#[ignore = "slow: boots a machine twice"]
fn it_runs_the_same_way_on_a_busy_host_to_the_last_bit_of_its_state() {
    let builder = Builder::script(PROBE);
    let first = run(Arch::Riscv64, &builder);
    let done = AtomicBool::new(false);
    let second = std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let second = run(Arch::Riscv64, &builder);
        done.store(true, Relaxed);
        second
    });
    same(&first, &second);
    assert!(first.tar().len() > 40_000, "{first}");
}

#[test]
#[ignore = "slow: boots a machine and runs three"]
fn a_run_from_a_kept_boot_is_the_run_that_boots() {
    let folder = tempfile::tempdir().unwrap();
    let boots = folder.path().join("boots");
    let kept = || std::fs::read_dir(&boots).map_or(0, Iterator::count);
    let machine = Embedded::new(Some(boots.clone()));
    let builder = Builder::script(PROBE);
    let run = |builder: &Builder| run_watched(&machine, builder, &mut Unwatched);
    let first = run(&builder);
    assert_eq!(kept(), 1);
    let second = run(&builder);
    assert_eq!(kept(), 1, "the second run kept a boot of its own");
    same(&first, &second);
    same(&first, &run_in(Engine::Embedded, Arch::Riscv64, &builder));
    // Another seed is another boot; another clock is not: the guest learns of it from its drive.
    let clock = Builder { settings: builder.settings.varied(Setting::Clock, 1), ..Builder::script(PROBE) };
    assert_ne!(run(&clock).run.console, first.run.console);
    assert_eq!(kept(), 1);
}

#[test]
#[ignore = "slow: boots a machine twice"]
fn a_kept_boot_that_was_damaged_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let boots = folder.path().join("boots");
    let machine = Embedded::new(Some(boots.clone()));
    let builder = Builder::script("echo hi > $out");
    let first = run_watched(&machine, &builder, &mut Unwatched);
    let file = std::fs::read_dir(&boots).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    same(&first, &run_watched(&machine, &builder, &mut Unwatched));
    assert_ne!(std::fs::read(&file).unwrap(), bytes, "it is still there");
}

#[test]
#[ignore = "slow: boots a machine and QEMU"]
fn its_archive_of_the_outputs_is_the_one_of_qemu() {
    let builder = Builder::script(FILES);
    let ours = run_in(Engine::Embedded, Arch::Riscv64, &builder);
    let theirs = run_in(Engine::Qemu, Arch::Riscv64, &builder);
    assert_eq!((ours.record("status"), theirs.record("status")), ("0", "0"), "{ours}{theirs}");
    assert!(ours.tar().len() > 2000, "{ours}");
    assert!(ours.tar() == theirs.tar(), "the archives differ");
    assert_eq!(ours.log(), theirs.log());
}

#[test]
#[ignore = "very slow: twenty runs in a row"]
fn twenty_runs_in_a_row_are_one_run() {
    let builder = Builder::script(PROBE);
    let first = run(Arch::Riscv64, &builder);
    for _ in 1..20 {
        same(&first, &run(Arch::Riscv64, &builder));
    }
}
