//! A derivation that is accepted is the canonical text of itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reprove::nix::derivation::Derivation;

fuzz_target!(|text: &[u8]| {
    match Derivation::parse(text) {
        Ok(derivation) => assert_eq!(derivation.serialise(), text),
        Err(error) => assert!(error.offset <= text.len(), "{error}"),
    }
});
