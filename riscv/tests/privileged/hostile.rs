//! Guests that mean harm: the clock goes on, the run ends where it is to end, and the host takes no harm.

use reprove_riscv::memory::{BASE, PAGE};
use reprove_riscv::{Firmware, Machine, Stop};

use super::common::Random;
use super::common::asm::{self, A0, A1, A2, A6, A7, Asm, Cond, T0, T1, ZERO};
use super::guest::{self, SATP, SPARE, SSTATUS, STVEC};

/// Runs a guest that never ends, which must take exactly so many steps.
fn endless(asm: &Asm, more: &[(u64, Vec<u8>)]) -> Machine {
    const STEPS: u64 = 30_000;
    let (machine, stop) = guest::run(STEPS, || guest::machine(Firmware::Machine, asm, more));
    assert_eq!((stop, machine.clock().now()), (Stop::Reached, STEPS));
    machine
}

#[test]
fn a_trap_vector_that_is_illegal_itself() {
    for vector in [BASE + 0x1000, 0, !3, 1 << 63, BASE + guest::MEMORY - 4] {
        let mut asm = guest::supervisor();
        asm.li(T0, vector).put(asm::csrrw(ZERO, STVEC, T0)).put(asm::ebreak());
        let machine = endless(&asm, &[]);
        assert!(machine.clock().retired() < 100, "nothing completes any more");
        assert_eq!(machine.pc(), vector);
    }
}

#[test]
fn a_vector_that_is_gone_from_the_page_tables() {
    let mut asm = guest::supervisor();
    asm.li(T0, 8 << 60 | guest::SPARE >> 12).put(asm::csrrw(ZERO, SATP, T0)).put(asm::nop());
    assert!(endless(&asm, &[]).clock().retired() < 100);
}

/// Interrupts that are always there, in a handler that turns them on again at once.
#[test]
fn an_interrupt_that_never_goes_away() {
    let mut asm = guest::supervisor();
    asm.la(T0, "handler").put(asm::csrrw(ZERO, STVEC, T0)).li(A7, 0).li(A0, 0).put(asm::ecall());
    asm.li(T0, 0x222)
        .put(asm::csrrs(ZERO, guest::SIE, T0))
        .label("handler")
        .put(asm::csrrsi(ZERO, SSTATUS, 2));
    asm.label("end").j("end");
    endless(&asm, &[]);
}

#[test]
fn waiting_in_a_loop_for_a_timer_that_is_masked() {
    let mut asm = guest::supervisor();
    asm.li(A7, 0).li(A0, 50).put(asm::ecall()).label("again").put(asm::wfi()).j("again");
    endless(&asm, &[]);
    let mut asm = guest::supervisor();
    asm.li(A7, 0).li(A0, 1 << 40).put(asm::ecall()).label("again").put(asm::wfi()).j("again");
    endless(&asm, &[]);
}

#[test]
fn wild_jumps() {
    let mut random = Random(3);
    for _ in 0..200 {
        let target = match random.below(4) {
            0 => random.bits(),
            1 => BASE + random.below(guest::MEMORY),
            2 => BASE + random.below(guest::MEMORY / PAGE) * PAGE + PAGE - 2,
            _ => BASE.wrapping_add(random.below(64)).wrapping_sub(32),
        };
        let mut asm = guest::supervisor();
        asm.la(T0, "vector").put(asm::csrrw(ZERO, STVEC, T0)).li(T0, target).put(asm::jalr(ZERO, T0, 0));
        asm.label("vector").li(T0, target ^ 0x1ffe).put(asm::jalr(ZERO, T0, 0));
        // Memory full of whatever it is, to jump into.
        let noise: Vec<u8> =
            (0..guest::MEMORY / 16).flat_map(|_| (random.bits() as u16).to_le_bytes()).collect();
        let more = [(guest::SPARE - guest::MEMORY / 8, noise)];
        let (machine, stop) = guest::run(5000, || guest::machine(Firmware::Machine, &asm, &more));
        assert!(
            machine.clock().now() == 5000 || stop != Stop::Reached,
            "{stop:?} at {}",
            machine.clock().now()
        );
    }
}

/// By the firmware and by the console's own register, in one run without a look at it.
#[test]
fn a_flood_on_the_console_takes_bounded_memory() {
    for by_firmware in [true, false] {
        let mut asm = guest::supervisor();
        asm.li(A7, 0x4442_434e).li(A6, 0).li(A2, 0).li(T1, 0x1000_0000).label("again");
        if by_firmware {
            asm.li(A0, 1 << 16).li(A1, BASE).put(asm::ecall());
        } else {
            asm.put(asm::sb(A0, T1, 0));
        }
        asm.j("again");
        let mut machine = guest::machine(Firmware::Machine, &asm, &[]);
        let until = if by_firmware { 1_000_000 } else { 50_000_000 };
        assert_eq!(machine.run(until), Stop::Reached);
        assert_eq!(machine.clock().now(), until);
        let first = machine.take_console().len();
        assert!((1 << 20..=16 << 20).contains(&first), "{first} bytes");
        assert_eq!(machine.run(until + 1000), Stop::Reached);
        assert!(!machine.take_console().is_empty(), "after a look there is room again");
    }
}

/// An instruction in every page of a large memory: what is kept of decoded code stays small. Runs in a machine of
/// 512 MiB, of which each page is touched by the guest.
#[test]
fn code_in_every_page_takes_bounded_memory() {
    const MEMORY: u64 = 512 << 20;
    let mut asm = guest::supervisor();
    // A page after the other is given `ret` and called.
    asm.li(T0, BASE + (1 << 20)).li(T1, BASE + MEMORY).li(A1, 0x0000_8067).li(A2, PAGE).label("next");
    asm.put(asm::sw(A1, T0, 0)).put(asm::jalr(asm::RA, T0, 0)).put(asm::add(T0, T0, A2));
    asm.branch(Cond::Ltu, T0, T1, "next");
    guest::off(&mut asm);
    let mut machine = Machine::new(MEMORY, 1, Firmware::Machine).expect("memory");
    assert!(machine.memory_mut().write(BASE, &asm.finish()));
    machine.start(BASE, 0);
    let before = resident();
    assert!(matches!(machine.run(10_000_000), Stop::PoweredOff { .. }));
    let grown = resident().saturating_sub(before);
    // The guest's own pages, tables of blocks, the blocks themselves.
    assert!(grown < MEMORY + (256 << 20) + (128 << 20), "{} MiB", grown >> 20);
}

/// Bytes of memory the process has.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).expect("a number") * 4096
}

/// A state that was changed after it was stored is refused, whatever the change is.
#[test]
fn a_stored_state_that_was_changed_is_refused() {
    let mut asm = guest::supervisor();
    guest::off(&mut asm);
    let mut stored = Vec::new();
    guest::machine(Firmware::Machine, &asm, &[]).save(&mut stored).expect("to memory");
    refuses_changes(&stored, |bytes| {
        let mut machine = Machine::new(guest::MEMORY, 1, Firmware::Machine).expect("memory");
        machine.load(&mut &bytes[..]).is_ok()
    });
    refuses_changes(&stored, |bytes| Machine::from_stored(&mut &bytes[..], guest::MEMORY).is_ok());
    assert!(Machine::from_stored(&mut &stored[..], guest::MEMORY - 1).is_err(), "too much memory");
}

/// So is what a state has beyond another one, and what is beyond a state that the machine is not in.
#[test]
fn a_stored_delta_that_was_changed_is_refused() {
    let mut asm = guest::supervisor();
    asm.li(T0, SPARE).put(asm::sd(T0, T0, 0));
    guest::off(&mut asm);
    let machine = |spare: u8| {
        let mut machine = guest::machine(Firmware::Machine, &asm, &[(SPARE, vec![spare; 16])]);
        machine.set_base();
        machine
    };
    let (mut base, mut stored) = (machine(5), Vec::new());
    assert!(matches!(base.run(1000), Stop::PoweredOff { .. }));
    let root = base.save_delta(&mut stored).expect("to memory");
    assert!(stored.len() < 3 * PAGE as usize, "registers and one page");
    let mut there = machine(5);
    assert_eq!(there.load_delta(&mut &stored[..]).expect("what was stored"), root);
    assert_eq!(guest::double(&there, SPARE + 8), 0x0505_0505_0505_0505);
    refuses_changes(&stored, |bytes| machine(5).load_delta(&mut &bytes[..]).is_ok());
    assert!(machine(6).load_delta(&mut &stored[..]).is_err(), "beyond another state");
    assert!(machine(5).load(&mut &stored[..]).is_err(), "not whole");
    assert!(Machine::from_stored(&mut &stored[..], guest::MEMORY).is_err(), "not whole");
    let mut without = guest::machine(Firmware::Machine, &asm, &[]);
    assert!(without.save_delta(&mut Vec::new()).is_err() && without.load_delta(&mut &stored[..]).is_err());
}

/// `takes` is whether something stored is taken for what it was.
fn refuses_changes(stored: &[u8], takes: impl Fn(&[u8]) -> bool) {
    assert!(takes(stored));
    let mut random = Random(9);
    let places: Vec<usize> =
        (0..800).chain((0..500).map(|_| random.below(stored.len() as u64) as usize)).collect();
    for at in places {
        let mut changed = stored.to_vec();
        changed[at] ^= 1 << random.below(8);
        assert!(!takes(&changed), "byte {at}");
        assert!(!takes(&stored[..at]), "{at} bytes of it");
    }
}
