//! The structures on the disk: superblock, inode, directory block. All numbers are little-endian.

use super::{BLOCK, Meta};

/// Where the superblock lies.
pub const SUPER_OFFSET: u64 = 1024;
/// Bytes of the superblock.
pub const SUPER_SIZE: u64 = 128;
/// Bytes of an inode in its extended form.
pub const INODE_SIZE: u64 = 64;
/// Bytes of a directory entry without its name.
pub const DIRENT_SIZE: usize = 12;
/// Inode numbers count slots of this many bytes.
pub const SLOT: u64 = 32;

const MAGIC: u32 = 0xe0f5_e1e2;
/// Compatible feature: the time in an inode is that of the last change of contents.
const COMPAT_MTIME: u32 = 2;

/// A file type, in both spellings: mode bits and the byte in a directory entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileType {
    Regular,
    Directory,
    Symlink,
}

impl FileType {
    fn mode_bits(self) -> u16 {
        match self {
            FileType::Regular => 0o100_000,
            FileType::Directory => 0o040_000,
            FileType::Symlink => 0o120_000,
        }
    }

    fn dirent_byte(self) -> u8 {
        match self {
            FileType::Regular => 1,
            FileType::Directory => 2,
            FileType::Symlink => 7,
        }
    }
}

/// How an inode's data is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataLayout {
    /// In consecutive blocks.
    Plain,
    /// Whole blocks as in `Plain`, the last partial one behind the inode.
    Inline,
}

/// What the superblock says.
pub struct Superblock {
    /// Number of the root directory's inode.
    pub root: u16,
    /// Number of inodes.
    pub inodes: u64,
    /// Blocks of the image.
    pub blocks: u32,
}

impl Superblock {
    /// The superblock as stored. No checksum, no UUID, metadata from block 0.
    pub fn encode(&self) -> [u8; SUPER_SIZE as usize] {
        let mut out = [0; SUPER_SIZE as usize];
        put(&mut out, 0, &MAGIC.to_le_bytes());
        put(&mut out, 8, &COMPAT_MTIME.to_le_bytes());
        out[12] = BLOCK.trailing_zeros() as u8;
        put(&mut out, 14, &self.root.to_le_bytes());
        put(&mut out, 16, &self.inodes.to_le_bytes());
        put(&mut out, 36, &self.blocks.to_le_bytes());
        out
    }
}

/// What an inode says.
pub struct Inode {
    /// Its type.
    pub file_type: FileType,
    /// Mode, owner, time.
    pub meta: Meta,
    /// How the data is stored.
    pub layout: DataLayout,
    /// First whole block of the data.
    pub block: u32,
    /// Bytes of data.
    pub size: u64,
    /// Number of names: 1, or 2 and the number of subdirectories.
    pub links: u32,
    /// A number of its own, from 1.
    pub serial: u32,
}

impl Inode {
    /// The inode as stored, in its extended form.
    pub fn encode(&self) -> [u8; INODE_SIZE as usize] {
        let mut out = [0; INODE_SIZE as usize];
        let layout = match self.layout {
            DataLayout::Plain => 0u16,
            DataLayout::Inline => 2,
        };
        put(&mut out, 0, &(layout << 1 | 1).to_le_bytes());
        put(&mut out, 4, &(self.file_type.mode_bits() | self.meta.mode & 0o7777).to_le_bytes());
        put(&mut out, 8, &self.size.to_le_bytes());
        put(&mut out, 16, &self.block.to_le_bytes());
        put(&mut out, 20, &self.serial.to_le_bytes());
        put(&mut out, 24, &self.meta.uid.to_le_bytes());
        put(&mut out, 28, &self.meta.gid.to_le_bytes());
        put(&mut out, 32, &self.meta.mtime.to_le_bytes());
        put(&mut out, 44, &self.links.to_le_bytes());
        out
    }
}

/// One entry of a directory.
pub struct Dirent<'a> {
    pub name: &'a [u8],
    pub inode: u64,
    pub file_type: FileType,
}

/// How many of the entries with these names go into the next block of a directory, and the bytes they take.
pub fn block_of_names<'a>(names: impl Iterator<Item = &'a [u8]>) -> (usize, usize) {
    let (mut count, mut bytes) = (0, 0);
    for name in names {
        let with = bytes + DIRENT_SIZE + name.len();
        if with > BLOCK as usize {
            break;
        }
        (count, bytes) = (count + 1, with);
    }
    (count, bytes)
}

/// Writes a directory's data: blocks that each hold a table of entries, then their names; every block but the last
/// is filled up with zeros. `entries` are in byte order of their names, `.` and `..` among them.
pub fn directory_data(entries: &[Dirent<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = entries;
    while !rest.is_empty() {
        out.resize(out.len().next_multiple_of(BLOCK as usize), 0);
        let (count, _) = block_of_names(rest.iter().map(|e| e.name));
        let (block, after) = rest.split_at(count);
        let mut name_offset = count * DIRENT_SIZE;
        for entry in block {
            out.extend_from_slice(&entry.inode.to_le_bytes());
            out.extend_from_slice(&(name_offset as u16).to_le_bytes());
            out.extend_from_slice(&[entry.file_type.dirent_byte(), 0]);
            name_offset += entry.name.len();
        }
        for entry in block {
            out.extend_from_slice(entry.name);
        }
        rest = after;
    }
    out
}

fn put(out: &mut [u8], offset: usize, bytes: &[u8]) {
    out[offset..offset + bytes.len()].copy_from_slice(bytes);
}
