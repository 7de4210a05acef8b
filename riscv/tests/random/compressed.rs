//! Random instructions of the C extension, encoded from the tables of the Unprivileged ISA, chapter C.

use super::common::Random;
use super::common::asm::Reg;
use super::item::{Code, Item, Jump, READ, WRITE, source, target};

pub const NAMES: [&str; 36] = [
    "c.addi4spn",
    "c.fld",
    "c.lw",
    "c.ld",
    "c.fsd",
    "c.sw",
    "c.sd",
    "c.nop",
    "c.addi",
    "c.addiw",
    "c.li",
    "c.lui",
    "c.addi16sp",
    "c.srli",
    "c.srai",
    "c.andi",
    "c.sub",
    "c.xor",
    "c.or",
    "c.and",
    "c.subw",
    "c.addw",
    "c.j",
    "c.beqz",
    "c.bnez",
    "c.slli",
    "c.fldsp",
    "c.lwsp",
    "c.ldsp",
    "c.fsdsp",
    "c.swsp",
    "c.sdsp",
    "c.jr",
    "c.jalr",
    "c.mv",
    "c.add",
];

/// Places bits of `value`: runs of them from `high` down to `low`, the first run at the bit before `at`, as the
/// specification draws immediates.
fn place(value: u32, at: u32, runs: &[(u32, u32)]) -> u32 {
    let mut at = at;
    runs.iter().fold(0, |half, (high, low)| {
        let len = high - low + 1;
        at -= len;
        half | (value >> low & ((1 << len) - 1)) << at
    })
}

fn half(quadrant: u32, funct3: u32, rest: u32) -> u16 {
    (funct3 << 13 | rest | quadrant) as u16
}

/// A short register's field at bit `at`.
fn short(reg: Reg, at: u32) -> u32 {
    debug_assert!((8..16).contains(&reg));
    (reg - 8) << at
}

/// `imm[5]` at bit 12, `imm[4:0]` at bits 6 to 2.
fn imm6(value: u32) -> u32 {
    place(value, 13, &[(5, 5)]) | place(value, 7, &[(4, 0)])
}

pub fn j(offset: i32) -> u16 {
    assert!((-2048..2048).contains(&offset));
    let runs = [(11, 11), (4, 4), (9, 8), (10, 10), (6, 6), (7, 7), (3, 1), (5, 5)];
    half(1, 5, place(offset as u32, 13, &runs))
}

/// `c.beqz` (0) or `c.bnez` (1).
pub fn branch(which: u32, rs1: Reg, offset: i32) -> u16 {
    assert!((-256..256).contains(&offset));
    let offset = offset as u32;
    let rest = place(offset, 13, &[(8, 8), (4, 3)]) | short(rs1, 7);
    half(1, 6 + which, rest | place(offset, 7, &[(7, 6), (2, 1), (5, 5)]))
}

/// `c.jr` or `c.jalr`.
pub fn jump_register(link: bool, rs1: Reg) -> u16 {
    half(2, 4, u32::from(link) << 12 | rs1 << 7)
}

/// A short register that may be written to.
fn short_target(random: &mut Random) -> Reg {
    10 + random.below(6) as Reg
}

fn short_source(random: &mut Random) -> Reg {
    8 + random.below(8) as Reg
}

/// As [`target`], but not x0.
fn full_target(random: &mut Random) -> Reg {
    loop {
        let rd = target(random);
        if rd != 0 {
            return rd;
        }
    }
}

fn full_source(random: &mut Random) -> Reg {
    1 + random.below(30) as Reg
}

pub fn item(random: &mut Random) -> Item {
    let name = random.pick(&NAMES);
    let over = 1 + random.below(4) as usize;
    let jump = match name {
        "c.j" => Some(Jump::Short),
        "c.beqz" => Some(Jump::ShortBranch(0, short_source(random))),
        "c.bnez" => Some(Jump::ShortBranch(1, short_source(random))),
        "c.jr" => Some(Jump::ShortRegister),
        "c.jalr" => Some(Jump::ShortLink),
        _ => None,
    };
    match jump {
        Some(jump) => Item { name, code: Code::Jump(jump, over) },
        None => Item { name, code: Code::Plain(plain(name, random)) },
    }
}

fn plain(name: &str, random: &mut Random) -> Vec<u16> {
    let any = random.bits() as u32;
    let nonzero = |mask: u32| if any & mask == 0 { mask & mask.wrapping_neg() } else { any & mask };
    let read = random.pick(&[WRITE[1], READ[0]]);
    let eight =
        |reg: Reg, value: u32| place(value, 13, &[(5, 3)]) | short(reg, 7) | place(value, 7, &[(7, 6)]);
    let four = |reg: Reg, value: u32| {
        place(value, 13, &[(5, 3)]) | short(reg, 7) | place(value, 7, &[(2, 2), (6, 6)])
    };
    let arithmetic = |high: u32, low: u32, rd: Reg, rs2: Reg| {
        half(1, 4, high << 12 | 3 << 10 | short(rd, 7) | low << 5 | short(rs2, 2))
    };
    let (rd, rs2) = (full_target(random), full_source(random));
    let (short_rd, short_rs2) = (short_target(random), short_source(random));
    let float = random.below(32) as Reg;
    let short_float = short_source(random);
    vec![match name {
        "c.addi4spn" => {
            let runs = [(5, 4), (9, 6), (2, 2), (3, 3)];
            half(0, 0, place(nonzero(0x3fc), 13, &runs) | short(short_rd, 2))
        }
        "c.fld" => half(0, 1, eight(read, any) | short(short_float, 2)),
        "c.lw" => half(0, 2, four(read, any) | short(short_rd, 2)),
        "c.ld" => half(0, 3, eight(read, any) | short(short_rd, 2)),
        "c.fsd" => half(0, 5, eight(WRITE[1], any) | short(short_float, 2)),
        "c.sw" => half(0, 6, four(WRITE[1], any) | short(short_rs2, 2)),
        "c.sd" => half(0, 7, eight(WRITE[1], any) | short(short_rs2, 2)),
        "c.nop" => half(1, 0, 0),
        "c.addi" => half(1, 0, imm6(nonzero(0x3f)) | rd << 7),
        "c.addiw" => half(1, 1, imm6(any) | rd << 7),
        "c.li" => half(1, 2, imm6(any) | rd << 7),
        "c.lui" => half(1, 3, imm6(nonzero(0x3f)) | rd << 7),
        "c.addi16sp" => {
            // There and back again.
            let value = 16 + 16 * (any % 30);
            let back = value.wrapping_neg();
            let code = |value| {
                place(value, 13, &[(9, 9)]) | 2 << 7 | place(value, 7, &[(4, 4), (6, 6), (8, 7), (5, 5)])
            };
            return vec![half(1, 3, code(value)), half(1, 3, code(back))];
        }
        "c.srli" => half(1, 4, imm6(nonzero(0x3f)) | short(short_rd, 7)),
        "c.srai" => half(1, 4, imm6(nonzero(0x3f)) | 1 << 10 | short(short_rd, 7)),
        "c.andi" => half(1, 4, imm6(any) | 2 << 10 | short(short_rd, 7)),
        "c.sub" => arithmetic(0, 0, short_rd, short_rs2),
        "c.xor" => arithmetic(0, 1, short_rd, short_rs2),
        "c.or" => arithmetic(0, 2, short_rd, short_rs2),
        "c.and" => arithmetic(0, 3, short_rd, short_rs2),
        "c.subw" => arithmetic(1, 0, short_rd, short_rs2),
        "c.addw" => arithmetic(1, 1, short_rd, short_rs2),
        "c.slli" => half(2, 0, imm6(nonzero(0x3f)) | rd << 7),
        "c.fldsp" => half(2, 1, place(any, 13, &[(5, 5)]) | float << 7 | place(any, 7, &[(4, 3), (8, 6)])),
        "c.lwsp" => half(2, 2, place(any, 13, &[(5, 5)]) | rd << 7 | place(any, 7, &[(4, 2), (7, 6)])),
        "c.ldsp" => half(2, 3, place(any, 13, &[(5, 5)]) | rd << 7 | place(any, 7, &[(4, 3), (8, 6)])),
        "c.fsdsp" => half(2, 5, place(any, 13, &[(5, 3), (8, 6)]) | float << 2),
        "c.swsp" => half(2, 6, place(any, 13, &[(5, 2), (7, 6)]) | source(random) << 2),
        "c.sdsp" => half(2, 7, place(any, 13, &[(5, 3), (8, 6)]) | source(random) << 2),
        "c.mv" => half(2, 4, rd << 7 | rs2 << 2),
        "c.add" => half(2, 4, 1 << 12 | rd << 7 | rs2 << 2),
        _ => unreachable!("{name} is in the list"),
    }]
}
