//! Branches and jumps: the last operations of blocks.

use super::{Way, follow, jump};
use crate::hart::Hart;
use crate::op::Op;

/// A comparison of two registers.
pub(crate) trait Condition {
    /// Whether it holds.
    fn holds(a: u64, b: u64) -> bool;
}

/// Defines a [`Condition`] for each branch.
macro_rules! condition {
    ($($name:ident |$a:ident, $b:ident| $holds:expr;)*) => {$(
        pub(crate) struct $name;
        impl Condition for $name {
            #[inline(always)]
            fn holds($a: u64, $b: u64) -> bool {
                $holds
            }
        }
    )*};
}

condition! {
    Equal |a, b| a == b;
    NotEqual |a, b| a != b;
    Less |a, b| (a as i64) < b as i64;
    NotLess |a, b| a as i64 >= b as i64;
    Below |a, b| a < b;
    NotBelow |a, b| a >= b;
}

/// Goes to `immediate` when the condition holds, on otherwise. The immediate counts from the block's first
/// instruction; `rd` is the half word at which the next instruction begins.
pub(crate) unsafe extern "C" fn branch<C: Condition>(hart: &mut Hart, op: *const Op, left: i64, pc: u64) {
    // SAFETY: the loop calls handlers with an operation of the arena; a branch is followed by its links.
    unsafe {
        let o = &*op;
        if C::holds(hart.x[o.rs1 as usize], hart.x[o.rs2 as usize]) {
            let target = pc.wrapping_add(i64::from(o.imm) as u64);
            follow(hart, op, left, pc, target, Way::Taken)
        } else {
            let target = pc.wrapping_add(2 * u64::from(o.rd));
            follow(hart, op, left, pc, target, Way::Next)
        }
    }
}

/// `li` and a branch that compares with it: the constant is in the low 12 bits of the immediate, where to go in the others.
/// The constant's register is the branch's first when `FIRST`, its second otherwise.
pub(crate) unsafe extern "C" fn with_constant<C: Condition, const FIRST: bool>(
    hart: &mut Hart,
    op: *const Op,
    left: i64,
    pc: u64,
) {
    // SAFETY: as above.
    unsafe {
        let o = &*op;
        let constant = i64::from(o.imm << 20 >> 20) as u64;
        let register = if FIRST { o.rs1 } else { o.rs2 };
        hart.x[register as usize] = constant;
        if C::holds(hart.x[o.rs1 as usize], hart.x[o.rs2 as usize]) {
            let target = pc.wrapping_add(i64::from(o.imm >> 12) as u64);
            follow(hart, op, left, pc, target, Way::Taken)
        } else {
            let target = pc.wrapping_add(2 * u64::from(o.rd));
            follow(hart, op, left, pc, target, Way::Next)
        }
    }
}

/// Goes to `immediate`, counted from the block's first instruction: `j`, and the end of a block that only ends.
pub(crate) unsafe extern "C" fn go(hart: &mut Hart, op: *const Op, left: i64, pc: u64) {
    // SAFETY: as above.
    unsafe {
        let target = pc.wrapping_add(i64::from((*op).imm) as u64);
        follow(hart, op, left, pc, target, Way::Taken)
    }
}

/// The same, with the address of the next instruction in `rd`; `rs2` is the half word at which that begins.
pub(crate) unsafe extern "C" fn link(hart: &mut Hart, op: *const Op, left: i64, pc: u64) {
    // SAFETY: as above.
    unsafe {
        let o = &*op;
        hart.x[o.rd as usize] = pc.wrapping_add(2 * u64::from(o.rs2));
        go(hart, op, left, pc)
    }
}

/// Goes to `rs1 + immediate`, with the address of the next instruction in `rd`; `rs2` as above: `jalr`.
pub(crate) unsafe extern "C" fn register(hart: &mut Hart, op: *const Op, left: i64, pc: u64) {
    // SAFETY: as above.
    unsafe {
        let o = &*op;
        let target = hart.x[o.rs1 as usize].wrapping_add(i64::from(o.imm) as u64) & !1;
        hart.x[o.rd as usize] = pc.wrapping_add(2 * u64::from(o.rs2));
        jump(hart, None, left, pc, target)
    }
}
