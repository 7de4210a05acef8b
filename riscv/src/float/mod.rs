//! The arithmetic of the F and D extensions: IEEE 754 binary32 and binary64, in integers only.
//!
//! Every operation takes and gives bit patterns, is told how to round, and adds the exceptions it met to the
//! caller's flags. The host's floating point is never used, so that results and flags are the same on every host.
//! Pure: no state but the flags, no I/O, no allocation, and no panic on any operand.
//!
//! Sources: IEEE 754-2019 (rounding: clause 4.3; exceptions: clause 7; operations: clauses 5.4 to 5.6, 5.11 and
//! 9.6) and what *The RISC-V Instruction Set Manual, Volume I: Unprivileged ISA*, chapters "F" (version 2.2) and
//! "D" (version 2.2), decides where the standard leaves a choice:
//!
//! - a result that is a NaN is the canonical NaN, whatever the operands were;
//! - tininess is detected after rounding;
//! - infinity × 0 + quiet NaN raises the invalid exception;
//! - minimum and maximum are `minimumNumber` and `maximumNumber`, with −0 below +0;
//! - a conversion to an integer saturates, and a NaN becomes the largest integer.
//!
//! NaN boxing of binary32 in 64-bit registers is the register file's matter, not this module's.

mod add;
mod classify;
mod compare;
mod convert;
mod div;
mod format;
mod mul;
mod round;
mod sqrt;
mod width;

use std::ops::{BitOr, BitOrAssign};

use format::{Double, Single};

/// How a result that is not representable is rounded: the `rm` field of an instruction and of `fcsr`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Rounding {
    /// To the nearest; a tie to the one with the even significand (RNE).
    NearestEven = 0,
    /// Towards zero (RTZ).
    TowardZero = 1,
    /// Towards minus infinity (RDN).
    Down = 2,
    /// Towards plus infinity (RUP).
    Up = 3,
    /// To the nearest; a tie away from zero (RMM).
    NearestMaxMagnitude = 4,
}

impl Rounding {
    /// The rounding mode of that encoding; `None` for the reserved ones (5 and 6) and for 7, which in an
    /// instruction means the mode in `fcsr` and in `fcsr` is invalid.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            0 => Some(Self::NearestEven),
            1 => Some(Self::TowardZero),
            2 => Some(Self::Down),
            3 => Some(Self::Up),
            4 => Some(Self::NearestMaxMagnitude),
            _ => None,
        }
    }
}

/// The exceptions that were met, as the `fflags` register holds them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub u8);

impl Flags {
    /// NX: the result was rounded.
    pub const INEXACT: Self = Self(1);
    /// UF: the result was tiny and inexact.
    pub const UNDERFLOW: Self = Self(2);
    /// OF: the rounded result was larger than the largest finite number.
    pub const OVERFLOW: Self = Self(4);
    /// DZ: a finite number other than zero was divided by zero.
    pub const DIVIDE_BY_ZERO: Self = Self(8);
    /// NV: there is no usefully definable result, or an operand was a signaling NaN.
    pub const INVALID: Self = Self(16);

    /// Adds `exception` if `met`, without a branch: whether a result is exact is hard to predict.
    #[inline]
    fn raise_if(&mut self, met: bool, exception: Self) {
        self.0 |= exception.0 * u8::from(met);
    }
}

impl BitOr for Flags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Flags {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// binary32: single precision, the F extension.
pub mod f32 {
    super::width::operations!(u32, Single);
}

/// binary64: double precision, the D extension.
pub mod f64 {
    super::width::operations!(u64, Double);
}

/// The same number in double precision (`fcvt.d.s`): exact; a signaling NaN raises the invalid exception.
#[must_use]
pub fn f32_to_f64(a: u32, flags: &mut Flags) -> u64 {
    convert::between::<Single, Double>(u64::from(a), Rounding::NearestEven, flags)
}

/// The number rounded to single precision (`fcvt.s.d`).
#[must_use]
pub fn f64_to_f32(a: u64, rm: Rounding, flags: &mut Flags) -> u32 {
    convert::between::<Double, Single>(a, rm, flags) as u32
}
