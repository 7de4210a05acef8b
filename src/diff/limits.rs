//! How closely to look. No limit here ever decides whether two things are equal.

use std::cell::Cell;

/// Caps on what a comparison keeps and on the work it does. What a cap cut is said in the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Differing ranges kept for one place; all are counted.
    pub ranges_per_place: usize,
    /// Differing ranges kept in all: with their samples at most 4.6 KB each side, this bounds memory.
    pub ranges: usize,
    /// Bytes of one differing range kept as a sample.
    pub sample: u64,
    /// Bytes of one side that are searched for moved parts and new strings; they are held in memory.
    pub moved_bytes: u64,
    /// Bytes of one side that are split into lines; they are held in memory.
    pub text_bytes: u64,
    /// Lines of one side that are matched; the worst case takes time in proportion.
    pub text_lines: u64,
    /// Strings kept for one place and side.
    pub strings: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            ranges_per_place: 512,
            ranges: 16_384,
            sample: 4096,
            moved_bytes: 32 << 20,
            text_bytes: 16 << 20,
            text_lines: 100_000,
            strings: 256,
        }
    }
}

/// The limits, and how much of the total is left.
pub(crate) struct Effort<'a> {
    pub limits: &'a Limits,
    ranges_left: Cell<usize>,
}

impl<'a> Effort<'a> {
    pub fn new(limits: &'a Limits) -> Self {
        Effort { limits, ranges_left: Cell::new(limits.ranges) }
    }

    /// Takes up to `wanted` ranges out of what is left, and says how many may be kept.
    pub fn take_ranges(&self, wanted: usize) -> usize {
        let granted = wanted.min(self.ranges_left.get());
        self.ranges_left.set(self.ranges_left.get() - granted);
        granted
    }
}
