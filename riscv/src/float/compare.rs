//! Comparisons (IEEE 754-2019, clause 5.6.1), and minimum and maximum (clause 9.6: `minimumNumber` and
//! `maximumNumber`).

use super::Flags;
use super::format::{self, Format};

/// A key in the order of the numbers, the same for both zeros. Not for NaNs.
#[inline]
fn key<F: Format>(bits: u64) -> i64 {
    // No overflow: a magnitude has at most 63 bits.
    let magnitude = format::magnitude::<F>(bits) as i64;
    if format::is_negative::<F>(bits) { -magnitude } else { magnitude }
}

/// Raises the invalid exception if one is a NaN (`quiet`: a signaling one), and says whether one is a NaN.
#[inline]
fn unordered<F: Format>(a: u64, b: u64, quiet: bool, flags: &mut Flags) -> bool {
    let nan = format::is_nan::<F>(a) || format::is_nan::<F>(b);
    if nan && (!quiet || format::is_signaling::<F>(a) || format::is_signaling::<F>(b)) {
        *flags |= Flags::INVALID;
    }
    nan
}

/// Whether `a = b`, quiet.
#[inline]
pub(super) fn eq<F: Format>(a: u64, b: u64, flags: &mut Flags) -> bool {
    !unordered::<F>(a, b, true, flags) && key::<F>(a) == key::<F>(b)
}

/// Whether `a < b`, signaling.
#[inline]
pub(super) fn lt<F: Format>(a: u64, b: u64, flags: &mut Flags) -> bool {
    !unordered::<F>(a, b, false, flags) && key::<F>(a) < key::<F>(b)
}

/// Whether `a ≤ b`, signaling.
#[inline]
pub(super) fn le<F: Format>(a: u64, b: u64, flags: &mut Flags) -> bool {
    !unordered::<F>(a, b, false, flags) && key::<F>(a) <= key::<F>(b)
}

/// The smaller one.
#[inline]
pub(super) fn min<F: Format>(a: u64, b: u64, flags: &mut Flags) -> u64 {
    select::<F>(a, b, flags, |a_below_b| a_below_b)
}

/// The larger one.
#[inline]
pub(super) fn max<F: Format>(a: u64, b: u64, flags: &mut Flags) -> u64 {
    select::<F>(a, b, flags, |a_below_b| !a_below_b)
}

/// `a` if `takes_a` says so when told whether `a` is below `b`, else `b`; the other one of a NaN. A signaling
/// NaN raises the invalid exception even where the result is a number.
#[inline]
fn select<F: Format>(a: u64, b: u64, flags: &mut Flags, takes_a: impl Fn(bool) -> bool) -> u64 {
    if unordered::<F>(a, b, true, flags) {
        return match (format::is_nan::<F>(a), format::is_nan::<F>(b)) {
            (true, true) => F::NAN,
            (true, false) => b,
            (false, _) => a,
        };
    }
    // Equal keys are equal patterns or the two zeros, where the negative one counts as below.
    let a_below_b = match key::<F>(a).cmp(&key::<F>(b)) {
        std::cmp::Ordering::Equal => format::is_negative::<F>(a),
        order => order.is_lt(),
    };
    if takes_a(a_below_b) { a } else { b }
}
