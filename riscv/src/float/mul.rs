//! Multiplication and fused multiplication and addition (IEEE 754-2019, clause 5.4.1).

use super::format::{self, Format, Number, Value};
use super::round;
use super::{Flags, Rounding};

/// A number with the significand of a whole product: ± significand × 2^(exponent − 127), the top bit set.
#[derive(Clone, Copy)]
struct Wide {
    negative: bool,
    exponent: i32,
    significand: u128,
}

/// `a × b`
#[inline]
pub(super) fn mul<F: Format>(a: u64, b: u64, rm: Rounding, flags: &mut Flags) -> u64 {
    let negative = format::is_negative::<F>(a ^ b);
    match (format::unpack::<F>(a), format::unpack::<F>(b)) {
        (Value::Finite(x), Value::Finite(y)) => round::round::<F>(narrow(product(x, y)), rm, flags),
        (Value::Nan, _) | (_, Value::Nan) => round::nan_of::<F>(&[a, b], flags),
        (Value::Infinity, Value::Zero) | (Value::Zero, Value::Infinity) => round::invalid::<F>(flags),
        (Value::Infinity, _) | (_, Value::Infinity) => format::with_sign::<F>(negative, F::INFINITY),
        (Value::Zero, _) | (_, Value::Zero) => format::with_sign::<F>(negative, 0),
    }
}

/// `a × b + c`, rounded once.
#[inline]
pub(super) fn mul_add<F: Format>(a: u64, b: u64, c: u64, rm: Rounding, flags: &mut Flags) -> u64 {
    let negative = format::is_negative::<F>(a ^ b);
    match (format::unpack::<F>(a), format::unpack::<F>(b), format::unpack::<F>(c)) {
        (Value::Finite(x), Value::Finite(y), Value::Finite(z)) => match sum(product(x, y), widen(z)) {
            Some(wide) => round::round::<F>(narrow(wide), rm, flags),
            None => round::exact_zero::<F>(rm),
        },
        (Value::Finite(x), Value::Finite(y), Value::Zero) => {
            round::round::<F>(narrow(product(x, y)), rm, flags)
        }
        // The standard leaves open whether infinity × 0 + quiet NaN is invalid (clause 7.2); RISC-V says it is.
        (Value::Infinity, Value::Zero, _) | (Value::Zero, Value::Infinity, _) => round::invalid::<F>(flags),
        (Value::Nan, ..) | (_, Value::Nan, _) | (.., Value::Nan) => round::nan_of::<F>(&[a, b, c], flags),
        (Value::Infinity, ..) | (_, Value::Infinity, _) => {
            let infinity = format::with_sign::<F>(negative, F::INFINITY);
            if c == format::negate::<F>(infinity) { round::invalid::<F>(flags) } else { infinity }
        }
        // What is left is a finite product, zero unless c is infinite, and c.
        (.., Value::Zero) if c != format::with_sign::<F>(negative, 0) => round::exact_zero::<F>(rm),
        _ => c,
    }
}

/// The exact product of two numbers.
#[inline]
fn product(x: Number, y: Number) -> Wide {
    let significand = u128::from(x.significand) * u128::from(y.significand);
    let shift = significand.leading_zeros();
    Wide {
        negative: x.negative != y.negative,
        exponent: x.exponent + y.exponent + 1 - shift as i32,
        significand: significand << shift,
    }
}

#[inline]
fn widen(number: Number) -> Wide {
    let Number { negative, exponent, significand } = number;
    Wide { negative, exponent, significand: u128::from(significand) << 64 }
}

#[inline]
fn narrow(wide: Wide) -> Number {
    let Wide { negative, exponent, significand } = wide;
    Number { negative, exponent, significand: round::high_sticky(significand) }
}

/// The sum of two numbers whose lowest bits are zeros, its lowest bit sticky; `None` if it is zero.
#[inline]
fn sum(x: Wide, y: Wide) -> Option<Wide> {
    let (large, small) =
        if (x.exponent, x.significand) >= (y.exponent, y.significand) { (x, y) } else { (y, x) };
    let apart = (large.exponent - small.exponent) as u32;
    // A product of two numbers from a format has 22 zeros at its end, or more: one of them makes room for the
    // carry, and the rest keep the sticky bit away from what a cancellation brings up.
    let high = large.significand >> 1;
    let low = shift_right_sticky(small.significand >> 1, apart);
    let total = if x.negative == y.negative { high + low } else { high - low };
    if total == 0 {
        return None;
    }
    let shift = total.leading_zeros();
    Some(Wide {
        negative: large.negative,
        exponent: large.exponent + 1 - shift as i32,
        significand: total << shift,
    })
}

/// As [`round::shift_right_sticky`], of 128 bits.
#[inline]
fn shift_right_sticky(value: u128, shift: u32) -> u128 {
    if shift < 128 {
        value >> shift | u128::from(value & ((1 << shift) - 1) != 0)
    } else {
        u128::from(value != 0)
    }
}
