//! The tar stream on the output drive, as trees whose files' bytes stay on the drive. Hostile.

use std::collections::{BTreeMap, btree_map::Entry as Slot};

use crate::{
    machine::Region,
    nix::{
        nar::{Contents, MAX_DEPTH, Node},
        text::shown,
    },
    source::tar::{Caps, Entry, Kind, Reader, TarError},
};

/// Bytes of a tar header; the contents of a file follow it.
const HEADER: u64 = 512;
/// Entries of all outputs together: twice the largest source trees; each takes some 200 bytes of memory.
pub const MAX_ENTRIES: u64 = 1_000_000;
/// Bytes of all names and link targets together.
const MAX_TEXT: usize = 256 << 20;

/// What is wrong with the tar stream; names are escaped and shortened, offsets count from the start of the stream.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// The archive itself.
    #[error(transparent)]
    Tar(#[from] TarError),
    /// A file that no store object holds.
    #[error("{path} is a {kind}")]
    Special {
        /// Its path, relative to the store.
        path: String,
        /// What it is.
        kind: &'static str,
    },
    /// With hard links as files of their own, as store objects have them, the outputs are larger than the drive.
    #[error("{path} and what is before it are larger than the drive, hard links counted as files")]
    Expanded {
        /// Its path, relative to the store.
        path: String,
    },
    /// A member that contradicts the ones before it.
    #[error("the member {path} at byte {offset} {why}")]
    Member {
        /// Its path, relative to the store.
        path: String,
        /// Offset of its header.
        offset: u64,
        /// What is wrong, as a predicate.
        why: &'static str,
    },
}

impl TreeError {
    /// Where in the stream, when that is known.
    pub fn offset(&self) -> Option<u64> {
        match self {
            TreeError::Tar(
                TarError::Read { offset, .. }
                | TarError::Truncated { offset, .. }
                | TarError::Malformed { offset, .. }
                | TarError::Escape { offset, .. }
                | TarError::Unsupported { offset, .. }
                | TarError::Cap { offset, .. },
            )
            | TreeError::Member { offset, .. } => Some(*offset),
            TreeError::Special { .. } | TreeError::Expanded { .. } => None,
        }
    }
}

/// One output as it came out of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// Its files; offsets count from the start of the stream.
    pub node: Node,
    /// Permission bits of its top.
    pub mode: u32,
}

/// Reads a tar stream: the trees in it by the name of their top. `room` is how many bytes their files may have together,
/// with every hard link counted as the file it becomes.
pub fn read(stream: &Region, room: u64) -> Result<BTreeMap<Vec<u8>, Tree>, TreeError> {
    read_capped(stream, room, MAX_ENTRIES)
}

fn read_capped(stream: &Region, room: u64, entries: u64) -> Result<BTreeMap<Vec<u8>, Tree>, TreeError> {
    let caps = Caps { entries, contents: stream.len() };
    let mut reader = Reader::new(stream.reader(0, stream.len()), caps);
    let mut trees = Trees { room, ..Trees::default() };
    while let Some(entry) = reader.next_entry()? {
        trees.add(entry)?;
    }
    Ok(trees.by_name)
}

#[derive(Default)]
struct Trees {
    by_name: BTreeMap<Vec<u8>, Tree>,
    text: usize,
    /// Bytes of files that may still come; hard links count, since each becomes a file.
    room: u64,
}

impl Trees {
    fn add(&mut self, entry: Entry) -> Result<(), TreeError> {
        let wrong = |why| TreeError::Member { path: shown(&entry.path), offset: entry.offset, why };
        let special = |kind| TreeError::Special { path: shown(&entry.path), kind };
        let node = match &entry.kind {
            Kind::Directory => Node::Directory { entries: BTreeMap::new() },
            Kind::Regular => Node::Regular {
                executable: entry.is_executable(),
                contents: Contents { offset: entry.offset + HEADER, size: entry.size },
            },
            Kind::Symlink(target) => {
                self.text += target.len();
                Node::Symlink { target: target.clone() }
            }
            Kind::HardLink(target) => match self.find(target) {
                Some(Node::Directory { .. }) | None => {
                    return Err(wrong("is a hard link to something that is no file before it"));
                }
                Some(file) => file.clone(),
            },
            Kind::CharacterDevice => return Err(special("character device")),
            Kind::BlockDevice => return Err(special("block device")),
            Kind::Fifo => return Err(special("named pipe")),
        };
        if let Node::Regular { contents, .. } = &node {
            let left = self.room.checked_sub(contents.size);
            self.room = left.ok_or_else(|| TreeError::Expanded { path: shown(&entry.path) })?;
        }
        self.text += entry.path.len();
        if self.text > MAX_TEXT {
            return Err(wrong("makes the names too long altogether"));
        }
        let mut names = entry.path.split(|byte| *byte == b'/');
        let top = names.next().filter(|name| !name.is_empty()).ok_or_else(|| wrong("has no name"))?;
        let names: Vec<&[u8]> = names.collect();
        if names.len() >= MAX_DEPTH {
            return Err(wrong("is nested too deeply for a NAR"));
        }
        let Some((last, parents)) = names.split_last() else {
            return match self.by_name.entry(top.to_vec()) {
                Slot::Vacant(slot) => {
                    slot.insert(Tree { node, mode: entry.mode });
                    Ok(())
                }
                Slot::Occupied(_) => Err(wrong("is there twice")),
            };
        };
        let mut directory = self.by_name.get_mut(top).map(|tree| &mut tree.node);
        for name in parents {
            directory = match directory {
                Some(Node::Directory { entries }) => entries.get_mut(*name),
                _ => None,
            };
        }
        let Some(Node::Directory { entries }) = directory else {
            return Err(wrong("lies in something that is no directory before it"));
        };
        match entries.entry(last.to_vec()) {
            Slot::Vacant(slot) => {
                slot.insert(node);
                Ok(())
            }
            Slot::Occupied(_) => Err(wrong("is there twice")),
        }
    }

    fn find(&self, path: &[u8]) -> Option<&Node> {
        let top = path.split(|byte| *byte == b'/').next()?;
        self.by_name.get(top)?.node.lookup(&path[top.len()..])
    }
}

#[cfg(test)]
pub(super) mod tests;
