//! Stored states of the machine: what was written is taken up again, and what is not that is an error and no panic,
//! whatever it says of its own size. When the first byte is even the rest is such a state; when it is odd, the rest is
//! code that runs first, and two bytes of its state are changed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reprove_riscv::memory::{BASE, PAGE};
use reprove_riscv::{Firmware, Machine};

const MEMORY: u64 = 16 * PAGE;

fn fresh(code: &[u8]) -> Option<Machine> {
    let mut machine = Machine::new(MEMORY, 1, Firmware::Machine).ok()?;
    let memory = machine.memory_mut().slice_mut(BASE, MEMORY)?;
    for (to, byte) in memory.iter_mut().zip(code.iter().take(4 * PAGE as usize)) {
        *to = *byte;
    }
    machine.start(BASE, BASE);
    Some(machine)
}

fuzz_target!(|input: &[u8]| {
    let [mode, edit @ ..] = input else { return };
    let Some((edit, rest)) = edit.split_at_checked(6) else { return };
    if mode % 2 == 0 {
        let _ = Machine::from_stored(&mut &rest[..], MEMORY);
        if let Some(mut machine) = fresh(b"") {
            let _ = machine.load(&mut &rest[..]);
        }
        return;
    }
    let Some(mut machine) = fresh(rest) else { return };
    machine.run(1000);
    let mut state = Vec::new();
    let root = machine.save(&mut state).expect("memory takes all");
    let loaded = |state: &[u8]| Machine::from_stored(&mut &state[..], MEMORY);
    assert_eq!(loaded(&state).expect("what was written is read").state_root(), root);
    let mut other = state.clone();
    for edit in edit.chunks_exact(3) {
        let at = usize::from(u16::from_be_bytes([edit[0], edit[1]])) * state.len() >> 16;
        other[at] ^= edit[2];
    }
    // What is taken all the same has the root that it says.
    if let Ok(mut machine) = loaded(&other) {
        let mut again = Vec::new();
        let root = machine.save(&mut again).expect("memory takes all");
        assert_eq!(machine.state_root(), root);
    }
});
