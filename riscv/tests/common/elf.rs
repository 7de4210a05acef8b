//! As much of ELF as a program without libraries needs (System V ABI, chapters 4 and 5).

/// A little-endian number of `size` bytes.
fn number(bytes: &[u8], at: usize, size: usize) -> u64 {
    let mut word = [0; 8];
    word[..size].copy_from_slice(&bytes[at..at + size]);
    u64::from_le_bytes(word)
}

/// Where execution begins.
pub fn entry(elf: &[u8]) -> u64 {
    number(elf, 24, 8)
}

/// The parts to be loaded: physical address and bytes.
pub fn segments(elf: &[u8]) -> Vec<(u64, &[u8])> {
    let (table, size, count) = (number(elf, 32, 8), number(elf, 54, 2), number(elf, 56, 2));
    (0..count)
        .map(|i| (table + i * size) as usize)
        .filter(|at| number(elf, *at, 4) == 1)
        .map(|at| {
            let (offset, len) = (number(elf, at + 8, 8) as usize, number(elf, at + 32, 8) as usize);
            (number(elf, at + 24, 8), &elf[offset..offset + len])
        })
        .collect()
}

/// The value of a symbol.
pub fn symbol(elf: &[u8], name: &str) -> Option<u64> {
    let (table, size, count) = (number(elf, 40, 8), number(elf, 58, 2), number(elf, 60, 2));
    let section = |i: u64| (table + i * size) as usize;
    let symbols = (0..count).map(section).find(|at| number(elf, at + 4, 4) == 2)?;
    let strings = number(elf, section(number(elf, symbols + 40, 4)) + 24, 8) as usize;
    let (from, len) = (number(elf, symbols + 24, 8) as usize, number(elf, symbols + 32, 8) as usize);
    (from..from + len).step_by(24).find_map(|at| {
        let text = &elf[strings + number(elf, at, 4) as usize..];
        let end = text.iter().position(|byte| *byte == 0)?;
        (&text[..end] == name.as_bytes()).then(|| number(elf, at + 8, 8))
    })
}

/// A program of one segment, `image` at `base`, followed by zeros up to `len` bytes, that begins with the first byte.
pub fn program(base: u64, image: &[u8], len: u64) -> Vec<u8> {
    let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
    elf.resize(16, 0);
    for (value, size) in [
        (2, 2),   // an executable
        (243, 2), // RISC-V
        (1, 4),
        (base, 8),
        (64, 8), // program headers
        (0, 8),
        (5, 4), // compressed instructions; double-precision numbers in registers
        (64, 2),
        (56, 2),
        (1, 2),
        (64, 2),
        (0, 4),
        // The one program header: loaded, to be read, written and executed.
        (1, 4),
        (7, 4),
        (4096, 8),
        (base, 8),
        (base, 8),
        (image.len() as u64, 8),
        (len, 8),
        (4096, 8),
    ] {
        elf.extend(&u64::to_le_bytes(value)[..size]);
    }
    elf.resize(4096, 0);
    elf.extend(image);
    elf
}
