//! File systems and container images: squashfs; OCI layouts and docker archives in tar archives whose checksums are made right.
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
