//! Archives and compressed files: tar (with its checksums made right), ar and Debian packages, zip and jar, cpio, gzip, xz,
//! zstd, bzip2, NAR, compiled Python.
#![no_main]

mod common;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    if let Some((mut a, mut b)) = common::pair(input) {
        common::checksums(&mut a);
        common::checksums(&mut b);
        common::check(&a, &b);
    }
});
