//! Note sections (System V ABI, "Note Section"): what each note says, by owner and type.

use crate::diff::{Finding, Pair, Value};

/// Notes read of one section; real ones have a handful.
const MAX_NOTES: usize = 4096;

/// A note: owner, type, description.
type Note<'a> = (&'a [u8], u32, &'a [u8]);

/// The fields in which the notes of two sections differ.
pub(super) fn compare(bytes: Pair<&[u8]>, big_endian: bool, is_64: bool) -> Vec<Finding> {
    let notes = bytes.map(|bytes| read(bytes, big_endian));
    let mut found: Vec<Finding> = Vec::new();
    for (owner, kind, description) in &notes.a {
        let other = notes.b.iter().find(|(name, other, _)| name == owner && other == kind);
        let Some((_, _, other)) = other.filter(|(_, _, other)| other != description) else { continue };
        let pair = Pair::new(*description, *other);
        match (*owner, *kind) {
            (b"GNU", 3) => found.push(field("build id", pair.map(hex))),
            (b"GNU", 1) => found.push(field("oldest kernel", pair.map(hex))),
            (b"GNU", 4) => found.push(field("linker", pair.map(text))),
            (b"GNU", 5) => found.extend(properties(pair, big_endian, is_64)),
            (b"Go", 4) => found.push(field("Go build id", pair.map(text))),
            (b"FDO", 0xcafe_1a7e) => found.push(field("package", pair.map(text))),
            _ => found.push(field("note", pair.map(hex))),
        }
    }
    found
}

fn field(name: &'static str, values: Pair<Value>) -> Finding {
    Finding::Field { name, values, at: None, derived: false }
}

fn hex(bytes: &[u8]) -> Value {
    Value::Hex(Some(bytes.to_vec()))
}

fn text(bytes: &[u8]) -> Value {
    Value::Text(Some(bytes.split(|byte| *byte == 0).next().unwrap_or_default().to_vec()))
}

fn number(bytes: &[u8], big_endian: bool) -> Option<u32> {
    let word = *bytes.first_chunk::<4>()?;
    Some(if big_endian { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) })
}

fn read(mut bytes: &[u8], big_endian: bool) -> Vec<Note<'_>> {
    let mut notes = Vec::new();
    while notes.len() < MAX_NOTES {
        let word = |at: usize| number(bytes.get(at..)?, big_endian);
        let (Some(name), Some(len), Some(kind)) = (word(0), word(4), word(8)) else { break };
        let (name, len) = (name as usize, len as usize);
        let start = 12usize.saturating_add(name.next_multiple_of(4));
        let (Some(owner), Some(description)) =
            (bytes.get(12..12usize.saturating_add(name)), bytes.get(start..start.saturating_add(len)))
        else {
            break;
        };
        notes.push((owner.strip_suffix(b"\0").unwrap_or(owner), kind, description));
        let Some(rest) = bytes.get(start.saturating_add(len.next_multiple_of(4))..) else { break };
        bytes = rest;
    }
    notes
}

/// Properties (Linux extensions to the gABI): those that name instructions, and the others as they are.
fn properties(pair: Pair<&[u8]>, big_endian: bool, is_64: bool) -> Vec<Finding> {
    let lists = pair.map(|bytes| property_list(bytes, big_endian, is_64));
    let mut kinds: Vec<u32> = lists.a.iter().chain(&lists.b).map(|(kind, _)| *kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let value = |list: &[(u32, u32)], kind: u32| {
        list.iter()
            .find(|(other, _)| *other == kind)
            .map_or(Value::Text(None), |(_, value)| level(kind, *value))
    };
    let name = |kind: u32| match kind {
        0xc000_8002 => "x86 ISA needed",
        0xc001_0002 => "x86 ISA used",
        0xc000_0002 => "x86 features",
        0xc000_0000 => "AArch64 features",
        _ => "property",
    };
    kinds
        .into_iter()
        .map(|kind| (kind, Pair::new(value(&lists.a, kind), value(&lists.b, kind))))
        .filter(|(_, values)| values.a != values.b)
        .map(|(kind, values)| field(name(kind), values))
        .collect()
}

/// The levels of the x86-64 psABI, from the highest bit set.
fn level(kind: u32, value: u32) -> Value {
    if !matches!(kind, 0xc000_8002 | 0xc001_0002) {
        return Value::Number(u64::from(value));
    }
    let name = match value.checked_ilog2() {
        None => "none",
        Some(0) => "x86-64-baseline",
        Some(1) => "x86-64-v2",
        Some(2) => "x86-64-v3",
        Some(3) => "x86-64-v4",
        _ => return Value::Number(u64::from(value)),
    };
    Value::Named(u64::from(value), name)
}

fn property_list(mut bytes: &[u8], big_endian: bool, is_64: bool) -> Vec<(u32, u32)> {
    let align = if is_64 { 8 } else { 4 };
    let mut list = Vec::new();
    while let (Some(kind), Some(len)) =
        (number(bytes, big_endian), bytes.get(4..).and_then(|bytes| number(bytes, big_endian)))
    {
        let value = bytes.get(8..).and_then(|bytes| number(bytes, big_endian)).filter(|_| len >= 4);
        list.push((kind, value.unwrap_or_default()));
        let next = 8usize.saturating_add((len as usize).next_multiple_of(align));
        let Some(rest) = bytes.get(next..).filter(|_| list.len() < MAX_NOTES) else { break };
        bytes = rest;
    }
    list
}
