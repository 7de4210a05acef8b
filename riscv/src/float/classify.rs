//! Classes (IEEE 754-2019, clause 5.7.2) in the encoding of `fclass`.

use super::format::{self, Class, Format};

/// The class of `a`: bits 0 to 3 minus infinity, negative normal, negative subnormal, −0; bits 4 to 7 +0,
/// positive subnormal, positive normal, plus infinity; bit 8 signaling NaN, bit 9 quiet NaN.
#[inline]
pub(super) fn classify<F: Format>(a: u64) -> u64 {
    let (negative, positive) = match format::class::<F>(a) {
        Class::Infinity => (0, 7),
        Class::Finite if a & F::INFINITY != 0 => (1, 6),
        Class::Finite => (2, 5),
        Class::Zero => (3, 4),
        Class::Nan => return if format::is_signaling::<F>(a) { 1 << 8 } else { 1 << 9 },
    };
    1 << if format::is_negative::<F>(a) { negative } else { positive }
}
