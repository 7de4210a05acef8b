//! An ELF file as an image: its tables with their fields, its sections with their roles, its symbols.

use object::{
    Endianness,
    elf::{
        SHF_ALLOC, SHF_EXECINSTR, SHF_STRINGS, SHF_TLS, SHT_DYNSYM, SHT_GNU_HASH, SHT_HASH, SHT_NOBITS,
        SHT_NULL, SHT_STRTAB, SHT_SYMTAB, SHT_SYMTAB_SHNDX,
    },
};

use super::{
    layout, names,
    parse::{self, Elf, SECTION_FIELDS, SEGMENT_FIELDS},
    symbols,
};
use crate::diff::{
    Content, Step, Value,
    executable::{Field, Image, Part, Role, Section, Table, is_debug_name},
    go,
};

/// The image of a file whose tables are read.
pub(super) fn image(file: &dyn Content, elf: &Elf) -> Image {
    let mut header: Vec<Field> = elf.header.iter().map(|(name, value)| field(name, *value)).collect();
    header.push(layout::writer(elf));
    let mut tables = vec![Table { at: Step::Header, fields: header }];
    tables.extend(elf.segments.iter().enumerate().map(|(index, segment)| Table {
        at: Step::Segment(index as u32, names::segment(segment.kind)),
        fields: SEGMENT_FIELDS.iter().zip(segment.values).map(|(name, value)| field(name, value)).collect(),
    }));
    let sections: Vec<Section> = elf.sections.iter().map(section).collect();
    let mut image = Image {
        tables,
        sections,
        symbols: symbols::read(file, elf),
        covered: elf.tables.clone(),
        big_endian: elf.endian == Endianness::Big,
        pointer: if elf.is_64 { 8 } else { 4 },
        base: None,
    };
    // What strip removes, Go keeps in a table of its own.
    let has_code = |part: &Part| image.sections[part.section].role == Role::Code;
    if !image.symbols.list().iter().any(has_code)
        && let Some(functions) = go::functions(file, &image)
    {
        image.symbols = functions;
    }
    image
}

fn field(name: &'static str, number: u64) -> Field {
    let value = match names::value(name, number) {
        Some(text) => Value::Named(number, text),
        None => Value::Number(number),
    };
    Field { name, value, at: None, derived: names::is_layout(name) }
}

fn section(section: &parse::Section) -> Section {
    let flags = section.values[2];
    let has = |flag: u32| flags & u64::from(flag) != 0;
    let loaded = has(SHF_ALLOC);
    // Zeroed memory of threads has an address that belongs to what follows it.
    let nowhere = section.kind == SHT_NOBITS && has(SHF_TLS);
    Section {
        name: section.name.clone(),
        role: role(section, loaded, has(SHF_EXECINSTR)),
        address: (loaded && !nowhere).then_some(section.address),
        offset: section.offset,
        size: section.file_size(),
        memory: if section.kind == SHT_NULL { 0 } else { section.size },
        strings: has(SHF_STRINGS),
        fields: SECTION_FIELDS.iter().zip(section.values).map(|(name, value)| field(name, value)).collect(),
    }
}

fn role(section: &parse::Section, loaded: bool, executable: bool) -> Role {
    match section.kind {
        SHT_SYMTAB | SHT_DYNSYM | SHT_HASH | SHT_GNU_HASH | SHT_SYMTAB_SHNDX => Role::Symbols,
        SHT_STRTAB if !loaded => Role::Symbols,
        _ if executable => Role::Code,
        _ if loaded => Role::Data,
        _ if is_debug_name(&section.name) => Role::Debug,
        _ => Role::Other,
    }
}
