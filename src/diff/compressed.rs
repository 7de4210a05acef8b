//! Compressed files: gzip (RFC 1952) with its header fields, xz, zstd and bzip2 by what is in them.

use std::io::{BufReader, Read as _};

use super::{
    Content, Difference, Finding, Pair, ReadError, Side, Step, Value, Window,
    archive::{Field, Stop, compare_fields},
    bytes, file,
    limits::Effort,
    unpack::{self, Input, Packing, Unpacked},
};

/// Members of one gzip file; real ones have one, those of bgzip one for 64 KiB.
const MAX_MEMBERS: u64 = 1 << 20;

/// Longest name or comment of a gzip header, and the longest extra field there can be.
const MAX_TEXT: usize = 1 << 16;

pub(super) fn is_gzip(head: &[u8]) -> bool {
    head.starts_with(b"\x1f\x8b\x08")
}

pub(super) fn is_xz(head: &[u8]) -> bool {
    head.starts_with(b"\xfd7zXZ\0")
}

pub(super) fn is_zstd(head: &[u8]) -> bool {
    head.starts_with(b"\x28\xb5\x2f\xfd")
}

pub(super) fn is_bzip2(head: &[u8]) -> bool {
    matches!(head, [b'B', b'Z', b'h', b'1'..=b'9', ..])
        && head
            .get(4..10)
            .is_some_and(|magic| matches!(magic, b"\x31\x41\x59\x26\x53\x59" | b"\x17\x72\x45\x38\x50\x90"))
}

/// Whether it is any of these.
pub(super) fn is_compressed(head: &[u8]) -> bool {
    packing(head).is_some()
}

/// What a file is compressed by.
pub(super) fn packing(head: &[u8]) -> Option<Packing> {
    match head {
        _ if is_gzip(head) => Some(Packing::Gzip),
        _ if is_xz(head) => Some(Packing::Xz),
        _ if is_zstd(head) => Some(Packing::Zstd),
        _ if is_bzip2(head) => Some(Packing::Bzip2),
        _ => None,
    }
}

/// Files that were compressed by two programs: what is in them may be the same.
pub(super) fn compare_mixed(
    files: Pair<&dyn Content>,
    difference: &mut Difference,
    effort: &Effort<'_>,
) -> Result<(), ReadError> {
    let one = |side: Side| {
        let head = Window::new(*files.of(side), 0, 16).to_vec().map_err(bytes::failed(side, 0))?;
        Ok(packing(&head).unwrap_or(Packing::Unknown))
    };
    let packings = Pair::new(one(Side::A)?, one(Side::B)?);
    let name = |packing: Packing| Value::Text(Some(packing.name().as_bytes().to_vec()));
    let values = packings.map(name);
    let mut header = Difference::new(Step::Table("compression"));
    header.found.push(Finding::Field { name: "compressed by", values, at: None, derived: false });
    let mut inside = Difference::new(Step::Unpacked);
    let windows = files.map(Window::of);
    unpack::compare(packings, windows, &mut inside, effort)?;
    difference.inside.push(header);
    if inside.is_some() || !inside.notes.is_empty() {
        difference.inside.push(inside);
    }
    Ok(())
}

pub(super) fn compare_xz(
    files: Pair<&dyn Content>,
    difference: &mut Difference,
    effort: &Effort<'_>,
) -> Result<(), ReadError> {
    simple(Packing::Xz, files, difference, effort)
}

pub(super) fn compare_zstd(
    files: Pair<&dyn Content>,
    difference: &mut Difference,
    effort: &Effort<'_>,
) -> Result<(), ReadError> {
    simple(Packing::Zstd, files, difference, effort)
}

pub(super) fn compare_bzip2(
    files: Pair<&dyn Content>,
    difference: &mut Difference,
    effort: &Effort<'_>,
) -> Result<(), ReadError> {
    simple(Packing::Bzip2, files, difference, effort)
}

/// Formats whose header says nothing but how to unpack.
fn simple(
    packing: Packing,
    files: Pair<&dyn Content>,
    difference: &mut Difference,
    effort: &Effort<'_>,
) -> Result<(), ReadError> {
    let unpacked = |side: Side| match unpack::unpack(packing, Window::of(*files.of(side)), effort) {
        Ok(unpacked) => Ok(Ok(unpacked)),
        Err(stop) => stop.note(packing.name(), side).map(Err),
    };
    match (unpacked(Side::A)?, unpacked(Side::B)?) {
        (Ok(a), Ok(b)) => contents(packing.name(), files, Pair::new(a, b), difference, effort),
        (Err(note), _) | (_, Err(note)) => {
            difference.notes.push(note);
            Ok(())
        }
    }
}

/// Compares what was packed in two files.
fn contents(
    packing: &'static str,
    files: Pair<&dyn Content>,
    unpacked: Pair<Unpacked<'_>>,
    difference: &mut Difference,
    effort: &Effort<'_>,
) -> Result<(), ReadError> {
    let slices = unpacked.as_ref().map(Unpacked::bytes);
    if slices.a == slices.b {
        let packed = files.map(Content::len);
        difference.found.push(Finding::Encoding { packing, size: slices.a.len() as u64, packed });
        return Ok(());
    }
    let mut inside = Difference::new(Step::Unpacked);
    match effort.deeper() {
        Some(_deeper) => file::compare(Pair::new(&slices.a, &slices.b), &mut inside, effort)?,
        None => {
            inside.notes.push(effort.too_deep());
            let windows = Pair::new(Window::of(&slices.a), Window::of(&slices.b));
            if let Some(found) = bytes::compare(windows, effort)? {
                file::add(found, &mut inside);
            }
        }
    }
    difference.inside.push(inside);
    Ok(())
}

/// A gzip file: what its headers and trailers say, where its streams lie, and what is in them.
struct Gzip<'e> {
    fields: Vec<Field>,
    streams: Vec<(u64, u64)>,
    unpacked: Unpacked<'e>,
    /// Where the last member ends.
    end: u64,
}

pub(super) fn compare_gzip(
    files: Pair<&dyn Content>,
    difference: &mut Difference,
    effort: &Effort<'_>,
) -> Result<(), ReadError> {
    let read = |side: Side| match gzip(*files.of(side), effort) {
        Ok(gzip) => Ok(Ok(gzip)),
        Err(stop) => stop.note("gzip", side).map(Err),
    };
    let both = match (read(Side::A)?, read(Side::B)?) {
        (Ok(a), Ok(b)) => Pair::new(a, b),
        (Err(note), _) | (_, Err(note)) => {
            difference.notes.push(note);
            return Ok(());
        }
    };
    let fields = both.as_ref().map(|gzip| gzip.fields.clone());
    let mut header = Difference::new(Step::Table("gzip header"));
    header.found = compare_fields(fields, files)?;
    if header.is_some() {
        difference.inside.push(header);
    }
    let windows = |side: Side, stream: (u64, u64)| Window::new(*files.of(side), stream.0, stream.1);
    let mut same = both.a.streams.len() == both.b.streams.len();
    for (a, b) in both.a.streams.iter().zip(&both.b.streams) {
        same = same && a.1 == b.1 && bytes::equal(Pair::new(windows(Side::A, *a), windows(Side::B, *b)))?;
    }
    let rest = |side: Side| Window::new(*files.of(side), both.of(side).end, u64::MAX);
    if let Some(found) = bytes::compare(Pair::new(rest(Side::A), rest(Side::B)), effort)? {
        let mut behind = Difference::new(Step::BetweenMembers);
        file::add(found, &mut behind);
        difference.inside.push(behind);
    }
    if same {
        return Ok(());
    }
    contents("gzip", files, Pair::new(both.a.unpacked, both.b.unpacked), difference, effort)
}

fn gzip<'e>(content: &dyn Content, effort: &'e Effort<'_>) -> Result<Gzip<'e>, Stop> {
    let input = Input::new(Window::of(content));
    let mut reader = BufReader::with_capacity(64 << 10, &input);
    let mut gzip =
        Gzip { fields: Vec::new(), streams: Vec::new(), unpacked: unpack::nothing(effort), end: 0 };
    let outcome = members(&mut reader, &mut gzip, content);
    input.judge(outcome)?;
    Ok(gzip)
}

fn members(
    reader: &mut BufReader<&Input<'_>>,
    gzip: &mut Gzip<'_>,
    content: &dyn Content,
) -> Result<(), Stop> {
    let mut count = 0;
    // Behind the first member, what does not begin as one is trailing bytes: gzip(1) ignores them.
    while !unpack::at_end(reader)? && (count == 0 || begins(content, unpack::position(reader))?) {
        if count == MAX_MEMBERS {
            return Err(Stop::Cap { what: "members", cap: MAX_MEMBERS });
        }
        header(reader, gzip)?;
        let start = unpack::position(reader);
        let mut decoder = flate2::bufread::DeflateDecoder::new(&mut *reader);
        unpack::fill(&mut decoder, &mut gzip.unpacked, content.len())?;
        let at = unpack::position(reader);
        gzip.streams.push((start, at - start));
        let trailer: [u8; 8] = take(reader)?;
        let word = |bytes: &[u8]| u64::from(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
        gzip.fields.push(Field::derived("crc-32", Value::Number(word(&trailer[..4])), (at, 4)));
        gzip.fields.push(Field::derived("size", Value::Decimal(word(&trailer[4..])), (at + 4, 4)));
        gzip.end = at + 8;
        count += 1;
    }
    gzip.fields.push(Field::new("members", Value::Decimal(count), (0, 0)));
    Ok(())
}

/// Whether a member begins there. Not to be seen from what is buffered: that may end inside of the three bytes.
fn begins(content: &dyn Content, at: u64) -> Result<bool, Stop> {
    let head = Window::new(content, at, 3).to_vec();
    head.map(|head| is_gzip(&head)).map_err(|source| Stop::Read { offset: at, source })
}

fn take<const N: usize>(reader: &mut BufReader<&Input<'_>>) -> Result<[u8; N], Stop> {
    let mut bytes = [0; N];
    let outcome = reader.read_exact(&mut bytes);
    outcome.map_err(|_| Stop::Broken { offset: 0, what: "it ends inside a header or trailer" })?;
    Ok(bytes)
}

fn header(reader: &mut BufReader<&Input<'_>>, gzip: &mut Gzip<'_>) -> Result<(), Stop> {
    const HCRC: u8 = 2;
    const EXTRA: u8 = 4;
    const NAME: u8 = 8;
    const COMMENT: u8 = 16;
    let at = unpack::position(reader);
    let head: [u8; 10] = take(reader)?;
    if !is_gzip(&head) {
        return Err(Stop::Broken { offset: at, what: "no gzip header" });
    }
    let mtime = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
    let flags = head[3];
    gzip.fields.extend([
        // It says which of the others there are.
        Field::derived("flags", Value::Number(u64::from(flags)), (at + 3, 1)),
        Field::new("mtime", Value::Time(i64::from(mtime)), (at + 4, 4)),
        Field::new("extra flags", level(head[8]), (at + 8, 1)),
        Field::new("operating system", system(head[9]), (at + 9, 1)),
    ]);
    if flags & EXTRA != 0 {
        let at = unpack::position(reader);
        let length = u16::from_le_bytes(take(reader)?);
        let mut extra = vec![0; usize::from(length)];
        let outcome = reader.read_exact(&mut extra);
        outcome.map_err(|_| Stop::Broken { offset: at, what: "it ends inside a header" })?;
        gzip.fields.push(Field::new("extra field", Value::Hex(Some(extra)), (at, u64::from(length) + 2)));
    }
    for (flag, name) in [(NAME, "name"), (COMMENT, "comment")] {
        if flags & flag != 0 {
            let at = unpack::position(reader);
            let mut text = Vec::new();
            for byte in reader.by_ref().take(MAX_TEXT as u64).bytes() {
                match byte {
                    Ok(0) => break,
                    Ok(byte) => text.push(byte),
                    Err(_) => return Err(Stop::Broken { offset: 0, what: "it ends inside a header" }),
                }
            }
            let raw = (at, text.len() as u64);
            gzip.fields.push(Field::new(name, Value::Text(Some(text)), raw));
        }
    }
    if flags & HCRC != 0 {
        let at = unpack::position(reader);
        let sum = u16::from_le_bytes(take(reader)?);
        gzip.fields.push(Field::derived("header crc", Value::Number(u64::from(sum)), (at, 2)));
    }
    Ok(())
}

/// What the compressor says of its level.
fn level(flags: u8) -> Value {
    match flags {
        0 => Value::Named(0, "none"),
        2 => Value::Named(2, "best compression"),
        4 => Value::Named(4, "fastest"),
        other => Value::Number(u64::from(other)),
    }
}

/// The operating system, of the codes that are still written.
fn system(code: u8) -> Value {
    let name = match code {
        0 => "FAT",
        3 => "Unix",
        7 => "Macintosh",
        10 => "NTFS",
        11 => "NTFS (zlib)",
        19 => "macOS",
        255 => "unknown",
        _ => return Value::Number(u64::from(code)),
    };
    Value::Named(u64::from(code), name)
}
