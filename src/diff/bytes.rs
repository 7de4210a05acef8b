//! Two byte strings, compared: in place when they have the same length, by moved parts when that says more.

use std::borrow::Cow;

use super::{
    Note, Pair, Piece, Range, Ranges, ReadError, Side, Strings,
    common::{self, End},
    content::Window,
    limits::Effort,
    moved::{self, Hunk},
    novelty::{self, Counterparts},
};

/// How much is read at a time. Small enough for the cache, large enough for `memcmp` to dominate.
pub(super) const BLOCK: u64 = 64 << 10;
/// Equal bytes between two differing ones that do not end a range: a pointer's width.
const GAP: u64 = 8;
/// How far a sample goes beyond its range: two rows of a hexdump, or a string of up to this length.
const CONTEXT: u64 = 32;
const CONTEXT_STRING: u64 = 256;

/// What was found in two byte strings.
#[derive(Default)]
pub(crate) struct Found {
    pub ranges: Ranges,
    /// New strings, looked for where ranges alone do not show what is new.
    pub strings: Option<Pair<Strings>>,
    pub note: Option<Note>,
    /// Bytes that differ only because they are the address of something that moved, and in how many words.
    pub moved: Moved,
}

/// Words that differ only because what they refer to moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moved {
    pub words: u64,
    pub bytes: u64,
}

/// Compares two windows; `None` when they are equal.
pub(crate) fn compare(pair: Pair<Window<'_>>, effort: &Effort<'_>) -> Result<Option<Found>, ReadError> {
    let middle = trim(pair)?;
    let sizes = middle.map(|window| window.size());
    if sizes.a == 0 && sizes.b == 0 {
        return Ok(None);
    }
    let keep = effort.limits.ranges_per_place;
    let larger = sizes.a.max(sizes.b);
    let in_place = if sizes.a == sizes.b { Some(in_place(middle, keep)?) } else { None };
    // Few differing bytes in place are what they look like; many may be few bytes that moved the others.
    if let Some(spans) = in_place.as_ref().filter(|spans| spans.total <= 8 || spans.differing < larger / 8) {
        let strings = if spans.total > spans.list.len() as u64 { strings(middle, effort)? } else { None };
        return Ok(Some(Found { ranges: sampled(pair, spans, effort)?, strings, ..Found::default() }));
    }
    if sizes.a.min(sizes.b) == 0 {
        let spans = Spans::one(Hunk::of(middle));
        return Ok(Some(Found { ranges: sampled(pair, &spans, effort)?, ..Found::default() }));
    }
    if larger > effort.limits.moved_bytes {
        let note = Some(Note::ShiftTooLarge { bytes: larger, cap: effort.limits.moved_bytes });
        let spans = in_place.unwrap_or_else(|| Spans::one(Hunk::of(middle)));
        return Ok(Some(Found { ranges: sampled(pair, &spans, effort)?, note, ..Found::default() }));
    }
    let loaded = both(middle)?;
    let bytes = loaded.as_ref().map(|bytes| &**bytes);
    let base = middle.map(|window| window.start());
    let hunks = moved::hunks(bytes.a, bytes.b);
    let mut moved = Spans::new(keep);
    for hunk in &hunks {
        moved.push_hunk(*hunk, bytes, base);
    }
    let spans = match in_place {
        Some(in_place) if in_place.differing <= moved.differing.saturating_mul(2) => in_place,
        _ => moved,
    };
    let known = moved::between(&hunks, bytes.map(<[u8]>::len));
    let strings = novelty::strings(bytes, &known, base, effort.limits.strings);
    Ok(Some(Found { ranges: sampled(pair, &spans, effort)?, strings, ..Found::default() }))
}

/// New strings of two windows of the same size, when they are small enough to look.
fn strings(middle: Pair<Window<'_>>, effort: &Effort<'_>) -> Result<Option<Pair<Strings>>, ReadError> {
    if middle.a.size().max(middle.b.size()) > effort.limits.moved_bytes {
        return Ok(None);
    }
    let loaded = both(middle)?;
    let bytes = loaded.as_ref().map(|bytes| &**bytes);
    let known = [Counterparts { at: Pair::new(0, 0), len: bytes.a.len() }];
    Ok(novelty::strings(bytes, &known, middle.map(|window| window.start()), effort.limits.strings))
}

fn both<'a>(pair: Pair<Window<'a>>) -> Result<Pair<Cow<'a, [u8]>>, ReadError> {
    Ok(Pair::new(
        pair.a.load().map_err(failed(Side::A, pair.a.start()))?,
        pair.b.load().map_err(failed(Side::B, pair.b.start()))?,
    ))
}

/// Whether two windows hold the same bytes.
pub(crate) fn equal(pair: Pair<Window<'_>>) -> Result<bool, ReadError> {
    let size = pair.a.size();
    Ok(size == pair.b.size() && common::common(pair, End::Front, size)? == size)
}

/// One range over all of two windows, whatever is in them.
pub(crate) fn whole(pair: Pair<Window<'_>>, effort: &Effort<'_>) -> Result<Ranges, ReadError> {
    sampled(pair, &Spans::one(Hunk::of(pair)), effort)
}

pub(crate) fn failed(side: Side, offset: u64) -> impl Fn(std::io::Error) -> ReadError {
    move |source| ReadError { side, offset, source }
}

/// Cuts off what both have in common at the beginning and at the end.
pub(crate) fn trim(pair: Pair<Window<'_>>) -> Result<Pair<Window<'_>>, ReadError> {
    let shorter = pair.a.size().min(pair.b.size());
    let front = common::common(pair, End::Front, shorter)?;
    let back = common::common(pair, End::Back, shorter - front)?;
    Ok(pair.map(|w| w.part(w.start() + front, w.end() - back)))
}

/// `len` bytes of both windows from the given offsets of the whole.
pub(super) fn blocks<'b>(
    pair: Pair<Window<'b>>,
    at: Pair<u64>,
    len: u64,
    buffers: &'b mut Pair<Vec<u8>>,
) -> Result<Pair<&'b [u8]>, ReadError> {
    let a = pair.a.bytes(at.a, at.a + len, &mut buffers.a).map_err(failed(Side::A, at.a))?;
    let b = pair.b.bytes(at.b, at.b + len, &mut buffers.b).map_err(failed(Side::B, at.b))?;
    Ok(Pair::new(a, b))
}

/// A differing range before its bytes are sampled: offsets of the whole.
#[derive(Clone, Copy)]
pub(crate) struct Span {
    pub at: Pair<u64>,
    pub len: Pair<u64>,
    pub differing: u64,
}

/// Spans in order: the first ones kept, all counted.
pub(crate) struct Spans {
    pub list: Vec<Span>,
    keep: usize,
    pub total: u64,
    pub differing: u64,
}

impl Spans {
    pub fn new(keep: usize) -> Self {
        Spans { list: Vec::new(), keep, total: 0, differing: 0 }
    }

    fn one(hunk: Hunk) -> Self {
        let mut spans = Spans::new(1);
        spans.push(Span { at: hunk.at, len: hunk.len, differing: hunk.len.a.max(hunk.len.b) });
        spans
    }

    pub fn push(&mut self, span: Span) {
        self.total += 1;
        self.differing += span.differing;
        if self.list.len() < self.keep {
            self.list.push(span);
        }
    }

    /// A hunk of moved-part matching, its offsets relative to `bytes`: position by position when both sides are
    /// equally long.
    fn push_hunk(&mut self, hunk: Hunk, bytes: Pair<&[u8]>, base: Pair<u64>) {
        let at = Pair::new(base.a + hunk.at.a, base.b + hunk.at.b);
        if hunk.len.a != hunk.len.b {
            self.push(Span { at, len: hunk.len, differing: hunk.len.a.max(hunk.len.b) });
            return;
        }
        let mut collector = Collector::new(self, at);
        collector.block(0, &bytes.a[hunk.range().a], &bytes.b[hunk.range().b]);
        collector.finish();
    }
}

/// Joins differing positions to spans.
pub(crate) struct Collector<'a> {
    spans: &'a mut Spans,
    base: Pair<u64>,
    open: Option<(u64, u64, u64)>,
}

impl<'a> Collector<'a> {
    pub fn new(spans: &'a mut Spans, base: Pair<u64>) -> Self {
        Collector { spans, base, open: None }
    }

    fn block(&mut self, offset: u64, a: &[u8], b: &[u8]) {
        for (index, (a, b)) in a.chunks(8).zip(b.chunks(8)).enumerate() {
            if a == b {
                continue;
            }
            for (byte, _) in a.iter().zip(b).enumerate().filter(|(_, (x, y))| x != y) {
                self.position(offset + (index * 8 + byte) as u64);
            }
        }
    }

    /// The byte at `at`, counted from the base, differs.
    pub fn position(&mut self, at: u64) {
        match &mut self.open {
            Some((_, end, differing)) if at < *end + GAP => {
                *end = at + 1;
                *differing += 1;
            }
            _ => {
                self.flush();
                self.open = Some((at, at + 1, 1));
            }
        }
    }

    fn flush(&mut self) {
        if let Some((start, end, differing)) = self.open.take() {
            let at = Pair::new(self.base.a + start, self.base.b + start);
            self.spans.push(Span { at, len: Pair::new(end - start, end - start), differing });
        }
    }

    pub fn finish(mut self) {
        self.flush();
    }
}

/// Compares two windows of the same size position by position.
fn in_place(pair: Pair<Window<'_>>, keep: usize) -> Result<Spans, ReadError> {
    let mut spans = Spans::new(keep);
    let mut collector = Collector::new(&mut spans, pair.map(|w| w.start()));
    let mut buffers = Pair::new(Vec::new(), Vec::new());
    let size = pair.a.size();
    let mut offset = 0;
    while offset < size {
        let len = BLOCK.min(size - offset);
        let block = blocks(pair, pair.map(|w| w.start() + offset), len, &mut buffers)?;
        if block.a != block.b {
            collector.block(offset, block.a, block.b);
        }
        offset += len;
    }
    collector.finish();
    Ok(spans)
}

/// Reads the samples of the spans that may be kept.
pub(crate) fn sampled(
    pair: Pair<Window<'_>>,
    spans: &Spans,
    effort: &Effort<'_>,
) -> Result<Ranges, ReadError> {
    let granted = effort.take_ranges(spans.list.len());
    let mut list = Vec::with_capacity(granted);
    for span in spans.list.iter().take(granted) {
        let sample = effort.limits.sample;
        list.push(Range {
            a: piece(pair.a, span.at.a, span.len.a, sample).map_err(failed(Side::A, span.at.a))?,
            b: piece(pair.b, span.at.b, span.len.b, sample).map_err(failed(Side::B, span.at.b))?,
            differing: span.differing,
            symbol: None,
            lines: None,
        });
    }
    Ok(Ranges { list, total: spans.total, differing: spans.differing })
}

/// A piece with its sample: the differing bytes up to `cap`, and around them two rows of a hexdump or the rest of
/// the string they stand in.
pub(crate) fn piece(window: Window<'_>, offset: u64, len: u64, cap: u64) -> std::io::Result<Piece> {
    let end = offset + len.min(cap);
    let from = offset.saturating_sub(CONTEXT_STRING).max(window.start());
    let to = end.saturating_add(CONTEXT_STRING).min(window.end());
    let mut buffer = Vec::new();
    let bytes = window.bytes(from, to, &mut buffer)?;
    let is_text = |byte: &&u8| matches!(byte, 0x20..=0x7e | 0x80..);
    let (first, last) = ((offset - from) as usize, (end - from) as usize);
    let lead = bytes[..first].iter().rev().take_while(is_text).count().max(CONTEXT as usize);
    let trail = bytes[last..].iter().take_while(is_text).count().max(CONTEXT as usize);
    let start = first.saturating_sub(lead);
    let stop = last.saturating_add(trail).min(bytes.len());
    Ok(Piece { offset, len, sample_offset: from + start as u64, sample: bytes[start..stop].to_vec() })
}
