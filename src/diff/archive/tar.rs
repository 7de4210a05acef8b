//! Tar archives: POSIX.1-2017 `ustar` and `pax`, GNU (tar(5), "Basic Tar Format" of GNU tar's manual), old V7 ones.
//!
//! Not the reader of the room `source`: that one refuses what readers understand differently and tells nothing of
//! where a field stands; here every byte of every header has a name and an offset.

use std::io;

use super::{
    Archive, MAX_NAME, Member, Members, Stop, array, bytes, compare as comparing, field::Field, number,
    plain_name, until_nul,
};
use crate::diff::{
    Content, Difference, Limits, Pair, ReadError, Value,
    image::{self, Layout},
    limits::Effort,
    unpack::Packing,
};

/// The unit of the format; everything is padded to it.
const BLOCK: u64 = 512;

/// Longest extended header: they are held in memory, and real ones hold a path or two and some attributes.
const MAX_EXTENSION: u64 = 1 << 20;

/// Headers and sparse maps of one member in a row; real ones have up to four.
const MAX_BLOCKS: usize = 4096;

/// Whether a file that begins with `head` has a tar header at its beginning: its checksum is right.
pub(in crate::diff) fn is_tar(head: &[u8]) -> bool {
    head.first_chunk::<{ BLOCK as usize }>().is_some_and(|block| block[0] != 0 && has_checksum(block))
}

/// Compares two tar archives.
pub(in crate::diff) fn compare(
    files: Pair<&dyn Content>,
    difference: &mut Difference,
    effort: &Effort<'_>,
) -> Result<(), ReadError> {
    comparing::compare("tar", parse, files, difference, effort)
}

fn has_checksum(block: &[u8; BLOCK as usize]) -> bool {
    let sum: u64 = (block.iter().enumerate())
        .map(|(at, byte)| u64::from(if (148..156).contains(&at) { b' ' } else { *byte }))
        .sum();
    number(&block[148..156], 8) == Some(sum)
}

pub(super) fn parse<'a>(content: &'a dyn Content, limits: &Limits) -> Result<Archive<'a>, Stop> {
    let mut members = Vec::new();
    let mut at = 0;
    let end = loop {
        match member(content, at)? {
            Some((member, next)) => {
                if members.len() as u64 == limits.members {
                    return Err(Stop::Cap { what: "members", cap: limits.members });
                }
                members.push(member);
                at = next;
            }
            None => break at,
        }
    };
    let zeros = content.len() - end;
    let fields = vec![Field::new("bytes behind the last member", Value::Decimal(zeros), (end, 0))];
    let mut names = members.iter().map(|member| plain_name(&member.name));
    let image = names.any(|name| image::DOCUMENTS.contains(&name));
    let image = image.then(|| Layout::read(&Members::new(content, &members))).flatten();
    let describe = Box::new(move |member: &Member| describe(content, member));
    Ok(Archive { fields, members, describe, image, ..Archive::default() })
}

/// The member whose headers begin at `start`, and where the next one's do; `None` at the end.
fn member(content: &dyn Content, start: u64) -> Result<Option<(Member, u64)>, Stop> {
    let mut extended = Extended::default();
    let mut at = start;
    for _ in 0..MAX_BLOCKS {
        if at == content.len() && at == start {
            return Ok(None);
        }
        let block = array::<{ BLOCK as usize }>(content, at)?;
        if block.iter().all(|byte| *byte == 0) {
            return if at == start {
                Ok(None)
            } else {
                Err(Stop::Broken { offset: at, what: "an extended header without its member" })
            };
        }
        if !has_checksum(&block) {
            return Err(Stop::Broken { offset: at, what: "a checksum is wrong" });
        }
        let broken = |what| Stop::Broken { offset: at, what };
        let stated = signed(&block[124..136]).and_then(|size| u64::try_from(size).ok());
        let stated = stated.ok_or_else(|| broken("a size is no number"))?;
        let flag = block[156];
        if matches!(flag, b'x' | b'g' | b'L' | b'K') {
            if stated > MAX_EXTENSION {
                return Err(Stop::Cap { what: "bytes in an extended header", cap: MAX_EXTENSION });
            }
            let body = bytes(content, at + BLOCK, stated)?;
            extended.add(flag, &body).ok_or_else(|| broken("an extended header is malformed"))?;
            at += BLOCK + padded(stated);
            continue;
        }
        let size = extended.size.unwrap_or(stated);
        if size != stated && stated != 0 && size <= MAX_OCTAL {
            return Err(broken("its extended header gives another size than the header itself"));
        }
        let name = extended.path.take().unwrap_or_else(|| short_name(&block));
        let (what, has_data) = kind(flag, &name);
        let mut data = at + BLOCK;
        if flag == b'S' && block[482] != 0 {
            data = sparse_map(content, data)?;
        }
        let size = if has_data { size } else { 0 };
        if data.checked_add(size).is_none_or(|end| end > content.len()) {
            return Err(broken("its contents end behind the end of the archive"));
        }
        let member = Member {
            name,
            what,
            fields: Vec::new(),
            headers: [(start, data - start), (0, 0), (0, 0)],
            data: (data, size),
            packing: Packing::None,
            size,
            index: false,
        };
        let next = (data + padded(size)).min(content.len());
        return Ok(Some((member, next)));
    }
    Err(Stop::Broken { offset: start, what: "too many headers in a row" })
}

/// The largest size an octal field can hold; above it, writers leave the field as they like.
const MAX_OCTAL: u64 = 0o77_777_777_777;

/// Where the contents begin behind the further blocks of a GNU sparse map.
fn sparse_map(content: &dyn Content, mut at: u64) -> Result<u64, Stop> {
    for _ in 0..MAX_BLOCKS {
        let block = array::<{ BLOCK as usize }>(content, at)?;
        at += BLOCK;
        if block[504] == 0 {
            return Ok(at);
        }
    }
    Err(Stop::Broken { offset: at, what: "a sparse map without end" })
}

fn padded(size: u64) -> u64 {
    size.next_multiple_of(BLOCK)
}

/// What a member is, and whether it has contents.
fn kind(flag: u8, name: &[u8]) -> (&'static str, bool) {
    match flag {
        b'1' => ("hard link", false),
        b'2' => ("symbolic link", false),
        b'3' => ("character device", false),
        b'4' => ("block device", false),
        b'5' => ("directory", false),
        b'6' => ("named pipe", false),
        b'S' => ("sparse file", true),
        // Before POSIX a directory was a file whose name ended in a slash.
        _ if name.ends_with(b"/") => ("directory", true),
        _ => ("file", true),
    }
}

/// What extended headers say instead of the header.
#[derive(Default)]
struct Extended {
    path: Option<Vec<u8>>,
    size: Option<u64>,
}

impl Extended {
    fn add(&mut self, flag: u8, body: &[u8]) -> Option<()> {
        match flag {
            b'L' => self.path = Some(until_nul(body).to_vec()),
            b'K' | b'g' => {}
            _ => {
                for (key, value, _) in records(body)? {
                    match key {
                        b"path" if value.len() as u64 <= MAX_NAME => self.path = Some(value.to_vec()),
                        b"size" => self.size = Some(number(value, 10)?),
                        _ => {}
                    }
                }
            }
        }
        Some(())
    }
}

/// A record of a pax header: key, value, and where the record stands.
type Record<'a> = (&'a [u8], &'a [u8], std::ops::Range<usize>);

/// The records `<length> <key>=<value>\n` of a pax header.
fn records(body: &[u8]) -> Option<Vec<Record<'_>>> {
    let mut records = Vec::new();
    let mut at = 0;
    while at < body.len() {
        let rest = &body[at..];
        let space = rest.iter().take(20).position(|byte| *byte == b' ')?;
        let length = usize::try_from(number(&rest[..space], 10)?).ok()?;
        if length <= space + 1 || length > rest.len() || rest[length - 1] != b'\n' {
            return None;
        }
        let record = &rest[space + 1..length - 1];
        let equals = record.iter().position(|byte| *byte == b'=')?;
        records.push((&record[..equals], &record[equals + 1..], at..at + length));
        at += length;
    }
    Some(records)
}

/// The name field, behind the prefix field where the header is POSIX' (GNU keeps times there).
fn short_name(block: &[u8; BLOCK as usize]) -> Vec<u8> {
    let (name, prefix) = (until_nul(&block[..100]), until_nul(&block[345..500]));
    if &block[257..263] == b"ustar\0" && !prefix.is_empty() {
        [prefix, b"/", name].concat()
    } else {
        name.to_vec()
    }
}

/// A number in octal, or in base 256 where its first bit is set (GNU), which may be negative.
fn signed(field: &[u8]) -> Option<i64> {
    let [first, rest @ ..] = field else { return None };
    if first & 0x80 == 0 {
        return number(field, 8).and_then(|number| i64::try_from(number).ok());
    }
    let negative = first & 0x40 != 0;
    let start = i128::from(first & 0x3f) - if negative { 0x40 } else { 0 };
    let value = rest.iter().try_fold(start, |value, byte| {
        Some((value << 8) | i128::from(*byte)).filter(|value| value.abs() <= i128::from(i64::MAX))
    })?;
    i64::try_from(value).ok()
}

/// What a field of a header holds.
enum Kind {
    Text,
    Octal,
    Decimal,
    Time,
    Format,
    Hex,
}

/// The fields of the header itself: name, whether it follows from others, where, and what it holds.
const FIELDS: &[(&str, bool, std::ops::Range<usize>, Kind)] = &[
    ("name as written", false, 0..100, Kind::Text),
    ("mode", false, 100..108, Kind::Octal),
    ("uid", false, 108..116, Kind::Decimal),
    ("gid", false, 116..124, Kind::Decimal),
    ("size", true, 124..136, Kind::Decimal),
    ("mtime", false, 136..148, Kind::Time),
    ("checksum", true, 148..156, Kind::Octal),
    ("type", false, 156..157, Kind::Text),
    ("link target", false, 157..257, Kind::Text),
    ("format", false, 257..265, Kind::Format),
    ("user name", false, 265..297, Kind::Text),
    ("group name", false, 297..329, Kind::Text),
    ("device, major", false, 329..337, Kind::Decimal),
    ("device, minor", false, 337..345, Kind::Decimal),
];

/// Behind the common fields, in POSIX' format and in old ones.
const POSIX: &[(&str, bool, std::ops::Range<usize>, Kind)] =
    &[("name as written", false, 345..500, Kind::Text), ("end of the header", false, 500..512, Kind::Hex)];

/// Behind the common fields, in GNU's format.
const GNU: &[(&str, bool, std::ops::Range<usize>, Kind)] = &[
    ("atime", false, 345..357, Kind::Time),
    ("ctime", false, 357..369, Kind::Time),
    ("end of the header", false, 369..512, Kind::Hex),
];

/// The fields of extended headers; they are written as those of a member are and say nothing of it.
const EXTENSION: &[(&str, bool, std::ops::Range<usize>, Kind)] = &[
    ("extended header, name", false, 0..100, Kind::Text),
    ("extended header, mode", false, 100..108, Kind::Octal),
    ("extended header, uid", false, 108..116, Kind::Decimal),
    ("extended header, gid", false, 116..124, Kind::Decimal),
    ("extended header, size", true, 124..136, Kind::Decimal),
    ("extended header, mtime", false, 136..148, Kind::Time),
    ("extended header, checksum", true, 148..156, Kind::Octal),
    ("extended header, type", false, 156..157, Kind::Text),
    ("extended header, the rest", false, 157..512, Kind::Hex),
];

/// All fields of a member's headers.
pub(super) fn describe(content: &dyn Content, member: &Member) -> io::Result<Vec<Field>> {
    let (start, len) = member.headers[0];
    let mut fields = Vec::new();
    let mut at = start;
    let mut extensions = Vec::new();
    while at < start + len {
        let mut block = [0; BLOCK as usize];
        content.read_exact_at(at, &mut block)?;
        let flag = block[156];
        if !matches!(flag, b'x' | b'g' | b'L' | b'K') {
            let gnu = &block[257..263] == b"ustar ";
            fields.extend(decoded(&block, at, FIELDS));
            // What is not used is zeros in one format, and not there in the other.
            let used = |field: &Field| {
                let start = (field.raw.0 - at) as usize;
                block[start..start + field.raw.1 as usize].iter().any(|byte| *byte != 0)
            };
            fields.extend(decoded(&block, at, if gnu { GNU } else { POSIX }).filter(used));
            if at + BLOCK < start + len {
                let map = (at + BLOCK, start + len - at - BLOCK);
                let mut bytes = vec![0; map.1.min(4096) as usize];
                content.read_exact_at(map.0, &mut bytes)?;
                fields.push(Field::new("sparse map", Value::Hex(Some(bytes)), map));
            }
            break;
        }
        extensions.push(flag);
        fields.extend(decoded(&block, at, EXTENSION));
        let size = signed(&block[124..136]).and_then(|size| u64::try_from(size).ok());
        let size = size.filter(|size| *size <= MAX_EXTENSION).ok_or(io::ErrorKind::InvalidData)?;
        let mut body = vec![0; size as usize];
        content.read_exact_at(at + BLOCK, &mut body)?;
        fields.extend(extension(flag, &body, at + BLOCK));
        at += BLOCK + padded(size);
    }
    fields.push(Field::new("extended headers", Value::Text(Some(extensions)), (start, 0)));
    Ok(fields)
}

fn decoded<'a>(
    block: &'a [u8; BLOCK as usize],
    at: u64,
    table: &'static [(&'static str, bool, std::ops::Range<usize>, Kind)],
) -> impl Iterator<Item = Field> + 'a {
    table.iter().map(move |(name, derived, range, kind)| {
        let raw = &block[range.clone()];
        let hex = || Value::Hex(Some(raw.to_vec()));
        let natural = || signed(raw).and_then(|number| u64::try_from(number).ok());
        let value = match kind {
            Kind::Text => Value::Text(Some(until_nul(raw).to_vec())),
            Kind::Octal => natural().map_or_else(hex, Value::Octal),
            Kind::Decimal => natural().map_or_else(hex, Value::Decimal),
            Kind::Time => signed(raw).map_or_else(hex, Value::Time),
            Kind::Format => match raw {
                b"ustar\x0000" => Value::Named(0, "POSIX"),
                b"ustar  \0" => Value::Named(1, "GNU"),
                [0, ..] => Value::Named(2, "from before POSIX"),
                _ => hex(),
            },
            Kind::Hex => hex(),
        };
        let raw = (at + range.start as u64, range.len() as u64);
        Field { name, value, raw, derived: *derived }
    })
}

/// What the body of an extended header says, record by record.
fn extension(flag: u8, body: &[u8], at: u64) -> Vec<Field> {
    let text = |bytes: &[u8]| Value::Text(Some(bytes.to_vec()));
    let whole = (at, body.len() as u64);
    match flag {
        b'L' => vec![Field::new("name as written", text(until_nul(body)), whole)],
        b'K' => vec![Field::new("link target", text(until_nul(body)), whole)],
        _ => {
            let Some(records) = records(body) else {
                return vec![Field::new("pax records", text(body), whole)];
            };
            let one = |(key, value, place): Record<'_>| {
                let (name, said) = match key {
                    b"path" => ("name as written", text(value)),
                    b"linkpath" => ("link target", text(value)),
                    b"size" => ("pax size", text(value)),
                    b"mtime" => ("pax mtime", text(value)),
                    b"atime" => ("pax atime", text(value)),
                    b"ctime" => ("pax ctime", text(value)),
                    b"uid" => ("pax uid", text(value)),
                    b"gid" => ("pax gid", text(value)),
                    b"uname" => ("pax user name", text(value)),
                    b"gname" => ("pax group name", text(value)),
                    b"comment" => ("pax comment", text(value)),
                    _ => ("pax record", text(&[key, b"=", value].concat())),
                };
                Field {
                    name,
                    value: said,
                    raw: (at + place.start as u64, place.len() as u64),
                    derived: key == b"size",
                }
            };
            records.into_iter().map(one).collect()
        }
    }
}
