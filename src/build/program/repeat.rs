//! Programs of system calls that go round until they are killed, and hand what one call gave to the next.
//!
//! Their table can be written to: a row says where the call's result goes, which may be an argument of another row, and which
//! row comes next. One row that is no call writes a number as text, for paths in `/proc`.
//!
//! ```text
//!         row = table
//! next:   if row[0] < 0: goto decimal
//!         result = syscall(row[0], row[1..=6])
//! store:  *row[9] = result; *row[10] = result
//!         if result >= 0 or row[7] == 0: goto advance
//!         write(2, row[7], row[8])
//!         exit_group(125)
//! advance: row = row[11]
//!         goto next
//! decimal: the 32-bit number at row[1] in decimal into the ten bytes before row[2], `/` in front of it
//!         result = 0
//!         goto store
//! ```
//! Slashes, since any number of them separates two names in a path, and `/proc` knows no number with zeros in front.

use super::{
    BASE, DATA, FAILED, OnFailure,
    calls::Call,
    code::{Segment, head},
};
use crate::machine::Arch;

/// Bytes of a row.
const ROW: u64 = 96;
/// Rows there is room for.
const ROWS: u64 = 40;
/// Where the table is.
const TABLE: u64 = BASE + DATA;
/// Letters of a number, the slashes in front of it included.
pub(super) const DECIMAL: usize = 10;
/// Stands in the place of a call's number: all ones.
const IS_DECIMAL: u64 = u64::MAX;

/// A program being written.
pub(super) struct Repeat {
    arch: Arch,
    rows: Vec<[u64; 12]>,
    data: Vec<u8>,
    /// Zeroed memory behind the data.
    room: u64,
}

/// A row that was added.
#[derive(Clone, Copy)]
pub(super) struct Row(usize);

impl Row {
    /// Where the `n`-th argument of the row is in memory, from 1.
    pub(super) fn argument(self, n: u64) -> u64 {
        TABLE + ROW * self.0 as u64 + 8 * n
    }

    /// The row behind it.
    pub(super) fn next(self) -> Row {
        Row(self.0 + 1)
    }
}

impl Repeat {
    /// A program without calls. What it writes down starts as `data`; behind that there are `room` bytes of zeros.
    pub(super) fn new(arch: Arch) -> Repeat {
        // The first eight bytes are where results go that nobody wants.
        Repeat { arch, rows: Vec::new(), data: vec![0; 8], room: 0 }
    }

    fn start_of_data() -> u64 {
        TABLE + ROWS * ROW
    }

    /// Adds bytes and gives their address, a multiple of 8.
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> u64 {
        self.data.resize(self.data.len().next_multiple_of(8), 0);
        let address = Repeat::start_of_data() + self.data.len() as u64;
        self.data.extend_from_slice(bytes);
        address
    }

    /// Adds a path with its final NUL.
    pub(super) fn path(&mut self, path: &str) -> u64 {
        self.bytes(&[path.as_bytes(), b"\0"].concat())
    }

    /// Adds zeros that take no room in the file, behind everything; the last thing to be added.
    pub(super) fn buffer(&mut self, bytes: u64) -> u64 {
        self.data.resize(self.data.len().next_multiple_of(8), 0);
        let address = Repeat::start_of_data() + self.data.len() as u64 + self.room;
        self.room += bytes.next_multiple_of(8);
        address
    }

    /// The row that comes next, before it is added.
    pub(super) fn here(&self) -> Row {
        Row(self.rows.len())
    }

    /// Adds a call whose result goes to `results`.
    pub(super) fn call(&mut self, call: Call, arguments: &[u64], results: &[u64], on_failure: OnFailure) {
        let mut row = [0; 12];
        row[0] = call.number(self.arch);
        row[1..=arguments.len()].copy_from_slice(arguments);
        if let OnFailure::Say(mut message) = on_failure {
            message.push(b'\n');
            row[7] = self.bytes(&message);
            row[8] = message.len() as u64;
        }
        self.add(row, results);
    }

    /// Adds a row that writes the 32-bit number at `number` into the [`DECIMAL`] bytes before `end`.
    pub(super) fn decimal(&mut self, number: u64, end: u64) {
        let mut row = [0; 12];
        (row[0], row[1], row[2]) = (IS_DECIMAL, number, end);
        self.add(row, &[]);
    }

    fn add(&mut self, mut row: [u64; 12], results: &[u64]) {
        for n in 0..2 {
            row[9 + n] = results.get(n).copied().unwrap_or(Repeat::start_of_data());
        }
        row[11] = self.here().next().argument(0);
        self.rows.push(row);
    }

    /// The ELF file; behind the last row `row` comes again.
    pub(super) fn finish(mut self, row: Row) -> Vec<u8> {
        debug_assert!(self.rows.len() as u64 <= ROWS);
        if let Some(last) = self.rows.last_mut() {
            last[11] = row.argument(0);
        }
        let mut table: Vec<u8> = self.rows.iter().flatten().flat_map(|word| word.to_le_bytes()).collect();
        table.resize((ROWS * ROW) as usize, 0);
        let file = (table.len() + self.data.len()) as u64;
        let segments = [
            Segment { flags: 5, offset: 0, file: DATA, memory: DATA },
            Segment { flags: 6, offset: DATA, file, memory: file + self.room },
        ];
        let code = match self.arch {
            Arch::X86_64 => x86_64(),
            Arch::Riscv64 => riscv64(),
        };
        [head(self.arch, &segments, &code), table, self.data].concat()
    }
}

fn x86_64() -> Vec<u8> {
    let mut code = vec![0xbb]; // mov ebx, table
    code.extend_from_slice(&(TABLE as u32).to_le_bytes());
    code.extend_from_slice(&[
        0x48,
        0x8b,
        0x03, // next: mov rax, [rbx]
        0x48,
        0x8b,
        0x7b,
        8, // mov rdi, [rbx+8]
        0x48,
        0x8b,
        0x73,
        16, // mov rsi, [rbx+16]
        0x48,
        0x8b,
        0x53,
        24, // mov rdx, [rbx+24]
        0x4c,
        0x8b,
        0x53,
        32, // mov r10, [rbx+32]
        0x4c,
        0x8b,
        0x43,
        40, // mov r8, [rbx+40]
        0x4c,
        0x8b,
        0x4b,
        48, // mov r9, [rbx+48]
        0x48,
        0x83,
        0xf8,
        0xff, // cmp rax, -1
        0x74,
        64, // je decimal
        0x0f,
        0x05, // syscall
        0x48,
        0x8b,
        0x4b,
        72, // store: mov rcx, [rbx+72]
        0x48,
        0x89,
        0x01, // mov [rcx], rax
        0x48,
        0x8b,
        0x4b,
        80, // mov rcx, [rbx+80]
        0x48,
        0x89,
        0x01, // mov [rcx], rax
        0x48,
        0x85,
        0xc0, // test rax, rax
        0x79,
        37, // jns advance
        0x48,
        0x8b,
        0x73,
        56, // mov rsi, [rbx+56]
        0x48,
        0x85,
        0xf6, // test rsi, rsi
        0x74,
        28, // jz advance
        0x48,
        0x8b,
        0x53,
        64, // mov rdx, [rbx+64]
        0xb8,
        1,
        0,
        0,
        0, // mov eax, write
        0xbf,
        2,
        0,
        0,
        0, // mov edi, 2
        0x0f,
        0x05, // syscall
        0xb8,
        231,
        0,
        0,
        0, // mov eax, exit_group
        0xbf,
        FAILED,
        0,
        0,
        0, // mov edi, 125
        0x0f,
        0x05, // syscall
        0x48,
        0x8b,
        0x5b,
        88, // advance: mov rbx, [rbx+88]
        0xeb,
        0x9f, // jmp next
        0x8b,
        0x07, // decimal: mov eax, [rdi]
        0xb9,
        DECIMAL as u8,
        0,
        0,
        0, // mov ecx, 10
        0x41,
        0xb8,
        10,
        0,
        0,
        0, // mov r8d, 10
        0x31,
        0xd2, // digit: xor edx, edx
        0x41,
        0xf7,
        0xf0, // div r8d
        0x83,
        0xc2,
        b'0', // add edx, '0'
        0x48,
        0xff,
        0xce, // dec rsi
        0x88,
        0x16, // mov [rsi], dl
        0xff,
        0xc9, // dec ecx
        0x85,
        0xc0, // test eax, eax
        0x75,
        0xed, // jne digit
        0xeb,
        8, // jmp pad
        0x48,
        0xff,
        0xce, // slash: dec rsi
        0xc6,
        0x06,
        b'/', // mov byte [rsi], '/'
        0xff,
        0xc9, // dec ecx
        0x85,
        0xc9, // pad: test ecx, ecx
        0x75,
        0xf4, // jne slash
        0x31,
        0xc0, // xor eax, eax
        0xeb,
        0x90, // jmp store
    ]);
    code
}

fn riscv64() -> Vec<u8> {
    let table = TABLE as u32;
    [
        (table & !0xfff) | 0x437,             // lui s0, table; its low twelve bits are zero
        0x0000_0013,                          // nop
        0x0004_3883,                          // next: ld a7, 0(s0)
        0x0084_3503,                          // ld a0, 8(s0)
        0x0104_3583,                          // ld a1, 16(s0)
        0x0184_3603,                          // ld a2, 24(s0)
        0x0204_3683,                          // ld a3, 32(s0)
        0x0284_3703,                          // ld a4, 40(s0)
        0x0304_3783,                          // ld a5, 48(s0)
        0x0408_c463,                          // bltz a7, decimal
        0x0000_0073,                          // ecall
        0x0484_3283,                          // store: ld t0, 72(s0)
        0x00a2_b023,                          // sd a0, 0(t0)
        0x0504_3283,                          // ld t0, 80(s0)
        0x00a2_b023,                          // sd a0, 0(t0)
        0x0205_5463,                          // bgez a0, advance
        0x0384_3583,                          // ld a1, 56(s0)
        0x0205_8063,                          // beqz a1, advance
        0x0404_3603,                          // ld a2, 64(s0)
        0x0020_0513,                          // li a0, 2
        0x0400_0893,                          // li a7, write
        0x0000_0073,                          // ecall
        0x0000_0513 | (FAILED as u32) << 20,  // li a0, 125
        0x05e0_0893,                          // li a7, exit_group
        0x0000_0073,                          // ecall
        0x0584_3403,                          // advance: ld s0, 88(s0)
        0xfa1f_f06f,                          // j next
        0x0005_6503,                          // decimal: lwu a0, 0(a0)
        0x0000_0313 | (DECIMAL as u32) << 20, // li t1, 10
        0x00a0_0393,                          // li t2, 10
        0x0275_7e33,                          // digit: remu t3, a0, t2
        0x0275_5533,                          // divu a0, a0, t2
        0x030e_0e13,                          // addi t3, t3, '0'
        0xfff5_8593,                          // addi a1, a1, -1
        0x01c5_8023,                          // sb t3, 0(a1)
        0xfff3_0313,                          // addi t1, t1, -1
        0xfe05_14e3,                          // bnez a0, digit
        0x02f0_0e13,                          // li t3, '/'
        0xf803_0ae3,                          // pad: beqz t1, store
        0xfff5_8593,                          // addi a1, a1, -1
        0x01c5_8023,                          // sb t3, 0(a1)
        0xfff3_0313,                          // addi t1, t1, -1
        0xff1f_f06f,                          // j pad
    ]
    .into_iter()
    .flat_map(u32::to_le_bytes)
    .collect()
}
