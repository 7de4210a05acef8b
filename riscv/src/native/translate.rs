//! From a block's instructions to code of x86-64.
//!
//! | register | what it holds |
//! |---|---|
//! | `rdi` | the hart |
//! | `rsi` | nothing, between instructions; the operation, where code goes on with one |
//! | `rdx` | steps left |
//! | `rcx` | virtual address of the block's first instruction |
//! | `rax` | the guest's register that was written or read last, if [`Translator::rax`] says so |
//! | `r8` | the cache of translations of data, if [`Translator::cache`] says so |
//! | `r9` | nothing, between instructions |

use std::mem::offset_of;

use super::assembler::{Arithmetic, Assembler, Condition, Mem, Reg, Shift, Size, Width};
use super::region::Region;
use super::{Contents, EXITS, Meaning};
use crate::block::{Header, Jump, Links, MOST_OPS};
use crate::decode::Instruction;
use crate::hart::Hart;
use crate::memory::PAGE;
use crate::op::{Handler, Op, SINK};
use crate::tlb::{CodeEntry, DataEntry, Tlb};

/// Bytes for the code of blocks. When any of these is used up everything is forgotten.
const HOT: usize = 192 << 20;
/// Bytes for what leads from there to operations.
const COLD: usize = 96 << 20;
/// Bytes for the addresses where blocks go on.
const SLOTS: usize = 32 << 20;

/// Bytes of code that a block takes at most, hot and cold: no instruction takes more than 128, but the one branch that may
/// end it.
const MOST_OF_BLOCK: usize = (MOST_OPS + 2) * 128;

/// All translated code.
pub(crate) struct Native {
    region: Region,
    /// Bytes used of each part of the region.
    hot: usize,
    cold: usize,
    slots: usize,
    /// Where [`EXITS`] are called.
    exits: [u64; 2],
    /// What is written right now.
    writing: [Assembler; 2],
}

/// Whether `instruction`, which is one, is translated.
pub(crate) fn knows(instruction: Instruction) -> bool {
    match (instruction.word & 0x7f, instruction.funct7(), instruction.funct3()) {
        // mul, mulh, mulhu, mulw; not those that divide.
        (0x33, 1, f) => matches!(f, 0 | 1 | 3),
        (0x3b, 1, f) => f == 0,
        (0x03 | 0x0f | 0x13 | 0x17 | 0x1b | 0x23 | 0x33 | 0x37 | 0x3b | 0x63 | 0x67 | 0x6f, ..) => true,
        _ => false,
    }
}

impl Native {
    /// Room for code, if the host lets code be made.
    pub fn new() -> Option<Native> {
        let region = Region::new(HOT + COLD + SLOTS)?;
        let mut native =
            Native { region, hot: 0, cold: 0, slots: 0, exits: [0; 2], writing: Default::default() };
        native.clear();
        Some(native)
    }

    /// Whether there is room for another block.
    pub fn has_room(&self) -> bool {
        HOT - self.hot >= MOST_OF_BLOCK && COLD - self.cold >= MOST_OF_BLOCK && SLOTS - self.slots >= 16
    }

    /// Forgets everything. None of it may be running.
    pub fn clear(&mut self) {
        (self.hot, self.cold, self.slots) = (0, 0, 0);
        let mut code = Assembler::default();
        code.restart(self.region.runnable(0).addr() as u64);
        for (exit, handler) in self.exits.iter_mut().zip(EXITS) {
            *exit = code.here();
            code.constant(Reg::Rax, (handler as *const ()).addr() as u64);
            code.jump_rax();
        }
        self.region.write(0, &code.bytes);
        self.hot = code.bytes.len();
    }

    /// Translates the block `header` of which nothing runs yet; its first instruction is `in_page` bytes into its page.
    ///
    /// # Safety
    /// The block must have been written just now, with `contents` and, if it ends with links, these.
    pub unsafe fn translate(&mut self, header: *const Header, in_page: u64, contents: &Contents) {
        let [mut hot, mut cold] = std::mem::take(&mut self.writing);
        hot.restart(self.region.runnable(self.hot).addr() as u64);
        cold.restart(self.region.runnable(HOT + self.cold).addr() as u64);
        let begin = hot.start;
        // SAFETY: the caller's block.
        let (count, first) = unsafe { ((*header).count, Header::first(header)) };
        let slots = HOT + COLD + self.slots;
        let mut translator = Translator {
            hot,
            cold,
            exits: self.exits,
            header,
            common: None,
            begin,
            in_page,
            op: 0,
            rax: None,
            cache: false,
            slots: self.region.runnable(slots).addr() as u64,
            linked: [0; 2],
        };
        translator.enter(count as i32);
        for (i, meaning) in contents.meanings[..contents.count].iter().enumerate() {
            translator.op = i;
            if matches!(meaning, Meaning::Resume) {
                (translator.rax, translator.cache) = (None, false);
                // SAFETY: the address of code that follows the handlers' convention, in an operation of the caller's block.
                unsafe {
                    let run = std::mem::transmute::<*const (), Handler>(std::ptr::with_exposed_provenance(
                        translator.hot.here() as usize,
                    ));
                    (*first.add(i).cast_mut()).run = run;
                }
            }
            translator.operation(*meaning);
        }
        let Translator { hot, cold, linked, .. } = translator;
        assert!(hot.bytes.len() <= MOST_OF_BLOCK && cold.bytes.len() <= MOST_OF_BLOCK, "code has its place");
        self.region.write(self.hot, &hot.bytes);
        self.region.write(HOT + self.cold, &cold.bytes);
        self.hot += hot.bytes.len();
        self.cold += cold.bytes.len();
        if linked != [0; 2] {
            for (i, address) in linked.iter().enumerate() {
                self.region.write(slots + 8 * i, &address.to_le_bytes());
            }
            self.slots += 16;
            // SAFETY: a block with slots ends with links, which come after its last operation.
            unsafe {
                let links = Links::of(first.add(contents.count - 1));
                (*links).slots = self.region.writable(slots).cast();
            }
        }
        self.writing = [hot, cold];
        // SAFETY: as above; the code stands where it will run.
        unsafe {
            let run =
                std::mem::transmute::<*const (), Handler>(std::ptr::with_exposed_provenance(begin as usize));
            (*header.cast_mut()).native = Some(run);
        }
    }
}

/// A block that is being translated.
struct Translator {
    hot: Assembler,
    cold: Assembler,
    exits: [u64; 2],
    header: *const Header,
    /// Where the block's cold code goes on with the operation whose distance from the header is in `rax`.
    common: Option<u64>,
    /// Where the block's code begins.
    begin: u64,
    /// Where its first instruction is in its page.
    in_page: u64,
    /// Number of the operation that is translated.
    op: usize,
    /// The guest's register whose value is in `rax`.
    rax: Option<u8>,
    /// Whether `r8` holds the cache of translations of data.
    cache: bool,
    /// The address of the block's first slot.
    slots: u64,
    /// What the slots hold before anything is linked.
    linked: [u64; 2],
}

/// Where the hart has a register of the guest.
fn register(number: u8) -> Mem {
    Mem::at(Reg::Rdi, (offset_of!(Hart, x) + 8 * usize::from(number)) as i32)
}

impl Translator {
    /// The beginning of every block: counts its instructions, or leaves to the loop when there are not so many steps left.
    fn enter(&mut self, count: i32) {
        let out = self.cold.here();
        self.cold.compute_constant(Arithmetic::Add, Size::Double, Reg::Rdx, count);
        self.cold.jump(self.exits[0]);
        self.hot.compute_constant(Arithmetic::Sub, Size::Double, Reg::Rdx, count);
        self.hot.jump_if(Condition::Less, out);
    }

    /// Cold code that goes on with the operation at hand, after `back` was taken from `rcx`.
    fn by_operation(&mut self, back: i32) -> u64 {
        let common = self.common.unwrap_or_else(|| {
            let common = self.cold.here();
            self.cold.constant(Reg::Rsi, self.header.addr() as u64);
            self.cold.store(Mem::at(Reg::Rdi, offset_of!(Hart, block) as i32), Reg::Rsi);
            self.cold.address(Reg::Rsi, Mem::indexed(Reg::Rsi, Reg::Rax, 0));
            self.cold.jump_memory(Mem::at(Reg::Rsi, offset_of!(Op, run) as i32));
            self.common = Some(common);
            common
        });
        let here = self.cold.here();
        if back != 0 {
            self.cold.address(Reg::Rcx, Mem::at(Reg::Rcx, -back));
        }
        self.cold.constant(Reg::Rax, (size_of::<Header>() + self.op * size_of::<Op>()) as u64);
        self.cold.jump(common);
        here
    }

    fn operation(&mut self, meaning: Meaning) {
        match meaning {
            Meaning::One(instruction) => self.instruction(instruction),
            Meaning::Two(first, second) => {
                self.instruction(first);
                self.instruction(second);
            }
            Meaning::Relative(first, second) => self.relative(first, second),
            Meaning::Itself => {
                let operation = self.by_operation(0);
                self.hot.jump(operation);
                (self.rax, self.cache) = (None, false);
            }
            Meaning::Resume => {}
            Meaning::Fall => {
                // SAFETY: the block's own operation.
                let at = unsafe { (*Header::first(self.header).add(self.op)).at };
                self.go(2 * i32::from(at), 0);
            }
        }
    }

    fn instruction(&mut self, i: Instruction) {
        use Arithmetic::{Add, And, Or, Sub, Xor};
        let (rd, rs1, rs2) = (i.rd(), i.rs1(), i.rs2());
        match i.word & 0x7f {
            0x03 => {
                self.address(rs1, i.imm_i());
                self.load(LOADS[i.funct3() as usize & 7], rd);
            }
            0x0f => {}
            0x13 => match i.funct3() {
                0 if rs1 == 0 => self.constant(rd, i.imm_i()),
                0 if i.imm_i() == 0 => self.copy(rd, rs1),
                0 => self.immediate(Add, Size::Double, rd, rs1, i.imm_i()),
                1 => self.shift(Shift::Left, Size::Double, rd, rs1, (i.word >> 20 & 63) as u8),
                2 => self.set_if(Condition::Less, rd, rs1, Second::Constant(i.imm_i())),
                3 => self.set_if(Condition::Below, rd, rs1, Second::Constant(i.imm_i())),
                4 => self.immediate(Xor, Size::Double, rd, rs1, i.imm_i()),
                5 => self.shift(shift_right(i), Size::Double, rd, rs1, (i.word >> 20 & 63) as u8),
                6 => self.immediate(Or, Size::Double, rd, rs1, i.imm_i()),
                _ => self.immediate(And, Size::Double, rd, rs1, i.imm_i()),
            },
            0x17 => self.relative_address(rd, 2 * i64::from(i.at) + i64::from(i.imm_u())),
            0x1b => match i.funct3() {
                0 => self.immediate(Add, Size::Word, rd, rs1, i.imm_i()),
                1 => self.shift(Shift::Left, Size::Word, rd, rs1, (i.word >> 20 & 31) as u8),
                _ => self.shift(shift_right(i), Size::Word, rd, rs1, (i.word >> 20 & 31) as u8),
            },
            0x23 => {
                self.address(rs1, i.imm_s());
                self.store(LOADS[i.funct3() as usize & 3], rs2);
            }
            0x33 => match (i.funct7(), i.funct3()) {
                (1, 0) => self.multiply(Size::Double, rd, rs1, rs2),
                (1, high) => self.multiply_high(high == 1, rd, rs1, rs2),
                (0, 0) if rs1 == 0 => self.copy(rd, rs2),
                (0, 0) => self.both_ways(Add, Size::Double, rd, rs1, rs2),
                (_, 0) => self.registers(Sub, Size::Double, rd, rs1, rs2),
                (_, 1) => self.shift_by(Shift::Left, Size::Double, rd, rs1, rs2),
                (_, 2) => self.set_if(Condition::Less, rd, rs1, Second::Register(rs2)),
                (_, 3) => self.set_if(Condition::Below, rd, rs1, Second::Register(rs2)),
                (_, 4) => self.both_ways(Xor, Size::Double, rd, rs1, rs2),
                (_, 5) => self.shift_by(shift_right(i), Size::Double, rd, rs1, rs2),
                (_, 6) => self.both_ways(Or, Size::Double, rd, rs1, rs2),
                _ => self.both_ways(And, Size::Double, rd, rs1, rs2),
            },
            0x37 => self.constant(rd, i.imm_u()),
            0x3b => match (i.funct7(), i.funct3()) {
                (1, _) => self.multiply(Size::Word, rd, rs1, rs2),
                (0, 0) => self.both_ways(Add, Size::Word, rd, rs1, rs2),
                (_, 0) => self.registers(Sub, Size::Word, rd, rs1, rs2),
                (_, 1) => self.shift_by(Shift::Left, Size::Word, rd, rs1, rs2),
                _ => self.shift_by(shift_right(i), Size::Word, rd, rs1, rs2),
            },
            0x63 => self.branch(i),
            0x67 => {
                self.get(rs1);
                self.hot.address(Reg::Rsi, Mem::at(Reg::Rax, i.imm_i()));
                self.hot.compute_constant(And, Size::Double, Reg::Rsi, -2);
                self.link(rd, i);
                self.go_to();
            }
            _ => {
                debug_assert_eq!(i.word & 0x7f, 0x6f);
                self.link(rd, i);
                self.go(i.in_block(i.imm_j()), 0);
            }
        }
    }

    /// `auipc` and what follows it.
    fn relative(&mut self, first: Instruction, second: Instruction) {
        let offset = 2 * i64::from(first.at) + i64::from(first.imm_u()) + i64::from(second.imm_i());
        let Ok(short) = i32::try_from(offset) else {
            // Farther away than an address can say: as two.
            self.instruction(first);
            return self.instruction(second);
        };
        match second.word & 0x7f {
            0x13 => self.relative_address(second.rd(), offset),
            0x03 => {
                self.rax = None;
                self.hot.address(Reg::Rax, Mem::at(Reg::Rcx, short));
                self.load(LOADS[second.funct3() as usize & 7], second.rd());
            }
            _ => {
                debug_assert_eq!(second.word & 0x7f, 0x67);
                self.link(second.rd(), second);
                self.go(short & !1, 0);
            }
        }
    }

    /// Brings a register of the guest into `rax`, to be changed there.
    fn get(&mut self, number: u8) {
        if self.rax.take() != Some(number) {
            self.hot.load(Reg::Rax, register(number));
        }
    }

    /// What is in `rax` is the value of a register of the guest from now on.
    fn put(&mut self, number: u8) {
        self.rax = None;
        if number != SINK {
            self.hot.store(register(number), Reg::Rax);
            self.rax = Some(number);
        }
    }

    fn constant(&mut self, rd: u8, value: i32) {
        if rd != SINK {
            self.hot.store_constant(register(rd), value);
            self.rax = self.rax.filter(|register| *register != rd);
        }
    }

    fn copy(&mut self, rd: u8, from: u8) {
        self.get(from);
        self.put(rd);
    }

    /// `rd = rs1 ∘ value`.
    fn immediate(&mut self, what: Arithmetic, size: Size, rd: u8, rs1: u8, value: i32) {
        self.get(rs1);
        if value != 0 || what != Arithmetic::Add {
            self.hot.compute_constant(what, size, Reg::Rax, value);
        }
        self.finish(size, rd);
    }

    /// `rd = rs1 ∘ rs2`.
    fn registers(&mut self, what: Arithmetic, size: Size, rd: u8, rs1: u8, rs2: u8) {
        self.get(rs1);
        self.hot.compute(what, size, Reg::Rax, register(rs2));
        self.finish(size, rd);
    }

    /// The same for what does not depend on the order of the two.
    fn both_ways(&mut self, what: Arithmetic, size: Size, rd: u8, rs1: u8, rs2: u8) {
        let (first, second) = if self.rax == Some(rs2) { (rs2, rs1) } else { (rs1, rs2) };
        self.registers(what, size, rd, first, second);
    }

    fn shift(&mut self, what: Shift, size: Size, rd: u8, rs1: u8, amount: u8) {
        self.get(rs1);
        self.hot.shift(what, size, Reg::Rax, amount);
        self.finish(size, rd);
    }

    /// Shifts by a register: the host takes as many of its bits as the guest does.
    fn shift_by(&mut self, what: Shift, size: Size, rd: u8, rs1: u8, rs2: u8) {
        self.get(rs1);
        self.hot.copy(Size::Double, Reg::R9, Reg::Rcx);
        self.hot.load(Reg::Rcx, register(rs2));
        self.hot.shift_by_rcx(what, size, Reg::Rax);
        self.hot.copy(Size::Double, Reg::Rcx, Reg::R9);
        self.finish(size, rd);
    }

    fn multiply(&mut self, size: Size, rd: u8, rs1: u8, rs2: u8) {
        self.get(rs1);
        self.hot.multiply(size, Reg::Rax, register(rs2));
        self.finish(size, rd);
    }

    fn multiply_high(&mut self, signed: bool, rd: u8, rs1: u8, rs2: u8) {
        self.get(rs1);
        self.hot.copy(Size::Double, Reg::R9, Reg::Rdx);
        self.hot.multiply_high(signed, register(rs2));
        self.hot.copy(Size::Double, Reg::Rax, Reg::Rdx);
        self.hot.copy(Size::Double, Reg::Rdx, Reg::R9);
        self.put(rd);
    }

    /// A result of `size` in `rax` goes to `rd`; words are sign-extended.
    fn finish(&mut self, size: Size, rd: u8) {
        if size == Size::Word {
            self.hot.extend_rax();
        }
        self.put(rd);
    }

    fn set_if(&mut self, condition: Condition, rd: u8, rs1: u8, second: Second) {
        self.compare(rs1, second);
        self.rax = None;
        self.hot.set_rax(condition);
        self.put(rd);
    }

    fn compare(&mut self, rs1: u8, second: Second) {
        if self.rax != Some(rs1) {
            self.get(rs1);
            self.rax = Some(rs1);
        }
        match second {
            Second::Constant(value) => {
                self.hot.compute_constant(Arithmetic::Cmp, Size::Double, Reg::Rax, value);
            }
            Second::Register(rs2) => {
                self.hot.compute(Arithmetic::Cmp, Size::Double, Reg::Rax, register(rs2));
            }
        }
    }

    /// `rd = the block's address + offset`.
    fn relative_address(&mut self, rd: u8, offset: i64) {
        self.rax = None;
        match i32::try_from(offset) {
            Ok(short) => self.hot.address(Reg::Rax, Mem::at(Reg::Rcx, short)),
            Err(_) => {
                self.hot.constant(Reg::Rax, offset as u64);
                self.hot.compute_register(Arithmetic::Add, Size::Double, Reg::Rax, Reg::Rcx);
            }
        }
        self.put(rd);
    }

    /// `rd = the address of the next instruction`.
    fn link(&mut self, rd: u8, i: Instruction) {
        if rd != SINK {
            self.hot.address(Reg::Rax, Mem::at(Reg::Rcx, 2 * i32::from(i.next)));
            self.put(rd);
        }
    }

    /// The address of an access, in `rax`.
    fn address(&mut self, rs1: u8, offset: i32) {
        self.get(rs1);
        if offset != 0 {
            self.hot.compute_constant(Arithmetic::Add, Size::Double, Reg::Rax, offset);
        }
    }

    /// Makes of the address in `rax` that of the host, by the cache at `entries` in [`Tlb`]; as in [`crate::exec::data`].
    fn translate(&mut self, entries: usize, width: Width) {
        const _: () = assert!(size_of::<DataEntry>() == 16);
        let slow = self.by_operation(0);
        if !self.cache {
            self.cache = true;
            self.hot.load(Reg::R8, Mem::at(Reg::Rdi, offset_of!(Hart, data) as i32));
        }
        let hot = &mut self.hot;
        // Half of what a page's number is shifted by makes an index of 16 bytes an entry.
        hot.copy(Size::Word, Reg::Rsi, Reg::Rax);
        hot.shift(Shift::Right, Size::Word, Reg::Rsi, 8);
        hot.compute_constant(Arithmetic::And, Size::Word, Reg::Rsi, Tlb::LAST_DATA_INDEX << 4);
        hot.copy(Size::Double, Reg::R9, Reg::Rax);
        let tag = !(PAGE as i32 - 1) | (width.bytes() as i32 - 1);
        hot.compute_constant(Arithmetic::And, Size::Double, Reg::R9, tag);
        let entry = |field: usize| Mem::indexed(Reg::R8, Reg::Rsi, (entries + field) as i32);
        hot.compute(Arithmetic::Cmp, Size::Double, Reg::R9, entry(offset_of!(DataEntry, tag)));
        hot.jump_if(Condition::NotEqual, slow);
        hot.compute(Arithmetic::Add, Size::Double, Reg::Rax, entry(offset_of!(DataEntry, addend)));
    }

    /// Loads from the address in `rax`.
    fn load(&mut self, width: Width, rd: u8) {
        self.translate(offset_of!(Tlb, read), width);
        self.hot.load_width(width, Reg::Rax, Mem::at(Reg::Rax, 0));
        self.put(rd);
    }

    /// Stores to the address in `rax`.
    fn store(&mut self, width: Width, rs2: u8) {
        self.translate(offset_of!(Tlb, write), width);
        self.hot.load(Reg::R9, register(rs2));
        self.hot.store_width(width, Mem::at(Reg::Rax, 0), Reg::R9);
    }

    fn branch(&mut self, i: Instruction) {
        let (condition, otherwise) = match i.funct3() {
            0 => (Condition::Equal, Condition::NotEqual),
            1 => (Condition::NotEqual, Condition::Equal),
            4 => (Condition::Less, Condition::NotLess),
            5 => (Condition::NotLess, Condition::Less),
            6 => (Condition::Below, Condition::NotBelow),
            _ => (Condition::NotBelow, Condition::Below),
        };
        self.compare(i.rs1(), Second::Register(i.rs2()));
        let target = i.in_block(i.imm_b());
        if target == 0 {
            self.hot.jump_if(condition, self.begin);
        } else {
            let not = self.hot.jump_forward_if(otherwise);
            self.go(target, 0);
            self.hot.land(not);
        }
        self.go(2 * i32::from(i.next), 1);
    }

    /// Goes on at the address in `rsi`, which is remembered when a jump has gone there before; as in [`crate::exec::jump`].
    fn go_to(&mut self) {
        const _: () = assert!(size_of::<CodeEntry>() == 32 && size_of::<Jump>() == 16);
        let out = self.exits[1];
        let hot = &mut self.hot;
        hot.load(Reg::R9, Mem::at(Reg::Rdi, offset_of!(Hart, code) as i32));
        hot.copy(Size::Word, Reg::Rax, Reg::Rsi);
        hot.shift(Shift::Right, Size::Word, Reg::Rax, 7);
        hot.compute_constant(Arithmetic::And, Size::Word, Reg::Rax, Tlb::LAST_CODE_INDEX << 5);
        hot.copy(Size::Double, Reg::R8, Reg::Rsi);
        hot.compute_constant(Arithmetic::And, Size::Double, Reg::R8, !(PAGE as i32 - 1));
        let entry = |field: usize| Mem::indexed(Reg::R9, Reg::Rax, (offset_of!(Tlb, code) + field) as i32);
        hot.compute(Arithmetic::Cmp, Size::Double, Reg::R8, entry(offset_of!(CodeEntry, tag)));
        hot.jump_if(Condition::NotEqual, out);
        hot.load(Reg::R8, entry(offset_of!(CodeEntry, addend)));
        hot.compute_register(Arithmetic::Add, Size::Double, Reg::R8, Reg::Rsi);
        hot.copy(Size::Word, Reg::Rax, Reg::R8);
        hot.shift(Shift::Left, Size::Word, Reg::Rax, 3);
        hot.compute_constant(Arithmetic::And, Size::Word, Reg::Rax, (Jump::MOST as i32 - 1) << 4);
        hot.compute(
            Arithmetic::Add,
            Size::Double,
            Reg::Rax,
            Mem::at(Reg::Rdi, offset_of!(Hart, jumps) as i32),
        );
        hot.compute(
            Arithmetic::Cmp,
            Size::Double,
            Reg::R8,
            Mem::at(Reg::Rax, offset_of!(Jump, target) as i32),
        );
        hot.jump_if(Condition::NotEqual, out);
        hot.copy(Size::Double, Reg::Rcx, Reg::Rsi);
        hot.jump_memory(Mem::at(Reg::Rax, offset_of!(Jump, to) as i32));
    }

    /// Goes on `offset` bytes from the block's first instruction, by the slot with number `way` if that is in its page.
    fn go(&mut self, offset: i32, way: usize) {
        if offset == 0 {
            return self.hot.jump(self.begin);
        }
        let inside = self.in_page as i64 + i64::from(offset);
        if !(0..PAGE as i64).contains(&inside) {
            self.hot.address(Reg::Rsi, Mem::at(Reg::Rcx, offset));
            return self.go_to();
        }
        self.linked[way] = self.by_operation(offset);
        self.hot.compute_constant(Arithmetic::Add, Size::Double, Reg::Rcx, offset);
        self.hot.jump_by(self.slots + 8 * way as u64);
    }
}

/// What a register is compared with.
#[derive(Clone, Copy)]
enum Second {
    Register(u8),
    Constant(i32),
}

/// Loads by their function code; stores have the first four.
const LOADS: [Width; 8] = [
    Width::Byte,
    Width::Half,
    Width::Word,
    Width::Double,
    Width::ByteUnsigned,
    Width::HalfUnsigned,
    Width::WordUnsigned,
    Width::Double, // there is none
];

/// Which of the shifts to the right.
fn shift_right(i: Instruction) -> Shift {
    if i.word >> 30 & 1 != 0 { Shift::Arithmetic } else { Shift::Right }
}
