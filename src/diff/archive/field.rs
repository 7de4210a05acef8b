//! Fields of headers, by name, and how those of two sides differ.

use std::collections::{HashMap, VecDeque};

use crate::diff::{Content, Finding, Pair, ReadError, Side, Value, bytes::failed};

/// A field of a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::diff) struct Field {
    /// In the format's own terms.
    pub name: &'static str,
    /// What it says.
    pub value: Value,
    /// Where it stands: offset and length; zeros for what stands in no one place.
    pub raw: (u64, u64),
    /// Whether it follows from other differences: sizes, offsets, checksums.
    pub derived: bool,
}

impl Field {
    /// A field that says something of its own.
    pub fn new(name: &'static str, value: Value, raw: (u64, u64)) -> Self {
        Field { name, value, raw, derived: false }
    }

    /// A field that follows from others.
    pub fn derived(name: &'static str, value: Value, raw: (u64, u64)) -> Self {
        Field { name, value, raw, derived: true }
    }
}

/// What differs between the fields of two sides. Fields are matched by name, those of one name in their order. Where
/// both say the same in other bytes, that is found as `spelling`.
pub(in crate::diff) fn compare(
    fields: Pair<Vec<Field>>,
    contents: Pair<&dyn Content>,
) -> Result<Vec<Finding>, ReadError> {
    let mut found = Vec::new();
    // A file can have a million fields of one name: every member of a gzip file has a time.
    let mut by_name: HashMap<&str, VecDeque<usize>> = HashMap::new();
    for (index, field) in fields.b.iter().enumerate() {
        by_name.entry(field.name).or_default().push_back(index);
    }
    let mut of_b: Vec<Option<Field>> = fields.b.into_iter().map(Some).collect();
    let none = || Value::Text(None);
    for a in fields.a {
        let same = by_name.get_mut(a.name).and_then(VecDeque::pop_front);
        let Some(b) = same.and_then(|index| of_b[index].take()) else {
            let (values, derived) = (Pair::new(a.value, none()), a.derived);
            found.push(Finding::Field { name: a.name, values, at: None, derived });
            continue;
        };
        let at = Some(Pair::new(a.raw.0, b.raw.0)).filter(|_| (a.raw, b.raw) != ((0, 0), (0, 0)));
        if a.value != b.value {
            let derived = a.derived && b.derived;
            found.push(Finding::Field { name: a.name, values: Pair::new(a.value, b.value), at, derived });
            continue;
        }
        let raw = Pair::new(read(Side::A, contents.a, a.raw)?, read(Side::B, contents.b, b.raw)?);
        if raw.a != raw.b {
            let values = raw.map(|raw| spelled(raw, &a.value));
            found.push(Finding::Field { name: "spelling", values, at, derived: false });
        }
    }
    for b in of_b.into_iter().flatten() {
        let (values, derived) = (Pair::new(none(), b.value), b.derived);
        found.push(Finding::Field { name: b.name, values, at: None, derived });
    }
    Ok(found)
}

fn spelled(raw: Vec<u8>, value: &Value) -> Value {
    if matches!(value, Value::Hex(_)) { Value::Hex(Some(raw)) } else { Value::Text(Some(raw)) }
}

/// The bytes of a field or between fields, as many as are worth looking at: a value that is longer is compared by its meaning alone.
fn read(side: Side, content: &dyn Content, (offset, len): (u64, u64)) -> Result<Vec<u8>, ReadError> {
    let mut bytes = vec![0; len.min(4096) as usize];
    content.read_exact_at(offset, &mut bytes).map_err(failed(side, offset))?;
    Ok(bytes)
}

/// The bytes of headers that no field covers, without zeros: padding, marks.
pub(super) fn rest(
    side: Side,
    content: &dyn Content,
    headers: &[(u64, u64)],
    fields: &[Field],
) -> Result<Vec<u8>, ReadError> {
    let mut covered: Vec<(u64, u64)> = fields.iter().map(|field| field.raw).collect();
    covered.sort_unstable();
    let mut rest = Vec::new();
    for (start, size) in headers {
        let (mut at, end) = (*start, start + size);
        for (from, len) in covered.iter().copied().chain([(end, 0)]) {
            if at < from && from <= end {
                rest.extend(read(side, content, (at, from - at))?);
            }
            if *start <= from {
                at = at.max(from.saturating_add(len));
            }
        }
    }
    rest.retain(|byte| *byte != 0);
    Ok(rest)
}
