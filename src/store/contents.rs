//! Open files as something to compare.

use std::{fs::File, io, os::unix::fs::FileExt as _};

use crate::diff::Content;

/// The bytes of an open file, as many as it had when it was opened.
#[derive(Debug)]
pub struct FileContent {
    file: File,
    len: u64,
}

impl FileContent {
    /// The contents of `file`.
    pub fn new(file: File) -> io::Result<Self> {
        let len = file.metadata()?.len();
        Ok(FileContent { file, len })
    }
}

impl Content for FileContent {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }
}
