//! The headers of DWARF's line programs (version 2 to 5): which directories and files a unit was compiled from.

use std::{
    collections::{HashMap, HashSet},
    rc::Rc,
};

use gimli::{AttributeValue, DebugLineOffset, Dwarf, EndianSlice, Reader as _, RunTimeEndian, Section as _};

use crate::diff::{Finding, Pair, Value};

/// Bytes of the header of one unit's line program; what it lists takes some fifty times as much memory at most.
const MAX_HEADER: u64 = 4 << 20;
/// Bytes of those headers of a file in all. Each unit has its own in a sound file; in one that lies, every unit could
/// mean the same one.
const MAX_HEADERS: u64 = 256 << 20;
/// Directories and files kept of one file.
const MAX_ENTRIES: usize = 1 << 18;
/// Bytes kept of a name.
const MAX_NAME: usize = 4096;
/// Entries shown of one unit.
const SHOWN: usize = 8;

type Slice<'a> = EndianSlice<'a, RunTimeEndian>;

/// A directory or file of a line program, kept once for all units.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Entry {
    name: Vec<u8>,
    /// The file's contents by MD5, where the compiler wrote that down.
    md5: Option<[u8; 16]>,
}

/// What the header of a line program lists.
#[derive(Debug, Default)]
pub(super) struct LineTable {
    directories: Vec<Rc<Entry>>,
    files: Vec<Rc<Entry>>,
}

/// Reads line programs as long as they are not too much.
pub(super) struct Lines {
    known: HashSet<Rc<Entry>>,
    entries: usize,
    left: u64,
}

impl Lines {
    pub fn new() -> Self {
        Lines { known: HashSet::new(), entries: 0, left: MAX_HEADERS }
    }

    /// Whether the line program at `offset` may be read: [`gimli::Unit`] reads its header as a whole.
    pub fn may_read(&mut self, dwarf: &Dwarf<Slice<'_>>, offset: DebugLineOffset) -> bool {
        let length = header_length(*dwarf.debug_line.reader(), offset).unwrap_or_default();
        if length > MAX_HEADER || length > self.left {
            return false;
        }
        self.left -= length;
        true
    }

    /// What the line program of a unit lists; nothing when it has none.
    pub fn of(&mut self, dwarf: &Dwarf<Slice<'_>>, unit: &gimli::Unit<Slice<'_>>) -> LineTable {
        let Some(program) = &unit.line_program else { return LineTable::default() };
        let header = program.header();
        let has_md5 = header.file_has_md5();
        let mut table = LineTable::default();
        for directory in header.include_directories() {
            table.directories.extend(self.keep(dwarf, unit, *directory, None));
        }
        for file in header.file_names() {
            let md5 = has_md5.then(|| *file.md5());
            table.files.extend(self.keep(dwarf, unit, file.path_name(), md5));
        }
        table
    }

    fn keep(
        &mut self,
        dwarf: &Dwarf<Slice<'_>>,
        unit: &gimli::Unit<Slice<'_>>,
        name: AttributeValue<Slice<'_>>,
        md5: Option<[u8; 16]>,
    ) -> Option<Rc<Entry>> {
        let name = dwarf.attr_string(unit, name).ok()?.slice();
        self.entries += 1;
        if self.entries > MAX_ENTRIES {
            return None;
        }
        let entry = Rc::new(Entry { name: name[..name.len().min(MAX_NAME)].to_vec(), md5 });
        let known = self.known.get(&entry).cloned();
        Some(known.unwrap_or_else(|| {
            self.known.insert(Rc::clone(&entry));
            entry
        }))
    }
}

/// Bytes of the header of the line program at `offset`, as it says itself (DWARF 5, 6.2.4).
fn header_length(mut section: Slice<'_>, offset: DebugLineOffset) -> gimli::Result<u64> {
    section.skip(offset.0)?;
    let (_, format) = section.read_initial_length()?;
    if section.read_u16()? >= 5 {
        // Sizes of addresses and of segment selectors.
        section.skip(2)?;
    }
    Ok(section.read_length(format)? as u64)
}

/// What two units list otherwise; `told` are the names that the units' own attributes tell.
pub(super) fn compare(tables: Pair<&LineTable>, told: Pair<[&[u8]; 2]>) -> Vec<Finding> {
    let mut found = Vec::new();
    for (name, of) in [
        ("include_directories", (|table| &table.directories) as fn(&LineTable) -> &Vec<Rc<Entry>>),
        ("file_names", |table| &table.files),
    ] {
        let lists = tables.map(of);
        let all = lone(lists.map(Vec::as_slice), &told);
        let longer = all.a.len().max(all.b.len());
        let text = |list: &[&[u8]], index: usize| Value::Text(list.get(index).map(|name| name.to_vec()));
        found.extend((0..longer.min(SHOWN)).map(|index| Finding::Field {
            name,
            values: Pair::new(text(&all.a, index), text(&all.b, index)),
            at: None,
            // One more on one side follows from what was compiled.
            derived: all.a.len() != all.b.len(),
        }));
        if longer > SHOWN {
            let name = match name {
                "file_names" => "file_names the other side lacks",
                _ => "include_directories the other side lacks",
            };
            let values = Pair::new(all.a.len(), all.b.len()).map(|count| Value::Decimal(count as u64));
            found.push(Finding::Field { name, values, at: None, derived: true });
        }
    }
    found.extend(contents(tables));
    found
}

/// The names that the other side lacks, each as often as it does, in their order.
fn lone<'t>(lists: Pair<&'t [Rc<Entry>]>, told: &Pair<[&[u8]; 2]>) -> Pair<Vec<&'t [u8]>> {
    let mut balance: HashMap<&[u8], i64> = HashMap::new();
    lists.a.iter().for_each(|entry| *balance.entry(&entry.name).or_default() += 1);
    lists.b.iter().for_each(|entry| *balance.entry(&entry.name).or_default() -= 1);
    let mut of = |list: &'t [Rc<Entry>], sign: i64, told: &[&[u8]; 2]| -> Vec<&'t [u8]> {
        let mut lone = Vec::new();
        for entry in list {
            let Some(count) = balance.get_mut(entry.name.as_slice()).filter(|count| **count * sign > 0)
            else {
                continue;
            };
            *count -= sign;
            if !told.contains(&entry.name.as_slice()) {
                lone.push(entry.name.as_slice());
            }
        }
        lone
    };
    Pair::new(of(lists.a, 1, &told.a), of(lists.b, -1, &told.b))
}

/// Files of one name whose contents differ: a checksum, so it follows from something.
fn contents(tables: Pair<&LineTable>) -> Vec<Finding> {
    let mut of_b: HashMap<&[u8], [u8; 16]> = HashMap::new();
    for entry in &tables.b.files {
        if let Some(md5) = entry.md5 {
            of_b.entry(&entry.name).or_insert(md5);
        }
    }
    let mut seen: HashSet<&[u8]> = HashSet::new();
    let differing = tables.a.files.iter().filter_map(|entry| {
        let (a, b) = (entry.md5?, *of_b.get(entry.name.as_slice())?);
        (a != b && seen.insert(&entry.name)).then(|| {
            let text = |md5: [u8; 16]| {
                let hex = data_encoding::HEXLOWER.encode(&md5);
                Value::Text(Some([&entry.name[..], b" ", hex.as_bytes()].concat()))
            };
            let values = Pair::new(a, b).map(text);
            Finding::Field { name: "DW_LNCT_MD5", values, at: None, derived: true }
        })
    });
    differing.take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The beginning of a line program of version 4 whose header is this long.
    fn program(header: u64) -> Vec<u8> {
        let lengths = [0xffff_ffff_u32.to_le_bytes().to_vec(), (header + 10).to_le_bytes().to_vec()];
        [lengths.concat(), 4u16.to_le_bytes().to_vec(), header.to_le_bytes().to_vec()].concat()
    }

    fn dwarf(bytes: &[u8]) -> Dwarf<Slice<'_>> {
        Dwarf { debug_line: EndianSlice::new(bytes, RunTimeEndian::Little).into(), ..Dwarf::default() }
    }

    #[test]
    fn a_header_that_every_unit_means_is_not_read_for_each_of_a_million() {
        let bytes = program(MAX_HEADER);
        let (dwarf, mut lines) = (dwarf(&bytes), Lines::new());
        let read = (0..1_000_000).filter(|_| lines.may_read(&dwarf, DebugLineOffset(0))).count();
        assert_eq!(read as u64, MAX_HEADERS / MAX_HEADER);
    }

    #[test]
    fn a_header_that_claims_to_be_longer_than_any_is_not_read_at_all() {
        let bytes = program(MAX_HEADER + 1);
        assert!(!Lines::new().may_read(&dwarf(&bytes), DebugLineOffset(0)));
        let sound = program(100);
        assert!(Lines::new().may_read(&dwarf(&sound), DebugLineOffset(0)));
    }

    #[test]
    fn lists_are_compared_as_lists_and_what_the_unit_tells_is_not_told_again() {
        let entry = |name: &str| Rc::new(Entry { name: name.as_bytes().to_vec(), md5: None });
        let table = |names: &[&str]| LineTable {
            directories: names.iter().map(|name| entry(name)).collect(),
            files: Vec::new(),
        };
        let (a, b) = (table(&["/one", "/same", "/x", "/x"]), table(&["/two", "/x", "/y", "/same"]));
        let told = Pair::new([&b"main.c"[..], b"/one"], [&b"main.c"[..], b"/two"]);
        let found = compare(Pair::new(&a, &b), told);
        let text = |name: &str| Value::Text(Some(name.as_bytes().to_vec()));
        let expected = Finding::Field {
            name: "include_directories",
            values: Pair::new(text("/x"), text("/y")),
            at: None,
            derived: false,
        };
        assert_eq!(found, [expected]);
        let many: Vec<String> = (0..100).map(|number| format!("/{number}")).collect();
        let many = table(&many.iter().map(String::as_str).collect::<Vec<_>>());
        let found = compare(Pair::new(&many, &LineTable::default()), told);
        assert_eq!(found.len(), SHOWN + 1, "and how many there are");
    }
}
