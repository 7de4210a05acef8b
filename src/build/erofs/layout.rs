//! Where everything in an image lies: inodes in one area at its start, whole blocks of data behind it.

use super::{
    BLOCK, ErofsError, Image, Kind,
    disk::{DataLayout, FileType, INODE_SIZE, SLOT, SUPER_OFFSET, SUPER_SIZE, block_of_names},
};
use crate::nix::text::shown;

/// A tail of at most this many bytes goes behind its inode even when that wastes the rest of a metadata block; a
/// longer one only when it fits into what is left.
const SMALL_TAIL: u64 = 1024;

/// Where one entry lies.
#[derive(Clone, Copy)]
pub struct Place {
    /// Index of the entry in the image.
    pub entry: usize,
    /// Byte offset of the inode.
    pub offset: u64,
    /// Bytes of data.
    pub size: u64,
    /// How the data is stored.
    pub layout: DataLayout,
    /// First whole block of the data; 0 when there is none.
    pub block: u32,
}

impl Place {
    /// The number of the inode: its offset in slots.
    pub fn inode(&self) -> u64 {
        self.offset / SLOT
    }

    /// Bytes of data behind the inode.
    pub fn tail(&self) -> u64 {
        match self.layout {
            DataLayout::Plain => 0,
            DataLayout::Inline => self.size % BLOCK,
        }
    }
}

/// Where everything lies.
pub struct Layout {
    /// The places in the order of their inodes; the root's is first.
    pub places: Vec<Place>,
    /// Index into `places` by index of the entry.
    pub by_entry: Vec<usize>,
    /// Children of directories in byte order of their names, by index of the entry.
    pub children: Vec<Vec<usize>>,
    /// First byte of the data area.
    pub data_start: u64,
    /// Length of the image.
    pub len: u64,
}

/// Places every entry.
pub fn lay_out(image: &Image) -> Result<Layout, ErofsError> {
    let children = sorted_children(image)?;
    let mut places = Vec::with_capacity(image.entries.len());
    let mut by_entry = vec![0; image.entries.len()];
    let mut end = SUPER_OFFSET + SUPER_SIZE;
    let mut left = vec![0usize];
    while let Some(entry) = left.pop() {
        let size = data_size(image, entry, &children[entry]);
        let tail = size % BLOCK;
        let mut offset = end.next_multiple_of(INODE_SIZE);
        let room = BLOCK - offset % BLOCK;
        let fits = INODE_SIZE + tail <= room;
        let layout =
            if tail != 0 && (fits || tail <= SMALL_TAIL) { DataLayout::Inline } else { DataLayout::Plain };
        if layout == DataLayout::Inline && !fits {
            offset += room;
        }
        let place = Place { entry, offset, size, layout, block: 0 };
        end = offset + INODE_SIZE + place.tail();
        by_entry[entry] = places.len();
        places.push(place);
        left.extend(children[entry].iter().rev());
    }

    let data_start = end.next_multiple_of(BLOCK);
    let mut len = data_start;
    for place in &mut places {
        let blocks = place.size - place.tail();
        if blocks > 0 {
            place.block = u32::try_from(len / BLOCK).map_err(|_| ErofsError::TooLarge(len))?;
            len = len.checked_add(blocks).ok_or(ErofsError::TooLarge(blocks))?.next_multiple_of(BLOCK);
        }
    }
    if len / BLOCK > u64::from(u32::MAX) {
        return Err(ErofsError::TooLarge(len));
    }
    Ok(Layout { places, by_entry, children, data_start, len })
}

fn sorted_children(image: &Image) -> Result<Vec<Vec<usize>>, ErofsError> {
    let name = |index: usize| image.entries[index].name.as_slice();
    image
        .entries
        .iter()
        .map(|entry| {
            let Kind::Directory { children, .. } = &entry.kind else { return Ok(Vec::new()) };
            let mut children = children.clone();
            children.sort_by(|a, b| name(*a).cmp(name(*b)));
            match children.windows(2).find(|pair| name(pair[0]) == name(pair[1])) {
                Some(pair) => Err(ErofsError::Duplicate(shown(name(pair[0])))),
                None => Ok(children),
            }
        })
        .collect()
}

fn data_size(image: &Image, entry: usize, children: &[usize]) -> u64 {
    match &image.entries[entry].kind {
        Kind::File(data) => data.len(),
        Kind::Symlink(target) => target.len() as u64,
        Kind::Directory { .. } => {
            let names = names_with_dots(image, children);
            let mut rest = names.as_slice();
            let mut size = 0;
            while !rest.is_empty() {
                let (count, bytes) = block_of_names(rest.iter().copied());
                rest = &rest[count..];
                size += if rest.is_empty() { bytes as u64 } else { BLOCK };
            }
            size
        }
    }
}

/// The names a directory holds, `.` and `..` in their places in byte order.
fn names_with_dots<'a>(image: &'a Image, children: &[usize]) -> Vec<&'a [u8]> {
    let mut names: Vec<&[u8]> = children.iter().map(|c| image.entries[*c].name.as_slice()).collect();
    names.extend([b".".as_slice(), b"..".as_slice()]);
    names.sort_unstable();
    names
}

/// The type of an entry.
pub fn file_type(kind: &Kind) -> FileType {
    match kind {
        Kind::Directory { .. } => FileType::Directory,
        Kind::File(_) => FileType::Regular,
        Kind::Symlink(_) => FileType::Symlink,
    }
}
