//! Relocations by what they say: which symbol is put where, and how. Offsets and the entries of symbol tables, which follow
//! from how things lie, are no difference here.

use std::collections::{BTreeMap, HashMap};

use object::{
    Endianness,
    elf::{
        Rel32, Rel64, Rela32, Rela64, SHT_DYNSYM, SHT_REL, SHT_RELA, SHT_SYMTAB, STB_LOCAL, STT_SECTION,
        Sym32, Sym64,
    },
    pod::{self, Pod},
    read::elf::{Rel, Rela, Sym},
};

use super::{
    parse::{Elf, Section},
    relocation_types,
};
use crate::diff::{
    Content, Difference, Finding, Pair, Step, Value,
    executable::{Image, without_hash},
};

/// Bytes of a table of relocations, of symbols or of their names that are read: some 700,000 relocations. Larger ones are
/// compared as bytes only.
const MAX_TABLE: u64 = 16 << 20;
/// Bytes of a name that are looked at.
const MAX_NAME: usize = 1024;
/// Relocations without a partner that are looked at more closely, of one section and side.
const CLOSER: usize = 1 << 14;
/// Relocations of one section that are named, and of all.
const SHOWN: usize = 16;
const SHOWN_IN_ALL: usize = 256;

/// Adds to the sections of relocations among `parts` which of them one side lacks, by name.
pub(super) fn compare(
    files: Pair<&dyn Content>,
    elves: &Pair<Elf>,
    images: &Pair<Image>,
    parts: &mut Vec<Difference>,
) {
    let says_more = |part: &Difference| {
        matches!(&part.at, Step::Section(name) if name.starts_with(b".rel")
            || matches!(&**name, b".symtab" | b".strtab" | b".dynsym" | b".dynstr"))
    };
    if !parts.iter().any(says_more) {
        return;
    }
    let mut place: HashMap<Vec<u8>, usize> = HashMap::new();
    for (index, part) in parts.iter().enumerate() {
        if let Step::Section(name) = &part.at {
            place.entry(name.clone()).or_insert(index);
        }
    }
    let mut left = SHOWN_IN_ALL;
    let tables = Pair::new(Tables::read(files.a, &elves.a), Tables::read(files.b, &elves.b));
    let sections = Pair::new(by_name(&elves.a), by_name(&elves.b));
    for (key, a) in &sections.a {
        let Some(b) = sections.b.get(key) else { continue };
        let of = |side: (&dyn Content, &Elf, &Section)| entries(side.0, side.1, side.2);
        let read = (of((files.a, &elves.a, a)), of((files.b, &elves.b, b)));
        let (Some(one), Some(other)) = read else { continue };
        let named = Pair::new(
            Named { elf: &elves.a, image: &images.a, tables: &tables.a, section: a, entries: &one },
            Named { elf: &elves.b, image: &images.b, tables: &tables.b, section: b, entries: &other },
        );
        let found = changes(&named, left.min(SHOWN));
        left = left.saturating_sub(found.len());
        if found.is_empty() {
            continue;
        }
        // Of several sections of one name it is said at the first that differs.
        let index = *place.entry(a.name.clone()).or_insert_with(|| {
            parts.push(Difference::new(Step::Section(a.name.clone())));
            parts.len() - 1
        });
        parts[index].found.extend(found);
    }
}

/// Sections of relocations by name and by how many of that name came before.
fn by_name(elf: &Elf) -> BTreeMap<(&[u8], usize), &Section> {
    let mut seen: HashMap<&[u8], usize> = HashMap::new();
    let relocations = elf.sections.iter().filter(|section| matches!(section.kind, SHT_REL | SHT_RELA));
    let numbered = relocations.map(|section| {
        let ordinal = seen.entry(&section.name).or_default();
        *ordinal += 1;
        ((section.name.as_slice(), *ordinal - 1), section)
    });
    numbered.collect()
}

/// A relocation as its table has it.
#[derive(Clone, Copy)]
struct Entry {
    offset: u64,
    kind: u32,
    symbol: u32,
    /// 0 where it stands at the place itself.
    addend: i64,
}

fn entries(file: &dyn Content, elf: &Elf, section: &Section) -> Option<Vec<Entry>> {
    if section.file_size() > MAX_TABLE {
        return None;
    }
    let bytes = section.window(file).to_vec().ok()?;
    let endian = elf.endian;
    match (section.kind, elf.is_64) {
        (SHT_RELA, true) => read_all::<Rela64<Endianness>>(&bytes, |entry| rela(entry, elf)),
        (SHT_RELA, false) => read_all::<Rela32<Endianness>>(&bytes, |entry| rela(entry, elf)),
        (_, true) => read_all::<Rel64<Endianness>>(&bytes, |entry| rel(entry, endian)),
        (_, false) => read_all::<Rel32<Endianness>>(&bytes, |entry| rel(entry, endian)),
    }
}

/// Those of which a symbol is named. The others are addresses: they follow from how things lie.
fn read_all<T: Pod>(bytes: &[u8], of: impl Fn(&T) -> Entry) -> Option<Vec<Entry>> {
    let (entries, _) = pod::slice_from_bytes::<T>(bytes, bytes.len() / size_of::<T>()).ok()?;
    Some(entries.iter().map(of).filter(|entry| entry.symbol != 0).collect())
}

fn rela<R: Rela<Endian = Endianness>>(entry: &R, elf: &Elf) -> Entry {
    // MIPS has three types in one entry when it is 64-bit and little endian.
    const MIPS: u64 = object::elf::EM_MIPS as u64;
    let mips64el = elf.is_64 && elf.endian == Endianness::Little && machine(elf) == MIPS;
    Entry {
        offset: entry.r_offset(elf.endian).into(),
        kind: entry.r_type(elf.endian, mips64el),
        symbol: entry.r_sym(elf.endian, mips64el),
        addend: entry.r_addend(elf.endian).into(),
    }
}

fn rel<R: Rel<Endian = Endianness>>(entry: &R, endian: Endianness) -> Entry {
    let (kind, symbol) = (entry.r_type(endian), entry.r_sym(endian));
    Entry { offset: entry.r_offset(endian).into(), kind, symbol, addend: 0 }
}

fn machine(elf: &Elf) -> u64 {
    elf.header.iter().find(|(name, _)| *name == "e_machine").map_or(0, |(_, value)| *value)
}

/// The symbols of a file, for what names them by number.
struct Tables {
    list: Vec<Table>,
}

/// A symbol table and its names.
struct Table {
    /// The index of its section.
    section: usize,
    symbols: Vec<Target>,
    names: Vec<u8>,
}

/// What a relocation can name.
#[derive(Clone, Copy)]
struct Target {
    name: u32,
    /// The section it is, where it is one.
    section: Option<u16>,
    local: bool,
}

impl Tables {
    /// The first table of each kind: a sound file has no other.
    fn read(file: &dyn Content, elf: &Elf) -> Tables {
        let first = |kind| elf.sections.iter().position(|section| section.kind == kind);
        let table = |index: usize| {
            let section = elf.sections.get(index)?;
            let names = elf.sections.get(section.link as usize)?;
            if section.file_size() > MAX_TABLE || names.file_size() > MAX_TABLE {
                return None;
            }
            let bytes = section.window(file).to_vec().ok()?;
            let symbols = match elf.is_64 {
                true => targets::<Sym64<Endianness>>(&bytes, elf.endian)?,
                false => targets::<Sym32<Endianness>>(&bytes, elf.endian)?,
            };
            Some(Table { section: index, symbols, names: names.window(file).to_vec().ok()? })
        };
        let kinds = [SHT_SYMTAB, SHT_DYNSYM].into_iter();
        Tables { list: kinds.filter_map(first).filter_map(table).collect() }
    }
}

fn targets<S: Sym<Endian = Endianness> + Pod>(bytes: &[u8], endian: Endianness) -> Option<Vec<Target>> {
    let (symbols, _) = pod::slice_from_bytes::<S>(bytes, bytes.len() / size_of::<S>()).ok()?;
    let target = |symbol: &S| Target {
        name: symbol.st_name(endian),
        section: (symbol.st_type() == STT_SECTION).then(|| symbol.st_shndx(endian)),
        local: symbol.st_bind() == STB_LOCAL,
    };
    Some(symbols.iter().map(target).collect())
}

/// The relocations of one section, and what it takes to name them.
struct Named<'a> {
    elf: &'a Elf,
    image: &'a Image,
    tables: &'a Tables,
    section: &'a Section,
    entries: &'a [Entry],
}

/// What two relocations have in common that say the same: their type, what they name, and how far behind it, where that does
/// not follow from how things lie.
type Key<'a> = (u32, &'a [u8], i64);

impl<'a> Named<'a> {
    fn target(&self, entry: &Entry) -> Option<(&'a [u8], bool)> {
        let table = self.tables.list.iter().find(|table| table.section == self.section.link as usize)?;
        let target = table.symbols.get(entry.symbol as usize)?;
        let name = match target.section {
            Some(index) => self.elf.sections.get(usize::from(index))?.name.as_slice(),
            None => table.names.get(target.name as usize..)?,
        };
        let name = &name[..name.len().min(MAX_NAME)];
        let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
        Some((&name[..end], target.local))
    }

    /// What a relocation says; `None` for one whose symbol cannot be read.
    fn key(&self, entry: &Entry) -> Option<Key<'a>> {
        let (name, local) = self.target(entry)?;
        Some((entry.kind, name, if local { 0 } else { entry.addend }))
    }

    /// Where a relocation applies: the index of a section, and the offset in it.
    fn place(&self, entry: &Entry) -> Option<(usize, u64)> {
        let sections = &self.elf.sections;
        if self.elf.is_relocatable {
            let index = self.section.values[7] as usize;
            return (index < sections.len()).then_some((index, entry.offset));
        }
        let mut loaded = self.image.sections.iter().enumerate();
        loaded.find_map(|(index, section)| {
            let offset = entry.offset.checked_sub(section.address?)?;
            (offset < section.memory).then_some((index, offset))
        })
    }

    /// `main+0x9`, `.data+0x10`.
    fn place_name(&self, entry: &Entry) -> Vec<u8> {
        let Some((index, offset)) = self.place(entry) else {
            return format!("{:#x}", entry.offset).into_bytes();
        };
        let (name, offset) = match self.image.symbols.at(index, offset) {
            Some(symbol) => (symbol.name, symbol.offset),
            None => (self.elf.sections[index].name.clone(), offset),
        };
        [&name[..name.len().min(MAX_NAME)], format!("+{offset:#x}").as_bytes()].concat()
    }

    /// `R_X86_64_PLT32 puts-0x4 at main+0x9`
    fn words(&self, entry: &Entry) -> Vec<u8> {
        let kind = relocation_types::name(machine(self.elf), entry.kind)
            .map_or_else(|| format!("type {}", entry.kind), str::to_owned);
        let addend = match entry.addend {
            0 => String::new(),
            addend if addend < 0 => format!("-{:#x}", addend.unsigned_abs()),
            addend => format!("+{addend:#x}"),
        };
        let name = self.target(entry).map_or(&b"?"[..], |(name, _)| name);
        let place = self.place_name(entry);
        [kind.as_bytes(), b" ", name, addend.as_bytes(), b" at ", &place].concat()
    }
}

/// What differs: the relocations that one side lacks, `shown` of them by name, with those that stand in their place.
fn changes(named: &Pair<Named<'_>>, shown: usize) -> Vec<Finding> {
    let mut lone = unmatched(named);
    let renamed = without_renamed(named, &mut lone);
    let (a, b) = (&lone.a.list, &lone.b.list);
    let text = |named: &Named<'_>, entry: Option<&Entry>| Value::Text(entry.map(|entry| named.words(entry)));
    let named_ones = paired(named, a, b, shown).into_iter().map(|(a, b)| Finding::Field {
        name: "relocation",
        values: Pair::new(text(&named.a, a), text(&named.b, b)),
        at: None,
        derived: false,
    });
    let mut found: Vec<Finding> = named_ones.collect();
    let total = Pair::new(lone.a.total - renamed, lone.b.total - renamed);
    let told = |finding: &Finding| match finding {
        Finding::Field { values, .. } => {
            [&values.a, &values.b].into_iter().filter(|value| **value != Value::Text(None)).count() as u64
        }
        _ => 0,
    };
    if total.a + total.b > found.iter().map(told).sum() {
        let values = total.map(Value::Decimal);
        found.push(Finding::Field {
            name: "relocations the other side lacks",
            values,
            at: None,
            derived: true,
        });
    }
    found
}

/// The relocations that the other side lacks, in the order of their table.
#[derive(Default)]
struct Lone {
    /// The first ones.
    list: Vec<Entry>,
    total: u64,
}

impl Lone {
    fn push(&mut self, entry: &Entry) {
        self.total += 1;
        if self.list.len() < CLOSER {
            self.list.push(*entry);
        }
    }
}

fn unmatched(named: &Pair<Named<'_>>) -> Pair<Lone> {
    let mut left: HashMap<Key<'_>, Vec<u32>> = HashMap::new();
    for (number, entry) in named.b.entries.iter().enumerate().rev() {
        if let Some(key) = named.b.key(entry) {
            left.entry(key).or_default().push(number as u32);
        }
    }
    let mut lone: Pair<Lone> = Pair::default();
    for entry in named.a.entries {
        let Some(key) = named.a.key(entry) else { continue };
        if left.get_mut(&key).and_then(Vec::pop).is_none() {
            lone.a.push(entry);
        }
    }
    let mut numbers: Vec<u32> = left.into_values().flatten().collect();
    numbers.sort_unstable();
    numbers.into_iter().for_each(|number| lone.b.push(&named.b.entries[number as usize]));
    lone
}

/// Drops those whose names differ only in what compilers hash into them, which is told with the symbols, and says how many of
/// each side they are.
fn without_renamed(named: &Pair<Named<'_>>, lone: &mut Pair<Lone>) -> u64 {
    let bare = |named: &Named<'_>, entry: &Entry| {
        let (kind, name, addend) = named.key(entry)?;
        Some((kind, without_hash(name), addend))
    };
    let mut known: HashMap<_, Vec<usize>> = HashMap::new();
    for (number, entry) in lone.b.list.iter().enumerate().rev() {
        known.entry(bare(&named.b, entry)).or_default().push(number);
    }
    let mut renamed = vec![false; lone.b.list.len()];
    lone.a.list.retain(|entry| {
        let partner = known.get_mut(&bare(&named.a, entry)).and_then(Vec::pop);
        partner.is_none_or(|number| {
            renamed[number] = true;
            false
        })
    });
    let count = renamed.iter().filter(|renamed| **renamed).count() as u64;
    let mut renamed = renamed.into_iter();
    lone.b.list.retain(|_| !renamed.next().unwrap_or_default());
    count
}

/// Relocations of the same place of both sides, then what is left of either; `shown` at most.
fn paired<'e>(
    named: &Pair<Named<'_>>,
    a: &'e [Entry],
    b: &'e [Entry],
    shown: usize,
) -> Vec<(Option<&'e Entry>, Option<&'e Entry>)> {
    // Some more than are shown: what stands for what may lie a little further on.
    let looked_at = shown * 4;
    let (a, b) = (&a[..a.len().min(looked_at)], &b[..b.len().min(looked_at)]);
    let mut places: HashMap<Vec<u8>, Vec<usize>> = HashMap::new();
    for (number, entry) in b.iter().enumerate().rev() {
        places.entry(named.b.place_name(entry)).or_default().push(number);
    }
    let mut pairs = Vec::new();
    let mut free = vec![true; b.len()];
    let mut lone = Vec::new();
    for entry in a {
        match places.get_mut(&named.a.place_name(entry)).and_then(Vec::pop) {
            Some(number) => {
                free[number] = false;
                pairs.push((Some(entry), Some(&b[number])));
            }
            None => lone.push((Some(entry), None)),
        }
    }
    pairs.extend(lone);
    pairs.extend(b.iter().zip(free).filter(|(_, free)| *free).map(|(entry, _)| (None, Some(entry))));
    pairs.truncate(shown);
    pairs
}
