//! Guests that boot: everything between a pinned package and a result record, on QEMU.

mod support;

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use reprove::machine::{Arch, End, Engine};
use support::guest::{Builder, PROBE, run_in};

fn boots(arch: Arch) {
    let outcome = run_in(Engine::Qemu, arch, &Builder::script("echo building; echo hi > $out; exit 3"));
    assert_eq!(outcome.run.end, End::PoweredOff, "{outcome}");
    assert_eq!(outcome.record("stopped"), "exited", "{outcome}");
    assert_eq!(outcome.record("status"), "3", "{outcome}");
    assert_eq!(outcome.record("special"), "", "{outcome}");
    assert_eq!(outcome.record("root_full"), "0", "{outcome}");
    assert_eq!(outcome.log(), "building\n", "{outcome}");
    assert_eq!(outcome.output(), b"hi\n", "{outcome}");
    assert!(outcome.run.instructions > Some(1_000_000_000), "{outcome}");
}

#[test]
#[ignore = "slow: boots a machine"]
fn riscv64_boots_and_leaves_a_record() {
    boots(Arch::Riscv64);
}

#[test]
#[ignore = "slow: boots a machine"]
fn x86_64_boots_and_leaves_a_record() {
    boots(Arch::X86_64);
}

/// Two runs, one while two other threads keep the host busy.
fn the_same_twice(arch: Arch) {
    let builder = Builder::script(PROBE);
    let first = run_in(Engine::Qemu, arch, &builder);
    let done = AtomicBool::new(false);
    let second = std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let second = run_in(Engine::Qemu, arch, &builder);
        done.store(true, Relaxed);
        second
    });
    assert_eq!(first.record("status"), "0", "{first}");
    assert_eq!(first.run.instructions, second.run.instructions);
    assert_eq!(String::from_utf8_lossy(&first.run.console), String::from_utf8_lossy(&second.run.console));
    assert!(first.tar() == second.tar(), "the tar streams differ");
    assert!(first.drive() == second.drive(), "the output drives differ");
    assert!(first.tar().len() > 40_000, "{first}");
    eprintln!(
        "{arch}: {:?} instructions, {:?} and {:?}",
        first.run.instructions, first.run.wall, second.run.wall
    );
}

#[test]
#[ignore = "slow: boots a machine twice"]
fn riscv64_runs_the_same_way_on_a_busy_host() {
    the_same_twice(Arch::Riscv64);
}

#[test]
#[ignore = "slow: boots a machine twice"]
fn x86_64_runs_the_same_way_on_a_busy_host() {
    the_same_twice(Arch::X86_64);
}
