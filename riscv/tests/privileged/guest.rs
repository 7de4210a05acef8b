//! Small guests: how they are run, how they record their traps, and what they leave behind.

use reprove_riscv::memory::BASE;
use reprove_riscv::{Firmware, Machine, Stop};

use super::common::asm::{self, A7, Asm, Reg, T0, ZERO};

/// Bytes of memory.
pub const MEMORY: u64 = 4 << 20;
/// Where traps are recorded.
pub const LOG: u64 = BASE + (1 << 20);
/// Where guests put what they found.
pub const RESULTS: u64 = BASE + (1 << 20) + 0x8000;
/// Where page tables are.
pub const TABLES: u64 = BASE + (2 << 20);
/// Memory for anything.
pub const SPARE: u64 = BASE + (3 << 20);

/// Where a trap goes on; what a guest sets before an instruction that may trap.
pub const RESUME: Reg = 26;
/// The end of the log.
pub const LOG_END: Reg = 27;

pub const SSTATUS: u32 = 0x100;
pub const SIE: u32 = 0x104;
pub const STVEC: u32 = 0x105;
pub const SEPC: u32 = 0x141;
pub const SCAUSE: u32 = 0x142;
pub const STVAL: u32 = 0x143;
pub const SIP: u32 = 0x144;
pub const SATP: u32 = 0x180;
pub const MSTATUS: u32 = 0x300;
pub const MEDELEG: u32 = 0x302;
pub const MIDELEG: u32 = 0x303;
pub const MIE: u32 = 0x304;
pub const MTVEC: u32 = 0x305;
pub const MEPC: u32 = 0x341;
pub const MCAUSE: u32 = 0x342;
pub const MTVAL: u32 = 0x343;
pub const MIP: u32 = 0x344;
pub const TIME: u32 = 0xc01;
pub const INSTRET: u32 = 0xc02;

/// A trap that a guest recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trap {
    pub cause: u64,
    pub epc: u64,
    pub value: u64,
    pub status: u64,
}

/// A guest of the machine's own firmware that begins with setting its trap vector, in supervisor mode.
pub fn supervisor() -> Asm {
    with_handler(STVEC, [SCAUSE, SEPC, STVAL, SSTATUS])
}

/// A guest in machine mode that begins the same way.
pub fn machine_mode() -> Asm {
    let mut asm = with_handler(MTVEC, [MCAUSE, MEPC, MTVAL, MSTATUS]);
    // All of memory is open to the other modes: pmpaddr0 and pmpcfg0.
    asm.li(T0, u64::MAX >> 10).put(asm::csrrw(ZERO, 0x3b0, T0)).put(asm::csrrwi(ZERO, 0x3a0, 0x1f));
    asm
}

fn with_handler(vector: u32, registers: [u32; 4]) -> Asm {
    let mut asm = Asm::at(BASE);
    asm.j("start").org(BASE + 0x40).label("trap");
    for (i, register) in registers.into_iter().enumerate() {
        asm.put(asm::csrrs(T0, register, ZERO)).put(asm::sd(T0, LOG_END, 8 * i as i32));
    }
    asm.put(asm::addi(LOG_END, LOG_END, 32)).put(asm::jalr(ZERO, RESUME, 0));
    asm.label("start").li(LOG_END, LOG).la(T0, "trap").put(asm::csrrw(ZERO, vector, T0));
    asm
}

/// Asks the firmware to switch off.
pub fn off(asm: &mut Asm) -> &mut Asm {
    asm.li(A7, 8).put(asm::ecall())
}

/// A machine with `asm` at the beginning of its memory, and more.
pub fn machine(firmware: Firmware, asm: &Asm, more: &[(u64, Vec<u8>)]) -> Machine {
    let mut machine = Machine::new(MEMORY, 1, firmware).expect("a little memory");
    assert!(machine.memory_mut().write(BASE, &asm.finish()));
    for (address, bytes) in more {
        assert!(machine.memory_mut().write(*address, bytes), "{address:#x}");
    }
    machine.start(BASE, 0);
    machine
}

/// Runs until the clock reads `until`, in one go and in pieces, which must all end the same way.
pub fn run(until: u64, make: impl Fn() -> Machine) -> (Machine, Stop) {
    let mut whole = make();
    let stop = whole.run(until);
    let root = whole.state_root();
    for piece in [1, 2, 3, 7, 64, 1000] {
        let mut machine = make();
        let got = loop {
            let next = (machine.clock().now() + piece).min(until);
            match machine.run(next) {
                Stop::Reached if machine.clock().now() < until => {}
                stop => break stop,
            }
        };
        let (pc, clock) = (machine.pc(), machine.clock().now());
        assert_eq!(got, stop, "in pieces of {piece}: pc {pc:#x} at {clock}");
        assert_eq!(machine.state_root(), root, "in pieces of {piece}: pc {pc:#x} at {clock}");
    }
    (whole, stop)
}

/// Runs a guest of the machine's firmware that switches itself off.
pub fn run_to_off(asm: &Asm, more: &[(u64, Vec<u8>)]) -> Machine {
    let (machine, stop) = run(1_000_000, || self::machine(Firmware::Machine, asm, more));
    assert!(matches!(stop, Stop::PoweredOff { .. }), "{stop:?} at {:#x}, {:x?}", machine.pc(), log(&machine));
    machine
}

/// Runs a guest in machine mode for so many steps; it should end in a loop.
pub fn run_machine_mode(asm: &Asm, more: &[(u64, Vec<u8>)], until: u64) -> Machine {
    run(until, || self::machine(Firmware::Guest, asm, more)).0
}

/// A number in memory.
pub fn double(machine: &Machine, address: u64) -> u64 {
    let bytes = machine.memory().slice(address, 8).expect("it is in memory");
    u64::from_le_bytes(bytes.try_into().expect("eight bytes"))
}

/// What a guest found.
pub fn results<const N: usize>(machine: &Machine) -> [u64; N] {
    std::array::from_fn(|i| double(machine, RESULTS + 8 * i as u64))
}

/// The traps that were recorded.
pub fn log(machine: &Machine) -> Vec<Trap> {
    let count = (machine.registers()[LOG_END as usize].saturating_sub(LOG) / 32).min(1000);
    let trap = |i: u64| {
        let word = |at: u64| double(machine, LOG + 32 * i + 8 * at);
        Trap { cause: word(0), epc: word(1), value: word(2), status: word(3) }
    };
    (0..count).map(trap).collect()
}

/// Bits of page table entries.
pub mod pte {
    pub const V: u64 = 1;
    pub const R: u64 = 2;
    pub const W: u64 = 4;
    pub const X: u64 = 8;
    pub const U: u64 = 16;
    pub const A: u64 = 64;
    pub const D: u64 = 128;

    /// An entry for the physical address `to`.
    pub fn of(to: u64, bits: u64) -> u64 {
        to >> 12 << 10 | bits
    }
}

/// `satp` for the page tables at [`TABLES`].
pub const SATP_VALUE: u64 = 8 << 60 | TABLES >> 12;
/// The virtual address whose entry of each level a test sets; see [`tables`].
pub const PROBED: u64 = 0x4000_0000;
/// Where the entry of [`PROBED`] is, by level.
pub const ENTRY: [u64; 3] = [TABLES + 0x2000, TABLES + 0x1000, TABLES + 8];
/// A page of the user's, executable, as virtual address and in memory.
pub const USER_CODE: (u64, u64) = (0x5000_0000, SPARE + 0x10_000);

/// Page tables: memory mapped by itself for the supervisor, a page of code for the user, and for [`PROBED`] empty tables.
pub fn tables() -> Vec<(u64, Vec<u8>)> {
    use pte::*;
    let entry = |at: u64, value: u64| (at, value.to_le_bytes().to_vec());
    let user = TABLES + 0x3000;
    vec![
        entry(TABLES + 8 * (BASE >> 30), of(BASE, V | R | W | X | A | D)),
        entry(ENTRY[2], of(ENTRY[1], V)),
        entry(ENTRY[1], of(ENTRY[0], V)),
        entry(ENTRY[1] + 8 * (USER_CODE.0 >> 21 & 511), of(user, V)),
        entry(user, of(USER_CODE.1, V | R | X | U | A | D)),
    ]
}

/// Turns virtual memory on.
pub fn paging(asm: &mut Asm) -> &mut Asm {
    asm.li(T0, SATP_VALUE).put(asm::csrrw(ZERO, SATP, T0))
}
