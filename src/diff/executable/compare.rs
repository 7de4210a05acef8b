//! Two images: tables field by field, sections matched by name, their bytes told apart into what is new and what
//! only refers to something that moved.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
};

use super::{
    align::{Alignment, Matched},
    changes::{Changed, symbol_changes},
    image::{Field, Image, Role, Section, Table},
    references::{Counterpart, References},
};
use crate::diff::{
    Content, Difference, Finding, Pair, ReadError, Side, Step, Window,
    bytes::{self, Collector, Found, Moved, Span, Spans, failed},
    file, gaps,
    limits::Effort,
    novelty::{self, Counterparts},
};

/// Bytes of one side that are held in memory at once, as a multiple of [`crate::diff::Limits::moved_bytes`].
/// Sections beyond it are compared in place.
const HELD: u64 = 4;

/// What a section that differs says, for the few that have a meaning as a whole: its name, its bytes.
pub(in crate::diff) type Meaning<'a> = &'a dyn Fn(&[u8], Pair<Window<'_>>) -> Result<Vec<Finding>, ReadError>;

/// Zeros that are taken for padding when only one side has them: the largest alignment of data.
const PADDING: usize = 64;

/// The parts in which two images differ.
pub(in crate::diff) fn compare(
    files: Pair<&dyn Content>,
    images: &Pair<Image>,
    meaning: Meaning<'_>,
    effort: &Effort<'_>,
) -> Result<Vec<Difference>, ReadError> {
    let mut parts = tables(images);
    sections(files, images, meaning, effort, &mut parts)?;
    between(files, images, effort, &mut parts)?;
    parts.retain(Difference::is_some);
    Ok(parts)
}

fn fields(a: &[Field], b: &[Field]) -> Vec<Finding> {
    let same_name = a.iter().filter_map(|a| Some((a, b.iter().find(|b| b.name == a.name)?)));
    same_name
        .filter(|(a, b)| a.value != b.value)
        .map(|(a, b)| Finding::Field {
            name: a.name,
            values: Pair::new(a.value.clone(), b.value.clone()),
            at: a.at.zip(b.at).map(|(a, b)| Pair::new(a, b)),
            derived: a.derived,
        })
        .collect()
}

/// Tables by their step and by how many of that step came before.
fn tables(images: &Pair<Image>) -> Vec<Difference> {
    let mut by_step: BTreeMap<(&Step, usize), Pair<Option<&Table>>> = BTreeMap::new();
    let mut order = Vec::new();
    for (side, tables) in [(Side::A, &images.a.tables), (Side::B, &images.b.tables)] {
        let mut seen: BTreeMap<&Step, usize> = BTreeMap::new();
        for table in tables {
            let ordinal = seen.entry(&table.at).or_default();
            let key = (&table.at, *ordinal);
            *ordinal += 1;
            let pair = by_step.entry(key).or_insert_with(|| {
                order.push(key);
                Pair::default()
            });
            match side {
                Side::A => pair.a = Some(table),
                Side::B => pair.b = Some(table),
            }
        }
    }
    let part = |key: (&Step, usize)| {
        let mut part = Difference::new(key.0.clone());
        part.found = match by_step.get(&key) {
            Some(Pair { a: Some(a), b: Some(b) }) => fields(&a.fields, &b.fields),
            Some(Pair { a: Some(_), b: None }) => vec![only(Side::A, "table", 0)],
            _ => vec![only(Side::B, "table", 0)],
        };
        part
    };
    order.into_iter().map(part).collect()
}

fn only(side: Side, what: &'static str, size: u64) -> Finding {
    Finding::OnlyIn { side, what, size }
}

/// Sections by name and by how many of that name came before.
type Key<'a> = (&'a [u8], usize);

fn by_name(sections: &[Section]) -> HashMap<Key<'_>, usize> {
    let mut seen: HashMap<&[u8], usize> = HashMap::new();
    let mut index = HashMap::new();
    for (number, section) in sections.iter().enumerate() {
        let ordinal = seen.entry(&section.name).or_default();
        index.insert((section.name.as_slice(), *ordinal), number);
        *ordinal += 1;
    }
    index
}

/// The sections of both files in order: index on side a, index on side b.
fn matched(images: &Pair<Image>) -> Vec<(Option<usize>, Option<usize>)> {
    let names = images.as_ref().map(|image| by_name(&image.sections));
    let mut order: Vec<(usize, Side, Option<usize>)> =
        names.a.iter().map(|(key, index)| (*index, Side::A, names.b.get(key).copied())).collect();
    let only_b = names.b.iter().filter(|(key, _)| !names.a.contains_key(*key));
    order.extend(only_b.map(|(_, index)| (*index, Side::B, None)));
    order.sort_unstable();
    let pair = |(index, side, other)| match side {
        Side::A => (Some(index), other),
        Side::B => (None, Some(index)),
    };
    order.into_iter().map(pair).collect()
}

/// The contents of two sections of one name.
enum Contents<'a> {
    Equal,
    Held(Pair<Cow<'a, [u8]>>),
    TooLarge,
}

fn sections(
    files: Pair<&dyn Content>,
    images: &Pair<Image>,
    meaning: Meaning<'_>,
    effort: &Effort<'_>,
    parts: &mut Vec<Difference>,
) -> Result<(), ReadError> {
    let matched = matched(images);
    let both: Vec<Pair<usize>> = matched.iter().filter_map(|(a, b)| Some(Pair::new((*a)?, (*b)?))).collect();
    let of = |pair: Pair<usize>| Pair::new(&images.a.sections[pair.a], &images.b.sections[pair.b]);
    let moved = anything_moved(images, &both);
    let mut left = effort.limits.moved_bytes.saturating_mul(HELD);
    let mut contents = Vec::with_capacity(both.len());
    for pair in &both {
        let sections = of(*pair);
        let windows = Pair::new(sections.a.window(files.a), sections.b.window(files.b));
        contents.push(hold(windows, moved, effort, &mut left)?);
    }
    let references = moved.then(|| references(images, &both, &contents));
    let mut changed = Changed::default();
    let mut indices = 0..;
    for (a, b) in matched {
        let (Some(a), Some(b)) = (a, b) else {
            let (side, section) = match (a, b) {
                (Some(a), _) => (Side::A, &images.a.sections[a]),
                (_, Some(b)) => (Side::B, &images.b.sections[b]),
                _ => continue,
            };
            let mut part = Difference::new(Step::Section(section.name.clone()));
            part.found.push(only(side, "section", section.size));
            parts.push(part);
            continue;
        };
        let pair = Pair::new(a, b);
        let Some(index) = indices.next() else { continue };
        let sections = of(pair);
        let mut part = Difference::new(Step::Section(sections.a.name.clone()));
        part.found = fields(&sections.a.fields, &sections.b.fields);
        let windows = Pair::new(sections.a.window(files.a), sections.b.window(files.b));
        let found = match (&contents[index], &references) {
            (Contents::Equal, _) => None,
            (Contents::Held(bytes), Some(references)) => {
                let aligned =
                    Aligned { images, pair, index, bytes: bytes.as_ref().map(|b| &**b), references };
                Some(aligned.compare(windows, effort, &mut changed)?)
            }
            _ => {
                let found = bytes::compare(windows, effort)?;
                if let Some(found) = &found {
                    changed.in_place(images, pair, &found.ranges);
                }
                found
            }
        };
        if let Some(mut found) = found {
            part.found.extend(meaning(&sections.a.name, windows)?);
            images.a.symbols.name_ranges(pair.a, sections.a.offset, Side::A, &mut found.ranges);
            file::add(found, &mut part);
        }
        parts.push(part);
    }
    if let Some(changes) = symbol_changes(images, &both, changed, effort.limits.strings) {
        let mut part = Difference::new(Step::Symbols);
        part.found.push(Finding::Symbols(Box::new(changes)));
        parts.push(part);
    }
    Ok(())
}

/// Whether anything lies elsewhere: if not, no word can refer to something that moved.
fn anything_moved(images: &Pair<Image>, both: &[Pair<usize>]) -> bool {
    let section_moved = both.iter().any(|pair| {
        let (a, b) = (&images.a.sections[pair.a], &images.b.sections[pair.b]);
        (a.address, a.size, a.memory) != (b.address, b.size, b.memory)
    });
    let symbols = Pair::new(images.a.symbols.list(), images.b.symbols.list());
    let places = |index: usize| {
        let (a, b) = (&symbols.a[index], &symbols.b[index]);
        (a.start, a.len, images.a.symbols.name(a)) != (b.start, b.len, images.b.symbols.name(b))
    };
    section_moved || symbols.a.len() != symbols.b.len() || (0..symbols.a.len()).any(places)
}

fn hold<'a>(
    windows: Pair<Window<'a>>,
    moved: bool,
    effort: &Effort<'_>,
    left: &mut u64,
) -> Result<Contents<'a>, ReadError> {
    let middle = bytes::trim(windows)?;
    if middle.a.size() == 0 && middle.b.size() == 0 {
        return Ok(Contents::Equal);
    }
    let larger = windows.a.size().max(windows.b.size());
    if !moved || larger > effort.limits.moved_bytes || larger > *left {
        return Ok(Contents::TooLarge);
    }
    *left -= larger;
    Ok(Contents::Held(Pair::new(
        windows.a.load().map_err(failed(Side::A, windows.a.start()))?,
        windows.b.load().map_err(failed(Side::B, windows.b.start()))?,
    )))
}

fn references<'c>(
    images: &Pair<Image>,
    both: &[Pair<usize>],
    contents: &'c [Contents<'_>],
) -> References<'c> {
    let counterparts = both.iter().zip(contents).map(|(pair, contents)| {
        let (a, b) = (&images.a.sections[pair.a], &images.b.sections[pair.b]);
        Counterpart {
            address: a.address.zip(b.address).map(|(a, b)| Pair::new(a, b)),
            size: Pair::new(a.memory, b.memory),
            alignment: align(images, *pair, contents),
            is_debug: matches!(a.role, Role::Debug),
            contents: match contents {
                Contents::Held(bytes) => Some(bytes.as_ref().map(|bytes| &**bytes)),
                _ => None,
            },
        }
    });
    let counterparts: Vec<_> = counterparts.collect();
    let code = both.iter().find(|pair| images.a.sections[pair.a].role == Role::Code);
    let first_code =
        code.and_then(|pair| images.a.sections[pair.a].address.zip(images.b.sections[pair.b].address));
    let bases = [images.a.base.zip(images.b.base), first_code];
    let bases = bases.into_iter().flatten().map(|(a, b)| Pair::new(a, b)).collect();
    References::new(counterparts, bases, images.a.big_endian, images.a.pointer)
}

fn align(images: &Pair<Image>, pair: Pair<usize>, contents: &Contents<'_>) -> Alignment {
    let (a, b) = (&images.a.sections[pair.a], &images.b.sections[pair.b]);
    let sizes = Pair::new(a.memory, b.memory);
    let by_symbols = || {
        let symbols = Pair::new(&images.a.symbols, &images.b.symbols);
        Alignment::by_symbols(symbols, pair, sizes)
    };
    match contents {
        // What is no bytes in the file is told apart by its symbols only.
        Contents::Equal if a.size == 0 && a.memory > 0 => {
            by_symbols().unwrap_or_else(|| Alignment::in_place(sizes, false))
        }
        Contents::Equal => Alignment::in_place(sizes, true),
        Contents::TooLarge => Alignment::in_place(sizes, false),
        Contents::Held(bytes) => {
            let in_place = || Alignment::in_place(sizes, false);
            if a.role == Role::Code
                && let Some(alignment) = by_symbols()
            {
                return alignment;
            }
            if a.strings && b.strings {
                return Alignment::by_strings(&bytes.a, &bytes.b);
            }
            if sizes.a != sizes.b || a.size != b.size {
                return Alignment::by_blocks(&bytes.a, &bytes.b);
            }
            if a.role == Role::Code {
                return in_place();
            }
            // Bytes that moved inside of a section of the same size: worth it when it halves what differs.
            let blocks = Alignment::by_blocks(&bytes.a, &bytes.b);
            let differing = bytes.a.iter().zip(bytes.b.iter()).filter(|(a, b)| a != b).count() as u64;
            let moved: u64 = blocks
                .pieces()
                .iter()
                .filter(|piece| !piece.equal)
                .map(|piece| piece.len.a.max(piece.len.b))
                .fold(0, u64::saturating_add);
            if differing <= moved.saturating_mul(2) { in_place() } else { blocks }
        }
    }
}

/// Two sections in memory whose parts correspond.
struct Aligned<'a> {
    images: &'a Pair<Image>,
    pair: Pair<usize>,
    /// Their number among the counterparts.
    index: usize,
    bytes: Pair<&'a [u8]>,
    references: &'a References<'a>,
}

impl Aligned<'_> {
    fn compare(
        &self,
        windows: Pair<Window<'_>>,
        effort: &Effort<'_>,
        changed: &mut Changed,
    ) -> Result<Found, ReadError> {
        let mut spans = Spans::new(effort.limits.ranges_per_place);
        let mut moved = Moved::default();
        let is_code = self.images.a.sections[self.pair.a].role == Role::Code;
        for piece in self.references.alignment(self.index).pieces().iter().filter(|piece| !piece.equal) {
            let before = spans.differing;
            self.piece(*piece, windows, is_code, &mut spans, &mut moved);
            if is_code && !piece.between && (spans.differing > before || piece.len.a != piece.len.b) {
                changed.part(self.images, self.pair, *piece, spans.differing - before);
            }
        }
        let cut = spans.total > spans.list.len() as u64
            || spans.list.iter().any(|span| span.len.a.max(span.len.b) > effort.limits.sample);
        let strings = if cut && !is_code {
            let pieces = self.references.alignment(self.index).pieces().iter();
            let counterparts = pieces.map(|piece| Counterparts {
                at: piece.at.map(|at| at as usize),
                len: piece.len.a.min(piece.len.b) as usize,
            });
            let counterparts: Vec<_> = counterparts.collect();
            let base = windows.map(|window| window.start());
            novelty::strings(self.bytes, &counterparts, base, effort.limits.strings)
        } else {
            None
        };
        Ok(Found { ranges: bytes::sampled(windows, &spans, effort)?, strings, moved, note: None })
    }

    /// Two parts that correspond: in place when they have the same size, else all but what they have in common at
    /// their ends.
    fn piece(
        &self,
        piece: Matched,
        windows: Pair<Window<'_>>,
        is_code: bool,
        spans: &mut Spans,
        moved: &mut Moved,
    ) {
        let from = piece.at.map(|at| at as usize);
        let slice = |bytes: &'_ [u8], at: u64, len: u64| -> (usize, usize) {
            let start = (at as usize).min(bytes.len());
            (start, (start + len as usize).min(bytes.len()))
        };
        let range = Pair::new(
            slice(self.bytes.a, piece.at.a, piece.len.a),
            slice(self.bytes.b, piece.at.b, piece.len.b),
        );
        let a = &self.bytes.a[range.a.0..range.a.1];
        let b = &self.bytes.b[range.b.0..range.b.1];
        if a == b {
            return;
        }
        let start = Pair::new(windows.a.start() + piece.at.a, windows.b.start() + piece.at.b);
        let is_zero = |bytes: &[u8]| bytes.iter().all(|byte| *byte == 0);
        // Padding: its length follows from what lies before it.
        let is_gap = is_code && piece.between && is_padding(a) && is_padding(b);
        if is_gap || (a.len() != b.len() && a.len().max(b.len()) <= PADDING && is_zero(a) && is_zero(b)) {
            moved.bytes += a.len().max(b.len()) as u64;
            return;
        }
        if a.len() != b.len() {
            let head = a.iter().zip(b).take_while(|(x, y)| x == y).count();
            let (rest_a, rest_b) = (&a[head..], &b[head..]);
            let tail = rest_a.iter().rev().zip(rest_b.iter().rev()).take_while(|(x, y)| x == y).count();
            let len = Pair::new((rest_a.len() - tail) as u64, (rest_b.len() - tail) as u64);
            let longer =
                if len.a > len.b { &rest_a[..rest_a.len() - tail] } else { &rest_b[..rest_b.len() - tail] };
            if len.a.min(len.b) == 0 && longer.len() <= PADDING && is_zero(longer) {
                moved.bytes += longer.len() as u64;
                return;
            }
            let at = Pair::new(start.a + head as u64, start.b + head as u64);
            spans.push(Span { at, len, differing: len.a.max(len.b) });
            return;
        }
        let mut collector = Collector::new(spans, start);
        let mut at = 0;
        while at < a.len() {
            // Most of a large part is equal: in words first.
            let equal = a[at..].chunks(32).zip(b[at..].chunks(32)).take_while(|(x, y)| x == y).count() * 32;
            at += equal;
            if at >= a.len() {
                break;
            }
            at += a[at..].iter().zip(&b[at..]).take_while(|(x, y)| x == y).count();
            match self.references.follows(self.index, self.bytes, from.map(|from| from + at)) {
                Some(len) => {
                    let end = (at + len).min(a.len());
                    moved.words += 1;
                    moved.bytes += a[at..end].iter().zip(&b[at..end]).filter(|(x, y)| x != y).count() as u64;
                    at = end;
                }
                None => {
                    collector.position(at as u64);
                    at += 1;
                }
            }
        }
        collector.finish();
    }
}

/// What assemblers and linkers fill gaps between functions with: zeros, traps, and the long no-operations of x86
/// and of AArch64.
fn is_padding(bytes: &[u8]) -> bool {
    const FILL: [u8; 14] =
        [0x00, 0x90, 0xcc, 0x66, 0x2e, 0x0f, 0x1f, 0x40, 0x44, 0x80, 0x84, 0x03, 0xd5, 0x20];
    bytes.iter().all(|byte| FILL.contains(byte))
}

/// Bytes that no table and no section covers, gap by gap. Padding of zeros is no difference of its own: its length
/// follows from where sections lie.
fn between(
    files: Pair<&dyn Content>,
    images: &Pair<Image>,
    effort: &Effort<'_>,
    parts: &mut Vec<Difference>,
) -> Result<(), ReadError> {
    let gaps_of = |side: Side| {
        let image = images.of(side);
        let mut covered = image.covered.clone();
        covered.extend(image.sections.iter().map(|section| (section.offset, section.size)));
        gaps::gaps(side, *files.of(side), covered)
    };
    let gaps = Pair::new(gaps_of(Side::A)?, gaps_of(Side::B)?);
    for index in 0..gaps.a.len().max(gaps.b.len()) {
        if let Some(found) = bytes::compare(gaps::windows(files, &gaps, index), effort)? {
            let mut part = Difference::new(Step::BetweenSections);
            file::add(found, &mut part);
            parts.push(part);
        }
    }
    Ok(())
}
