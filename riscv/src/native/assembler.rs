//! Just as much of x86-64's code as translated blocks are made of (Intel SDM, volume 2).

/// A register of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Reg {
    Rax = 0,
    Rcx = 1,
    Rdx = 2,
    Rsi = 6,
    Rdi = 7,
    R8 = 8,
    R9 = 9,
}

impl Reg {
    /// The three bits in the bytes of an operand.
    fn low(self) -> u8 {
        self as u8 & 7
    }

    /// The fourth, which stands in the prefix.
    fn high(self) -> u8 {
        self as u8 >> 3
    }
}

/// How many bytes an instruction computes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Size {
    /// Four; the upper half of a register that is written becomes zero.
    Word,
    /// Eight.
    Double,
}

/// What is computed of two operands, the first of which takes the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Arithmetic {
    Add = 0,
    Or = 1,
    And = 4,
    Sub = 5,
    Xor = 6,
    Cmp = 7,
}

/// A shift.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Shift {
    Left = 4,
    Right = 5,
    Arithmetic = 7,
}

/// A condition on what was compared last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Condition {
    Below = 2,
    NotBelow = 3,
    Equal = 4,
    NotEqual = 5,
    Less = 12,
    NotLess = 13,
}

/// How a value lies in memory and in a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Width {
    Byte,
    Half,
    Word,
    Double,
    ByteUnsigned,
    HalfUnsigned,
    WordUnsigned,
}

impl Width {
    /// Bytes in memory.
    pub fn bytes(self) -> u64 {
        match self {
            Width::Byte | Width::ByteUnsigned => 1,
            Width::Half | Width::HalfUnsigned => 2,
            Width::Word | Width::WordUnsigned => 4,
            Width::Double => 8,
        }
    }
}

/// An operand in memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mem {
    base: Reg,
    index: Option<Reg>,
    offset: i32,
}

impl Mem {
    /// `offset` bytes behind `base`.
    pub fn at(base: Reg, offset: i32) -> Mem {
        Mem { base, index: None, offset }
    }

    /// `offset` bytes behind `base + index`.
    pub fn indexed(base: Reg, index: Reg, offset: i32) -> Mem {
        Mem { base, index: Some(index), offset }
    }
}

/// Code that is being written.
#[derive(Default)]
pub(super) struct Assembler {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The address from which the first of them will run.
    pub start: u64,
}

impl Assembler {
    /// Begins anew, with code for `start`.
    pub fn restart(&mut self, start: u64) {
        self.bytes.clear();
        self.start = start;
    }

    /// The address of the next instruction.
    pub fn here(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    /// Prefix, opcode and operands of an instruction with an operand in memory. `reg` is a register or a part of the
    /// opcode; `byte` is whether it is the low byte of one.
    fn memory(&mut self, size: Size, byte: bool, opcode: &[u8], reg: (u8, u8), mem: Mem) {
        let (low, high) = reg;
        let wide = u8::from(size == Size::Double) << 3;
        let index = mem.index.map_or(0, Reg::high) << 1;
        let prefix = 0x40 | wide | high << 2 | index | mem.base.high();
        if prefix != 0x40 || byte {
            self.bytes.push(prefix);
        }
        self.bytes.extend_from_slice(opcode);
        let short = i8::try_from(mem.offset);
        let mode = if short.is_ok() { 0x40 } else { 0x80 };
        match mem.index {
            None => self.bytes.push(mode | low << 3 | mem.base.low()),
            Some(index) => {
                self.bytes.extend_from_slice(&[mode | low << 3 | 4, index.low() << 3 | mem.base.low()]);
            }
        }
        match short {
            Ok(short) => self.bytes.push(short as u8),
            Err(_) => self.bytes.extend_from_slice(&mem.offset.to_le_bytes()),
        }
    }

    /// The same with two registers; `rm` is the one an operand in memory could stand for.
    fn registers(&mut self, size: Size, opcode: &[u8], reg: (u8, u8), rm: Reg) {
        let (low, high) = reg;
        let prefix = 0x40 | u8::from(size == Size::Double) << 3 | high << 2 | rm.high();
        if prefix != 0x40 {
            self.bytes.push(prefix);
        }
        self.bytes.extend_from_slice(opcode);
        self.bytes.push(0xc0 | low << 3 | rm.low());
    }

    /// `to = from`.
    pub fn load(&mut self, to: Reg, from: Mem) {
        self.memory(Size::Double, false, &[0x8b], (to.low(), to.high()), from);
    }

    /// `to = from`, extended as `width` says.
    pub fn load_width(&mut self, width: Width, to: Reg, from: Mem) {
        let (size, opcode): (Size, &[u8]) = match width {
            Width::Byte => (Size::Double, &[0x0f, 0xbe]),
            Width::Half => (Size::Double, &[0x0f, 0xbf]),
            Width::Word => (Size::Double, &[0x63]),
            Width::Double => (Size::Double, &[0x8b]),
            Width::ByteUnsigned => (Size::Word, &[0x0f, 0xb6]),
            Width::HalfUnsigned => (Size::Word, &[0x0f, 0xb7]),
            Width::WordUnsigned => (Size::Word, &[0x8b]),
        };
        self.memory(size, false, opcode, (to.low(), to.high()), from);
    }

    /// `to = from`.
    pub fn store(&mut self, to: Mem, from: Reg) {
        self.store_width(Width::Double, to, from);
    }

    /// `to = from`, as many bytes as `width` has.
    pub fn store_width(&mut self, width: Width, to: Mem, from: Reg) {
        let from = (from.low(), from.high());
        match width.bytes() {
            1 => self.memory(Size::Word, true, &[0x88], from, to),
            2 => {
                self.bytes.push(0x66);
                self.memory(Size::Word, false, &[0x89], from, to);
            }
            4 => self.memory(Size::Word, false, &[0x89], from, to),
            _ => self.memory(Size::Double, false, &[0x89], from, to),
        }
    }

    /// `to = value`, sign-extended to eight bytes.
    pub fn store_constant(&mut self, to: Mem, value: i32) {
        self.memory(Size::Double, false, &[0xc7], (0, 0), to);
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// `to = from`, of `size`.
    pub fn copy(&mut self, size: Size, to: Reg, from: Reg) {
        self.registers(size, &[0x89], (from.low(), from.high()), to);
    }

    /// `to = value`.
    pub fn constant(&mut self, to: Reg, value: u64) {
        match u32::try_from(value) {
            Ok(short) => {
                if to.high() != 0 {
                    self.bytes.push(0x41);
                }
                self.bytes.push(0xb8 | to.low());
                self.bytes.extend_from_slice(&short.to_le_bytes());
            }
            Err(_) => {
                self.bytes.extend_from_slice(&[0x48 | to.high(), 0xb8 | to.low()]);
                self.bytes.extend_from_slice(&value.to_le_bytes());
            }
        }
    }

    /// `to = the address of from`.
    pub fn address(&mut self, to: Reg, from: Mem) {
        self.memory(Size::Double, false, &[0x8d], (to.low(), to.high()), from);
    }

    /// `to = to ∘ from`.
    pub fn compute(&mut self, what: Arithmetic, size: Size, to: Reg, from: Mem) {
        self.memory(size, false, &[(what as u8) << 3 | 3], (to.low(), to.high()), from);
    }

    /// `to = to ∘ from`.
    pub fn compute_register(&mut self, what: Arithmetic, size: Size, to: Reg, from: Reg) {
        self.registers(size, &[(what as u8) << 3 | 1], (from.low(), from.high()), to);
    }

    /// `to = to ∘ value`.
    pub fn compute_constant(&mut self, what: Arithmetic, size: Size, to: Reg, value: i32) {
        match i8::try_from(value) {
            Ok(short) => {
                self.registers(size, &[0x83], (what as u8, 0), to);
                self.bytes.push(short as u8);
            }
            Err(_) => {
                self.registers(size, &[0x81], (what as u8, 0), to);
                self.bytes.extend_from_slice(&value.to_le_bytes());
            }
        }
    }

    /// `to = to shifted by amount`.
    pub fn shift(&mut self, what: Shift, size: Size, to: Reg, amount: u8) {
        self.registers(size, &[0xc1], (what as u8, 0), to);
        self.bytes.push(amount);
    }

    /// `to = to shifted by rcx`.
    pub fn shift_by_rcx(&mut self, what: Shift, size: Size, to: Reg) {
        self.registers(size, &[0xd3], (what as u8, 0), to);
    }

    /// `to = to * from`.
    pub fn multiply(&mut self, size: Size, to: Reg, from: Mem) {
        self.memory(size, false, &[0x0f, 0xaf], (to.low(), to.high()), from);
    }

    /// `rdx = the upper half of rax * from`, both `signed` or not; `rax` takes the lower.
    pub fn multiply_high(&mut self, signed: bool, from: Mem) {
        self.memory(Size::Double, false, &[0xf7], (if signed { 5 } else { 4 }, 0), from);
    }

    /// `rax = the lower half of rax, sign-extended`.
    pub fn extend_rax(&mut self) {
        self.bytes.extend_from_slice(&[0x48, 0x98]);
    }

    /// `rax = 1` if `condition` holds, 0 otherwise.
    pub fn set_rax(&mut self, condition: Condition) {
        self.bytes.extend_from_slice(&[0x0f, 0x90 | condition as u8, 0xc0]); // setcc al
        self.bytes.extend_from_slice(&[0x0f, 0xb6, 0xc0]); // movzx eax, al
    }

    /// Goes on at `target`.
    pub fn jump(&mut self, target: u64) {
        self.bytes.push(0xe9);
        self.relative(target);
    }

    /// Goes on at `target` if `condition` holds.
    pub fn jump_if(&mut self, condition: Condition, target: u64) {
        self.bytes.extend_from_slice(&[0x0f, 0x80 | condition as u8]);
        self.relative(target);
    }

    /// The same with a target that is not known yet: where [`Assembler::land`] is to put it.
    pub fn jump_forward_if(&mut self, condition: Condition) -> usize {
        self.bytes.extend_from_slice(&[0x70 | condition as u8, 0]);
        self.bytes.len()
    }

    /// The jump goes to here, which is at most 127 bytes after it.
    pub fn land(&mut self, after: usize) {
        self.bytes[after - 1] = (self.bytes.len() - after) as u8;
    }

    /// Goes on at the address that stands at the address `slot`.
    pub fn jump_by(&mut self, slot: u64) {
        self.bytes.extend_from_slice(&[0xff, 0x25]);
        self.relative(slot);
    }

    /// Goes on at the address that stands at `mem`.
    pub fn jump_memory(&mut self, mem: Mem) {
        self.memory(Size::Word, false, &[0xff], (4, 0), mem);
    }

    /// Goes on at the address in `rax`.
    pub fn jump_rax(&mut self) {
        self.bytes.extend_from_slice(&[0xff, 0xe0]);
    }

    /// How far `target` is from the end of these four bytes. All code lies within what four bytes can tell.
    fn relative(&mut self, target: u64) {
        let distance = target.wrapping_sub(self.here() + 4) as i64;
        debug_assert!(i32::try_from(distance).is_ok());
        self.bytes.extend_from_slice(&(distance as i32).to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Every instruction, as binutils reads it back.
    #[test]
    fn code_is_what_objdump_says_it_is() {
        use Reg::*;
        type Write = fn(&mut Assembler);
        let cases: &[(Write, &str)] = &[
            (|c| c.load(Rax, Mem::at(Rdi, 120)), "mov rax,QWORD PTR [rdi+0x78]"),
            (|c| c.load(R9, Mem::at(Rdi, 128)), "mov r9,QWORD PTR [rdi+0x80]"),
            (|c| c.load(Rsi, Mem::indexed(R8, Rsi, -8)), "mov rsi,QWORD PTR [r8+rsi*1-0x8]"),
            (|c| c.load(R8, Mem::indexed(R9, Rax, 0x4008)), "mov r8,QWORD PTR [r9+rax*1+0x4008]"),
            (|c| c.load_width(Width::Byte, Rax, Mem::at(Rax, 0)), "movsx rax,BYTE PTR [rax+0x0]"),
            (|c| c.load_width(Width::Half, Rax, Mem::at(Rax, 0)), "movsx rax,WORD PTR [rax+0x0]"),
            (|c| c.load_width(Width::Word, Rax, Mem::at(Rax, 0)), "movsxd rax,DWORD PTR [rax+0x0]"),
            (|c| c.load_width(Width::Double, Rax, Mem::at(Rax, 0)), "mov rax,QWORD PTR [rax+0x0]"),
            (|c| c.load_width(Width::ByteUnsigned, Rax, Mem::at(Rax, 0)), "movzx eax,BYTE PTR [rax+0x0]"),
            (|c| c.load_width(Width::HalfUnsigned, Rax, Mem::at(Rax, 0)), "movzx eax,WORD PTR [rax+0x0]"),
            (|c| c.load_width(Width::WordUnsigned, Rax, Mem::at(Rax, 0)), "mov eax,DWORD PTR [rax+0x0]"),
            (|c| c.store(Mem::at(Rdi, 256), Rax), "mov QWORD PTR [rdi+0x100],rax"),
            (|c| c.store_width(Width::Byte, Mem::at(Rax, 0), R9), "mov BYTE PTR [rax+0x0],r9b"),
            (|c| c.store_width(Width::Byte, Mem::at(Rax, 0), Rsi), "mov BYTE PTR [rax+0x0],sil"),
            (|c| c.store_width(Width::Half, Mem::at(Rax, 0), R9), "mov WORD PTR [rax+0x0],r9w"),
            (|c| c.store_width(Width::Word, Mem::at(Rax, 0), R9), "mov DWORD PTR [rax+0x0],r9d"),
            (|c| c.store_constant(Mem::at(Rdi, 8), -2), "mov QWORD PTR [rdi+0x8],0xfffffffffffffffe"),
            (|c| c.copy(Size::Double, R9, Rcx), "mov r9,rcx"),
            (|c| c.copy(Size::Word, Rsi, Rax), "mov esi,eax"),
            (|c| c.copy(Size::Word, Rax, R8), "mov eax,r8d"),
            (|c| c.constant(Rax, 0xffff_ffff), "mov eax,0xffffffff"),
            (|c| c.constant(R8, 5), "mov r8d,0x5"),
            (|c| c.constant(Rsi, 1 << 40), "movabs rsi,0x10000000000"),
            (|c| c.constant(R9, 1 << 40), "movabs r9,0x10000000000"),
            (|c| c.address(Rcx, Mem::at(Rcx, -300)), "lea rcx,[rcx-0x12c]"),
            (
                |c| c.compute(Arithmetic::Cmp, Size::Double, Rax, Mem::at(Rdi, 8)),
                "cmp rax,QWORD PTR [rdi+0x8]",
            ),
            (|c| c.compute(Arithmetic::Sub, Size::Word, Rax, Mem::at(Rdi, 8)), "sub eax,DWORD PTR [rdi+0x8]"),
            (
                |c| c.compute(Arithmetic::Xor, Size::Double, Rax, Mem::at(Rdi, 8)),
                "xor rax,QWORD PTR [rdi+0x8]",
            ),
            (|c| c.compute_register(Arithmetic::Add, Size::Double, R8, Rsi), "add r8,rsi"),
            (|c| c.compute_register(Arithmetic::Add, Size::Double, Rax, Rcx), "add rax,rcx"),
            (|c| c.compute_constant(Arithmetic::And, Size::Double, R9, -4096), "and r9,0xfffffffffffff000"),
            (|c| c.compute_constant(Arithmetic::Or, Size::Double, Rax, -1), "or rax,0xffffffffffffffff"),
            (|c| c.compute_constant(Arithmetic::And, Size::Word, Rsi, 0x1ff0), "and esi,0x1ff0"),
            (|c| c.compute_constant(Arithmetic::Sub, Size::Double, Rdx, 64), "sub rdx,0x40"),
            (|c| c.shift(Shift::Left, Size::Double, Rax, 63), "shl rax,0x3f"),
            (|c| c.shift(Shift::Arithmetic, Size::Word, Rax, 31), "sar eax,0x1f"),
            (|c| c.shift(Shift::Right, Size::Word, Rsi, 8), "shr esi,0x8"),
            (|c| c.shift_by_rcx(Shift::Arithmetic, Size::Double, Rax), "sar rax,cl"),
            (|c| c.shift_by_rcx(Shift::Right, Size::Word, Rax), "shr eax,cl"),
            (|c| c.multiply(Size::Double, Rax, Mem::at(Rdi, 248)), "imul rax,QWORD PTR [rdi+0xf8]"),
            (|c| c.multiply(Size::Word, Rax, Mem::at(Rdi, 24)), "imul eax,DWORD PTR [rdi+0x18]"),
            (|c| c.multiply_high(true, Mem::at(Rdi, 8)), "imul QWORD PTR [rdi+0x8]"),
            (|c| c.multiply_high(false, Mem::at(Rdi, 8)), "mul QWORD PTR [rdi+0x8]"),
            (|c| c.extend_rax(), "cdqe"),
            (|c| c.set_rax(Condition::Below), "setb al movzx eax,al"),
            (|c| c.set_rax(Condition::Less), "setl al movzx eax,al"),
            (|c| c.jump(START), "jmp 0x700000000000"),
            (|c| c.jump_if(Condition::Equal, START), "je 0x700000000000"),
            (|c| c.jump_if(Condition::NotLess, START), "jge 0x700000000000"),
            (|c| c.jump_if(Condition::NotBelow, START), "jae 0x700000000000"),
            (|c| c.jump_by(START), "jmp QWORD PTR [rip+N] # 0x700000000000"),
            (|c| c.jump_memory(Mem::at(Rsi, 0)), "jmp QWORD PTR [rsi+0x0]"),
            (|c| c.jump_rax(), "jmp rax"),
        ];
        const START: u64 = 0x7000_0000_0000;
        let mut code = Assembler::default();
        code.restart(START);
        let mut marks = Vec::new();
        for (write, _) in cases {
            marks.push(code.here());
            write(&mut code);
        }
        let after = code.jump_forward_if(Condition::NotEqual);
        code.extend_rax();
        code.land(after);
        code.extend_rax();

        let path = std::env::temp_dir().join(format!("reprove-assembler-{}", std::process::id()));
        std::fs::write(&path, &code.bytes).unwrap();
        let objdump = Command::new("objdump")
            .args(["-D", "-b", "binary", "-m", "i386:x86-64", "-M", "intel", "--no-show-raw-insn"])
            .arg(format!("--adjust-vma={START:#x}"))
            .arg(&path)
            .output()
            .expect("objdump of binutils");
        std::fs::remove_file(&path).unwrap();
        let text = String::from_utf8(objdump.stdout).unwrap();
        let mut got: Vec<(u64, String)> = Vec::new();
        for line in text.lines() {
            let Some((address, words)) = line.trim().split_once(":\t") else { continue };
            let Ok(address) = u64::from_str_radix(address, 16) else { continue };
            let mut words = words.split_whitespace().collect::<Vec<_>>().join(" ");
            if let Some((_, target)) = words.split_once(" # ") {
                words = format!("jmp QWORD PTR [rip+N] # {target}");
            }
            match got.last_mut() {
                Some((_, before)) if !marks.contains(&address) && address < marks[marks.len() - 1] => {
                    *before = format!("{before} {words}");
                }
                _ => got.push((address, words)),
            }
        }
        for ((write, expected), (address, got)) in cases.iter().zip(&got) {
            let _ = write;
            assert_eq!(got, expected, "at {address:#x}");
        }
        let rest: Vec<&str> = got[cases.len()..].iter().map(|(_, words)| words.as_str()).collect();
        let [jump, first, second] = rest[..] else { panic!("{rest:?}") };
        assert_eq!((first, second), ("cdqe", "cdqe"));
        assert_eq!(jump, format!("jne {:#x}", got[cases.len() + 2].0));
    }
}
