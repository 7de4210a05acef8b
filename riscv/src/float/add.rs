//! Addition (IEEE 754-2019, clause 5.4.1); a subtraction is an addition of the negated number.

use super::format::{self, Format, Number, Value};
use super::round;
use super::{Flags, Rounding};

/// `a + b`
#[inline]
pub(super) fn add<F: Format>(a: u64, b: u64, rm: Rounding, flags: &mut Flags) -> u64 {
    match (format::unpack::<F>(a), format::unpack::<F>(b)) {
        (Value::Finite(x), Value::Finite(y)) => match sum(x, y) {
            Some(number) => round::round::<F>(number, rm, flags),
            None => round::exact_zero::<F>(rm),
        },
        (Value::Nan, _) | (_, Value::Nan) => round::nan_of::<F>(&[a, b], flags),
        (Value::Infinity, Value::Infinity) if a != b => round::invalid::<F>(flags),
        (Value::Zero, Value::Zero) if a != b => round::exact_zero::<F>(rm),
        (Value::Infinity, _) | (_, Value::Zero) => a,
        (_, Value::Infinity) | (Value::Zero, _) => b,
    }
}

/// The sum of two numbers that came from a format, its lowest bit sticky; `None` if it is zero.
#[inline]
fn sum(x: Number, y: Number) -> Option<Number> {
    let (large, small) =
        if (x.exponent, x.significand) >= (y.exponent, y.significand) { (x, y) } else { (y, x) };
    let apart = (large.exponent - small.exponent) as u32;
    // One bit of room for the carry. The lowest bits of a number from a format are zeros, so that it costs
    // nothing; and a difference of two that are more than one binade apart cancels no more than one bit, which
    // leaves the sticky bit far below where the rounding happens.
    let high = large.significand >> 1;
    let low = round::shift_right_sticky(small.significand >> 1, apart);
    let total = if x.negative == y.negative { high + low } else { high - low };
    if total == 0 {
        return None;
    }
    let shift = total.leading_zeros();
    Some(Number {
        negative: large.negative,
        exponent: large.exponent + 1 - shift as i32,
        significand: total << shift,
    })
}
