//! How closely to look. No limit here ever decides whether two things are equal.

use std::cell::Cell;

use super::{Note, Pair};

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
    /// Containers inside each other: a package of compressed archives of libraries is four deep.
    pub depth: u32,
    /// Members of one archive; an archive with more is compared as plain bytes.
    pub members: u64,
    /// Unpacked bytes held in memory at a time, both sides and all levels of nesting together.
    pub unpacked: u64,
    /// Bytes unpacked in one comparison in all: this bounds the time.
    pub unpacked_in_all: u64,
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
            depth: 12,
            members: 200_000,
            unpacked: 2 << 30,
            unpacked_in_all: 64 << 30,
        }
    }
}

/// The limits, and how much of the total is left.
pub(crate) struct Effort<'a> {
    pub limits: &'a Limits,
    /// Who is told, once, as soon as it is certain that something differs.
    tell: &'a dyn Fn(),
    told: Cell<bool>,
    ranges_left: Cell<usize>,
    depth: Cell<u32>,
    unpacked: Cell<u64>,
    unpacked_in_all: Cell<u64>,
}

impl<'a> Effort<'a> {
    pub fn new(limits: &'a Limits, tell: &'a dyn Fn()) -> Self {
        Effort {
            limits,
            tell,
            told: Cell::new(false),
            ranges_left: Cell::new(limits.ranges),
            depth: Cell::new(0),
            unpacked: Cell::new(0),
            unpacked_in_all: Cell::new(0),
        }
    }

    /// Something differs, whatever else will be found.
    pub fn differs(&self) {
        if !self.told.replace(true) {
            (self.tell)();
        }
    }

    /// Takes up to `wanted` ranges out of what is left, and says how many may be kept.
    pub fn take_ranges(&self, wanted: usize) -> usize {
        let granted = wanted.min(self.ranges_left.get());
        self.ranges_left.set(self.ranges_left.get() - granted);
        granted
    }

    /// Goes into a container, until what is returned is dropped; `None` when that is too deep.
    pub fn deeper(&self) -> Option<Deeper<'_>> {
        if self.depth.get() >= self.limits.depth {
            return None;
        }
        self.depth.set(self.depth.get() + 1);
        Some(Deeper(&self.depth))
    }

    /// What to say when it is.
    pub fn too_deep(&self) -> Note {
        Note::TooDeep { cap: self.limits.depth }
    }

    /// Holds unpacked bytes in memory until what is returned is dropped.
    pub fn hold(&self) -> Held<'_> {
        let limits = Pair::new(self.limits.unpacked, self.limits.unpacked_in_all);
        Held { now: &self.unpacked, in_all: &self.unpacked_in_all, limits, bytes: 0 }
    }
}

/// One level of nesting.
pub(crate) struct Deeper<'a>(&'a Cell<u32>);

impl Drop for Deeper<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// Unpacked bytes in memory.
pub(crate) struct Held<'a> {
    now: &'a Cell<u64>,
    in_all: &'a Cell<u64>,
    limits: Pair<u64>,
    bytes: u64,
}

impl Held<'_> {
    /// Takes more of the budgets; the one that is used up otherwise.
    pub fn more(&mut self, bytes: u64) -> Result<(), u64> {
        for (used, limit) in [(self.now, self.limits.a), (self.in_all, self.limits.b)] {
            if used.get().saturating_add(bytes) > limit {
                return Err(limit);
            }
        }
        self.now.set(self.now.get() + bytes);
        self.in_all.set(self.in_all.get() + bytes);
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.now.set(self.now.get() - self.bytes);
    }
}
