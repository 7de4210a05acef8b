//! Operations that leave to the loop: what only it can do, and what ends a block in the middle.

use super::{leave, left_before, pc_of, trapped};
use crate::hart::{Exit, Hart};
use crate::op::Op;
use crate::trap::{Cause, Trap};

/// An instruction the loop runs: its bits are the immediate.
pub(crate) unsafe extern "C" fn system(hart: &mut Hart, op: *const Op, left: i64, pc: u64) {
    // SAFETY: the loop calls handlers with an operation of the arena.
    unsafe {
        hart.word = (*op).imm as u32;
        leave(hart, left_before(hart, op, left), pc_of(op, pc), Exit::System)
    }
}

/// An instruction there is not: its bits are the immediate.
pub(crate) unsafe extern "C" fn illegal(hart: &mut Hart, op: *const Op, left: i64, pc: u64) {
    // SAFETY: as above.
    unsafe {
        let word = u64::from((*op).imm as u32);
        trapped(hart, op, left, pc, Trap::new(Cause::IllegalInstruction, word));
    }
}

/// Stands before an instruction that reaches into the next page: goes on when its second half, found there now, is still
/// the one that was decoded (the immediate).
pub(crate) unsafe extern "C" fn second_half(hart: &mut Hart, op: *const Op, left: i64, pc: u64) {
    // SAFETY: as above.
    unsafe {
        if hart.second_half_is(pc.wrapping_add(2), (*op).imm as u16) {
            return super::next(hart, op, left, pc);
        }
        leave(hart, left_before(hart, op, left), pc, Exit::Straddle)
    }
}
