//! One random instruction, or a few that only make sense together.

use super::common::Random;
use super::common::asm::{self, Reg};
use super::compressed;

/// Points into the part of memory that programs write to; with x8, for stores in short instructions, too.
pub const WRITE: [Reg; 2] = [2, 8];
/// Points into the part that is only read, as x3 always does, to its middle.
pub const READ: [Reg; 2] = [9, 3];
/// Counts the rounds of a loop.
pub const COUNTER: Reg = 4;
/// Taken by sequences that need an address.
pub const SCRATCH: Reg = 31;

/// How far around its pointers a program may reach.
pub const REACH: i64 = 2048;

/// A jump forward, whose distance is known only when the lengths of all instructions are.
#[derive(Clone, Copy, Debug)]
pub enum Jump {
    Branch(u32, Reg, Reg),
    Jal(Reg),
    /// `auipc`, `jalr`; with a low bit that the machine must drop.
    Jalr(Reg, i32),
    /// `c.j`.
    Short,
    /// `c.beqz`, `c.bnez` of a short register.
    ShortBranch(u32, Reg),
    /// `auipc`, `addi`, `c.jr`.
    ShortRegister,
    /// `auipc`, `addi`, `c.jalr`.
    ShortLink,
}

/// What stands at one place of a program.
#[derive(Clone, Debug)]
pub enum Code {
    /// Half words.
    Plain(Vec<u16>),
    /// A jump over this many items.
    Jump(Jump, usize),
}

#[derive(Clone, Debug)]
pub struct Item {
    /// The mnemonic of the instruction it is about.
    pub name: &'static str,
    pub code: Code,
}

impl Item {
    /// Its length in bytes.
    pub fn len(&self) -> usize {
        match &self.code {
            Code::Plain(halves) => 2 * halves.len(),
            Code::Jump(Jump::Short | Jump::ShortBranch(..), _) => 2,
            Code::Jump(Jump::Branch(..) | Jump::Jal(_), _) => 4,
            Code::Jump(Jump::Jalr(..), _) => 8,
            Code::Jump(Jump::ShortRegister | Jump::ShortLink, _) => 10,
        }
    }

    /// Its half words; a jump goes `distance` bytes from where the item begins.
    pub fn emit(&self, distance: i64) -> Vec<u16> {
        let jump = match &self.code {
            Code::Plain(halves) => return halves.clone(),
            Code::Jump(jump, _) => *jump,
        };
        let offset = distance as i32;
        match jump {
            Jump::Branch(funct3, rs1, rs2) => words(&[asm::b_type(funct3, rs1, rs2, distance)]),
            Jump::Jal(rd) => words(&[asm::j_type(rd, distance)]),
            Jump::Jalr(rd, bit) => words(&[asm::auipc(SCRATCH, 0), asm::jalr(rd, SCRATCH, offset | bit)]),
            Jump::Short => vec![compressed::j(offset)],
            Jump::ShortBranch(zero, rs1) => vec![compressed::branch(zero, rs1, offset)],
            Jump::ShortRegister | Jump::ShortLink => {
                let mut code = words(&[asm::auipc(SCRATCH, 0), asm::addi(SCRATCH, SCRATCH, offset)]);
                code.push(compressed::jump_register(matches!(jump, Jump::ShortLink), SCRATCH));
                code
            }
        }
    }
}

/// Words as half words.
pub fn words(words: &[u32]) -> Vec<u16> {
    words.iter().flat_map(|word| [*word as u16, (*word >> 16) as u16]).collect()
}

fn plain(name: &'static str, code: &[u32]) -> Item {
    Item { name, code: Code::Plain(words(code)) }
}

/// A register that may be written to.
pub fn target(random: &mut Random) -> Reg {
    const TARGETS: [Reg; 26] =
        [0, 1, 5, 6, 7, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30];
    random.pick(&TARGETS)
}

/// Any register but the scratch one, whose value depends on where the program is.
pub fn source(random: &mut Random) -> Reg {
    random.below(31) as Reg
}

fn float(random: &mut Random) -> Reg {
    random.below(32) as Reg
}

/// Any rounding mode, or the dynamic one.
fn rounding(random: &mut Random) -> u32 {
    random.pick(&[0, 1, 2, 3, 4, 7, 7])
}

/// Instructions of two registers: name, opcode, `funct3`, `funct7`.
const REGISTERS: [(&str, u32, u32, u32); 28] = [
    ("add", 0x33, 0, 0),
    ("sub", 0x33, 0, 0x20),
    ("sll", 0x33, 1, 0),
    ("slt", 0x33, 2, 0),
    ("sltu", 0x33, 3, 0),
    ("xor", 0x33, 4, 0),
    ("srl", 0x33, 5, 0),
    ("sra", 0x33, 5, 0x20),
    ("or", 0x33, 6, 0),
    ("and", 0x33, 7, 0),
    ("addw", 0x3b, 0, 0),
    ("subw", 0x3b, 0, 0x20),
    ("sllw", 0x3b, 1, 0),
    ("srlw", 0x3b, 5, 0),
    ("sraw", 0x3b, 5, 0x20),
    ("mul", 0x33, 0, 1),
    ("mulh", 0x33, 1, 1),
    ("mulhsu", 0x33, 2, 1),
    ("mulhu", 0x33, 3, 1),
    ("div", 0x33, 4, 1),
    ("divu", 0x33, 5, 1),
    ("rem", 0x33, 6, 1),
    ("remu", 0x33, 7, 1),
    ("mulw", 0x3b, 0, 1),
    ("divw", 0x3b, 4, 1),
    ("divuw", 0x3b, 5, 1),
    ("remw", 0x3b, 6, 1),
    ("remuw", 0x3b, 7, 1),
];

/// Of a register and a number: name, opcode, `funct3`, bits above a shift's amount, bits of the amount (12: no shift).
const IMMEDIATES: [(&str, u32, u32, u32, u32); 13] = [
    ("addi", 0x13, 0, 0, 12),
    ("slti", 0x13, 2, 0, 12),
    ("sltiu", 0x13, 3, 0, 12),
    ("xori", 0x13, 4, 0, 12),
    ("ori", 0x13, 6, 0, 12),
    ("andi", 0x13, 7, 0, 12),
    ("addiw", 0x1b, 0, 0, 12),
    ("slli", 0x13, 1, 0, 6),
    ("srli", 0x13, 5, 0, 6),
    ("srai", 0x13, 5, 0x400, 6),
    ("slliw", 0x1b, 1, 0, 5),
    ("srliw", 0x1b, 5, 0, 5),
    ("sraiw", 0x1b, 5, 0x400, 5),
];

const LOADS: [(&str, u32, u32); 9] = [
    ("lb", 0x03, 0),
    ("lh", 0x03, 1),
    ("lw", 0x03, 2),
    ("ld", 0x03, 3),
    ("lbu", 0x03, 4),
    ("lhu", 0x03, 5),
    ("lwu", 0x03, 6),
    ("flw", 0x07, 2),
    ("fld", 0x07, 3),
];

const STORES: [(&str, u32, u32); 6] =
    [("sb", 0x23, 0), ("sh", 0x23, 1), ("sw", 0x23, 2), ("sd", 0x23, 3), ("fsw", 0x27, 2), ("fsd", 0x27, 3)];

const BRANCHES: [(&str, u32); 6] = [("beq", 0), ("bne", 1), ("blt", 4), ("bge", 5), ("bltu", 6), ("bgeu", 7)];

/// Atomic instructions: names for words and doubles, the bits that say which.
const ATOMICS: [(&str, &str, u32); 9] = [
    ("amoadd.w", "amoadd.d", 0x00),
    ("amoswap.w", "amoswap.d", 0x01),
    ("amoxor.w", "amoxor.d", 0x04),
    ("amoor.w", "amoor.d", 0x08),
    ("amoand.w", "amoand.d", 0x0c),
    ("amomin.w", "amomin.d", 0x10),
    ("amomax.w", "amomax.d", 0x14),
    ("amominu.w", "amominu.d", 0x18),
    ("amomaxu.w", "amomaxu.d", 0x1c),
];

/// What a floating-point instruction takes and gives.
#[derive(Clone, Copy)]
enum Shape {
    /// Two numbers, rounded.
    Two,
    /// One number, rounded; the field of the second operand says more.
    One(u32),
    /// Two numbers; the field of the rounding mode says more.
    Fixed(u32),
    /// To an integer register, both fields given, or rounded.
    ToInteger(u32, Option<u32>),
    /// From an integer register.
    FromInteger(u32, Option<u32>),
    /// To an integer register from two numbers.
    Compare(u32),
}

/// Floating-point computation: names for single and double, bits above the precision, shape.
const FLOATS: [(&str, &str, u32, Shape); 25] = [
    ("fadd.s", "fadd.d", 0x00, Shape::Two),
    ("fsub.s", "fsub.d", 0x01, Shape::Two),
    ("fmul.s", "fmul.d", 0x02, Shape::Two),
    ("fdiv.s", "fdiv.d", 0x03, Shape::Two),
    ("fsqrt.s", "fsqrt.d", 0x0b, Shape::One(0)),
    ("fsgnj.s", "fsgnj.d", 0x04, Shape::Fixed(0)),
    ("fsgnjn.s", "fsgnjn.d", 0x04, Shape::Fixed(1)),
    ("fsgnjx.s", "fsgnjx.d", 0x04, Shape::Fixed(2)),
    ("fmin.s", "fmin.d", 0x05, Shape::Fixed(0)),
    ("fmax.s", "fmax.d", 0x05, Shape::Fixed(1)),
    ("fle.s", "fle.d", 0x14, Shape::Compare(0)),
    ("flt.s", "flt.d", 0x14, Shape::Compare(1)),
    ("feq.s", "feq.d", 0x14, Shape::Compare(2)),
    ("fcvt.w.s", "fcvt.w.d", 0x18, Shape::ToInteger(0, None)),
    ("fcvt.wu.s", "fcvt.wu.d", 0x18, Shape::ToInteger(1, None)),
    ("fcvt.l.s", "fcvt.l.d", 0x18, Shape::ToInteger(2, None)),
    ("fcvt.lu.s", "fcvt.lu.d", 0x18, Shape::ToInteger(3, None)),
    ("fcvt.s.w", "fcvt.d.w", 0x1a, Shape::FromInteger(0, None)),
    ("fcvt.s.wu", "fcvt.d.wu", 0x1a, Shape::FromInteger(1, None)),
    ("fcvt.s.l", "fcvt.d.l", 0x1a, Shape::FromInteger(2, None)),
    ("fcvt.s.lu", "fcvt.d.lu", 0x1a, Shape::FromInteger(3, None)),
    ("fmv.x.w", "fmv.x.d", 0x1c, Shape::ToInteger(0, Some(0))),
    ("fclass.s", "fclass.d", 0x1c, Shape::ToInteger(0, Some(1))),
    ("fmv.w.x", "fmv.d.x", 0x1e, Shape::FromInteger(0, Some(0))),
    ("fcvt.s.d", "fcvt.d.s", 0x08, Shape::One(2)),
];

const FUSED: [(&str, &str, u32); 4] = [
    ("fmadd.s", "fmadd.d", 0x43),
    ("fmsub.s", "fmsub.d", 0x47),
    ("fnmsub.s", "fnmsub.d", 0x4b),
    ("fnmadd.s", "fnmadd.d", 0x4f),
];

/// Names of everything that [`item`] makes.
pub fn names() -> Vec<&'static str> {
    let mut names = vec!["lui", "auipc", "fence", "fence.i", "jal", "jalr", "lr.w", "lr.d", "sc.w", "sc.d"];
    names.extend(["csrrw", "csrrs", "csrrc", "csrrwi", "csrrsi", "csrrci"]);
    names.extend(REGISTERS.map(|row| row.0));
    names.extend(IMMEDIATES.map(|row| row.0));
    names.extend(LOADS.map(|row| row.0));
    names.extend(STORES.map(|row| row.0));
    names.extend(BRANCHES.map(|row| row.0));
    names.extend(ATOMICS.iter().flat_map(|row| [row.0, row.1]));
    names.extend(FLOATS.iter().flat_map(|row| [row.0, row.1]));
    names.extend(FUSED.iter().flat_map(|row| [row.0, row.1]));
    names.extend(compressed::NAMES);
    names
}

/// A random item.
pub fn item(random: &mut Random) -> Item {
    match random.below(100) {
        0..18 => {
            let (name, opcode, funct3, funct7) = random.pick(&REGISTERS);
            let (rd, rs1, rs2) = (target(random), source(random), source(random));
            plain(name, &[asm::r_type(opcode, funct3, funct7, rd, rs1, rs2)])
        }
        18..28 => {
            let (name, opcode, funct3, above, bits) = random.pick(&IMMEDIATES);
            let field = random.bits() as u32 & ((1 << bits) - 1) | above;
            let word = field << 20 | source(random) << 15 | funct3 << 12 | target(random) << 7 | opcode;
            plain(name, &[word])
        }
        28..30 => {
            let (name, opcode) = random.pick(&[("lui", 0x37), ("auipc", 0x17)]);
            plain(name, &[asm::u_type(opcode, target(random), random.bits() as u32)])
        }
        30..38 => load(random),
        38..44 => store(random),
        44..48 => atomic(random),
        48..65 => float_item(random),
        65..70 => fused(random),
        70..73 => status(random),
        73..80 => jump(random),
        80..81 => {
            let (name, word) =
                random.pick(&[("fence", 0x0ff0_000f), ("fence", 0x8330_000f), ("fence.i", 0x100f)]);
            plain(name, &[word])
        }
        _ => compressed::item(random),
    }
}

/// How far from a pointer: anywhere, aligned often, and often near the end of a page's neighbourhood.
fn offset(random: &mut Random) -> i32 {
    let offset = random.below(2 * REACH as u64 - 8) as i32 - REACH as i32;
    if random.one_in(2) { offset & !7 } else { offset }
}

fn load(random: &mut Random) -> Item {
    let (name, opcode, funct3) = random.pick(&LOADS);
    let rd = if opcode == 0x07 { float(random) } else { target(random) };
    let pointer = random.pick(&[WRITE[0], WRITE[1], READ[0], READ[1]]);
    plain(name, &[asm::i_type(opcode, funct3, rd, pointer, offset(random))])
}

fn store(random: &mut Random) -> Item {
    let (name, opcode, funct3) = random.pick(&STORES);
    let rs2 = if opcode == 0x27 { float(random) } else { source(random) };
    plain(name, &[asm::s_type(opcode, funct3, random.pick(&WRITE), rs2, offset(random))])
}

fn atomic(random: &mut Random) -> Item {
    let size = random.pick(&[4, 8]);
    let order = random.below(4) as u32;
    let point =
        asm::addi(SCRATCH, random.pick(&WRITE), offset(random) & !7 | random.pick(&[0, 8 - size as i32]));
    if random.one_in(5) {
        // Between the two only what touches no memory; sometimes no reservation at all.
        let with = !random.one_in(8);
        let mut code = vec![point];
        if with {
            code.push(asm::lr(size, target(random), SCRATCH));
            for _ in 0..random.below(3) {
                let (_, opcode, funct3, funct7) = random.pick(&REGISTERS);
                let (rd, rs1, rs2) = (target(random), source(random), source(random));
                code.push(asm::r_type(opcode, funct3, funct7, rd, rs1, rs2));
            }
        }
        code.push(asm::sc(size, target(random), source(random), SCRATCH));
        let name = match (with, size) {
            (true, 4) => "lr.w",
            (true, _) => "lr.d",
            (false, 4) => "sc.w",
            (false, _) => "sc.d",
        };
        return plain(name, &code);
    }
    let (word, double, funct5) = random.pick(&ATOMICS);
    let name = if size == 4 { word } else { double };
    plain(name, &[point, asm::amo(funct5, size, target(random), SCRATCH, source(random)) | order << 25])
}

fn float_item(random: &mut Random) -> Item {
    let (single, double, funct5, shape) = random.pick(&FLOATS);
    let wide = random.one_in(2);
    let fmt = u32::from(wide);
    let rm = rounding(random);
    let (fd, fs1, fs2) = (float(random), float(random), float(random));
    let (rm, rd, rs1, rs2) = match shape {
        Shape::Two => (rm, fd, fs1, fs2),
        // The conversion to the other precision names the one it comes from.
        Shape::One(2) => (rm, fd, fs1, 1 - fmt),
        Shape::One(field) => (rm, fd, fs1, field),
        Shape::Fixed(field) => (field, fd, fs1, fs2),
        Shape::Compare(field) => (field, target(random), fs1, fs2),
        Shape::ToInteger(which, fixed) => (fixed.unwrap_or(rm), target(random), fs1, which),
        Shape::FromInteger(which, fixed) => (fixed.unwrap_or(rm), fd, source(random), which),
    };
    let word = (funct5 << 2 | fmt) << 25 | rs2 << 20 | rs1 << 15 | rm << 12 | rd << 7 | 0x53;
    plain(if wide { double } else { single }, &[word])
}

fn fused(random: &mut Random) -> Item {
    let (single, double, opcode) = random.pick(&FUSED);
    let wide = random.one_in(2);
    let (fd, fs1, fs2, fs3) = (float(random), float(random), float(random), float(random));
    let word =
        fs3 << 27 | u32::from(wide) << 25 | fs2 << 20 | fs1 << 15 | rounding(random) << 12 | fd << 7 | opcode;
    plain(if wide { double } else { single }, &[word])
}

/// Reads and writes `fflags`, `frm` and `fcsr`, and leaves a rounding mode that is one.
fn status(random: &mut Random) -> Item {
    const FLAGS: u32 = 1;
    const MODE: u32 = 2;
    const BOTH: u32 = 3;
    let rd = target(random);
    match random.below(9) {
        0 => plain("csrrw", &[asm::csrrw(rd, FLAGS, source(random))]),
        1 | 2 => {
            let value = (random.below(5) as i32) << 5 | random.below(32) as i32;
            let csr = random.pick(&[(BOTH, value), (MODE, value >> 5)]);
            plain("csrrw", &[asm::addi(SCRATCH, 0, csr.1), asm::csrrw(rd, csr.0, SCRATCH)])
        }
        3 => plain("csrrs", &[asm::csrrs(rd, random.pick(&[FLAGS, MODE, BOTH]), 0)]),
        4 => plain("csrrs", &[asm::csrrs(rd, FLAGS, source(random))]),
        // Clearing bits of a rounding mode that is one leaves one.
        5 => plain("csrrc", &[asm::csrrc(rd, random.pick(&[FLAGS, MODE, BOTH]), source(random))]),
        6 => plain("csrrwi", &[asm::csrrwi(rd, MODE, random.below(5) as u32)]),
        7 => plain("csrrsi", &[asm::csrrsi(rd, FLAGS, random.below(32) as u32)]),
        _ => plain("csrrci", &[asm::csrrci(rd, random.pick(&[FLAGS, MODE, BOTH]), random.below(32) as u32)]),
    }
}

fn jump(random: &mut Random) -> Item {
    let over = 1 + random.below(6) as usize;
    let (name, jump) = match random.below(10) {
        0 => ("jal", Jump::Jal(target(random))),
        1 => ("jalr", Jump::Jalr(target(random), random.below(2) as i32)),
        _ => {
            let (name, funct3) = random.pick(&BRANCHES);
            (name, Jump::Branch(funct3, source(random), source(random)))
        }
    };
    Item { name, code: Code::Jump(jump, over) }
}
