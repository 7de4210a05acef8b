//! Square root (IEEE 754-2019, clause 5.4.1).

use super::format::{self, Format, Number, Value};
use super::round;
use super::{Flags, Rounding};

/// The square root of `a`.
#[inline]
pub(super) fn sqrt<F: Format>(a: u64, rm: Rounding, flags: &mut Flags) -> u64 {
    match format::unpack::<F>(a) {
        Value::Nan => round::nan_of::<F>(&[a], flags),
        Value::Zero => a,
        _ if format::is_negative::<F>(a) => round::invalid::<F>(flags),
        Value::Infinity => a,
        Value::Finite(x) => round::round::<F>(root::<F>(x), rm, flags),
    }
}

/// The square root of a positive number that came from the format, its lowest bit sticky.
#[inline]
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
