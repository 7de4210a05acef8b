//! Decoded code: blocks of operations, kept by the physical page they come from.
//!
//! A block begins wherever a jump has gone to and ends with the first instruction that may go elsewhere, at the end of its
//! page, or after [`LONGEST`] instructions. Blocks never reach into another page, so a page that is written to takes
//! its own blocks with it and no others; only links between blocks of one page are kept.

use std::collections::BTreeMap;

use crate::host;
use crate::memory::{Memory, PAGE};
use crate::native::{Contents, Native};
use crate::op::{Handler, Op};
use crate::tlb::BlockTable;

/// Instructions in a block, at most: 256 bytes of code, so that half an offset fits into a byte.
pub(crate) const LONGEST: usize = 64;

/// Slots of the arena: 16 bytes each. When they are used up everything is forgotten and decoded anew.
const SLOTS: usize = 6 << 20;
/// Operations of a block, at most: one to begin with, two for each instruction, one to end with.
pub(crate) const MOST_OPS: usize = 2 + 2 * LONGEST + 1;
/// Slots a block takes at most: its header, its operations, and the links of the last.
const SLOTS_OF_BLOCK: usize = 2 + MOST_OPS + 2;

/// Pages with a table, at most, each of 16 KiB; as above. A guest could have an instruction in every page there is.
const PAGES: usize = 1 << 14;

/// What stands before a block's operations.
#[repr(C, align(16))]
pub(crate) struct Header {
    /// A bit for every half word of the block at which an instruction begins.
    pub starts: u128,
    /// Instructions in it.
    pub count: u32,
    /// The page of memory it comes from; [`FORGOTTEN`] when that has changed since.
    pub page: u32,
    /// The block as code of the host: it counts the block's instructions and runs them.
    pub native: Option<Handler>,
}

/// The page of a block that must not be entered any more.
const FORGOTTEN: u32 = u32::MAX;

impl Header {
    /// The first operation of the block.
    #[inline(always)]
    pub unsafe fn first(this: *const Header) -> *const Op {
        // SAFETY: the caller has a header of the arena; its operations follow it.
        unsafe { this.add(1).cast() }
    }

    /// The half word at which the instruction after the one at half word `at` begins; none when that one is the last.
    pub fn after(&self, at: u8) -> Option<u8> {
        let rest = self.starts.checked_shr(u32::from(at) + 1).unwrap_or(0);
        (rest != 0).then(|| at + 1 + rest.trailing_zeros() as u8)
    }

    /// How many instructions of the block come before the one at half word `at`.
    pub fn before(&self, at: u8) -> u32 {
        match 1u128.checked_shl(u32::from(at)) {
            Some(bit) => (self.starts & (bit - 1)).count_ones(),
            None => self.starts.count_ones(),
        }
    }
}

/// Where in memory a jump went and what is there. Translated code looks there, too.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Jump {
    /// Where in memory, in bytes: an even number. One more when the block has no code of the host.
    pub target: u64,
    /// The block's code, or, when it has none, its header.
    pub to: *const (),
}

impl Jump {
    /// Jumps that are remembered; a power of two.
    pub const MOST: usize = 16384;

    /// No jump.
    pub const NONE: Jump = Jump { target: u64::MAX, to: std::ptr::null() };

    /// The jump to `header`, at `target`.
    pub fn to(target: u64, header: *const Header) -> Jump {
        // SAFETY: the caller's block.
        match unsafe { (*header).native } {
            Some(native) => Jump { target, to: native as *const () },
            None => Jump { target: target | 1, to: header.cast() },
        }
    }

    /// Forgets the jumps to the page with this number.
    pub fn forget_page(jumps: &mut [Jump], page: u64) {
        (page * PAGE..(page + 1) * PAGE).step_by(2).for_each(|target| Jump::forget(jumps, target));
    }

    /// Forgets the jump to `target`.
    pub fn forget(jumps: &mut [Jump], target: u64) {
        let jump = &mut jumps[Jump::index(target)];
        if jump.target & !1 == target {
            *jump = Jump::NONE;
        }
    }

    /// Where a jump to `target` is remembered.
    #[inline(always)]
    pub fn index(target: u64) -> usize {
        (target >> 1) as usize & (Jump::MOST - 1)
    }
}

/// The blocks that a block's last operation goes to, as far as they are known and lie in the same page. They stand in
/// the slots after that operation.
#[repr(C)]
pub(crate) struct Links {
    /// By their [`crate::exec::Way`].
    pub headers: [*const Header; 2],
    /// Their code, for that of this block; null when it has none.
    pub slots: *mut [*const (); 2],
}

impl Links {
    /// The links of the operation `op`, which ends a block.
    #[inline(always)]
    pub unsafe fn of(op: *const Op) -> *mut Links {
        // SAFETY: the caller has an operation of the arena that is followed by its links.
        unsafe { op.add(1).cast_mut().cast() }
    }
}

/// One slot of the arena.
#[repr(C, align(16))]
#[derive(Clone, Copy)]
struct Slot([u64; 2]);

const _: () = assert!(size_of::<Slot>() == size_of::<Op>() || size_of::<usize>() != 8);
const _: () =
    assert!(size_of::<Links>() <= 2 * size_of::<Slot>() && size_of::<Header>() == 2 * size_of::<Slot>());

/// All decoded code.
pub(crate) struct Blocks {
    arena: Vec<Slot>,
    pages: BTreeMap<usize, Box<BlockTable>>,
    /// The same as code of the host, where that can be.
    native: Option<Native>,
}

/// A block that is being written.
pub(crate) struct Writer<'a> {
    arena: &'a mut Vec<Slot>,
    header: usize,
    starts: u128,
    count: u32,
    page: u32,
}

impl Blocks {
    pub fn new() -> Blocks {
        let arena: Vec<Slot> = Vec::with_capacity(SLOTS);
        host::prefer_large_pages(arena.as_ptr().cast(), SLOTS * size_of::<Slot>());
        Blocks { arena, pages: BTreeMap::new(), native: Native::new() }
    }

    /// The table of the page at `offset` in memory, if anything of it is decoded.
    pub fn table(&self, offset: usize) -> Option<*const BlockTable> {
        self.pages.get(&(offset / PAGE as usize)).map(|table| &raw const **table)
    }

    /// Gives the page at `offset` a table: it is marked as code from now on.
    pub fn add_table(&mut self, offset: usize, memory: &mut Memory) -> *const BlockTable {
        memory.set_code(offset, true);
        let table = self.pages.entry(offset / PAGE as usize);
        &raw const **table.or_insert_with(|| Box::new([std::ptr::null(); (PAGE / 2) as usize]))
    }

    /// Remembers that `header` begins at `offset`, whose page has a table.
    pub fn insert(&mut self, offset: usize, header: *const Header) {
        if let Some(table) = self.pages.get_mut(&(offset / PAGE as usize)) {
            let before = std::mem::replace(&mut table[offset % PAGE as usize / 2], header);
            Blocks::mark_forgotten(before);
        }
    }

    /// Forgets the blocks of the page at `offset`. The caches of translations that lead to its table must go, too.
    pub fn forget(&mut self, offset: usize, memory: &mut Memory) {
        if let Some(table) = self.pages.remove(&(offset / PAGE as usize)) {
            table.iter().for_each(|header| Blocks::mark_forgotten(*header));
        }
        memory.set_code(offset, false);
    }

    fn mark_forgotten(header: *const Header) {
        if !header.is_null() {
            // SAFETY: tables hold blocks of the arena, which nobody refers to by reference while the tables change.
            unsafe { (*header.cast_mut()).page = FORGOTTEN };
        }
    }

    /// Whether there is room for another block.
    pub fn has_room(&self) -> bool {
        self.arena.capacity() - self.arena.len() >= SLOTS_OF_BLOCK
            && self.pages.len() < PAGES
            && self.native.as_ref().is_none_or(Native::has_room)
    }

    /// Whether blocks are translated to code of the host.
    pub fn translates(&self) -> bool {
        self.native.is_some()
    }

    /// Says whether blocks are translated, where that can be; there must be none.
    pub fn set_translates(&mut self, translates: bool) {
        debug_assert!(self.arena.is_empty());
        self.native = if translates { Native::new() } else { None };
    }

    /// Translates the block `header`, written just now with `contents` and `in_page` bytes into its page.
    pub fn translate(&mut self, header: *const Header, in_page: u64, contents: &Contents) {
        if let Some(native) = &mut self.native {
            // SAFETY: the caller's block.
            unsafe { native.translate(header, in_page, contents) }
        }
    }

    /// Forgets everything; as with [`Blocks::forget`].
    pub fn clear(&mut self, memory: &mut Memory) {
        for page in std::mem::take(&mut self.pages).into_keys() {
            memory.set_code(page * PAGE as usize, false);
        }
        self.arena.clear();
        self.native.iter_mut().for_each(Native::clear);
    }

    /// Begins a block of the page with number `page`; there must be room for it.
    pub fn write(&mut self, page: u32) -> Writer<'_> {
        debug_assert!(self.arena.capacity() - self.arena.len() >= SLOTS_OF_BLOCK);
        let header = self.arena.len();
        self.arena.extend_from_slice(&[Slot([0; 2]); 2]);
        Writer { arena: &mut self.arena, header, starts: 0, count: 0, page }
    }
}

impl Writer<'_> {
    /// Counts an instruction that begins at half word `at`.
    pub fn instruction(&mut self, at: u8) {
        self.starts |= 1 << at;
        self.count += 1;
    }

    /// Instructions so far.
    pub fn count(&self) -> usize {
        self.count as usize
    }

    /// Adds an operation.
    pub fn op(&mut self, op: Op) {
        self.arena.push(Slot([0; 2]));
        if let Some(slot) = self.arena.last_mut() {
            // SAFETY: a slot has the size and at least the alignment of an operation.
            unsafe { (&raw mut *slot).cast::<Op>().write(op) };
        }
    }

    /// Puts an operation in the place of the last one.
    pub fn replace(&mut self, op: Op) {
        self.arena.pop();
        self.op(op);
    }

    /// Adds empty links after the operation that ends the block.
    pub fn links(&mut self) {
        self.arena.extend_from_slice(&[Slot([0; 2]); 2]);
    }

    /// The block as it can be run.
    pub fn finish(self) -> *const Header {
        let header = self.arena.as_mut_ptr().wrapping_add(self.header).cast::<Header>();
        // SAFETY: the two slots of the header were pushed when the block was begun.
        unsafe {
            header.write(Header { starts: self.starts, count: self.count, page: self.page, native: None })
        };
        header
    }
}
