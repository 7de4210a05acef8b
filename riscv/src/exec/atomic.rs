//! The A extension: load-reserved, store-conditional, and read-modify-write in one.
//!
//! One hart and no device that writes: every instruction is atomic by itself. A reservation is an address; it lasts until the
//! next store-conditional.

use super::data::{Width, Word, writable};
use super::integer::Binary;
use super::{leave_after, next, trapped};
use crate::hart::Hart;
use crate::op::Op;
use crate::trap::{Cause, Trap};

/// `lr`.
pub(crate) unsafe extern "C" fn reserve<W: Width>(hart: &mut Hart, op: *const Op, left: i64, pc: u64) {
    // SAFETY: the loop calls handlers with an operation of the arena.
    unsafe {
        if reserved::<W>(hart, op, left, pc) {
            next(hart, op, left, pc)
        }
    }
}

/// Whether the next operation is to follow, or the block was left; never inlined, as [`super::data`] says.
#[inline(never)]
unsafe fn reserved<W: Width>(hart: &mut Hart, op: *const Op, left: i64, pc: u64) -> bool {
    // SAFETY: as above.
    unsafe {
        let o = &*op;
        let address = hart.x[o.rs1 as usize];
        if !address.is_multiple_of(W::SIZE) {
            return trapped(hart, op, left, pc, Trap::new(Cause::LoadMisaligned, address));
        }
        match hart.reserve(address, W::SIZE) {
            Ok(bits) => {
                hart.x[o.rd as usize] = W::extend(bits);
                !hart.take_changed() || leave_after(hart, op, left, pc)
            }
            Err(refused) => trapped(hart, op, left, pc, refused),
        }
    }
}

/// `sc`.
pub(crate) unsafe extern "C" fn conditional<W: Width>(hart: &mut Hart, op: *const Op, left: i64, pc: u64) {
    // SAFETY: as above.
    unsafe {
        if stored::<W>(hart, op, left, pc) {
            next(hart, op, left, pc)
        }
    }
}

/// As [`reserved`].
#[inline(never)]
unsafe fn stored<W: Width>(hart: &mut Hart, op: *const Op, left: i64, pc: u64) -> bool {
    // SAFETY: as above.
    unsafe {
        let o = &*op;
        let address = hart.x[o.rs1 as usize];
        if !address.is_multiple_of(W::SIZE) {
            return trapped(hart, op, left, pc, Trap::new(Cause::StoreMisaligned, address));
        }
        match hart.store_conditional(address, W::SIZE, hart.x[o.rs2 as usize]) {
            Ok((stored, changed)) => {
                hart.x[o.rd as usize] = u64::from(!stored);
                !changed || leave_after(hart, op, left, pc)
            }
            Err(refused) => trapped(hart, op, left, pc, refused),
        }
    }
}

/// What an AMO of `W` computes from what was in memory and `rs2`.
#[inline(always)]
fn combine<W: Width, F: Binary>(memory: u64, register: u64) -> u64 {
    if W::SIZE == 4 {
        // Both operands of the signed comparisons are words. Sign extension keeps the order of unsigned words, too.
        F::of(Word::extend(memory), Word::extend(register))
    } else {
        F::of(memory, register)
    }
}

/// `rd = memory[rs1]; memory[rs1] = f(rd, rs2)`.
pub(crate) unsafe extern "C" fn modify<W: Width, F: Binary>(
    hart: &mut Hart,
    op: *const Op,
    left: i64,
    pc: u64,
) {
    // SAFETY: as above; what the cache of translations gives is memory.
    unsafe {
        let o = &*op;
        let address = hart.x[o.rs1 as usize];
        if let Some(host) = writable::<W>(hart, address) {
            let before = W::get(host);
            W::set(host, combine::<W, F>(before, hart.x[o.rs2 as usize]));
            hart.x[o.rd as usize] = W::extend(before);
            return next(hart, op, left, pc);
        }
        if modified::<W, F>(hart, op, left, pc) {
            next(hart, op, left, pc)
        }
    }
}

/// As [`reserved`].
#[cold]
#[inline(never)]
unsafe fn modified<W: Width, F: Binary>(hart: &mut Hart, op: *const Op, left: i64, pc: u64) -> bool {
    // SAFETY: as above.
    unsafe {
        let o = &*op;
        let address = hart.x[o.rs1 as usize];
        if !address.is_multiple_of(W::SIZE) {
            return trapped(hart, op, left, pc, Trap::new(Cause::StoreMisaligned, address));
        }
        let register = hart.x[o.rs2 as usize];
        match hart.modify(address, W::SIZE, |memory| combine::<W, F>(memory, register)) {
            Ok((before, changed)) => {
                hart.x[o.rd as usize] = W::extend(before);
                !changed || leave_after(hart, op, left, pc)
            }
            Err(refused) => trapped(hart, op, left, pc, refused),
        }
    }
}
