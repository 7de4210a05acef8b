//! A small assembler: instructions as functions, labels, and the data between them.

use std::collections::BTreeMap;

/// A register's number.
pub type Reg = u32;

pub const ZERO: Reg = 0;
pub const RA: Reg = 1;
pub const SP: Reg = 2;
pub const T0: Reg = 5;
pub const T1: Reg = 6;
pub const T2: Reg = 7;
pub const S0: Reg = 8;
pub const S1: Reg = 9;
pub const A0: Reg = 10;
pub const A1: Reg = 11;
pub const A2: Reg = 12;
pub const A3: Reg = 13;
pub const A4: Reg = 14;
pub const A5: Reg = 15;
pub const A6: Reg = 16;
pub const A7: Reg = 17;
pub const S2: Reg = 18;
pub const S3: Reg = 19;
pub const S4: Reg = 20;
pub const S5: Reg = 21;
pub const T3: Reg = 28;
pub const T4: Reg = 29;
pub const T5: Reg = 30;
pub const T6: Reg = 31;

// --- formats ------------------------------------------------------------------------------------------------------------

pub fn r_type(opcode: u32, funct3: u32, funct7: u32, rd: Reg, rs1: Reg, rs2: Reg) -> u32 {
    funct7 << 25 | rs2 << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | opcode
}

pub fn i_type(opcode: u32, funct3: u32, rd: Reg, rs1: Reg, imm: i32) -> u32 {
    debug_assert!((-2048..2048).contains(&imm));
    (imm as u32) << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | opcode
}

pub fn s_type(opcode: u32, funct3: u32, rs1: Reg, rs2: Reg, imm: i32) -> u32 {
    debug_assert!((-2048..2048).contains(&imm));
    let imm = imm as u32;
    (imm >> 5 & 0x7f) << 25 | rs2 << 20 | rs1 << 15 | funct3 << 12 | (imm & 31) << 7 | opcode
}

pub fn b_type(funct3: u32, rs1: Reg, rs2: Reg, offset: i64) -> u32 {
    assert!((-4096..4096).contains(&offset) && offset % 2 == 0, "a branch by {offset}");
    let imm = offset as u32;
    (imm >> 12 & 1) << 31
        | (imm >> 5 & 0x3f) << 25
        | rs2 << 20
        | rs1 << 15
        | funct3 << 12
        | (imm >> 1 & 15) << 8
        | (imm >> 11 & 1) << 7
        | 0x63
}

pub fn u_type(opcode: u32, rd: Reg, upper: u32) -> u32 {
    upper & 0xffff_f000 | rd << 7 | opcode
}

pub fn j_type(rd: Reg, offset: i64) -> u32 {
    assert!((-(1 << 20)..1 << 20).contains(&offset) && offset % 2 == 0, "a jump by {offset}");
    let imm = offset as u32;
    (imm >> 20 & 1) << 31
        | (imm >> 1 & 0x3ff) << 21
        | (imm >> 11 & 1) << 20
        | (imm >> 12 & 0xff) << 12
        | rd << 7
        | 0x6f
}

// --- instructions -------------------------------------------------------------------------------------------------------

/// Defines instructions of one format each.
macro_rules! instructions {
    ($($name:ident $format:ident($($fixed:expr),*);)*) => {$(instructions!(@ $name $format $($fixed),*);)*};
    (@ $name:ident r $opcode:expr, $funct3:expr, $funct7:expr) => {
        pub fn $name(rd: Reg, rs1: Reg, rs2: Reg) -> u32 { r_type($opcode, $funct3, $funct7, rd, rs1, rs2) }
    };
    (@ $name:ident i $opcode:expr, $funct3:expr) => {
        pub fn $name(rd: Reg, rs1: Reg, imm: i32) -> u32 { i_type($opcode, $funct3, rd, rs1, imm) }
    };
    (@ $name:ident s $opcode:expr, $funct3:expr) => {
        /// The first register is stored where the second points.
        pub fn $name(rs2: Reg, rs1: Reg, imm: i32) -> u32 { s_type($opcode, $funct3, rs1, rs2, imm) }
    };
    (@ $name:ident csr $funct3:expr) => {
        pub fn $name(rd: Reg, csr: u32, operand: Reg) -> u32 {
            csr << 20 | operand << 15 | $funct3 << 12 | rd << 7 | 0x73
        }
    };
    (@ $name:ident word $word:expr) => {
        pub fn $name() -> u32 { $word }
    };
}

instructions! {
    addi i(0x13, 0);
    xori i(0x13, 4);
    ori i(0x13, 6);
    andi i(0x13, 7);
    addiw i(0x1b, 0);
    add r(0x33, 0, 0);
    sub r(0x33, 0, 0x20);
    xor r(0x33, 4, 0);
    and r(0x33, 7, 0);
    lb i(0x03, 0);
    lh i(0x03, 1);
    lw i(0x03, 2);
    ld i(0x03, 3);
    lbu i(0x03, 4);
    lhu i(0x03, 5);
    lwu i(0x03, 6);
    sb s(0x23, 0);
    sh s(0x23, 1);
    sw s(0x23, 2);
    sd s(0x23, 3);
    fld i(0x07, 3);
    flw i(0x07, 2);
    fsd s(0x27, 3);
    jalr i(0x67, 0);
    csrrw csr(1);
    csrrs csr(2);
    csrrc csr(3);
    csrrwi csr(5);
    csrrsi csr(6);
    csrrci csr(7);
    ecall word(0x0000_0073);
    ebreak word(0x0010_0073);
    sret word(0x1020_0073);
    mret word(0x3020_0073);
    wfi word(0x1050_0073);
    nop word(0x0000_0013);
    fence_i word(0x0000_100f);
}

pub fn slli(rd: Reg, rs1: Reg, by: u32) -> u32 {
    i_type(0x13, 1, rd, rs1, by as i32)
}

pub fn srli(rd: Reg, rs1: Reg, by: u32) -> u32 {
    i_type(0x13, 5, rd, rs1, by as i32)
}

pub fn lui(rd: Reg, upper: u32) -> u32 {
    u_type(0x37, rd, upper)
}

pub fn auipc(rd: Reg, upper: u32) -> u32 {
    u_type(0x17, rd, upper)
}

pub fn sfence_vma(rs1: Reg, rs2: Reg) -> u32 {
    r_type(0x73, 0, 0x09, 0, rs1, rs2)
}

/// `lr`; `size` is 4 or 8.
pub fn lr(size: u32, rd: Reg, rs1: Reg) -> u32 {
    amo(0x02, size, rd, rs1, 0)
}

/// `sc`.
pub fn sc(size: u32, rd: Reg, rs2: Reg, rs1: Reg) -> u32 {
    amo(0x03, size, rd, rs1, rs2)
}

/// An atomic instruction by the five bits that say which.
pub fn amo(funct5: u32, size: u32, rd: Reg, rs1: Reg, rs2: Reg) -> u32 {
    r_type(0x2f, size.trailing_zeros(), funct5 << 2, rd, rs1, rs2)
}

/// The instructions that set `rd` to `value`.
pub fn li(rd: Reg, value: u64) -> Vec<u32> {
    let signed = value as i64;
    if (-2048..2048).contains(&signed) {
        return vec![addi(rd, ZERO, signed as i32)];
    }
    let low = (signed << 52 >> 52) as i32;
    if i64::from(signed as i32) == signed {
        let mut code = vec![lui(rd, (signed as i32).wrapping_sub(low) as u32)];
        if low != 0 {
            code.push(addiw(rd, rd, low));
        }
        return code;
    }
    let rest = signed.wrapping_sub(i64::from(low));
    let zeros = rest.trailing_zeros();
    let mut code = li(rd, (rest >> zeros) as u64);
    code.push(slli(rd, rd, zeros));
    if low != 0 {
        code.push(addi(rd, rd, low));
    }
    code
}

/// The two halves of a distance for `auipc` and the instruction after it.
pub fn split(distance: i64) -> (u32, i32) {
    let low = (distance << 52 >> 52) as i32;
    (distance.wrapping_sub(i64::from(low)) as u32, low)
}

/// A branch's condition.
#[derive(Clone, Copy, Debug)]
pub enum Cond {
    Eq = 0,
    Ne = 1,
    Lt = 4,
    Ge = 5,
    Ltu = 6,
    Geu = 7,
}

enum Fix {
    Branch(Cond, Reg, Reg),
    Jump(Reg),
    Address(Reg),
}

/// A piece of code or data that will lie at a fixed address.
pub struct Asm {
    base: u64,
    bytes: Vec<u8>,
    labels: BTreeMap<String, u64>,
    fixes: Vec<(usize, String, Fix)>,
}

impl Asm {
    /// To be loaded at `base`.
    pub fn at(base: u64) -> Asm {
        Asm { base, bytes: Vec::new(), labels: BTreeMap::new(), fixes: Vec::new() }
    }

    /// The address of what comes next.
    pub fn here(&self) -> u64 {
        self.base + self.bytes.len() as u64
    }

    pub fn label(&mut self, name: &str) -> &mut Asm {
        assert!(self.labels.insert(name.to_owned(), self.here()).is_none(), "two labels {name}");
        self
    }

    pub fn put(&mut self, word: u32) -> &mut Asm {
        self.bytes.extend(word.to_le_bytes());
        self
    }

    pub fn all(&mut self, words: impl IntoIterator<Item = u32>) -> &mut Asm {
        words.into_iter().for_each(|word| {
            self.put(word);
        });
        self
    }

    pub fn half(&mut self, half: u16) -> &mut Asm {
        self.bytes.extend(half.to_le_bytes());
        self
    }

    pub fn double(&mut self, value: u64) -> &mut Asm {
        self.bytes.extend(value.to_le_bytes());
        self
    }

    pub fn li(&mut self, rd: Reg, value: u64) -> &mut Asm {
        self.all(li(rd, value))
    }

    pub fn mv(&mut self, rd: Reg, rs: Reg) -> &mut Asm {
        self.put(addi(rd, rs, 0))
    }

    fn fix(&mut self, label: &str, fix: Fix) -> &mut Asm {
        self.fixes.push((self.bytes.len(), label.to_owned(), fix));
        self.put(nop())
    }

    pub fn branch(&mut self, cond: Cond, rs1: Reg, rs2: Reg, label: &str) -> &mut Asm {
        self.fix(label, Fix::Branch(cond, rs1, rs2))
    }

    pub fn j(&mut self, label: &str) -> &mut Asm {
        self.jal(ZERO, label)
    }

    pub fn jal(&mut self, rd: Reg, label: &str) -> &mut Asm {
        self.fix(label, Fix::Jump(rd))
    }

    /// `la`, relative to `pc`.
    pub fn la(&mut self, rd: Reg, label: &str) -> &mut Asm {
        self.fix(label, Fix::Address(rd)).put(nop())
    }

    /// Zeros up to `address`.
    pub fn org(&mut self, address: u64) -> &mut Asm {
        assert!(address >= self.here(), "{address:#x} is behind {:#x}", self.here());
        self.bytes.resize((address - self.base) as usize, 0);
        self
    }

    /// Where a label is.
    pub fn address(&self, label: &str) -> u64 {
        *self.labels.get(label).unwrap_or_else(|| panic!("no label {label}"))
    }

    /// All bytes, with every label in its place.
    pub fn finish(&self) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        for (at, label, fix) in &self.fixes {
            let distance = self.address(label).wrapping_sub(self.base + *at as u64) as i64;
            let words = match fix {
                Fix::Branch(cond, rs1, rs2) => vec![b_type(*cond as u32, *rs1, *rs2, distance)],
                Fix::Jump(rd) => vec![j_type(*rd, distance)],
                Fix::Address(rd) => {
                    let (high, low) = split(distance);
                    vec![auipc(*rd, high), addi(*rd, *rd, low)]
                }
            };
            for (i, word) in words.into_iter().enumerate() {
                bytes[at + 4 * i..at + 4 * i + 4].copy_from_slice(&word.to_le_bytes());
            }
        }
        bytes
    }
}
