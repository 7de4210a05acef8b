//! Addition (IEEE 754-2019, clause 5.4.1); a subtraction is an addition of the negated number.

use super::format::{self, Class, Format, Number};
use super::round;
use super::{Flags, Rounding};

/// `a + b`
#[inline]
pub(super) fn add<F: Format>(a: u64, b: u64, rm: Rounding, flags: &mut Flags) -> u64 {
    // Patterns are ordered like the magnitudes, with infinity above the numbers and NaNs above it.
    let swap = format::magnitude::<F>(a) < format::magnitude::<F>(b);
    let (large, small) = if swap { (b, a) } else { (a, b) };
    let (Some(x), Some(y)) = (format::finite::<F>(large), format::finite::<F>(small)) else {
        return special::<F>(large, small, rm, flags);
    };
    match sum(x, y) {
        Some(number) => round::round::<F>(number, rm, flags),
        None => round::exact_zero::<F>(rm),
    }
}

/// The sum where not both are finite numbers other than zero.
#[inline(never)]
fn special<F: Format>(large: u64, small: u64, rm: Rounding, flags: &mut Flags) -> u64 {
    match (format::class::<F>(large), format::class::<F>(small)) {
        (Class::Nan, _) => round::nan_of::<F>(&[large, small], flags),
        (Class::Infinity, Class::Infinity) if large != small => round::invalid::<F>(flags),
        (Class::Zero, _) if large != small => round::exact_zero::<F>(rm),
        _ => large,
    }
}

/// The sum of two numbers that came from a format, the larger magnitude first; its lowest bit is sticky. `None`
/// if it is zero.
#[inline(always)]
fn sum(large: Number, small: Number) -> Option<Number> {
    let apart = (large.exponent - small.exponent) as u32;
    // One bit of room for the carry. The lowest bits of a number from a format are zeros, so that it costs
    // nothing; and a difference of two that are more than one binade apart cancels no more than one bit, which
    // leaves the sticky bit far below where the rounding happens.
    let high = large.significand >> 1;
    let low = round::shift_right_sticky(small.significand >> 1, apart);
    let total = if large.negative == small.negative { high + low } else { high - low };
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
