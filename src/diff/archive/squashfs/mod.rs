//! squashfs images, version 4.0 (`Documentation/filesystems/squashfs.rst` of Linux, `squashfs_fs.h` of squashfs-tools).
//!
//! A reader of our own: on 33 of 3000 mutated images the crate `backhand` 0.18 asked for up to 814 MB at once, its later
//! versions want a newer Rust, and none tells where a field stands. Blocks packed by gzip, xz, lz4 and zstd are read;
//! extended attributes are compared as the bytes they are stored in.

mod inode;
mod packing;
mod table;

use std::{
    cell::RefCell,
    collections::{HashSet, VecDeque},
    rc::Rc,
};

use self::{
    inode::{Inode, Kind},
    packing::Compressor,
    table::{At, Tables},
};
use super::{
    Archive, MAX_NAME, MAX_PATHS, Member, Stop, array, bytes, compare as comparing,
    field::Field,
    stored::{Blocks, Stored},
};
use crate::diff::{
    Content, Difference, Limits, Pair, ReadError, Value,
    limits::Effort,
    unpack::{self, Packing, Unpacked},
};

/// Length of the superblock.
const SUPERBLOCK: usize = 96;
/// No such table.
const ABSENT: u64 = u64::MAX;
/// Says that options of the compressor follow the superblock.
const OPTIONS: u16 = 0x400;
/// In the size of a block of data: it is not compressed.
const PLAIN: u32 = 1 << 24;
/// Blocks are from 4 KiB to 1 MiB.
const BLOCK_LOG: std::ops::RangeInclusive<u16> = 12..=20;

/// Whether a file that begins with `head` claims to be an image.
pub(in crate::diff) fn is_squashfs(head: &[u8]) -> bool {
    head.starts_with(b"hsqs")
}

/// Compares two images.
pub(in crate::diff) fn compare(
    files: Pair<&dyn Content>,
    difference: &mut Difference,
    effort: &Effort<'_>,
) -> Result<(), ReadError> {
    comparing::compare("squashfs", parse, files, difference, effort)
}

/// What the superblock says.
struct Image<'a> {
    content: &'a dyn Content,
    compressor: Compressor,
    block_size: u64,
    inodes: u64,
    directories: u64,
    fragments: u64,
    fragment_count: u64,
    ids: u64,
    id_count: u64,
    tables: Tables<'a>,
    /// The fragment that was unpacked last.
    fragment: RefCell<Option<(u64, Rc<Vec<u8>>)>>,
}

fn parse<'a>(content: &'a dyn Content, limits: &Limits) -> Result<Archive<'a>, Stop> {
    let head = array::<SUPERBLOCK>(content, 0)?;
    let short = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);
    let word = |at: usize| u64::from(short(at)) | u64::from(short(at + 2)) << 16;
    let long = |at: usize| word(at) | word(at + 4) << 32;
    let broken = |offset, what| Err(Stop::Broken { offset, what });
    if short(28) != 4 {
        return broken(28, "a version that is not 4");
    }
    let block_size = word(12);
    if !BLOCK_LOG.contains(&short(22)) || block_size != 1 << short(22) {
        return broken(12, "a size of blocks that cannot be");
    }
    let compressor = Compressor(short(20));
    let used = long(40);
    let derived = |name, value, raw| Field::derived(name, value, raw);
    let mut fields = vec![
        derived("inodes", Value::Decimal(word(4)), (4, 4)),
        Field::new("time of creation", Value::Time(word(8) as i64), (8, 4)),
        Field::new("block size", Value::Decimal(block_size), (12, 4)),
        derived("fragments", Value::Decimal(word(16)), (16, 4)),
        Field::new("compressor", Value::Named(u64::from(compressor.0), compressor.name()), (20, 2)),
        Field::new("flags", Value::Number(u64::from(short(24))), (24, 2)),
        derived("ids", Value::Decimal(u64::from(short(26))), (26, 2)),
        Field::new("version", Value::Number(word(28)), (28, 4)),
        derived("root inode", Value::Number(long(32)), (32, 8)),
        derived("bytes used", Value::Decimal(used), (40, 8)),
        derived("places of the tables", Value::Hex(Some(head[48..].to_vec())), (48, 48)),
    ];
    if short(24) & OPTIONS != 0 {
        let len = u64::from(u16::from_le_bytes(array(content, SUPERBLOCK as u64)?) & 0x7fff).min(64);
        let options = bytes(content, SUPERBLOCK as u64 + 2, len)?;
        fields.push(Field::new("options of the compressor", Value::Hex(Some(options)), (96, 2 + len)));
    }
    let image = Rc::new(Image {
        content,
        compressor,
        block_size,
        inodes: long(64),
        directories: long(72),
        fragments: long(80),
        fragment_count: word(16),
        ids: long(48),
        id_count: u64::from(short(26)),
        tables: Tables::new(content, compressor),
        fragment: RefCell::default(),
    });
    let root = long(32);
    let members = image.members((root >> 16, (root & 0xffff) as usize), limits)?;
    // What extended attributes say lies between two places of the superblock's; everything else has been read.
    let attributes = match long(56) {
        ABSENT => (used, 0),
        list => {
            let start = u64::from_le_bytes(array(content, list)?);
            (start.min(list), list.saturating_sub(start))
        }
    };
    let behind = attributes.0.saturating_add(attributes.1);
    let tables = vec![(0, attributes.0.min(used)), (behind, used.saturating_sub(behind))];
    let of = image.clone();
    let describe = Box::new(move |member: &Member| match of.describe(member) {
        Err(Stop::Read { source, .. }) => Err(source),
        Err(Stop::Broken { what, .. } | Stop::Cap { what, .. }) => {
            Ok(vec![Field::new("inode", Value::Text(Some(what.as_bytes().to_vec())), (0, 0))])
        }
        Ok(fields) => Ok(fields),
    });
    let stored: Option<Box<dyn Stored + 'a>> = Some(Box::new(image));
    Ok(Archive { fields, members, tables, describe, stored, ..Archive::default() })
}

impl Image<'_> {
    fn inode(&self, (block, within): (u64, usize)) -> Result<Inode, Stop> {
        let block = self.inodes.checked_add(block);
        let block = block.ok_or(Stop::Broken { offset: 32, what: "an inode behind the end of the image" })?;
        Inode::read(&self.tables, At { block, within }, self.block_size)
    }

    /// Everything in the image, in the order in which contents lie in it.
    fn members(&self, root: (u64, usize), limits: &Limits) -> Result<Vec<Member>, Stop> {
        let mut members: Vec<((u64, u32), Member)> = Vec::new();
        let (mut seen, mut names) = (HashSet::new(), 0);
        let mut todo = VecDeque::from([(Vec::new(), root)]);
        while let Some((path, place)) = todo.pop_front() {
            let inode = self.inode(place)?;
            let mut order = (0, 0);
            let mut size = 0;
            match &inode.kind {
                Kind::Directory { block, within, size } => {
                    if !seen.insert(place) {
                        return Err(Stop::Broken { offset: self.inodes, what: "a directory in two places" });
                    }
                    let at = self.directories.checked_add(u64::from(*block));
                    let at = at.ok_or(Stop::Broken { offset: 72, what: "a directory behind the end" })?;
                    let at = At { block: at, within: usize::from(*within) };
                    inode::entries(&self.tables, at, *size, &mut |(name, block, within)| {
                        let below = crate::diff::join(&path, &name);
                        names += below.len() as u64;
                        if below.len() as u64 > MAX_NAME || names > MAX_PATHS {
                            return Err(Stop::Cap { what: "bytes of names", cap: MAX_PATHS });
                        }
                        if (members.len() + todo.len()) as u64 >= limits.members {
                            return Err(Stop::Cap { what: "members", cap: limits.members });
                        }
                        todo.push_back((below, (u64::from(block), usize::from(within))));
                        Ok(())
                    })?;
                }
                Kind::File(file) => {
                    size = file.size;
                    order = match file.fragment {
                        Some((number, within)) if file.blocks == 0 => (self.fragment(number)?.0, within),
                        _ => (file.start, 0),
                    };
                }
                _ => {}
            }
            let name = if path.is_empty() { b".".to_vec() } else { path };
            let headers = [(place.0 << 16 | place.1 as u64, 0), (0, 0), (0, 0)];
            let (fields, data) = (Vec::new(), (0, 0));
            let (what, packing) = (inode.kind.name(), Packing::None);
            members.push((order, Member { name, what, fields, headers, data, packing, size, index: false }));
        }
        members.sort_by(|x, y| (x.0, &x.1.name).cmp(&(y.0, &y.1.name)));
        Ok(members.into_iter().map(|(_, member)| member).collect())
    }

    /// The inode of a member, whose place stands where others have the offset of a header.
    fn inode_of(&self, member: &Member) -> Result<Inode, Stop> {
        let place = member.headers[0].0;
        self.inode((place >> 16, (place & 0xffff) as usize))
    }

    fn id(&self, number: u16) -> Result<u64, Stop> {
        let number = u64::from(number);
        if number >= self.id_count {
            return Err(Stop::Broken { offset: self.ids, what: "an owner that is not in the table" });
        }
        Ok(u64::from(u32::from_le_bytes(self.tables.entry(self.ids, number)?)))
    }

    /// Offset and size word of a fragment.
    fn fragment(&self, number: u32) -> Result<(u64, u32), Stop> {
        let number = u64::from(number);
        if number >= self.fragment_count {
            return Err(Stop::Broken { offset: self.fragments, what: "a fragment that is not in the table" });
        }
        let entry: [u8; 16] = self.tables.entry(self.fragments, number)?;
        let [a, b, c, d, e, f, g, h, i, j, k, l, ..] = entry;
        Ok((u64::from_le_bytes([a, b, c, d, e, f, g, h]), u32::from_le_bytes([i, j, k, l])))
    }

    fn describe(&self, member: &Member) -> Result<Vec<Field>, Stop> {
        let inode = self.inode_of(member)?;
        let here = (0, 0);
        let mut fields = vec![
            Field::new("mode", Value::Octal(u64::from(inode.mode)), here),
            Field::new("uid", Value::Decimal(self.id(inode.uid)?), here),
            Field::new("gid", Value::Decimal(self.id(inode.gid)?), here),
            Field::new("mtime", Value::Time(i64::from(inode.mtime)), here),
            Field::derived("inode", Value::Decimal(u64::from(inode.number)), here),
            Field::derived("links", Value::Decimal(u64::from(inode.links)), here),
        ];
        if let Some(number) = inode.attributes {
            fields.push(Field::new("extended attributes", Value::Decimal(u64::from(number)), here));
        }
        match inode.kind {
            Kind::Symlink(target) => fields.push(Field::new("link target", Value::Text(Some(target)), here)),
            Kind::Device { number, .. } => {
                fields.push(Field::new("device", Value::Number(u64::from(number)), here));
            }
            Kind::File(file) => fields.push(Field::derived("size", Value::Decimal(file.size), here)),
            _ => {}
        }
        Ok(fields)
    }

    /// A block of data, unpacked to at most the size of blocks.
    fn block(&self, (offset, word): (u64, u32)) -> Result<Vec<u8>, Stop> {
        let len = u64::from(word & (PLAIN - 1));
        if len > self.block_size {
            return Err(Stop::Broken { offset, what: "a block that is larger than blocks are" });
        }
        let packed = bytes(self.content, offset, len)?;
        if word & PLAIN != 0 {
            Ok(packed)
        } else {
            self.compressor.unpack(&packed, self.block_size as usize, offset)
        }
    }
}

impl Stored for Rc<Image<'_>> {
    fn blocks(&self, member: &Member) -> Result<Blocks, Stop> {
        let mut blocks = Blocks { packing: (self.compressor.0, self.block_size), ..Blocks::default() };
        let Kind::File(file) = self.inode_of(member)?.kind else { return Ok(blocks) };
        blocks.size = file.size;
        let sizes = self.tables.read(&mut file.sizes.clone(), file.blocks as usize * 4)?;
        let mut at = file.start;
        for word in sizes.chunks_exact(4) {
            let word = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
            blocks.list.push((at, u64::from(word & (PLAIN - 1)), word));
            at = at.saturating_add(u64::from(word & (PLAIN - 1)));
        }
        if let Some((number, within)) = file.fragment {
            let (offset, word) = self.fragment(number)?;
            blocks.list.push((offset, u64::from(word & (PLAIN - 1)), word));
            blocks.within = Some(within);
        }
        Ok(blocks)
    }

    fn unpack<'e>(&self, blocks: &Blocks, effort: &'e Effort<'_>) -> Result<Unpacked<'e>, Stop> {
        let mut unpacked = unpack::nothing(effort);
        let whole = blocks.list.len() - usize::from(blocks.within.is_some());
        let zeros = vec![0; self.block_size as usize];
        let left = |unpacked: &Unpacked<'_>| blocks.size - unpacked.bytes().len() as u64;
        for (offset, _, word) in &blocks.list[..whole] {
            let len = left(&unpacked).min(self.block_size) as usize;
            let block;
            let data = match word {
                // A hole.
                0 => &zeros[..],
                word => {
                    block = self.block((*offset, *word))?;
                    &block[..]
                }
            };
            let data = data.get(..len);
            unpacked.push(data.ok_or(Stop::Broken { offset: *offset, what: "a block gives too little" })?)?;
        }
        if let (Some(within), Some((offset, _, word))) = (blocks.within, blocks.list.last()) {
            let known =
                self.fragment.borrow().as_ref().filter(|(at, _)| at == offset).map(|(_, data)| data.clone());
            let data = match known {
                Some(data) => data,
                None => {
                    let data = Rc::new(self.block((*offset, *word))?);
                    *self.fragment.borrow_mut() = Some((*offset, data.clone()));
                    data
                }
            };
            let end = u64::from(within) + left(&unpacked);
            let data = data.get(within as usize..end as usize);
            unpacked
                .push(data.ok_or(Stop::Broken { offset: *offset, what: "a fragment gives too little" })?)?;
        }
        Ok(unpacked)
    }
}
