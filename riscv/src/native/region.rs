//! Memory that is written to in one place and run in another.

use std::ptr::null_mut;

use rustix::fd::OwnedFd;
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap, mmap_anonymous, munmap};

/// Bytes of a large page. Code of a large program takes tens of megabytes: far more small pages than a processor knows at a time.
const LARGE: usize = 2 << 20;

/// Two views of the same memory. What is never touched takes no memory of the host.
pub(super) struct Region {
    writable: View,
    runnable: View,
    len: usize,
}

/// A mapping, which begins where a large page can.
struct View {
    start: *mut u8,
    mapped: *mut u8,
    len: usize,
}

// SAFETY: a view is its owner's own.
unsafe impl Send for View {}

impl View {
    /// Maps all `len` bytes of `file`.
    fn new(file: &OwnedFd, len: usize, protection: ProtFlags) -> Option<View> {
        let room = len + LARGE;
        // SAFETY: a new mapping at a place of the kernel's choice.
        let mapped =
            unsafe { mmap_anonymous(null_mut(), room, ProtFlags::empty(), MapFlags::PRIVATE) }.ok()?;
        let mut view = View { start: null_mut(), mapped: mapped.cast(), len: room };
        let start = view.mapped.wrapping_add(view.mapped.align_offset(LARGE));
        // SAFETY: the range lies in the mapping just made, which nobody uses.
        let start =
            unsafe { mmap(start.cast(), len, protection, MapFlags::SHARED | MapFlags::FIXED, file, 0) }
                .ok()?;
        // Nothing depends on the answer.
        // SAFETY: the advice changes no content.
        let _ = unsafe { madvise(start, len, Advice::LinuxHugepage) };
        view.start = start.cast();
        Some(view)
    }
}

impl Drop for View {
    fn drop(&mut self) {
        // SAFETY: mapped in `new`; nothing is run or read there any more.
        let _ = unsafe { munmap(self.mapped.cast(), self.len) };
    }
}

impl Region {
    /// `len` zero bytes, if the host gives such memory.
    pub fn new(len: usize) -> Option<Region> {
        let file = memfd_create("reprove-blocks", MemfdFlags::CLOEXEC).ok()?;
        ftruncate(&file, len as u64).ok()?;
        let writable = View::new(&file, len, ProtFlags::READ | ProtFlags::WRITE)?;
        let runnable = View::new(&file, len, ProtFlags::READ | ProtFlags::EXEC)?;
        Some(Region { writable, runnable, len })
    }

    /// Where the byte at `offset` is run.
    pub fn runnable(&self, offset: usize) -> *const u8 {
        debug_assert!(offset <= self.len);
        self.runnable.start.wrapping_add(offset)
    }

    /// Where the byte at `offset` is written to.
    pub fn writable(&self, offset: usize) -> *mut u8 {
        debug_assert!(offset <= self.len);
        self.writable.start.wrapping_add(offset)
    }

    /// Writes `bytes` at `offset`.
    pub fn write(&mut self, offset: usize, bytes: &[u8]) {
        assert!(offset <= self.len && bytes.len() <= self.len - offset, "translated code has a region");
        // SAFETY: the view is the region's own, and the range lies within it.
        unsafe { self.writable(offset).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) }
    }
}
