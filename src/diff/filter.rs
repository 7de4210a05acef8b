//! Hashes that nobody can choose bytes for, and a small set of them that answers most questions with no.

use std::hash::{BuildHasher as _, RandomState};

/// Spreads values over all bits, in another way each time.
#[derive(Clone, Copy)]
pub(super) struct Key(u64);

impl Key {
    pub fn random() -> Self {
        Key(RandomState::new().hash_one(0) | 1)
    }

    pub fn hash(self, value: u64) -> u64 {
        let mixed = (value ^ (value >> 32)).wrapping_mul(self.0);
        mixed ^ (mixed >> 32)
    }
}

/// A set of hashes in sixteen bits each, so that it stays in the processor's cache. One in sixteen that are not in it
/// seem to be; none that is in it seems not to be.
pub(super) struct Filter {
    bits: Vec<u64>,
}

impl Filter {
    pub fn with_room_for(count: usize) -> Self {
        Filter { bits: vec![0; (count / 4).max(1).next_power_of_two()] }
    }

    pub fn add(&mut self, hash: u64) {
        let (word, bit) = self.place(hash);
        self.bits[word] |= bit;
    }

    pub fn may_have(&self, hash: u64) -> bool {
        let (word, bit) = self.place(hash);
        self.bits[word] & bit != 0
    }

    /// The upper half of the hash: tables take their slots from the lower one.
    fn place(&self, hash: u64) -> (usize, u64) {
        ((hash >> 38) as usize & (self.bits.len() - 1), 1 << (hash >> 32 & 63))
    }
}
