//! The definitions of IEEE 754-2019 on exact numbers, as slow and as plain as they are.
//!
//! A result is never computed: it is looked for among the numbers of the format by comparing them with the
//! exact result, which takes only sums of products of integers and powers of two. Where the implementation says
//! the result is, is looked first; whether it is there is then a matter of two comparisons.

use std::cmp::Ordering;

use super::operation::{Case, Operation, Outcome, Rounding, Width};

const NX: u8 = 1;
const UF: u8 = 2;
const OF: u8 = 4;
const DZ: u8 = 8;
const NV: u8 = 16;

/// ± integer × 2^exponent
#[derive(Clone, Copy)]
struct Term {
    negative: bool,
    integer: u128,
    exponent: i32,
}

impl Term {
    fn times(self, other: Term) -> Term {
        Term {
            negative: self.negative != other.negative,
            integer: self.integer.checked_mul(other.integer).expect("factors have 64 bits at most"),
            exponent: self.exponent + other.exponent,
        }
    }

    fn with_sign(self, negative: bool) -> Term {
        Term { negative, ..self }
    }
}

/// How the sum of the terms compares with zero: by adding them up in two's complement of as many bits as it
/// takes.
fn compare_sum_with_zero(terms: &[Term]) -> Ordering {
    let some = terms.iter().filter(|term| term.integer != 0);
    let Some(lowest) = some.clone().map(|term| term.exponent).min() else { return Ordering::Equal };
    let highest = some.clone().map(|term| term.exponent).max().unwrap_or(lowest);
    let limbs = (highest - lowest) as usize / 64 + 4;
    let mut sum = [0u64; 160];
    let sum = &mut sum[..limbs];
    for term in some {
        let shift = (term.exponent - lowest) as usize;
        let (low, high) = (term.integer << (shift % 64), term.integer >> 64 >> (64 - shift % 64));
        let limbs_of_term = [low as u64, (low >> 64) as u64, high as u64];
        // Of a negative term the complement is added, and one.
        let mut carry = term.negative;
        for (i, limb) in sum.iter_mut().enumerate() {
            let of_term = i.checked_sub(shift / 64).and_then(|i| limbs_of_term.get(i)).copied().unwrap_or(0);
            let of_term = if term.negative { !of_term } else { of_term };
            let (partial, carry_a) = limb.overflowing_add(of_term);
            let (total, carry_b) = partial.overflowing_add(u64::from(carry));
            *limb = total;
            carry = carry_a || carry_b;
        }
    }
    if sum[limbs - 1] >> 63 == 1 {
        Ordering::Less
    } else if sum.iter().any(|&limb| limb != 0) {
        Ordering::Greater
    } else {
        Ordering::Equal
    }
}

/// An exact result.
enum Exact {
    Sum(Term, Term),
    Quotient(Term, Term),
    Root(Term),
}

const NOTHING: Term = Term { negative: false, integer: 0, exponent: 0 };

impl Exact {
    fn compare_with_zero(&self) -> Ordering {
        match *self {
            Exact::Sum(a, b) => compare_sum_with_zero(&[a, b]),
            Exact::Quotient(a, b) => compare_sum_with_zero(&[a.with_sign(a.negative != b.negative)]),
            Exact::Root(a) => compare_sum_with_zero(&[a]),
        }
    }

    /// How the magnitude compares with `y`, which is not negative.
    fn compare_magnitude(&self, y: Term) -> Ordering {
        match *self {
            Exact::Sum(a, b) => {
                let turn = self.compare_with_zero().is_lt();
                let turned = |term: Term| term.with_sign(term.negative != turn);
                compare_sum_with_zero(&[turned(a), turned(b), y.with_sign(true)])
            }
            // a ÷ b ? y is a ? y × b
            Exact::Quotient(a, b) => {
                compare_sum_with_zero(&[a.with_sign(false), y.times(b.with_sign(false)).with_sign(true)])
            }
            // √a ? y is a ? y × y
            Exact::Root(a) => compare_sum_with_zero(&[a, y.times(y).with_sign(true)]),
        }
    }
}

/// The numbers a result can be rounded to, numbered from zero upwards.
#[derive(Clone, Copy)]
enum Grid {
    /// A format without a largest number. The numbers' numbers are their bit patterns.
    Float {
        precision: u32,
        smallest_exponent: i32,
    },
    Integer,
}

impl Grid {
    fn number(self, index: u64) -> Term {
        match self {
            Grid::Float { precision, smallest_exponent } => {
                let (field, fraction) = (index >> (precision - 1), index & ((1 << (precision - 1)) - 1));
                let implicit = if field > 0 { 1 << (precision - 1) } else { 0 };
                let exponent = smallest_exponent - (precision as i32 - 1) + field.saturating_sub(1) as i32;
                Term { negative: false, integer: u128::from(implicit | fraction), exponent }
            }
            Grid::Integer => Term { negative: false, integer: index.into(), exponent: 0 },
        }
    }

    /// A number above every finite result.
    fn top(self) -> u64 {
        match self {
            Grid::Float { precision, .. } => 4095 << (precision - 1),
            Grid::Integer => u64::MAX,
        }
    }

    /// The middle between a number and the next.
    fn middle(self, index: u64) -> Term {
        let Term { negative, integer, exponent } = self.number(index);
        Term { negative, integer: 2 * integer + 1, exponent: exponent - 1 }
    }

    /// The number whose magnitude is the largest not above the exact result's.
    fn floor(self, exact: &Exact, guess: u64) -> u64 {
        let not_above = |index| exact.compare_magnitude(self.number(index)).is_ge();
        for guess in [guess, guess.wrapping_sub(1)] {
            if guess < self.top() && not_above(guess) && !not_above(guess + 1) {
                return guess;
            }
        }
        let (mut low, mut high) = (0, self.top());
        while low < high {
            let middle = high - (high - low) / 2;
            if not_above(middle) { low = middle } else { high = middle - 1 }
        }
        low
    }

    /// The number to which the exact result is rounded, and whether it is another one.
    fn round(self, exact: &Exact, rm: Rounding, guess: u64) -> (u128, bool) {
        let floor = self.floor(exact, guess);
        if exact.compare_magnitude(self.number(floor)).is_eq() {
            return (floor.into(), false);
        }
        let negative = exact.compare_with_zero().is_lt();
        let away = match (rm, exact.compare_magnitude(self.middle(floor))) {
            (Rounding::TowardZero, _) => false,
            (Rounding::Down, _) => negative,
            (Rounding::Up, _) => !negative,
            (_, Ordering::Less) => false,
            (_, Ordering::Greater) => true,
            (Rounding::NearestEven, _) => floor % 2 == 1,
            (Rounding::NearestMaxMagnitude, _) => true,
        };
        (u128::from(floor) + u128::from(away), true)
    }
}

/// The exact result, other than zero, in the format.
fn in_format(width: Width, exact: &Exact, rm: Rounding, guess: Outcome) -> Outcome {
    let (precision, smallest_exponent) = (width.precision(), width.smallest_exponent());
    let grid = Grid::Float { precision, smallest_exponent };
    let negative = exact.compare_with_zero().is_lt();
    let sign = if negative { width.sign() } else { 0 };
    let (index, inexact) = grid.round(exact, rm, guess.bits & (width.sign() - 1));
    if index >= width.infinity().into() {
        let to_infinity = match rm {
            Rounding::NearestEven | Rounding::NearestMaxMagnitude => true,
            Rounding::TowardZero => false,
            Rounding::Down => negative,
            Rounding::Up => !negative,
        };
        return Outcome { bits: sign | (width.infinity() - u64::from(!to_infinity)), flags: OF | NX };
    }
    let mut flags = 0;
    if inexact {
        flags |= NX;
        // Tiny after rounding: rounded to a format with smaller exponents, it is below the smallest normal number.
        let smallest = Term { negative: false, integer: 1, exponent: smallest_exponent };
        if exact.compare_magnitude(smallest).is_lt() {
            let wider = Grid::Float { precision, smallest_exponent: smallest_exponent - 2 };
            let (rounded, _) = wider.round(exact, rm, 0);
            // The number two binades above that format's smallest normal one.
            if rounded < 3 << (precision - 1) {
                flags |= UF;
            }
        }
    }
    Outcome { bits: sign | index as u64, flags }
}

/// What a bit pattern stands for. A zero is a term like others.
#[derive(Clone, Copy)]
enum Datum {
    Number(Term),
    Infinity { negative: bool },
    Nan { signaling: bool },
}

fn datum(width: Width, bits: u64) -> Datum {
    let (negative, magnitude) = (bits & width.sign() != 0, bits & (width.sign() - 1));
    let grid = Grid::Float { precision: width.precision(), smallest_exponent: width.smallest_exponent() };
    match magnitude.cmp(&width.infinity()) {
        Ordering::Less => Datum::Number(grid.number(magnitude).with_sign(negative)),
        Ordering::Equal => Datum::Infinity { negative },
        Ordering::Greater => Datum::Nan { signaling: magnitude < width.nan() },
    }
}

/// What should have come out. `guess` is what did; the answer does not depend on it, only the time it takes.
pub fn expected(case: Case, guess: Outcome) -> Outcome {
    use Operation::*;
    let Case { width, operation, rm, .. } = case;
    let mask = width.sign() << 1;
    let [a, b, c] = [case.a, case.b, case.c].map(|bits| if mask == 0 { bits } else { bits & (mask - 1) });
    let turned = |bits: u64| bits ^ width.sign();
    match operation {
        Add => add(width, [a, b], rm, guess),
        Sub => add(width, [a, turned(b)], rm, guess),
        Mul => mul(width, [a, b], rm, guess),
        Div => div(width, [a, b], rm, guess),
        Sqrt => sqrt(width, a, rm, guess),
        MulAdd => mul_add(width, [a, b, c], rm, guess),
        MulSub => mul_add(width, [a, b, turned(c)], rm, guess),
        NegMulSub => mul_add(width, [turned(a), b, c], rm, guess),
        NegMulAdd => mul_add(width, [turned(a), b, turned(c)], rm, guess),
        Min | Max => min_or_max(width, [a, b], operation == Min),
        Eq | Lt | Le => compare(width, [a, b], operation),
        Classify => Outcome { bits: class(width, a), flags: 0 },
        ToI32 => to_integer(width, a, i32::MIN.into(), i32::MAX.into(), rm, guess),
        ToU32 => to_integer(width, a, 0, u32::MAX.into(), rm, guess),
        ToI64 => to_integer(width, a, i64::MIN.into(), i64::MAX.into(), rm, guess),
        ToU64 => to_integer(width, a, 0, u64::MAX.into(), rm, guess),
        FromI32 => from_integer(width, (case.a as i32).into(), rm, guess),
        FromU32 => from_integer(width, (case.a as u32).into(), rm, guess),
        FromI64 => from_integer(width, (case.a as i64).into(), rm, guess),
        FromU64 => from_integer(width, case.a.into(), rm, guess),
        Convert => convert(width, a, rm, guess),
    }
}

fn invalid(width: Width) -> Outcome {
    Outcome { bits: width.nan(), flags: NV }
}

fn infinity(width: Width, negative: bool) -> Outcome {
    Outcome { bits: width.infinity() | if negative { width.sign() } else { 0 }, flags: 0 }
}

fn zero(width: Width, negative: bool) -> Outcome {
    Outcome { bits: if negative { width.sign() } else { 0 }, flags: 0 }
}

/// The outcome if one of the operands is a NaN.
fn nan<const N: usize>(width: Width, operands: [u64; N]) -> Option<Outcome> {
    let mut found = None;
    for bits in operands {
        if let Datum::Nan { signaling } = datum(width, bits) {
            let flags = if signaling { NV } else { 0 };
            found = Some(flags | found.unwrap_or(0));
        }
    }
    found.map(|flags| Outcome { bits: width.nan(), flags })
}

/// A sum that may be zero: then negative if both terms are, or one is and the mode is down.
fn sum(width: Width, a: Term, b: Term, rm: Rounding, guess: Outcome) -> Outcome {
    let exact = Exact::Sum(a, b);
    match exact.compare_with_zero() {
        Ordering::Equal if a.negative == b.negative => zero(width, a.negative),
        Ordering::Equal => zero(width, rm == Rounding::Down),
        _ => in_format(width, &exact, rm, guess),
    }
}

fn add(width: Width, [a, b]: [u64; 2], rm: Rounding, guess: Outcome) -> Outcome {
    match (datum(width, a), datum(width, b)) {
        (Datum::Number(a), Datum::Number(b)) => sum(width, a, b, rm, guess),
        (Datum::Infinity { negative: a }, Datum::Infinity { negative: b }) if a != b => invalid(width),
        (Datum::Infinity { negative }, Datum::Number(_) | Datum::Infinity { .. })
        | (Datum::Number(_), Datum::Infinity { negative }) => infinity(width, negative),
        _ => nan(width, [a, b]).expect("one is a NaN"),
    }
}

fn mul(width: Width, [a, b]: [u64; 2], rm: Rounding, guess: Outcome) -> Outcome {
    let negative = (a ^ b) & width.sign() != 0;
    match (datum(width, a), datum(width, b)) {
        (Datum::Number(a), Datum::Number(b)) if a.integer == 0 || b.integer == 0 => zero(width, negative),
        (Datum::Number(a), Datum::Number(b)) => in_format(width, &Exact::Sum(a.times(b), NOTHING), rm, guess),
        (Datum::Number(Term { integer: 0, .. }), Datum::Infinity { .. })
        | (Datum::Infinity { .. }, Datum::Number(Term { integer: 0, .. })) => invalid(width),
        (Datum::Nan { .. }, _) | (_, Datum::Nan { .. }) => nan(width, [a, b]).expect("one is a NaN"),
        _ => infinity(width, negative),
    }
}

fn div(width: Width, [a, b]: [u64; 2], rm: Rounding, guess: Outcome) -> Outcome {
    let negative = (a ^ b) & width.sign() != 0;
    match (datum(width, a), datum(width, b)) {
        (Datum::Number(a), Datum::Number(b)) => match (a.integer, b.integer) {
            (0, 0) => invalid(width),
            (0, _) => zero(width, negative),
            (_, 0) => Outcome { flags: DZ, ..infinity(width, negative) },
            _ => in_format(width, &Exact::Quotient(a, b), rm, guess),
        },
        (Datum::Number(_), Datum::Infinity { .. }) => zero(width, negative),
        (Datum::Infinity { .. }, Datum::Number(_)) => infinity(width, negative),
        (Datum::Infinity { .. }, Datum::Infinity { .. }) => invalid(width),
        _ => nan(width, [a, b]).expect("one is a NaN"),
    }
}

fn sqrt(width: Width, a: u64, rm: Rounding, guess: Outcome) -> Outcome {
    match datum(width, a) {
        Datum::Number(Term { integer: 0, negative, .. }) => zero(width, negative),
        Datum::Number(a) if !a.negative => in_format(width, &Exact::Root(a), rm, guess),
        Datum::Infinity { negative: false } => infinity(width, false),
        Datum::Number(_) | Datum::Infinity { .. } => invalid(width),
        Datum::Nan { .. } => nan(width, [a]).expect("it is a NaN"),
    }
}

fn mul_add(width: Width, [a, b, c]: [u64; 3], rm: Rounding, guess: Outcome) -> Outcome {
    if let (Datum::Number(a), Datum::Number(b), Datum::Number(c)) =
        (datum(width, a), datum(width, b), datum(width, c))
    {
        return sum(width, a.times(b), c, rm, guess);
    }
    // A finite product is here as good as zero; otherwise it is a NaN or an infinity.
    let is_number = |bits| matches!(datum(width, bits), Datum::Number(_));
    let product =
        if is_number(a) && is_number(b) { zero(width, false) } else { mul(width, [a, b], rm, guess) };
    if product.flags == NV {
        return invalid(width);
    }
    add(width, [product.bits, c], rm, guess)
}

/// Not of NaNs; the zeros are equal.
fn order(width: Width, a: u64, b: u64) -> Option<Ordering> {
    let rank = |datum| match datum {
        Datum::Number(_) => Some(0),
        Datum::Infinity { negative } => Some(if negative { -1 } else { 1 }),
        Datum::Nan { .. } => None,
    };
    let (a, b) = (datum(width, a), datum(width, b));
    Some(match (a, b) {
        (Datum::Number(a), Datum::Number(b)) => compare_sum_with_zero(&[a, b.with_sign(!b.negative)]),
        _ => rank(a)?.cmp(&rank(b)?),
    })
}

fn compare(width: Width, [a, b]: [u64; 2], operation: Operation) -> Outcome {
    let holds = order(width, a, b).is_some_and(|order| match operation {
        Operation::Eq => order.is_eq(),
        Operation::Lt => order.is_lt(),
        _ => order.is_le(),
    });
    let flags = match nan(width, [a, b]) {
        Some(_) if operation != Operation::Eq => NV,
        Some(outcome) => outcome.flags,
        None => 0,
    };
    Outcome { bits: holds.into(), flags }
}

fn min_or_max(width: Width, [a, b]: [u64; 2], min: bool) -> Outcome {
    let is_nan = |bits| matches!(datum(width, bits), Datum::Nan { .. });
    let flags = nan(width, [a, b]).map_or(0, |outcome| outcome.flags);
    let bits = match order(width, a, b) {
        Some(Ordering::Less) => [b, a][usize::from(min)],
        Some(Ordering::Greater) => [a, b][usize::from(min)],
        // The same number, or zeros: the negative one is the smaller.
        Some(Ordering::Equal) => [a.min(b), a.max(b)][usize::from(min)],
        None if is_nan(a) && is_nan(b) => width.nan(),
        None => {
            if is_nan(a) {
                b
            } else {
                a
            }
        }
    };
    Outcome { bits, flags }
}

fn class(width: Width, a: u64) -> u64 {
    let smallest = 1u128 << (width.precision() - 1);
    match datum(width, a) {
        Datum::Infinity { negative: true } => 1,
        Datum::Number(Term { negative, integer, .. }) => match (negative, integer) {
            (true, 0) => 1 << 3,
            (false, 0) => 1 << 4,
            (true, integer) => {
                if integer >= smallest {
                    1 << 1
                } else {
                    1 << 2
                }
            }
            (false, integer) => {
                if integer >= smallest {
                    1 << 6
                } else {
                    1 << 5
                }
            }
        },
        Datum::Infinity { negative: false } => 1 << 7,
        Datum::Nan { signaling: true } => 1 << 8,
        Datum::Nan { signaling: false } => 1 << 9,
    }
}

fn to_integer(width: Width, a: u64, least: i128, most: i128, rm: Rounding, guess: Outcome) -> Outcome {
    let mask = if most <= i128::from(u32::MAX) { u64::from(u32::MAX) } else { u64::MAX };
    let outcome = |value: i128, flags| Outcome { bits: value as u64 & mask, flags };
    let a = match datum(width, a) {
        Datum::Number(a) => a,
        Datum::Infinity { negative: true } => return outcome(least, NV),
        Datum::Infinity { negative: false } | Datum::Nan { .. } => return outcome(most, NV),
    };
    let exact = Exact::Sum(a, NOTHING);
    let too_large = Term { negative: false, integer: 1 << 64, exponent: 0 };
    let (value, inexact) = if exact.compare_magnitude(too_large).is_ge() {
        (1 << 64, true)
    } else {
        // Sign-extended, so that small negative results are guessed too.
        let guess = if a.negative { guess.bits.wrapping_neg() & mask } else { guess.bits };
        let (magnitude, inexact) = Grid::Integer.round(&exact, rm, guess);
        (magnitude as i128, inexact)
    };
    match if a.negative { -value } else { value } {
        value if value < least => outcome(least, NV),
        value if value > most => outcome(most, NV),
        value => outcome(value, if inexact { NX } else { 0 }),
    }
}

fn from_integer(width: Width, integer: i128, rm: Rounding, guess: Outcome) -> Outcome {
    let term = Term { negative: integer < 0, integer: integer.unsigned_abs(), exponent: 0 };
    if integer == 0 { zero(width, false) } else { in_format(width, &Exact::Sum(term, NOTHING), rm, guess) }
}

fn convert(from: Width, a: u64, rm: Rounding, guess: Outcome) -> Outcome {
    let to = from.other();
    match datum(from, a) {
        Datum::Number(Term { integer: 0, negative, .. }) => zero(to, negative),
        Datum::Number(a) => in_format(to, &Exact::Sum(a, NOTHING), rm, guess),
        Datum::Infinity { negative } => infinity(to, negative),
        Datum::Nan { signaling } => Outcome { bits: to.nan(), flags: if signaling { NV } else { 0 } },
    }
}
