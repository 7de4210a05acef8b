//! The operations of one width as plain functions, the same list for both.

/// Defines in the module where it stands the operations on `$bits`, bit patterns of the format `$format`.
macro_rules! operations {
    ($bits:ty, $format:ident) => {
        use super::format::{self, $format};
        use super::{Flags, Rounding, add, classify, compare, convert, div, mul, sqrt};

        /// `a + b`
        #[must_use]
        pub fn add(a: $bits, b: $bits, rm: Rounding, flags: &mut Flags) -> $bits {
            add::add::<$format>(a as u64, b as u64, rm, flags) as $bits
        }

        /// `a − b`
        #[must_use]
        pub fn sub(a: $bits, b: $bits, rm: Rounding, flags: &mut Flags) -> $bits {
            add::add::<$format>(a as u64, format::negate::<$format>(b as u64), rm, flags) as $bits
        }

        /// `a × b`
        #[must_use]
        pub fn mul(a: $bits, b: $bits, rm: Rounding, flags: &mut Flags) -> $bits {
            mul::mul::<$format>(a as u64, b as u64, rm, flags) as $bits
        }

        /// `a ÷ b`
        #[must_use]
        pub fn div(a: $bits, b: $bits, rm: Rounding, flags: &mut Flags) -> $bits {
            div::div::<$format>(a as u64, b as u64, rm, flags) as $bits
        }

        /// The square root of `a`; −0 of −0.
        #[must_use]
        pub fn sqrt(a: $bits, rm: Rounding, flags: &mut Flags) -> $bits {
            sqrt::sqrt::<$format>(a as u64, rm, flags) as $bits
        }

        /// `a × b + c`, rounded once. The other fused instructions are this one with the signs of `a` and `c`
        /// turned.
        #[must_use]
        pub fn mul_add(a: $bits, b: $bits, c: $bits, rm: Rounding, flags: &mut Flags) -> $bits {
            mul::mul_add::<$format>(a as u64, b as u64, c as u64, rm, flags) as $bits
        }

        /// The smaller one, −0 below +0; the other one if one is a NaN.
        #[must_use]
        pub fn min(a: $bits, b: $bits, flags: &mut Flags) -> $bits {
            compare::min::<$format>(a as u64, b as u64, flags) as $bits
        }

        /// The larger one, +0 above −0; the other one if one is a NaN.
        #[must_use]
        pub fn max(a: $bits, b: $bits, flags: &mut Flags) -> $bits {
            compare::max::<$format>(a as u64, b as u64, flags) as $bits
        }

        /// Whether `a = b`; quiet: only a signaling NaN raises the invalid exception.
        #[must_use]
        pub fn eq(a: $bits, b: $bits, flags: &mut Flags) -> bool {
            compare::eq::<$format>(a as u64, b as u64, flags)
        }

        /// Whether `a < b`; signaling: every NaN raises the invalid exception.
        #[must_use]
        pub fn lt(a: $bits, b: $bits, flags: &mut Flags) -> bool {
            compare::lt::<$format>(a as u64, b as u64, flags)
        }

        /// Whether `a ≤ b`; signaling: every NaN raises the invalid exception.
        #[must_use]
        pub fn le(a: $bits, b: $bits, flags: &mut Flags) -> bool {
            compare::le::<$format>(a as u64, b as u64, flags)
        }

        /// The class of `a` as the mask `fclass` gives: exactly one of the bits 0 to 9 is set.
        #[must_use]
        pub fn classify(a: $bits) -> u64 {
            classify::classify::<$format>(a as u64)
        }

        /// `a` rounded to a signed integer of 32 bits, saturated.
        #[must_use]
        pub fn to_i32(a: $bits, rm: Rounding, flags: &mut Flags) -> i32 {
            convert::to_integer::<$format>(a as u64, convert::I32, rm, flags) as i32
        }

        /// `a` rounded to an unsigned integer of 32 bits, saturated.
        #[must_use]
        pub fn to_u32(a: $bits, rm: Rounding, flags: &mut Flags) -> u32 {
            convert::to_integer::<$format>(a as u64, convert::U32, rm, flags) as u32
        }

        /// `a` rounded to a signed integer of 64 bits, saturated.
        #[must_use]
        pub fn to_i64(a: $bits, rm: Rounding, flags: &mut Flags) -> i64 {
            convert::to_integer::<$format>(a as u64, convert::I64, rm, flags) as i64
        }

        /// `a` rounded to an unsigned integer of 64 bits, saturated.
        #[must_use]
        pub fn to_u64(a: $bits, rm: Rounding, flags: &mut Flags) -> u64 {
            convert::to_integer::<$format>(a as u64, convert::U64, rm, flags)
        }

        /// The number nearest to a signed integer of 32 bits, as `rm` says.
        #[must_use]
        pub fn from_i32(i: i32, rm: Rounding, flags: &mut Flags) -> $bits {
            convert::from_integer::<$format>(i < 0, u64::from(i.unsigned_abs()), rm, flags) as $bits
        }

        /// The number nearest to an unsigned integer of 32 bits, as `rm` says.
        #[must_use]
        pub fn from_u32(i: u32, rm: Rounding, flags: &mut Flags) -> $bits {
            convert::from_integer::<$format>(false, u64::from(i), rm, flags) as $bits
        }

        /// The number nearest to a signed integer of 64 bits, as `rm` says.
        #[must_use]
        pub fn from_i64(i: i64, rm: Rounding, flags: &mut Flags) -> $bits {
            convert::from_integer::<$format>(i < 0, i.unsigned_abs(), rm, flags) as $bits
        }

        /// The number nearest to an unsigned integer of 64 bits, as `rm` says.
        #[must_use]
        pub fn from_u64(i: u64, rm: Rounding, flags: &mut Flags) -> $bits {
            convert::from_integer::<$format>(false, i, rm, flags) as $bits
        }
    };
}

pub(super) use operations;
