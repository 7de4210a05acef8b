//! Interrupts: when they come, in which order, and where to.

use reprove_riscv::memory::BASE;
use reprove_riscv::{Firmware, Stop};

use super::common::asm::{self, A0, A1, A2, A6, A7, Asm, Cond, S0, S1, S2, T0, T1, T2, ZERO};
use super::guest::{
    self, MEPC, MIDELEG, MIE, MIP, MSTATUS, MTVEC, RESULTS, RESUME, SEPC, SIE, SIP, SSTATUS, STVEC, TIME,
};

const CLINT: u64 = 0x200_0000;
const COMPARE: u64 = CLINT + 0x4000;

/// Asks the firmware for an interrupt when the timer reads what is in A0.
fn set_timer(asm: &mut Asm) -> &mut Asm {
    asm.li(A7, 0x5449_4d45).li(A6, 0).put(asm::ecall())
}

/// Turns the timer's interrupt on, in `sie` and `sstatus`.
fn timer_on(asm: &mut Asm) -> &mut Asm {
    asm.li(T0, 1 << 5).put(asm::csrrs(ZERO, SIE, T0)).put(asm::csrrsi(ZERO, SSTATUS, 2))
}

/// A loop of `len` instructions, interrupted `COUNT` times at intervals that meet it everywhere.
fn interrupted_loop(len: usize) -> (Vec<u64>, u64) {
    const COUNT: u64 = 600;
    let mut asm = guest::supervisor();
    asm.la(T0, "tick").put(asm::csrrw(ZERO, STVEC, T0)).li(S0, COUNT).li(S1, RESULTS).li(S2, 0);
    asm.put(asm::csrrs(A0, TIME, ZERO)).put(asm::addi(A0, A0, 3));
    set_timer(&mut asm);
    timer_on(&mut asm).j("loop").org(BASE + 0x800).label("loop");
    for _ in 0..len - 1 {
        asm.put(asm::addi(S2, S2, 1));
    }
    asm.j("loop").label("end");
    // The handler uses no register of the loop's.
    asm.org(BASE + 0x1000).label("tick").put(asm::csrrs(T0, SEPC, ZERO)).put(asm::sd(T0, S1, 0));
    asm.put(asm::addi(S1, S1, 8)).put(asm::addi(S0, S0, -1)).branch(Cond::Eq, S0, ZERO, "done");
    asm.put(asm::csrrs(A0, TIME, ZERO))
        .put(asm::andi(T1, S0, 7))
        .put(asm::add(A0, A0, T1))
        .put(asm::addi(A0, A0, 2));
    // So many instructions more that the next one meets another place of the loop.
    asm.put(asm::andi(T1, S0, 127)).label("delay").put(asm::addi(T1, T1, -1));
    asm.branch(Cond::Ge, T1, ZERO, "delay");
    set_timer(&mut asm);
    asm.put(asm::sret()).label("done");
    guest::off(&mut asm);
    let machine = guest::run_to_off(&asm, &[]);
    let epc =
        (0..COUNT).map(|i| (guest::double(&machine, RESULTS + 8 * i) - asm.address("loop")) / 4).collect();
    (epc, machine.registers()[S2 as usize])
}

/// The timer is due at any instruction of a block: that one is the one interrupted, in every run (see [`guest::run`]).
#[test]
fn the_timer_interrupts_tight_loops_at_every_offset_of_a_block() {
    for len in [1, 2, 3, 7, 31, 64, 65, 90] {
        let (epc, _) = interrupted_loop(len);
        let mut met = vec![false; len];
        for at in epc {
            met[at as usize] = true;
        }
        let count = met.iter().filter(|met| **met).count();
        assert_eq!(count, len, "places at which a loop of {len} was interrupted");
    }
}

/// It comes with the first instruction after the time has come, and not before.
#[test]
fn the_timer_is_due_when_the_clock_has_come_there() {
    for delay in 1..40 {
        let mut asm = guest::supervisor();
        asm.la(T0, "tick").put(asm::csrrw(ZERO, STVEC, T0));
        asm.put(asm::csrrs(A0, TIME, ZERO)).put(asm::addi(A0, A0, delay)).mv(S0, A0);
        set_timer(&mut asm);
        timer_on(&mut asm).label("wait").put(asm::csrrs(S1, TIME, ZERO)).j("wait");
        asm.org(BASE + 0x1000).label("tick").put(asm::csrrs(S2, TIME, ZERO)).li(T0, RESULTS);
        asm.put(asm::sd(S0, T0, 0)).put(asm::sd(S1, T0, 8)).put(asm::sd(S2, T0, 16));
        guest::off(&mut asm);
        let [due, before, after] = guest::results(&guest::run_to_off(&asm, &[]));
        assert!(before <= due && due <= after && after <= due + 1, "{before} {due} {after}");
    }
}

/// Waits for the timer with or without interrupts enabled; how far the loop of additions after it came, and the address
/// that was interrupted.
#[test]
fn wfi_ends_with_the_timer_and_the_interrupt_comes_after_it() {
    for enabled in [true, false] {
        let mut asm = guest::supervisor();
        asm.la(T0, "tick").put(asm::csrrw(ZERO, STVEC, T0)).li(S0, 0);
        asm.put(asm::csrrs(A0, TIME, ZERO)).li(T0, 100).put(asm::add(A0, A0, T0)).mv(S1, A0);
        set_timer(&mut asm);
        timer_on(&mut asm);
        if !enabled {
            asm.put(asm::csrrci(ZERO, SSTATUS, 2));
        }
        asm.put(asm::wfi()).label("after").put(asm::csrrs(S2, TIME, ZERO)).put(asm::addi(S0, S0, 1));
        asm.put(asm::csrrsi(ZERO, SSTATUS, 2)).label("late").put(asm::nop());
        asm.org(BASE + 0x1000).label("tick").put(asm::csrrs(T1, SEPC, ZERO)).put(asm::csrrs(A2, TIME, ZERO));
        asm.li(T0, RESULTS).put(asm::sd(S0, T0, 0)).put(asm::sd(T1, T0, 8));
        asm.put(asm::sub(A2, A2, S1)).put(asm::sd(A2, T0, 16));
        guest::off(&mut asm);
        let machine = guest::run_to_off(&asm, &[]);
        let [additions, epc, late] = guest::results(&machine);
        let expected = if enabled { (0, asm.address("after")) } else { (1, asm.address("late")) };
        assert_eq!((additions, epc), expected);
        assert!(late <= 1, "{late} ticks late");
        assert!(machine.clock().idle() > 1000, "the clock jumped");
    }
}

#[test]
fn wfi_does_not_wait_when_an_interrupt_waits_already() {
    let mut asm = guest::supervisor();
    asm.put(asm::csrrsi(ZERO, SIE, 2)).put(asm::csrrsi(ZERO, SIP, 2)).put(asm::wfi());
    guest::off(&mut asm);
    assert_eq!(guest::run_to_off(&asm, &[]).clock().idle(), 0);
}

#[test]
fn waiting_for_what_cannot_come_ends_the_run() {
    let mut asm = guest::supervisor();
    asm.put(asm::wfi()).label("end").j("end");
    let (mut machine, stop) = guest::run(10_000, || guest::machine(Firmware::Machine, &asm, &[]));
    assert_eq!(stop, Stop::Stuck);
    let root = machine.state_root();
    assert_eq!(machine.run(20_000), Stop::Stuck, "and stays where it is");
    assert_eq!(machine.state_root(), root);
}

/// Sets `waiting` in `mip` with all of it enabled; the order in which the handlers of machine mode see them.
#[test]
fn interrupts_come_in_the_order_of_their_priority() {
    let mut asm = guest::machine_mode();
    // Software and timer interrupts of machine mode by the CLINT, the supervisor's by hand; none is delegated.
    asm.la(T0, "vector").put(asm::csrrw(ZERO, MTVEC, T0)).li(S0, RESULTS);
    asm.li(T0, CLINT).li(T1, 1).put(asm::sw(T1, T0, 0)).li(T0, COMPARE).put(asm::sd(ZERO, T0, 0));
    asm.li(T0, 0x222).put(asm::csrrs(ZERO, MIP, T0)).li(T0, 0xaaa).put(asm::csrrw(ZERO, MIE, T0));
    asm.put(asm::csrrsi(ZERO, MSTATUS, 8)).label("end").j("end");
    asm.org(BASE + 0x800).label("vector").put(asm::csrrs(T0, guest::MCAUSE, ZERO)).put(asm::sd(T0, S0, 0));
    asm.put(asm::addi(S0, S0, 8))
        .put(asm::andi(T0, T0, 63))
        .li(T1, 1)
        .put(asm::r_type(0x33, 1, 0, T1, T1, T0));
    asm.put(asm::csrrc(ZERO, MIE, T1)).put(asm::mret());
    let machine = guest::run_machine_mode(&asm, &[], 500);
    let order = guest::results::<6>(&machine).map(|cause| cause & 0xff | cause >> 63 << 8);
    assert_eq!(order, [0x103, 0x107, 0x109, 0x101, 0x105, 0]);
}

/// The mode decides before the enable bits do: to the supervisor when it is delegated and the mode is lower or allows it.
#[test]
fn delegated_interrupts_go_to_the_supervisor_when_its_mode_allows_them() {
    const SOFTWARE: u32 = 2;
    // Mode to run in, SIE, delegated; who is interrupted: 0 nobody, 1 the supervisor, 3 machine mode.
    for (mode, enabled, delegated, expected) in [
        (0, false, true, 1),
        (0, false, false, 3),
        (1, false, true, 0),
        (1, true, true, 1),
        (1, false, false, 3),
        (3, true, true, 0),
        (3, true, false, 0), // machine mode has its own bit, which is off
    ] {
        let mut asm = guest::machine_mode();
        asm.la(T0, "supervisor")
            .put(asm::csrrw(ZERO, STVEC, T0))
            .la(T0, "machine")
            .put(asm::csrrw(ZERO, MTVEC, T0));
        asm.put(asm::csrrwi(ZERO, MIDELEG, if delegated { SOFTWARE } else { 0 })).li(A1, 0);
        asm.li(T0, 3 << 11 | 2).put(asm::csrrc(ZERO, MSTATUS, T0));
        asm.li(T0, mode << 11 | if enabled { 2 } else { 0 }).put(asm::csrrs(ZERO, MSTATUS, T0));
        asm.put(asm::csrrwi(ZERO, MIE, SOFTWARE)).put(asm::csrrwi(ZERO, MIP, SOFTWARE));
        asm.la(T0, "end").put(asm::csrrw(ZERO, MEPC, T0)).put(asm::mret());
        asm.label("end").j("end");
        asm.org(BASE + 0x400).label("supervisor").li(A1, 1).label("s").j("s");
        asm.label("machine").li(A1, 3).label("m").j("m");
        let machine = guest::run_machine_mode(&asm, &[], 200);
        let got = machine.registers()[A1 as usize];
        assert_eq!(got, expected, "mode {mode}, SIE {enabled}, delegated {delegated}");
    }
}

/// In vectored mode interrupts go to their own entries and exceptions to the first.
#[test]
fn a_vectored_stvec() {
    let mut asm = guest::supervisor();
    asm.la(T0, "vectors").put(asm::ori(T0, T0, 1)).put(asm::csrrw(ZERO, STVEC, T0)).li(S0, 0);
    asm.la(RESUME, "next").put(asm::ebreak()).label("next");
    asm.put(asm::csrrsi(ZERO, SIE, 2)).put(asm::csrrsi(ZERO, SIP, 2)).la(RESUME, "timer");
    asm.put(asm::csrrsi(ZERO, SSTATUS, 2)).label("stay").j("stay");
    asm.label("timer").put(asm::csrrwi(ZERO, SIE, 0)).li(A0, 0);
    set_timer(&mut asm);
    asm.li(T0, 1 << 5).put(asm::csrrs(ZERO, SIE, T0)).la(RESUME, "done").put(asm::csrrsi(ZERO, SSTATUS, 2));
    asm.label("too").j("too").label("done").li(T0, RESULTS).put(asm::sd(S0, T0, 0));
    guest::off(&mut asm);
    asm.org(BASE + 0x1000).label("vectors");
    for code in 0..16 {
        asm.jal(T2, &format!("entry {code}"));
    }
    for code in 0..16 {
        // The entries' numbers, one digit each.
        asm.label(&format!("entry {code}")).put(asm::slli(S0, S0, 4)).put(asm::addi(S0, S0, code));
        asm.put(asm::jalr(ZERO, RESUME, 0));
    }
    assert_eq!(guest::results(&guest::run_to_off(&asm, &[])), [0x015]);
}

/// Machine mode's own timer, as memory, in a loop; and `mtime` read in the middle of a block.
#[test]
fn the_timer_as_memory() {
    let mut asm = guest::machine_mode();
    asm.la(T0, "tick").put(asm::csrrw(ZERO, MTVEC, T0)).li(S0, CLINT + 0xbff8).li(S1, COMPARE).li(S2, 0);
    asm.put(asm::ld(A0, S0, 0)).put(asm::addi(A0, A0, 5)).put(asm::sd(A0, S1, 0));
    asm.li(T0, 1 << 7).put(asm::csrrs(ZERO, MIE, T0)).put(asm::csrrsi(ZERO, MSTATUS, 8));
    asm.label("loop").put(asm::addi(S2, S2, 1)).put(asm::ld(A1, S0, 0)).put(asm::csrrs(A2, TIME, ZERO));
    // At most a tick lies between the two.
    asm.put(asm::sub(A2, A2, A1)).put(asm::srli(A2, A2, 1)).branch(Cond::Eq, A2, ZERO, "loop");
    asm.label("wrong").j("wrong");
    asm.org(BASE + 0x800)
        .label("tick")
        .put(asm::ld(A0, S0, 0))
        .put(asm::addi(A0, A0, 7))
        .put(asm::sd(A0, S1, 0));
    asm.li(T0, RESULTS).put(asm::sd(S2, T0, 0)).put(asm::ld(T1, T0, 8)).put(asm::addi(T1, T1, 1));
    asm.put(asm::sd(T1, T0, 8)).put(asm::mret());
    let machine = guest::run_machine_mode(&asm, &[], 20_000);
    let [rounds, ticks] = guest::results(&machine);
    // 50 steps a tick at two nanoseconds each.
    assert!((40..60).contains(&ticks), "{ticks} interrupts in 400 ticks");
    assert!(rounds > 2000, "{rounds}");
}

/// What reading a device changes is seen by the next instruction: the console's interrupt is claimed, and waits no more.
#[test]
fn a_claimed_interrupt_waits_no_more() {
    const PLIC: u64 = 0xc00_0000;
    let mut asm = guest::supervisor();
    asm.li(T0, PLIC).li(T1, 1).put(asm::sw(T1, T0, 40)); // priority of source 10
    asm.li(T0, PLIC + 0x2080).li(T1, 1 << 10).put(asm::sw(T1, T0, 0)); // enabled for the supervisor
    asm.li(S1, 0x1000_0000).li(T1, 2).put(asm::sb(T1, S1, 1)); // the console interrupts when it is empty
    asm.li(S0, PLIC + 0x20_1004).li(A2, RESULTS);
    asm.put(asm::csrrs(T0, SIP, ZERO)).put(asm::sd(T0, A2, 0));
    asm.put(asm::lw(A0, S0, 0)).put(asm::csrrs(T0, SIP, ZERO)); // claim
    asm.put(asm::sd(A0, A2, 8)).put(asm::sd(T0, A2, 16));
    asm.put(asm::sw(A0, S0, 0)).put(asm::csrrs(T0, SIP, ZERO)).put(asm::sd(T0, A2, 24)); // complete: it is back
    asm.put(asm::lbu(A0, S1, 2)).put(asm::csrrs(T0, SIP, ZERO)).put(asm::sd(T0, A2, 32)); // seen at the console
    guest::off(&mut asm);
    let machine = guest::run_to_off(&asm, &[]);
    assert_eq!(guest::results(&machine), [1 << 9, 10, 0, 1 << 9, 0]);
}
