//! What the host's arithmetic says, which rounds to nearest and does not tell flags.

use super::operation::{Case, Operation, Width};

/// The body of a function that asks the host's arithmetic of one width.
macro_rules! result {
    ($float:ty, $bits:ty, $other:ty, $case:ident) => {{
        use Operation::*;
        let Case { width, operation, .. } = $case;
        let [a, b, c] = [$case.a, $case.b, $case.c].map(|bits| <$float>::from_bits(bits as $bits));
        let result = match operation {
            Add => a + b,
            Sub => a - b,
            Mul => a * b,
            Div => a / b,
            Sqrt => a.sqrt(),
            MulAdd => a.mul_add(b, c),
            MulSub => a.mul_add(b, -c),
            NegMulSub => (-a).mul_add(b, c),
            NegMulAdd => (-a).mul_add(b, -c),
            FromI32 => $case.a as i32 as $float,
            FromU32 => $case.a as u32 as $float,
            FromI64 => $case.a as i64 as $float,
            FromU64 => $case.a as $float,
            Eq => return Some((a == b).into()),
            Lt => return Some((a < b).into()),
            Le => return Some((a <= b).into()),
            // Rust's conversions saturate too, but a NaN becomes zero.
            ToI32 | ToU32 | ToI64 | ToU64 if a.is_nan() => return None,
            ToI32 => return Some(u64::from(a.round_ties_even() as i32 as u32)),
            ToU32 => return Some(u64::from(a.round_ties_even() as u32)),
            ToI64 => return Some(a.round_ties_even() as i64 as u64),
            ToU64 => return Some(a.round_ties_even() as u64),
            Convert if a.is_nan() => return Some(width.other().nan()),
            Convert => return Some((a as $other).to_bits().into()),
            // What the host does with NaNs and signs of zeros there is not what the standard asks.
            Min | Max | Classify => return None,
        };
        Some(if result.is_nan() { width.nan() } else { result.to_bits().into() })
    }};
}

/// The result's bits; `None` if the host does not know the operation. The rounding mode is taken to be the
/// nearest even one.
pub fn result(case: Case) -> Option<u64> {
    match case.width {
        Width::Single => single(case),
        Width::Double => double(case),
    }
}

fn single(case: Case) -> Option<u64> {
    result!(f32, u32, f64, case)
}

fn double(case: Case) -> Option<u64> {
    result!(f64, u64, f32, case)
}
