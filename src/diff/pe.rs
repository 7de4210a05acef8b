//! PE files (Microsoft, "PE Format"): headers, the Rich header, the debug directory, sections.

use super::{
    Content, Difference, Pair, ReadError, Step, Value,
    executable::{
        self, Broken, Field, Image, Numbers, Parsed, Role, Section, Symbols, Table, is_debug_name, read,
    },
    go,
    limits::Effort,
};

/// Bytes of headers read: real ones fit one page.
const MAX_HEADERS: u64 = 1 << 20;
/// Entries read of a debug directory.
const MAX_DEBUG: usize = 64;
/// What the header says was removed from a file, by the bits of its characteristics.
const REMOVED: [(u64, &str); 3] =
    [(0x4, "line numbers"), (0x8, "local symbols"), (0x200, "debugging information")];
const REMOVED_ALL: u64 = REMOVED[0].0 | REMOVED[1].0 | REMOVED[2].0;
/// Longest path of a debug file.
const MAX_PATH: usize = 4096;

/// Whether a file that begins with `head` claims to be PE.
pub(super) fn is_pe(head: &[u8]) -> bool {
    let at = Numbers::little(head).u32(0x3c).unwrap_or_default() as usize;
    head.starts_with(b"MZ") && head.get(at..).is_some_and(|rest| rest.starts_with(b"PE\0\0"))
}

/// Adds the parts in which two PE files differ.
pub(super) fn compare(
    files: Pair<&dyn Content>,
    difference: &mut Difference,
    effort: &Effort<'_>,
) -> Result<(), ReadError> {
    executable::compare_files("PE", parse, files, difference, effort)
}

fn parse(file: &dyn Content) -> Result<Parsed, Broken> {
    let bytes = read(file, 0, file.len().min(MAX_HEADERS), "headers")?;
    let headers = Numbers::little(&bytes);
    headers_of(file, headers).ok_or_else(|| Broken::At(0x3c, "headers are cut off".to_owned()))?
}

/// `None` when a header is cut off.
fn headers_of(file: &dyn Content, headers: Numbers<'_>) -> Option<Result<Parsed, Broken>> {
    let start = headers.u32(0x3c)? as usize;
    let coff = start.checked_add(4)?;
    let optional = coff + 20;
    let is_64 = match headers.u16(optional)? {
        0x10b => false,
        0x20b => true,
        other => {
            return Some(Err(Broken::At(optional as u64, format!("optional header of kind {other:#x}"))));
        }
    };
    let base = if is_64 { headers.number(optional + 24, 8)? } else { headers.u32(optional + 28)? };
    let directories = optional + if is_64 { 112 } else { 96 };
    let count = headers.u32(directories - 4)?;
    let directory = |index: usize| -> Option<(u64, u64)> {
        let at = directories + 8 * index;
        ((index as u64) < count).then(|| Some((headers.u32(at)?, headers.u32(at + 4)?)))?
    };
    let table = optional + headers.u16(coff + 16)? as usize;
    let number = headers.u16(coff + 2)? as usize;
    let mut sections = Vec::new();
    let (symbols_at, symbol_count) = (headers.u32(coff + 8)?, headers.u32(coff + 12)?);
    let strings_at = symbols_at + 18 * symbol_count;
    for index in 0..number {
        let at = table + 40 * index;
        let Some(section) = section(file, headers, at, base, strings_at) else {
            return Some(Err(Broken::At(at as u64, format!("section {index} ends behind the file"))));
        };
        sections.push(section);
    }
    let debug =
        directory(6).and_then(|(address, size)| debug_directory(file, &sections, base + address, size));
    let hashed = debug.as_ref().is_some_and(|debug| debug.hashed);
    let time = |at: usize| stamp(headers.u32(at).unwrap_or_default(), at as u64, hashed);
    let field = |name, value, derived| Field { name, value, at: None, derived };
    let number_at = |name, at: usize, len: usize, derived| {
        let value = Value::Number(headers.number(at, len).unwrap_or_default());
        Field { name, value, at: Some(at as u64), derived }
    };
    let linker = format!("{}.{}", headers.number(optional + 2, 1)?, headers.number(optional + 3, 1)?);
    let flags = headers.number(coff + 18, 2)?;
    let mut tables = vec![
        Table {
            at: Step::Table("COFF header"),
            fields: vec![
                number_at("Machine", coff, 2, false),
                time(coff + 4),
                number_at("NumberOfSections", coff + 2, 2, true),
                number_at("PointerToSymbolTable", coff + 8, 4, true),
                number_at("NumberOfSymbols", coff + 12, 4, true),
                field("Characteristics", Value::Number(flags & !REMOVED_ALL), false),
                field("stripped of", Value::Text(Some(removed(flags))), true),
            ],
        },
        Table {
            at: Step::Table("optional header"),
            fields: vec![
                field("linker version", Value::Text(Some(linker.into_bytes())), false),
                number_at("SizeOfCode", optional + 4, 4, true),
                number_at("SizeOfInitializedData", optional + 8, 4, true),
                number_at("AddressOfEntryPoint", optional + 16, 4, true),
                field("ImageBase", Value::Number(base), false),
                number_at("SizeOfImage", optional + 56, 4, true),
                number_at("CheckSum", optional + 64, 4, true),
                number_at("Subsystem", optional + 68, 2, false),
                number_at("DllCharacteristics", optional + 70, 2, false),
            ],
        },
    ];
    let rich = Field { at: None, ..field("Rich header", Value::Hex(rich(headers, start)), false) };
    tables.push(Table { at: Step::Table("Rich header"), fields: vec![rich] });
    if let Some(debug) = debug {
        tables.push(Table { at: Step::Table("debug directory"), fields: debug.fields });
    }
    let pseudo = |name: &[u8], offset: u64, size: u64, role| Section {
        name: name.to_vec(),
        role,
        address: None,
        offset: offset.min(file.len()),
        size: size.min(file.len().saturating_sub(offset)),
        memory: size.min(file.len().saturating_sub(offset)),
        strings: false,
        fields: Vec::new(),
    };
    if let Some((offset, size)) = directory(4).filter(|(offset, size)| *offset > 0 && *size > 0) {
        sections.push(pseudo(b"certificate table", offset, size, Role::Other));
    }
    if symbols_at > 0 {
        let strings = super::executable::read(file, strings_at, 4, "size of the string table").ok();
        let len = strings.and_then(|bytes| Numbers::little(&bytes).u32(0)).unwrap_or_default();
        sections.push(pseudo(b"COFF symbols", symbols_at, 18 * symbol_count + len, Role::Symbols));
    }
    let mut image = Image {
        tables,
        sections,
        symbols: Symbols::default(),
        covered: vec![(0, (table + 40 * number) as u64)],
        big_endian: false,
        pointer: if is_64 { 8 } else { 4 },
        base: Some(base),
    };
    let functions = go::functions(file, &image);
    let go = functions.is_some();
    image.symbols = functions.unwrap_or_default();
    let machine = match headers.u16(coff)? {
        0x8664 => "x86-64",
        0x14c => "x86",
        0xaa64 => "AArch64",
        _ => "another processor",
    };
    let kind = if flags & 0x2000 == 0 { "PE executable" } else { "PE library" };
    Some(Ok(Parsed { image, words: format!("{kind}, {machine}"), go }))
}

/// What a file says was removed from it. GNU strip says all of it, of whatever file; lld and Go's linker say nothing.
fn removed(flags: u64) -> Vec<u8> {
    let said: Vec<&str> =
        REMOVED.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, removed)| *removed).collect();
    if said.is_empty() { b"nothing".to_vec() } else { said.join(", ").into_bytes() }
}

/// A time, or with `/Brepro` the hash of the contents that stands in its place.
fn stamp(seconds: u64, at: u64, hashed: bool) -> Field {
    match hashed {
        true => Field {
            name: "hash in TimeDateStamp",
            value: Value::Number(seconds),
            at: Some(at),
            derived: true,
        },
        false => {
            Field { name: "TimeDateStamp", value: Value::Time(seconds as i64), at: Some(at), derived: false }
        }
    }
}

fn section(
    file: &dyn Content,
    headers: Numbers<'_>,
    at: usize,
    base: u64,
    strings_at: u64,
) -> Option<Section> {
    let short = headers.text(at, 8)?;
    let name = long_name(file, short, strings_at).unwrap_or_else(|| short.to_vec());
    let (size, offset) = (headers.u32(at + 16)?, headers.u32(at + 20)?);
    let (memory, address) = (headers.u32(at + 8)?, headers.u32(at + 12)?);
    let flags = headers.u32(at + 36)?;
    let size = if flags & 0x80 != 0 || offset == 0 { 0 } else { size };
    if offset.checked_add(size).is_none_or(|end| end > file.len()) {
        return None;
    }
    let role = match flags {
        _ if is_debug_name(&name) => Role::Debug,
        flags if flags & 0x2000_0020 != 0 => Role::Code,
        _ => Role::Data,
    };
    let field = |name, number, derived| Field { name, value: Value::Number(number), at: None, derived };
    Some(Section {
        name,
        role,
        address: Some(base.wrapping_add(address)),
        offset,
        size,
        memory: memory.max(size),
        strings: false,
        fields: vec![
            field("VirtualSize", memory, true),
            field("VirtualAddress", address, true),
            field("SizeOfRawData", size, true),
            field("PointerToRawData", offset, true),
            field("Characteristics", flags, false),
        ],
    })
}

/// Names longer than eight bytes, which GNU's linker writes as `/` and an offset in the string table.
fn long_name(file: &dyn Content, short: &[u8], strings_at: u64) -> Option<Vec<u8>> {
    let offset: u64 = std::str::from_utf8(short.strip_prefix(b"/")?).ok()?.parse().ok()?;
    let start = strings_at.checked_add(offset)?;
    let bytes = read(file, start, 64.min(file.len().checked_sub(start)?), "name").ok()?;
    Some(Numbers::little(&bytes).text(0, 64)?.to_vec())
}

/// The tools that made the objects, as Microsoft's linker notes them: decoded, so that the key is no difference.
fn rich(headers: Numbers<'_>, start: usize) -> Option<Vec<u8>> {
    let stub = headers.slice(0, start)?;
    let end = stub.chunks(4).position(|word| word == b"Rich")? * 4;
    let key = headers.slice(end + 4, 4)?;
    let mut decoded: Vec<u8> = stub[..end].iter().enumerate().map(|(at, byte)| byte ^ key[at % 4]).collect();
    let begin = decoded.chunks(4).rposition(|word| word == b"DanS")? * 4;
    Some(decoded.split_off(begin))
}

struct Debug {
    fields: Vec<Field>,
    /// Whether the build was reproducible by the linker's word: times are hashes.
    hashed: bool,
}

fn debug_directory(file: &dyn Content, sections: &[Section], address: u64, size: u64) -> Option<Debug> {
    let section = sections.iter().find(|section| {
        section.address.is_some_and(|start| address >= start && address - start < section.size)
    })?;
    let offset = section.offset + (address - section.address?);
    let bytes = read(file, offset, size.min(28 * MAX_DEBUG as u64), "debug directory").ok()?;
    let entries = Numbers::little(&bytes);
    let kind = |index: usize| entries.u32(28 * index + 12);
    let count = bytes.len() / 28;
    let mut debug = Debug { fields: Vec::new(), hashed: (0..count).any(|index| kind(index) == Some(16)) };
    for index in 0..count {
        let at = 28 * index;
        debug.fields.push(stamp(entries.u32(at + 4)?, offset + at as u64 + 4, debug.hashed));
        let (len, start) = (entries.u32(at + 16)?, entries.u32(at + 24)?);
        let Ok(record) = read(file, start, len.min(MAX_PATH as u64), "debug record") else { continue };
        if kind(index) == Some(2) && record.starts_with(b"RSDS") {
            let record = Numbers::little(&record);
            let guid = Value::Hex(record.slice(4, 16).map(<[u8]>::to_vec));
            debug.fields.push(Field { name: "debug GUID", value: guid, at: Some(start + 4), derived: false });
            let path = Value::Text(record.text(24, MAX_PATH).map(<[u8]>::to_vec));
            debug.fields.push(Field {
                name: "debug file",
                value: path,
                at: Some(start + 24),
                derived: false,
            });
        }
    }
    Some(debug)
}
