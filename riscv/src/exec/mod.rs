//! What operations do. Every handler ends by calling the next operation, the next block, or by leaving to the loop in
//! [`crate::hart`].

pub(crate) mod atomic;
pub(crate) mod branch;
pub(crate) mod data;
pub(crate) mod float;
pub(crate) mod integer;
pub(crate) mod system;

use crate::block::{Header, Jump, Links};
use crate::hart::{Exit, Hart};
use crate::op::{Handler, Op};
use crate::tlb::Tlb;
use crate::trap::Trap;

/// Whether blocks go on to one another; otherwise they leave to the loop (see `build.rs`).
const CHAINED: bool = cfg!(all(chained, not(debug_assertions)));

/// Goes on with the operation after `op`.
#[inline(always)]
pub(crate) unsafe fn next(hart: &mut Hart, op: *const Op, left: i64, pc: u64) {
    // SAFETY: only the last operation of a block has no other after it, and that one does not come here.
    unsafe {
        let op = op.add(1);
        ((*op).run)(hart, op, left, pc)
    }
}

/// Goes on with the block `header` at `pc`, when there are steps left for all of it.
#[inline(always)]
pub(crate) unsafe fn enter(hart: &mut Hart, header: *const Header, left: i64, pc: u64) {
    if CHAINED {
        // SAFETY: `header` is one of the arena's, which is emptied only by the loop.
        unsafe {
            if let Some(native) = (*header).native {
                return native(hart, std::ptr::null(), left, pc);
            }
            let after = left - i64::from((*header).count);
            if after >= 0 {
                hart.block = header;
                let op = Header::first(header);
                return ((*op).run)(hart, op, after, pc);
            }
        }
    }
    leave(hart, left, pc, Exit::Look)
}

/// Goes back to the loop, which goes on at `pc`.
#[inline(always)]
pub(crate) fn leave(hart: &mut Hart, left: i64, pc: u64, exit: Exit) {
    hart.pc = pc;
    hart.left = left;
    hart.exit = exit;
}

/// Goes on at `target`, wherever that is. `link` is where the block there may be remembered if it is in the page of `pc`.
#[inline(always)]
pub(crate) unsafe fn jump(hart: &mut Hart, link: Option<(*mut Links, Way)>, left: i64, pc: u64, target: u64) {
    // SAFETY: the hart's cache of translations lives as long as the hart; a table it names lives until the cache is
    // emptied; links are the arena's.
    unsafe {
        let entry = (*hart.code).code.get_unchecked(Tlb::code_index(target));
        if entry.tag == Tlb::tag(target, 1) {
            // A jump within the page has a link of its own to be filled.
            let far = link.is_none() || (target ^ pc) >> 12 != 0;
            let place = target.wrapping_add(entry.addend);
            let jump = *hart.jumps.get_unchecked(Jump::index(place));
            if far && jump.target & !1 == place {
                if jump.target != place {
                    return enter(hart, jump.to.cast(), left, target);
                }
                if CHAINED {
                    let native = std::mem::transmute::<*const (), Handler>(jump.to);
                    return native(hart, std::ptr::null(), left, target);
                }
            }
            let header = *(*entry.blocks).get_unchecked((target & 0xfff) as usize >> 1);
            if !header.is_null() {
                *hart.jumps.get_unchecked_mut(Jump::index(place)) = Jump::to(place, header);
                // The same page in both kinds of addresses: the link holds wherever this page is mapped.
                let same = (target ^ pc) >> 12 == 0 && (*header).page == (*hart.block).page;
                if let Some((links, way)) = link
                    && same
                {
                    (*links).headers[way as usize] = header;
                    if let (slots, Some(native)) = ((*links).slots, (*header).native)
                        && !slots.is_null()
                    {
                        (*slots)[way as usize] = native as *const ();
                    }
                }
                return enter(hart, header, left, target);
            }
        }
    }
    leave(hart, left, target, Exit::Look)
}

/// Which of a last operation's links.
#[derive(Clone, Copy)]
pub(crate) enum Way {
    Taken = 0,
    Next = 1,
}

/// Goes on at `target` by the link of `op`, the last operation of its block.
#[inline(always)]
pub(crate) unsafe fn follow(hart: &mut Hart, op: *const Op, left: i64, pc: u64, target: u64, way: Way) {
    // SAFETY: the caller's operation is followed by its links.
    unsafe {
        let links = Links::of(op);
        let header = (*links).headers[way as usize];
        if !header.is_null() {
            return enter(hart, header, left, target);
        }
        jump(hart, Some((links, way)), left, pc, target)
    }
}

/// Where the instruction of `op` is.
#[inline(always)]
pub(crate) unsafe fn pc_of(op: *const Op, pc: u64) -> u64 {
    // SAFETY: the caller's operation.
    pc.wrapping_add(2 * u64::from(unsafe { (*op).at }))
}

/// Steps left when the instruction of `op` has not been run.
pub(crate) unsafe fn left_before(hart: &Hart, op: *const Op, left: i64) -> i64 {
    // SAFETY: the block that runs is the one of the operation.
    unsafe {
        let header = &*hart.block;
        left + i64::from(header.count) - i64::from(header.before((*op).at))
    }
}

/// Leaves because the instruction of `op` did not complete. Never whether to go on.
#[cold]
#[inline(never)]
pub(crate) unsafe fn trapped(hart: &mut Hart, op: *const Op, left: i64, pc: u64, trap: Trap) -> bool {
    // SAFETY: the caller's operation.
    unsafe {
        hart.trap = trap;
        leave(hart, left_before(hart, op, left), pc_of(op, pc), Exit::Trap);
    }
    false
}

/// Leaves after the instruction of `op`, which is not the last of its block, because something beside the registers
/// changed. Never whether to go on.
#[cold]
#[inline(never)]
pub(crate) unsafe fn leave_after(hart: &mut Hart, op: *const Op, left: i64, pc: u64) -> bool {
    // SAFETY: an operation that is not the last has another after it.
    unsafe {
        let header = &*hart.block;
        // Of two instructions in one operation, the operation after this one may name the second.
        let at = header.after((*op).at).unwrap_or((*op.add(1)).at);
        let left = left + i64::from(header.count) - i64::from(header.before(at));
        leave(hart, left, pc.wrapping_add(2 * u64::from(at)), Exit::Check);
    }
    false
}
