//! The workloads in the embedded machine, on this thread.

use reprove::machine::embedded;
use reprove_riscv::{Machine, Stop};

use crate::Results;
use crate::course::{Course, MARK, Measured, Used, seconds_of_thread};
use crate::parts::{ATTACH, MEMORY, Parts};

pub fn run(parts: &Parts) -> Results {
    let mut results = Results::new();
    if parts.boot {
        let mut machine = assemble(&parts.guest.kernel, &parts.guest.initrd);
        let before = used(&machine);
        machine.stop_at_mark(Some(ATTACH));
        let stop = machine.run(u64::MAX);
        assert_eq!(stop, Stop::Marked, "{}", String::from_utf8_lossy(&machine.take_console()));
        let after = used(&machine);
        let seconds = after.seconds - before.seconds;
        results.insert("boot".to_owned(), Measured { seconds, steps: after.steps, text: String::new() });
    }
    if parts.has_workloads() {
        let mut machine = assemble(&parts.guest.kernel, &parts.initrd);
        machine.stop_at_mark(Some(MARK.as_bytes()));
        let mut course = Course::default();
        loop {
            let stop = machine.run(u64::MAX);
            let used = used(&machine);
            course.hear(&machine.take_console(), || used);
            match stop {
                Stop::Marked => {}
                Stop::PoweredOff { .. } => break,
                other => panic!("the machine stopped: {other:?}\n{}", course.console()),
            }
        }
        results.extend(course.results());
    }
    results
}

fn assemble(kernel: &[u8], initrd: &[u8]) -> Machine {
    let parts = embedded::Parts { kernel, initrd, append: "", memory: MEMORY, rate: 0, seed: 1, drives: &[] };
    parts.assemble().unwrap()
}

fn used(machine: &Machine) -> Used {
    let clock = machine.clock();
    Used { seconds: seconds_of_thread(), steps: Some((clock.now(), clock.retired())) }
}
