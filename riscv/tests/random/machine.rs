//! A program in the machine: with addresses as they are in supervisor mode, or in user mode behind page tables.

use reprove_riscv::memory::{BASE, PAGE};
use reprove_riscv::{Firmware, Machine, Stop};

use super::common::asm::{self, A7, Asm, T0, ZERO};
use super::program::{AREA, CODE, DATA, END, Program, RECORD, RECORDS};
use super::qemu::Outcome;

/// How a program is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum World {
    /// In supervisor mode, without translation.
    Bare,
    /// In user mode, every page mapped by itself to the one with the same address, accessed and dirty bits clear.
    Paged,
}

const SSTATUS: u32 = 0x100;
const STVEC: u32 = 0x105;
const SEPC: u32 = 0x141;
const SATP: u32 = 0x180;
const TABLES: u64 = BASE + (1 << 20);

/// A machine about to begin the program.
pub fn boot(program: &Program, world: World) -> Machine {
    let mut machine = Machine::new(END - BASE, 1, Firmware::Machine).expect("a little memory");
    let memory = machine.memory_mut();
    assert!(memory.write(CODE, &program.image()));
    let mut stub = Asm::at(BASE);
    stub.li(T0, 3 << 13).put(asm::csrrs(ZERO, SSTATUS, T0));
    match world {
        World::Bare => {
            stub.li(T0, CODE).put(asm::jalr(ZERO, T0, 0));
        }
        World::Paged => {
            for (address, entry) in tables() {
                assert!(memory.write(address, &entry.to_le_bytes()));
            }
            stub.la(T0, "trap").put(asm::csrrw(ZERO, STVEC, T0));
            stub.li(T0, 8 << 60 | TABLES >> 12).put(asm::csrrw(ZERO, SATP, T0));
            stub.li(T0, CODE).put(asm::csrrw(ZERO, SEPC, T0));
            stub.put(asm::sret());
            // The first call of the program ends it.
            stub.org(BASE + 0x100).label("trap").li(A7, 8).put(asm::ecall());
        }
    }
    assert!(memory.write(BASE, &stub.finish()));
    machine.start(BASE, 0);
    machine
}

/// The page tables: a large page of the supervisor's own at [`BASE`], small ones of the user's from [`CODE`] on.
fn tables() -> Vec<(u64, u64)> {
    const SUPERVISOR: u64 = 0xcf; // valid, readable, writable, executable, accessed, dirty
    const USER: u64 = 0x1f; // valid, readable, writable, executable, the user's
    let pointer = |to: u64| to >> 12 << 10 | 1;
    let second = TABLES + PAGE;
    let mut entries =
        vec![(TABLES + 8 * (BASE >> 30), pointer(second)), (second, BASE >> 12 << 10 | SUPERVISOR)];
    for i in 0..(END - CODE) >> 21 {
        let third = second + PAGE * (1 + i);
        entries.push((second + 8 * (i + 1), pointer(third)));
        for page in 0..512 {
            let address = CODE + (i << 21) + page * PAGE;
            entries.push((third + 8 * page, address >> 12 << 10 | USER));
        }
    }
    entries
}

/// Steps after which a program has not ended as it should.
pub const MOST: u64 = 1 << 32;

/// What the program left behind in a machine that has run it.
pub fn outcome(machine: &Machine, program: &Program) -> Outcome {
    let bytes = |from, len| machine.memory().slice(from, len).expect("it is memory").to_vec();
    Outcome { data: bytes(DATA, AREA), records: bytes(RECORDS, program.chunks.len() as u64 * RECORD) }
}

/// Runs the program; what it leaves behind, and the instructions it took.
pub fn run(program: &Program, world: World) -> (Outcome, u64) {
    let mut machine = boot(program, world);
    let stop = machine.run(MOST);
    let state = || {
        let csr = machine.csr();
        format!("pc {:#x}, scause {}, sepc {:#x}, stval {:#x}", machine.pc(), csr.scause, csr.sepc, csr.stval)
    };
    assert!(matches!(stop, Stop::PoweredOff { .. }), "{world:?}: {stop:?} {}", state());
    (outcome(&machine, program), machine.clock().retired())
}
