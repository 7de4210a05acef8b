//! Strings that one side has and the other has nowhere.
//!
//! All windows of eight bytes of one side go into a set; runs of windows of the other side that are not in it are
//! new. This does not care where bytes lie, so it finds the one new path in megabytes that only moved.

use super::{Pair, Strings};

/// Bytes of one window.
const WINDOW: usize = 8;
/// Shortest string worth showing; the seam of two moved parts gives shorter ones.
const SHORTEST: usize = 6;
/// Longest string kept: a store path is at most 254 bytes.
const LONGEST: usize = 512;
/// How far a new string is followed into old bytes at its ends, to show the whole of it.
const REACH: usize = 256;

/// The new strings of both sides; `None` when there are none. Offsets are counted from `base`.
pub(super) fn strings(bytes: &Pair<Vec<u8>>, base: Pair<u64>, keep: usize) -> Option<Pair<Strings>> {
    let found =
        Pair::new(only_in(&bytes.a, &bytes.b, base.a, keep), only_in(&bytes.b, &bytes.a, base.b, keep));
    (found.a.total + found.b.total > 0).then_some(found)
}

fn only_in(bytes: &[u8], other: &[u8], base: u64, keep: usize) -> Strings {
    let known = Windows::of(other);
    let mut strings = Strings::default();
    let mut at = 0;
    while at + WINDOW <= bytes.len() {
        if known.contains(&bytes[at..at + WINDOW]) {
            at += 1;
            continue;
        }
        let mut last = at;
        while last + 1 + WINDOW <= bytes.len() && !known.contains(&bytes[last + 1..last + 1 + WINDOW]) {
            last += 1;
        }
        // The windows `at..=last` are new: the bytes from the last old one on to the first old one.
        printable(bytes, at, last + WINDOW, base, keep, &mut strings);
        at = last + 1;
    }
    strings
}

/// Adds the printable strings that lie in or reach into `start..end`.
fn printable(bytes: &[u8], start: usize, end: usize, base: u64, keep: usize, strings: &mut Strings) {
    let is_text = |byte: &u8| matches!(byte, 0x20..=0x7e);
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

/// A set of windows as bits by hash. A window that is there by accident of its hash hides one window of a run,
/// never a run.
struct Windows {
    bits: Vec<u64>,
    mask: u64,
}

impl Windows {
    fn of(bytes: &[u8]) -> Self {
        // Sixteen bits for each window keep accidents at one in sixteen; at most 64 MiB for the largest input.
        let bits = (bytes.len().max(64) * 16).next_power_of_two();
        let mut windows = Windows { bits: vec![0; bits / 64], mask: bits as u64 - 1 };
        for window in bytes.windows(WINDOW) {
            let slot = windows.slot(window);
            windows.bits[(slot / 64) as usize] |= 1 << (slot % 64);
        }
        windows
    }

    fn contains(&self, window: &[u8]) -> bool {
        let slot = self.slot(window);
        self.bits[(slot / 64) as usize] & (1 << (slot % 64)) != 0
    }

    fn slot(&self, window: &[u8]) -> u64 {
        let mut word = [0; WINDOW];
        word.copy_from_slice(window);
        let mixed = u64::from_le_bytes(word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 17 & self.mask
    }
}
