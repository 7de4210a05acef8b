//! Exceptions: what caused them, where, and who handles them.

use reprove_riscv::memory::BASE;

use super::common::asm::{self, A0, A1, Cond, RA, T0, T1, T2, ZERO};
use super::guest::{self, MEDELEG, MEPC, MSTATUS, MTVEC, RESULTS, RESUME, SEPC, SPARE, SSTATUS, STVEC};

/// Runs `words` one after the other in supervisor mode, each after A0 was set; the causes, and the values for `stval`.
fn exceptions(cases: &[(u64, u32)]) -> Vec<(u64, u64)> {
    let mut asm = guest::supervisor();
    let mut at = Vec::new();
    for (i, (value, word)) in cases.iter().enumerate() {
        let name = format!("after {i}");
        asm.la(RESUME, &name).li(A0, *value);
        at.push(asm.here());
        asm.put(*word).label(&name);
    }
    guest::off(&mut asm);
    let machine = guest::run_to_off(&asm, &[]);
    let log = guest::log(&machine);
    assert_eq!(log.len(), cases.len(), "{log:x?}");
    for ((trap, at), (value, word)) in log.iter().zip(at).zip(cases) {
        // A fetch fails where it goes to, everything else where it is.
        let epc = if matches!(trap.cause, 1 | 12) { *value } else { at };
        assert_eq!(trap.epc, epc, "{word:#x}: {trap:x?}");
        assert_ne!(trap.status & 1 << 8, 0, "SPP says that it was in supervisor mode");
    }
    log.iter().map(|trap| (trap.cause, trap.value)).collect()
}

const NOWHERE: u64 = 0x4000_0000;
const END: u64 = BASE + guest::MEMORY;

#[test]
fn an_illegal_instruction_is_its_own_value() {
    let words = [
        0xffff_ffff,
        0x0000_0073 | 4 << 12,       // a register instruction that there is not
        asm::csrrs(A0, 0x7c0, ZERO), // a register that there is not
        asm::csrrs(A0, 0x300, ZERO), // mstatus is not the supervisor's
        asm::csrrw(ZERO, 0xc00, A0), // cycle is read-only
        asm::csrrs(ZERO, 0xc00, A0),
        asm::mret(),
        asm::r_type(0x33, 0, 0x7f, 1, 1, 1),
        asm::i_type(0x0f, 2, 0, 0, 0), // cbo
        asm::i_type(0x03, 7, 1, 1, 0),
        asm::s_type(0x23, 4, 1, 1, 0),
        asm::b_type(2, 1, 1, 8),
        asm::amo(0x02, 8, A0, A0, 1), // lr with a second operand
        asm::amo(0x1f, 8, A0, A0, 1),
        asm::i_type(0x13, 1, 1, 1, 0x400),
        asm::i_type(0x1b, 1, 1, 1, 32),
        asm::i_type(0x67, 1, 1, 1, 0),
        asm::fld(0, A0, 0), // floating point is off
        0x0000_0053,        // fadd.s
        asm::fsd(0, A0, 0),
        asm::csrrs(A0, 3, ZERO),
    ];
    let cases = words.map(|word| (SPARE, word));
    let expected = words.map(|word| (2, u64::from(word)));
    assert_eq!(exceptions(&cases), expected);
}

#[test]
fn loads_stores_and_jumps_to_nothing_blame_the_address() {
    let cases = [
        (NOWHERE, asm::ld(A1, A0, 0), 5, NOWHERE),
        (NOWHERE, asm::lb(A1, A0, -1), 5, NOWHERE - 1),
        (NOWHERE, asm::sd(A1, A0, 8), 7, NOWHERE + 8),
        (NOWHERE, asm::jalr(RA, A0, 0), 1, NOWHERE),
        (NOWHERE, asm::lr(8, A1, A0), 5, NOWHERE),
        (NOWHERE, asm::sc(8, A1, A1, A0), 7, NOWHERE),
        (NOWHERE, asm::amo(0, 8, A1, A0, A1), 7, NOWHERE),
        (END, asm::lb(A1, A0, 0), 5, END),
        (END, asm::sb(A1, A0, 0), 7, END),
        (END, asm::jalr(RA, A0, 0), 1, END),
        (END - 4, asm::ld(A1, A0, 0), 5, END),
        (END - 4, asm::sd(A1, A0, 0), 7, END),
        (0, asm::jalr(RA, A0, 0), 1, 0),
        (u64::MAX - 1, asm::jalr(RA, A0, 0), 1, u64::MAX - 1),
        (u64::MAX, asm::ld(A1, A0, 0), 5, u64::MAX),
        (u64::MAX, asm::sd(A1, A0, 0), 7, u64::MAX),
    ];
    let expected: Vec<(u64, u64)> = cases.iter().map(|case| (case.2, case.3)).collect();
    assert_eq!(exceptions(&cases.map(|case| (case.0, case.1))), expected);
}

#[test]
fn misaligned_atomics_are_exceptions_and_other_misaligned_accesses_are_not() {
    let at = SPARE + 2;
    let cases = [
        (at, asm::lr(4, A1, A0), 4),
        (at, asm::lr(8, A1, A0), 4),
        (at, asm::sc(4, A1, A1, A0), 6),
        (at, asm::amo(0, 4, A1, A0, A1), 6),
        (SPARE + 4, asm::amo(1, 8, A1, A0, A1), 6),
    ];
    let expected: Vec<(u64, u64)> = cases.iter().map(|case| (case.2, case.0)).collect();
    assert_eq!(exceptions(&cases.map(|case| (case.0, case.1))), expected);
}

#[test]
fn breakpoints_blame_where_they_are() {
    let mut asm = guest::supervisor();
    asm.la(RESUME, "next").label("long").put(asm::ebreak());
    asm.label("next").la(RESUME, "done").label("short").half(0x9002).half(1).label("done");
    guest::off(&mut asm);
    let log = guest::log(&guest::run_to_off(&asm, &[]));
    let got: Vec<_> = log.iter().map(|trap| (trap.cause, trap.epc, trap.value)).collect();
    let (long, short) = (asm.address("long"), asm.address("short"));
    assert_eq!(got, [(3, long, long), (3, short, short)]);
}

/// The bits of a short instruction are its value, of an illegal one in the middle of a page and at its end.
#[test]
fn an_illegal_short_instruction_is_its_own_value() {
    let mut asm = guest::supervisor();
    asm.la(RESUME, "next").half(0);
    asm.label("next").la(RESUME, "done").j("end").org(BASE + 0xffe).label("end").half(0x8000);
    asm.label("done");
    guest::off(&mut asm);
    let log = guest::log(&guest::run_to_off(&asm, &[]));
    let got: Vec<_> = log.iter().map(|trap| (trap.cause, trap.value)).collect();
    assert_eq!(got, [(2, 0), (2, 0x8000)]);
}

/// In the middle of a block, every register is as the instruction before left it, and instructions are counted that
/// completed.
#[test]
fn a_trap_in_a_block_is_precise() {
    for before in 0..70 {
        let mut asm = guest::supervisor();
        asm.la(RESUME, "done").li(A0, NOWHERE).li(A1, 0);
        asm.j("block").org(BASE + 0x1000).label("block").put(asm::csrrs(T1, guest::INSTRET, ZERO));
        for _ in 0..before {
            asm.put(asm::addi(A1, A1, 1));
        }
        asm.label("bad").put(asm::ld(A1, A0, 0));
        asm.all((0..70).map(|_| asm::addi(A1, A1, 1)));
        asm.label("done").put(asm::csrrs(T2, guest::INSTRET, ZERO)).put(asm::sub(T2, T2, T1));
        asm.li(T0, RESULTS).put(asm::sd(A1, T0, 0)).put(asm::sd(T2, T0, 8));
        guest::off(&mut asm);
        let machine = guest::run_to_off(&asm, &[]);
        let log = guest::log(&machine);
        assert_eq!((log.len(), log[0].epc), (1, asm.address("bad")));
        // Besides the additions, the first of the two reads and the ten instructions of the handler.
        assert_eq!(guest::results(&machine), [before, before + 11]);
    }
}

/// A guest in machine mode that goes to user mode, where `word` is run; `delegated` goes to the supervisor. The log of
/// each: whether its handler is the supervisor's, cause, and the mode before.
fn delegation(word: u32, delegated: u64) -> (bool, u64, u64) {
    let mut asm = guest::machine_mode();
    asm.li(T0, delegated).put(asm::csrrw(ZERO, MEDELEG, T0));
    asm.la(T0, "supervisor").put(asm::csrrw(ZERO, STVEC, T0));
    asm.la(T0, "machine").put(asm::csrrw(ZERO, MTVEC, T0));
    asm.li(T0, 3 << 11).put(asm::csrrc(ZERO, MSTATUS, T0)); // to user mode
    asm.la(T0, "user").put(asm::csrrw(ZERO, MEPC, T0)).li(A1, RESULTS).put(asm::mret());
    asm.label("user").put(word).label("stay").j("stay");
    asm.org(BASE + 0x400).label("supervisor").put(asm::csrrs(T0, guest::SCAUSE, ZERO)).li(T1, 1);
    asm.put(asm::csrrs(T2, SSTATUS, ZERO)).put(asm::srli(T2, T2, 8)).put(asm::andi(T2, T2, 1)).j("write");
    asm.label("machine").put(asm::csrrs(T0, guest::MCAUSE, ZERO)).li(T1, 0);
    asm.put(asm::csrrs(T2, MSTATUS, ZERO)).put(asm::srli(T2, T2, 11)).put(asm::andi(T2, T2, 3));
    asm.label("write").put(asm::sd(T0, A1, 0)).put(asm::sd(T1, A1, 8)).put(asm::sd(T2, A1, 16));
    asm.label("end").j("end");
    let machine = guest::run_machine_mode(&asm, &[], 300);
    let [cause, supervisor, before] = guest::results(&machine);
    (supervisor == 1, cause, before)
}

#[test]
fn exceptions_go_where_they_are_delegated() {
    for (word, cause) in [(asm::ecall(), 8), (asm::ebreak(), 3), (0xffff_ffff, 2), (asm::ld(A0, ZERO, 0), 5)]
    {
        assert_eq!(delegation(word, 0), (false, cause, 0));
        assert_eq!(delegation(word, 1 << cause), (true, cause, 0));
        assert_eq!(delegation(word, !(1 << cause)), (false, cause, 0));
    }
}

/// Machine mode never gives its own exceptions away.
#[test]
fn an_exception_in_machine_mode_stays_there() {
    let mut asm = guest::machine_mode();
    asm.li(T0, u64::MAX).put(asm::csrrw(ZERO, MEDELEG, T0));
    asm.la(RESUME, "end").label("bad").put(asm::ebreak()).label("end").j("end");
    let machine = guest::run_machine_mode(&asm, &[], 300);
    let log = guest::log(&machine);
    assert_eq!((log[0].cause, log[0].epc, log[0].status >> 11 & 3), (3, asm.address("bad"), 3));
}

#[test]
fn what_a_supervisor_is_forbidden_traps() {
    const TVM: u64 = 1 << 20;
    const TW: u64 = 1 << 21;
    const TSR: u64 = 1 << 22;
    for (bit, word) in [
        (TVM, asm::sfence_vma(ZERO, ZERO)),
        (TVM, asm::csrrs(T0, guest::SATP, ZERO)),
        (TVM, asm::csrrw(ZERO, guest::SATP, ZERO)),
        (TW, asm::wfi()),
        (TSR, asm::sret()),
    ] {
        for forbidden in [false, true] {
            let mut asm = guest::machine_mode();
            asm.li(T0, 3 << 11)
                .put(asm::csrrc(ZERO, MSTATUS, T0))
                .li(T0, 1 << 11 | if forbidden { bit } else { 0 });
            asm.put(asm::csrrs(ZERO, MSTATUS, T0)).la(T0, "try").put(asm::csrrw(ZERO, MEPC, T0));
            // Where sret goes when it may; a software interrupt waits, so that wfi does not, and is taken in user mode.
            asm.la(T0, "end").put(asm::csrrw(ZERO, SEPC, T0)).put(asm::csrrw(ZERO, STVEC, T0));
            asm.put(asm::csrrwi(ZERO, guest::MIE, 2)).put(asm::csrrwi(ZERO, guest::MIDELEG, 2));
            asm.put(asm::csrrwi(ZERO, guest::MIP, 2));
            asm.la(RESUME, "end").put(asm::mret());
            asm.label("try").put(word).label("end").j("end");
            let log = guest::log(&guest::run_machine_mode(&asm, &[], 300));
            let causes: Vec<u64> = log.iter().map(|trap| trap.cause).collect();
            assert_eq!(causes, if forbidden { vec![2] } else { vec![] }, "{word:#x}: {log:x?}");
        }
    }
}

/// `mret` and `sret` restore what the trap put aside.
#[test]
fn returning_restores_the_mode_and_whether_interrupts_are_on() {
    let mut asm = guest::supervisor();
    asm.put(asm::csrrsi(ZERO, SSTATUS, 2)); // SIE
    asm.la(RESUME, "handled").put(asm::ebreak());
    asm.label("handled").put(asm::csrrs(A0, SSTATUS, ZERO));
    asm.la(T0, "after").put(asm::csrrw(ZERO, SEPC, T0)).put(asm::sret());
    asm.label("after").put(asm::csrrs(A1, SSTATUS, ZERO)).li(T0, RESULTS);
    asm.put(asm::sd(A0, T0, 0)).put(asm::sd(A1, T0, 8));
    guest::off(&mut asm);
    let machine = guest::run_to_off(&asm, &[]);
    let [inside, after] = guest::results::<2>(&machine).map(|status| status & 0x122);
    assert_eq!(inside, 0x120, "SPP, SPIE, and interrupts are off");
    assert_eq!(after, 0x022, "SIE again; SPIE is set and SPP is cleared");
}

/// The branch that is not taken and the one that is, over the end of a block and of a page.
#[test]
fn branches_over_the_ends_of_pages() {
    for start in [0xff0, 0xff2, 0xff4, 0xff6, 0xff8, 0xffa, 0xffc, 0xffe] {
        let mut asm = guest::supervisor();
        asm.li(A0, 20).li(A1, 0).j("loop").org(BASE + start).label("loop");
        asm.put(asm::addi(A1, A1, 3)).put(asm::addi(A0, A0, -1)).branch(Cond::Ne, A0, ZERO, "loop");
        asm.li(T0, RESULTS).put(asm::sd(A1, T0, 0));
        guest::off(&mut asm);
        assert_eq!(guest::results(&guest::run_to_off(&asm, &[])), [60], "at {start:#x}");
    }
}
