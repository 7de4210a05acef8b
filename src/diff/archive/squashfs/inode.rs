//! Inodes and directories of a squashfs image.

use super::super::{MAX_NAME, Stop};
use super::table::{At, Tables};

/// Blocks of one file: with the smallest blocks, 4 GiB.
const MAX_BLOCKS: u64 = 1 << 20;

/// No fragment.
const NONE: u32 = u32::MAX;

/// An inode.
pub(super) struct Inode {
    pub mode: u16,
    /// Numbers in the table of ids.
    pub uid: u16,
    pub gid: u16,
    pub mtime: u32,
    pub number: u32,
    pub links: u32,
    /// Number in the table of extended attributes.
    pub attributes: Option<u32>,
    pub kind: Kind,
}

pub(super) enum Kind {
    Directory { block: u32, within: u16, size: u32 },
    File(File),
    Symlink(Vec<u8>),
    Device { name: &'static str, number: u32 },
    Other(&'static str),
}

/// Where the contents of a file lie.
pub(super) struct File {
    /// Offset of the first block.
    pub start: u64,
    pub size: u64,
    /// The fragment with its end, and where in it.
    pub fragment: Option<(u32, u32)>,
    /// Where the sizes of its blocks stand.
    pub sizes: At,
    /// How many there are.
    pub blocks: u64,
}

impl Kind {
    pub fn name(&self) -> &'static str {
        match self {
            Kind::Directory { .. } => "directory",
            Kind::File(_) => "file",
            Kind::Symlink(_) => "symbolic link",
            Kind::Device { name, .. } | Kind::Other(name) => name,
        }
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

impl Inode {
    pub fn read(tables: &Tables<'_>, mut at: At, block_size: u64) -> Result<Inode, Stop> {
        let offset = at.block;
        let broken = |what| Stop::Broken { offset, what };
        let head = tables.array::<16>(&mut at)?;
        let kind = u16_at(&head, 0);
        let file = |start, size: u64, fragment: (u32, u32), sizes| {
            let fragment = (fragment.0 != NONE).then_some(fragment);
            let blocks = if fragment.is_some() { size / block_size } else { size.div_ceil(block_size) };
            if blocks > MAX_BLOCKS {
                return Err(Stop::Cap { what: "blocks of one file", cap: MAX_BLOCKS });
            }
            Ok(Kind::File(File { start, size, fragment, sizes, blocks }))
        };
        let attributes = |number: u32| (number != NONE).then_some(number);
        let (links, attributes, kind) = match kind {
            1 => {
                let b = tables.array::<16>(&mut at)?;
                let size = u32::from(u16_at(&b, 8));
                (u32_at(&b, 4), None, Kind::Directory { block: u32_at(&b, 0), within: u16_at(&b, 10), size })
            }
            8 => {
                let b = tables.array::<24>(&mut at)?;
                let kind =
                    Kind::Directory { block: u32_at(&b, 8), within: u16_at(&b, 18), size: u32_at(&b, 4) };
                (u32_at(&b, 0), attributes(u32_at(&b, 20)), kind)
            }
            2 => {
                let b = tables.array::<16>(&mut at)?;
                let fragment = (u32_at(&b, 4), u32_at(&b, 8));
                (1, None, file(u64::from(u32_at(&b, 0)), u64::from(u32_at(&b, 12)), fragment, at)?)
            }
            9 => {
                let b = tables.array::<40>(&mut at)?;
                let kind = file(u64_at(&b, 0), u64_at(&b, 8), (u32_at(&b, 28), u32_at(&b, 32)), at)?;
                (u32_at(&b, 24), attributes(u32_at(&b, 36)), kind)
            }
            3 | 10 => {
                let b = tables.array::<8>(&mut at)?;
                let len = u64::from(u32_at(&b, 4));
                if len > MAX_NAME {
                    return Err(broken("a link's target is too long"));
                }
                let target = tables.read(&mut at, len as usize)?;
                let number = if kind == 10 { u32::from_le_bytes(tables.array(&mut at)?) } else { NONE };
                (u32_at(&b, 0), attributes(number), Kind::Symlink(target))
            }
            4 | 5 | 11 | 12 => {
                let b = tables.array::<8>(&mut at)?;
                let number = if kind > 8 { u32::from_le_bytes(tables.array(&mut at)?) } else { NONE };
                let name = if matches!(kind, 4 | 11) { "block device" } else { "character device" };
                (u32_at(&b, 0), attributes(number), Kind::Device { name, number: u32_at(&b, 4) })
            }
            6 | 7 | 13 | 14 => {
                let links = u32::from_le_bytes(tables.array(&mut at)?);
                let number = if kind > 8 { u32::from_le_bytes(tables.array(&mut at)?) } else { NONE };
                (
                    links,
                    attributes(number),
                    Kind::Other(if matches!(kind, 6 | 13) { "named pipe" } else { "socket" }),
                )
            }
            _ => {
                return Err(broken("an inode of a kind that there is not"));
            }
        };
        Ok(Inode {
            mode: u16_at(&head, 2),
            uid: u16_at(&head, 4),
            gid: u16_at(&head, 6),
            mtime: u32_at(&head, 8),
            number: u32_at(&head, 12),
            links,
            attributes,
            kind,
        })
    }
}

/// An entry of a directory: its name, and where its inode is: the block from the beginning of the inodes, and the place
/// in it.
pub(super) type Entry = (Vec<u8>, u32, u16);

/// Gives the entries of a directory to `each`.
pub(super) fn entries(
    tables: &Tables<'_>,
    mut at: At,
    size: u32,
    each: &mut dyn FnMut(Entry) -> Result<(), Stop>,
) -> Result<(), Stop> {
    let offset = at.block;
    let broken = |what| Stop::Broken { offset, what };
    // The size counts `.` and `..`, which are not there.
    let mut left = u64::from(size).saturating_sub(3);
    while left > 0 {
        let head = tables.array::<12>(&mut at)?;
        left = left.checked_sub(12).ok_or_else(|| broken("a directory ends inside an entry"))?;
        let (count, block) = (u32_at(&head, 0), u32_at(&head, 4));
        if count > 255 {
            return Err(broken("too many entries behind one header of a directory"));
        }
        for _ in 0..=count {
            let entry = tables.array::<8>(&mut at)?;
            let len = u64::from(u16_at(&entry, 6)) + 1;
            left = left.checked_sub(8 + len).ok_or_else(|| broken("a directory ends inside an entry"))?;
            if len > 256 {
                return Err(broken("a name is too long"));
            }
            let name = tables.read(&mut at, len as usize)?;
            if name.contains(&b'/') || matches!(name.as_slice(), b"." | b"..") {
                return Err(broken("a name that is none"));
            }
            each((name, block, u16_at(&entry, 0)))?;
        }
    }
    Ok(())
}
