//! Two ELF files: fields by name, sections matched by name and compared by content.

use std::collections::HashMap;

use object::elf::SHT_NOBITS;

use super::{
    dynamic, names,
    parse::{self, Broken, Elf, SECTION_FIELDS, SEGMENT_FIELDS, Section},
    symbols::Symbols,
};
use crate::diff::{
    Content, Difference, Finding, Note, Pair, ReadError, Side, Step, Value, Window, bytes, file,
    limits::Effort,
};

/// Longest bytes of a note or string section shown as one value; the interpreter, the compiler's comment.
const MAX_VALUE: u64 = 4096;

/// Adds the parts in which two ELF files differ; a note when one of them is broken.
pub(in crate::diff) fn compare(
    files: Pair<&dyn Content>,
    difference: &mut Difference,
    effort: &Effort<'_>,
) -> Result<(), ReadError> {
    let parse = |side: Side| match parse::parse(*files.of(side)) {
        Ok(elf) => Ok(Ok(elf)),
        Err(Broken::At(offset, what)) => Ok(Err(Note::BrokenElf { side, offset, what })),
        Err(Broken::Io(offset, source)) => Err(ReadError { side, offset, source }),
    };
    let elves = match (parse(Side::A)?, parse(Side::B)?) {
        (Ok(a), Ok(b)) => Pair::new(a, b),
        (Err(note), _) | (_, Err(note)) => {
            difference.notes.push(note);
            return Ok(());
        }
    };
    let mut parts = Vec::new();
    let mut header = Difference::new(Step::Header);
    for ((name, a), (_, b)) in elves.a.header.iter().zip(&elves.b.header) {
        header.found.extend(field(name, *a, *b));
    }
    parts.push(header);
    segments(&elves, &mut parts);
    let mut words = Difference::new(Step::Dynamic);
    words.found = dynamic::compare(files, &elves);
    parts.push(words);
    sections(files, &elves, effort, &mut parts)?;
    between(files, &elves, effort, &mut parts)?;
    parts.retain(Difference::is_some);
    difference.inside.extend(parts);
    Ok(())
}

fn field(name: &'static str, a: u64, b: u64) -> Option<Finding> {
    let value = |number| match names::value(name, number) {
        Some(text) => Value::Named(number, text),
        None => Value::Number(number),
    };
    (a != b).then(|| Finding::Field {
        name,
        values: Pair::new(value(a), value(b)),
        at: None,
        derived: names::is_layout(name),
    })
}

fn segments(elves: &Pair<Elf>, parts: &mut Vec<Difference>) {
    for (index, (a, b)) in elves.a.segments.iter().zip(&elves.b.segments).enumerate() {
        let mut part = Difference::new(Step::Segment(index as u32, names::segment(a.kind)));
        for ((name, a), b) in SEGMENT_FIELDS.iter().zip(a.values).zip(b.values) {
            part.found.extend(field(name, a, b));
        }
        parts.push(part);
    }
}

/// Sections of one file by name and by how many of that name came before.
fn by_name(sections: &[Section]) -> HashMap<(&[u8], usize), usize> {
    let mut seen: HashMap<&[u8], usize> = HashMap::new();
    let mut index = HashMap::new();
    for (number, section) in sections.iter().enumerate().skip(1) {
        let ordinal = seen.entry(&section.name).or_default();
        index.insert((section.name.as_slice(), *ordinal), number);
        *ordinal += 1;
    }
    index
}

fn sections(
    files: Pair<&dyn Content>,
    elves: &Pair<Elf>,
    effort: &Effort<'_>,
    parts: &mut Vec<Difference>,
) -> Result<(), ReadError> {
    let names = elves.as_ref().map(|elf| by_name(&elf.sections));
    let mut order: Vec<_> = names.a.iter().map(|(key, index)| (*index, Side::A, *key)).collect();
    order.extend(
        names.b.iter().filter(|(key, _)| !names.a.contains_key(*key)).map(|(key, i)| (*i, Side::B, *key)),
    );
    order.sort_unstable();
    let mut symbols = None;
    for (_, _, key) in order {
        let mut part = Difference::new(Step::Section(key.0.to_vec()));
        let of = |elf: &'_ Pair<Elf>, side| -> Option<(usize, Section)> {
            let index = *names.of(side).get(&key)?;
            elf.of(side).sections.get(index).map(|section| (index, section.clone()))
        };
        match (of(elves, Side::A), of(elves, Side::B)) {
            (Some(a), Some(b)) => {
                for ((name, a), b) in SECTION_FIELDS.iter().zip(a.1.values).zip(b.1.values) {
                    part.found.extend(field(name, a, b));
                }
                if a.1.kind != SHT_NOBITS || b.1.kind != SHT_NOBITS {
                    let windows = Pair::new(a.1.window(files.a), b.1.window(files.b));
                    if let Some(mut found) = bytes::compare(windows, effort)? {
                        part.found.extend(meaning(key.0, windows)?);
                        let symbols = symbols.get_or_insert_with(|| Symbols::of(files.a, &elves.a));
                        symbols.name(a.0, Side::A, &mut found.ranges);
                        file::add(found, &mut part);
                    }
                }
            }
            (Some((_, section)), None) => part.found.push(only(Side::A, &section)),
            (None, Some((_, section))) => part.found.push(only(Side::B, &section)),
            (None, None) => {}
        }
        parts.push(part);
    }
    Ok(())
}

fn only(side: Side, section: &Section) -> Finding {
    Finding::OnlyIn { side, what: "section", size: section.file_size() }
}

/// What a section that differs means, for the few that are one value.
fn meaning(name: &[u8], windows: Pair<Window<'_>>) -> Result<Option<Finding>, ReadError> {
    let (field, is_text) = match name {
        b".interp" => ("program interpreter", true),
        b".comment" => ("compiler", true),
        b".note.gnu.build-id" => ("build id", false),
        b".note.go.buildid" => ("Go build id", true),
        _ => return Ok(None),
    };
    if windows.a.size().max(windows.b.size()) > MAX_VALUE {
        return Ok(None);
    }
    let bytes = Pair::new(
        windows.a.to_vec().map_err(bytes::failed(Side::A, windows.a.start()))?,
        windows.b.to_vec().map_err(bytes::failed(Side::B, windows.b.start()))?,
    );
    let value = |bytes: Vec<u8>| {
        // A note: sizes of name and description, type, name padded to four bytes, description.
        let note = name.starts_with(b".note").then(|| bytes.get(16..).unwrap_or_default().to_vec());
        let bytes = note.unwrap_or(bytes);
        if is_text {
            let strings: Vec<&[u8]> =
                bytes.split(|byte| *byte == 0).filter(|text| !text.is_empty()).collect();
            Value::Text(Some(strings.join(&b"; "[..])))
        } else {
            Value::Hex(Some(bytes))
        }
    };
    Ok(Some(Finding::Field { name: field, values: bytes.map(value), at: None, derived: false }))
}

/// Bytes that no table and no section covers, gap by gap. Padding of zeros is no difference of its own: its length
/// follows from where sections lie.
fn between(
    files: Pair<&dyn Content>,
    elves: &Pair<Elf>,
    effort: &Effort<'_>,
    parts: &mut Vec<Difference>,
) -> Result<(), ReadError> {
    let gaps = Pair::new(gaps(Side::A, files.a, &elves.a)?, gaps(Side::B, files.b, &elves.b)?);
    for index in 0..gaps.a.len().max(gaps.b.len()) {
        let window = |side: Side| {
            let gap = gaps.of(side).get(index);
            gap.map_or(Window::new(*files.of(side), u64::MAX, 0), |(start, end)| {
                Window::new(*files.of(side), *start, end - start)
            })
        };
        if let Some(found) = bytes::compare(Pair::new(window(Side::A), window(Side::B)), effort)? {
            let mut part = Difference::new(Step::BetweenSections);
            file::add(found, &mut part);
            parts.push(part);
        }
    }
    Ok(())
}

/// The gaps of one file that hold more than zeros.
fn gaps(side: Side, file: &dyn Content, elf: &Elf) -> Result<Vec<(u64, u64)>, ReadError> {
    let mut covered = elf.tables.clone();
    covered.extend(elf.sections.iter().map(|section| (section.offset, section.file_size())));
    covered.sort_unstable();
    let mut gaps = Vec::new();
    let mut at = 0;
    for (start, len) in covered.into_iter().chain([(file.len(), 0)]) {
        if start > at && !is_zero(side, file, at, start)? {
            gaps.push((at, start));
        }
        at = at.max(start.saturating_add(len));
    }
    Ok(gaps)
}

fn is_zero(side: Side, file: &dyn Content, start: u64, end: u64) -> Result<bool, ReadError> {
    let window = Window::new(file, start, end - start);
    let mut buffer = Vec::new();
    let mut at = window.start();
    while at < window.end() {
        let next = (at + (64 << 10)).min(window.end());
        if window.bytes(at, next, &mut buffer).map_err(bytes::failed(side, at))?.iter().any(|byte| *byte != 0)
        {
            return Ok(false);
        }
        at = next;
    }
    Ok(true)
}
