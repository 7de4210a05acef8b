//! The symbols of an ELF file: the full table if there is one, else the dynamic one.

use object::{
    Endianness,
    elf::{SHT_DYNSYM, SHT_SYMTAB, STT_FILE, STT_SECTION, Sym32, Sym64},
    pod::{self, Pod},
    read::elf::Sym,
};

use super::parse::{Elf, Section};
use crate::diff::{Content, executable::Symbols};

/// Bytes of a symbol table and of its names that are read; about 2.7 million symbols. Larger ones are not used.
const MAX_TABLE: u64 = 64 << 20;

/// The symbols with a size. A table that is broken or too large gives none; names are a help, not a fact the
/// comparison rests on.
pub(super) fn read(file: &dyn Content, elf: &Elf) -> Symbols {
    let table = |kind| elf.sections.iter().find(|section| section.kind == kind);
    let table = table(SHT_SYMTAB).or_else(|| table(SHT_DYNSYM));
    table.and_then(|table| read_table(file, elf, table)).unwrap_or_default()
}

fn read_table(file: &dyn Content, elf: &Elf, table: &Section) -> Option<Symbols> {
    let strings = elf.sections.get(table.link as usize)?;
    if table.file_size() > MAX_TABLE || strings.file_size() > MAX_TABLE {
        return None;
    }
    let bytes = table.window(file).to_vec().ok()?;
    let names = strings.window(file).to_vec().ok()?;
    let symbols = if elf.is_64 {
        entries::<Sym64<Endianness>>(&bytes, names, elf)
    } else {
        entries::<Sym32<Endianness>>(&bytes, names, elf)
    };
    Some(symbols.sorted())
}

fn entries<S: Sym<Endian = Endianness> + Pod>(bytes: &[u8], names: Vec<u8>, elf: &Elf) -> Symbols {
    let count = bytes.len() / size_of::<S>();
    let entries = pod::slice_from_bytes::<S>(bytes, count).map(|(symbols, _)| symbols).unwrap_or_default();
    // A name ends at the next NUL; where names share their ends it is found once for each, within reason.
    const LONGEST: usize = 64 << 10;
    let ends: Vec<(u64, usize)> = entries
        .iter()
        .filter_map(|symbol| {
            let start = symbol.st_name(elf.endian) as usize;
            let rest = names.get(start..)?;
            let len = rest.iter().take(LONGEST).position(|byte| *byte == 0)?;
            Some((start as u64, start + len))
        })
        .collect();
    let ends: std::collections::HashMap<u64, usize> = ends.into_iter().collect();
    let mut symbols = Symbols::new("symbol table", names);
    for symbol in entries {
        let (size, value): (u64, u64) =
            (symbol.st_size(elf.endian).into(), symbol.st_value(elf.endian).into());
        let index = usize::from(symbol.st_shndx(elf.endian));
        let Some(section) = elf.sections.get(index) else { continue };
        if size == 0 || index == 0 || matches!(symbol.st_type(), STT_FILE | STT_SECTION) {
            continue;
        }
        let start = if elf.is_relocatable { Some(value) } else { value.checked_sub(section.address) };
        let name = u64::from(symbol.st_name(elf.endian));
        if let (Some(start), Some(end)) = (start.filter(|start| *start < section.size), ends.get(&name)) {
            symbols.push(index, start, size, name as usize..*end);
        }
    }
    symbols
}
