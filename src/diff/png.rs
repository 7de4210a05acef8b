//! PNG images (W3C, "Portable Network Graphics", third edition): chunks by name, the picture by what it unpacks to.

use super::{
    Content, Difference, Finding, Pair, ReadError, Side, Step, Value, Window,
    archive::{Field, Stop, compare_fields},
    bytes, file,
    limits::Effort,
    unpack::{self, Packing, Unpacked},
};

const MAGIC: &[u8] = b"\x89PNG\r\n\x1a\n";

/// Chunks of one image; real ones have one for each 8 KiB at most.
const MAX_CHUNKS: usize = 1 << 20;
/// Chunks besides those of the picture that are told.
const MAX_TOLD: usize = 256;
/// Longest chunk whose fields or text are read.
const MAX_TEXT: u64 = 1 << 20;

/// Whether a file that begins with `head` claims to be an image.
pub(super) fn is_png(head: &[u8]) -> bool {
    head.starts_with(MAGIC)
}

/// A chunk: its type, and where its data lies.
struct Chunk {
    kind: [u8; 4],
    data: (u64, u64),
}

/// An image in its parts.
struct Image {
    /// What is said of it; `Value::Text` of texts is under their keywords in `texts`.
    fields: Vec<Field>,
    texts: Vec<(Vec<u8>, Vec<u8>)>,
    picture: Vec<(u64, u64)>,
    /// Chunks nobody here knows.
    others: Vec<Chunk>,
    end: u64,
}

/// Adds the parts in which two images differ.
pub(super) fn compare(
    files: Pair<&dyn Content>,
    difference: &mut Difference,
    effort: &Effort<'_>,
) -> Result<(), ReadError> {
    let read = |side: Side| match parse(*files.of(side), effort) {
        Ok(image) => Ok(Ok(image)),
        Err(stop) => stop.note("PNG", side).map(Err),
    };
    let images = match (read(Side::A)?, read(Side::B)?) {
        (Ok(a), Ok(b)) => Pair::new(a, b),
        (Err(note), _) | (_, Err(note)) => {
            difference.notes.push(note);
            return Ok(());
        }
    };
    let mut header = Difference::new(Step::Table("PNG"));
    header.found = compare_fields(images.as_ref().map(|image| image.fields.clone()), files)?;
    texts(&images, &mut header);
    if header.is_some() {
        difference.inside.push(header);
    }
    for index in 0..images.a.others.len().max(images.b.others.len()) {
        let window = |side: Side| {
            let chunk = images.of(side).others.get(index).map_or((u64::MAX, 0), |chunk| chunk.data);
            Window::new(*files.of(side), chunk.0, chunk.1)
        };
        let named = images.a.others.get(index).or(images.b.others.get(index));
        if let Some(found) = bytes::compare(Pair::new(window(Side::A), window(Side::B)), effort)? {
            let mut place =
                Difference::new(Step::Section(named.map_or(Vec::new(), |chunk| chunk.kind.to_vec())));
            file::add(found, &mut place);
            difference.inside.push(place);
        }
    }
    picture(files, &images, difference, effort)?;
    let rest = |side: Side| Window::new(*files.of(side), images.of(side).end, u64::MAX);
    if let Some(found) = bytes::compare(Pair::new(rest(Side::A), rest(Side::B)), effort)? {
        let mut behind = Difference::new(Step::BetweenMembers);
        file::add(found, &mut behind);
        difference.inside.push(behind);
    }
    Ok(())
}

/// Texts by their keywords, those of one keyword in their order.
fn texts(images: &Pair<Image>, header: &mut Difference) {
    let mut of_b: Vec<Option<&(Vec<u8>, Vec<u8>)>> = images.b.texts.iter().map(Some).collect();
    let mut tell = |keyword: &[u8], values: Pair<Option<Vec<u8>>>| {
        let mut place = Difference::new(Step::Key(String::from_utf8_lossy(keyword).into_owned()));
        let values = values.map(Value::Text);
        place.found.push(Finding::Field { name: "value", values, at: None, derived: false });
        header.inside.push(place);
    };
    for (keyword, text) in &images.a.texts {
        let same = of_b.iter_mut().find(|other| other.is_some_and(|(name, _)| name == keyword));
        match same.and_then(Option::take) {
            Some((_, other)) if other == text => {}
            other => tell(keyword, Pair::new(Some(text.clone()), other.map(|(_, text)| text.clone()))),
        }
    }
    for (keyword, text) in of_b.into_iter().flatten() {
        tell(keyword, Pair::new(None, Some(text.clone())));
    }
}

/// The picture: the same when it unpacks to the same bytes.
fn picture(
    files: Pair<&dyn Content>,
    images: &Pair<Image>,
    difference: &mut Difference,
    effort: &Effort<'_>,
) -> Result<(), ReadError> {
    let mut place = Difference::new(Step::Section(b"IDAT".to_vec()));
    let stream = |side: Side| match joined(*files.of(side), &images.of(side).picture, effort) {
        Ok(stream) => Ok(Ok(stream)),
        Err(stop) => stop.note("PNG", side).map(Err),
    };
    let streams = match (stream(Side::A)?, stream(Side::B)?) {
        (Ok(a), Ok(b)) => Pair::new(a, b),
        (Err(note), _) | (_, Err(note)) => {
            difference.notes.push(note);
            return Ok(());
        }
    };
    let packed = streams.as_ref().map(Unpacked::bytes);
    let lengths = |image: &Image| image.picture.iter().map(|(_, len)| *len).collect::<Vec<_>>();
    if packed.a == packed.b {
        if lengths(&images.a) != lengths(&images.b) {
            let values = images.as_ref().map(|image| Value::Decimal(image.picture.len() as u64));
            place.found.push(Finding::Field {
                name: "chunks of the picture",
                values,
                at: None,
                derived: false,
            });
            difference.inside.push(place);
        }
        return Ok(());
    }
    let windows = Pair::new(Window::of(&packed.a), Window::of(&packed.b));
    unpack::compare(Pair::new(Packing::Zlib, Packing::Zlib), windows, &mut place, effort)?;
    difference.inside.push(place);
    Ok(())
}

fn joined<'e>(
    content: &dyn Content,
    pieces: &[(u64, u64)],
    effort: &'e Effort<'_>,
) -> Result<Unpacked<'e>, Stop> {
    let mut out = unpack::nothing(effort);
    let mut block = vec![0; 64 << 10];
    for (start, len) in pieces {
        let (mut at, end) = (*start, start + len);
        while at < end {
            let len = (end - at).min(block.len() as u64) as usize;
            content
                .read_exact_at(at, &mut block[..len])
                .map_err(|source| Stop::Read { offset: at, source })?;
            out.push(&block[..len])?;
            at += len as u64;
        }
    }
    Ok(out)
}

fn parse(content: &dyn Content, effort: &Effort<'_>) -> Result<Image, Stop> {
    let (fields, texts, picture, others) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut image = Image { fields, texts, picture, others, end: 0 };
    let (mut at, mut order, mut count) = (MAGIC.len() as u64, Vec::new(), 0);
    let mut sums = Vec::new();
    loop {
        let broken = |what| Stop::Broken { offset: at, what };
        if count == MAX_CHUNKS || sums.len() > MAX_TOLD {
            return Err(Stop::Cap { what: "chunks", cap: count as u64 });
        }
        count += 1;
        let mut head = [0; 8];
        if content.len() < at.saturating_add(12) {
            return Err(broken("it ends before its last chunk"));
        }
        content.read_exact_at(at, &mut head).map_err(|source| Stop::Read { offset: at, source })?;
        let [a, b, c, d, kind @ ..] = head;
        let len = u64::from(u32::from_be_bytes([a, b, c, d]));
        let data = (at + 8, len);
        if content.len() - at < 12 + len {
            return Err(broken("a chunk ends behind the end of the file"));
        }
        if &kind == b"IDAT" {
            if image.picture.is_empty() {
                order.extend_from_slice(b" IDAT");
            }
            image.picture.push(data);
        } else {
            order.extend_from_slice(&[b" ", &kind[..]].concat());
            sums.push((data.0 + len, kind));
            image.chunk(content, Chunk { kind, data }, effort)?;
        }
        at = data.0 + len + 4;
        if &kind == b"IEND" {
            break;
        }
    }
    image.end = at;
    image.fields.push(Field::new("chunks", Value::Text(Some(order.trim_ascii_start().to_vec())), (0, 0)));
    for (at, _) in sums {
        let mut sum = [0; 4];
        content.read_exact_at(at, &mut sum).map_err(|source| Stop::Read { offset: at, source })?;
        image.fields.push(Field::derived(
            "crc-32",
            Value::Number(u64::from(u32::from_be_bytes(sum))),
            (at, 4),
        ));
    }
    Ok(image)
}

impl Image {
    /// Takes in a chunk that is not of the picture.
    fn chunk(&mut self, content: &dyn Content, chunk: Chunk, effort: &Effort<'_>) -> Result<(), Stop> {
        let (start, len) = chunk.data;
        if len > MAX_TEXT {
            self.others.push(chunk);
            return Ok(());
        }
        let data = Window::new(content, start, len);
        let data = data.to_vec().map_err(|source| Stop::Read { offset: start, source })?;
        let word = |at: usize| {
            let bytes = data.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
            bytes.map(|bytes| u64::from(u32::from_be_bytes(bytes)))
        };
        let mut number = |name, value: Option<u64>, at: u64, size| {
            self.fields.push(Field::new(name, Value::Decimal(value.unwrap_or_default()), (start + at, size)));
        };
        match (&chunk.kind, data.as_slice()) {
            (b"IHDR", [_, _, _, _, _, _, _, _, depth, color, _, filter, interlace]) => {
                number("width", word(0), 0, 4);
                number("height", word(4), 4, 4);
                number("bit depth", Some(u64::from(*depth)), 8, 1);
                number("color type", Some(u64::from(*color)), 9, 1);
                number("filter method", Some(u64::from(*filter)), 11, 1);
                number("interlace", Some(u64::from(*interlace)), 12, 1);
            }
            (b"pHYs", [_, _, _, _, _, _, _, _, unit]) => {
                number("pixels per unit, x", word(0), 0, 4);
                number("pixels per unit, y", word(4), 4, 4);
                number("unit", Some(u64::from(*unit)), 8, 1);
            }
            (b"gAMA", [_, _, _, _]) => number("gamma", word(0), 0, 4),
            (b"tIME", [high, low, month, day, hour, minute, second]) => {
                let year = u16::from_be_bytes([*high, *low]);
                let text = format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC");
                let value = Value::Text(Some(text.into_bytes()));
                self.fields.push(Field::new("time of last change", value, (start, 7)));
            }
            (b"tEXt" | b"zTXt" | b"iTXt", data) => match text(&chunk.kind, data, effort) {
                Some(text) => self.texts.push(text),
                None => self.others.push(chunk),
            },
            (b"IEND", []) => {}
            _ => self.others.push(chunk),
        }
        Ok(())
    }
}

/// Keyword and text of a chunk; `None` when it is malformed or too long unpacked.
fn text(kind: &[u8; 4], data: &[u8], effort: &Effort<'_>) -> Option<(Vec<u8>, Vec<u8>)> {
    let nul = |data: &[u8]| data.iter().position(|byte| *byte == 0);
    let end = nul(data)?;
    let (keyword, rest) = (&data[..end], &data[end + 1..]);
    let inflated = |packed: &[u8]| {
        let unpacked = unpack::unpack(Packing::Zlib, Window::of(&packed), effort).ok()?;
        Some(unpacked.bytes().to_vec()).filter(|text| text.len() as u64 <= MAX_TEXT)
    };
    let text = match kind {
        b"tEXt" => rest.to_vec(),
        b"zTXt" => inflated(rest.get(1..)?)?,
        _ => {
            // Whether it is compressed and how, language, keyword in it; they are part of what is compared.
            let flag = *rest.first()?;
            let language = rest.get(2..)?;
            let translated = &language[nul(language)? + 1..];
            let text = &translated[nul(translated)? + 1..];
            let prefix = &rest[..rest.len() - text.len()];
            let text = if flag == 1 { inflated(text)? } else { text.to_vec() };
            if prefix.iter().skip(1).all(|byte| *byte == 0) { text } else { [prefix, &text].concat() }
        }
    };
    Some((keyword.to_vec(), text))
}
