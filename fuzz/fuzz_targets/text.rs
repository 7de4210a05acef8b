//! Text by lines, JSON by value.
#![no_main]

mod common;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    if let Some((a, b)) = common::pair(input) {
        common::check(&a, &b);
    }
});
