//! From an instruction's bits to the operation that runs it (Unprivileged ISA, "RV32/64G Instruction Set Listings").

use crate::exec::{atomic, branch, data, float, integer, system};
use crate::op::{Handler, Op, SINK};

/// How a block goes on after an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// With the next instruction.
    Next,
    /// It ends; the operation has links.
    Links,
    /// It ends; the operation leaves to the loop or goes where a register says.
    Leaves,
}

/// An instruction of a block.
#[derive(Clone, Copy)]
pub(crate) struct Instruction {
    /// Its bits; those of the 32-bit one it stands for when it was compressed.
    pub word: u32,
    /// The half word of the block at which it begins.
    pub at: u8,
    /// The half word at which the next one begins.
    pub next: u8,
}

/// The operation of bits that are no instruction.
pub(crate) fn illegal(bits: u32, at: u8) -> Op {
    Op { run: system::illegal, imm: bits as i32, rd: SINK, rs1: 0, rs2: 0, at }
}

/// The end of a block that just goes on, at half word `at`.
pub(crate) fn fall(at: u8) -> Op {
    Op { run: branch::go, imm: 2 * i32::from(at), rd: SINK, rs1: 0, rs2: 0, at }
}

/// What must come before an instruction whose second half, `half`, lies in the next page.
pub(crate) fn second_half(half: u16) -> Op {
    Op { run: system::second_half, imm: i32::from(half), rd: SINK, rs1: 0, rs2: 0, at: 0 }
}

impl Instruction {
    /// The register written; writes to `x0` go elsewhere.
    pub fn rd(&self) -> u8 {
        match (self.word >> 7 & 31) as u8 {
            0 => SINK,
            rd => rd,
        }
    }

    pub fn rs1(&self) -> u8 {
        (self.word >> 15 & 31) as u8
    }

    pub fn rs2(&self) -> u8 {
        (self.word >> 20 & 31) as u8
    }

    pub fn funct3(&self) -> u32 {
        self.word >> 12 & 7
    }

    pub fn funct7(&self) -> u32 {
        self.word >> 25
    }

    pub fn imm_i(&self) -> i32 {
        self.word as i32 >> 20
    }

    pub fn imm_s(&self) -> i32 {
        (self.word & 0xfe00_0000) as i32 >> 20 | (self.word >> 7 & 31) as i32
    }

    pub fn imm_b(&self) -> i32 {
        let w = self.word;
        (w & 0x8000_0000) as i32 >> 19
            | ((w >> 25 & 0x3f) << 5 | (w >> 8 & 15) << 1 | (w >> 7 & 1) << 11) as i32
    }

    pub fn imm_u(&self) -> i32 {
        (self.word & 0xffff_f000) as i32
    }

    pub fn imm_j(&self) -> i32 {
        let w = self.word;
        (w & 0x8000_0000) as i32 >> 11 | (w & 0xf_f000 | (w >> 20 & 1) << 11 | (w >> 21 & 0x3ff) << 1) as i32
    }

    fn op(&self, run: Handler, imm: i32, rd: u8) -> (Op, After) {
        (Op { run, imm, rd, rs1: self.rs1(), rs2: self.rs2(), at: self.at }, After::Next)
    }

    /// An offset from the block's first instruction.
    pub fn in_block(&self, imm: i32) -> i32 {
        2 * i32::from(self.at) + imm
    }

    /// Its operation, and how the block goes on; nothing when there is no such instruction.
    pub fn decode(&self) -> Option<(Op, After)> {
        Some(match self.word & 0x7f {
            0x03 => self.op(self.load()?, self.imm_i(), self.rd()),
            0x07 => {
                let run: Handler = match self.funct3() {
                    2 => data::load_float::<data::Boxed>,
                    3 => data::load_float::<data::Double>,
                    _ => return None,
                };
                // Floating-point registers are all there: f0 is not x0.
                self.op(run, self.imm_i(), (self.word >> 7 & 31) as u8)
            }
            0x0f => match self.funct3() {
                0 | 1 => self.op(integer::nothing, 0, SINK), // fence, fence.i: code is always seen as it is
                _ => return None,
            },
            0x13 => self.immediate()?,
            0x17 => self.op(integer::relative, self.imm_u(), self.rd()),
            0x1b => self.immediate_word()?,
            0x23 => {
                let run: Handler = match self.funct3() {
                    0 => data::store::<data::Byte>,
                    1 => data::store::<data::Half>,
                    2 => data::store::<data::Word>,
                    3 => data::store::<data::Double>,
                    _ => return None,
                };
                self.op(run, self.imm_s(), SINK)
            }
            0x27 => {
                let run: Handler = match self.funct3() {
                    2 => data::store_float::<data::Boxed>,
                    3 => data::store_float::<data::Double>,
                    _ => return None,
                };
                self.op(run, self.imm_s(), SINK)
            }
            0x2f => self.op(self.atomic()?, 0, self.rd()),
            0x33 => self.op(self.registers()?, 0, self.rd()),
            0x37 => self.op(integer::constant, self.imm_u(), self.rd()),
            0x3b => self.op(self.registers_word()?, 0, self.rd()),
            0x43 | 0x47 | 0x4b | 0x4f | 0x53 => {
                if !float::is_instruction(self.word) {
                    return None;
                }
                self.op(float::compute, self.word as i32, SINK)
            }
            0x63 => {
                let run: Handler = match self.funct3() {
                    0 => branch::branch::<branch::Equal>,
                    1 => branch::branch::<branch::NotEqual>,
                    4 => branch::branch::<branch::Less>,
                    5 => branch::branch::<branch::NotLess>,
                    6 => branch::branch::<branch::Below>,
                    7 => branch::branch::<branch::NotBelow>,
                    _ => return None,
                };
                let (op, _) = self.op(run, self.in_block(self.imm_b()), self.next);
                (op, After::Links)
            }
            0x67 if self.funct3() == 0 => {
                let (mut op, _) = self.op(branch::register, self.imm_i(), self.rd());
                op.rs2 = self.next;
                (op, After::Leaves)
            }
            0x6f => {
                let run: Handler = if self.rd() == SINK { branch::go } else { branch::link };
                let (mut op, _) = self.op(run, self.in_block(self.imm_j()), self.rd());
                op.rs2 = self.next;
                (op, After::Links)
            }
            0x73 if self.funct3() != 4 => {
                let (op, _) = self.op(system::system, self.word as i32, SINK);
                (op, After::Leaves)
            }
            _ => return None,
        })
    }

    fn load(&self) -> Option<Handler> {
        Some(match self.funct3() {
            0 => data::load::<data::Byte>,
            1 => data::load::<data::Half>,
            2 => data::load::<data::Word>,
            3 => data::load::<data::Double>,
            4 => data::load::<data::ByteUnsigned>,
            5 => data::load::<data::HalfUnsigned>,
            6 => data::load::<data::WordUnsigned>,
            _ => return None,
        })
    }

    fn immediate(&self) -> Option<(Op, After)> {
        let (rd, rs1, imm) = (self.rd(), self.rs1(), self.imm_i());
        // The six bits above a shift's amount say which shift it is.
        let shift = (self.word >> 20 & 63) as i32;
        Some(match (self.funct3(), self.word >> 26) {
            (0, _) if rs1 == 0 => self.op(integer::constant, imm, rd),
            (0, _) if imm == 0 => self.op(integer::copy, 0, rd),
            (0, _) => self.op(integer::immediate::<integer::Add>, imm, rd),
            (1, 0) => self.op(integer::immediate::<integer::Sll>, shift, rd),
            (2, _) => self.op(integer::immediate::<integer::Slt>, imm, rd),
            (3, _) => self.op(integer::immediate::<integer::Sltu>, imm, rd),
            (4, _) => self.op(integer::immediate::<integer::Xor>, imm, rd),
            (5, 0) => self.op(integer::immediate::<integer::Srl>, shift, rd),
            (5, 0x10) => self.op(integer::immediate::<integer::Sra>, shift, rd),
            (6, _) => self.op(integer::immediate::<integer::Or>, imm, rd),
            (7, _) => self.op(integer::immediate::<integer::And>, imm, rd),
            _ => return None,
        })
    }

    fn immediate_word(&self) -> Option<(Op, After)> {
        let shift = (self.word >> 20 & 31) as i32;
        Some(match (self.funct3(), self.funct7()) {
            (0, _) => self.op(integer::immediate::<integer::Addw>, self.imm_i(), self.rd()),
            (1, 0) => self.op(integer::immediate::<integer::Sllw>, shift, self.rd()),
            (5, 0) => self.op(integer::immediate::<integer::Srlw>, shift, self.rd()),
            (5, 0x20) => self.op(integer::immediate::<integer::Sraw>, shift, self.rd()),
            _ => return None,
        })
    }

    fn registers(&self) -> Option<Handler> {
        use integer::*;
        Some(match (self.funct7(), self.funct3()) {
            (0, 0) if self.rs1() == 0 => return self.move_register(),
            (0, 0) => registers::<Add>,
            (0, 1) => registers::<Sll>,
            (0, 2) => registers::<Slt>,
            (0, 3) => registers::<Sltu>,
            (0, 4) => registers::<Xor>,
            (0, 5) => registers::<Srl>,
            (0, 6) => registers::<Or>,
            (0, 7) => registers::<And>,
            (0x20, 0) => registers::<Sub>,
            (0x20, 5) => registers::<Sra>,
            (1, 0) => registers::<Mul>,
            (1, 1) => registers::<Mulh>,
            (1, 2) => registers::<Mulhsu>,
            (1, 3) => registers::<Mulhu>,
            (1, 4) => registers::<Div>,
            (1, 5) => registers::<Divu>,
            (1, 6) => registers::<Rem>,
            (1, 7) => registers::<Remu>,
            _ => return None,
        })
    }

    /// `add rd, x0, rs2`, which is how `mv` is written short.
    fn move_register(&self) -> Option<Handler> {
        Some(integer::registers::<integer::Swap>)
    }

    fn registers_word(&self) -> Option<Handler> {
        use integer::*;
        Some(match (self.funct7(), self.funct3()) {
            (0, 0) => registers::<Addw>,
            (0, 1) => registers::<Sllw>,
            (0, 5) => registers::<Srlw>,
            (0x20, 0) => registers::<Subw>,
            (0x20, 5) => registers::<Sraw>,
            (1, 0) => registers::<Mulw>,
            (1, 4) => registers::<Divw>,
            (1, 5) => registers::<Divuw>,
            (1, 6) => registers::<Remw>,
            (1, 7) => registers::<Remuw>,
            _ => return None,
        })
    }

    fn atomic(&self) -> Option<Handler> {
        match self.funct3() {
            2 => self.atomic_of::<data::Word>(),
            3 => self.atomic_of::<data::Double>(),
            _ => None,
        }
    }

    fn atomic_of<W: data::Width>(&self) -> Option<Handler> {
        use atomic::*;
        use integer::{Add, And, Max, Maxu, Min, Minu, Or, Swap, Xor};
        // The two low bits order it with other harts' accesses, of which there are none.
        Some(match self.word >> 27 {
            0x02 if self.rs2() == 0 => reserve::<W>,
            0x03 => conditional::<W>,
            0x01 => modify::<W, Swap>,
            0x00 => modify::<W, Add>,
            0x04 => modify::<W, Xor>,
            0x0c => modify::<W, And>,
            0x08 => modify::<W, Or>,
            0x10 => modify::<W, Min>,
            0x14 => modify::<W, Max>,
            0x18 => modify::<W, Minu>,
            0x1c => modify::<W, Maxu>,
            _ => return None,
        })
    }
}
