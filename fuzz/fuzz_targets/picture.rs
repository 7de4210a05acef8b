//! PNG images, archives behind scripts, and whatever else begins as none of the other formats.
#![no_main]

mod common;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    if let Some((a, b)) = common::pair(input) {
        common::check(&a, &b);
    }
});
