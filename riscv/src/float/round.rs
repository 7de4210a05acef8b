//! From an exact result to the format: rounding (IEEE 754-2019, clause 4.3), overflow (7.4), underflow (7.5)
//! and inexact (7.6).
//!
//! An operation hands over a significand of 64 bits whose lowest bit is *sticky*: it is set if anything other
//! than zero lies below. As at least ten bits are rounded off, that tells everything a rounding mode asks.

use super::format::{self, Format, Number};
use super::{Flags, Rounding};

/// `value >> shift`, with the lowest bit set if a bit that was set fell off.
#[inline(always)]
pub(super) fn shift_right_sticky(value: u64, shift: u32) -> u64 {
    if shift < 64 {
        value >> shift | u64::from(value & ((1 << shift) - 1) != 0)
    } else {
        u64::from(value != 0)
    }
}

/// The upper half of `value`, with the lowest bit set if the lower half is not zero.
#[inline(always)]
pub(super) fn high_sticky(value: u128) -> u64 {
    (value >> 64) as u64 | u64::from(value as u64 != 0)
}

/// `value` without its lowest `drop` bits, rounded, and whether it was inexact. `drop` is 1 to 63.
#[inline(always)]
pub(super) fn round_off(value: u64, drop: u32, negative: bool, rm: Rounding) -> (u64, bool) {
    let kept = value >> drop;
    let mask = (1 << drop) - 1;
    let lost = value & mask;
    let half = 1 << (drop - 1);
    // What, added to the lost bits, carries into the kept ones exactly when the magnitude is to grow.
    let increment = if rm == Rounding::NearestEven {
        // Nearly always this one, which a branch of its own makes cheaper.
        half - 1 + (kept & 1)
    } else {
        match rm {
            Rounding::NearestEven | Rounding::NearestMaxMagnitude => half,
            Rounding::TowardZero => 0,
            Rounding::Down => mask * u64::from(negative),
            Rounding::Up => mask * u64::from(!negative),
        }
    };
    (kept + ((lost + increment) >> drop), lost != 0)
}

/// The pattern of `number`, whose significand's lowest bit is sticky, in the format.
#[inline(always)]
pub(super) fn round<F: Format>(number: Number, rm: Rounding, flags: &mut Flags) -> u64 {
    let Number { negative, exponent, significand } = number;
    let drop = 63 - F::FRACTION_BITS;
    let field = exponent + F::BIAS;
    if field <= 0 {
        return round_subnormal::<F>(number, rm, flags);
    }
    if field >= F::SPECIAL {
        return overflow::<F>(negative, rm, flags);
    }
    let (rounded, inexact) = round_off(significand, drop, negative, rm);
    // The implicit bit adds one to the exponent field, and so does a carry out of the fraction.
    let magnitude = ((field as u64 - 1) << F::FRACTION_BITS) + rounded;
    if magnitude >= F::INFINITY {
        return overflow::<F>(negative, rm, flags);
    }
    flags.raise_if(inexact, Flags::INEXACT);
    format::with_sign::<F>(negative, magnitude)
}

/// As [`round`], of a number below the smallest normal one.
#[cold]
fn round_subnormal<F: Format>(number: Number, rm: Rounding, flags: &mut Flags) -> u64 {
    let Number { negative, exponent, significand } = number;
    let drop = 63 - F::FRACTION_BITS;
    let below = 1 - F::BIAS - exponent;
    let (magnitude, inexact) = round_off(shift_right_sticky(significand, below as u32), drop, negative, rm);
    if inexact {
        *flags |= Flags::INEXACT;
        // Tiny after rounding: as if the exponent had no lower bound, the result would still be below the
        // smallest normal number. Only a carry out of the whole significand lifts it there.
        let (unbounded, _) = round_off(significand, drop, negative, rm);
        if below > 1 || unbounded >> (F::FRACTION_BITS + 1) == 0 {
            *flags |= Flags::UNDERFLOW;
        }
    }
    // A carry into the exponent field makes the smallest normal number, as it should.
    format::with_sign::<F>(negative, magnitude)
}

/// Infinity, or the largest finite number where the mode rounds away from infinity.
#[cold]
fn overflow<F: Format>(negative: bool, rm: Rounding, flags: &mut Flags) -> u64 {
    *flags |= Flags::OVERFLOW | Flags::INEXACT;
    let finite = match rm {
        Rounding::NearestEven | Rounding::NearestMaxMagnitude => false,
        Rounding::TowardZero => true,
        Rounding::Down => !negative,
        Rounding::Up => negative,
    };
    format::with_sign::<F>(negative, F::INFINITY - u64::from(finite))
}

/// A sum that is exactly zero though its terms were not both zeros of one sign (IEEE 754-2019, clause 6.3).
#[inline]
pub(super) fn exact_zero<F: Format>(rm: Rounding) -> u64 {
    format::with_sign::<F>(rm == Rounding::Down, 0)
}

/// The result where there is none: the canonical NaN and the invalid exception.
#[cold]
pub(super) fn invalid<F: Format>(flags: &mut Flags) -> u64 {
    *flags |= Flags::INVALID;
    F::NAN
}

/// The result where an operand is a NaN: the canonical NaN, and the invalid exception if one is signaling.
#[cold]
pub(super) fn nan_of<F: Format>(operands: &[u64], flags: &mut Flags) -> u64 {
    if operands.iter().any(|&bits| format::is_signaling::<F>(bits)) {
        *flags |= Flags::INVALID;
    }
    F::NAN
}
