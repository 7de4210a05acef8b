//! The floating-point arithmetic against three oracles that know nothing of it: the definitions of IEEE 754 on
//! exact numbers, `qemu-riscv64`, and the host's own arithmetic where the host rounds to nearest.
//!
//! Operands are every combination of the edges, and random ones drawn where implementations go wrong.

#![allow(clippy::panic)]

mod exact;
mod host;
mod operands;
mod operation;
mod qemu;

use operands::Random;
use operation::{Case, OPERATIONS, Outcome, ROUNDINGS, Width};

/// Fails with the case, what came out and what should have.
fn check(case: Case, expected: impl FnOnce(Outcome) -> Outcome) {
    let outcome = operation::run(case);
    let expected = expected(outcome);
    assert!(outcome == expected, "{case:x?}\n     got {outcome:x?}\nexpected {expected:x?}");
}

/// Every operation on every combination of edge operands, in every rounding mode.
fn edges(mut visit: impl FnMut(Case)) {
    for width in [Width::Single, Width::Double] {
        let floats = operands::edges(width);
        for operation in OPERATIONS {
            let a = if operation.takes_integer() { operands::integer_edges() } else { floats.clone() };
            let few = operands::few_edges(width);
            let (a, b, c) = match operation.operands() {
                1 => (a, vec![0], vec![0]),
                2 => (a, floats.clone(), vec![0]),
                _ => (few.clone(), few.clone(), few),
            };
            for &rm in if operation.rounds() { &ROUNDINGS[..] } else { &ROUNDINGS[..1] } {
                for (&a, &b) in a.iter().flat_map(|a| b.iter().map(move |b| (a, b))) {
                    for &c in &c {
                        visit(Case { width, operation, rm, a, b, c });
                    }
                }
            }
        }
    }
}

/// `count` random cases, evenly over widths, operations and rounding modes.
fn random(seed: u64, count: usize, mut visit: impl FnMut(Case)) {
    let mut random = Random::new(seed);
    for i in 0..count {
        let width = if i % 2 == 0 { Width::Single } else { Width::Double };
        let operation = OPERATIONS[i / 2 % OPERATIONS.len()];
        let rm = ROUNDINGS[random.below(ROUNDINGS.len())];
        let [a, b, c] = operands::random(&mut random, width, operation);
        visit(Case { width, operation, rm, a, b, c });
    }
}

#[test]
fn edge_operands_as_defined() {
    let mut count = 0;
    edges(|case| {
        count += 1;
        check(case, |outcome| exact::expected(case, outcome));
    });
    assert!(count > 1_000_000, "only {count} cases");
}

#[test]
fn random_operands_as_defined() {
    random(1, 3_000_000, |case| check(case, |outcome| exact::expected(case, outcome)));
}

#[test]
fn edge_operands_as_in_qemu() {
    let mut oracle = qemu::Oracle::new("edges");
    edges(|case| oracle.push(case));
    oracle.finish();
}

#[test]
fn random_operands_as_in_qemu() {
    let mut oracle = qemu::Oracle::new("random");
    random(2, 3_000_000, |case| oracle.push(case));
    oracle.finish();
}

#[test]
fn results_as_on_the_host() {
    let mut compared = 0;
    let mut visit = |case: Case| {
        let case = Case { rm: operation::Rounding::NearestEven, ..case };
        if let Some(bits) = host::result(case) {
            compared += 1;
            check(case, |outcome| Outcome { bits, ..outcome });
        }
    };
    edges(&mut visit);
    random(3, 8_000_000, &mut visit);
    assert!(compared > 2_000_000, "only {compared} cases");
}

/// The oracle by definition can only be trusted if it is not moved by what the implementation says.
#[test]
fn the_definition_does_not_follow_a_wrong_result() {
    random(4, 100_000, |case| {
        let outcome = operation::run(case);
        for wrong in [outcome.bits ^ 1, outcome.bits.wrapping_add(2), 0, u64::MAX] {
            let expected = exact::expected(case, Outcome { bits: wrong, flags: 31 });
            assert_eq!(expected, outcome, "{case:x?}");
        }
    });
}

#[test]
fn reserved_rounding_modes_are_none() {
    for bits in 0..=u8::MAX {
        let rm = operation::Rounding::from_bits(bits);
        assert_eq!(rm.map(|rm| rm as u8), (bits < 5).then_some(bits));
    }
}
