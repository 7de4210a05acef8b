//! A file tree whose contents stay where they are.

use std::{
    collections::{BTreeMap, btree_map},
    io::{self, Read, Write},
};

use super::{
    error::{NarError, NarErrorKind, NarWriteError},
    reader::{Event, Reader},
    writer::Writer,
};

/// Most nodes a listing holds; a chromium source tree has half a million. Bounds the memory of [`Node::read`].
pub const MAX_ENTRIES: usize = 4_000_000;

/// Most bytes of names and link targets a listing holds.
pub(super) const MAX_TEXT: usize = 256 << 20;

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

/// A directory being read: what is complete, and the entry whose node comes next.
#[derive(Default)]
struct Open {
    entries: BTreeMap<Vec<u8>, Node>,
    name: Vec<u8>,
}

impl Node {
    /// Reads a whole NAR and keeps what is in it but for the files' contents; their offsets are into the NAR.
    pub fn read(nar: impl Read) -> Result<Self, NarError> {
        Self::read_capped(nar, MAX_ENTRIES, MAX_TEXT)
    }

    /// [`read`](Self::read) with other caps on the number of nodes and on the bytes of names and targets.
    pub(in crate::nix) fn read_capped(
        nar: impl Read,
        max_entries: usize,
        max_text: usize,
    ) -> Result<Self, NarError> {
        let mut reader = Reader::new(nar);
        let mut open: Vec<Open> = Vec::new();
        let mut root = None;
        let (mut nodes, mut text) = (0, 0);
        while let Some(event) = reader.next_event()? {
            let node = match event {
                Event::Directory => {
                    open.push(Open::default());
                    None
                }
                Event::Entry { name } => {
                    text += name.len();
                    if let Some(directory) = open.last_mut() {
                        directory.name = name;
                    }
                    None
                }
                Event::Regular { executable, size, offset } => {
                    Some(Node::Regular { executable, contents: Contents { offset, size } })
                }
                Event::Symlink { target } => {
                    text += target.len();
                    Some(Node::Symlink { target })
                }
                Event::Leave => open.pop().map(|directory| Node::Directory { entries: directory.entries }),
            };
            let Some(node) = node else { continue };
            nodes += 1;
            if nodes > max_entries || text > max_text {
                return Err(NarError { offset: reader.offset(), what: NarErrorKind::Entries });
            }
            match open.last_mut() {
                Some(directory) => {
                    directory.entries.insert(std::mem::take(&mut directory.name), node);
                }
                None => root = Some(node),
            }
        }
        // The reader ends without an error only behind a complete root.
        root.ok_or(NarError { offset: reader.offset(), what: NarErrorKind::Truncated { what: "the root" } })
    }

    /// Writes the NAR of the tree; `open` gives the bytes of a file.
    pub fn write<R: Read, W: Write>(
        &self,
        mut open: impl FnMut(Contents) -> io::Result<R>,
        out: W,
    ) -> Result<W, NarWriteError> {
        let mut writer = Writer::new(out);
        let mut stack: Vec<btree_map::Iter<'_, Vec<u8>, Node>> = Vec::new();
        let mut next = Some(self);
        loop {
            match next.take() {
                Some(Node::Regular { executable, contents }) => {
                    writer.regular(*executable, contents.size, open(*contents)?)?;
                }
                Some(Node::Symlink { target }) => writer.symlink(target)?,
                Some(Node::Directory { entries }) => {
                    writer.directory()?;
                    stack.push(entries.iter());
                }
                None => {}
            }
            let Some(directory) = stack.last_mut() else { return writer.finish() };
            match directory.next() {
                Some((name, node)) => {
                    writer.entry(name)?;
                    next = Some(node);
                }
                None => {
                    writer.leave()?;
                    stack.pop();
                }
            }
        }
    }

    /// The node at a path below this one: components separated by `/`; the empty path is this node.
    /// Links are not followed.
    pub fn lookup(&self, path: &[u8]) -> Option<&Node> {
        path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()).try_fold(self, |node, name| {
            match node {
                Node::Directory { entries } => entries.get(name),
                Node::Regular { .. } | Node::Symlink { .. } => None,
            }
        })
    }
}
