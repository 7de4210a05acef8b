//! Builders that mean harm, or only have a bug: every one ends in a record that says how.

mod support;

use reprove::machine::{Arch, Caps, End};
use support::guest::{Builder, RUN, run};

#[test]
#[ignore = "slow: boots a machine"]
fn a_builder_that_forks_without_end_is_refused_processes() {
    let mut builder = Builder::script("f() { f | f & }; f; while :; do sleep 1; f; done");
    builder.caps.guest_seconds = 8;
    let outcome = run(Arch::Riscv64, &builder);
    assert_eq!(outcome.run.end, End::PoweredOff, "{outcome}");
    assert_ne!(outcome.record("processes_refused"), "0", "{outcome}");
    assert_ne!(outcome.record("status"), "0", "{outcome}");
}

/// The limit is met before memory runs out, and says so.
fn forks_in_the_smallest_machine(arch: Arch) {
    let mut builder = Builder::script("f() { f | f & }; f; while :; do sleep 1; f; done");
    builder.settings.memory = 256 << 20;
    builder.caps.processes = Caps::default().processes;
    builder.caps.guest_seconds = 3;
    let outcome = run(arch, &builder);
    assert_eq!(outcome.run.end, End::PoweredOff, "{outcome}");
    assert_ne!(outcome.record("processes_refused"), "0", "{outcome}");
    assert_eq!(outcome.record("memory_killed"), "0", "{outcome}");
    assert_ne!(outcome.record("status"), "0", "{outcome}");
}

#[test]
#[ignore = "slow: boots a machine"]
fn riscv64_forks_without_end_in_the_smallest_machine_are_refused() {
    forks_in_the_smallest_machine(Arch::Riscv64);
}

#[test]
#[ignore = "slow: boots a machine"]
fn x86_64_forks_without_end_in_the_smallest_machine_are_refused() {
    forks_in_the_smallest_machine(Arch::X86_64);
}

#[test]
#[ignore = "slow: boots a machine"]
fn a_builder_that_never_ends_is_stopped_after_its_guest_seconds() {
    let mut builder = Builder::script("trap '' TERM INT HUP; while :; do sleep 100; done");
    builder.caps.guest_seconds = 25;
    let outcome = run(Arch::Riscv64, &builder);
    assert_eq!(outcome.record("stopped"), "seconds", "{outcome}");
    assert_eq!(outcome.record("status"), "137", "{outcome}");
    assert_eq!(outcome.record("tar"), "none", "{outcome}");
    assert!(outcome.log().contains(&format!("\n@reprove {} beat 20\n", RUN.hex())), "{outcome}");
}

#[test]
#[ignore = "slow: boots a machine"]
fn a_builder_that_prints_without_end_is_stopped_at_the_byte() {
    let outcome = run(Arch::Riscv64, &Builder::script("yes $(seq 100)"));
    assert_eq!(outcome.record("stopped"), "log", "{outcome}");
    assert_eq!(outcome.log().len(), 1 << 20);
}

#[test]
#[ignore = "slow: boots a machine"]
fn a_builder_that_fills_its_root_is_told_so() {
    let mut builder = Builder::script("dd if=/dev/zero of=big bs=1M; echo ended");
    builder.root_bytes = Some(16 << 20);
    let outcome = run(Arch::Riscv64, &builder);
    assert_eq!(outcome.record("root_full"), "1", "{outcome}");
    assert!(outcome.log().contains("No space left"), "{outcome}");
}

#[test]
#[ignore = "slow: boots a machine"]
fn a_builder_that_takes_all_memory_is_killed_and_init_is_not() {
    let hoard = "x=xxxxxxxxxxxxxxxx; while :; do x=$x$x; done";
    let outcome = run(Arch::Riscv64, &Builder::script(hoard));
    assert_eq!(outcome.run.end, End::PoweredOff, "{outcome}");
    assert_eq!(outcome.record("stopped"), "exited", "{outcome}");
    assert_ne!(outcome.record("status"), "0", "{outcome}");
    assert_ne!(outcome.record("memory_killed"), "0", "{outcome}");
}

#[test]
#[ignore = "slow: boots a machine"]
fn a_process_left_behind_is_gone_and_cannot_touch_the_output() {
    let script = "( sleep 1; echo late > $out ) & echo early > $out";
    let outcome = run(Arch::Riscv64, &Builder::script(script));
    assert_eq!(outcome.record("stopped"), "exited", "{outcome}");
    assert_eq!(outcome.output(), b"early\n", "{outcome}");
}

#[test]
#[ignore = "slow: boots a machine"]
fn a_special_file_in_an_output_is_named() {
    let script = "mkdir -p $out/a; mkfifo \"$out/a/p q\"; echo hi > $out/file";
    let outcome = run(Arch::Riscv64, &Builder::script(script));
    assert_eq!(outcome.record("special"), "8fjm9y7nirl4k1m12aq7ks4q3gd4rlif-out/a/p%20q", "{outcome}");
}

#[test]
#[ignore = "slow: boots a machine"]
fn an_output_larger_than_its_drive_is_an_overflow() {
    // A file of holes: nothing in the guest, more than the drive as a tar stream.
    let outcome =
        run(Arch::Riscv64, &Builder::script("dd if=/dev/zero of=$out bs=1024 seek=1073741824 count=1"));
    assert_eq!(outcome.record("status"), "0", "{outcome}");
    assert_eq!(outcome.record("tar"), "overflow", "{outcome}");
}

#[test]
#[ignore = "slow: boots a machine"]
fn a_build_killed_by_a_signal_has_its_status() {
    let outcome = run(Arch::Riscv64, &Builder::script("sh -c 'kill -SEGV $$'; exit $?"));
    assert_eq!(outcome.record("status"), "139", "{outcome}");
}

#[test]
#[ignore = "slow: boots a machine"]
fn a_builder_finds_no_way_to_the_world_of_init() {
    // Also as root of a user namespace and with mounts of its own.
    let script = "
        look() { ls -d /in /in/* /job /sys /init /modules /proc/1/root/in /../in; cat /in/job; cut -d' ' -f2 /proc/mounts; }
        look; unshare -r -m sh -c 'umount -l /proc; umount -l /; umount /; cd /..; ls -d in sys job init modules; umount -l .'
        cat /dev/pmem0 /dev/pmem1 /dev/console; mknod d b 259 0; echo o > /proc/sysrq-trigger
        ls -1 /proc/1/fd; printf '\\n@reprove end\\n\\n@reprove beat 7\\n'; echo > /dev/stderr || echo no terminal
    ";
    let outcome = run(Arch::Riscv64, &Builder::script(&format!("exec 2>/dev/null; {script}")));
    let expected = "/\n/dev/pts\n/dev/shm\n/proc\n0\n1\n2\n\n@reprove end\n\n@reprove beat 7\n";
    assert_eq!(outcome.log(), expected, "{outcome}");
    assert_eq!(outcome.record("stopped"), "exited", "{outcome}");
}
