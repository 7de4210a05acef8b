//! Floating-point computation: F and D (Unprivileged ISA, chapters F and D), on [`crate::float`].

use super::{next, trapped};
use crate::float::{self, Flags, Rounding, f32, f64};
use crate::hart::Hart;
use crate::op::Op;
use crate::trap::{Cause, Trap};

/// Any instruction that computes with floating-point numbers: its bits are the immediate.
pub(crate) unsafe extern "C" fn compute(hart: &mut Hart, op: *const Op, left: i64, pc: u64) {
    // SAFETY: the loop calls handlers with an operation of the arena.
    unsafe {
        let word = (*op).imm as u32;
        if hart.csr.float_enabled() && run(hart, word) {
            return next(hart, op, left, pc);
        }
        trapped(hart, op, left, pc, Trap::new(Cause::IllegalInstruction, u64::from(word)));
    }
}

/// Whether `word`, whose opcode is one of floating-point computation, is an instruction at all, the rounding mode aside
/// when that is the dynamic one.
pub(crate) fn is_instruction(word: u32) -> bool {
    let rm_reserved = matches!(word >> 12 & 7, 5 | 6);
    if word & 0x7f != 0x53 {
        return word >> 25 & 3 <= 1 && !rm_reserved; // fused multiply-add
    }
    let (rs2, rm) = (word >> 20 & 31, word >> 12 & 7);
    match word >> 25 {
        0x00 | 0x01 | 0x04 | 0x05 | 0x08 | 0x09 | 0x0c | 0x0d => !rm_reserved,
        0x2c | 0x2d => rs2 == 0 && !rm_reserved,
        0x10 | 0x11 | 0x50 | 0x51 => rm <= 2,
        0x14 | 0x15 => rm <= 1,
        0x20 => rs2 == 1 && !rm_reserved,
        0x21 => rs2 == 0 && !rm_reserved,
        0x60 | 0x61 | 0x68 | 0x69 => rs2 <= 3 && !rm_reserved,
        0x70 | 0x71 => rs2 == 0 && rm <= 1,
        0x78 | 0x79 => rs2 == 0 && rm == 0,
        _ => false,
    }
}

/// What all of these instructions are run on.
struct Context<'a> {
    hart: &'a mut Hart,
    word: u32,
    flags: Flags,
}

/// Runs `word`; false when its rounding mode is not one. Never inlined, as [`super::data`] says.
#[inline(never)]
fn run(hart: &mut Hart, word: u32) -> bool {
    let rm = match word >> 12 & 7 {
        7 => hart.csr.frm,
        rm => rm as u8,
    };
    let mut context = Context { hart, word, flags: Flags(0) };
    let done = context.run(Rounding::from_bits(rm)).is_some();
    let flags = context.flags.0;
    if done {
        hart.raise_float_flags(flags);
    }
    done
}

impl Context<'_> {
    fn rs2(&self) -> u32 {
        self.word >> 20 & 31
    }

    fn double(&self, shift: u32) -> u64 {
        self.hart.f[(self.word >> shift & 31) as usize]
    }

    /// A single-precision operand; one that is not boxed as it must be counts as the canonical NaN.
    fn single(&self, shift: u32) -> u32 {
        let bits = self.double(shift);
        if bits >> 32 == 0xffff_ffff { bits as u32 } else { 0x7fc0_0000 }
    }

    fn integer(&self) -> u64 {
        self.hart.x[(self.word >> 15 & 31) as usize]
    }

    fn set_double(&mut self, value: u64) {
        self.hart.set_float((self.word >> 7 & 31) as u8, value);
    }

    fn set_single(&mut self, value: u32) {
        self.set_double(u64::from(value) | 0xffff_ffff << 32);
    }

    fn set_integer(&mut self, value: u64) {
        let rd = (self.word >> 7 & 31) as usize;
        if rd != 0 {
            self.hart.x[rd] = value;
        }
    }

    /// `rounding` is none when the mode is reserved; instructions that do not round do not mind.
    fn run(&mut self, rounding: Option<Rounding>) -> Option<()> {
        let wide = self.word >> 25 & 3 == 1;
        if self.word & 0x7f != 0x53 {
            if wide {
                self.fused_double(rounding?)
            } else {
                self.fused_single(rounding?)
            }
            return Some(());
        }
        if wide { self.run_double(rounding) } else { self.run_single(rounding) }
    }

    /// The signs of product and addend: `fmadd`, `fmsub`, `fnmsub`, `fnmadd`.
    fn fused_signs(&self) -> (bool, bool) {
        match self.word >> 2 & 3 {
            0 => (false, false),
            1 => (false, true),
            2 => (true, false),
            _ => (true, true),
        }
    }

    fn fused_single(&mut self, rm: Rounding) {
        let (product, addend) = self.fused_signs();
        let a = self.single(15) ^ u32::from(product) << 31;
        let c = self.single(27) ^ u32::from(addend) << 31;
        let value = f32::mul_add(a, self.single(20), c, rm, &mut self.flags);
        self.set_single(value);
    }

    fn fused_double(&mut self, rm: Rounding) {
        let (product, addend) = self.fused_signs();
        let a = self.double(15) ^ u64::from(product) << 63;
        let c = self.double(27) ^ u64::from(addend) << 63;
        let value = f64::mul_add(a, self.double(20), c, rm, &mut self.flags);
        self.set_double(value);
    }

    fn run_single(&mut self, rounding: Option<Rounding>) -> Option<()> {
        let (a, b) = (self.single(15), self.single(20));
        let rm = self.word >> 12 & 7;
        let flags = &mut self.flags;
        let value = match self.word >> 27 {
            0x00 => f32::add(a, b, rounding?, flags),
            0x01 => f32::sub(a, b, rounding?, flags),
            0x02 => f32::mul(a, b, rounding?, flags),
            0x03 => f32::div(a, b, rounding?, flags),
            0x0b => f32::sqrt(a, rounding?, flags),
            0x04 => sign_single(a, b, rm),
            0x05 if rm == 0 => f32::min(a, b, flags),
            0x05 => f32::max(a, b, flags),
            0x08 => float::f64_to_f32(self.double(15), rounding?, &mut self.flags),
            0x1a => match self.rs2() {
                0 => f32::from_i32(self.integer() as i32, rounding?, &mut self.flags),
                1 => f32::from_u32(self.integer() as u32, rounding?, &mut self.flags),
                2 => f32::from_i64(self.integer() as i64, rounding?, &mut self.flags),
                _ => f32::from_u64(self.integer(), rounding?, &mut self.flags),
            },
            0x1e => self.integer() as u32,
            _ => {
                let value = match self.word >> 27 {
                    0x14 => u64::from(match rm {
                        0 => f32::le(a, b, flags),
                        1 => f32::lt(a, b, flags),
                        _ => f32::eq(a, b, flags),
                    }),
                    0x18 => match self.word >> 20 & 31 {
                        0 => i64::from(f32::to_i32(a, rounding?, flags)) as u64,
                        1 => i64::from(f32::to_u32(a, rounding?, flags) as i32) as u64,
                        2 => f32::to_i64(a, rounding?, flags) as u64,
                        _ => f32::to_u64(a, rounding?, flags),
                    },
                    _ if rm == 1 => f32::classify(a),
                    _ => i64::from(self.double(15) as i32) as u64, // fmv.x.w moves bits, boxed or not
                };
                self.set_integer(value);
                return Some(());
            }
        };
        self.set_single(value);
        Some(())
    }

    fn run_double(&mut self, rounding: Option<Rounding>) -> Option<()> {
        let (a, b) = (self.double(15), self.double(20));
        let rm = self.word >> 12 & 7;
        let flags = &mut self.flags;
        let value = match self.word >> 27 {
            0x00 => f64::add(a, b, rounding?, flags),
            0x01 => f64::sub(a, b, rounding?, flags),
            0x02 => f64::mul(a, b, rounding?, flags),
            0x03 => f64::div(a, b, rounding?, flags),
            0x0b => f64::sqrt(a, rounding?, flags),
            0x04 => sign_double(a, b, rm),
            0x05 if rm == 0 => f64::min(a, b, flags),
            0x05 => f64::max(a, b, flags),
            0x08 => {
                rounding?; // always exact, but a mode that is none is none here, too
                float::f32_to_f64(self.single(15), &mut self.flags)
            }
            0x1a => match self.rs2() {
                0 => f64::from_i32(self.integer() as i32, rounding?, &mut self.flags),
                1 => f64::from_u32(self.integer() as u32, rounding?, &mut self.flags),
                2 => f64::from_i64(self.integer() as i64, rounding?, &mut self.flags),
                _ => f64::from_u64(self.integer(), rounding?, &mut self.flags),
            },
            0x1e => self.integer(),
            _ => {
                let value = match self.word >> 27 {
                    0x14 => u64::from(match rm {
                        0 => f64::le(a, b, flags),
                        1 => f64::lt(a, b, flags),
                        _ => f64::eq(a, b, flags),
                    }),
                    0x18 => match self.word >> 20 & 31 {
                        0 => i64::from(f64::to_i32(a, rounding?, flags)) as u64,
                        1 => i64::from(f64::to_u32(a, rounding?, flags) as i32) as u64,
                        2 => f64::to_i64(a, rounding?, flags) as u64,
                        _ => f64::to_u64(a, rounding?, flags),
                    },
                    _ if rm == 1 => f64::classify(a),
                    _ => a,
                };
                self.set_integer(value);
                return Some(());
            }
        };
        self.set_double(value);
        Some(())
    }
}

/// `fsgnj`, `fsgnjn`, `fsgnjx`: the bits of `a` with a sign taken from `b`.
fn sign_single(a: u32, b: u32, rm: u32) -> u32 {
    const SIGN: u32 = 1 << 31;
    match rm {
        0 => a & !SIGN | b & SIGN,
        1 => a & !SIGN | !b & SIGN,
        _ => a ^ b & SIGN,
    }
}

/// The same in double precision.
fn sign_double(a: u64, b: u64, rm: u32) -> u64 {
    const SIGN: u64 = 1 << 63;
    match rm {
        0 => a & !SIGN | b & SIGN,
        1 => a & !SIGN | !b & SIGN,
        _ => a ^ b & SIGN,
    }
}
