//! Random pages of code and page tables in the RISC-V machine, for a bounded number of steps: it neither panics nor goes
//! on for ever, and a run in pieces is the same run.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reprove_riscv::memory::{BASE, PAGE};
use reprove_riscv::{Firmware, Machine, Stop};

/// Bytes of memory: small, so that wild addresses meet it.
const MEMORY: u64 = 64 * PAGE;
const STEPS: u64 = 4_000;

/// A machine with `data` in its memory, over and over, from the page on that its first byte says.
fn boot(data: &[u8], firmware: Firmware) -> Option<Machine> {
    let mut machine = Machine::new(MEMORY, 1, firmware).ok()?;
    let (start, data) = data.split_first()?;
    let memory = machine.memory_mut().slice_mut(BASE, MEMORY)?;
    let from = usize::from(start & 63) * PAGE as usize;
    for (to, byte) in memory[from..].iter_mut().zip(data.iter().cycle()).take(8 * PAGE as usize) {
        *to = *byte;
    }
    machine.start(BASE + from as u64, BASE);
    Some(machine)
}

fuzz_target!(|data: &[u8]| {
    let Some((choice, data)) = data.split_first() else { return };
    let firmware = if choice & 1 == 0 { Firmware::Machine } else { Firmware::Guest };
    let (Some(mut whole), Some(mut pieces)) = (boot(data, firmware), boot(data, firmware)) else { return };
    let stop = whole.run(STEPS);
    let piece = 1 + u64::from(choice >> 1);
    let last = loop {
        match pieces.run((pieces.clock().now() + piece).min(STEPS)) {
            Stop::Reached if pieces.clock().now() < STEPS => {}
            stop => break stop,
        }
    };
    assert_eq!(last, stop);
    assert_eq!(pieces.pc(), whole.pc());
    assert_eq!(pieces.state_root(), whole.state_root());
});
