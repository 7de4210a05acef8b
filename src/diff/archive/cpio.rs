//! cpio archives in the `newc` format, as initial file systems and RPM have them (cpio(5), and
//! "Early userspace: initramfs buffer format" of the Linux kernel's documentation).
//!
//! Several archives may follow each other, the last of them compressed: what is behind the end of the first is one
//! more member here.

use std::io;

use super::{
    Archive, MAX_NAME, Member, Stop, array, bytes, compare as comparing, field::Field, number, until_nul,
};
use crate::diff::{Content, Difference, Limits, Pair, ReadError, Value, limits::Effort, unpack::Packing};

const HEADER: u64 = 110;

/// The member that ends an archive.
const END: &[u8] = b"TRAILER!!!";

/// Whether a file that begins with `head` claims to be a cpio archive in `newc` format, with or without checksums.
pub(in crate::diff) fn is_cpio(head: &[u8]) -> bool {
    head.starts_with(b"070701") || head.starts_with(b"070702")
}

/// Compares two cpio archives.
pub(in crate::diff) fn compare(
    files: Pair<&dyn Content>,
    difference: &mut Difference,
    effort: &Effort<'_>,
) -> Result<(), ReadError> {
    comparing::compare("cpio", parse, files, difference, effort)
}

fn parse<'a>(content: &'a dyn Content, limits: &Limits) -> Result<Archive<'a>, Stop> {
    let mut members = Vec::new();
    let mut at = 0;
    loop {
        if members.len() as u64 >= limits.members {
            return Err(Stop::Cap { what: "members", cap: limits.members });
        }
        let member = member(content, at)?;
        at = member.data.0 + member.data.1;
        let last = member.name == END;
        members.push(member);
        if last {
            break;
        }
        at = at.next_multiple_of(4).min(content.len());
    }
    let rest = behind(content, at)?;
    members.extend(rest);
    let describe = Box::new(move |member: &Member| describe(content, member));
    Ok(Archive { fields: Vec::new(), members, tables: Vec::new(), describe, ..Archive::default() })
}

fn member(content: &dyn Content, at: u64) -> Result<Member, Stop> {
    let broken = |what| Stop::Broken { offset: at, what };
    let header = array::<{ HEADER as usize }>(content, at)?;
    if !is_cpio(&header) {
        return Err(broken("no header"));
    }
    let word = |index: usize| number(&header[6 + 8 * index..14 + 8 * index], 16);
    let (mode, size, name_len) = match (word(1), word(6), word(11)) {
        (Some(mode), Some(size), Some(name_len)) if name_len <= MAX_NAME => (mode, size, name_len),
        _ => return Err(broken("a number of the header is none")),
    };
    let name = until_nul(&bytes(content, at + HEADER, name_len)?).to_vec();
    let data = (at + HEADER + name_len).next_multiple_of(4);
    if data + size > content.len() {
        return Err(broken("its contents end behind the end of the archive"));
    }
    let what = match mode & 0o170_000 {
        0o040_000 => "directory",
        0o120_000 => "symbolic link",
        0o060_000 => "block device",
        0o020_000 => "character device",
        0o010_000 => "named pipe",
        _ if name == END => "end of the archive",
        _ => "file",
    };
    Ok(Member {
        name,
        what,
        fields: Vec::new(),
        headers: [(at, data - at), (0, 0), (0, 0)],
        data: (data, size),
        packing: Packing::None,
        size,
        index: false,
    })
}

/// What is behind the end, and behind its padding: another archive, often a compressed one.
fn behind(content: &dyn Content, end: u64) -> Result<Option<Member>, Stop> {
    let mut at = end;
    let mut block = vec![0; 4096];
    while at < content.len() {
        let len = (content.len() - at).min(block.len() as u64) as usize;
        content.read_exact_at(at, &mut block[..len]).map_err(|source| Stop::Read { offset: at, source })?;
        if let Some(first) = block[..len].iter().position(|byte| *byte != 0) {
            let start = at + first as u64;
            let size = content.len() - start;
            return Ok(Some(Member {
                name: b"(behind the end)".to_vec(),
                what: "archive",
                fields: Vec::new(),
                headers: [(0, 0); 3],
                data: (start, size),
                packing: Packing::None,
                size,
                index: false,
            }));
        }
        at += len as u64;
    }
    Ok(None)
}

/// A number of the header: its name, how it is shown, and whether it follows from others.
type Word = (&'static str, fn(u64) -> Value, bool);

/// The numbers of the header in their order.
const FIELDS: [Word; 13] = [
    ("inode", Value::Decimal, false),
    ("mode", Value::Octal, false),
    ("uid", Value::Decimal, false),
    ("gid", Value::Decimal, false),
    ("links", Value::Decimal, false),
    ("mtime", |seconds| Value::Time(seconds as i64), false),
    ("size", Value::Decimal, true),
    ("device, major", Value::Decimal, false),
    ("device, minor", Value::Decimal, false),
    ("device node, major", Value::Decimal, false),
    ("device node, minor", Value::Decimal, false),
    ("length of the name", Value::Decimal, true),
    ("checksum", Value::Number, true),
];

fn describe(content: &dyn Content, member: &Member) -> io::Result<Vec<Field>> {
    let (at, len) = member.headers[0];
    if len < HEADER {
        return Ok(Vec::new());
    }
    let mut header = vec![0; len as usize];
    content.read_exact_at(at, &mut header)?;
    let text = |bytes: &[u8]| Value::Text(Some(bytes.to_vec()));
    let mut fields = vec![Field::new("format", text(&header[..6]), (at, 6))];
    for (index, (name, value, derived)) in FIELDS.iter().enumerate() {
        let start = 6 + 8 * index;
        let raw = &header[start..start + 8];
        let value = number(raw, 16).map_or_else(|| text(raw), value);
        fields.push(Field { name, value, raw: (at + start as u64, 8), derived: *derived });
    }
    let name = &header[HEADER as usize..];
    fields.push(Field::new("name as written", text(name), (at + HEADER, name.len() as u64)));
    Ok(fields)
}
