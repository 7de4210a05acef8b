//! WebAssembly modules (W3C, "WebAssembly Core Specification", binary format): sections, custom sections by name,
//! functions by the name section.

use super::{
    Content, Difference, Pair, ReadError, Step, Value,
    executable::{self, Broken, Field, Image, Numbers, Parsed, Role, Section, Symbols, Table, read},
    limits::Effort,
};

/// Sections of one module; real ones have some twenty.
const MAX_SECTIONS: usize = 4096;
/// Functions of one module that are named.
const MAX_FUNCTIONS: u64 = 1 << 20;
/// Bytes of a section that are looked into.
const MAX_TABLE: u64 = 128 << 20;

/// Whether a file that begins with `head` claims to be a module.
pub(super) fn is_wasm(head: &[u8]) -> bool {
    head.starts_with(b"\0asm")
}

/// Adds the parts in which two modules differ.
pub(super) fn compare(
    files: Pair<&dyn Content>,
    difference: &mut Difference,
    effort: &Effort<'_>,
) -> Result<(), ReadError> {
    executable::compare_files("WebAssembly", parse, files, difference, effort)
}

fn parse(file: &dyn Content) -> Result<Parsed, Broken> {
    let header = read(file, 0, 8, "header")?;
    let version = Numbers::little(&header).u32(4).unwrap_or_default();
    let (sections, covered) = sections(file)?;
    let field = |name, value| Field { name, value, at: None, derived: false };
    let mut tables =
        vec![Table { at: Step::Table("module"), fields: vec![field("version", Value::Number(version))] }];
    let of = |name: &[u8]| {
        let section = sections.iter().find(|section| section.name == name)?;
        (section.size <= MAX_TABLE).then(|| section.window(file).to_vec().ok()).flatten()
    };
    let producers = of(b"producers").map(|bytes| producers(&bytes).unwrap_or_default());
    tables.push(Table {
        at: Step::Table("producers"),
        fields: vec![field("producers", Value::Text(producers))],
    });
    let symbols = of(b"code").and_then(|code| functions(&sections, &code, of(b"import"), of(b"name")));
    let image = Image {
        tables,
        symbols: symbols.unwrap_or_default(),
        sections,
        covered,
        big_endian: false,
        pointer: 4,
        base: None,
    };
    Ok(Parsed { image, words: "WebAssembly module".to_owned(), go: false })
}

/// Where headers of sections lie: offset and length.
type Headers = Vec<(u64, u64)>;

/// The sections, and where their headers lie.
fn sections(file: &dyn Content) -> Result<(Vec<Section>, Headers), Broken> {
    let mut sections = Vec::new();
    let mut covered = vec![(0, 8)];
    let mut at = 8;
    while at < file.len() {
        if sections.len() == MAX_SECTIONS {
            return Err(Broken::At(at, format!("more than {MAX_SECTIONS} sections")));
        }
        let cut = || Broken::At(at, "section is cut off".to_owned());
        let head = read(file, at, (file.len() - at).min(512), "section")?;
        let mut cursor = Cursor { bytes: &head, at: 1 };
        let id = head[0];
        let size = cursor.number().ok_or_else(cut)?;
        let body = at + cursor.at as u64;
        let end = body.checked_add(size).filter(|end| *end <= file.len()).ok_or_else(cut)?;
        let name = match id {
            0 => {
                let len = cursor.number().ok_or_else(cut)? as usize;
                cursor.take(len).ok_or_else(cut)?.to_vec()
            }
            _ => section_name(id)
                .ok_or_else(|| Broken::At(at, format!("section of kind {id}")))?
                .as_bytes()
                .to_vec(),
        };
        let start = at + cursor.at as u64;
        if start > end {
            return Err(cut());
        }
        covered.push((at, start - at));
        let role = match name.as_slice() {
            b"code" if id == 10 => Role::Code,
            b"name" => Role::Symbols,
            name if executable::is_debug_name(name) => Role::Debug,
            _ => Role::Other,
        };
        let number = |name, value| Field { name, value: Value::Number(value), at: None, derived: true };
        sections.push(Section {
            name,
            role,
            address: None,
            offset: start,
            size: end - start,
            memory: end - start,
            strings: false,
            fields: vec![number("offset", start), number("size", end - start)],
        });
        at = end;
    }
    Ok((sections, covered))
}

fn section_name(id: u8) -> Option<&'static str> {
    Some(match id {
        1 => "type",
        2 => "import",
        3 => "function",
        4 => "table",
        5 => "memory",
        6 => "global",
        7 => "export",
        8 => "start",
        9 => "element",
        10 => "code",
        11 => "data",
        12 => "data count",
        13 => "tag",
        _ => return None,
    })
}

/// Numbers in LEB128 and what they count.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    /// An unsigned number of at most 32 bits.
    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..35).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(len)?)?;
        self.at += len;
        Some(taken)
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        let len = self.number()? as usize;
        self.take(len)
    }
}

/// The custom section `producers` (WebAssembly tool conventions) as one line.
fn producers(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut cursor = Cursor { bytes, at: 0 };
    let mut words = Vec::new();
    for _ in 0..cursor.number()? {
        let field = cursor.text()?;
        for _ in 0..cursor.number()? {
            let (name, version) = (cursor.text()?, cursor.text()?);
            words.push([field, b" ", name, b" ", version].concat());
            if words.len() > 64 {
                return None;
            }
        }
    }
    Some(words.join(&b"; "[..]))
}

/// The functions of the code section, by name where the module names them and by number elsewhere.
fn functions(
    sections: &[Section],
    code: &[u8],
    imports: Option<Vec<u8>>,
    names: Option<Vec<u8>>,
) -> Option<Symbols> {
    let section = sections.iter().position(|section| section.name == b"code")?;
    let imported = imports.map_or(Some(0), |bytes| imported_functions(&bytes))?;
    let names = names.and_then(|bytes| function_names(&bytes)).unwrap_or_default();
    let mut cursor = Cursor { bytes: code, at: 0 };
    let mut symbols = Symbols::new("name section", Vec::new());
    for index in 0..cursor.number()?.min(MAX_FUNCTIONS) {
        let start = cursor.at as u64;
        let len = cursor.number()? as usize;
        cursor.take(len)?;
        let number = imported + index;
        let name = names.get(&number).cloned().unwrap_or_else(|| format!("function {number}").into_bytes());
        symbols.push_named(section, start, cursor.at as u64 - start, &name);
    }
    Some(symbols.sorted())
}

/// How many functions are imported: they come first in the numbering.
fn imported_functions(bytes: &[u8]) -> Option<u64> {
    let mut cursor = Cursor { bytes, at: 0 };
    let mut count = 0;
    for _ in 0..cursor.number()? {
        cursor.text()?;
        cursor.text()?;
        match cursor.byte()? {
            0 => {
                cursor.number()?;
                count += 1;
            }
            kind @ (1 | 2) => {
                if kind == 1 {
                    cursor.byte()?;
                }
                let flags = cursor.byte()?;
                cursor.number()?;
                if flags & 1 != 0 {
                    cursor.number()?;
                }
            }
            3 => _ = cursor.take(2)?,
            4 => {
                cursor.byte()?;
                cursor.number()?;
            }
            _ => return None,
        }
    }
    Some(count)
}

/// Names of functions by number: subsection 1 of the name section.
fn function_names(bytes: &[u8]) -> Option<std::collections::HashMap<u64, Vec<u8>>> {
    let mut cursor = Cursor { bytes, at: 0 };
    while cursor.at < bytes.len() {
        let (kind, len) = (cursor.byte()?, cursor.number()? as usize);
        let body = cursor.take(len)?;
        if kind != 1 {
            continue;
        }
        let mut names = std::collections::HashMap::new();
        let mut inner = Cursor { bytes: body, at: 0 };
        for _ in 0..inner.number()?.min(MAX_FUNCTIONS) {
            let number = inner.number()?;
            names.insert(number, inner.text()?.to_vec());
        }
        return Some(names);
    }
    None
}
