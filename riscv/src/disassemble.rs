//! Instructions as text: what stands in a trace.
//!
//! Mnemonics and operands are those of the specification, in the form of binutils' `objdump -M no-aliases`, which is the
//! oracle in tests; a compressed instruction is shown as the one it stands for. Targets of jumps are offsets.

use crate::compressed;

/// Names of the integer registers (psABI).
pub const REGISTERS: [&str; 32] = [
    "zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", "a0", "a1", "a2", "a3", "a4", "a5", "a6",
    "a7", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6",
];

/// Names of the floating-point registers (psABI).
pub const FLOAT_REGISTERS: [&str; 32] = [
    "ft0", "ft1", "ft2", "ft3", "ft4", "ft5", "ft6", "ft7", "fs0", "fs1", "fa0", "fa1", "fa2", "fa3", "fa4",
    "fa5", "fa6", "fa7", "fs2", "fs3", "fs4", "fs5", "fs6", "fs7", "fs8", "fs9", "fs10", "fs11", "ft8",
    "ft9", "ft10", "ft11",
];

/// The instruction in `word` (in its low half, if that is a compressed one) as text; `unknown` for what is none.
pub fn disassemble(word: u32) -> String {
    let word = if word & 3 == 3 { Some(word) } else { compressed::expand(word as u16) };
    word.and_then(|word| Word(word).text()).unwrap_or_else(|| "unknown".to_owned())
}

/// A 32-bit instruction.
#[derive(Clone, Copy)]
struct Word(u32);

impl Word {
    fn text(self) -> Option<String> {
        let (rd, rs1, rs2) = (x(self.field(7)), x(self.field(15)), x(self.field(20)));
        let funct3 = (self.0 >> 12 & 7) as usize;
        let imm = (self.0 as i32) >> 20;
        Some(match self.0 & 0x7f {
            0x37 => format!("lui {rd},{:#x}", self.0 >> 12),
            0x17 => format!("auipc {rd},{:#x}", self.0 >> 12),
            0x6f => format!("jal {rd},{}", self.jump()),
            0x67 if funct3 == 0 => format!("jalr {rd},{imm}({rs1})"),
            0x63 => {
                let name = ["beq", "bne", "", "", "blt", "bge", "bltu", "bgeu"]
                    .get(funct3)
                    .filter(|n| !n.is_empty())?;
                format!("{name} {rs1},{rs2},{}", self.branch())
            }
            0x03 => {
                let name = ["lb", "lh", "lw", "ld", "lbu", "lhu", "lwu"].get(funct3)?;
                format!("{name} {rd},{imm}({rs1})")
            }
            0x07 => {
                format!("{} {},{imm}({rs1})", ["flw", "fld"].get(funct3.wrapping_sub(2))?, f(self.field(7)))
            }
            0x23 => format!("{} {rs2},{}({rs1})", ["sb", "sh", "sw", "sd"].get(funct3)?, self.store()),
            0x27 => {
                let name = ["fsw", "fsd"].get(funct3.wrapping_sub(2))?;
                format!("{name} {},{}({rs1})", f(self.field(20)), self.store())
            }
            0x13 => match (funct3, self.0 >> 26) {
                (1, 0) => format!("slli {rd},{rs1},{:#x}", imm & 63),
                (5, 0) => format!("srli {rd},{rs1},{:#x}", imm & 63),
                (5, 16) => format!("srai {rd},{rs1},{:#x}", imm & 63),
                (1 | 5, _) => return None,
                _ => format!(
                    "{} {rd},{rs1},{imm}",
                    ["addi", "", "slti", "sltiu", "xori", "", "ori", "andi"][funct3]
                ),
            },
            0x1b => match (funct3, self.0 >> 25) {
                (0, _) => format!("addiw {rd},{rs1},{imm}"),
                (1, 0) => format!("slliw {rd},{rs1},{:#x}", imm & 31),
                (5, 0) => format!("srliw {rd},{rs1},{:#x}", imm & 31),
                (5, 32) => format!("sraiw {rd},{rs1},{:#x}", imm & 31),
                _ => return None,
            },
            0x33 => format!("{} {rd},{rs1},{rs2}", self.arithmetic()?),
            0x3b => format!("{}w {rd},{rs1},{rs2}", self.arithmetic_32()?),
            0x2f => self.atomic()?,
            0x0f if funct3 == 0 => self.fence(),
            0x0f if self.0 == 0x100f => "fence.i".to_owned(),
            0x73 => self.system()?,
            0x43 => self.fused("fmadd")?,
            0x47 => self.fused("fmsub")?,
            0x4b => self.fused("fnmsub")?,
            0x4f => self.fused("fnmadd")?,
            0x53 => self.float()?,
            _ => return None,
        })
    }

    /// Five bits from `at` up: a register's number.
    fn field(self, at: u32) -> usize {
        (self.0 >> at & 31) as usize
    }

    fn jump(self) -> i32 {
        let w = self.0;
        let imm = w >> 31 << 20 | (w >> 12 & 0xff) << 12 | (w >> 20 & 1) << 11 | (w >> 21 & 0x3ff) << 1;
        (imm << 11) as i32 >> 11
    }

    fn branch(self) -> i32 {
        let w = self.0;
        let imm = w >> 31 << 12 | (w >> 7 & 1) << 11 | (w >> 25 & 0x3f) << 5 | (w >> 8 & 15) << 1;
        (imm << 19) as i32 >> 19
    }

    fn store(self) -> i32 {
        (self.0 as i32 >> 25 << 5) | (self.0 >> 7 & 31) as i32
    }

    fn arithmetic(self) -> Option<&'static str> {
        let names = match self.0 >> 25 {
            0 => ["add", "sll", "slt", "sltu", "xor", "srl", "or", "and"],
            1 => ["mul", "mulh", "mulhsu", "mulhu", "div", "divu", "rem", "remu"],
            32 => ["sub", "", "", "", "", "sra", "", ""],
            _ => return None,
        };
        Some(names[(self.0 >> 12 & 7) as usize]).filter(|name| !name.is_empty())
    }

    fn arithmetic_32(self) -> Option<&'static str> {
        self.arithmetic().filter(|name| {
            matches!(*name, "add" | "sub" | "sll" | "srl" | "sra" | "mul" | "div" | "divu" | "rem" | "remu")
        })
    }

    fn atomic(self) -> Option<String> {
        let size = match self.0 >> 12 & 7 {
            2 => "w",
            3 => "d",
            _ => return None,
        };
        let order = ["", ".rl", ".aq", ".aqrl"][(self.0 >> 25 & 3) as usize];
        let (rd, rs1, rs2) = (x(self.field(7)), x(self.field(15)), x(self.field(20)));
        let name = match self.0 >> 27 {
            0 => "amoadd",
            1 => "amoswap",
            2 if self.field(20) == 0 => return Some(format!("lr.{size}{order} {rd},({rs1})")),
            3 => "sc",
            4 => "amoxor",
            8 => "amoor",
            12 => "amoand",
            16 => "amomin",
            20 => "amomax",
            24 => "amominu",
            28 => "amomaxu",
            _ => return None,
        };
        Some(format!("{name}.{size}{order} {rd},{rs2},({rs1})"))
    }

    fn fence(self) -> String {
        let set = |bits: u32| -> String {
            let set: String =
                "iorw".chars().zip([8, 4, 2, 1]).filter(|(_, bit)| bits & bit != 0).map(|(c, _)| c).collect();
            if set.is_empty() { "unknown".to_owned() } else { set }
        };
        match self.0 {
            0x8330_000f => "fence.tso".to_owned(),
            word => format!("fence {},{}", set(word >> 24 & 15), set(word >> 20 & 15)),
        }
    }

    fn system(self) -> Option<String> {
        let (rd, rs1, csr) = (x(self.field(7)), x(self.field(15)), self.0 >> 20);
        Some(match self.0 >> 12 & 7 {
            0 => match self.0 {
                0x0000_0073 => "ecall".to_owned(),
                0x0010_0073 => "ebreak".to_owned(),
                0x1020_0073 => "sret".to_owned(),
                0x3020_0073 => "mret".to_owned(),
                0x1050_0073 => "wfi".to_owned(),
                word if word & 0xfe00_7fff == 0x1200_0073 => {
                    format!("sfence.vma {rs1},{}", x(self.field(20)))
                }
                _ => return None,
            },
            4 => return None,
            kind @ 1..=3 => {
                format!("{} {rd},{csr:#x},{rs1}", ["csrrw", "csrrs", "csrrc"][kind as usize - 1])
            }
            kind => format!(
                "{} {rd},{csr:#x},{}",
                ["csrrwi", "csrrsi", "csrrci"][kind as usize - 5],
                self.field(15)
            ),
        })
    }

    /// `s` or `d`.
    fn format(self) -> Option<&'static str> {
        ["s", "d"].get((self.0 >> 25 & 3) as usize).copied()
    }

    /// The rounding mode as objdump shows it: nothing for the dynamic one.
    fn rounding(self) -> Option<&'static str> {
        Some(match self.0 >> 12 & 7 {
            0 => ",rne",
            1 => ",rtz",
            2 => ",rdn",
            3 => ",rup",
            4 => ",rmm",
            7 => "",
            _ => return None,
        })
    }

    fn fused(self, name: &str) -> Option<String> {
        let [a, b, c, d] = [7, 15, 20, 27].map(|at| f(self.field(at)));
        Some(format!("{name}.{} {a},{b},{c},{d}{}", self.format()?, self.rounding()?))
    }

    fn float(self) -> Option<String> {
        let format = self.format()?;
        let (fd, fs1, fs2) = (f(self.field(7)), f(self.field(15)), f(self.field(20)));
        let (rd, rs1, rs2) = (x(self.field(7)), x(self.field(15)), self.field(20));
        let funct3 = (self.0 >> 12 & 7) as usize;
        let integer = ["w", "wu", "l", "lu"].get(rs2);
        // binutils has no way to write a rounding mode where nothing is ever rounded.
        let exact = |to: &str| matches!((to, rs2), ("d", 0 | 1));
        Some(match self.0 >> 27 {
            kind @ 0..=3 => {
                let name = ["fadd", "fsub", "fmul", "fdiv"][kind as usize];
                format!("{name}.{format} {fd},{fs1},{fs2}{}", self.rounding()?)
            }
            11 if rs2 == 0 => format!("fsqrt.{format} {fd},{fs1}{}", self.rounding()?),
            4 => format!("{}.{format} {fd},{fs1},{fs2}", ["fsgnj", "fsgnjn", "fsgnjx"].get(funct3)?),
            5 => format!("{}.{format} {fd},{fs1},{fs2}", ["fmin", "fmax"].get(funct3)?),
            20 => format!("{}.{format} {rd},{fs1},{fs2}", ["fle", "flt", "feq"].get(funct3)?),
            8 if format == "s" && rs2 == 1 => format!("fcvt.s.d {fd},{fs1}{}", self.rounding()?),
            8 if format == "d" && rs2 == 0 => format!("fcvt.d.s {fd},{fs1}"),
            24 => format!("fcvt.{}.{format} {rd},{fs1}{}", integer?, self.rounding()?),
            26 if exact(format) => format!("fcvt.d.{} {fd},{rs1}", integer?),
            26 => format!("fcvt.{format}.{} {fd},{rs1}{}", integer?, self.rounding()?),
            28 if rs2 == 0 && funct3 == 1 => format!("fclass.{format} {rd},{fs1}"),
            28 if rs2 == 0 && funct3 == 0 => {
                format!("fmv.x.{} {rd},{fs1}", if format == "s" { "w" } else { "d" })
            }
            30 if rs2 == 0 && funct3 == 0 => {
                format!("fmv.{}.x {fd},{rs1}", if format == "s" { "w" } else { "d" })
            }
            _ => return None,
        })
    }
}

fn x(number: usize) -> &'static str {
    REGISTERS[number & 31]
}

fn f(number: usize) -> &'static str {
    FLOAT_REGISTERS[number & 31]
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_few_by_hand() {
        assert_eq!(disassemble(0x0000_0513), "addi a0,zero,0");
        assert_eq!(disassemble(0x4501), "addi a0,zero,0");
        assert_eq!(disassemble(0xffdf_f06f), "jal zero,-4");
        assert_eq!(disassemble(0xfe00_0ee3), "beq zero,zero,-4");
        assert_eq!(disassemble(0x0000), "unknown");
        assert_eq!(disassemble(0xffff_ffff), "unknown");
    }

    /// A random word of each of the opcodes there are, again and again, as objdump reads them.
    #[test]
    fn objdump_reads_the_same() {
        const OPCODES: [u32; 20] = [
            0x37, 0x17, 0x67, 0x03, 0x07, 0x23, 0x27, 0x13, 0x1b, 0x33, 0x3b, 0x2f, 0x0f, 0x73, 0x43, 0x47,
            0x4b, 0x4f, 0x53, 0x53,
        ];
        let mut random = 88_172_645_463_325_252u64;
        let mut next = || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random as u32
        };
        let words: Vec<u32> = (0..40_000)
            .map(|i| {
                // Few of all patterns are instructions: the high bits and funct3 come from where those are.
                let (word, kind) = (next(), next());
                let word = if kind & 1 == 0 { word & 0x01ff_ffff | (kind >> 8 & 0x21) << 25 } else { word };
                let word = if kind & 2 == 0 { word & !(0x1c << 20) } else { word };
                word & !0x7f | OPCODES[i % OPCODES.len()]
            })
            .collect();
        let folder = std::env::temp_dir().join(format!("reprove-disassemble-{}", std::process::id()));
        std::fs::write(&folder, words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>())
            .unwrap();
        let output = Command::new("riscv64-linux-gnu-objdump")
            .args(["-D", "-b", "binary", "-m", "riscv:rv64", "-M", "no-aliases"])
            .arg(&folder)
            .output()
            .expect("riscv64-linux-gnu-objdump must be installed (Debian: binutils-riscv64-linux-gnu)");
        std::fs::remove_file(&folder).unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let mut compared = 0;
        for line in text.lines() {
            let mut parts = line.trim_start().split('\t');
            let (Some(_), Some(word), Some(name), operands) =
                (parts.next(), parts.next(), parts.next(), parts.next().unwrap_or_default())
            else {
                continue;
            };
            let word = u32::from_str_radix(word.trim(), 16).unwrap();
            let ours = disassemble(word);
            // A fence with reserved bits is still a fence, says the specification, and a conversion that is always exact
            // may name a rounding mode; objdump leaves both alone.
            let odd = ours.starts_with("fence") || ours.starts_with("fcvt.d.");
            if ours == "unknown" || odd && name == ".4byte" {
                continue;
            }
            let operands = operands.split(" #").next().unwrap_or_default().trim();
            let theirs = format!("{name} {operands}");
            let (ours, theirs) = (ours.trim(), theirs.trim());
            // objdump names registers by number here: `csrrw a0,mstatus,a1`.
            let plain = |text: &str| {
                text.split(',')
                    .enumerate()
                    .filter(|(i, _)| *i != 1)
                    .map(|(_, t)| t.to_owned())
                    .collect::<Vec<_>>()
            };
            if ours.starts_with("csrr") {
                assert_eq!(plain(ours), plain(theirs), "{word:#010x}");
            } else {
                assert_eq!(ours, theirs, "{word:#010x}");
            }
            compared += 1;
        }
        assert!(compared > 10_000, "only {compared} of 40000 words are instructions");
    }
}
