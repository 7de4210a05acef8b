//! Blocks as code of the host's processor.
//!
//! A block's instructions are translated one by one into code that does what the block's operations do, with all of the
//! guest's registers in memory: what it wins is that nothing is fetched and looked up between them. Whatever is not
//! plain (an access that the cache of translations does not have, an instruction that is not translated) goes on with
//! the operation that there is for it, and the rest of the block is run by operations up to the next that is
//! a [`resume`]. So there is one account of what instructions do in the odd cases, and any part of a block can be left
//! out here.
//!
//! The code follows the convention of a [`Handler`](crate::op::Handler): hart, operation, steps left and the block's
//! address in the registers of the first four arguments. It calls nothing and touches no stack: it goes on by jumps.
//!
//! | region | what is in it |
//! |---|---|
//! | hot | the code of the blocks |
//! | cold | what leads from there to operations |
//! | slots | where blocks go on, an address for each of a last operation's [`Links`](crate::block::Links) |
//!
//! All of it can be written to in one place and run in another, in none both (W^X). Where the host's processor is
//! another, or the host refuses such memory, blocks are run by their operations alone.

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod assembler;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod region;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod translate;

use crate::decode::Instruction;
use crate::hart::Hart;
use crate::op::{Handler, Op};

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub(crate) use translate::{Native, knows};

/// What an operation of a block stands for.
#[derive(Clone, Copy)]
pub(crate) enum Meaning {
    /// One instruction.
    One(Instruction),
    /// Two: `auipc` and one more.
    Relative(Instruction, Instruction),
    /// Two that can be translated one after the other.
    Two(Instruction, Instruction),
    /// Something only the operation itself can do.
    Itself,
    /// Here the translated code can go on after such an operation.
    Resume,
    /// The block just ends.
    Fall,
}

/// What the operation for two instructions stands for.
pub(crate) fn pair(first: Instruction, second: Instruction) -> Meaning {
    match first.word & 0x7f {
        0x17 => Meaning::Relative(first, second),
        _ => Meaning::Two(first, second),
    }
}

/// The operations of a block.
pub(crate) struct Contents {
    /// What each of them stands for.
    pub meanings: [Meaning; crate::block::MOST_OPS],
    /// How many there are.
    pub count: usize,
}

impl Contents {
    /// None.
    pub fn new() -> Contents {
        Contents { meanings: [Meaning::Itself; crate::block::MOST_OPS], count: 0 }
    }

    /// Adds one.
    pub fn push(&mut self, meaning: Meaning) {
        self.meanings[self.count] = meaning;
        self.count += 1;
    }

    /// Puts another in the place of the last.
    pub fn replace(&mut self, meaning: Meaning) {
        self.meanings[self.count - 1] = meaning;
    }
}

/// A place where translated code goes on after an operation, at half word `at`. Its handler becomes that code.
pub(crate) fn resume(at: u8) -> Op {
    Op { run: crate::exec::integer::nothing, imm: 0, rd: crate::op::SINK, rs1: 0, rs2: 0, at }
}

/// Hosts whose code is not written here.
#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
mod nowhere {
    use super::*;
    use crate::block::Header;

    /// There is none.
    pub(crate) enum Native {}

    impl Native {
        pub fn new() -> Option<Native> {
            None
        }

        pub fn has_room(&self) -> bool {
            match *self {}
        }

        pub fn clear(&mut self) {
            match *self {}
        }

        pub unsafe fn translate(&mut self, _: *const Header, _: u64, _: &Contents) {
            match *self {}
        }
    }

    pub(crate) fn knows(_: Instruction) -> bool {
        false
    }
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
pub(crate) use nowhere::{Native, knows};

/// Leaves to the loop, to look for the block at `pc`.
pub(crate) unsafe extern "C" fn look(hart: &mut Hart, _op: *const Op, left: i64, pc: u64) {
    crate::exec::leave(hart, left, pc, crate::hart::Exit::Look)
}

/// Goes on at the address that stands in the place of an operation.
pub(crate) unsafe extern "C" fn go_to(hart: &mut Hart, target: *const Op, left: i64, pc: u64) {
    // SAFETY: nothing is linked, so that nothing is read of the block that runs.
    unsafe { crate::exec::jump(hart, None, left, pc, target.addr() as u64) }
}

/// What translated code calls [`look`] and [`go_to`] by.
pub(crate) const EXITS: [Handler; 2] = [look, go_to];
