//! The loop that walks the table, assembled by hand, and the ELF file around it.
//!
//! In both instruction sets:
//!
//! ```text
//!         row = table
//! next:   result = syscall(row[0], row[1..=6])
//!         if result >= 0 or row[7] == 0: goto advance
//!         write(2, row[7], row[8])
//!         exit_group(125)
//! advance: row += 9 words
//!         goto next
//! ```

use super::{BASE, DATA, FAILED};
use crate::machine::Arch;

/// Bytes of a row of the table.
const ROW: u8 = 72;

/// An ELF file of the loop over `table` (an address) and `data` (loaded at `BASE + DATA`).
pub fn elf(arch: Arch, table: u64, data: &[u8]) -> Vec<u8> {
    let code = match arch {
        Arch::X86_64 => x86_64(table as u32),
        Arch::Riscv64 => riscv64(table as u32),
    };
    let size = DATA + data.len() as u64;
    // Everything is loaded readable and executable, nothing writable.
    let all = Segment { flags: 5, offset: 0, file: size, memory: size };
    let mut out = head(arch, &[all], &code);
    out.extend_from_slice(data);
    out
}

/// Bytes of a file that are loaded, at `BASE` plus their offset.
pub(super) struct Segment {
    /// 4 readable, 2 writable, 1 executable.
    pub(super) flags: u32,
    /// Where in the file.
    pub(super) offset: u64,
    /// Bytes in the file.
    pub(super) file: u64,
    /// Bytes in memory.
    pub(super) memory: u64,
}

/// The headers of a static executable with these segments, and behind them `code`, where it starts; `DATA` bytes in all.
pub(super) fn head(arch: Arch, segments: &[Segment], code: &[u8]) -> Vec<u8> {
    let (machine, flags): (u16, u32) = match arch {
        Arch::X86_64 => (62, 0),
        // The flag is the ABI of floating point: double.
        Arch::Riscv64 => (243, 4),
    };
    let headers = segments.len() as u16 + 1;
    let mut out = Vec::with_capacity(DATA as usize);
    out.extend_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    put16(&mut out, 2); // an executable at a fixed address
    put16(&mut out, machine);
    put32(&mut out, 1);
    put64(&mut out, BASE + 64 + 56 * u64::from(headers)); // entry point
    put64(&mut out, 64); // program headers
    put64(&mut out, 0); // no section headers
    put32(&mut out, flags);
    for half in [64, 56, headers, 64, 0, 0] {
        put16(&mut out, half);
    }
    for segment in segments {
        put32(&mut out, 1);
        put32(&mut out, segment.flags);
        let address = BASE + segment.offset;
        for word in [segment.offset, address, address, segment.file, segment.memory, 0x1000] {
            put64(&mut out, word);
        }
    }
    // The stack is not executable: else the builder would inherit READ_IMPLIES_EXEC.
    put32(&mut out, 0x6474_e551);
    put32(&mut out, 6);
    for word in [0, 0, 0, 0, 0, 16] {
        put64(&mut out, word);
    }
    out.extend_from_slice(code);
    out.resize(DATA as usize, 0);
    out
}

fn x86_64(table: u32) -> Vec<u8> {
    let mut code = vec![0xbb]; // mov ebx, table
    code.extend_from_slice(&table.to_le_bytes());
    let next = code.len();
    code.extend_from_slice(&[
        0x48, 0x8b, 0x03, // mov rax, [rbx]
        0x48, 0x8b, 0x7b, 8, // mov rdi, [rbx+8]
        0x48, 0x8b, 0x73, 16, // mov rsi, [rbx+16]
        0x48, 0x8b, 0x53, 24, // mov rdx, [rbx+24]
        0x4c, 0x8b, 0x53, 32, // mov r10, [rbx+32]
        0x4c, 0x8b, 0x43, 40, // mov r8, [rbx+40]
        0x4c, 0x8b, 0x4b, 48, // mov r9, [rbx+48]
        0x0f, 0x05, // syscall
        0x48, 0x85, 0xc0, // test rax, rax
        0x79, 37, // jns advance
        0x48, 0x8b, 0x73, 56, // mov rsi, [rbx+56]
        0x48, 0x85, 0xf6, // test rsi, rsi
        0x74, 28, // jz advance
        0x48, 0x8b, 0x53, 64, // mov rdx, [rbx+64]
        0xb8, 1, 0, 0, 0, // mov eax, write
        0xbf, 2, 0, 0, 0, // mov edi, 2
        0x0f, 0x05, // syscall
        0xb8, 231, 0, 0, 0, // mov eax, exit_group
        0xbf, FAILED, 0, 0, 0, // mov edi, 125
        0x0f, 0x05, // syscall
        0x48, 0x83, 0xc3, ROW, // advance: add rbx, 72
    ]);
    let back = next as isize - (code.len() as isize + 2);
    code.extend_from_slice(&[0xeb, back as i8 as u8]); // jmp next
    code
}

fn riscv64(table: u32) -> Vec<u8> {
    const ZERO: u32 = 0;
    const S0: u32 = 8;
    const A0: u32 = 10;
    const A7: u32 = 17;
    const ECALL: u32 = 0x73;
    let i_type = |opcode: u32, funct3: u32, rd: u32, rs1: u32, immediate: u32| {
        (immediate & 0xfff) << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | opcode
    };
    let ld = |rd, offset| i_type(0x03, 3, rd, S0, offset);
    let addi = |rd, rs1, immediate| i_type(0x13, 0, rd, rs1, immediate);
    // Forward branches of less than 2 KiB.
    let branch = |funct3: u32, rs1: u32, offset: u32| {
        (offset >> 5 & 0x3f) << 25 | rs1 << 15 | funct3 << 12 | (offset >> 1 & 0xf) << 8 | 0x63
    };
    let low = table & 0xfff;
    let high = (table + 0x800) & !0xfff;
    let mut code = vec![
        high | S0 << 7 | 0x37, // lui s0, %hi(table)
        addi(S0, S0, low),     // addi s0, s0, %lo(table)
    ];
    let next = code.len();
    code.push(ld(A7, 0));
    code.extend((0..6).map(|n| ld(A0 + n, 8 + 8 * n)));
    code.extend([
        ECALL,
        branch(5, A0, 10 * 4), // bgez a0, advance
        ld(A0 + 1, 56),
        branch(0, A0 + 1, 8 * 4), // beqz a1, advance
        ld(A0 + 2, 64),
        addi(A0, ZERO, 2),
        addi(A7, ZERO, 64), // write
        ECALL,
        addi(A0, ZERO, u32::from(FAILED)),
        addi(A7, ZERO, 94), // exit_group
        ECALL,
        addi(S0, S0, u32::from(ROW)), // advance:
    ]);
    let back = (next as i32 - code.len() as i32) * 4;
    let offset = back as u32;
    code.push(
        (offset >> 20 & 1) << 31
            | (offset >> 1 & 0x3ff) << 21
            | (offset >> 11 & 1) << 20
            | (offset >> 12 & 0xff) << 12
            | 0x6f, // j next
    );
    code.into_iter().flat_map(u32::to_le_bytes).collect()
}

fn put16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn put32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn put64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}
