//! What the standard library has no safe call for: the resources one finished child used, and mapped files.

#![allow(unsafe_code)] // two calls of the operating system; the files and the children are the bench's own

use std::{fs::File, os::fd::AsRawFd as _, path::Path, process::Child, ptr};

/// What a finished process used, itself and the children it waited for.
pub struct Used {
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// CPU seconds, user and system.
    pub cpu: f64,
    /// Most memory of any one of them, in bytes.
    pub memory: u64,
}

/// Waits for a child.
pub fn wait(child: &Child) -> Used {
    let mut status = 0;
    // SAFETY: a structure of numbers, for which zeros are values.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to locals; the child is ours and nobody has waited for it yet.
    let id = unsafe { libc::wait4(child.id() as libc::pid_t, &mut status, 0, &mut usage) };
    assert_eq!(id, child.id() as libc::pid_t, "{}", std::io::Error::last_os_error());
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    // Linux counts in KiB, macOS in bytes.
    let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
    Used {
        code: libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status)),
        cpu: seconds(usage.ru_utime) + seconds(usage.ru_stime),
        memory: usage.ru_maxrss as u64 * unit,
    }
}

/// The argument that makes the bench a comparison of mapped files, and nothing else.
pub const MEMCMP: &str = "--memcmp";

/// Maps two files and compares them.
pub fn equal_mapped(a: &Path, b: &Path) -> bool {
    let map = |path: &Path| {
        let file = File::open(path).unwrap();
        let len = file.metadata().unwrap().len() as usize;
        // SAFETY: a new mapping of a file that nobody changes; it is never unmapped.
        unsafe {
            let start =
                libc::mmap(ptr::null_mut(), len, libc::PROT_READ, libc::MAP_PRIVATE, file.as_raw_fd(), 0);
            assert_ne!(start, libc::MAP_FAILED, "{}", std::io::Error::last_os_error());
            std::slice::from_raw_parts(start.cast::<u8>(), len)
        }
    };
    map(a) == map(b)
}
