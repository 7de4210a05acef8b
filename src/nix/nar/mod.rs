//! The Nix Archive format: a canonical serialisation of a file tree.
//!
//! Nix manual, "Nix Archive (NAR) format". Every tree has exactly one NAR; the reader accepts nothing else, so that
//! equal hashes mean equal trees and the other way round. All limits are those of the strictest Nix (2.35).

mod error;
mod hash;
mod listing;
mod reader;
pub mod references;
mod tree;
mod writer;

use std::io::Read;

pub use error::{NarError, NarErrorKind, NarWriteError};
pub use hash::{NarHasher, hash};
pub use listing::Listing;
pub use reader::{Event, Reader};
pub use tree::{Contents, MAX_ENTRIES, Node};
pub use writer::Writer;

/// The string every NAR begins with.
const MAGIC: &[u8] = b"nix-archive-1";

/// Deepest nesting of nodes, the root counted.
pub const MAX_DEPTH: usize = 64;

/// Longest name of a directory entry, in bytes.
pub const MAX_NAME: usize = 255;

/// Longest target of a symbolic link, in bytes.
pub const MAX_TARGET: usize = 4095;

/// Longest keyword read; the real ones are shorter.
const MAX_TAG: usize = 32;

/// Whether a file of this mode (as in `st_mode`) is executable to Nix: by the owner's bit alone.
pub const fn is_executable(mode: u32) -> bool {
    mode & 0o100 != 0
}

/// Zero bytes that follow a string of `len` bytes.
const fn padding(len: u64) -> usize {
    ((8 - len % 8) % 8) as usize
}

/// What is wrong with the name of a directory entry.
fn name_fault(name: &[u8]) -> Option<&'static str> {
    match name {
        b"" => Some("is empty"),
        b"." | b".." => Some("means a directory itself"),
        _ if name.contains(&b'/') => Some("has a slash"),
        _ if name.contains(&0) => Some("has a NUL byte"),
        _ if name.len() > MAX_NAME => Some("is longer than 255 bytes"),
        _ => None,
    }
}

/// What is wrong with the target of a symbolic link.
fn target_fault(target: &[u8]) -> Option<&'static str> {
    match target {
        b"" => Some("is empty"),
        _ if target.contains(&0) => Some("has a NUL byte"),
        _ if target.len() > MAX_TARGET => Some("is longer than 4095 bytes"),
        _ => None,
    }
}

/// The first bytes of every NAR: its first tag.
const START: &[u8] = b"\x0d\0\0\0\0\0\0\0nix-archive-1\0\0\0";

/// Whether these bytes begin as every NAR does; takes no more than the first 24 of them.
pub fn starts_like_a_nar(bytes: impl Read) -> std::io::Result<bool> {
    let mut start = Vec::new();
    bytes.take(START.len() as u64).read_to_end(&mut start)?;
    Ok(start == START)
}
