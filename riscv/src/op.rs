//! Decoded instructions as the machine runs them.

use crate::hart::Hart;

/// What runs an operation: with the hart, the operation, the steps left before something else is due, and the virtual
/// address of the block's first instruction. It ends by calling the next one.
pub(crate) type Handler = unsafe extern "C" fn(&mut Hart, *const Op, i64, u64);

/// One operation of a block.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Op {
    pub run: Handler,
    /// The immediate; what else fits nowhere.
    pub imm: i32,
    /// Number of the register written; [`SINK`] for `x0`.
    pub rd: u8,
    pub rs1: u8,
    pub rs2: u8,
    /// Where the instruction begins, in half words from the block's first.
    pub at: u8,
}

/// The register that takes what is written to `x0`.
pub(crate) const SINK: u8 = 32;
