//! Debug information: compressed sections unpacked, and DWARF's units by name with what made them where.

use std::{borrow::Cow, cell::Cell, io::Read};

use gimli::{AttributeValue, Dwarf, EndianSlice, RunTimeEndian};
use object::{Endianness, elf::SHF_COMPRESSED};

use super::{
    line_tables::{self, LineTable, Lines},
    parse::{Elf, Section},
};
use crate::diff::{
    Content, Difference, Finding, Pair, ReadError, Side, Step, Value, Window, bytes, file, limits::Effort,
};

/// Bytes of one section of debug information that are read or unpacked. Larger ones are compared as they are.
const MAX_SECTION: u64 = 128 << 20;
/// Units read of one file.
const MAX_UNITS: usize = 1 << 16;
/// Bytes of abbreviations that the units of a file may refer to in all. Each unit's table ends early in a sound
/// file; in one that lies, every unit could mean all of them.
const MAX_ABBREVIATIONS: u64 = 4 << 30;
/// Units shown.
const SHOWN: usize = 64;

/// Replaces what was found in compressed sections by what was found in what they hold.
pub(super) fn unpack(
    files: Pair<&dyn Content>,
    elves: &Pair<Elf>,
    parts: &mut [Difference],
    effort: &Effort<'_>,
) -> Result<(), ReadError> {
    for part in parts {
        let Step::Section(name) = &part.at else { continue };
        let section = |elf: &'_ Elf| -> Option<Section> {
            let mut named = elf.sections.iter().filter(|section| section.name == *name);
            let section = named.next().filter(|section| is_compressed(section))?.clone();
            named.next().is_none().then_some(section)
        };
        let (Some(a), Some(b)) = (section(&elves.a), section(&elves.b)) else { continue };
        let unpacked = (contents(files.a, &elves.a, &a), contents(files.b, &elves.b, &b));
        let (Some(a), Some(b)) = unpacked else { continue };
        let (a, b) = (a.into_owned(), b.into_owned());
        let mut inner = Difference::new(Step::Unpacked);
        if let Some(found) = bytes::compare(Pair::new(Window::of(&a), Window::of(&b)), effort)? {
            file::add(found, &mut inner);
            part.found.retain(|finding| !matches!(finding, Finding::Bytes(_) | Finding::Strings(_)));
            part.inside.push(inner);
        }
    }
    Ok(())
}

fn is_compressed(section: &Section) -> bool {
    section.values[2] & u64::from(SHF_COMPRESSED) != 0 || section.name.starts_with(b".zdebug_")
}

/// The bytes of a section, unpacked where it is compressed; `None` when that fails or is too much.
fn contents<'a>(file: &'a dyn Content, elf: &Elf, section: &Section) -> Option<Cow<'a, [u8]>> {
    if section.file_size() > MAX_SECTION {
        return None;
    }
    let bytes = section.window(file).load().ok()?;
    if !is_compressed(section) {
        return Some(bytes);
    }
    let number = |at: usize, len: usize| -> Option<u64> {
        let bytes = bytes.get(at..at + len)?;
        let fold = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        Some(match elf.endian {
            Endianness::Little => bytes.iter().rev().fold(0, fold),
            Endianness::Big => bytes.iter().fold(0, fold),
        })
    };
    // GNU's older form: `ZLIB` and the size in big endian. Else Elf32_Chdr or Elf64_Chdr: type, size, alignment.
    let (kind, size, skip) = if bytes.starts_with(b"ZLIB") {
        (1, bytes.get(4..12)?.iter().fold(0, |size, byte| size << 8 | u64::from(*byte)), 12)
    } else if elf.is_64 {
        (number(0, 4)?, number(8, 8)?, 24)
    } else {
        (number(0, 4)?, number(4, 4)?, 12)
    };
    // The size is a promise; what is unpacked is bounded whatever it says.
    if size > MAX_SECTION {
        return None;
    }
    let packed = bytes.get(skip..)?;
    let mut unpacked = Vec::new();
    let read = match kind {
        1 => flate2::read::ZlibDecoder::new(packed).take(size + 1).read_to_end(&mut unpacked),
        2 => zstd::Decoder::new(packed).ok()?.take(size + 1).read_to_end(&mut unpacked),
        _ => return None,
    };
    (read.is_ok() && unpacked.len() as u64 == size).then_some(Cow::Owned(unpacked))
}

/// What DWARF says of a unit.
#[derive(Debug, Default)]
struct Unit {
    name: Vec<u8>,
    directory: Vec<u8>,
    producer: Vec<u8>,
    lines: LineTable,
}

/// The units in which two files differ. What cannot be read is no unit: its bytes are compared all the same.
pub(super) fn units(files: Pair<&dyn Content>, elves: &Pair<Elf>, effort: &Effort<'_>) -> Vec<Difference> {
    // Offsets in object files are filled in by relocations.
    if elves.a.is_relocatable || elves.b.is_relocatable {
        return Vec::new();
    }
    // One side without any: its sections say so.
    let has_units = |elf: &Elf| {
        elf.sections.iter().any(|section| matches!(&*section.name, b".debug_info" | b".zdebug_info"))
    };
    if !has_units(&elves.a) || !has_units(&elves.b) {
        return Vec::new();
    }
    let (Some(a), Some(b)) = (read(files.a, &elves.a), read(files.b, &elves.b)) else { return Vec::new() };
    if a.is_empty() || b.is_empty() {
        return Vec::new();
    }
    let mut parts = Vec::new();
    let shown = SHOWN.min(effort.limits.strings);
    for (a, b) in paired(&a, &b) {
        let mut part = Difference::new(Step::Unit(a.or(b).map(|unit| unit.name.clone()).unwrap_or_default()));
        match (a, b) {
            (Some(a), Some(b)) => {
                for (name, a, b) in [
                    ("DW_AT_name", &a.name, &b.name),
                    ("DW_AT_comp_dir", &a.directory, &b.directory),
                    ("DW_AT_producer", &a.producer, &b.producer),
                ] {
                    if a != b {
                        let values = Pair::new(a, b).map(|text| Value::Text(Some(text.clone())));
                        part.found.push(Finding::Field { name, values, at: None, derived: false });
                    }
                }
                let told = Pair::new(a, b).map(|unit| [unit.name.as_slice(), unit.directory.as_slice()]);
                part.found.extend(line_tables::compare(Pair::new(&a.lines, &b.lines), told));
            }
            (Some(_), None) => part.found.push(Finding::OnlyIn { side: Side::A, what: "unit", size: 0 }),
            _ => part.found.push(Finding::OnlyIn { side: Side::B, what: "unit", size: 0 }),
        }
        if part.is_some() && parts.len() < shown {
            parts.push(part);
        }
    }
    parts
}

/// Units of one name, in order; what is left is paired in order when both sides have as many.
fn paired<'a>(a: &'a [Unit], b: &'a [Unit]) -> Vec<(Option<&'a Unit>, Option<&'a Unit>)> {
    let mut index: std::collections::HashMap<&[u8], Vec<usize>> = std::collections::HashMap::new();
    for (number, unit) in b.iter().enumerate().rev() {
        index.entry(&unit.name).or_default().push(number);
    }
    let mut pairs = Vec::new();
    let mut lone = Vec::new();
    for unit in a {
        match index.get_mut(unit.name.as_slice()).and_then(Vec::pop) {
            Some(number) => pairs.push((Some(unit), Some(&b[number]))),
            None => lone.push(unit),
        }
    }
    let mut left: Vec<usize> = index.into_values().flatten().collect();
    left.sort_unstable();
    if lone.len() == left.len() {
        pairs.extend(lone.into_iter().zip(left).map(|(unit, number)| (Some(unit), Some(&b[number]))));
        return pairs;
    }
    pairs.extend(lone.into_iter().map(|unit| (Some(unit), None)));
    pairs.extend(left.into_iter().map(|number| (None, Some(&b[number]))));
    pairs
}

fn read(file: &dyn Content, elf: &Elf) -> Option<Vec<Unit>> {
    let size = Cell::new(0u64);
    let load = |id: gimli::SectionId| -> Result<Cow<'_, [u8]>, gimli::Error> {
        let name = id.name().as_bytes();
        let packed = [b".z", name.get(1..).unwrap_or_default()].concat();
        let section = elf.sections.iter().find(|section| section.name == name || section.name == packed);
        let bytes = section.and_then(|section| contents(file, elf, section)).unwrap_or_default();
        if id == gimli::SectionId::DebugAbbrev {
            size.set(bytes.len() as u64);
        }
        Ok(bytes)
    };
    let sections = gimli::DwarfSections::load(load).ok()?;
    let endian = match elf.endian {
        Endianness::Little => RunTimeEndian::Little,
        Endianness::Big => RunTimeEndian::Big,
    };
    let dwarf = sections.borrow(|section| EndianSlice::new(section, endian));
    let mut headers = dwarf.units();
    let (mut units, mut lines) = (Vec::new(), Lines::new());
    let mut left = MAX_ABBREVIATIONS;
    while let Ok(Some(header)) = headers.next() {
        let abbreviations = size.get().saturating_sub(header.debug_abbrev_offset().0 as u64);
        left = left.saturating_sub(abbreviations);
        if units.len() >= MAX_UNITS || left == 0 {
            break;
        }
        units.extend(unit(&dwarf, header, &mut lines));
    }
    Some(units)
}

type Slice<'a> = EndianSlice<'a, RunTimeEndian>;

fn unit<'a>(
    dwarf: &Dwarf<Slice<'a>>,
    header: gimli::UnitHeader<Slice<'a>>,
    lines: &mut Lines,
) -> Option<Unit> {
    let abbreviations = dwarf.abbreviations(&header).ok()?;
    let mut entries = header.entries(&abbreviations);
    let (_, root) = entries.next_dfs().ok()??;
    if root.tag() != gimli::DW_TAG_compile_unit {
        return None;
    }
    if let Ok(Some(AttributeValue::DebugLineRef(offset))) = root.attr_value(gimli::DW_AT_stmt_list)
        && !lines.may_read(dwarf, offset)
    {
        return None;
    }
    let unit =
        gimli::Unit::new_with_abbreviations(dwarf, header, std::sync::Arc::clone(&abbreviations)).ok()?;
    let text = |name: gimli::DwAt| -> Vec<u8> {
        let value: Option<AttributeValue<Slice<'a>>> = root.attr_value(name).ok().flatten();
        let string = value.and_then(|value| dwarf.attr_string(&unit, value).ok());
        string.map(|string| string.slice().to_vec()).unwrap_or_default()
    };
    Some(Unit {
        name: text(gimli::DW_AT_name),
        directory: text(gimli::DW_AT_comp_dir),
        producer: text(gimli::DW_AT_producer),
        lines: lines.of(dwarf, &unit),
    })
}
