//! GCC's notes and counts for `gcov` (`gcov-io.h`): version, stamp and checksum of the compilation, then records.

use super::{
    Content, Difference, FileKind, Finding, Pair, ReadError, Side, Step, Value, Window,
    bytes::{self, failed},
    executable::Numbers,
    file,
    limits::Effort,
};

/// The header: magic, version, stamp, checksum.
const HEADER: u64 = 16;

/// Whether a file that begins with `head` claims to be notes (`.gcno`) or counts (`.gcda`), in either byte order.
pub(super) fn is_gcov(head: &[u8]) -> bool {
    matches!(head.get(..4), Some(b"oncg" | b"gcno" | b"adcg" | b"gcda"))
}

/// Adds the fields of the header that differ, and the bytes behind it.
pub(super) fn compare(
    files: Pair<&dyn Content>,
    difference: &mut Difference,
    effort: &Effort<'_>,
) -> Result<(), ReadError> {
    let windows = files.map(Window::of);
    let head = |side: Side| windows.of(side).part(0, HEADER).to_vec().map_err(failed(side, 0));
    let heads = Pair::new(head(Side::A)?, head(Side::B)?);
    let numbers = heads.as_ref().map(|head| Numbers { bytes: head, big_endian: head.starts_with(b"gc") });
    difference.kind = Some(FileKind { words: "coverage notes".to_owned(), go: false, coverage: true });
    let mut part = Difference::new(Step::Table("header"));
    for (name, at) in [("version", 4), ("stamp", 8), ("checksum", 12)] {
        let values = numbers.map(|numbers| numbers.u32(at).unwrap_or_default());
        if values.a != values.b {
            let at = Some(Pair::new(at as u64, at as u64));
            part.found.push(Finding::Field { name, values: values.map(Value::Number), at, derived: false });
        }
    }
    difference.inside.extend(part.is_some().then_some(part));
    let rest = windows.map(|window| window.part(HEADER, window.end()));
    if let Some(found) = bytes::compare(rest, effort)? {
        let mut part = Difference::new(Step::Table("records"));
        file::add(found, &mut part);
        difference.inside.push(part);
    }
    Ok(())
}
