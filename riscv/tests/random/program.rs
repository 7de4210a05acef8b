//! A random program: chunks of random instructions, each run some rounds and followed by a record of all registers.

use super::common::Random;
use super::common::asm::{self, Reg};
use super::item::{self, COUNTER, Code, Item, REACH, READ, SCRATCH, WRITE};
use super::values;

/// Where a program lies, in `qemu-riscv64` as in the machine.
pub const CODE: u64 = 0x8020_0000;
/// What it only reads.
pub const CONSTANTS: u64 = CODE + (1 << 20);
/// What it writes to.
pub const DATA: u64 = CONSTANTS + AREA;
/// Bytes of each of these two.
pub const AREA: u64 = 16 << 10;
/// Its records, one after the other.
pub const RECORDS: u64 = CODE + (2 << 20);
/// Bytes between records: x1 to x30, f0 to f31, `fcsr`.
pub const RECORD: u64 = 512;
/// The end of all of it.
pub const END: u64 = CODE + (4 << 20);

/// Where x3 points: the middle of the constants, where the pointers are kept.
const MIDDLE: u64 = CONSTANTS + AREA / 2;
const POINTERS: u64 = 16;

/// Instructions that run some rounds.
#[derive(Clone)]
pub struct Chunk {
    /// Before the first round: pointers and fresh values.
    pub fresh: Vec<u32>,
    pub rounds: u64,
    pub items: Vec<Item>,
}

#[derive(Clone)]
pub struct Program {
    pub chunks: Vec<Chunk>,
    constants: Vec<u64>,
    data: Vec<u64>,
}

/// The name of a record's word.
pub fn word_name(index: usize) -> String {
    match index {
        0..30 => format!("x{}", index + 1),
        30..62 => format!("f{}", index - 30),
        62 => "fcsr".to_owned(),
        _ => "nothing".to_owned(),
    }
}

impl Program {
    /// The program of `seed`, of about `items` instructions.
    pub fn new(seed: u64, items: usize) -> Program {
        let mut random = Random(seed);
        let mut chunks = Vec::new();
        let mut count = 0;
        while count < items {
            let len = 1 + random.below(50) as usize;
            let items = (0..len).map(|_| item::item(&mut random)).collect();
            count += len;
            chunks.push((1 + random.below(12), items));
        }
        Program::of(&mut random, chunks)
    }

    /// A program of these instructions, each run some rounds, with random values to begin with.
    pub fn of(random: &mut Random, chunks: Vec<(u64, Vec<Item>)>) -> Program {
        let mut constants: Vec<u64> = (0..AREA / 8).map(|_| values::any(random)).collect();
        let data = (0..AREA / 8).map(|_| values::any(random)).collect();
        // Pointers stay so far from the ends of their area that nothing beside it is reached.
        let margin = REACH as u64 + 64;
        for i in 0..2 * POINTERS {
            let area = if i < POINTERS { DATA } else { CONSTANTS };
            let inside = random.below(AREA - 2 * margin) & !7;
            constants[(AREA / 16 + i) as usize] = area + margin + inside;
        }
        assert!(chunks.len() as u64 * RECORD <= END - RECORDS, "too many chunks");
        let chunk = |(rounds, items)| Chunk { fresh: fresh(random), rounds, items };
        Program { chunks: chunks.into_iter().map(chunk).collect(), constants, data }
    }

    /// The same as far as the chunk with number `chunk`, of which only so many rounds and these items are left.
    pub fn cut(&self, chunk: usize, rounds: u64, items: &[Item]) -> Program {
        let mut cut = self.clone();
        cut.chunks.truncate(chunk + 1);
        cut.chunks[chunk].rounds = rounds;
        cut.chunks[chunk].items = items.to_vec();
        cut
    }

    /// Instructions that are about something, each counted once.
    pub fn items(&self) -> impl Iterator<Item = &Item> {
        self.chunks.iter().flat_map(|chunk| &chunk.items)
    }

    /// Instructions run that only keep the program going.
    pub fn overhead(&self) -> u64 {
        let of = |chunk: &Chunk| chunk.fresh.len() as u64 + 2 * chunk.rounds + 68;
        self.chunks.iter().map(of).sum()
    }

    /// The bytes of code, constants and data, from [`CODE`] on.
    pub fn image(&self) -> Vec<u8> {
        let mut code: Vec<u16> = Vec::new();
        let put = |code: &mut Vec<u16>, words: &[u32]| code.extend(item::words(words));
        put(&mut code, &asm::li(READ[1], MIDDLE));
        for reg in (1..31).filter(|reg| *reg != READ[1]) {
            put(&mut code, &[asm::ld(reg, READ[1], 1024 + 8 * reg as i32)]);
        }
        for reg in 0..32 {
            put(&mut code, &[asm::fld(reg, READ[1], 1280 + 8 * reg as i32)]);
        }
        for (number, chunk) in self.chunks.iter().enumerate() {
            put(&mut code, &chunk.fresh);
            put(&mut code, &asm::li(COUNTER, chunk.rounds));
            let start = code.len();
            emit(&chunk.items, &mut code);
            let back = 2 * (start as i64 - code.len() as i64 - 4);
            put(&mut code, &[asm::addi(COUNTER, COUNTER, -1), asm::b_type(0, COUNTER, 0, 8)]);
            put(&mut code, &[asm::j_type(0, back)]);
            let here = CODE + 2 * code.len() as u64;
            put(&mut code, &record(RECORDS + number as u64 * RECORD - here));
        }
        for (from, len) in [(DATA, AREA), (RECORDS, self.chunks.len() as u64 * RECORD)] {
            put(&mut code, &asm::li(10, 1));
            put(&mut code, &asm::li(11, from));
            put(&mut code, &asm::li(12, len));
            put(&mut code, &[asm::addi(17, 0, 64), asm::ecall()]); // write
        }
        put(&mut code, &[asm::addi(10, 0, 0), asm::addi(17, 0, 93), asm::ecall()]); // exit
        // In the machine the calls above are none of its firmware's; this one switches it off.
        put(&mut code, &[asm::addi(17, 0, 8), asm::ecall()]);

        let mut image: Vec<u8> = code.iter().flat_map(|half| half.to_le_bytes()).collect();
        assert!(image.len() as u64 <= CONSTANTS - CODE, "too long a program");
        image.resize((CONSTANTS - CODE) as usize, 0);
        image.extend(self.constants.iter().chain(&self.data).flat_map(|word| word.to_le_bytes()));
        image
    }
}

/// What a chunk begins with: other pointers, and some registers with values from the constants.
fn fresh(random: &mut Random) -> Vec<u32> {
    let pointer = |random: &mut Random, kind: u64| 8 * (kind * POINTERS + random.below(POINTERS)) as i32;
    let mut code = Vec::new();
    for reg in WRITE {
        code.push(asm::ld(reg, READ[1], pointer(random, 0)));
    }
    code.push(asm::ld(READ[0], READ[1], pointer(random, 1)));
    for _ in 0..6 {
        let offset = |random: &mut Random| random.below(512) as i32 * 8 - REACH as i32;
        code.push(asm::ld(item::target(random), READ[1], offset(random)));
        code.push(asm::fld(random.below(32) as Reg, READ[1], offset(random)));
    }
    code
}

/// Appends the items, with their jumps in place.
fn emit(items: &[Item], code: &mut Vec<u16>) {
    let mut starts = vec![0i64];
    for item in items {
        starts.push(starts[starts.len() - 1] + item.len() as i64);
    }
    for (i, item) in items.iter().enumerate() {
        let to = match item.code {
            Code::Jump(_, over) => (i + 1 + over).min(items.len()),
            Code::Plain(_) => i,
        };
        let before = code.len();
        code.extend(item.emit(starts[to] - starts[i]));
        assert_eq!(2 * (code.len() - before), item.len(), "{item:?}");
    }
}

/// Stores all registers `distance` bytes from here.
fn record(distance: u64) -> Vec<u32> {
    let (high, low) = asm::split(distance as i64);
    let mut code = vec![asm::auipc(SCRATCH, high), asm::addi(SCRATCH, SCRATCH, low)];
    code.extend((1..31).map(|reg| asm::sd(reg, SCRATCH, 8 * (reg as i32 - 1))));
    code.extend((0..32).map(|reg| asm::fsd(reg, SCRATCH, 8 * (reg as i32 + 30))));
    code.extend([asm::csrrs(30, 3, 0), asm::sd(30, SCRATCH, 8 * 62)]);
    code
}
