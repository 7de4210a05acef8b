//! Caches of translations: from a page of virtual addresses to where its bytes lie in the host.
//!
//! A [`Tlb`] belongs to one kind of access right (see [`Context`]), so that changing the privilege mode changes which
//! cache is looked at and forgets nothing. What is in a cache can be used without any further check.

use crate::memory::PAGE;
use crate::pmp::Access;

/// Pages each cache of data knows at most; a power of two.
const DATA: usize = 1024;
/// Pages each cache of code knows at most; a power of two.
const CODE: usize = 1024;

/// Set in the tag of a page whose translation is known but where something must be done before the next store: code of
/// it is decoded, or it is not marked as changed. No access matches such a tag, so that a store goes the slow way, which
/// finds the translation there. What the caches know is thereby the same whether something was to be done or not.
///
/// A bit below those of a page's address and above those that tell where in eight bytes a misaligned address points
/// (see [`Tlb::tag`]): neither an aligned access nor any other finds it in a tag of its own.
const GUARDED: u64 = 8;

/// The table of a page of which nothing is decoded.
static NOTHING: Shared = Shared([std::ptr::null(); (PAGE / 2) as usize]);

struct Shared(BlockTable);

// SAFETY: it holds null pointers and is never written to.
unsafe impl Sync for Shared {}

/// A tag no address can have: its low bits are not those of a page's address.
const NONE: u64 = u64::MAX;

/// Whose rights a translation has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Context {
    User,
    Supervisor,
    /// Supervisor that may reach the user's pages (`SUM`).
    SupervisorAsUser,
    Machine,
}

impl Context {
    pub const COUNT: usize = 4;
}

/// A page of data.
#[derive(Clone, Copy)]
pub(crate) struct DataEntry {
    /// The virtual address of the page.
    pub tag: u64,
    /// Added to a virtual address of the page it gives the host's.
    pub addend: usize,
}

/// A page of code.
#[derive(Clone, Copy)]
pub(crate) struct CodeEntry {
    /// The virtual address of the page.
    pub tag: u64,
    /// Added to a virtual address of the page it gives where in memory that is.
    pub addend: u64,
    /// Where its bytes begin in memory.
    pub offset: usize,
    /// Its decoded blocks: one pointer for each place where an instruction can begin.
    pub blocks: *const BlockTable,
}

/// The blocks that begin in a page, by half their offset in it.
pub(crate) type BlockTable = [*const crate::block::Header; (PAGE / 2) as usize];

/// The translations of one [`Context`].
pub(crate) struct Tlb {
    pub read: [DataEntry; DATA],
    pub write: [DataEntry; DATA],
    pub code: [CodeEntry; CODE],
    used: bool,
    /// By half of the address space, then for pages of 2 MiB and of 1 GiB: a bit for each residue of their number, set when a
    /// part of one of them is known here.
    large: [[u64; 2]; 2],
}

impl Tlb {
    /// The last of the indices of [`Tlb::read`] and [`Tlb::write`].
    pub const LAST_DATA_INDEX: i32 = DATA as i32 - 1;
    /// The last of the indices of [`Tlb::code`].
    pub const LAST_CODE_INDEX: i32 = CODE as i32 - 1;

    pub fn new() -> Tlb {
        let data = DataEntry { tag: NONE, addend: 0 };
        let code = CodeEntry { tag: NONE, addend: 0, offset: 0, blocks: &NOTHING.0 };
        Tlb { read: [data; DATA], write: [data; DATA], code: [code; CODE], used: false, large: [[0; 2]; 2] }
    }

    /// Index of `address` in [`Tlb::read`] and [`Tlb::write`].
    #[inline(always)]
    pub fn data_index(address: u64) -> usize {
        (address >> 12) as usize & (DATA - 1)
    }

    /// Index of `address` in [`Tlb::code`].
    #[inline(always)]
    pub fn code_index(address: u64) -> usize {
        (address >> 12) as usize & (CODE - 1)
    }

    /// What the tag of a page must be for `address`, an aligned address of `size` bytes, to be in it.
    #[inline(always)]
    pub fn tag(address: u64, size: u64) -> u64 {
        address & (!(PAGE - 1) | (size - 1))
    }

    pub fn set_read(&mut self, address: u64, host: *mut u8) {
        self.used = true;
        self.read[Tlb::data_index(address)] = Tlb::data_entry(address, host);
    }

    /// `guarded` is whether the next store must go the slow way: instructions of the page are decoded, or it is not marked as
    /// changed.
    pub fn set_write(&mut self, address: u64, host: *mut u8, guarded: bool) {
        self.used = true;
        let mut entry = Tlb::data_entry(address, host);
        entry.tag |= if guarded { GUARDED } else { 0 };
        self.write[Tlb::data_index(address)] = entry;
    }

    /// The host's address of `address`, aligned or not, if it is known for `access`.
    pub fn find(&self, address: u64, access: Access) -> Option<usize> {
        let (entries, ignored) =
            if access == Access::Write { (&self.write, GUARDED) } else { (&self.read, 0) };
        let entry = entries[Tlb::data_index(address)];
        (entry.tag != NONE && entry.tag & !ignored == Tlb::tag(address, 1))
            .then(|| (address as usize).wrapping_add(entry.addend))
    }

    /// Makes stores to the page at `host` go the slow way.
    pub fn guard(&mut self, host: *mut u8) {
        if !self.used {
            return;
        }
        for entry in &mut self.write {
            if entry.tag != NONE
                && ((entry.tag & !GUARDED) as usize).wrapping_add(entry.addend) == host.addr()
            {
                entry.tag |= GUARDED;
            }
        }
    }

    /// `host` is where the page's first byte lies.
    fn data_entry(address: u64, host: *mut u8) -> DataEntry {
        let page = address & !(PAGE - 1);
        DataEntry { tag: page, addend: host.expose_provenance().wrapping_sub(page as usize) }
    }

    /// `blocks` is the page's table, if anything of it is decoded.
    pub fn set_code(&mut self, address: u64, offset: usize, blocks: Option<*const BlockTable>) {
        self.used = true;
        let blocks = blocks.unwrap_or(&NOTHING.0);
        let tag = address & !(PAGE - 1);
        let addend = (offset as u64).wrapping_sub(tag);
        self.code[Tlb::code_index(address)] = CodeEntry { tag, addend, offset, blocks };
    }

    /// Makes all stores go the slow way once.
    pub fn guard_all(&mut self) {
        if self.used {
            self.write.iter_mut().for_each(|entry| entry.tag |= GUARDED);
        }
    }

    /// The page at `offset` has decoded blocks from now on.
    pub fn set_blocks(&mut self, offset: usize, blocks: *const BlockTable) {
        for entry in &mut self.code {
            if entry.tag != NONE && entry.offset == offset {
                entry.blocks = blocks;
            }
        }
    }

    /// The page at `offset`, or every page, has no decoded blocks any more.
    pub fn forget_blocks(&mut self, offset: Option<usize>) {
        for entry in &mut self.code {
            if offset.is_none_or(|offset| entry.offset == offset) {
                entry.blocks = &NOTHING.0;
            }
        }
    }

    /// Forgets everything.
    pub fn flush(&mut self) {
        if !self.used {
            return;
        }
        self.read.iter_mut().for_each(|entry| entry.tag = NONE);
        self.write.iter_mut().for_each(|entry| entry.tag = NONE);
        self.code.iter_mut().for_each(|entry| entry.tag = NONE);
        self.used = false;
        self.large = [[0; 2]; 2];
    }

    /// The half of the address space: large pages are a kernel's own, and what it says of the pages of programs comes often.
    fn half(address: u64) -> usize {
        (address >> 63) as usize
    }

    /// The bit of the large page of `address` that a page table of `level` describes.
    fn large_bit(address: u64, level: u32) -> u64 {
        1 << (address >> (12 + 9 * level) & 63)
    }

    /// Remembers that the page of `address` is a part of a larger one when `level`, that of its page table, is not 0.
    pub fn note_size(&mut self, address: u64, level: u32) {
        if level > 0 {
            self.large[Tlb::half(address)][level as usize - 1] |= Tlb::large_bit(address, level);
        }
    }

    /// Forgets the page of `address`. When it may be a part of a large page, all parts of that must go: everything does.
    pub fn flush_page(&mut self, address: u64) {
        let large = self.large[Tlb::half(address)];
        if (1..=2).any(|level| large[level as usize - 1] & Tlb::large_bit(address, level) != 0) {
            return self.flush();
        }
        let page = address & !(PAGE - 1);
        let data = Tlb::data_index(address);
        for tag in [
            &mut self.read[data].tag,
            &mut self.write[data].tag,
            &mut self.code[Tlb::code_index(address)].tag,
        ] {
            if *tag & !GUARDED == page {
                *tag = NONE;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A store that is misaligned by as much as a guarded tag differs from the page's address must not find it.
    #[test]
    fn no_access_of_any_alignment_and_size_finds_a_guarded_page() {
        for address in 0x4000_0000..0x4000_0000 + 2 * PAGE {
            for size in [1, 2, 4, 8] {
                assert_ne!(Tlb::tag(address, size), 0x4000_0000 | GUARDED, "{size} bytes at {address:#x}");
                assert_ne!(Tlb::tag(address, size), NONE);
                assert_ne!(Tlb::tag(address.wrapping_neg(), size), NONE | GUARDED);
            }
        }
    }
}
