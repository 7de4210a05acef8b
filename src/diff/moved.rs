//! Finds what stayed the same where bytes were inserted or removed, in linear time.
//!
//! Blocks of one side are indexed by their hash; the other side is scanned with a rolling hash over every
//! position, and a hit is extended as far as it goes (the idea of rsync). Matches are taken in order: what
//! changed places shows as removed here and inserted there.

use std::{collections::HashMap, ops::Range};

use super::{Pair, content::Window};

/// Bytes of one indexed block. Shorter finds more and costs more; pointers change every few bytes, so blocks
/// much longer than this find nothing in linked code.
const BLOCK: usize = 32;
/// Multiplier of the rolling hash: odd, with well-spread bits.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
/// Offsets remembered for equal blocks; padding and tables repeat themselves without end.
const SAME: usize = 4;

/// A part that differs between two matches: offsets and lengths on both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hunk {
    pub at: Pair<u64>,
    pub len: Pair<u64>,
}

impl Hunk {
    /// All of two windows.
    pub fn of(pair: Pair<Window<'_>>) -> Self {
        Hunk { at: pair.map(|w| w.start()), len: pair.map(|w| w.size()) }
    }

    /// As indices of both slices. Only for hunks of slices in memory.
    pub fn range(&self) -> Pair<Range<usize>> {
        let range = |at: u64, len: u64| at as usize..(at + len) as usize;
        Pair::new(range(self.at.a, self.len.a), range(self.at.b, self.len.b))
    }
}

/// The parts of `a` and `b` that differ, in order.
pub(crate) fn hunks(a: &[u8], b: &[u8]) -> Vec<Hunk> {
    let mut hunks = Vec::new();
    let (mut done_a, mut done_b) = (0, 0);
    let mut emit = |from: (usize, usize), to: (usize, usize)| {
        if from != to {
            hunks.push(Hunk {
                at: Pair::new(from.0 as u64, from.1 as u64),
                len: Pair::new((to.0 - from.0) as u64, (to.1 - from.1) as u64),
            });
        }
    };
    if a.len() >= BLOCK && b.len() >= BLOCK {
        let index = index(a);
        let mut rolling = Rolling::new(&b[..BLOCK]);
        let mut at = 0;
        while at + BLOCK <= b.len() {
            let hit = index.get(&rolling.hash).and_then(|offsets| {
                let near = offsets.iter().copied().filter(|offset| *offset >= done_a);
                near.min().filter(|offset| a[*offset..offset + BLOCK] == b[at..at + BLOCK])
            });
            let Some(hit) = hit else {
                if at + BLOCK == b.len() {
                    break;
                }
                rolling.roll(b[at], b[at + BLOCK]);
                at += 1;
                continue;
            };
            let common = |x: &[u8], y: &[u8]| x.iter().zip(y).take_while(|(x, y)| x == y).count();
            let before = a[done_a..hit]
                .iter()
                .rev()
                .zip(b[done_b..at].iter().rev())
                .take_while(|(x, y)| x == y)
                .count();
            let after = common(&a[hit..], &b[at..]);
            emit((done_a, done_b), (hit - before, at - before));
            (done_a, done_b) = (hit + after, at + after);
            at = done_b;
            if at + BLOCK <= b.len() {
                rolling = Rolling::new(&b[at..at + BLOCK]);
            }
        }
    }
    emit((done_a, done_b), (a.len(), b.len()));
    hunks
}

/// Offsets of the blocks of `bytes` by hash; blocks of one repeated byte say nothing and are left out.
fn index(bytes: &[u8]) -> HashMap<u64, Vec<usize>> {
    let mut index: HashMap<u64, Vec<usize>> = HashMap::with_capacity(bytes.len() / BLOCK);
    for (number, block) in bytes.chunks_exact(BLOCK).enumerate() {
        if block.iter().any(|byte| *byte != block[0]) {
            let offsets = index.entry(Rolling::new(block).hash).or_default();
            if offsets.len() < SAME {
                offsets.push(number * BLOCK);
            }
        }
    }
    index
}

/// Polynomial rolling hash over [`BLOCK`] bytes. Collisions cost time, never correctness: hits are compared.
struct Rolling {
    hash: u64,
    leaving: u64,
}

impl Rolling {
    fn new(block: &[u8]) -> Self {
        let hash = block
            .iter()
            .fold(0u64, |hash, byte| hash.wrapping_mul(FACTOR).wrapping_add(u64::from(*byte) + 1));
        let leaving = (1..BLOCK).fold(1u64, |power, _| power.wrapping_mul(FACTOR));
        Rolling { hash, leaving }
    }

    fn roll(&mut self, out: u8, into: u8) {
        self.hash = self
            .hash
            .wrapping_sub(self.leaving.wrapping_mul(u64::from(out) + 1))
            .wrapping_mul(FACTOR)
            .wrapping_add(u64::from(into) + 1);
    }
}
