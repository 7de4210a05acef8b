//! Where in bytes the hash part of a store path can stand: 32 characters of base-32 in a row.

use super::{base32, store_path::HASH_CHARS};

const IS_BASE32: [bool; 256] = {
    let mut table = [false; 256];
    let mut n = 0;
    while n < base32::ALPHABET.len() {
        table[base32::ALPHABET[n] as usize] = true;
        n += 1;
    }
    table
};

/// The offsets in `bytes` at which [`HASH_CHARS`] characters of base-32 begin, in ascending order. In a longer run every one counts,
/// as for Nix.
pub fn hash_parts(bytes: &[u8]) -> HashParts<'_> {
    HashParts { bytes, at: 0, in_run: false }
}

/// See [`hash_parts`].
#[derive(Clone, Debug)]
pub struct HashParts<'a> {
    bytes: &'a [u8],
    at: usize,
    // Whether all but the last character of the window at `at` are known to be base-32.
    in_run: bool,
}

impl Iterator for HashParts<'_> {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        let is_wrong = |byte: &u8| !IS_BASE32[usize::from(*byte)];
        loop {
            let window = self.bytes.get(self.at..self.at + HASH_CHARS)?;
            let last = HASH_CHARS - 1;
            // From the end: one wrong character there rules out every window that has it in it.
            let wrong = match self.in_run {
                true => is_wrong(&window[last]).then_some(last),
                false => window.iter().rposition(is_wrong),
            };
            self.in_run = wrong.is_none();
            match wrong {
                Some(wrong) => self.at += wrong + 1,
                None => {
                    self.at += 1;
                    return Some(self.at - 1);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn they_are_where_a_plain_search_finds_them(
            pieces in prop::collection::vec((prop::sample::select(&b"0z/e\0"[..]), 1usize..40), 0..12),
        ) {
            let bytes: Vec<u8> = pieces.into_iter().flat_map(|(byte, times)| vec![byte; times]).collect();
            let legal = |window: &[u8]| window.iter().all(|byte| base32::ALPHABET.contains(byte));
            let windows = bytes.windows(HASH_CHARS).enumerate();
            let plain: Vec<usize> = windows.filter(|(_, window)| legal(window)).map(|(at, _)| at).collect();
            prop_assert_eq!(hash_parts(&bytes).collect::<Vec<_>>(), plain);
        }
    }
}
