//! Values at which implementations go wrong.

use super::common::Random;

const INTEGERS: [u64; 20] = [
    0,
    1,
    2,
    3,
    7,
    31,
    63,
    64,
    0x7f,
    0x80,
    0x7fff,
    0x8000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    0xffff_ffff_8000_0000,
    0xffff_ffff_ffff_ffff,
];

const SINGLES: [u32; 18] = [
    0,           // zero
    1,           // smallest subnormal
    0x007f_ffff, // largest subnormal
    0x0080_0000, // smallest normal
    0x3f80_0000, // one
    0x3f7f_ffff, // before one
    0x3f00_0000, // a half
    0x4b00_0000, // 2^23
    0x4f00_0000, // 2^31
    0x4eff_ffff,
    0x5f00_0000, // 2^63
    0x5f7f_ffff,
    0x7f7f_ffff, // largest
    0x7f80_0000, // infinity
    0x7f80_0001, // signaling NaN
    0x7fbf_ffff,
    0x7fc0_0000, // quiet NaN
    0x7fff_ffff,
];

const DOUBLES: [u64; 20] = [
    0,
    1,
    0x000f_ffff_ffff_ffff,
    0x0010_0000_0000_0000,
    0x3ff0_0000_0000_0000, // one
    0x3fef_ffff_ffff_ffff,
    0x3fe0_0000_0000_0000,
    0x36a0_0000_0000_0000, // smallest subnormal of single precision
    0x380f_ffff_f000_0000, // around its smallest normal
    0x47ef_ffff_e000_0000, // its largest
    0x47ef_ffff_f000_0000, // rounds away from it
    0x41df_ffff_ffc0_0000, // 2^31 - 1
    0x41e0_0000_0000_0000,
    0x43e0_0000_0000_0000, // 2^63
    0x43f0_0000_0000_0000, // 2^64
    0x7fef_ffff_ffff_ffff,
    0x7ff0_0000_0000_0000,
    0x7ff0_0000_0000_0001, // signaling NaN
    0x7ff8_0000_0000_0000,
    0x7fff_ffff_ffff_ffff,
];

/// Any value.
pub fn any(random: &mut Random) -> u64 {
    const BOX: u64 = 0xffff_ffff << 32;
    let bits = random.bits();
    match random.below(12) {
        0 => bits,
        1 => random.pick(&INTEGERS),
        2 => random.pick(&INTEGERS).wrapping_neg().wrapping_add(bits % 3),
        3 => bits % 1000,
        4 => random.pick(&DOUBLES) | bits & 1 << 63,
        5 => BOX | u64::from(random.pick(&SINGLES)) | bits & 1 << 31,
        // Near one, so that exponents do not run away.
        6 => bits & !(0x7ff << 52) | (0x3ff - 8 + bits % 16) << 52,
        7 => BOX | bits & 0x807f_ffff | (0x7f - 8 + (bits >> 32) % 16) << 23,
        // Few bits set, so that results lie halfway between numbers.
        8 => bits & 0xfff0_0000_8000_0001 & !(1 << 62),
        9 => BOX | bits & 0xbf80_0401,
        10 => BOX | bits,
        // Not boxed: counts as a NaN.
        _ => u64::from(random.pick(&SINGLES)) | (bits & 0xffff_fffe) << 32,
    }
}
