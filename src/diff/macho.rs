//! Mach-O files (Apple, "OS X ABI Mach-O File Format Reference" and `mach-o/loader.h`): load commands, sections,
//! what lies in `__LINKEDIT`, and universal files.

use super::{
    Content, Difference, Finding, Note, Pair, ReadError, Side, Step, Value, Window,
    executable::{self, Broken, Field, Image, Numbers, Parsed, Role, Section, Symbols, Table, read},
    go,
    limits::Effort,
};

/// Bytes of load commands read; real ones have some kilobytes.
const MAX_COMMANDS: u64 = 4 << 20;
/// Processors of one universal file; Java's class files begin with the same four bytes and a version of 45 or more.
const MAX_ARCHITECTURES: u64 = 30;
/// Bytes of a symbol table or of its names that are read.
const MAX_TABLE: u64 = 64 << 20;

/// Whether a file that begins with `head` claims to be Mach-O for one processor.
pub(super) fn is_macho(head: &[u8]) -> bool {
    matches!(head.get(..4), Some([0xfe, 0xed, 0xfa, 0xce | 0xcf] | [0xce | 0xcf, 0xfa, 0xed, 0xfe]))
}

/// Whether a file that begins with `head` claims to be a universal binary.
pub(super) fn is_universal(head: &[u8]) -> bool {
    let count = Numbers { bytes: head, big_endian: true }.u32(4).unwrap_or_default();
    matches!(head.get(..4), Some([0xca, 0xfe, 0xba, 0xbe | 0xbf])) && (1..=MAX_ARCHITECTURES).contains(&count)
}

/// Adds the parts in which two Mach-O files differ.
pub(super) fn compare(
    files: Pair<&dyn Content>,
    difference: &mut Difference,
    effort: &Effort<'_>,
) -> Result<(), ReadError> {
    executable::compare_files("Mach-O", parse, files, difference, effort)
}

/// Adds the parts in which two universal files differ: processor by processor. Offsets below count from the
/// beginning of that processor's file.
pub(super) fn compare_universal(
    files: Pair<&dyn Content>,
    difference: &mut Difference,
    effort: &Effort<'_>,
) -> Result<(), ReadError> {
    let list = |side: Side| match architectures(*files.of(side)) {
        Ok(list) => Ok(Ok(list)),
        Err(Broken::At(offset, what)) => {
            Ok(Err(Note::BrokenExecutable { format: "universal Mach-O", side, offset, what }))
        }
        Err(Broken::Io(offset, source)) => Err(ReadError { side, offset, source }),
    };
    let (a, b) = match (list(Side::A)?, list(Side::B)?) {
        (Ok(a), Ok(b)) => (a, b),
        (Err(note), _) | (_, Err(note)) => {
            difference.notes.push(note);
            return Ok(());
        }
    };
    for (name, offset, size) in &a {
        let mut part = Difference::new(Step::Architecture(name));
        match b.iter().find(|(other, ..)| other == name) {
            Some((_, other, len)) => {
                let windows =
                    Pair::new(Window::new(files.a, *offset, *size), Window::new(files.b, *other, *len));
                super::file::compare(Pair::new(&windows.a, &windows.b), &mut part, effort)?;
            }
            None => part.found.push(Finding::OnlyIn { side: Side::A, what: "file", size: *size }),
        }
        difference.inside.extend(part.is_some().then_some(part));
    }
    for (name, _, size) in b.iter().filter(|(name, ..)| a.iter().all(|(other, ..)| other != name)) {
        let mut part = Difference::new(Step::Architecture(name));
        part.found.push(Finding::OnlyIn { side: Side::B, what: "file", size: *size });
        difference.inside.push(part);
    }
    Ok(())
}

/// Name, offset and size of each processor's file.
fn architectures(file: &dyn Content) -> Result<Vec<(&'static str, u64, u64)>, Broken> {
    let head = read(file, 0, file.len().min(8 + 32 * MAX_ARCHITECTURES), "header")?;
    let head = Numbers { bytes: &head, big_endian: true };
    let cut = || Broken::At(8, "the list of processors is cut off".to_owned());
    let wide = head.bytes[3] == 0xbf;
    let (entry, width) = if wide { (32, 8) } else { (20, 4) };
    let mut list: Vec<(&'static str, u64, u64)> = Vec::new();
    for index in 0..head.u32(4).ok_or_else(cut)? as usize {
        let at = 8 + entry * index;
        let name = processor(head.u32(at).ok_or_else(cut)?);
        let offset = head.number(at + 8, width).ok_or_else(cut)?;
        let size = head.number(at + 8 + width, width).ok_or_else(cut)?;
        let before: u64 = list.iter().map(|(_, _, size)| *size).fold(0, u64::saturating_add);
        if offset.checked_add(size).is_none_or(|end| end > file.len())
            || before.saturating_add(size) > file.len()
            // A universal file in a universal file would be without end.
            || is_universal(&read(file, offset, size.min(8), "header")?)
            || list.iter().any(|(other, ..)| *other == name)
        {
            return Err(Broken::At(at as u64, format!("the file for {name} is no part of this one")));
        }
        list.push((name, offset, size));
    }
    Ok(list)
}

fn processor(kind: u64) -> &'static str {
    match kind {
        7 => "x86",
        0x0100_0007 => "x86-64",
        12 => "ARM",
        0x0100_000c => "AArch64",
        0x0200_000c => "AArch64 with short pointers",
        18 => "PowerPC",
        0x0100_0012 => "PowerPC64",
        _ => "another processor",
    }
}

fn parse(file: &dyn Content) -> Result<Parsed, Broken> {
    let magic = read(file, 0, 28, "header")?;
    let big_endian = magic[0] == 0xfe;
    let is_64 = magic[if big_endian { 3 } else { 0 }] == 0xcf;
    let start = if is_64 { 32 } else { 28 };
    let header = Numbers { bytes: &magic, big_endian };
    let field = |at: usize| header.u32(at).unwrap_or_default();
    let (count, size) = (field(16), field(20));
    if size > MAX_COMMANDS {
        return Err(Broken::At(20, format!("{size} bytes of load commands")));
    }
    let bytes = read(file, start, size, "load commands")?;
    let mut reader = Reader {
        file,
        commands: Numbers { bytes: &bytes, big_endian },
        start,
        is_64,
        sections: Vec::new(),
        tables: vec![Table {
            at: Step::Table("Mach header"),
            fields: vec![
                plain("cputype", field(4), false),
                plain("cpusubtype", field(8), false),
                plain("filetype", field(12), false),
                plain("ncmds", count, true),
                plain("sizeofcmds", size, true),
                plain("flags", field(24), false),
            ],
        }],
        symbols: None,
        base: None,
    };
    let mut at = 0;
    for index in 0..count {
        let len = reader.commands.u32(at + 4).unwrap_or_default() as usize;
        if len < 8 || reader.commands.slice(at, len).is_none() {
            return Err(Broken::At(start + at as u64, format!("load command {index} is cut off")));
        }
        reader.command(at, len).map_err(|what| Broken::At(start + at as u64, what))?;
        at += len;
    }
    let kind = match field(12) {
        1 => "object",
        2 => "executable",
        6 => "library",
        8 => "bundle",
        _ => "file",
    };
    let words = format!("Mach-O {kind}, {}", processor(field(4)));
    let symbols = reader.symbols();
    let mut image = Image {
        tables: reader.tables,
        sections: reader.sections,
        symbols,
        covered: vec![(0, start + size)],
        big_endian,
        pointer: if is_64 { 8 } else { 4 },
        base: reader.base,
    };
    let functions = go::functions(file, &image);
    let go = functions.is_some();
    if image.symbols.is_empty() {
        image.symbols = functions.unwrap_or_default();
    }
    Ok(Parsed { image, words, go })
}

fn plain(name: &'static str, number: u64, derived: bool) -> Field {
    Field { name, value: Value::Number(number), at: None, derived }
}

/// `X.Y.Z` in nibbles `xxxx.yy.zz`.
fn version(number: u64) -> Vec<u8> {
    format!("{}.{}.{}", number >> 16, number >> 8 & 0xff, number & 0xff).into_bytes()
}

struct Reader<'a> {
    file: &'a dyn Content,
    commands: Numbers<'a>,
    start: u64,
    is_64: bool,
    sections: Vec<Section>,
    tables: Vec<Table>,
    /// Symbols: offset, count; names: offset, size.
    symbols: Option<[u64; 4]>,
    base: Option<u64>,
}

impl Reader<'_> {
    fn command(&mut self, at: usize, len: usize) -> Result<(), String> {
        let commands = self.commands;
        let word = |offset: usize| commands.u32(at + offset).unwrap_or_default();
        let here = self.start + at as u64;
        let text = |offset: u64| {
            let bytes = commands.slice(at, len).unwrap_or_default();
            Numbers::little(bytes).text(offset as usize, len).unwrap_or_default().to_vec()
        };
        let one = |name: &'static str, value: Value, at: Option<u64>| Table {
            at: Step::Table("load commands"),
            fields: vec![Field { name, value, at, derived: false }],
        };
        match word(0) & 0x7fff_ffff {
            0x1 | 0x19 => return self.segment(at, len),
            0x2 => {
                self.symbols = Some([word(8), word(12), word(16), word(20)]);
                let entry = if self.is_64 { 16 } else { 12 };
                self.linkedit("symbol table", word(8), word(12) * entry, Role::Symbols)?;
                self.linkedit("string table", word(16), word(20), Role::Symbols)?;
            }
            0xc | 0x18 | 0x1f => {
                self.tables.push(one("LC_LOAD_DYLIB", Value::Text(Some(text(word(8)))), None));
            }
            0xd => self.tables.push(one("LC_ID_DYLIB", Value::Text(Some(text(word(8)))), None)),
            0x1c => self.tables.push(one("LC_RPATH", Value::Text(Some(text(word(8)))), None)),
            0x1b => {
                let uuid = commands.slice(at + 8, 16).map(<[u8]>::to_vec);
                self.tables.push(one("UUID", Value::Hex(uuid), Some(here + 8)));
            }
            0x32 => {
                let tools: Vec<Vec<u8>> = (0..word(20).min(16) as usize)
                    .map(|tool| {
                        let tool = 24 + 8 * tool;
                        let name: &[u8] = match word(tool) {
                            1 => b"clang ",
                            2 => b"swift ",
                            3 => b"ld ",
                            4 => b"lld ",
                            _ => b"tool ",
                        };
                        [name, &version(word(tool + 4))].concat()
                    })
                    .collect();
                let text =
                    |name, text| Field { name, value: Value::Text(Some(text)), at: None, derived: false };
                self.tables.push(Table {
                    at: Step::Table("LC_BUILD_VERSION"),
                    fields: vec![
                        plain("platform", word(8), false),
                        text("oldest system", version(word(12))),
                        text("SDK", version(word(16))),
                        text("linker version", tools.join(&b", "[..])),
                    ],
                });
            }
            0x1d => self.linkedit("code signature", word(8), word(12), Role::Other)?,
            0x26 => self.linkedit("function starts", word(8), word(12), Role::Symbols)?,
            0x29 => self.linkedit("data in code", word(8), word(12), Role::Symbols)?,
            0x33 => self.linkedit("exports", word(8), word(12), Role::Symbols)?,
            0x34 => self.linkedit("fixups", word(8), word(12), Role::Symbols)?,
            0x22 => {
                for (index, name) in
                    ["rebases", "binds", "weak binds", "lazy binds", "exports"].iter().enumerate()
                {
                    self.linkedit(name, word(8 + 8 * index), word(12 + 8 * index), Role::Symbols)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// A part of `__LINKEDIT`, as a section of its own.
    fn linkedit(&mut self, name: &'static str, offset: u64, size: u64, role: Role) -> Result<(), String> {
        if offset.checked_add(size).is_none_or(|end| end > self.file.len()) {
            return Err(format!("{name} ends behind the file"));
        }
        if size > 0 {
            let fields = vec![plain("offset", offset, true), plain("size", size, true)];
            let name = name.as_bytes().to_vec();
            self.sections.push(Section {
                name,
                role,
                address: None,
                offset,
                size,
                memory: size,
                strings: false,
                fields,
            });
        }
        Ok(())
    }

    fn segment(&mut self, at: usize, len: usize) -> Result<(), String> {
        let width = if self.is_64 { 8 } else { 4 };
        let numbers = self.commands;
        let number = |at: usize, len: usize| numbers.number(at, len).unwrap_or_default();
        let name = numbers.text(at + 8, 16).unwrap_or_default();
        if name == b"__TEXT" {
            self.base = Some(number(at + 24, width));
        }
        let protection = at + 24 + 4 * width;
        let count = number(protection + 8, 4) as usize;
        let entry = if self.is_64 { 80 } else { 68 };
        for index in 0..count {
            let section = protection + 16 + entry * index;
            if section + entry > at + len {
                return Err(format!("section {index} is cut off"));
            }
            let (own, segment) = (numbers.text(section, 16), numbers.text(section + 16, 16));
            let name = [segment.unwrap_or_default(), b",", own.unwrap_or_default()].concat();
            let (address, memory) = (number(section + 32, width), number(section + 32 + width, width));
            let rest = section + 32 + 2 * width;
            let (offset, flags) = (number(rest, 4), number(rest + 16, 4));
            // Zeroed memory, of all or of each thread.
            let size = if matches!(flags & 0xff, 0x1 | 0xc | 0x12) { 0 } else { memory };
            if offset.checked_add(size).is_none_or(|end| end > self.file.len()) {
                return Err(format!("section {index} ends behind the file"));
            }
            let role = if flags & 0x8000_0400 != 0 {
                Role::Code
            } else if name.starts_with(b"__DWARF,") {
                Role::Debug
            } else {
                Role::Data
            };
            self.sections.push(Section {
                name,
                role,
                address: (role != Role::Debug).then_some(address),
                offset,
                size,
                memory,
                strings: flags & 0xff == 2,
                fields: vec![
                    plain("addr", address, true),
                    plain("size", memory, true),
                    plain("offset", offset, true),
                    plain("align", number(rest + 4, 4), true),
                    plain("flags", flags, false),
                ],
            });
        }
        Ok(())
    }

    /// The symbols that lie in sections; each reaches to the next one.
    fn symbols(&self) -> Symbols {
        self.read_symbols().unwrap_or_default()
    }

    fn read_symbols(&self) -> Option<Symbols> {
        let [offset, count, names_at, names_len] = self.symbols?;
        let entry = if self.is_64 { 16 } else { 12 };
        let size = count.checked_mul(entry).filter(|size| *size <= MAX_TABLE && names_len <= MAX_TABLE)?;
        let table = read(self.file, offset, size, "symbol table").ok()?;
        let names = read(self.file, names_at, names_len, "string table").ok()?;
        let table = Numbers { bytes: &table, ..self.commands };
        let text = Numbers::little(&names);
        let mut symbols = Symbols::new("symbol table", Vec::new());
        for index in 0..count as usize {
            let at = index * entry as usize;
            let (kind, section) = (table.number(at + 4, 1)?, table.number(at + 5, 1)? as usize);
            // Defined in a section, and not for a debugger.
            if kind & 0xe0 != 0 || kind & 0x0e != 0x0e || section == 0 || section > self.mapped() {
                continue;
            }
            let value = table.number(at + 8, if self.is_64 { 8 } else { 4 })?;
            let start = value.checked_sub(self.sections.get(section - 1)?.address?);
            let name = text.text(table.u32(at)? as usize, 16 << 10).unwrap_or_default();
            if let Some(start) = start.filter(|_| !name.is_empty()) {
                symbols.push_named(section - 1, start, 0, name);
            }
        }
        Some(symbols.reaching(|section| self.sections.get(section).map_or(0, |section| section.memory)))
    }

    /// How many sections stand before those of `__LINKEDIT`: symbols count only them.
    fn mapped(&self) -> usize {
        self.sections.iter().position(|section| !section.name.contains(&b',')).unwrap_or(self.sections.len())
    }
}
