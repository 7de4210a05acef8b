//! `ar` archives: static libraries and Debian packages. GNU's and BSD's ways to write long names and symbol indices
//! (deb(5), and "Archives" of the GNU binutils' BFD sources; ar(5) of FreeBSD).

use std::io;

use super::{Archive, MAX_NAME, Member, Stop, array, bytes, compare as comparing, field::Field, number};
use crate::diff::{Content, Difference, Limits, Pair, ReadError, Value, limits::Effort, unpack::Packing};

const MAGIC: &[u8] = b"!<arch>\n";
/// A thin archive has headers only: its contents are in other files.
const THIN: &[u8] = b"!<thin>\n";

/// Length of a member's header.
const HEADER: u64 = 60;

/// Largest table of long names held in memory.
const MAX_NAMES: u64 = 16 << 20;

/// Whether a file that begins with `head` claims to be an `ar` archive.
pub(in crate::diff) fn is_ar(head: &[u8]) -> bool {
    head.starts_with(MAGIC) || head.starts_with(THIN)
}

/// Compares two `ar` archives.
pub(in crate::diff) fn compare(
    files: Pair<&dyn Content>,
    difference: &mut Difference,
    effort: &Effort<'_>,
) -> Result<(), ReadError> {
    comparing::compare("ar", parse, files, difference, effort)
}

fn parse<'a>(content: &'a dyn Content, limits: &Limits) -> Result<Archive<'a>, Stop> {
    let magic = array::<8>(content, 0)?;
    let thin = magic == THIN;
    let mut members = Vec::new();
    // The table of long names, and where it is.
    let mut names = Vec::new();
    let mut at = MAGIC.len() as u64;
    // A newline pads to even offsets; some writers leave it out at the end.
    while at < content.len() {
        if members.len() as u64 == limits.members {
            return Err(Stop::Cap { what: "members", cap: limits.members });
        }
        let broken = |what| Stop::Broken { offset: at, what };
        let header = array::<{ HEADER as usize }>(content, at)?;
        if &header[58..] != b"`\n" {
            return Err(broken("a header does not end as one does"));
        }
        let size = number(&header[48..58], 10).ok_or_else(|| broken("a size is no number"))?;
        let raw = header[..16].trim_ascii_end();
        let special = matches!(raw, b"/" | b"//" | b"/SYM64/");
        let stored = if thin && !special { 0 } else { size };
        let data = at + HEADER;
        if data.checked_add(stored).is_none_or(|end| end > content.len()) {
            return Err(broken("its contents end behind the end of the archive"));
        }
        let (name, inline) = name(content, raw, data, stored, &names).map_err(|what| match what {
            NameFault::Format(what) => broken(what),
            NameFault::Stop(stop) => stop,
        })?;
        if raw == b"//" {
            if size > MAX_NAMES {
                return Err(Stop::Cap { what: "bytes of names", cap: MAX_NAMES });
            }
            names = bytes(content, data, size)?;
        }
        let index = special || name.starts_with(b"__.SYMDEF");
        members.push(Member {
            name,
            what: if index { "index" } else { "file" },
            fields: Vec::new(),
            headers: [(at, HEADER + inline), (0, 0), (0, 0)],
            data: (data + inline, stored - inline),
            packing: Packing::None,
            size: size - inline.min(size),
            index,
        });
        at = (data + stored).next_multiple_of(2).min(content.len());
    }
    let kind = if thin { "thin archive" } else { "archive" };
    let fields = vec![Field::new("kind of archive", Value::Named(0, kind), (0, 8))];
    let describe = Box::new(move |member: &Member| describe(content, member));
    Ok(Archive { fields, members, tables: vec![(0, 8)], describe, ..Archive::default() })
}

enum NameFault {
    Format(&'static str),
    Stop(Stop),
}

/// A member's name, and how many bytes of its contents are the name.
fn name(
    content: &dyn Content,
    raw: &[u8],
    data: u64,
    stored: u64,
    names: &[u8],
) -> Result<(Vec<u8>, u64), NameFault> {
    if let Some(length) = raw.strip_prefix(b"#1/") {
        let length = number(length, 10).filter(|length| *length <= stored.min(MAX_NAME));
        let length = length.ok_or(NameFault::Format("a BSD name is longer than the member"))?;
        let name = bytes(content, data, length).map_err(NameFault::Stop)?;
        return Ok((super::until_nul(&name).to_vec(), length));
    }
    if let Some(offset @ [b'0'..=b'9', ..]) = raw.strip_prefix(b"/") {
        // In a thin archive of archives, `:` and another offset follow.
        let digits = offset.split(|byte| *byte == b':').next().unwrap_or_default();
        let start = number(digits, 10).and_then(|start| usize::try_from(start).ok());
        let name = start.and_then(|start| names.get(start..));
        let name = name.ok_or(NameFault::Format("a long name is outside of the table of names"))?;
        let end = name.iter().position(|byte| matches!(byte, b'\n' | 0)).unwrap_or(name.len());
        let name = &name[..end.min(MAX_NAME as usize)];
        return Ok((name.strip_suffix(b"/").unwrap_or(name).to_vec(), 0));
    }
    let special = matches!(raw, b"/" | b"//" | b"/SYM64/");
    let name = if special { raw } else { raw.strip_suffix(b"/").unwrap_or(raw) };
    Ok((name.to_vec(), 0))
}

fn describe(content: &dyn Content, member: &Member) -> io::Result<Vec<Field>> {
    let (at, len) = member.headers[0];
    let mut header = [0; HEADER as usize];
    content.read_exact_at(at, &mut header)?;
    let text = |range: std::ops::Range<usize>| Value::Text(Some(header[range].trim_ascii_end().to_vec()));
    let place = |range: &std::ops::Range<usize>| (at + range.start as u64, range.len() as u64);
    let counted = |name, range: std::ops::Range<usize>, radix, value: fn(u64) -> Value| {
        let said = number(&header[range.clone()], radix).map_or_else(|| text(range.clone()), value);
        Field::new(name, said, place(&range))
    };
    let time = |seconds: u64| Value::Time(i64::try_from(seconds).unwrap_or(i64::MAX));
    let mut fields = vec![
        // The offset into a table of names follows from the names before it.
        Field { derived: header[0] == b'/', ..Field::new("name as written", text(0..16), place(&(0..16))) },
        counted("mtime", 16..28, 10, time),
        counted("uid", 28..34, 10, Value::Decimal),
        counted("gid", 34..40, 10, Value::Decimal),
        counted("mode", 40..48, 8, Value::Octal),
    ];
    let size = counted("size", 48..58, 10, Value::Decimal);
    fields.push(Field { derived: true, ..size });
    if len > HEADER {
        let mut name = vec![0; (len - HEADER) as usize];
        content.read_exact_at(at + HEADER, &mut name)?;
        fields.push(Field::new("name as written", Value::Text(Some(name)), (at + HEADER, len - HEADER)));
    }
    Ok(fields)
}
