//! Two instructions in one operation: pairs that compilers write often and that are dear to run one by one.
//!
//! The operation has the place of the second instruction. The first of a pair never traps, and both are counted. A jump to
//! the second finds a block of its own.

use crate::decode::{After, Instruction};
use crate::exec::{branch, data, integer};
use crate::op::{Handler, Op};

/// The operation for `first` and `second`, which follows it, if there is one for both.
pub(crate) fn fuse(first: Instruction, second: Instruction) -> Option<(Op, After)> {
    const LOAD: u32 = 0x03;
    const IMMEDIATE: u32 = 0x13;
    const RELATIVE: u32 = 0x17;
    const IMMEDIATE_WORD: u32 = 0x1b;
    const REGISTERS: u32 = 0x33;
    const UPPER: u32 = 0x37;
    const BRANCH: u32 = 0x63;
    const REGISTER: u32 = 0x67;

    let rd = first.word >> 7 & 31;
    // Pairs whose second reads and overwrites what the first wrote.
    let same = rd != 0 && second.word >> 7 & 31 == rd && u32::from(second.rs1()) == rd;
    let op =
        |run: Handler, imm: i32| Op { run, imm, rd: second.rd(), rs1: first.rs1(), rs2: 0, at: second.at };
    let opcodes = (first.word & 0x7f, second.word & 0x7f);
    let next = |op| Some((op, After::Next));
    match opcodes {
        // lui, addi; lui, addiw
        (UPPER, IMMEDIATE) if same && second.funct3() == 0 => {
            next(op(integer::constant, first.imm_u().checked_add(second.imm_i())?))
        }
        (UPPER, IMMEDIATE_WORD) if same && second.funct3() == 0 => {
            next(op(integer::constant, first.imm_u().wrapping_add(second.imm_i())))
        }
        // auipc, addi
        (RELATIVE, IMMEDIATE) if same && second.funct3() == 0 => {
            next(op(integer::relative, from_second(first, second, second.imm_i())?))
        }
        // auipc, ld; auipc, lw
        (RELATIVE, LOAD) if same && matches!(second.funct3(), 2 | 3) => {
            let run: Handler = if second.funct3() == 3 {
                data::load_relative::<data::Double>
            } else {
                data::load_relative::<data::Word>
            };
            let offset = second.imm_i().to_le_bytes();
            let imm = from_second(first, second, second.imm_i())?;
            next(Op { rs1: offset[0], rs2: offset[1], ..op(run, imm) })
        }
        // auipc, jalr: a call
        (RELATIVE, REGISTER) if same && second.funct3() == 0 => {
            let target = first.in_block(first.imm_u().checked_add(second.imm_i())? & !1);
            Some((Op { rs2: second.next, ..op(branch::link, target) }, After::Links))
        }
        // slli, srli; slli, srai
        (IMMEDIATE, IMMEDIATE) if same && is_shift_left(first) && second.funct3() == 5 => {
            let amounts = (first.word >> 20 & 63 | (second.word >> 20 & 63) << 8) as i32;
            match second.word >> 26 {
                0 => next(op(integer::shifts::<integer::Srl>, amounts)),
                0x10 => next(op(integer::shifts::<integer::Sra>, amounts)),
                _ => None,
            }
        }
        // slli, add: an element's address
        (IMMEDIATE, REGISTERS) if rd != 0 && is_shift_left(first) && second.word & 0xfe00_7000 == 0 => {
            let other = match (u32::from(second.rs1()) == rd, u32::from(second.rs2()) == rd) {
                (true, false) => second.rs2(),
                (false, true) => second.rs1(),
                _ => return None,
            };
            let amount = (first.word >> 20 & 63) as i32;
            (second.word >> 7 & 31 == rd)
                .then(|| (Op { rs2: other, ..op(integer::shift_add, amount) }, After::Next))
        }
        // li, branch
        (IMMEDIATE, BRANCH) if rd != 0 && first.word & 0xf_f000 == 0 => {
            let (rs1, rs2) = (second.rs1(), second.rs2());
            let run = match (u32::from(rs1) == rd, u32::from(rs2) == rd) {
                (true, false) => with_constant::<true>(second.funct3())?,
                (false, true) => with_constant::<false>(second.funct3())?,
                _ => return None,
            };
            let imm = second.in_block(second.imm_b()) << 12 | first.imm_i() & 0xfff;
            Some((Op { run, imm, rd: second.next, rs1, rs2, at: second.at }, After::Links))
        }
        _ => None,
    }
}

/// `slli`, and not of some extension that shares its code.
fn is_shift_left(instruction: Instruction) -> bool {
    instruction.funct3() == 1 && instruction.word >> 26 == 0
}

/// What `auipc` and `imm` give, counted from the second instruction.
fn from_second(first: Instruction, second: Instruction, imm: i32) -> Option<i32> {
    let back = 2 * (i32::from(second.at) - i32::from(first.at));
    first.imm_u().checked_add(imm)?.checked_sub(back)
}

/// The branch that compares with a constant, which is its first operand when `FIRST`.
fn with_constant<const FIRST: bool>(funct3: u32) -> Option<Handler> {
    Some(match funct3 {
        0 => branch::with_constant::<branch::Equal, FIRST>,
        1 => branch::with_constant::<branch::NotEqual, FIRST>,
        4 => branch::with_constant::<branch::Less, FIRST>,
        5 => branch::with_constant::<branch::NotLess, FIRST>,
        6 => branch::with_constant::<branch::Below, FIRST>,
        7 => branch::with_constant::<branch::NotBelow, FIRST>,
        _ => return None,
    })
}
