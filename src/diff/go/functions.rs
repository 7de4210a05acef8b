//! The function table of a Go binary (`.gopclntab`; debug/gosym in Go's library), which stripping leaves.

use crate::diff::{
    Content,
    executable::{Image, Role, Symbols},
};

/// Go 1.2, 1.16, 1.18 and 1.20: the first word of the table.
const VERSIONS: [(u32, Version); 4] = [
    (0xffff_fffb, Version::Go1_2),
    (0xffff_fffa, Version::Go1_16),
    (0xffff_fff0, Version::Go1_18),
    (0xffff_fff1, Version::Go1_18),
];

/// Functions one binary may have; the largest known ones have some hundred thousand.
const MAX_FUNCTIONS: u64 = 4 << 20;
/// Longest name of a function read; generated ones of generic types have some kilobytes.
const LONGEST: usize = 16 << 10;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    Go1_2,
    Go1_16,
    Go1_18,
}

/// The functions of a Go binary; `None` when it is none or its table is broken: names are a help, not a fact the
/// comparison rests on.
pub(in crate::diff) fn functions(file: &dyn Content, image: &Image) -> Option<Symbols> {
    const NAMES: [&[u8]; 5] = [
        b".gopclntab",
        b".data.rel.ro.gopclntab",
        b"__TEXT,__gopclntab",
        b"__DATA_CONST,__gopclntab",
        b".rdata",
    ];
    let (_, bytes) = super::section(file, &image.sections, &NAMES)?;
    let start = find(&bytes, image.big_endian)?;
    Table::read(&bytes[start..], image)?.symbols(image)
}

/// Where the table begins: at once, or at a multiple of 32 in a section it shares.
fn find(bytes: &[u8], big_endian: bool) -> Option<usize> {
    let plausible = |head: &[u8]| {
        let Some(word) = head.first_chunk::<4>() else { return false };
        let word = if big_endian { u32::from_be_bytes(*word) } else { u32::from_le_bytes(*word) };
        VERSIONS.iter().any(|(magic, _)| *magic == word)
            && matches!(head.get(4..8), Some([0, 0, 1 | 2 | 4, 4 | 8]))
    };
    bytes.chunks(32).position(plausible).map(|chunk| chunk * 32)
}

/// A table whose header is read.
struct Table<'a> {
    bytes: &'a [u8],
    big_endian: bool,
    version: Version,
    pointer: usize,
    /// How many functions.
    count: usize,
    /// Address that offsets of functions are counted from.
    text: u64,
    /// Where names begin.
    names: usize,
    /// Where the list of functions begins; what it points to is counted from here.
    functions: usize,
}

impl<'a> Table<'a> {
    fn read(bytes: &'a [u8], image: &Image) -> Option<Self> {
        let mut table = Table {
            bytes,
            big_endian: image.big_endian,
            version: Version::Go1_2,
            pointer: usize::from(*bytes.get(7)?),
            count: 0,
            text: 0,
            names: 0,
            functions: 0,
        };
        let magic = table.number(0, 4)? as u32;
        table.version = VERSIONS.iter().find(|(known, _)| *known == magic)?.1;
        let word = |index: usize| table.number(8 + index * table.pointer, table.pointer);
        let count = word(0).filter(|count| *count <= MAX_FUNCTIONS)? as usize;
        let place = |index: usize| word(index).and_then(|offset| usize::try_from(offset).ok());
        let (text, names, functions) = match table.version {
            Version::Go1_2 => (0, 0, 8 + table.pointer),
            Version::Go1_16 => (0, place(2)?, place(6)?),
            Version::Go1_18 => (word(2)?, place(3)?, place(7)?),
        };
        (table.count, table.text, table.names, table.functions) = (count, text, names, functions);
        Some(table)
    }

    /// A number of `len` bytes.
    fn number(&self, at: usize, len: usize) -> Option<u64> {
        let bytes = self.bytes.get(at..at.checked_add(len)?)?;
        let fold = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        Some(if self.big_endian { bytes.iter().fold(0, fold) } else { bytes.iter().rev().fold(0, fold) })
    }

    fn symbols(&self, image: &Image) -> Option<Symbols> {
        // The first word of an entry: an address, or since 1.18 an offset from the beginning of the text.
        let (width, relative) = match self.version {
            Version::Go1_18 => (4, true),
            _ => (self.pointer, false),
        };
        let code: Vec<(usize, u64, u64)> = image
            .sections
            .iter()
            .enumerate()
            .filter(|(_, section)| section.role == Role::Code)
            .filter_map(|(index, section)| Some((index, section.address?, section.memory)))
            .collect();
        let holds = |address: u64, (_, start, size): &(usize, u64, u64)| {
            address >= *start && address - start <= *size
        };
        // Position-independent binaries have no address here before they are loaded.
        let text = match code.iter().any(|section| holds(self.text, section)) {
            true => self.text,
            false => {
                let is_text =
                    |(index, ..): &&(usize, u64, u64)| image.sections[*index].name.ends_with(b"text");
                code.iter().find(is_text).or(code.first())?.1
            }
        };
        let mut symbols = Symbols::new("Go function table", Vec::new());
        for index in 0..self.count {
            let at = self.functions.checked_add(index * 2 * width)?;
            let (Some(entry), Some(info), Some(next)) =
                (self.number(at, width), self.number(at + width, width), self.number(at + 2 * width, width))
            else {
                break;
            };
            let base = if relative { text } else { 0 };
            let address = base.wrapping_add(entry);
            let Some(section) = code.iter().find(|section| holds(address, section)) else { continue };
            let Some(name) = self.name(info, width) else { continue };
            symbols.push_named(section.0, address - section.1, next.saturating_sub(entry), name);
        }
        (!symbols.is_empty()).then(|| symbols.sorted())
    }

    /// The name in the description of a function: behind its address or offset.
    fn name(&self, info: u64, width: usize) -> Option<&'a [u8]> {
        let base = if self.version == Version::Go1_2 { 0 } else { self.functions };
        let at = base.checked_add(usize::try_from(info).ok()?)?.checked_add(width)?;
        let offset = usize::try_from(self.number(at, 4)?).ok()?;
        let rest = self.bytes.get(self.names.checked_add(offset)?..)?;
        let len = rest.iter().take(LONGEST).position(|byte| *byte == 0)?;
        Some(&rest[..len])
    }
}
