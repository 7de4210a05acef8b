//! A store path that is accepted is its own text, and nothing in it can lead elsewhere.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reprove::nix::store_path::StorePath;

fuzz_target!(|text: &[u8]| {
    if let Ok(path) = StorePath::from_base_name(text) {
        assert_eq!(path.base_name().as_bytes(), text);
        assert!(!text.contains(&b'/') && !text.contains(&0));
        assert_eq!(path.to_string().parse(), Ok(path));
    }
    if let Ok(path) = StorePath::parse(text) {
        assert_eq!(path.to_string().as_bytes(), text);
    }
});
