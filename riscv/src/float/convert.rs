//! Conversions between the formats (IEEE 754-2019, clause 5.4.2) and from and to integers (5.4.1 and 5.8), the
//! latter with the results of the F chapter's table of valid inputs.

use super::format::{self, Class, Format, Number};
use super::round;
use super::{Flags, Rounding};

/// The range of an integer type: the largest magnitudes below and above zero.
#[derive(Clone, Copy)]
pub(super) struct Range {
    negative: u64,
    positive: u64,
}

pub(super) const I32: Range = Range { negative: 1 << 31, positive: (1 << 31) - 1 };
pub(super) const U32: Range = Range { negative: 0, positive: u32::MAX as u64 };
pub(super) const I64: Range = Range { negative: 1 << 63, positive: (1 << 63) - 1 };
pub(super) const U64: Range = Range { negative: 0, positive: u64::MAX };

/// `a` of the format `From` in the format `To`.
#[inline]
pub(super) fn between<From: Format, To: Format>(a: u64, rm: Rounding, flags: &mut Flags) -> u64 {
    if let Some(number) = format::finite::<From>(a) {
        return round::round::<To>(number, rm, flags);
    }
    let negative = format::is_negative::<From>(a);
    match format::class::<From>(a) {
        Class::Nan => {
            round::nan_of::<From>(&[a], flags);
            To::NAN
        }
        Class::Infinity => format::with_sign::<To>(negative, To::INFINITY),
        _ => format::with_sign::<To>(negative, 0),
    }
}

/// `a` rounded to an integer, in two's complement. What is not in `range` becomes the nearest that is, a NaN the
/// largest; both raise the invalid exception, and then the inexact one is not raised.
#[inline]
pub(super) fn to_integer<F: Format>(a: u64, range: Range, rm: Rounding, flags: &mut Flags) -> u64 {
    let (negative, rounded) = match format::finite::<F>(a) {
        Some(number) => (number.negative, round_magnitude(number, rm)),
        None => match format::class::<F>(a) {
            Class::Zero => return 0,
            Class::Nan => (false, None),
            _ => (format::is_negative::<F>(a), None),
        },
    };
    let largest = if negative { range.negative } else { range.positive };
    let magnitude = match rounded {
        Some((magnitude, inexact)) if magnitude <= largest => {
            flags.raise_if(inexact, Flags::INEXACT);
            magnitude
        }
        _ => {
            *flags |= Flags::INVALID;
            largest
        }
    };
    if negative { magnitude.wrapping_neg() } else { magnitude }
}

/// The magnitude of a number rounded to an integer, and whether it was inexact; `None` if it is 2^64 or more.
#[inline(always)]
fn round_magnitude(number: Number, rm: Rounding) -> Option<(u64, bool)> {
    let Number { negative, exponent, significand } = number;
    match exponent {
        64.. => None,
        63 => Some((significand, false)),
        _ => {
            // Less than one is first moved down, so that nothing of it is kept.
            let fraction = round::shift_right_sticky(significand, (-exponent).clamp(0, 63) as u32);
            Some(round::round_off(fraction, (63 - exponent).min(63) as u32, negative, rm))
        }
    }
}

/// The number nearest to an integer, given by sign and magnitude.
#[inline]
pub(super) fn from_integer<F: Format>(
    negative: bool,
    magnitude: u64,
    rm: Rounding,
    flags: &mut Flags,
) -> u64 {
    if magnitude == 0 {
        return 0;
    }
    let shift = magnitude.leading_zeros();
    let number = Number { negative, exponent: 63 - shift as i32, significand: magnitude << shift };
    round::round::<F>(number, rm, flags)
}
