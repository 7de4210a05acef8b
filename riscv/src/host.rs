//! What is asked of the host beyond memory: that it come in large pages.
//!
//! The guest's memory and the decoded code are touched all over, and a guest that boots touches a hundred megabytes page by
//! page: the host then sets up 4 KiB at a time, or 2 MiB.

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
