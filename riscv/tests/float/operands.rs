//! Operands at which implementations go wrong.

use super::operation::{self, Case, Operation, Rounding, Width};

/// SplitMix64: the same numbers in every run.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.bits() % bound as u64) as usize
    }
}

/// Pattern of the power of two.
fn power(width: Width, exponent: i32) -> u64 {
    ((exponent - width.smallest_exponent() + 1) as u64) << (width.precision() - 1)
}

fn with_signs(width: Width, magnitudes: impl IntoIterator<Item = u64>) -> Vec<u64> {
    let mut all: Vec<u64> = magnitudes.into_iter().flat_map(|bits| [bits, bits | width.sign()]).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// The numbers at the bounds of what is special, and their neighbours, with both signs.
pub fn edges(width: Width) -> Vec<u64> {
    let fraction = (1 << (width.precision() - 1)) - 1;
    let smallest = 1 << (width.precision() - 1);
    let infinity = width.infinity();
    let mut edges = vec![
        0,
        1,
        2,
        3,
        smallest >> 1,
        (smallest >> 1) + 1,
        smallest - 2,
        smallest - 1,
        smallest,
        smallest + 1,
        smallest + 2,
        2 * smallest - 1,
        2 * smallest,
        infinity - 2,
        infinity - 1,
        infinity,
        // signaling and quiet NaNs
        infinity + 1,
        width.nan() - 1,
        width.nan(),
        width.nan() + 1,
        infinity | fraction,
        power(width, 1) | (fraction / 3),
        power(width, 2) | (fraction / 5),
    ];
    let precision = width.precision() as i32;
    // One and its neighbourhood, the bounds of the integer types, where the last bit is one half or one, where
    // squares overflow and underflow.
    let exponents = [
        0,
        -1,
        1,
        30,
        31,
        32,
        62,
        63,
        64,
        precision - 1,
        precision,
        -precision,
        width.smallest_exponent() / 2,
        -width.smallest_exponent() / 2,
        width.smallest_exponent() + precision,
        -width.smallest_exponent(),
    ];
    for exponent in exponents {
        let one = power(width, exponent);
        edges.extend([one - 1, one, one + 1, one | smallest >> 1]);
    }
    if width == Width::Double {
        // The bounds of single precision: its largest number, half of its last bit above, its subnormal numbers.
        for single in [127, 128, -126, -127, -148, -149, -150] {
            let one = power(width, single);
            edges.extend([one - 1, one, one + 1, one | 0x000f_ffff_e000_0000, one | 0x000f_ffff_f000_0000]);
            edges.extend([one | 0x000f_ffff_efff_ffff, one | 0x000f_ffff_f000_0001]);
        }
    }
    with_signs(width, edges)
}

/// Fewer, for three operands.
pub fn few_edges(width: Width) -> Vec<u64> {
    let fraction = (1 << (width.precision() - 1)) - 1;
    let smallest = 1 << (width.precision() - 1);
    let infinity = width.infinity();
    let one = power(width, 0);
    let magnitudes = [
        0,
        1,
        2,
        smallest - 1,
        smallest,
        smallest + 1,
        one - 1,
        one,
        one + 1,
        one | smallest >> 1,
        one | fraction,
        power(width, -(width.precision() as i32)),
        power(width, width.precision() as i32) + 1,
        power(width, width.smallest_exponent() / 2),
        power(width, -width.smallest_exponent() / 2) | fraction,
        infinity - 1,
        infinity,
        infinity + 1,
        width.nan(),
        infinity | fraction,
    ];
    with_signs(width, magnitudes)
}

/// The bounds of the integer types, and integers that end at and around the last bit of a significand.
pub fn integer_edges() -> Vec<u64> {
    let mut all = vec![0];
    for bit in 0..64 {
        let power = 1u64 << bit;
        all.extend([power - 1, power, power + 1, power.wrapping_neg(), (power - 1).wrapping_neg()]);
        for lower in 0..bit {
            all.extend([power | 1 << lower, power - (1 << lower), (power | 1 << lower).wrapping_neg()]);
        }
    }
    all.sort_unstable();
    all.dedup();
    all
}

/// A fraction: uniform, or runs of equal bits, which make ties and long carries.
fn fraction(random: &mut Random, width: Width) -> u64 {
    let bits = random.bits();
    let run = |random: &mut Random| u64::MAX << random.below(64);
    let bits = match random.below(4) {
        0 => bits,
        1 => run(random) ^ run(random),
        2 => run(random) ^ run(random) ^ run(random),
        _ => 1 << random.below(64) | 1 << random.below(64),
    };
    bits & ((1 << (width.precision() - 1)) - 1)
}

/// A number with that exponent, or near it; infinite or subnormal beyond the format's.
fn near(random: &mut Random, width: Width, exponent: i32) -> u64 {
    let exponent = exponent + random.below(5) as i32 - 2;
    let field = exponent - width.smallest_exponent() + 1;
    let largest = (width.infinity() >> (width.precision() - 1)) as i32;
    let sign = if random.below(2) == 0 { 0 } else { width.sign() };
    sign | (field.clamp(0, largest) as u64) << (width.precision() - 1) | fraction(random, width)
}

/// A number at most two away, of either sign.
fn neighbour(random: &mut Random, width: Width, bits: u64) -> u64 {
    let sign = if random.below(2) == 0 { 0 } else { width.sign() };
    bits.wrapping_add(random.below(5) as u64).wrapping_sub(2) ^ sign
}

fn float(random: &mut Random, width: Width) -> u64 {
    let precision = width.precision() as usize;
    match random.below(8) {
        0 => random.bits() & (width.sign() | (width.sign() - 1)),
        1 => {
            let edges = few_edges(width);
            edges[random.below(edges.len())]
        }
        2 => near(random, width, width.smallest_exponent()),
        3 => near(random, width, -width.smallest_exponent()),
        4 => {
            let exponent = random.below(70) as i32 - 3;
            near(random, width, exponent)
        }
        5 => {
            let exponent = random.below(2 * precision) as i32 - precision as i32;
            near(random, width, exponent)
        }
        6 => {
            let exponent = width.smallest_exponent() / 2 + random.below(precision) as i32;
            near(random, width, exponent)
        }
        _ => {
            let exponent = width.smallest_exponent()
                + random.below(2 * width.smallest_exponent().unsigned_abs() as usize) as i32;
            near(random, width, exponent)
        }
    }
}

fn exponent(width: Width, bits: u64) -> i32 {
    let field = (bits & width.infinity()) >> (width.precision() - 1);
    field as i32 + width.smallest_exponent() - 1
}

/// Operands for the operation, often related so that something happens: sums whose terms overlap or cancel,
/// products and quotients at the ends of the range, comparisons of neighbours.
pub fn random(random: &mut Random, width: Width, operation: Operation) -> [u64; 3] {
    use Operation::*;
    let precision = width.precision() as usize;
    if operation.takes_integer() {
        let bits = random.bits() >> random.below(64);
        let integer = match random.below(3) {
            0 => bits,
            1 => bits << random.below(64),
            _ => (u64::MAX << random.below(64)) ^ (1 << random.below(64)) ^ (u64::MAX >> random.below(64)),
        };
        return [if random.below(2) == 0 { integer } else { integer.wrapping_neg() }, 0, 0];
    }
    let a = float(random, width);
    let apart = random.below(2 * precision + 8) as i32 - precision as i32 - 4;
    let b = match (operation, random.below(3)) {
        (_, 0) => float(random, width),
        (Mul | MulAdd | MulSub | NegMulSub | NegMulAdd, 1) => {
            near(random, width, width.smallest_exponent() - exponent(width, a) + apart / 2)
        }
        (Mul, _) => near(random, width, -width.smallest_exponent() - exponent(width, a)),
        (Div, 1) => near(random, width, exponent(width, a) - width.smallest_exponent() + apart / 2),
        (Div, _) => near(random, width, exponent(width, a) + width.smallest_exponent()),
        (MulAdd | MulSub | NegMulSub | NegMulAdd, _) => near(random, width, apart),
        (_, 1) => near(random, width, exponent(width, a) + apart),
        _ => neighbour(random, width, a),
    };
    let product = Case { width, operation: Mul, rm: Rounding::NearestEven, a, b, c: 0 };
    let product = operation::run(product).bits;
    let c = match random.below(4) {
        0 => float(random, width),
        1 => near(random, width, exponent(width, product) + apart),
        2 => near(random, width, exponent(width, product) + 2 * apart),
        _ => neighbour(random, width, product),
    };
    let mask = width.sign() | (width.sign() - 1);
    [a, b & mask, c & mask]
}
