//! The firmware as its guests see it (RISC-V SBI 2.0).

use reprove_riscv::sbi::Reset;
use reprove_riscv::{Firmware, Stop};

use super::common::asm::{self, A0, A1, A2, A6, A7, S0, ZERO};
use super::guest::{self, RESULTS, SIP, SPARE};

/// Calls in order: extension, function, arguments; each one's error and value. And what was on the console.
fn calls<const N: usize>(calls: [(u64, u64, [u64; 3]); N]) -> ([(i64, u64); N], Vec<u8>) {
    let mut asm = guest::supervisor();
    asm.li(S0, RESULTS);
    for (extension, function, arguments) in calls {
        asm.li(A7, extension).li(A6, function);
        asm.li(A0, arguments[0]).li(A1, arguments[1]).li(A2, arguments[2]).put(asm::ecall());
        asm.put(asm::sd(A0, S0, 0)).put(asm::sd(A1, S0, 8)).put(asm::addi(S0, S0, 16));
    }
    guest::off(&mut asm);
    let mut machine = guest::run_to_off(&asm, &[(SPARE, b"written by the firmware\n".repeat(40))]);
    let answer = |i: usize| {
        let at = RESULTS + 16 * i as u64;
        (guest::double(&machine, at) as i64, guest::double(&machine, at + 8))
    };
    (std::array::from_fn(answer), machine.take_console())
}

const BASE: u64 = 0x10;
const TIME: u64 = 0x5449_4d45;
const INTERRUPT: u64 = 0x73_5049;
const FENCE: u64 = 0x5246_4e43;
const HART: u64 = 0x48_534d;
const RESET: u64 = 0x5352_5354;
const CONSOLE: u64 = 0x4442_434e;

#[test]
fn it_says_what_it_has() {
    let probe = |extension| (BASE, 3, [extension, 0, 0]);
    let (answers, _) = calls([
        (BASE, 0, [0; 3]),
        probe(BASE),
        probe(TIME),
        probe(INTERRUPT),
        probe(FENCE),
        probe(HART),
        probe(RESET),
        probe(CONSOLE),
        probe(0x0050_4d55), // performance counters
        (BASE, 4, [0; 3]),
        (BASE, 7, [0; 3]),
        (0x0050_4d55, 0, [0; 3]),
        (TIME, 1, [0; 3]),
    ]);
    let there = (0, 1);
    let absent = (-2, 0);
    let expected = [
        (0, 2 << 24),
        there,
        there,
        there,
        there,
        there,
        there,
        there,
        (0, 0),
        (0, 0),
        absent,
        absent,
        absent,
    ];
    assert_eq!(answers, expected);
}

#[test]
fn harts_are_this_one_and_no_other() {
    let (answers, _) = calls([
        (HART, 2, [0; 3]),
        (HART, 2, [1, 0, 0]),
        (HART, 0, [0; 3]),
        (HART, 0, [1, 0, 0]),
        (INTERRUPT, 0, [0, 0, 0]),
        (INTERRUPT, 0, [2, 0, 0]),
        (INTERRUPT, 0, [1, 1, 0]),
        (FENCE, 1, [1, 0, 0]),
        (FENCE, 0, [0, u64::MAX, 0]),
        (FENCE, 7, [1, 0, 0]),
    ]);
    let codes = answers.map(|(error, _)| error);
    assert_eq!(codes, [0, -3, -6, -3, 0, -3, -3, 0, 0, -2]);
}

#[test]
fn an_interrupt_sent_to_itself_waits() {
    let mut asm = guest::supervisor();
    asm.li(A7, INTERRUPT).li(A6, 0).li(A0, 1).li(A1, 0).put(asm::ecall());
    asm.put(asm::csrrs(A0, SIP, ZERO)).li(A1, RESULTS).put(asm::sd(A0, A1, 0));
    guest::off(&mut asm);
    assert_eq!(guest::results(&guest::run_to_off(&asm, &[])), [2]);
}

#[test]
fn the_console_writes_what_is_in_memory_and_says_how_much() {
    let end = reprove_riscv::memory::BASE + guest::MEMORY;
    let (answers, console) = calls([
        (CONSOLE, 0, [10, SPARE, 0]),
        (CONSOLE, 0, [960, SPARE, 0]),
        (CONSOLE, 0, [1, 0, 0]),
        (CONSOLE, 0, [4, end - 3, 0]),
        (CONSOLE, 0, [4, SPARE, 1]),
        (CONSOLE, 0, [u64::MAX, SPARE, 0]),
        (CONSOLE, 1, [10, SPARE, 0]),
        (CONSOLE, 2, [u64::from(b'!'), 0, 0]),
        (1, 0, [u64::from(b'?'), 0, 0]), // the console of SBI 0.1, which changes no other register
    ]);
    assert_eq!(answers[0], (0, 10));
    let (error, most) = answers[1];
    assert!(error == 0 && (1..=960).contains(&most), "{most}");
    assert_eq!(answers[2].0, -3);
    assert_eq!(answers[3].0, -3);
    assert_eq!(answers[4].0, -3);
    assert_eq!(answers[5], (0, most));
    assert_eq!(answers[6], (0, 0));
    assert_eq!(answers[7], (0, 0));
    let text = b"written by the firmware\n".repeat(40);
    let most = most as usize;
    assert_eq!(console, [&text[..10], &text[..most], &text[..most], b"!?"].concat());
}

#[test]
fn it_switches_off_for_the_reason_that_is_given() {
    for (kind, reason, reset) in [
        (0, 0, Some(Reset::Shutdown)),
        (0, 1, Some(Reset::Failure)),
        (1, 0, Some(Reset::Reboot)),
        (2, 0, Some(Reset::Reboot)),
        (3, 0, None),
    ] {
        let mut asm = guest::supervisor();
        asm.li(A7, RESET).li(A6, 0).li(A0, kind).li(A1, reason).put(asm::ecall()).label("end").j("end");
        let (machine, stop) = guest::run(1000, || guest::machine(Firmware::Machine, &asm, &[]));
        match reset {
            Some(reset) => assert_eq!(stop, Stop::PoweredOff { reset }),
            None => assert_eq!((stop, machine.registers()[A0 as usize] as i64), (Stop::Reached, -3)),
        }
    }
}

#[test]
fn the_only_hart_stops_for_good() {
    let mut asm = guest::supervisor();
    asm.li(A7, HART).li(A6, 1).put(asm::ecall()).label("end").j("end");
    let (_, stop) = guest::run(1000, || guest::machine(Firmware::Machine, &asm, &[]));
    assert_eq!(stop, Stop::Stuck);
}
