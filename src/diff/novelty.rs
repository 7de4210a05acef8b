//! Strings that one side has and the other has nowhere.
//!
//! A window of eight bytes is new when the other side has it nowhere; runs of new windows that touch text are new
//! strings. This does not care where bytes lie, so it finds the one new path in megabytes that only moved. Only windows
//! near text are looked up, and not those that are known to stand on the other side: what is left goes into a table,
//! and the other side is read past it once.

use std::ops::Range;

use super::{
    Pair, Strings,
    filter::{Filter, Key},
};

/// Bytes of one window.
const WINDOW: usize = 8;
/// Shortest string worth showing; the seam of two moved parts gives shorter ones.
const SHORTEST: usize = 6;
/// Longest string kept: a store path is at most 254 bytes.
const LONGEST: usize = 512;
/// How far a new string is followed into old bytes at its ends, to show the whole of it.
const REACH: usize = 256;
/// Shortest run of equal bytes that is worth to be remembered as known.
const RUN: usize = 32;
/// Windows looked up at once: for each the table has 16 to 32 bytes.
const AT_ONCE: usize = 1 << 17;

/// Parts of both sides that stand for each other, as long as the shorter one; their bytes may be equal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counterparts {
    pub at: Pair<usize>,
    pub len: usize,
}

/// The new strings of both sides; `None` when there are none. Offsets are counted from `base`.
pub(super) fn strings(
    bytes: Pair<&[u8]>,
    counterparts: &[Counterparts],
    base: Pair<u64>,
    keep: usize,
) -> Option<Pair<Strings>> {
    let (known_a, known_b) = known(bytes, counterparts);
    let found = Pair::new(
        only_in(bytes.a, bytes.b, known_a, base.a, keep),
        only_in(bytes.b, bytes.a, known_b, base.b, keep),
    );
    (found.a.total + found.b.total > 0).then_some(found)
}

/// The windows that stand in both of two parts at the same place, as ranges of where they begin.
fn known(bytes: Pair<&[u8]>, counterparts: &[Counterparts]) -> (Vec<Range<usize>>, Vec<Range<usize>>) {
    let (mut in_a, mut in_b) = (Vec::new(), Vec::new());
    for part in counterparts {
        let slice =
            |bytes: &'_ [u8], at: usize| (at.min(bytes.len()), at.saturating_add(part.len).min(bytes.len()));
        let (from, to) = (slice(bytes.a, part.at.a), slice(bytes.b, part.at.b));
        let (a, b) = (&bytes.a[from.0..from.1], &bytes.b[to.0..to.1]);
        let len = a.len().min(b.len());
        let mut at = 0;
        while at < len {
            let start = at;
            // In words first: most runs are long.
            let (x, y) = (&a[at..len], &b[at..len]);
            at += x.chunks_exact(RUN).zip(y.chunks_exact(RUN)).take_while(|(x, y)| x == y).count() * RUN;
            at += a[at..len].iter().zip(&b[at..len]).take_while(|(x, y)| x == y).count();
            if at - start >= RUN {
                let windows = at - start - WINDOW + 1;
                in_a.push(from.0 + start..from.0 + start + windows);
                in_b.push(to.0 + start..to.0 + start + windows);
            }
            at += 1;
        }
    }
    in_a.sort_unstable_by_key(|range| range.start);
    in_b.sort_unstable_by_key(|range| range.start);
    (in_a, in_b)
}

fn only_in(bytes: &[u8], other: &[u8], known: Vec<Range<usize>>, base: u64, keep: usize) -> Strings {
    let mut strings = Strings::default();
    for new in new(bytes, other, &without(near_text(bytes), &known)) {
        // The bytes from the last old window on to the first old one.
        printable(bytes, new.start, new.end - 1 + WINDOW, base, keep, &mut strings);
    }
    strings
}

/// Where windows begin that touch text long enough to be shown.
fn near_text(bytes: &[u8]) -> Vec<Range<usize>> {
    let end = (bytes.len() + 1).saturating_sub(WINDOW);
    let mut ranges: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    while let Some(start) = bytes[at..].iter().position(is_text).map(|start| at + start) {
        let len = bytes[start..].iter().take_while(|byte| is_text(byte)).count();
        at = start + len;
        let windows = start.saturating_sub(WINDOW - 1)..at.min(end);
        if len >= SHORTEST && !windows.is_empty() {
            match ranges.last_mut().filter(|last| windows.start <= last.end) {
                Some(last) => last.end = windows.end,
                None => ranges.push(windows),
            }
        }
    }
    ranges
}

/// What of `ranges` is in none of `known`; both ascend.
fn without(ranges: Vec<Range<usize>>, known: &[Range<usize>]) -> Vec<Range<usize>> {
    let mut left = Vec::new();
    let mut next = 0;
    for range in ranges {
        let mut at = range.start;
        while next < known.len() && known[next].end <= at {
            next += 1;
        }
        for known in known[next..].iter().take_while(|known| known.start < range.end) {
            if known.start > at {
                left.push(at..known.start);
            }
            at = at.max(known.end);
        }
        if at < range.end {
            left.push(at..range.end);
        }
    }
    left
}

/// The windows of `wanted` that `other` has nowhere, in runs.
fn new(bytes: &[u8], other: &[u8], wanted: &[Range<usize>]) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    // A sixteenth at once keeps the table no larger than twice the bytes, and the times they are read bounded.
    let at_once = (other.len() / 16).max(AT_ONCE);
    let mut left = wanted.iter().cloned();
    let mut batch: Vec<Range<usize>> = Vec::new();
    let mut rest = left.next();
    while rest.is_some() {
        let mut count = 0;
        batch.clear();
        while let Some(range) = rest.take() {
            let (taken, behind) = (range.len().min(at_once - count), range.end);
            batch.push(range.start..range.start + taken);
            count += taken;
            rest = if range.start + taken < behind { Some(range.start + taken..behind) } else { left.next() };
            if count == at_once {
                break;
            }
        }
        let mut table = Windows::with_room_for(count);
        batch.iter().cloned().flatten().for_each(|at| table.insert(word(bytes, at)));
        table.strike_out(other);
        for at in batch.iter().cloned().flatten().filter(|at| table.is_left(word(bytes, *at))) {
            match runs.last_mut().filter(|run| run.end == at) {
                Some(run) => run.end += 1,
                None => runs.push(at..at + 1),
            }
        }
    }
    runs
}

/// The window that begins at `at`.
fn word(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; WINDOW];
    word.copy_from_slice(&bytes[at..at + WINDOW]);
    u64::from_le_bytes(word)
}

fn is_text(byte: &u8) -> bool {
    matches!(byte, 0x20..=0x7e)
}

/// Adds the printable strings that lie in or reach into `start..end`.
fn printable(bytes: &[u8], start: usize, end: usize, base: u64, keep: usize, strings: &mut Strings) {
    let mut at = start;
    while at < end {
        if !is_text(&bytes[at]) {
            at += 1;
            continue;
        }
        let lead =
            bytes[..at].iter().rev().take(REACH).take_while(|byte| at == start && is_text(byte)).count();
        let len = bytes[at..].iter().take(LONGEST).take_while(|byte| is_text(byte)).count();
        if lead + len >= SHORTEST {
            let offset = base + (at - lead) as u64;
            let known = strings.list.last().is_some_and(|(last, text)| offset < last + text.len() as u64);
            if !known {
                strings.total += 1;
                if strings.list.len() < keep {
                    strings.list.push((offset, bytes[at - lead..at + len].to_vec()));
                }
            }
        }
        at += len;
    }
}

/// A set of windows that are looked for. None of them is all zeros: they touch text.
struct Windows {
    /// By their hash, or behind it; 0 where there is none.
    slots: Vec<u64>,
    filter: Filter,
    /// Which of them were found.
    found: Vec<bool>,
    missing: usize,
    key: Key,
}

impl Windows {
    fn with_room_for(count: usize) -> Self {
        let slots = (count.max(1) * 2).next_power_of_two();
        Windows {
            slots: vec![0; slots],
            filter: Filter::with_room_for(count),
            found: vec![false; slots],
            missing: 0,
            key: Key::random(),
        }
    }

    /// The slot of a window, or the empty one where it would be.
    fn slot(&self, window: u64, hash: u64) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        while self.slots[slot] != window && self.slots[slot] != 0 {
            slot = (slot + 1) & mask;
        }
        slot
    }

    fn insert(&mut self, window: u64) {
        let hash = self.key.hash(window);
        let slot = self.slot(window, hash);
        if self.slots[slot] == 0 {
            self.filter.add(hash);
            self.slots[slot] = window;
            self.missing += 1;
        }
    }

    /// Marks those that `bytes` have.
    fn strike_out(&mut self, bytes: &[u8]) {
        for at in 0..(bytes.len() + 1).saturating_sub(WINDOW) {
            let window = word(bytes, at);
            let hash = self.key.hash(window);
            if !self.filter.may_have(hash) {
                continue;
            }
            let slot = self.slot(window, hash);
            if self.slots[slot] == window && window != 0 && !self.found[slot] {
                self.found[slot] = true;
                self.missing -= 1;
                if self.missing == 0 {
                    break;
                }
            }
        }
    }

    fn is_left(&self, window: u64) -> bool {
        !self.found[self.slot(window, self.key.hash(window))]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The same by the plain definition: every window of one side looked for at every place of the other.
    fn plainly(bytes: &[u8], other: &[u8]) -> Strings {
        let is_new = |at: usize| !other.windows(WINDOW).any(|window| window == &bytes[at..at + WINDOW]);
        let mut strings = Strings::default();
        let mut at = 0;
        while at + WINDOW <= bytes.len() {
            let run = (at..bytes.len() + 1 - WINDOW).take_while(|at| is_new(*at)).count();
            if run > 0 {
                printable(bytes, at, at + run - 1 + WINDOW, 0, usize::MAX, &mut strings);
            }
            at += run + 1;
        }
        strings
    }

    proptest! {
        #[test]
        fn what_is_new_is_what_the_other_side_lacks(
            parts in proptest::collection::vec("[a-c]{0,9}|[a-z ]{1,40}|\0{1,9}|[\u{1}-\u{5}]{1,12}", 0..12),
            order in proptest::collection::vec(0..12usize, 0..12),
            at in (0..40usize, 0..40usize, 0..200usize),
        ) {
            let a = parts.concat().into_bytes();
            let b: Vec<u8> =
                order.iter().filter_map(|index| parts.get(*index)).flat_map(|part| part.bytes()).collect();
            let both = Pair::new(&a[..], &b[..]);
            // Whatever is said to correspond: it changes how fast the answer is, not the answer.
            let corresponding = [
                Counterparts { at: Pair::new(0, 0), len: usize::MAX / 2 },
                Counterparts { at: Pair::new(at.0, at.1), len: at.2 },
            ];
            let found = strings(both, &corresponding, Pair::new(0, 0), usize::MAX).unwrap_or_default();
            prop_assert_eq!(found, Pair::new(plainly(&a, &b), plainly(&b, &a)));
        }
    }

    #[test]
    fn more_windows_than_are_looked_up_at_once() {
        let text = |from: usize| (from..from + 30_000).map(|n| format!("line {n}\n")).collect::<String>();
        let (a, b) = (text(0), text(29_990));
        let found = strings(Pair::new(a.as_bytes(), b.as_bytes()), &[], Pair::new(0, 0), usize::MAX).unwrap();
        assert!((29_990..29_995).contains(&found.a.total) && (29_990..29_995).contains(&found.b.total));
        assert_eq!(found.a.list[0], (0, b"line 0".to_vec()));
        assert_eq!(found.b.list.last().unwrap().1, b"line 59989");
    }
}
