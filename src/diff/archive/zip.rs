//! Zip archives, jars and wheels (PKWARE's APPNOTE.TXT 6.3.10, with zip64).
//!
//! The central directory says what the members are; the local header before each member's contents says much of it
//! again. Both are compared, field by field.

use std::{io, ops::Range};

use super::{Archive, MAX_NAME, Member, Stop, array, bytes, compare as comparing, field::Field};
use crate::diff::{
    Content, Difference, Limits, Pair, ReadError, Side, Value, limits::Effort, unpack::Packing,
};

const LOCAL: &[u8] = b"PK\x03\x04";
const CENTRAL: &[u8] = b"PK\x01\x02";
const END: &[u8] = b"PK\x05\x06";
const END64: &[u8] = b"PK\x06\x06";
const LOCATOR64: &[u8] = b"PK\x06\x07";
const DESCRIPTOR: &[u8] = b"PK\x07\x08";

/// What is before an archive: a script or program that unpacks or runs it.
const BEFORE: &[u8] = b"(before the archive)";

/// Lengths of the fixed parts of the records.
const LOCAL_LEN: u64 = 30;
const CENTRAL_LEN: u64 = 46;
const END_LEN: u64 = 22;
const END64_LEN: u64 = 56;
const LOCATOR64_LEN: u64 = 20;

/// Whether a file that begins with `head` claims to be a zip archive.
pub(in crate::diff) fn is_zip(head: &[u8]) -> bool {
    head.starts_with(LOCAL) || head.starts_with(END)
}

/// Compares two zip archives.
pub(in crate::diff) fn compare(
    files: Pair<&dyn Content>,
    difference: &mut Difference,
    effort: &Effort<'_>,
) -> Result<(), ReadError> {
    comparing::compare("zip", parse, files, difference, effort)
}

fn u16_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 2).map_or(0, |b| u64::from(u16::from_le_bytes([b[0], b[1]])))
}

fn u32_at(bytes: &[u8], at: usize) -> u64 {
    u16_at(bytes, at) | (u16_at(bytes, at + 2) << 16)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u32_at(bytes, at) | (u32_at(bytes, at + 4) << 32)
}

/// Whether a file ends as a zip archive does, whatever it begins with.
pub(in crate::diff) fn ends_as_zip(side: Side, content: &dyn Content) -> Result<bool, ReadError> {
    match end(content) {
        Ok(end) => Ok(end.before > 0 || end.entries > 0),
        Err(Stop::Read { offset, source }) => Err(ReadError { side, offset, source }),
        Err(_) => Ok(false),
    }
}

/// Where the central directory lies and what else the end says.
struct End {
    entries: u64,
    /// Bytes before the archive that its own offsets do not count.
    before: u64,
    start: u64,
    len: u64,
    fields: Vec<Field>,
    /// Where the records of the end lie.
    tables: Vec<(u64, u64)>,
}

/// The end of the central directory: the last record of the file, behind it only the archive's comment.
fn end(content: &dyn Content) -> Result<End, Stop> {
    let tail = content.len().min(END_LEN + 0xffff);
    let from = content.len() - tail;
    let block = bytes(content, from, tail)?;
    let fits = |at: &usize| {
        let rest = &block[*at..];
        rest.starts_with(END) && rest.len() as u64 == END_LEN + u16_at(rest, 20)
    };
    let at = (0..block.len().saturating_sub(END_LEN as usize - 1)).rev().find(fits);
    let at = at.ok_or(Stop::Broken { offset: from, what: "no end of a central directory" })?;
    let (record, offset) = (&block[at..], from + at as u64);
    let comment = record[END_LEN as usize..].to_vec();
    let len = comment.len() as u64;
    let mut end = End {
        before: 0,
        entries: u16_at(record, 10),
        start: u32_at(record, 16),
        len: u32_at(record, 12),
        fields: vec![
            Field::new("comment", Value::Text(Some(comment)), (offset + END_LEN, len)),
            Field::derived("entries", Value::Decimal(u16_at(record, 10)), (offset + 8, 4)),
            Field::derived(
                "size of the central directory",
                Value::Decimal(u32_at(record, 12)),
                (offset + 12, 4),
            ),
            Field::derived(
                "offset of the central directory",
                Value::Number(u32_at(record, 16)),
                (offset + 16, 4),
            ),
            Field::new("numbers of disks", Value::Number(u32_at(record, 4)), (offset + 4, 4)),
        ],
        tables: vec![(offset, END_LEN + len)],
    };
    if let Some(locator_at) = offset.checked_sub(LOCATOR64_LEN) {
        let locator = array::<{ LOCATOR64_LEN as usize }>(content, locator_at)?;
        if locator.starts_with(LOCATOR64) {
            let stated = u64_at(&locator, 8);
            let there = array::<4>(content, stated).is_ok_and(|start| start == END64);
            // Where something is before the archive: right before the locator, as all who write it do.
            let at = if there { stated } else { locator_at.saturating_sub(END64_LEN) };
            let record = array::<{ END64_LEN as usize }>(content, at)?;
            if !record.starts_with(END64) {
                return Err(Stop::Broken { offset: at, what: "no zip64 end of a central directory" });
            }
            let size = u64_at(&record, 4).saturating_add(12).min(locator_at.saturating_sub(at));
            end.entries = u64_at(&record, 32);
            end.len = u64_at(&record, 40);
            end.start = u64_at(&record, 48);
            end.tables.extend([(at, size), (locator_at, LOCATOR64_LEN)]);
            end.fields.extend([
                Field::new("zip64, versions", Value::Number(u32_at(&record, 12)), (at + 12, 4)),
                Field::derived("zip64, entries", Value::Decimal(end.entries), (at + 24, 16)),
                Field::derived("zip64, size of the central directory", Value::Decimal(end.len), (at + 40, 8)),
                Field::derived(
                    "zip64, offset of the central directory",
                    Value::Number(end.start),
                    (at + 48, 8),
                ),
            ]);
        }
    }
    // The directory lies right before the first of these.
    let behind = end.tables.iter().map(|(start, _)| *start).min().unwrap_or(offset);
    let stated = end.start.checked_add(end.len);
    if let Some(before) = stated.and_then(|stated| behind.checked_sub(stated)) {
        let starts_there =
            |at: u64| array::<4>(content, at).is_ok_and(|start| start == CENTRAL || start == END);
        if before > 0 && !starts_there(end.start) && starts_there(end.start + before) {
            end.before = before;
            end.start += before;
        }
    }
    if end.start.checked_add(end.len).is_none_or(|stop| stop > content.len()) {
        return Err(Stop::Broken {
            offset,
            what: "the central directory ends behind the end of the archive",
        });
    }
    Ok(end)
}

fn parse<'a>(content: &'a dyn Content, limits: &Limits) -> Result<Archive<'a>, Stop> {
    let end = end(content)?;
    let stop = end.start + end.len;
    let mut members: Vec<Member> = Vec::new();
    let mut at = end.start;
    while at < stop {
        if members.len() as u64 == limits.members {
            return Err(Stop::Cap { what: "members", cap: limits.members });
        }
        let (member, next) = member(content, at, end.before)?;
        members.push(member);
        at = next;
    }
    if members.len() as u64 != end.entries {
        return Err(Stop::Broken {
            offset: end.start,
            what: "the central directory has another number of entries",
        });
    }
    no_overlap(&members, end.start)?;
    let first = members.iter().map(|member| member.headers[1].0).min().unwrap_or(end.start);
    if first > 0 {
        members.push(Member {
            name: BEFORE.to_vec(),
            what: "file",
            fields: Vec::new(),
            headers: [(0, 0); 3],
            data: (0, first),
            packing: Packing::None,
            size: first,
            index: false,
        });
    }
    let describe = Box::new(move |member: &Member| describe(content, member));
    Ok(Archive { fields: end.fields, members, tables: end.tables, describe, ..Archive::default() })
}

/// Members that lie over each other, or over the central directory, unpack to more than is there.
fn no_overlap(members: &[Member], central: u64) -> Result<(), Stop> {
    let mut places: Vec<(u64, u64)> =
        members.iter().map(|member| (member.headers[1].0, member.data.0 + member.data.1)).collect();
    places.sort_unstable();
    places.push((central, central));
    for pair in places.windows(2) {
        if pair[0].1 > pair[1].0 && pair[0].0 < central {
            return Err(Stop::Broken { offset: pair[1].0, what: "members lie over each other" });
        }
    }
    Ok(())
}

/// The member whose entry of the central directory is at `at`, and where the next entry is.
fn member(content: &dyn Content, at: u64, before: u64) -> Result<(Member, u64), Stop> {
    let broken = |what| Stop::Broken { offset: at, what };
    let entry = array::<{ CENTRAL_LEN as usize }>(content, at)?;
    if !entry.starts_with(CENTRAL) {
        return Err(broken("no entry of the central directory"));
    }
    let (name_len, extra_len, comment_len) = (u16_at(&entry, 28), u16_at(&entry, 30), u16_at(&entry, 32));
    let variable = bytes(content, at + CENTRAL_LEN, name_len + extra_len + comment_len)?;
    let name = variable[..name_len as usize].to_vec();
    if name_len > MAX_NAME {
        return Err(broken("a name that is too long"));
    }
    let mut size = u32_at(&entry, 24);
    let mut packed = u32_at(&entry, 20);
    let mut local = u32_at(&entry, 42);
    let extra = &variable[name_len as usize..(name_len + extra_len) as usize];
    let zip64 = extras(extra).find(|(id, _)| *id == ZIP64).map(|(_, range)| &extra[range]);
    // Each is there when the field for it is full, in this order.
    let mut words = zip64.unwrap_or_default().chunks_exact(8).map(|word| u64_at(word, 0));
    for value in [&mut size, &mut packed, &mut local] {
        if *value == 0xffff_ffff {
            *value = words.next().ok_or_else(|| broken("a zip64 size is missing"))?;
        }
    }
    let local = local.saturating_add(before);
    let header = array::<{ LOCAL_LEN as usize }>(content, local)?;
    if !header.starts_with(LOCAL) {
        return Err(Stop::Broken { offset: local, what: "no local header" });
    }
    let header_len = LOCAL_LEN + u16_at(&header, 26) + u16_at(&header, 28);
    let data = local.saturating_add(header_len);
    if data.checked_add(packed).is_none_or(|end| end > content.len()) {
        return Err(Stop::Broken { offset: local, what: "its contents end behind the end of the archive" });
    }
    let descriptor = if u16_at(&header, 6) & 8 != 0 { descriptor(content, data + packed)? } else { 0 };
    let encrypted = u16_at(&entry, 8) & 1 != 0;
    let packing = match u16_at(&entry, 10) {
        _ if encrypted => Packing::Unknown,
        0 => Packing::None,
        8 => Packing::Deflate,
        12 => Packing::Bzip2,
        93 => Packing::Zstd,
        95 => Packing::Xz,
        _ => Packing::Unknown,
    };
    let entry_len = CENTRAL_LEN + name_len + extra_len + comment_len;
    let member = Member {
        what: if name.ends_with(b"/") { "directory" } else { "file" },
        name,
        fields: Vec::new(),
        headers: [(at, entry_len), (local, header_len), (data + packed, descriptor)],
        data: (data, packed),
        packing,
        size,
        index: false,
    };
    Ok((member, at + entry_len))
}

/// Length of the data descriptor behind the contents of a member that was written as a stream. Whether its sizes have
/// four bytes or eight shows in what follows it.
fn descriptor(content: &dyn Content, at: u64) -> Result<u64, Stop> {
    let start = array::<4>(content, at)?;
    let signature = if start == DESCRIPTOR { 4 } else { 0 };
    for len in [signature + 12, signature + 20] {
        if at + len + 4 <= content.len() {
            let next = array::<4>(content, at + len)?;
            if next == LOCAL || next == CENTRAL || &next[..3] == b"PK\x06" {
                return Ok(len);
            }
        }
    }
    Ok(signature + 12)
}

const ZIP64: u64 = 0x0001;
/// Info-ZIP's extended timestamp and its user and group, and its old ones.
const TIMESTAMP: u64 = 0x5455;
const OWNER: u64 = 0x7875;
const OLD_OWNER: u64 = 0x7855;
const OLD_TIMES: u64 = 0x5855;

/// The records of an extra field: id and where its data lies. What is broken at its end is left out.
fn extras(extra: &[u8]) -> impl Iterator<Item = (u64, Range<usize>)> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        extra.get(at..at + 4)?;
        let (id, len) = (u16_at(extra, at), u16_at(extra, at + 2) as usize);
        let range = at + 4..at + 4 + len;
        extra.get(range.clone())?;
        at = range.end;
        Some((id, range))
    })
}

/// Date and time as MS-DOS keeps them: in the time zone of whoever packed, in steps of two seconds.
fn dos_time(time: u64, date: u64) -> Value {
    let text = format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02}",
        1980 + (date >> 9),
        date >> 5 & 15,
        date & 31,
        time >> 11,
        time >> 5 & 63,
        (time & 31) * 2
    );
    Value::Text(Some(text.into_bytes()))
}

/// The bits of the flags that say how hard the compressor tried.
const LEVEL: u64 = 6;

fn level(flags: u64) -> Value {
    let level = flags & LEVEL;
    Value::Named(level, ["normal", "best compression", "fast", "fastest"][(level / 2) as usize])
}

fn method(number: u64) -> Value {
    let name = match number {
        0 => "stored",
        8 => "deflate",
        9 => "deflate64",
        12 => "bzip2",
        14 => "lzma",
        93 => "zstd",
        95 => "xz",
        _ => return Value::Decimal(number),
    };
    Value::Named(number, name)
}

fn describe(content: &dyn Content, member: &Member) -> io::Result<Vec<Field>> {
    let read = |(at, len): (u64, u64)| {
        let mut bytes = vec![0; len as usize];
        content.read_exact_at(at, &mut bytes).map(|()| bytes)
    };
    let [central, local, descriptor] = member.headers;
    if central.1 == 0 {
        return Ok(Vec::new());
    }
    let mut fields = central_fields(&read(central)?, central.0);
    fields.extend(local_fields(&read(local)?, local.0));
    if descriptor.1 > 0 {
        fields.push(Field::derived("data descriptor", Value::Hex(Some(read(descriptor)?)), descriptor));
    }
    Ok(fields)
}

fn central_fields(entry: &[u8], at: u64) -> Vec<Field> {
    let word = |offset: usize| u16_at(entry, offset);
    let long = |offset: usize| u32_at(entry, offset);
    let place = |offset: u64, len: u64| (at + offset, len);
    let name_end = CENTRAL_LEN as usize + word(28) as usize;
    let extra_end = name_end + word(30) as usize;
    let attributes = long(38);
    let mut fields = vec![
        Field::new("made by", made_by(word(4)), place(4, 2)),
        Field::new("version needed", Value::Decimal(word(6)), place(6, 2)),
        Field::new("flags", Value::Number(word(8) & !LEVEL), place(8, 0)),
        Field::new("level", level(word(8)), place(8, 2)),
        Field::new("method", method(word(10)), place(10, 2)),
        Field::new("mtime", dos_time(word(12), word(14)), place(12, 4)),
        Field::derived("crc-32", Value::Number(long(16)), place(16, 4)),
        Field::derived("packed size", Value::Decimal(long(20)), place(20, 4)),
        Field::derived("size", Value::Decimal(long(24)), place(24, 4)),
        Field::derived("length of the extra field", Value::Decimal(word(30)), place(30, 2)),
        Field::derived("length of the comment", Value::Decimal(word(32)), place(32, 2)),
        Field::new("disk", Value::Decimal(word(34)), place(34, 2)),
        Field::new("internal attributes", Value::Number(word(36)), place(36, 2)),
        Field::new("DOS attributes", Value::Number(attributes & 0xffff), place(38, 2)),
        Field::new("mode", Value::Octal(attributes >> 16), place(40, 2)),
        Field::derived("offset of the local header", Value::Number(long(42)), place(42, 4)),
    ];
    let name = entry.get(CENTRAL_LEN as usize..name_end).unwrap_or_default();
    fields.push(Field::new(
        "name as written",
        Value::Text(Some(name.to_vec())),
        place(CENTRAL_LEN, word(28)),
    ));
    if let Some(extra) = entry.get(name_end..extra_end) {
        fields.extend(extra_fields(extra, at + name_end as u64, false));
    }
    if let Some(comment) = entry.get(extra_end..).filter(|comment| !comment.is_empty()) {
        let place = (at + extra_end as u64, comment.len() as u64);
        fields.push(Field::new("comment", Value::Text(Some(comment.to_vec())), place));
    }
    fields
}

/// The system and the version of the format of whoever packed.
fn made_by(word: u64) -> Value {
    let version = word & 0xff;
    let system = match word >> 8 {
        0 => "DOS",
        3 => "Unix",
        10 => "Windows",
        19 => "macOS",
        _ => return Value::Number(word),
    };
    Value::Text(Some(format!("{system}, version {}.{}", version / 10, version % 10).into_bytes()))
}

fn local_fields(header: &[u8], at: u64) -> Vec<Field> {
    let word = |offset: usize| u16_at(header, offset);
    let long = |offset: usize| u32_at(header, offset);
    let place = |offset: u64, len: u64| (at + offset, len);
    let name_end = LOCAL_LEN as usize + word(26) as usize;
    let mut fields = vec![
        Field::new("version needed in local header", Value::Decimal(word(4)), place(4, 2)),
        Field::new("flags in local header", Value::Number(word(6) & !LEVEL), place(6, 0)),
        Field::new("level in local header", level(word(6)), place(6, 2)),
        Field::new("method in local header", method(word(8)), place(8, 2)),
        Field::new("mtime in local header", dos_time(word(10), word(12)), place(10, 4)),
        Field::derived("crc-32 in local header", Value::Number(long(14)), place(14, 4)),
        Field::derived("packed size in local header", Value::Decimal(long(18)), place(18, 4)),
        Field::derived("size in local header", Value::Decimal(long(22)), place(22, 4)),
        Field::derived("length of the extra field in local header", Value::Decimal(word(28)), place(28, 2)),
    ];
    let name = header.get(LOCAL_LEN as usize..name_end).unwrap_or_default();
    fields.push(Field::new("name as written", Value::Text(Some(name.to_vec())), place(LOCAL_LEN, word(26))));
    if let Some(extra) = header.get(name_end..) {
        fields.extend(extra_fields(extra, at + name_end as u64, true));
    }
    fields
}

/// The records of an extra field that are known, and the others as they are.
fn extra_fields(extra: &[u8], at: u64, local: bool) -> Vec<Field> {
    let mut fields = Vec::new();
    let mut end = 0;
    for (id, range) in extras(extra) {
        end = range.end;
        let data = &extra[range.clone()];
        let place = |from: usize, len: usize| (at + (range.start + from) as u64, len as u64);
        let time = |from: usize| Value::Time(i64::from(u32_at(data, from) as u32 as i32));
        match id {
            ZIP64 => fields.push(Field::derived("zip64 sizes", hex(data), place(0, data.len()))),
            TIMESTAMP if !data.is_empty() => {
                let flags = data[0];
                // In the central directory only the time of change is there, whatever the flags say.
                let names = [(1, "mtime in UTC"), (2, "atime"), (4, "ctime")];
                let mut from = 1;
                for (flag, name) in names {
                    if flags & flag != 0 && data.len() >= from + 4 {
                        fields.push(Field::new(name, time(from), place(from, 4)));
                        from += 4;
                    }
                }
                let kept = Value::Number(u64::from(flags));
                fields.push(Field::new("times that are kept", kept, place(0, 1)));
            }
            OLD_TIMES if data.len() >= 8 => {
                fields.push(Field::new("atime", time(0), place(0, 4)));
                fields.push(Field::new("mtime in UTC", time(4), place(4, 4)));
                if data.len() > 8 {
                    fields.push(Field::new("owner", hex(&data[8..]), place(8, data.len() - 8)));
                }
            }
            OWNER if local || !data.is_empty() => {
                for (name, value, from, len) in owners(data) {
                    fields.push(Field::new(name, Value::Decimal(value), place(from, len)));
                }
            }
            OLD_OWNER if data.len() == 4 => {
                fields.push(Field::new("uid", Value::Decimal(u16_at(data, 0)), place(0, 2)));
                fields.push(Field::new("gid", Value::Decimal(u16_at(data, 2)), place(2, 2)));
            }
            _ => {
                let whole = (at + range.start as u64 - 4, data.len() as u64 + 4);
                let record = &extra[range.start - 4..range.end];
                fields.push(Field::new("extra field", hex(record), whole));
            }
        }
    }
    if end < extra.len() {
        let rest = (at + end as u64, (extra.len() - end) as u64);
        fields.push(Field::new("end of the extra field", hex(&extra[end..]), rest));
    }
    fields
}

fn hex(bytes: &[u8]) -> Value {
    Value::Hex(Some(bytes.to_vec()))
}

/// User and group of Info-ZIP's record: a version, then each with its length before it.
fn owners(data: &[u8]) -> Vec<(&'static str, u64, usize, usize)> {
    let mut owners = Vec::new();
    let mut at = 1;
    for name in ["uid", "gid"] {
        let Some(len) = data.get(at).map(|len| usize::from(*len)) else { break };
        let Some(bytes) = data.get(at + 1..at + 1 + len).filter(|bytes| bytes.len() <= 8) else { break };
        let value = bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte));
        owners.push((name, value, at + 1, len));
        at += 1 + len;
    }
    owners
}
