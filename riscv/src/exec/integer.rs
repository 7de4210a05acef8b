//! Integer computation: RV64I and M (Unprivileged ISA, chapters RV32I, RV64I, M).

use super::next;
use crate::hart::Hart;
use crate::op::Op;

/// A function of two numbers.
pub(crate) trait Binary {
    /// Its value.
    fn of(a: u64, b: u64) -> u64;
}

/// `rd = f(rs1, rs2)`.
pub(crate) unsafe extern "C" fn registers<F: Binary>(hart: &mut Hart, op: *const Op, left: i64, pc: u64) {
    // SAFETY: the loop calls handlers with an operation of the arena.
    unsafe {
        let o = &*op;
        hart.x[o.rd as usize] = F::of(hart.x[o.rs1 as usize], hart.x[o.rs2 as usize]);
        next(hart, op, left, pc)
    }
}

/// `rd = f(rs1, immediate)`.
pub(crate) unsafe extern "C" fn immediate<F: Binary>(hart: &mut Hart, op: *const Op, left: i64, pc: u64) {
    // SAFETY: as above.
    unsafe {
        let o = &*op;
        hart.x[o.rd as usize] = F::of(hart.x[o.rs1 as usize], i64::from(o.imm) as u64);
        next(hart, op, left, pc)
    }
}

/// `rd = immediate`: `lui`, `li`.
pub(crate) unsafe extern "C" fn constant(hart: &mut Hart, op: *const Op, left: i64, pc: u64) {
    // SAFETY: as above.
    unsafe {
        let o = &*op;
        hart.x[o.rd as usize] = i64::from(o.imm) as u64;
        next(hart, op, left, pc)
    }
}

/// `rd = rs1`: `mv`.
pub(crate) unsafe extern "C" fn copy(hart: &mut Hart, op: *const Op, left: i64, pc: u64) {
    // SAFETY: as above.
    unsafe {
        let o = &*op;
        hart.x[o.rd as usize] = hart.x[o.rs1 as usize];
        next(hart, op, left, pc)
    }
}

/// `rd = f(rs1 << a, b)`, `a` in the low byte of the immediate and `b` in the next: two shifts, which cut a number to some
/// of its bits.
pub(crate) unsafe extern "C" fn shifts<F: Binary>(hart: &mut Hart, op: *const Op, left: i64, pc: u64) {
    // SAFETY: as above.
    unsafe {
        let o = &*op;
        let shifted = hart.x[o.rs1 as usize] << (o.imm & 63);
        hart.x[o.rd as usize] = F::of(shifted, o.imm as u64 >> 8);
        next(hart, op, left, pc)
    }
}

/// `rd = (rs1 << immediate) + rs2`: the address of an element.
pub(crate) unsafe extern "C" fn shift_add(hart: &mut Hart, op: *const Op, left: i64, pc: u64) {
    // SAFETY: as above.
    unsafe {
        let o = &*op;
        let shifted = hart.x[o.rs1 as usize] << (o.imm & 63);
        hart.x[o.rd as usize] = shifted.wrapping_add(hart.x[o.rs2 as usize]);
        next(hart, op, left, pc)
    }
}

/// `rd = pc + immediate`: `auipc`, and `auipc` with `addi`.
pub(crate) unsafe extern "C" fn relative(hart: &mut Hart, op: *const Op, left: i64, pc: u64) {
    // SAFETY: as above.
    unsafe {
        let o = &*op;
        hart.x[o.rd as usize] = super::pc_of(op, pc).wrapping_add(i64::from(o.imm) as u64);
        next(hart, op, left, pc)
    }
}

/// Nothing: `fence`, hints.
pub(crate) unsafe extern "C" fn nothing(hart: &mut Hart, op: *const Op, left: i64, pc: u64) {
    // SAFETY: as above.
    unsafe { next(hart, op, left, pc) }
}

/// Defines a [`Binary`] for each instruction.
macro_rules! binary {
    ($($name:ident |$a:ident, $b:ident| $value:expr;)*) => {$(
        pub(crate) struct $name;
        impl Binary for $name {
            #[inline(always)]
            fn of($a: u64, $b: u64) -> u64 {
                $value
            }
        }
    )*};
}

/// The sign-extended low half.
#[inline(always)]
fn word(value: u64) -> u64 {
    i64::from(value as i32) as u64
}

binary! {
    Add |a, b| a.wrapping_add(b);
    Sub |a, b| a.wrapping_sub(b);
    And |a, b| a & b;
    Or |a, b| a | b;
    Xor |a, b| a ^ b;
    Sll |a, b| a << (b & 63);
    Srl |a, b| a >> (b & 63);
    Sra |a, b| (a as i64 >> (b & 63)) as u64;
    Slt |a, b| u64::from((a as i64) < b as i64);
    Sltu |a, b| u64::from(a < b);
    Addw |a, b| word(a.wrapping_add(b));
    Subw |a, b| word(a.wrapping_sub(b));
    Sllw |a, b| word(a << (b & 31));
    Srlw |a, b| word(u64::from(a as u32 >> (b & 31)));
    Sraw |a, b| i64::from(a as i32 >> (b & 31)) as u64;
    Mul |a, b| a.wrapping_mul(b);
    Mulh |a, b| ((i128::from(a as i64) * i128::from(b as i64)) >> 64) as u64;
    Mulhsu |a, b| ((i128::from(a as i64) * i128::from(b)) >> 64) as u64;
    Mulhu |a, b| ((u128::from(a) * u128::from(b)) >> 64) as u64;
    Mulw |a, b| word(a.wrapping_mul(b));
    Div |a, b| if b == 0 { u64::MAX } else { (a as i64).wrapping_div(b as i64) as u64 };
    Divu |a, b| a.checked_div(b).unwrap_or(u64::MAX);
    Rem |a, b| if b == 0 { a } else { (a as i64).wrapping_rem(b as i64) as u64 };
    Remu |a, b| a.checked_rem(b).unwrap_or(a);
    Divw |a, b| if b as i32 == 0 { u64::MAX } else { i64::from((a as i32).wrapping_div(b as i32)) as u64 };
    Divuw |a, b| (a as u32).checked_div(b as u32).map_or(u64::MAX, |q| word(u64::from(q)));
    Remw |a, b| if b as i32 == 0 { word(a) } else { i64::from((a as i32).wrapping_rem(b as i32)) as u64 };
    Remuw |a, b| word(u64::from((a as u32).checked_rem(b as u32).unwrap_or(a as u32)));
    // Of AMO instructions only.
    Swap |_a, b| b;
    Min |a, b| (a as i64).min(b as i64) as u64;
    Max |a, b| (a as i64).max(b as i64) as u64;
    Minu |a, b| a.min(b);
    Maxu |a, b| a.max(b);
}
