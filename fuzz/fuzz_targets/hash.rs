//! A hash that is accepted means the same in every spelling.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reprove::nix::hash::{Algorithm, Hash};

fuzz_target!(|text: &[u8]| {
    let bare = Algorithm::ALL.into_iter().map(Some);
    for given in bare.chain([None]) {
        let Ok(hash) = Hash::parse(text, given) else { continue };
        for spelling in [hash.to_sri(), hash.to_base16(), hash.to_base32()] {
            assert_eq!(Hash::parse(spelling.as_bytes(), Some(hash.algorithm())), Ok(hash.clone()));
        }
    }
});
