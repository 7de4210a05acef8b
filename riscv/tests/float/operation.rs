//! The operations under test, by name, so that each oracle can be asked the same question.

pub use reprove_riscv::float::Rounding;
use reprove_riscv::float::{self, Flags};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    Single,
    Double,
}

impl Width {
    /// Bits of precision, the implicit one counted.
    pub fn precision(self) -> u32 {
        match self {
            Width::Single => 24,
            Width::Double => 53,
        }
    }

    /// The exponent of the smallest normal number.
    pub fn smallest_exponent(self) -> i32 {
        match self {
            Width::Single => -126,
            Width::Double => -1022,
        }
    }

    pub fn sign(self) -> u64 {
        match self {
            Width::Single => 1 << 31,
            Width::Double => 1 << 63,
        }
    }

    /// The pattern of plus infinity.
    pub fn infinity(self) -> u64 {
        match self {
            Width::Single => 0x7f80_0000,
            Width::Double => 0x7ff0_0000_0000_0000,
        }
    }

    /// The pattern of the canonical NaN.
    pub fn nan(self) -> u64 {
        match self {
            Width::Single => 0x7fc0_0000,
            Width::Double => 0x7ff8_0000_0000_0000,
        }
    }

    pub fn other(self) -> Self {
        match self {
            Width::Single => Width::Double,
            Width::Double => Width::Single,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Add,
    Sub,
    Mul,
    Div,
    Sqrt,
    /// a × b + c
    MulAdd,
    /// a × b − c
    MulSub,
    /// −(a × b) + c
    NegMulSub,
    /// −(a × b) − c
    NegMulAdd,
    Min,
    Max,
    Eq,
    Lt,
    Le,
    Classify,
    ToI32,
    ToU32,
    ToI64,
    ToU64,
    FromI32,
    FromU32,
    FromI64,
    FromU64,
    /// To the other width.
    Convert,
}

use Operation::*;

pub const OPERATIONS: [Operation; 24] = [
    Add, Sub, Mul, Div, Sqrt, MulAdd, MulSub, NegMulSub, NegMulAdd, Min, Max, Eq, Lt, Le, Classify, ToI32,
    ToU32, ToI64, ToU64, FromI32, FromU32, FromI64, FromU64, Convert,
];

pub const ROUNDINGS: [Rounding; 5] = [
    Rounding::NearestEven,
    Rounding::TowardZero,
    Rounding::Down,
    Rounding::Up,
    Rounding::NearestMaxMagnitude,
];

impl Operation {
    pub fn operands(self) -> usize {
        match self {
            Add | Sub | Mul | Div | Min | Max | Eq | Lt | Le => 2,
            MulAdd | MulSub | NegMulSub | NegMulAdd => 3,
            _ => 1,
        }
    }

    pub fn takes_integer(self) -> bool {
        matches!(self, FromI32 | FromU32 | FromI64 | FromU64)
    }

    /// Whether the result depends on the rounding mode.
    pub fn rounds(self) -> bool {
        !matches!(self, Min | Max | Eq | Lt | Le | Classify)
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub width: Width,
    pub operation: Operation,
    pub rm: Rounding,
    pub a: u64,
    pub b: u64,
    pub c: u64,
}

/// The result's bits, zeros above its width, and the flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub bits: u64,
    pub flags: u8,
}

/// What the implementation says.
pub fn run(case: Case) -> Outcome {
    let mut flags = Flags::default();
    let bits = match case.width {
        Width::Single => single(case, &mut flags),
        Width::Double => double(case, &mut flags),
    };
    Outcome { bits, flags: flags.0 }
}

/// The body of a function that runs the case with the operations of one width.
macro_rules! run {
    ($width:ident, $bits:ty, $convert:expr, $case:ident, $flags:ident) => {{
        use float::$width::*;
        let Case { width, operation, rm, a: integer, .. } = $case;
        let (a, b, c) = ($case.a as $bits, $case.b as $bits, $case.c as $bits);
        let sign = width.sign() as $bits;
        let bits = match operation {
            Add => add(a, b, rm, $flags),
            Sub => sub(a, b, rm, $flags),
            Mul => mul(a, b, rm, $flags),
            Div => div(a, b, rm, $flags),
            Sqrt => sqrt(a, rm, $flags),
            MulAdd => mul_add(a, b, c, rm, $flags),
            MulSub => mul_add(a, b, c ^ sign, rm, $flags),
            NegMulSub => mul_add(a ^ sign, b, c, rm, $flags),
            NegMulAdd => mul_add(a ^ sign, b, c ^ sign, rm, $flags),
            Min => min(a, b, $flags),
            Max => max(a, b, $flags),
            Eq => return u64::from(eq(a, b, $flags)),
            Lt => return u64::from(lt(a, b, $flags)),
            Le => return u64::from(le(a, b, $flags)),
            Classify => return classify(a),
            ToI32 => return u64::from(to_i32(a, rm, $flags) as u32),
            ToU32 => return u64::from(to_u32(a, rm, $flags)),
            ToI64 => return to_i64(a, rm, $flags) as u64,
            ToU64 => return to_u64(a, rm, $flags),
            FromI32 => from_i32(integer as i32, rm, $flags),
            FromU32 => from_u32(integer as u32, rm, $flags),
            FromI64 => from_i64(integer as i64, rm, $flags),
            FromU64 => from_u64(integer, rm, $flags),
            Convert => return $convert(a, rm, $flags),
        };
        u64::from(bits)
    }};
}

fn single(case: Case, flags: &mut Flags) -> u64 {
    run!(f32, u32, |a, _, flags| float::f32_to_f64(a, flags), case, flags)
}

fn double(case: Case, flags: &mut Flags) -> u64 {
    run!(f64, u64, |a, rm, flags| u64::from(float::f64_to_f32(a, rm, flags)), case, flags)
}
