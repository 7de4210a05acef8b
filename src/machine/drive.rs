//! Drives: byte ranges a guest sees as block devices in its memory.

use std::{fs::File, io, os::unix::fs::FileExt, sync::Arc};

use reprove_riscv::memory::Memory;

/// An input drive: a host file the guest may read.
pub struct Drive {
    /// The image, from offset 0.
    pub file: File,
    /// Its length in bytes.
    pub len: u64,
    /// SHA-256 of the image: what the guest was given, in run records.
    pub sha256: [u8; 32],
}

/// Where the bytes of a region are.
#[derive(Clone)]
enum Bytes {
    File(Arc<File>),
    Memory(Arc<Memory>),
}

impl Bytes {
    /// Reads what there is at `offset`, at most all of `buffer`.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        match self {
            Bytes::File(file) => file.read_at(buffer, offset),
            Bytes::Memory(memory) => {
                let rest = usize::try_from(offset).ok().and_then(|offset| memory.bytes().get(offset..));
                let rest = rest.unwrap_or_default();
                let n = rest.len().min(buffer.len());
                buffer[..n].copy_from_slice(&rest[..n]);
                Ok(n)
            }
        }
    }
}

/// A range of a file or of a machine's memory, read by position; clones share what is behind it.
#[derive(Clone)]
pub struct Region {
    bytes: Bytes,
    start: u64,
    len: u64,
}

impl Region {
    /// The `len` bytes of `file` from `start`.
    pub fn new(file: Arc<File>, start: u64, len: u64) -> Self {
        Region { bytes: Bytes::File(file), start, len }
    }

    /// The `len` bytes of a machine's memory from `start`, counted from its first byte.
    pub fn of_memory(memory: Memory, start: u64, len: u64) -> Self {
        Region { bytes: Bytes::Memory(Arc::new(memory)), start, len }
    }

    /// Length in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The `len` bytes from `offset`, cut at this region's end.
    #[must_use]
    pub fn part(&self, offset: u64, len: u64) -> Region {
        let offset = offset.min(self.len);
        Region { bytes: self.bytes.clone(), start: self.start + offset, len: len.min(self.len - offset) }
    }

    /// Fills `buffer` from `offset`; an error of kind `UnexpectedEof` when that reaches over the end.
    pub fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let end = offset.checked_add(buffer.len() as u64).filter(|end| *end <= self.len);
        if end.is_none() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut done = 0;
        while done < buffer.len() {
            match self.bytes.read_at(&mut buffer[done..], self.start + offset + done as u64) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => done += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// A reader over the `len` bytes from `offset`, cut at the region's end.
    pub fn reader(&self, offset: u64, len: u64) -> RegionReader<'_> {
        let start = offset.min(self.len);
        RegionReader { region: self, position: start, end: start.saturating_add(len).min(self.len) }
    }
}

/// Reads a part of a [`Region`] from front to back.
pub struct RegionReader<'a> {
    region: &'a Region,
    position: u64,
    end: u64,
}

impl io::Read for RegionReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = (self.end - self.position).min(buffer.len() as u64) as usize;
        let n = self.region.bytes.read_at(&mut buffer[..left], self.region.start + self.position)?;
        self.position += n as u64;
        Ok(n)
    }
}
