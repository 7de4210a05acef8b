//! Which symbol a byte of a file lies in.

use object::{
    Endianness,
    elf::{SHT_DYNSYM, SHT_SYMTAB, STT_FILE, STT_SECTION, Sym32, Sym64},
    pod::{self, Pod},
    read::elf::Sym,
};

use super::parse::{Elf, Section, string_at};
use crate::diff::{Content, Ranges, Side, Symbol};

/// Bytes of a symbol table and of its names that are read; about 2.7 million symbols. Larger ones are not used.
const MAX_TABLE: u64 = 64 << 20;

/// Symbols with a size, by section and address.
pub(super) struct Symbols {
    // (section, first byte in the file, length, offset of the name), sorted.
    list: Vec<(usize, u64, u64, u32)>,
    names: Vec<u8>,
}

impl Symbols {
    /// The symbols of a file: the full table if there is one, else the dynamic one. A table that is broken or too
    /// large gives no names; names are a help, not a fact the comparison rests on.
    pub fn of(file: &dyn Content, elf: &Elf) -> Symbols {
        let table = |kind| elf.sections.iter().find(|section| section.kind == kind);
        let table = table(SHT_SYMTAB).or_else(|| table(SHT_DYNSYM));
        table
            .and_then(|table| Symbols::read(file, elf, table))
            .unwrap_or(Symbols { list: Vec::new(), names: Vec::new() })
    }

    fn read(file: &dyn Content, elf: &Elf, table: &Section) -> Option<Symbols> {
        let strings = elf.sections.get(table.link as usize)?;
        if table.file_size() > MAX_TABLE || strings.file_size() > MAX_TABLE {
            return None;
        }
        let bytes = table.window(file).to_vec().ok()?;
        let names = strings.window(file).to_vec().ok()?;
        let mut list = if elf.is_64 {
            entries::<Sym64<Endianness>>(&bytes, elf)
        } else {
            entries::<Sym32<Endianness>>(&bytes, elf)
        };
        list.sort_unstable();
        Some(Symbols { list, names })
    }

    /// The symbol that byte `offset` of the file lies in, as a byte of section `section`.
    pub fn at(&self, section: usize, offset: u64) -> Option<Symbol> {
        let end = self.list.partition_point(|(index, start, ..)| (*index, *start) <= (section, offset));
        // Symbols may lie in each other; the one that begins last is the closest. A few steps back find it.
        let candidates = self.list[..end].iter().rev().take(8);
        let (_, start, _, name) = candidates
            .filter(|(index, ..)| *index == section)
            .find(|(_, start, len, _)| offset - start < *len)?;
        let name = string_at(&self.names, u64::from(*name))?;
        Some(Symbol { name: name.to_vec(), offset: offset - start })
    }

    /// Names the symbols of ranges in `section`, as seen from one side.
    pub fn name(&self, section: usize, side: Side, ranges: &mut Ranges) {
        for range in &mut ranges.list {
            let offset = match side {
                Side::A => range.a.offset,
                Side::B => range.b.offset,
            };
            range.symbol = self.at(section, offset);
        }
    }
}

fn entries<S: Sym<Endian = Endianness> + Pod>(bytes: &[u8], elf: &Elf) -> Vec<(usize, u64, u64, u32)> {
    let count = bytes.len() / size_of::<S>();
    let Ok((symbols, _)) = pod::slice_from_bytes::<S>(bytes, count) else { return Vec::new() };
    let mut list = Vec::new();
    for symbol in symbols {
        let (size, value): (u64, u64) =
            (symbol.st_size(elf.endian).into(), symbol.st_value(elf.endian).into());
        let index = usize::from(symbol.st_shndx(elf.endian));
        let Some(section) = elf.sections.get(index) else { continue };
        if size == 0 || section.file_size() == 0 || matches!(symbol.st_type(), STT_FILE | STT_SECTION) {
            continue;
        }
        let inside = if elf.is_relocatable { Some(value) } else { value.checked_sub(section.address) };
        if let Some(start) = inside.filter(|inside| *inside < section.size) {
            list.push((index, section.offset + start, size, symbol.st_name(elf.endian)));
        }
    }
    list
}
