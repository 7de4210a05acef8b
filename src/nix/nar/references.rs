//! Finds store paths in bytes, by their hash parts.
//!
//! The same scan as Nix's: wherever 32 characters of base-32 in a row are one of the hash parts looked for, the
//! bytes refer to that path. Contents that hide a path (compressed, UTF-16) hide it from Nix as well.

use std::{
    collections::{BTreeSet, HashMap},
    io::{self, Write},
};

use crate::nix::{
    hash_parts::hash_parts,
    store_path::{HASH_CHARS, StorePath},
};

/// Finds which of a set of store paths occur in the bytes written to it, over any borders of the pieces.
pub struct ReferenceScanner {
    candidates: HashMap<[u8; HASH_CHARS], (StorePath, bool)>,
    // Whether some candidate begins with bytes of this digest: most windows need no more than one look here, so that
    // megabytes of base-16 cost little.
    begins: Box<[bool; 1 << 16]>,
    // The last bytes of what was written before, fewer than HASH_CHARS.
    tail: Vec<u8>,
}

impl ReferenceScanner {
    /// Looks for these paths. Of two with the same hash part only one is reported; Nix never makes such two.
    pub fn new(candidates: impl IntoIterator<Item = StorePath>) -> Self {
        let keyed = candidates.into_iter().filter_map(|path| {
            let key = <[u8; HASH_CHARS]>::try_from(path.hash_part().as_bytes()).ok()?;
            Some((key, (path, false)))
        });
        let candidates: HashMap<_, _> = keyed.collect();
        let mut begins = Box::new([false; 1 << 16]);
        for key in candidates.keys() {
            begins[digest(key)] = true;
        }
        ReferenceScanner { candidates, begins, tail: Vec::with_capacity(2 * HASH_CHARS) }
    }

    /// The paths found in everything written.
    pub fn found(self) -> BTreeSet<StorePath> {
        self.candidates.into_values().filter_map(|(path, found)| found.then_some(path)).collect()
    }

    fn scan(&mut self, bytes: &[u8]) {
        for at in hash_parts(bytes) {
            let window = &bytes[at..at + HASH_CHARS];
            if self.begins[digest(window)]
                && let Some((_, found)) = self.candidates.get_mut(window)
            {
                *found = true;
            }
        }
    }
}

/// Sixteen bits that follow from the first eight bytes.
fn digest(window: &[u8]) -> usize {
    let head = window.first_chunk().copied().map_or(0, u64::from_le_bytes);
    // Multiplicative hashing: the highest bits of a product with an odd number depend on all bits.
    (head.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48) as usize
}

impl Write for ReferenceScanner {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let kept = HASH_CHARS - 1;
        // Windows that begin in the old bytes and end in the new ones.
        let mut border = std::mem::take(&mut self.tail);
        border.extend_from_slice(&data[..data.len().min(kept)]);
        self.scan(&border);
        self.scan(data);
        if data.len() < kept {
            border.drain(..border.len().saturating_sub(kept));
        } else {
            border.clear();
            border.extend_from_slice(&data[data.len() - kept..]);
        }
        self.tail = border;
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
