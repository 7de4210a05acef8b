//! Finds what stayed the same where bytes were inserted or removed, in linear time.
//!
//! Blocks of one side are indexed by their hash; the other side is scanned with a rolling hash over every
//! position, and a hit is extended as far as it goes (the idea of rsync). Matches are taken in order: what
//! changed places shows as removed here and inserted there.

use std::ops::Range;

use super::{
    Pair,
    content::Window,
    filter::{Filter, Key},
    novelty::Counterparts,
};

/// Bytes of one indexed block. Shorter finds more and costs more; pointers change every few bytes, so blocks
/// much longer than this find nothing in linked code.
const BLOCK: usize = 32;
/// Multiplier of the rolling hash: odd, with well-spread bits.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
/// Places remembered for equal blocks; padding and tables repeat themselves without end.
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
        let index = Blocks::of(a);
        let mut rolling = Rolling::new(&b[..BLOCK]);
        let mut at = 0;
        while at + BLOCK <= b.len() {
            let hit = index.first(&rolling, &b[at..at + BLOCK], done_a);
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

/// What lies between hunks: parts that stand for each other.
pub(crate) fn between(hunks: &[Hunk], sizes: Pair<usize>) -> Vec<Counterparts> {
    let mut parts = Vec::with_capacity(hunks.len() + 1);
    let mut at = Pair::new(0, 0);
    for hunk in hunks {
        let range = hunk.range();
        parts.push(Counterparts { at, len: range.a.start - at.a });
        at = Pair::new(range.a.end, range.b.end);
    }
    parts.push(Counterparts { at, len: sizes.a - at.a });
    parts
}

/// The blocks of some bytes by their hash; blocks of one repeated byte say nothing and are left out.
struct Blocks<'a> {
    bytes: &'a [u8],
    /// The last block of each slot, counted from 1; 0 where there is none.
    slots: Vec<u32>,
    /// For each block the one before it in its slot.
    before: Vec<u32>,
    filter: Filter,
    key: Key,
}

impl<'a> Blocks<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        // More blocks than can be counted are left out: the limits keep bytes far below.
        let count = (bytes.len() / BLOCK).min(u32::MAX as usize - 1);
        let slots = vec![0; count.max(1).next_power_of_two()];
        let (filter, key) = (Filter::with_room_for(count), Key::random());
        let mut blocks = Blocks { bytes, slots, before: vec![0; count + 1], filter, key };
        for (block, number) in bytes.chunks_exact(BLOCK).zip(1..=count as u32) {
            if block.iter().all(|byte| *byte == block[0]) {
                continue;
            }
            let hash = blocks.key.hash(Rolling::new(block).hash);
            if blocks.chain(hash).filter(|offset| blocks.is_at(*offset, block)).take(SAME).count() < SAME {
                let slot = blocks.slot(hash);
                blocks.filter.add(hash);
                blocks.before[number as usize] = std::mem::replace(&mut blocks.slots[slot], number);
            }
        }
        blocks
    }

    /// The first place, not before `from`, where `block` stands.
    fn first(&self, rolling: &Rolling, block: &[u8], from: usize) -> Option<usize> {
        let hash = self.key.hash(rolling.hash);
        if !self.filter.may_have(hash) {
            return None;
        }
        self.chain(hash).filter(|offset| *offset >= from && self.is_at(*offset, block)).min()
    }

    /// Offsets of the blocks that may have this hash.
    fn chain(&self, hash: u64) -> impl Iterator<Item = usize> {
        let filled = |number: u32| (number > 0).then_some(number);
        let first = filled(self.slots[self.slot(hash)]);
        let numbers = std::iter::successors(first, move |number| filled(self.before[*number as usize]));
        numbers.map(|number| (number as usize - 1) * BLOCK)
    }

    fn is_at(&self, offset: usize, block: &[u8]) -> bool {
        self.bytes[offset..offset + BLOCK] == *block
    }

    fn slot(&self, hash: u64) -> usize {
        hash as usize & (self.slots.len() - 1)
    }
}

/// Polynomial rolling hash over [`BLOCK`] bytes. Collisions cost time, never correctness: hits are compared.
struct Rolling {
    hash: u64,
}

/// What the byte that leaves was multiplied by.
const LEAVING: u64 = FACTOR.wrapping_pow(BLOCK as u32 - 1);

impl Rolling {
    fn new(block: &[u8]) -> Self {
        let hash = block
            .iter()
            .fold(0u64, |hash, byte| hash.wrapping_mul(FACTOR).wrapping_add(u64::from(*byte) + 1));
        Rolling { hash }
    }

    fn roll(&mut self, out: u8, into: u8) {
        self.hash = self
            .hash
            .wrapping_sub(LEAVING.wrapping_mul(u64::from(out) + 1))
            .wrapping_mul(FACTOR)
            .wrapping_add(u64::from(into) + 1);
    }
}
