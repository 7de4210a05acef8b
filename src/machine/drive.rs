//! Drives: byte ranges a guest sees as block devices in its memory.

use std::{fs::File, io, os::unix::fs::FileExt, sync::Arc};

/// An input drive: a host file the guest may read.
pub struct Drive {
    /// The image, from offset 0.
    pub file: File,
    /// Its length in bytes.
    pub len: u64,
    /// SHA-256 of the image: what the guest was given, in run records.
    pub sha256: [u8; 32],
}

/// A range of a file, read by position; clones share the file.
#[derive(Clone)]
pub struct Region {
    file: Arc<File>,
    start: u64,
    len: u64,
}

impl Region {
    /// The `len` bytes of `file` from `start`.
    pub fn new(file: Arc<File>, start: u64, len: u64) -> Self {
        Region { file, start, len }
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
        Region { file: Arc::clone(&self.file), start: self.start + offset, len: len.min(self.len - offset) }
    }

    /// Fills `buffer` from `offset`; an error of kind `UnexpectedEof` when that reaches over the end.
    pub fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let end = offset.checked_add(buffer.len() as u64).filter(|end| *end <= self.len);
        if end.is_none() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.file.read_exact_at(buffer, self.start + offset)
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
        let n = self.region.file.read_at(&mut buffer[..left], self.region.start + self.position)?;
        self.position += n as u64;
        Ok(n)
    }
}
