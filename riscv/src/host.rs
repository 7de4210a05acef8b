//! What is asked of the host: memory, as much as the guest may touch, in large pages where that is possible.
//!
//! The guest's memory and the decoded code are touched all over, and a guest that boots touches a hundred megabytes page by
//! page: the host then sets up 4 KiB at a time, or 2 MiB.

pub(crate) use pages::Pages;

/// Bytes of a large page.
#[cfg(target_os = "linux")]
const LARGE: usize = 2 << 20;

/// Asks for large pages for all of `len` bytes at `start` that whole large pages cover. Nothing depends on the answer.
#[cfg(target_os = "linux")]
pub(crate) fn prefer_large_pages(start: *const u8, len: usize) {
    let skip = start.align_offset(LARGE);
    let len = len.saturating_sub(skip) / LARGE * LARGE;
    if len == 0 {
        return;
    }
    let advice = rustix::mm::Advice::LinuxHugepage;
    // SAFETY: the advice changes no content; the range lies within one allocation of the caller's.
    let _ = unsafe { rustix::mm::madvise(start.wrapping_add(skip).cast_mut().cast(), len, advice) };
}

/// Other hosts choose by themselves.
#[cfg(not(target_os = "linux"))]
pub(crate) fn prefer_large_pages(_start: *const u8, _len: usize) {}

/// Memory that the host need not have: most of a guest's is never touched, so none is set aside for it. A host that never
/// promises more than it has (Linux with `vm.overcommit_memory` 2) counts all of it all the same.
#[cfg(any(target_os = "linux", target_vendor = "apple"))]
mod pages {
    use std::ptr::{self, NonNull};

    use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

    /// Zero bytes, from the beginning of a page.
    pub(crate) struct Pages {
        start: NonNull<u8>,
        len: usize,
    }

    // SAFETY: it owns its mapping, which only its methods reach, under the rules of references.
    unsafe impl Send for Pages {}
    // SAFETY: as above.
    unsafe impl Sync for Pages {}

    impl Pages {
        /// `len` zero bytes.
        pub fn new(len: usize) -> Result<Pages, String> {
            if len == 0 {
                return Ok(Pages::none());
            }
            if isize::try_from(len).is_err() {
                return Err("more than the host can address".to_owned());
            }
            let (access, kind) =
                (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE | MapFlags::NORESERVE);
            // SAFETY: a new mapping at an address of the host's choice touches no memory there is.
            let start = unsafe { mmap_anonymous(ptr::null_mut(), len, access, kind) };
            let start = start.map_err(|error| error.to_string())?;
            let start = NonNull::new(start.cast()).ok_or("the host gave address 0")?;
            super::prefer_large_pages(start.as_ptr(), len);
            Ok(Pages { start, len })
        }

        /// No bytes.
        pub fn none() -> Pages {
            Pages { start: NonNull::dangling(), len: 0 }
        }

        /// The first byte, from which all are reached.
        #[inline]
        pub fn start(&mut self) -> *mut u8 {
            self.start.as_ptr()
        }

        #[inline]
        pub fn bytes(&self) -> &[u8] {
            // SAFETY: the mapping has so many bytes, all of them initialised, and lives as long as `self`.
            unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
        }

        #[inline]
        pub fn bytes_mut(&mut self) -> &mut [u8] {
            // SAFETY: as above; `self` is borrowed alone.
            unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
        }
    }

    impl Drop for Pages {
        fn drop(&mut self) {
            if self.len > 0 {
                // SAFETY: the mapping was made in `new`, and nothing reaches it any more.
                let _ = unsafe { munmap(self.start.as_ptr().cast(), self.len) };
            }
        }
    }
}

/// Memory of the allocator's, which takes it from the host untouched as far as that can be.
#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
mod pages {
    use crate::memory::PAGE;

    /// Zero bytes, from the beginning of a page.
    pub(crate) struct Pages {
        /// The bytes, `skip` bytes into it.
        bytes: Vec<u8>,
        skip: usize,
        len: usize,
    }

    impl Pages {
        /// `len` zero bytes.
        pub fn new(len: usize) -> Result<Pages, String> {
            let room = len.checked_add(PAGE as usize).ok_or("more than the host can address")?;
            let mut bytes: Vec<u8> = Vec::new();
            bytes.try_reserve_exact(room).map_err(|error| error.to_string())?;
            drop(bytes);
            // The allocator hands out fresh zero pages for this, which cost nothing until they are touched.
            let bytes = vec![0u8; room];
            let skip = bytes.as_ptr().align_offset(PAGE as usize);
            super::prefer_large_pages(bytes.as_ptr(), room);
            Ok(Pages { bytes, skip, len })
        }

        /// No bytes.
        pub fn none() -> Pages {
            Pages { bytes: Vec::new(), skip: 0, len: 0 }
        }

        /// The first byte, from which all are reached.
        #[inline]
        pub fn start(&mut self) -> *mut u8 {
            self.bytes.as_mut_ptr().wrapping_add(self.skip)
        }

        #[inline]
        pub fn bytes(&self) -> &[u8] {
            &self.bytes[self.skip..self.skip + self.len]
        }

        #[inline]
        pub fn bytes_mut(&mut self) -> &mut [u8] {
            &mut self.bytes[self.skip..self.skip + self.len]
        }
    }
}
