//! Guests that boot: everything between a pinned package and a result record, on QEMU.

mod support;

use reprove::machine::{Arch, End};
use support::guest::{Builder, run};

fn boots(arch: Arch) {
    let outcome = run(arch, &Builder::script("echo building; echo hi > $out; exit 3"));
    assert_eq!(outcome.run.end, End::PoweredOff, "{outcome}");
    assert_eq!(outcome.record("stopped"), "exited", "{outcome}");
    assert_eq!(outcome.record("status"), "3", "{outcome}");
    assert_eq!(outcome.record("special"), "", "{outcome}");
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
