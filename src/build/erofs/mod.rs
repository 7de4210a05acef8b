//! Writes uncompressed EROFS images: what a guest mounts as its input drive.
//!
//! Format: the Linux kernel's "EROFS - Enhanced Read-Only File System" and its on-disk structures, as every
//! kernel from 5.4 reads them: no feature flag that a reader must understand is set. An image is a pure function
//! of the entries, in any order of adding them, and is written front to back.

mod disk;
mod layout;
mod write;

use std::io;

use crate::{
    machine::Region,
    nix::{
        nar::{Contents, Node},
        text::shown,
    },
};

pub use write::write;

/// Block size of every image.
pub const BLOCK: u64 = 4096;
/// Longest name of an entry, in bytes.
pub const NAME_MAX: usize = 255;
/// Longest target of a symbolic link, in bytes; Linux takes no longer path.
pub const TARGET_MAX: usize = 4095;

/// Mode bits, owner and time of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Permission bits, `0o7777` at most; the type comes from the entry.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Seconds since 1970 of the last change.
    pub mtime: u64,
}

impl Meta {
    /// Root's, at time 1: what a Nix store holds.
    pub fn stored(mode: u16) -> Meta {
        Meta { mode, uid: 0, gid: 0, mtime: 1 }
    }
}

/// Where the bytes of a file come from.
#[derive(Clone)]
pub enum Data {
    /// From memory; small texts.
    Memory(Vec<u8>),
    /// From a range of a host file, read while the image is written.
    File(Region, Contents),
}

impl Data {
    fn len(&self) -> u64 {
        match self {
            Data::Memory(bytes) => bytes.len() as u64,
            Data::File(_, contents) => contents.size,
        }
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        match self {
            Data::File(region, contents) => region.read_exact_at(buffer, contents.offset + offset),
            Data::Memory(bytes) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX);
                let range = bytes.get(start..).and_then(|rest| rest.get(..buffer.len()));
                buffer.copy_from_slice(range.ok_or(io::ErrorKind::UnexpectedEof)?);
                Ok(())
            }
        }
    }
}

/// A directory of the image, to add entries to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dir(usize);

enum Kind {
    Directory { parent: usize, children: Vec<usize> },
    File(Data),
    Symlink(Vec<u8>),
}

struct Entry {
    name: Vec<u8>,
    meta: Meta,
    kind: Kind,
}

/// The entries of an image to be written.
pub struct Image {
    entries: Vec<Entry>,
}

impl Image {
    /// The root directory of every image.
    pub const ROOT: Dir = Dir(0);

    /// An image with an empty root directory.
    pub fn new(root: Meta) -> Image {
        let kind = Kind::Directory { parent: 0, children: Vec::new() };
        Image { entries: vec![Entry { name: Vec::new(), meta: root, kind }] }
    }

    /// Adds an empty directory.
    pub fn directory(&mut self, parent: Dir, name: &[u8], meta: Meta) -> Result<Dir, ErofsError> {
        let kind = Kind::Directory { parent: parent.0, children: Vec::new() };
        self.add(parent, name, meta, kind).map(Dir)
    }

    /// Adds a regular file.
    pub fn file(&mut self, parent: Dir, name: &[u8], meta: Meta, data: Data) -> Result<(), ErofsError> {
        self.add(parent, name, meta, Kind::File(data)).map(|_| ())
    }

    /// Adds a symbolic link.
    pub fn symlink(&mut self, parent: Dir, name: &[u8], meta: Meta, target: &[u8]) -> Result<(), ErofsError> {
        if target.is_empty() || target.len() > TARGET_MAX || target.contains(&0) {
            return Err(ErofsError::Target { name: shown(name), length: target.len() });
        }
        self.add(parent, name, meta, Kind::Symlink(target.to_vec())).map(|_| ())
    }

    /// Adds a store object: a tree whose files lie in `nar`, with the modes, owner and time a Nix store gives it.
    pub fn store_object(
        &mut self,
        parent: Dir,
        name: &[u8],
        tree: &Node,
        nar: &Region,
    ) -> Result<(), ErofsError> {
        let mut left = vec![(parent, name, tree)];
        while let Some((parent, name, node)) = left.pop() {
            match node {
                Node::Regular { executable, contents } => {
                    let mode = if *executable { 0o555 } else { 0o444 };
                    let data = Data::File(nar.clone(), *contents);
                    self.file(parent, name, Meta::stored(mode), data)?;
                }
                Node::Symlink { target } => self.symlink(parent, name, Meta::stored(0o777), target)?,
                Node::Directory { entries } => {
                    let directory = self.directory(parent, name, Meta::stored(0o555))?;
                    left.extend(entries.iter().map(|(name, node)| (directory, name.as_slice(), node)));
                }
            }
        }
        Ok(())
    }

    fn add(&mut self, parent: Dir, name: &[u8], meta: Meta, kind: Kind) -> Result<usize, ErofsError> {
        let plain = !name.is_empty() && name.len() <= NAME_MAX && name != b"." && name != b"..";
        if !plain || name.contains(&b'/') || name.contains(&0) {
            return Err(ErofsError::Name(shown(name)));
        }
        let index = self.entries.len();
        // `Dir` is only ever made for a directory of this image.
        if let Kind::Directory { children, .. } = &mut self.entries[parent.0].kind {
            children.push(index);
        }
        self.entries.push(Entry { name: name.to_vec(), meta, kind });
        Ok(index)
    }
}

/// Why an image could not be written. Names are escaped and shortened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErofsError {
    /// A name no file system takes.
    #[error("{0} is no name for a directory entry: empty, too long, `.`, `..`, or with a slash or NUL in it")]
    Name(String),
    /// Two entries of one directory have the same name.
    #[error("two entries are named {0}")]
    Duplicate(String),
    /// A link target that is empty, longer than [`TARGET_MAX`] or holds a NUL.
    #[error("the symbolic link {name} has a target of {length} bytes that no file system takes")]
    Target {
        /// The link.
        name: String,
        /// Bytes of its target.
        length: usize,
    },
    /// More than 2^32 blocks.
    #[error("{0} bytes do not fit into an EROFS image: 16 TiB at most")]
    TooLarge(u64),
    /// Reading a file's bytes failed.
    #[error("cannot read the contents of {name}: {source}")]
    Read {
        /// The entry.
        name: String,
        /// The operating system's answer.
        source: io::Error,
    },
    /// Writing the image failed.
    #[error("cannot write the input image: {0}")]
    Write(#[source] io::Error),
}

#[cfg(test)]
mod tests;
