//! Accesses to memory that are not plain: reserved, misaligned, over the end of a page.

use reprove_riscv::memory::BASE;

use super::common::asm::{self, A0, A1, A2, A3, T0};
use super::guest::{self, ENTRY, PROBED, RESULTS, RESUME, SPARE, Trap, pte};

/// What a few instructions leave in A1, with A0 pointing to [`SPARE`], which holds 5, and A2 being 9; and what is there.
fn reserved(code: &[u32]) -> (u64, u64) {
    let mut asm = guest::supervisor();
    asm.li(A0, SPARE).li(A1, 77).li(A2, 9).li(A3, SPARE + 64).all(code.iter().copied());
    asm.li(T0, RESULTS).put(asm::sd(A1, T0, 0));
    guest::off(&mut asm);
    let machine = guest::run_to_off(&asm, &[(SPARE, vec![5, 0, 0, 0, 0, 0, 0, 0])]);
    assert_eq!(guest::log(&machine), []);
    (guest::results::<1>(&machine)[0], guest::double(&machine, SPARE))
}

#[test]
fn a_conditional_store_needs_a_reservation_of_the_same_address() {
    let (lr, sc) = (asm::lr(8, T0, A0), asm::sc(8, A1, A2, A0));
    assert_eq!(reserved(&[lr, sc]), (0, 9));
    assert_eq!(reserved(&[sc]), (1, 5), "none");
    assert_eq!(reserved(&[lr, sc, sc]), (1, 9), "used up");
    assert_eq!(reserved(&[asm::lr(8, T0, A3), sc]), (1, 5), "of another address");
    assert_eq!(reserved(&[lr, asm::lr(8, T0, A3), sc]), (1, 5), "of another address since");
    assert_eq!(reserved(&[lr, asm::sc(8, T0, A2, A3), sc]), (1, 5), "one that fails uses it up, too");
    assert_eq!(reserved(&[lr, asm::addi(T0, T0, 1), asm::fence_i(), sc]), (0, 9));
    assert_eq!(reserved(&[asm::lr(4, T0, A0), asm::sc(4, A1, A2, A0)]), (0, 9));
}

/// Where something ends: one page is mapped and the next one is not.
fn over_the_end(access: u32, offset: i64) -> (Option<Trap>, Vec<u8>, Vec<u8>) {
    let mut asm = guest::supervisor();
    guest::paging(&mut asm);
    asm.li(A0, (PROBED + 4096).wrapping_add_signed(offset)).li(A2, u64::MAX).li(A1, 0);
    asm.la(RESUME, "done").put(access).label("done");
    guest::off(&mut asm);
    let mut more = guest::tables();
    more.push((ENTRY[0], pte::of(SPARE, pte::V | pte::R | pte::W).to_le_bytes().to_vec()));
    let machine = guest::run_to_off(&asm, &more);
    let log = guest::log(&machine);
    assert!(log.len() <= 1);
    let bytes = |at: u64| machine.memory().slice(at, 16).expect("memory").to_vec();
    (log.first().copied(), bytes(SPARE + 4096 - 16), bytes(SPARE + 4096))
}

#[test]
fn a_store_into_a_page_that_is_not_there_writes_nothing() {
    for (access, size) in [(asm::sh(A2, A0, 0), 2), (asm::sw(A2, A0, 0), 4), (asm::sd(A2, A0, 0), 8)] {
        for before in 1..size {
            let (trap, first, second) = over_the_end(access, -before);
            let trap = trap.expect("the second page is not mapped");
            assert_eq!(
                (trap.cause, trap.value),
                (15, PROBED + 4096),
                "{size} bytes, {before} before the end"
            );
            assert_eq!((first, second), (vec![0; 16], vec![0; 16]));
        }
        let (trap, first, _) = over_the_end(access, -size);
        assert_eq!(trap, None);
        assert_eq!(first[16 - size as usize..], vec![0xff; size as usize]);
    }
}

#[test]
fn a_load_from_a_page_that_is_not_there_blames_that_page() {
    for (access, size) in [(asm::lh(A1, A0, 0), 2), (asm::lwu(A1, A0, 0), 4), (asm::ld(A1, A0, 0), 8)] {
        for before in 1..size {
            let (trap, ..) = over_the_end(access, -before);
            let trap = trap.expect("the second page is not mapped");
            assert_eq!(
                (trap.cause, trap.value),
                (13, PROBED + 4096),
                "{size} bytes, {before} before the end"
            );
        }
    }
}

/// Two pages one after the other here and far apart in memory, the second one before the first.
#[test]
fn misaligned_accesses_over_the_end_of_a_page() {
    for before in 1..8 {
        let mut asm = guest::supervisor();
        guest::paging(&mut asm);
        asm.li(A0, PROBED + 4096 - before).li(A2, 0x1122_3344_5566_7788).li(A1, RESULTS);
        asm.put(asm::sd(A2, A0, 0)).put(asm::ld(T0, A0, 0)).put(asm::sd(T0, A1, 0));
        asm.put(asm::lw(T0, A0, 0)).put(asm::sd(T0, A1, 8)).put(asm::lhu(T0, A0, 0)).put(asm::sd(T0, A1, 16));
        guest::off(&mut asm);
        let mut more = guest::tables();
        for (i, to) in [SPARE + 0x5000, SPARE].into_iter().enumerate() {
            let entry = pte::of(to, pte::V | pte::R | pte::W);
            more.push((ENTRY[0] + 8 * i as u64, entry.to_le_bytes().to_vec()));
        }
        let machine = guest::run_to_off(&asm, &more);
        assert_eq!(guest::results(&machine), [0x1122_3344_5566_7788, 0x5566_7788, 0x7788]);
        let bytes = 0x1122_3344_5566_7788u64.to_le_bytes();
        let (first, second) = bytes.split_at(before as usize);
        assert_eq!(machine.memory().slice(SPARE + 0x6000 - before, before), Some(first));
        assert_eq!(machine.memory().slice(SPARE, 8 - before), Some(second));
    }
}

/// Half of a store in memory and half of it behind its end, or at a device: neither half is done.
#[test]
fn a_store_over_the_end_of_memory_writes_nothing() {
    let mut asm = guest::supervisor();
    let end = BASE + guest::MEMORY;
    asm.li(A0, end - 3).li(A2, u64::MAX).la(RESUME, "done").put(asm::sd(A2, A0, 0)).label("done");
    guest::off(&mut asm);
    let machine = guest::run_to_off(&asm, &[]);
    let log = guest::log(&machine);
    assert_eq!((log.len(), log[0].cause, log[0].value), (1, 7, end));
    assert_eq!(machine.memory().slice(end - 8, 8), Some(&[0; 8][..]));
}

/// Devices are accessed as wide as they are, and never by halves.
#[test]
fn accesses_that_a_device_does_not_have_are_faults() {
    const UART: u64 = 0x1000_0000;
    const PLIC: u64 = 0xc00_0000;
    let cases = [
        (UART, asm::lw(A1, A0, 0), 5),
        (UART, asm::sd(A1, A0, 0), 7),
        (UART, asm::lr(4, A1, A0), 5),
        (UART, asm::amo(0, 4, A1, A0, A1), 7),
        (PLIC, asm::lbu(A1, A0, 0), 5),
        (PLIC, asm::ld(A1, A0, 0), 5),
        (UART + 0xffd, asm::ld(A1, A0, 0), 5),
        (0x200_0000, asm::lw(A1, A0, 0), 5), // machine mode's timer is not the supervisor's
    ];
    let mut asm = guest::supervisor();
    for (i, (address, word, _)) in cases.iter().enumerate() {
        let name = format!("after {i}");
        asm.la(RESUME, &name).li(A0, *address).put(*word).label(&name);
    }
    guest::off(&mut asm);
    let machine = guest::run_to_off(&asm, &[]);
    let causes: Vec<u64> = guest::log(&machine).iter().map(|trap| trap.cause).collect();
    assert_eq!(causes, cases.map(|case| case.2));
}
