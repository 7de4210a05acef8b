//! Open files as something to compare.

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    os::unix::fs::{FileExt as _, MetadataExt as _},
    path::Path,
};

use crate::{
    diff::{Content, Entry, Tree},
    nix::nar,
};

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

/// A regular file as a tree of one entry, its contents where they are.
pub struct FileTree {
    entries: BTreeMap<Vec<u8>, Entry>,
    contents: FileContent,
}

impl FileTree {
    /// The regular file at `path`, or the one that a link there points to.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        let executable = nar::is_executable(metadata.mode());
        let entry = Entry::Regular { executable, size: metadata.len() };
        Ok(FileTree { entries: BTreeMap::from([(Vec::new(), entry)]), contents: FileContent::new(file)? })
    }
}

impl Tree for FileTree {
    fn entries(&self) -> &BTreeMap<Vec<u8>, Entry> {
        &self.entries
    }

    fn open(&self, path: &[u8]) -> io::Result<Box<dyn Content + '_>> {
        if path.is_empty() { Ok(Box::new(&self.contents)) } else { Err(io::ErrorKind::NotFound.into()) }
    }
}
