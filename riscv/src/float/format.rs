//! The two interchange formats (IEEE 754-2019, clause 3.4) and what a bit pattern of them stands for.

/// The sizes of a format's fields. Bit patterns of both formats are held in the low bits of a `u64`.
pub(super) trait Format {
    /// Width of the trailing significand field; the precision is one more.
    const FRACTION_BITS: u32;
    /// Width of the biased exponent field.
    const EXPONENT_BITS: u32;

    /// What is added to an exponent to store it.
    const BIAS: i32 = (1 << (Self::EXPONENT_BITS - 1)) - 1;
    /// The exponent field of infinities and NaNs: all ones.
    const SPECIAL: i32 = (1 << Self::EXPONENT_BITS) - 1;
    /// The sign bit.
    const SIGN: u64 = 1 << (Self::FRACTION_BITS + Self::EXPONENT_BITS);
    /// The trailing significand field.
    const FRACTION: u64 = (1 << Self::FRACTION_BITS) - 1;
    /// Plus infinity.
    const INFINITY: u64 = (Self::SPECIAL as u64) << Self::FRACTION_BITS;
    /// The highest bit of a NaN's fraction: clear in a signaling NaN.
    const QUIET: u64 = 1 << (Self::FRACTION_BITS - 1);
    /// The canonical NaN: positive, quiet, no payload.
    const NAN: u64 = Self::INFINITY | Self::QUIET;
}

/// binary32
pub(super) struct Single;

impl Format for Single {
    const FRACTION_BITS: u32 = 23;
    const EXPONENT_BITS: u32 = 8;
}

/// binary64
pub(super) struct Double;

impl Format for Double {
    const FRACTION_BITS: u32 = 52;
    const EXPONENT_BITS: u32 = 11;
}

/// A finite number other than zero: ± significand × 2^(exponent − 63), with the significand's top bit set. A
/// subnormal number is not special in this form.
#[derive(Clone, Copy)]
pub(super) struct Number {
    pub(super) negative: bool,
    pub(super) exponent: i32,
    pub(super) significand: u64,
}

/// What kind of thing a bit pattern stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Zero,
    Finite,
    Infinity,
    Nan,
}

/// Whether the sign bit is set, which says something of every pattern but a NaN's.
#[inline]
pub(super) fn is_negative<F: Format>(bits: u64) -> bool {
    bits & F::SIGN != 0
}

/// The pattern with the other sign.
#[inline]
pub(super) fn negate<F: Format>(bits: u64) -> u64 {
    bits ^ F::SIGN
}

/// The pattern without its sign. Patterns of magnitudes are in the order of the magnitudes.
#[inline]
pub(super) fn magnitude<F: Format>(bits: u64) -> u64 {
    bits & (F::SIGN - 1)
}

/// `magnitude` with a sign.
#[inline]
pub(super) fn with_sign<F: Format>(negative: bool, magnitude: u64) -> u64 {
    if negative { magnitude | F::SIGN } else { magnitude }
}

#[inline]
pub(super) fn is_nan<F: Format>(bits: u64) -> bool {
    magnitude::<F>(bits) > F::INFINITY
}

#[inline]
pub(super) fn is_signaling<F: Format>(bits: u64) -> bool {
    is_nan::<F>(bits) && bits & F::QUIET == 0
}

/// What `bits` stands for, whatever its sign.
#[inline]
pub(super) fn class<F: Format>(bits: u64) -> Class {
    match magnitude::<F>(bits) {
        0 => Class::Zero,
        magnitude if magnitude < F::INFINITY => Class::Finite,
        magnitude if magnitude == F::INFINITY => Class::Infinity,
        _ => Class::Nan,
    }
}

/// The number, if `bits` is of the class [`Class::Finite`].
#[inline(always)]
pub(super) fn finite<F: Format>(bits: u64) -> Option<Number> {
    let fraction = bits & F::FRACTION;
    let field = (bits >> F::FRACTION_BITS) as i32 & F::SPECIAL;
    let negative = is_negative::<F>(bits);
    if field == F::SPECIAL {
        return None;
    }
    // The fraction's top bit at bit 62; the implicit bit above it.
    let aligned = fraction << (63 - F::FRACTION_BITS);
    if field != 0 {
        return Some(Number { negative, exponent: field - F::BIAS, significand: 1 << 63 | aligned });
    }
    if fraction == 0 {
        return None;
    }
    // A subnormal number has the exponent of the smallest normal ones, and no implicit bit.
    let shift = aligned.leading_zeros();
    Some(Number { negative, exponent: 1 - F::BIAS - shift as i32, significand: aligned << shift })
}
