//! Writes an image front to back: superblock, inodes with the tails of their data, whole blocks of data.

use std::io::Write;

use super::{
    BLOCK, Data, Entry, ErofsError, Image, Kind,
    disk::{Dirent, FileType, Inode, SUPER_OFFSET, Superblock, directory_data},
    layout::{Layout, Place, file_type, lay_out},
};
use crate::nix::text::shown;

/// Bytes copied at a time.
const CHUNK: usize = 256 << 10;

/// Writes `image` to `out` and gives its length in bytes, a multiple of [`BLOCK`].
pub fn write(image: &Image, out: &mut dyn Write) -> Result<u64, ErofsError> {
    let layout = lay_out(image)?;
    let mut writer = Writer { out, position: 0, buffer: vec![0; CHUNK] };
    writer.pad_to(SUPER_OFFSET)?;
    let superblock = Superblock {
        // The root's inode directly follows the superblock.
        root: layout.places[0].inode() as u16,
        inodes: layout.places.len() as u64,
        blocks: (layout.len / BLOCK) as u32,
    };
    writer.put(&superblock.encode())?;
    for (serial, place) in layout.places.iter().enumerate() {
        writer.pad_to(place.offset)?;
        writer.put(&inode(image, &layout, place, serial).encode())?;
        let whole = place.size - place.tail();
        writer.data(image, &layout, place, whole, place.tail())?;
    }
    writer.pad_to(layout.data_start)?;
    for place in &layout.places {
        writer.pad_to(writer.position.next_multiple_of(BLOCK))?;
        writer.data(image, &layout, place, 0, place.size - place.tail())?;
    }
    writer.pad_to(layout.len)?;
    Ok(layout.len)
}

fn inode(image: &Image, layout: &Layout, place: &Place, serial: usize) -> Inode {
    let entry = &image.entries[place.entry];
    let subdirectories = layout.children[place.entry]
        .iter()
        .filter(|child| matches!(image.entries[**child].kind, Kind::Directory { .. }))
        .count() as u32;
    let file_type = file_type(&entry.kind);
    Inode {
        file_type,
        meta: entry.meta,
        layout: place.layout,
        block: place.block,
        size: place.size,
        links: if file_type == FileType::Directory { 2 + subdirectories } else { 1 },
        serial: serial as u32 + 1,
    }
}

fn directory(image: &Image, layout: &Layout, entry: usize, parent: usize) -> Vec<u8> {
    let inode = |entry: usize| layout.places[layout.by_entry[entry]].inode();
    let dot = |name, entry| Dirent { name, inode: inode(entry), file_type: FileType::Directory };
    let mut entries = vec![dot(b".".as_slice(), entry), dot(b"..".as_slice(), parent)];
    entries.extend(layout.children[entry].iter().map(|child| {
        let Entry { name, kind, .. } = &image.entries[*child];
        Dirent { name, inode: inode(*child), file_type: file_type(kind) }
    }));
    entries.sort_by(|a, b| a.name.cmp(b.name));
    directory_data(&entries)
}

struct Writer<'a> {
    out: &'a mut dyn Write,
    position: u64,
    buffer: Vec<u8>,
}

impl Writer<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), ErofsError> {
        self.out.write_all(bytes).map_err(ErofsError::Write)?;
        self.position += bytes.len() as u64;
        Ok(())
    }

    fn pad_to(&mut self, position: u64) -> Result<(), ErofsError> {
        const ZEROS: [u8; BLOCK as usize] = [0; BLOCK as usize];
        while self.position < position {
            let n = (position - self.position).min(BLOCK) as usize;
            self.put(&ZEROS[..n])?;
        }
        Ok(())
    }

    /// Writes `len` bytes of an entry's data, from `start`.
    fn data(
        &mut self,
        image: &Image,
        layout: &Layout,
        place: &Place,
        start: u64,
        len: u64,
    ) -> Result<(), ErofsError> {
        if len == 0 {
            return Ok(());
        }
        let entry = &image.entries[place.entry];
        match &entry.kind {
            Kind::File(data) => self.copy(entry, data, start, len),
            Kind::Symlink(target) => self.put(&target[start as usize..][..len as usize]),
            Kind::Directory { parent, .. } => {
                let data = directory(image, layout, place.entry, *parent);
                self.put(&data[start as usize..][..len as usize])
            }
        }
    }

    fn copy(&mut self, entry: &Entry, data: &Data, mut start: u64, len: u64) -> Result<(), ErofsError> {
        let end = start + len;
        let mut buffer = std::mem::take(&mut self.buffer);
        while start < end {
            let piece = &mut buffer[..(end - start).min(CHUNK as u64) as usize];
            data.read_exact_at(piece, start)
                .map_err(|source| ErofsError::Read { name: shown(&entry.name), source })?;
            self.put(piece)?;
            start += piece.len() as u64;
        }
        self.buffer = buffer;
        Ok(())
    }
}
