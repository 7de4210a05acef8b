//! Programs that write their own instructions: the next instruction is what is in memory, with or without `fence.i`.

use reprove_riscv::memory::BASE;

use super::common::asm::{self, A0, A1, A2, A3, Asm, Cond, RA, T0, T1, ZERO};
use super::guest::{self, ENTRY, PROBED, RESULTS, SPARE, TABLES, pte};

/// Where the code lies that is changed.
const CODE: u64 = BASE + 0x2000;

/// `addi a1, a1, by`.
fn add(by: i32) -> u32 {
    asm::addi(A1, A1, by)
}

/// Calls `code` at `at` twice, and between the calls stores `size` bytes of A2 at A0; the sum in A1.
fn change(at: u64, code: &[u8], target: u64, value: u64, size: u32) -> u64 {
    let mut asm = guest::supervisor();
    asm.li(A0, target).li(A2, value).li(A3, at).li(A1, 0).put(asm::jalr(RA, A3, 0));
    asm.put(asm::s_type(0x23, size.trailing_zeros(), A0, A2, 0)).put(asm::jalr(RA, A3, 0));
    asm.li(T0, RESULTS).put(asm::sd(A1, T0, 0));
    guest::off(&mut asm);
    let machine = guest::run_to_off(&asm, &[(at, code.to_vec())]);
    guest::results::<1>(&machine)[0]
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

const RET: u32 = 0x0000_8067;

#[test]
fn code_that_was_run_and_is_changed_in_another_page() {
    let code = words(&[add(1), add(2), RET]);
    assert_eq!(change(CODE, &code, CODE + 4, u64::from(add(100)), 4), 1 + 2 + 1 + 100);
}

/// Bytes, half words and doubles that are not aligned, at every distance: none slips past the page's mark.
#[test]
fn code_is_changed_by_misaligned_stores_of_every_size() {
    for (size, offset) in [1, 2, 4, 8].into_iter().flat_map(|size| (0..8).map(move |offset| (size, offset))) {
        let mut code = words(&[add(1), add(2), add(4), add(8), RET]);
        let before = 15;
        let mut changed = code.clone();
        // The byte that holds the upper bits of an immediate, and around it what was there before.
        let replacement = words(&[add(16), add(32), add(64), add(128), RET]);
        let at = offset as usize;
        changed[at..at + size as usize].copy_from_slice(&replacement[at..at + size as usize]);
        let sum: u64 = (0..4)
            .map(|i| {
                u64::from(u32::from_le_bytes(changed[4 * i..4 * i + 4].try_into().expect("four bytes")) >> 20)
            })
            .sum();
        let mut value = [0; 8];
        value[..size as usize].copy_from_slice(&changed[at..at + size as usize]);
        let got = change(CODE, &code, CODE + offset, u64::from_le_bytes(value), size);
        assert_eq!(got, before + sum, "{size} bytes at {offset}");
        code.clear();
    }
}

/// Halves of an instruction that lies in two pages, each changed in its own page.
#[test]
fn an_instruction_in_two_pages_and_each_half_changed() {
    let at = CODE + 0xffe;
    let code = words(&[add(1), RET]);
    let both = add(100);
    assert_eq!(change(at, &code, at + 2, u64::from(both >> 16), 2), 1 + 100);
    // The first half has the lowest bit of the register added to: a0, which is where the store goes, instead of a1.
    assert_eq!(change(at, &code, at, u64::from(asm::addi(A1, A0, 1) & 0xffff), 2), at + 1);
    // A short instruction instead of the first half, so that what follows is read anew: c.addi a1, 5; c.addi a1, 9.
    let short = |by: u64| 0x0581 | by << 2;
    let mut code = code;
    code[2..4].copy_from_slice(&(short(9) as u16).to_le_bytes());
    let first = u64::from(u32::from_le_bytes([code[0], code[1], code[2], code[3]]) >> 20);
    assert_eq!(change(at, &code, at, short(5), 2), first + 5 + 9);
}

/// The next instruction of the same block is overwritten, at every place of a long block and over the end of a page.
#[test]
fn the_next_instruction_is_overwritten() {
    for place in [0, 1, 30, 62, 63, 64, 100] {
        for start in [CODE, CODE + 0x1000 - 4 * (place + 4)] {
            let mut asm = guest::supervisor();
            asm.li(A1, 0)
                .la(A0, "changed")
                .li(A2, u64::from(add(50)))
                .li(A3, start)
                .put(asm::jalr(RA, A3, 0));
            asm.li(T0, RESULTS).put(asm::sd(A1, T0, 0));
            guest::off(&mut asm);
            asm.org(start);
            asm.all((0..place).map(|_| add(1)))
                .put(asm::sw(A2, A0, 0))
                .label("changed")
                .put(add(7))
                .put(add(1))
                .put(RET);
            let machine = guest::run_to_off(&asm, &[]);
            assert_eq!(guest::results(&machine), [place + 50 + 1], "at {place} from {start:#x}");
        }
    }
}

/// A loop that changes its own constant each round, without a fence.
#[test]
fn a_loop_changes_itself_in_every_round() {
    let mut asm = guest::supervisor();
    asm.li(A1, 0).li(A3, 100).la(A0, "changed").j("loop").org(CODE).label("loop");
    asm.label("changed").put(add(0)).put(asm::lw(T0, A0, 0)).li(T1, 1 << 20).put(asm::add(T0, T0, T1));
    asm.put(asm::sw(T0, A0, 0)).put(asm::addi(A3, A3, -1)).branch(Cond::Ne, A3, ZERO, "loop");
    asm.li(T0, RESULTS).put(asm::sd(A1, T0, 0));
    guest::off(&mut asm);
    assert_eq!(guest::results(&guest::run_to_off(&asm, &[])), [99 * 100 / 2]);
}

/// The same memory behind two addresses: written through the one, run through the other.
#[test]
fn code_is_changed_through_another_address() {
    let mut asm = guest::supervisor();
    guest::paging(&mut asm);
    asm.li(A1, 0).li(A0, PROBED).put(asm::jalr(RA, A0, 0)).li(T0, SPARE).li(T1, u64::from(add(30)));
    asm.put(asm::sw(T1, T0, 0)).put(asm::jalr(RA, A0, 0)).li(T0, RESULTS).put(asm::sd(A1, T0, 0));
    guest::off(&mut asm);
    let mut more = guest::tables();
    more.push((ENTRY[0], pte::of(SPARE, pte::V | pte::R | pte::X | pte::A).to_le_bytes().to_vec()));
    more.push((SPARE, words(&[add(3), RET])));
    assert_eq!(guest::results(&guest::run_to_off(&asm, &more)), [33]);
}

/// An accessed bit that the machine sets may lie in the page that is being run, and change the next instruction.
#[test]
fn the_machine_itself_changes_the_code_that_runs() {
    // The page table of the probed addresses is the page that is run, and its entry 5 the instruction after a load from the
    // page that this entry describes. That is illegal before and after, which is how it is seen what was decoded.
    let table = TABLES + 0x4000;
    let mut code = Asm::at(table);
    code.j("code").org(table + 8 * 4 + 4).label("code").put(asm::ld(T0, A0, 0));
    assert_eq!(code.here(), table + 8 * 5);
    let entry = pte::of(SPARE, pte::V | pte::R | pte::X);
    code.double(entry);
    let mut asm = guest::supervisor();
    guest::paging(&mut asm);
    asm.li(A0, PROBED + 5 * 4096)
        .li(A3, table)
        .la(guest::RESUME, "done")
        .put(asm::jalr(ZERO, A3, 0))
        .label("done");
    asm.li(T0, RESULTS).put(asm::sd(A1, T0, 0));
    guest::off(&mut asm);
    let mut more = guest::tables();
    more.push((ENTRY[1], pte::of(table, pte::V).to_le_bytes().to_vec()));
    more.push((table, code.finish()));
    let machine = guest::run_to_off(&asm, &more);
    let log = guest::log(&machine);
    let first = (entry | pte::A) & 0xffff_ffff;
    assert_eq!((log.len(), log[0].cause, log[0].epc, log[0].value), (1, 2, table + 40, first));
}
