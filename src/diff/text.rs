//! Text, line by line: other line endings, another order, or other lines.

use std::{collections::HashMap, ops::Range as Lines};

use super::{
    Finding, Note, Pair, Range, Ranges, ReadError, Side, Sorted,
    bytes::{failed, piece},
    content::Window,
    limits::Effort,
    matching,
};

/// Whether a file that begins with `head` is text: no NUL, and next to no other control characters.
pub(super) fn is_text(head: &[u8]) -> bool {
    let control = |byte: &&u8| matches!(byte, 0x00..=0x08 | 0x0b | 0x0e..=0x1a | 0x1c..=0x1f | 0x7f);
    !head.contains(&0) && head.iter().filter(control).count() * 100 <= head.len()
}

/// Compares two texts whose differing parts, without common beginning and end, are `middle`.
/// `Err` is the reason why they cannot be compared by lines.
pub(super) fn compare(
    whole: Pair<Window<'_>>,
    middle: Pair<Window<'_>>,
    effort: &Effort<'_>,
) -> Result<Result<Finding, Note>, ReadError> {
    let limits = effort.limits;
    let larger = middle.a.size().max(middle.b.size());
    if larger > limits.text_bytes {
        return Ok(Err(Note::TextTooLarge { unit: "bytes", count: larger, cap: limits.text_bytes }));
    }
    let (before, start) = beginning(whole.a, middle.a.start())?;
    let back = middle.a.start() - start;
    let texts = Pair::new(
        lines(Side::A, whole.a, middle.a, back, limits.text_bytes)?,
        lines(Side::B, whole.b, middle.b, back, limits.text_bytes)?,
    );
    if let Some(endings) = line_endings(&texts) {
        return Ok(Ok(Finding::LineEndings(endings)));
    }
    let ids = identify(&texts);
    let place = Placed { whole, texts: &texts, before };
    if is_reordered(&ids) {
        let differs = ids.a.iter().zip(&ids.b).position(|(a, b)| a != b).unwrap_or(0);
        let first = Box::new(place.hunk(differs..differs + 1, differs..differs + 1)?);
        let sorted = texts.as_ref().map(sorted);
        return Ok(Ok(Finding::Reordered { lines: ids.a.len() as u64, sorted, first }));
    }
    let count = ids.a.len().max(ids.b.len()) as u64;
    if count > limits.text_lines {
        return Ok(Err(Note::TextTooLarge { unit: "lines", count, cap: limits.text_lines }));
    }
    place.ranges(&ids, effort).map(|ranges| Ok(Finding::Lines(ranges)))
}

/// Lines of one side: where each begins and ends in the file, its newline included.
struct Text {
    start: u64,
    bytes: Vec<u8>,
    lines: Vec<Lines<usize>>,
}

impl Text {
    fn line(&self, index: usize) -> &[u8] {
        &self.bytes[self.lines[index].clone()]
    }

    /// Where lines begin and end in the file.
    fn span(&self, lines: &Lines<usize>) -> (u64, u64) {
        let at = |line: usize| self.lines.get(line).map_or(self.bytes.len(), |line| line.start) as u64;
        (self.start + at(lines.start), self.start + at(lines.end))
    }
}

/// How many line feeds stand before `end`, and where its line begins. Bounded memory, however long the prefix.
fn beginning(window: Window<'_>, end: u64) -> Result<(u64, u64), ReadError> {
    let (mut count, mut start, mut at) = (0, window.start(), window.start());
    let mut buffer = Vec::new();
    while at < end {
        let next = (at + (64 << 10)).min(end);
        let block = window.bytes(at, next, &mut buffer).map_err(failed(Side::A, at))?;
        count += block.iter().filter(|byte| **byte == b'\n').count() as u64;
        if let Some(last) = block.iter().rposition(|byte| *byte == b'\n') {
            start = at + last as u64 + 1;
        }
        at = next;
    }
    Ok((count, start))
}

/// The lines that `middle` touches: from `back` bytes before it to the next line feed behind it (within the cap).
fn lines(side: Side, whole: Window<'_>, middle: Window<'_>, back: u64, cap: u64) -> Result<Text, ReadError> {
    // A line that is longer than the cap before the difference is not worth its memory.
    let start = middle.start() - back.min(cap);
    let mut end = middle.end();
    let mut buffer = Vec::new();
    while end < whole.end() && end - middle.end() < cap {
        let next = (end + 4096).min(whole.end());
        let block = whole.bytes(end, next, &mut buffer).map_err(failed(side, end))?;
        if let Some(newline) = block.iter().position(|byte| *byte == b'\n') {
            end += newline as u64 + 1;
            break;
        }
        end = next;
    }
    let bytes = whole.part(start, end).to_vec().map_err(failed(side, start))?;
    let mut lines = Vec::new();
    let mut from = 0;
    for (at, _) in bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
        lines.push(from..at + 1);
        from = at + 1;
    }
    if from < bytes.len() {
        lines.push(from..bytes.len());
    }
    Ok(Text { start, bytes, lines })
}

/// How many lines end in CR LF on both sides, when nothing but that differs.
fn line_endings(texts: &Pair<Text>) -> Option<Pair<u64>> {
    fn bare(line: &[u8]) -> &[u8] {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        line.strip_suffix(b"\r").unwrap_or(line)
    }
    let count =
        |text: &Text| (0..text.lines.len()).filter(|i| text.line(*i).ends_with(b"\r\n")).count() as u64;
    let same_lines = texts.a.lines.len() == texts.b.lines.len()
        && (0..texts.a.lines.len()).all(|i| bare(texts.a.line(i)) == bare(texts.b.line(i)));
    let counts = texts.as_ref().map(count);
    (same_lines && counts.a != counts.b).then_some(counts)
}

/// A number for each different line, so that matching compares numbers. The last line of a file may lack its
/// newline; it is another line then.
fn identify(texts: &Pair<Text>) -> Pair<Vec<u32>> {
    let mut known: HashMap<&[u8], u32> = HashMap::new();
    let mut ids = Pair::new(Vec::with_capacity(texts.a.lines.len()), Vec::with_capacity(texts.b.lines.len()));
    for (text, ids) in [(&texts.a, &mut ids.a), (&texts.b, &mut ids.b)] {
        for index in 0..text.lines.len() {
            let next = known.len() as u32;
            ids.push(*known.entry(text.line(index)).or_insert(next));
        }
    }
    ids
}

/// Whether both sides have the same lines in another order.
fn is_reordered(ids: &Pair<Vec<u32>>) -> bool {
    let sorted = ids.as_ref().map(|ids| {
        let mut ids = ids.clone();
        ids.sort_unstable();
        ids
    });
    ids.a.len() > 1 && sorted.a == sorted.b
}

/// How the lines that differ are sorted. The part that differs is enough: it lies between equal beginnings and ends.
fn sorted(text: &Text) -> Sorted {
    let letters = |line: &[u8]| -> Vec<u8> {
        line.iter()
            .filter(|byte| byte.is_ascii_alphanumeric() || !byte.is_ascii())
            .map(u8::to_ascii_lowercase)
            .collect()
    };
    let lines = || (0..text.lines.len()).map(|index| text.line(index));
    let (bytes, letters) = (lines().is_sorted(), lines().map(letters).is_sorted());
    match (bytes, letters) {
        (true, false) => Sorted::Bytes,
        (false, true) => Sorted::Letters,
        _ => Sorted::Unclear,
    }
}

/// Lines with their place in the files.
struct Placed<'a> {
    whole: Pair<Window<'a>>,
    texts: &'a Pair<Text>,
    /// Lines before the first one here, the same on both sides.
    before: u64,
}

impl Placed<'_> {
    fn ranges(&self, ids: &Pair<Vec<u32>>, effort: &Effort<'_>) -> Result<Ranges, ReadError> {
        let mut hunks = Vec::new();
        for (old, new) in matching::hunks(&ids.a, &ids.b) {
            // As many lines as before: pair them one by one.
            if old.len() == new.len() {
                hunks.extend(old.zip(new).map(|(a, b)| (a..a + 1, b..b + 1)));
            } else {
                hunks.push((old, new));
            }
        }
        let mut ranges = Ranges { total: hunks.len() as u64, ..Ranges::default() };
        let keep = effort.take_ranges(hunks.len().min(effort.limits.ranges_per_place));
        for (index, (old, new)) in hunks.into_iter().enumerate() {
            let range = self.hunk(old, new)?;
            ranges.differing += range.differing;
            if index < keep {
                ranges.list.push(range);
            }
        }
        Ok(ranges)
    }

    /// The differing part of lines on both sides.
    fn hunk(&self, old: Lines<usize>, new: Lines<usize>) -> Result<Range, ReadError> {
        let numbers = Pair::new(old.start, new.start).map(|line| self.before + line as u64 + 1);
        let (mut a, mut b) = (self.texts.a.span(&old), self.texts.b.span(&new));
        if old.len() == 1 && new.len() == 1 {
            let (x, y) = (self.texts.a.line(old.start), self.texts.b.line(new.start));
            let prefix = x.iter().zip(y).take_while(|(x, y)| x == y).count();
            let rest = x.iter().rev().zip(y.iter().rev()).take(x.len().min(y.len()) - prefix);
            let suffix = rest.take_while(|(x, y)| x == y).count() as u64;
            a = (a.0 + prefix as u64, a.1 - suffix);
            b = (b.0 + prefix as u64, b.1 - suffix);
        }
        let sample = 4096;
        let range = Range {
            a: piece(self.whole.a, a.0, a.1 - a.0, sample).map_err(failed(Side::A, a.0))?,
            b: piece(self.whole.b, b.0, b.1 - b.0, sample).map_err(failed(Side::B, b.0))?,
            differing: self.differing(a, b),
            symbol: None,
            lines: Some(numbers),
        };
        Ok(range)
    }

    /// Bytes that differ between two spans of the files.
    fn differing(&self, a: (u64, u64), b: (u64, u64)) -> u64 {
        if a.1 - a.0 != b.1 - b.0 {
            return (a.1 - a.0).max(b.1 - b.0);
        }
        let bytes =
            |text: &Text, span: (u64, u64)| (span.0 - text.start) as usize..(span.1 - text.start) as usize;
        let (texts, of_a, of_b) = (self.texts, bytes(&self.texts.a, a), bytes(&self.texts.b, b));
        texts.a.bytes[of_a].iter().zip(&texts.b.bytes[of_b]).filter(|(x, y)| x != y).count() as u64
    }
}
