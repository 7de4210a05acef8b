//! Square root (IEEE 754-2019, clause 5.4.1).

use super::format::{self, Class, Format, Number};
use super::round;
use super::{Flags, Rounding};

/// The square root of `a`.
#[inline]
pub(super) fn sqrt<F: Format>(a: u64, rm: Rounding, flags: &mut Flags) -> u64 {
    match format::finite::<F>(a) {
        Some(x) if !x.negative => round::round::<F>(root::<F>(x), rm, flags),
        _ => special::<F>(a, flags),
    }
}

/// The square root of what is not a positive finite number.
#[inline(never)]
fn special<F: Format>(a: u64, flags: &mut Flags) -> u64 {
    match format::class::<F>(a) {
        Class::Nan => round::nan_of::<F>(&[a], flags),
        Class::Infinity if !format::is_negative::<F>(a) => a,
        Class::Zero => a,
        Class::Infinity | Class::Finite => round::invalid::<F>(flags),
    }
}

/// The square root of a positive number that came from the format, its lowest bit sticky.
#[inline(always)]
fn root<F: Format>(x: Number) -> Number {
    // The radicand is in [1, 4) after an even exponent is taken out, and its root in [1, 2).
    let odd = x.exponent & 1;
    let significand = if F::FRACTION_BITS < 31 {
        let radicand = x.significand >> (1 - odd);
        let root = radicand.isqrt();
        root << 32 | u64::from(root * root != radicand)
    } else {
        let radicand = u128::from(x.significand) << (63 + odd);
        let root = radicand.isqrt();
        root as u64 | u64::from(root * root != radicand)
    };
    Number { negative: false, exponent: x.exponent >> 1, significand }
}
