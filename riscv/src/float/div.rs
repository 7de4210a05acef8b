//! Division (IEEE 754-2019, clause 5.4.1) and the division by zero exception (7.3).

use super::format::{self, Class, Format, Number};
use super::round;
use super::{Flags, Rounding};

/// `a ÷ b`
#[inline]
pub(super) fn div<F: Format>(a: u64, b: u64, rm: Rounding, flags: &mut Flags) -> u64 {
    let (Some(x), Some(y)) = (format::finite::<F>(a), format::finite::<F>(b)) else {
        return special::<F>(a, b, flags);
    };
    round::round::<F>(quotient::<F>(x, y), rm, flags)
}

/// The quotient where not both are finite numbers other than zero.
#[inline(never)]
fn special<F: Format>(a: u64, b: u64, flags: &mut Flags) -> u64 {
    let negative = format::is_negative::<F>(a ^ b);
    match (format::class::<F>(a), format::class::<F>(b)) {
        (Class::Nan, _) | (_, Class::Nan) => round::nan_of::<F>(&[a, b], flags),
        (Class::Infinity, Class::Infinity) | (Class::Zero, Class::Zero) => round::invalid::<F>(flags),
        (Class::Infinity, _) => format::with_sign::<F>(negative, F::INFINITY),
        (_, Class::Zero) => {
            *flags |= Flags::DIVIDE_BY_ZERO;
            format::with_sign::<F>(negative, F::INFINITY)
        }
        _ => format::with_sign::<F>(negative, 0),
    }
}

/// The quotient of two numbers that came from the format, its lowest bit sticky.
#[inline(always)]
fn quotient<F: Format>(x: Number, y: Number) -> Number {
    // The ratio of the significands is between 1/2 and 2, both excluded.
    let quotient = if F::FRACTION_BITS < 31 {
        // Only the upper half has bits: a division of 64 by 32 bits, with at least 31 bits of quotient.
        let (dividend, divisor) = (x.significand >> 1, y.significand >> 32);
        let quotient = dividend / divisor;
        quotient << 32 | u64::from(quotient * divisor != dividend)
    } else {
        let (dividend, divisor) = (u128::from(x.significand) << 63, u128::from(y.significand));
        let quotient = dividend / divisor;
        quotient as u64 | u64::from(quotient * divisor != dividend)
    };
    let shift = quotient.leading_zeros();
    Number {
        negative: x.negative != y.negative,
        exponent: x.exponent - y.exponent - shift as i32,
        significand: quotient << shift,
    }
}
