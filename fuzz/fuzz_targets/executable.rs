//! Executables and objects: ELF of both sizes and byte orders, with debug information and Go's tables; PE, Mach-O, WebAssembly, notes of gcov. Seeds begin as one of them.
#![no_main]

mod common;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    if let Some((a, b)) = common::pair(input) {
        common::check(&a, &b);
    }
});
