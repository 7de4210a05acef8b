//! What is done to a sound file.

use proptest::prelude::*;

use super::writers;

/// A change of some bytes.
#[derive(Clone, Debug)]
pub enum Change {
    Flip(prop::sample::Index, u8),
    /// In the first or last 4 KiB, where headers and tables are.
    Table(u16, u8),
    Number(prop::sample::Index, u64, usize, bool),
    Cut(prop::sample::Index, usize),
    Truncate(prop::sample::Index),
    Insert(prop::sample::Index, Vec<u8>),
    Repeat(prop::sample::Index, usize),
    /// Makes the checksum of a tar header right again, so that what is behind it is read.
    Checksum(prop::sample::Index),
}

pub fn change() -> impl Strategy<Value = Change> {
    let at = any::<prop::sample::Index>;
    let extreme = prop_oneof![Just(0), Just(u64::MAX), Just(0x7fff_ffff), Just(0xffff_fffe), any::<u64>()];
    prop_oneof![
        4 => (at(), 1u8..).prop_map(|(at, with)| Change::Flip(at, with)),
        4 => (any::<u16>(), 1u8..).prop_map(|(at, with)| Change::Table(at, with)),
        4 => (at(), extreme, 1usize..9, any::<bool>())
            .prop_map(|(at, number, len, little)| Change::Number(at, number, len, little)),
        2 => (at(), 1usize..600).prop_map(|(at, len)| Change::Cut(at, len)),
        1 => at().prop_map(Change::Truncate),
        2 => (at(), prop::collection::vec(any::<u8>(), 1..40)).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        2 => (at(), 1usize..600).prop_map(|(at, len)| Change::Repeat(at, len)),
        2 => at().prop_map(Change::Checksum),
    ]
}

impl Change {
    pub fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let len = bytes.len();
        match self {
            Change::Flip(at, with) => bytes[at.index(len)] ^= with,
            Change::Table(at, with) => {
                let at = usize::from(*at) % 8192;
                let at = if at < 4096 { at % len } else { len - 1 - (at - 4096) % len };
                bytes[at] ^= with;
            }
            Change::Number(at, number, size, little) => {
                let at = at.index(len);
                let end = (at + size).min(len);
                let written = if *little { number.to_le_bytes() } else { number.to_be_bytes() };
                bytes[at..end].copy_from_slice(&written[..end - at]);
            }
            Change::Cut(at, size) => {
                let at = at.index(len);
                bytes.drain(at..(at + size).min(len));
            }
            Change::Truncate(at) => bytes.truncate(at.index(len)),
            Change::Insert(at, new) => {
                let at = at.index(len);
                bytes.splice(at..at, new.iter().copied());
            }
            Change::Repeat(at, size) => {
                let at = at.index(len);
                let part = bytes[at..(at + size).min(len)].to_vec();
                bytes.splice(at..at, part);
            }
            Change::Checksum(at) => {
                let at = at.index(len) / 512 * 512;
                if let Some(block) = bytes.get_mut(at..at + 512) {
                    writers::tar_checksum(block);
                }
            }
        }
    }
}
