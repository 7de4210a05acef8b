//! Multiplication and fused multiplication and addition (IEEE 754-2019, clause 5.4.1).

use super::format::{self, Class, Format, Number};
use super::round;
use super::{Flags, Rounding, add};

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
    let (Some(x), Some(y)) = (format::finite::<F>(a), format::finite::<F>(b)) else {
        return special_product::<F>(a, b, flags);
    };
    round::round::<F>(narrow(product(x, y)), rm, flags)
}

/// `a × b + c`, rounded once.
#[inline]
pub(super) fn mul_add<F: Format>(a: u64, b: u64, c: u64, rm: Rounding, flags: &mut Flags) -> u64 {
    let (Some(x), Some(y)) = (format::finite::<F>(a), format::finite::<F>(b)) else {
        return special_sum::<F>(a, b, c, rm, flags);
    };
    let product = product(x, y);
    let Some(z) = format::finite::<F>(c) else {
        return match format::class::<F>(c) {
            Class::Zero => round::round::<F>(narrow(product), rm, flags),
            Class::Nan => round::nan_of::<F>(&[c], flags),
            _ => c,
        };
    };
    match sum(product, widen(z)) {
        Some(wide) => round::round::<F>(narrow(wide), rm, flags),
        None => round::exact_zero::<F>(rm),
    }
}

/// The product where not both are finite numbers other than zero: it is exact.
#[inline(never)]
fn special_product<F: Format>(a: u64, b: u64, flags: &mut Flags) -> u64 {
    let negative = format::is_negative::<F>(a ^ b);
    match (format::class::<F>(a), format::class::<F>(b)) {
        (Class::Nan, _) | (_, Class::Nan) => round::nan_of::<F>(&[a, b], flags),
        (Class::Infinity, Class::Zero) | (Class::Zero, Class::Infinity) => round::invalid::<F>(flags),
        (Class::Infinity, _) | (_, Class::Infinity) => format::with_sign::<F>(negative, F::INFINITY),
        _ => format::with_sign::<F>(negative, 0),
    }
}

/// The fused sum where not both factors are finite numbers other than zero: as their product is exact, it is the
/// sum of that product and `c`. The standard leaves open whether infinity × 0 + quiet NaN is invalid (clause
/// 7.2); RISC-V says it is, so that the product's exceptions count whatever `c` is.
#[inline(never)]
fn special_sum<F: Format>(a: u64, b: u64, c: u64, rm: Rounding, flags: &mut Flags) -> u64 {
    let product = special_product::<F>(a, b, flags);
    add::add::<F>(product, c, rm, flags)
}

/// The exact product of two numbers.
#[inline(always)]
fn product(x: Number, y: Number) -> Wide {
    let significand = u128::from(x.significand) * u128::from(y.significand);
    let shift = significand.leading_zeros();
    Wide {
        negative: x.negative != y.negative,
        exponent: x.exponent + y.exponent + 1 - shift as i32,
        significand: significand << shift,
    }
}

#[inline(always)]
fn widen(number: Number) -> Wide {
    let Number { negative, exponent, significand } = number;
    Wide { negative, exponent, significand: u128::from(significand) << 64 }
}

#[inline(always)]
fn narrow(wide: Wide) -> Number {
    let Wide { negative, exponent, significand } = wide;
    Number { negative, exponent, significand: round::high_sticky(significand) }
}

/// The sum of two numbers whose lowest bits are zeros, its lowest bit sticky; `None` if it is zero.
#[inline(always)]
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
#[inline(always)]
fn shift_right_sticky(value: u128, shift: u32) -> u128 {
    if shift < 128 {
        value >> shift | u128::from(value & ((1 << shift) - 1) != 0)
    } else {
        u128::from(value != 0)
    }
}
