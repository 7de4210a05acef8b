//! A file tree whose contents stay where they are.

use std::collections::BTreeMap;

/// Where the bytes of a regular file lie: a range of whatever the tree was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contents {
    /// Byte offset of the first byte.
    pub offset: u64,
    /// Length in bytes.
    pub size: u64,
}

/// A file, link or directory as a NAR knows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A regular file.
    Regular {
        /// Whether the owner may execute it.
        executable: bool,
        /// Where its bytes lie.
        contents: Contents,
    },
    /// A symbolic link.
    Symlink {
        /// Its target, any bytes but NUL, never empty.
        target: Vec<u8>,
    },
    /// A directory.
    Directory {
        /// Its entries by name, in byte order.
        entries: BTreeMap<Vec<u8>, Node>,
    },
}
