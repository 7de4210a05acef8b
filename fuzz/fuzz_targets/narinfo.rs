//! A narinfo that is accepted means the same once it is written canonically.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reprove::nix::narinfo::NarInfo;

fuzz_target!(|text: &[u8]| {
    if let Ok(info) = NarInfo::parse(text) {
        let canonical = info.to_string();
        assert_eq!(NarInfo::parse(canonical.as_bytes()), Ok(info));
    }
});
