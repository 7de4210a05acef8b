//! Reads the tables of an ELF file, every access checked. Layouts come from the `object` crate.

use object::{
    Endianness,
    elf::{FileHeader32, FileHeader64, SHN_XINDEX, SHT_NOBITS, SHT_NULL},
    pod::Pod,
    read::elf::{FileHeader, ProgramHeader, SectionHeader},
};

pub(super) use crate::diff::executable::Broken;
use crate::diff::{Content, Window, executable::read};

/// Sections one file may have; the largest objects of real compilers (one section for each function) have some
/// hundred thousand.
const MAX_SECTIONS: u64 = 1 << 18;
/// Program headers one file may have; core files of large processes have some ten thousand.
const MAX_SEGMENTS: u64 = 1 << 16;
/// Bytes of section names; the names of that many sections.
const MAX_NAMES: u64 = 64 << 20;

/// A field: its name in the ABI and its value.
pub(super) type Field = (&'static str, u64);

/// The fields of a program header, in the order of [`Segment::values`].
pub(super) const SEGMENT_FIELDS: [&str; 8] =
    ["p_type", "p_flags", "p_offset", "p_vaddr", "p_paddr", "p_filesz", "p_memsz", "p_align"];

/// The fields of a section header, in the order of [`Section::values`].
pub(super) const SECTION_FIELDS: [&str; 10] = [
    "sh_name",
    "sh_type",
    "sh_flags",
    "sh_addr",
    "sh_offset",
    "sh_size",
    "sh_link",
    "sh_info",
    "sh_addralign",
    "sh_entsize",
];

/// A program header.
pub(super) struct Segment {
    pub kind: u32,
    pub values: [u64; 8],
}

/// A section header.
#[derive(Clone)]
pub(super) struct Section {
    pub name: Vec<u8>,
    pub kind: u32,
    pub address: u64,
    pub offset: u64,
    pub size: u64,
    pub link: u32,
    pub values: [u64; 10],
}

impl Section {
    /// Bytes it has in the file: none for `.bss` and its like.
    pub fn file_size(&self) -> u64 {
        if self.kind == SHT_NOBITS || self.kind == SHT_NULL { 0 } else { self.size }
    }

    /// Its bytes.
    pub fn window<'a>(&self, file: &'a dyn Content) -> Window<'a> {
        Window::new(file, self.offset, self.file_size())
    }
}

/// The tables of a file.
pub(super) struct Elf {
    pub endian: Endianness,
    pub is_64: bool,
    /// Whether it is an object file, whose symbols are relative to their sections.
    pub is_relocatable: bool,
    pub header: Vec<Field>,
    pub segments: Vec<Segment>,
    pub sections: Vec<Section>,
    /// Ranges of the file that are header or table: offset and length.
    pub tables: Vec<(u64, u64)>,
}

/// Reads the tables of `file`.
pub(super) fn parse(file: &dyn Content) -> Result<Elf, Broken> {
    let ident = read(file, 0, 16, "file header")?;
    match ident[4] {
        1 => tables::<FileHeader32<Endianness>>(file, &ident),
        2 => tables::<FileHeader64<Endianness>>(file, &ident),
        other => Err(Broken::At(4, format!("class {other} is neither 32-bit nor 64-bit"))),
    }
}

/// The one structure at the beginning of `bytes`, and the rest.
fn structure<T: Pod>(bytes: &[u8], offset: u64) -> Result<(&T, &[u8]), Broken> {
    object::pod::from_bytes(bytes).map_err(|()| Broken::At(offset, "structure cut off".to_owned()))
}

fn tables<H: Class>(file: &dyn Content, ident: &[u8]) -> Result<Elf, Broken> {
    let bytes = read(file, 0, size_of::<H>() as u64, "file header")?;
    let (header, _) = structure::<H>(&bytes, 0)?;
    let endian = match ident[5] {
        1 => Endianness::Little,
        2 => Endianness::Big,
        other => return Err(Broken::At(5, format!("byte order {other} is neither little nor big"))),
    };
    let (is_64, widths) = (header.is_type_64(), H::FIELD_OFFSETS);
    let shoff: u64 = header.e_shoff(endian).into();
    let phoff: u64 = header.e_phoff(endian).into();
    // Section 0 holds what does not fit the header (System V ABI, "Sections").
    let first = if shoff == 0 {
        None
    } else {
        Some(read(file, shoff, size_of::<H::SectionHeader>() as u64, "section 0")?)
    };
    let first = match &first {
        Some(bytes) => Some(structure::<H::SectionHeader>(bytes, shoff)?.0),
        None => None,
    };
    let shnum = match (header.e_shnum(endian), first) {
        (0, Some(first)) => first.sh_size(endian).into(),
        (count, Some(_)) => u64::from(count),
        (0, None) => 0,
        (count, None) => {
            return Err(Broken::At(widths.shnum, format!("{count} sections, but no section table")));
        }
    };
    let shstrndx = match (header.e_shstrndx(endian), first) {
        (SHN_XINDEX, Some(first)) => u64::from(first.sh_link(endian)),
        (index, _) => u64::from(index),
    };
    // PN_XNUM: the count does not fit either.
    let phnum = match (header.e_phnum(endian), first) {
        (0xffff, Some(first)) => u64::from(first.sh_info(endian)),
        (count, _) => u64::from(count),
    };
    let check = |entry: u16, want: usize, count: u64, at: u64, what: &str| match usize::from(entry) == want
        || count == 0
    {
        true => Ok(()),
        false => Err(Broken::At(at, format!("{what} entries of {entry} bytes, not {want}"))),
    };
    let (section_size, segment_size) = (size_of::<H::SectionHeader>(), size_of::<H::ProgramHeader>());
    check(header.e_shentsize(endian), section_size, shnum, widths.shentsize, "section table")?;
    check(header.e_phentsize(endian), segment_size, phnum, widths.phentsize, "program header table")?;
    if shnum > MAX_SECTIONS {
        return Err(Broken::At(widths.shnum, format!("{shnum} sections are more than {MAX_SECTIONS}")));
    }
    if phnum > MAX_SEGMENTS {
        let what = format!("{phnum} program headers are more than {MAX_SEGMENTS}");
        return Err(Broken::At(widths.phentsize + 2, what));
    }
    let segments = read(file, phoff, phnum * segment_size as u64, "program header table")?;
    let segments = segments
        .chunks_exact(segment_size)
        .map(|bytes| structure::<H::ProgramHeader>(bytes, phoff).map(|(header, _)| segment(header, endian)))
        .collect::<Result<Vec<_>, _>>()?;
    let sections = read(file, shoff, shnum * section_size as u64, "section table")?;
    let sections = sections
        .chunks_exact(section_size)
        .map(|bytes| structure::<H::SectionHeader>(bytes, shoff).map(|(header, _)| section(header, endian)))
        .collect::<Result<Vec<_>, _>>()?;
    let mut elf = Elf {
        endian,
        is_64,
        is_relocatable: header.e_type(endian) == object::elf::ET_REL,
        header: header_fields(header, endian, ident),
        segments,
        sections,
        tables: vec![
            (0, size_of::<H>() as u64),
            (phoff, phnum * segment_size as u64),
            (shoff, shnum * section_size as u64),
        ],
    };
    check_extents(file, &elf, shoff, section_size as u64)?;
    name_sections(file, &mut elf, shstrndx, shoff, section_size as u64)?;
    Ok(elf)
}

/// No section reaches behind the file, and together they are not many times larger than it: sections that overlap
/// would be compared over and over.
fn check_extents(file: &dyn Content, elf: &Elf, shoff: u64, entry: u64) -> Result<(), Broken> {
    let mut sum: u64 = 0;
    for (index, section) in elf.sections.iter().enumerate() {
        let at = shoff + index as u64 * entry;
        let size = section.file_size();
        if size > 0 && section.offset.checked_add(size).is_none_or(|end| end > file.len()) {
            let (offset, have) = (section.offset, file.len());
            return Err(Broken::At(
                at,
                format!(
                    "section {index} of {size} bytes at {offset:#x} ends behind the file of {have} bytes"
                ),
            ));
        }
        sum = sum.saturating_add(size);
        if sum > file.len().saturating_mul(2).saturating_add(4096) {
            return Err(Broken::At(
                at,
                "sections overlap: together they are larger than the file".to_owned(),
            ));
        }
    }
    Ok(())
}

fn name_sections(
    file: &dyn Content,
    elf: &mut Elf,
    index: u64,
    shoff: u64,
    entry: u64,
) -> Result<(), Broken> {
    if elf.sections.is_empty() || index == 0 {
        return Ok(());
    }
    let table = usize::try_from(index).ok().and_then(|index| elf.sections.get(index));
    let Some(table) = table.cloned() else {
        let count = elf.sections.len();
        return Err(Broken::At(
            shoff,
            format!("section {index} should hold the names, but there are only {count}"),
        ));
    };
    if table.file_size() > MAX_NAMES {
        return Err(Broken::At(table.offset, format!("{} bytes of section names", table.file_size())));
    }
    let names = read(file, table.offset, table.file_size(), "table of section names")?;
    for (index, section) in elf.sections.iter_mut().enumerate() {
        let at = shoff + index as u64 * entry;
        let offset = section.values[0];
        section.name = string_at(&names, offset)
            .ok_or_else(|| Broken::At(at, format!("name of section {index} at {offset:#x} has no end")))?
            .to_vec();
    }
    Ok(())
}

/// The string at `offset` of a string table, without its NUL.
pub(super) fn string_at(table: &[u8], offset: u64) -> Option<&[u8]> {
    let rest = table.get(usize::try_from(offset).ok()?..)?;
    rest.iter().position(|byte| *byte == 0).map(|end| &rest[..end])
}

/// Where fields of the header lie; they differ between 32 and 64 bits.
pub(super) struct FieldOffsets {
    phentsize: u64,
    shentsize: u64,
    shnum: u64,
}

/// 32 or 64 bits.
trait Class: FileHeader<Endian = Endianness> {
    const FIELD_OFFSETS: FieldOffsets;
}

impl Class for FileHeader32<Endianness> {
    const FIELD_OFFSETS: FieldOffsets = FieldOffsets { phentsize: 42, shentsize: 46, shnum: 48 };
}

impl Class for FileHeader64<Endianness> {
    const FIELD_OFFSETS: FieldOffsets = FieldOffsets { phentsize: 54, shentsize: 58, shnum: 60 };
}

fn header_fields<H: FileHeader<Endian = Endianness>>(
    header: &H,
    endian: Endianness,
    ident: &[u8],
) -> Vec<Field> {
    vec![
        ("EI_CLASS", u64::from(ident[4])),
        ("EI_DATA", u64::from(ident[5])),
        ("EI_OSABI", u64::from(ident[7])),
        ("EI_ABIVERSION", u64::from(ident[8])),
        ("e_type", header.e_type(endian).into()),
        ("e_machine", header.e_machine(endian).into()),
        ("e_version", header.e_version(endian).into()),
        ("e_entry", header.e_entry(endian).into()),
        ("e_phoff", header.e_phoff(endian).into()),
        ("e_shoff", header.e_shoff(endian).into()),
        ("e_flags", header.e_flags(endian).into()),
        ("e_ehsize", header.e_ehsize(endian).into()),
        ("e_phentsize", header.e_phentsize(endian).into()),
        ("e_phnum", header.e_phnum(endian).into()),
        ("e_shentsize", header.e_shentsize(endian).into()),
        ("e_shnum", header.e_shnum(endian).into()),
        ("e_shstrndx", header.e_shstrndx(endian).into()),
    ]
}

fn segment<P: ProgramHeader<Endian = Endianness>>(header: &P, endian: Endianness) -> Segment {
    Segment {
        kind: header.p_type(endian),
        values: [
            header.p_type(endian).into(),
            header.p_flags(endian).into(),
            header.p_offset(endian).into(),
            header.p_vaddr(endian).into(),
            header.p_paddr(endian).into(),
            header.p_filesz(endian).into(),
            header.p_memsz(endian).into(),
            header.p_align(endian).into(),
        ],
    }
}

fn section<S: SectionHeader<Endian = Endianness>>(header: &S, endian: Endianness) -> Section {
    let values: [u64; 10] = [
        header.sh_name(endian).into(),
        header.sh_type(endian).into(),
        header.sh_flags(endian).into(),
        header.sh_addr(endian).into(),
        header.sh_offset(endian).into(),
        header.sh_size(endian).into(),
        header.sh_link(endian).into(),
        header.sh_info(endian).into(),
        header.sh_addralign(endian).into(),
        header.sh_entsize(endian).into(),
    ];
    Section {
        name: Vec::new(),
        kind: header.sh_type(endian),
        address: header.sh_addr(endian).into(),
        offset: header.sh_offset(endian).into(),
        size: header.sh_size(endian).into(),
        link: header.sh_link(endian),
        values,
    }
}
