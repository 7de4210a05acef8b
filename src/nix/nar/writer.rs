//! Writes a NAR as a stream.

use std::io::{self, BufWriter, Read, Write};

use super::{
    MAGIC, MAX_DEPTH,
    error::{NarErrorKind, NarWriteError},
    name_fault, padding, target_fault,
};
use crate::nix::text::shown;

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// A node must come.
    Node,
    /// Within a directory.
    Directory,
    /// The root node is complete.
    End,
}

/// Writes a NAR node by node: a node is [`regular`](Self::regular), [`symlink`](Self::symlink), or
/// [`directory`](Self::directory) with [`entry`](Self::entry) before each of its nodes and [`leave`](Self::leave) at its end.
///
/// What the reader would refuse cannot be written. After an error what was written is no NAR.
pub struct Writer<W: Write> {
    out: BufWriter<W>,
    state: State,
    started: bool,
    // The last entry's name of every open directory.
    open: Vec<Vec<u8>>,
}

impl<W: Write> Writer<W> {
    /// A writer that has written nothing; buffers on its own.
    pub fn new(out: W) -> Self {
        Writer {
            out: BufWriter::with_capacity(64 << 10, out),
            state: State::Node,
            started: false,
            open: Vec::new(),
        }
    }

    /// Begins a directory.
    pub fn directory(&mut self) -> Result<(), NarWriteError> {
        self.begin(b"directory")?;
        self.open.push(Vec::new());
        self.state = State::Directory;
        Ok(())
    }

    /// Begins an entry of the directory; names must come in ascending order of bytes.
    pub fn entry(&mut self, name: &[u8]) -> Result<(), NarWriteError> {
        let previous = match (self.state, self.open.last_mut()) {
            (State::Directory, Some(previous)) => previous,
            _ => return Err(NarWriteError::Misuse("an entry outside of a directory")),
        };
        if let Some(why) = name_fault(name) {
            return Err(NarWriteError::Tree(NarErrorKind::Name { name: shown(name), why }));
        }
        if name <= previous.as_slice() {
            let what = NarErrorKind::Order { name: shown(name), previous: shown(previous) };
            return Err(NarWriteError::Tree(what));
        }
        previous.clear();
        previous.extend_from_slice(name);
        self.strings([b"entry".as_slice(), b"(", b"name", name, b"node"])?;
        self.state = State::Node;
        Ok(())
    }

    /// Ends the innermost open directory.
    pub fn leave(&mut self) -> Result<(), NarWriteError> {
        if self.state != State::Directory {
            return Err(NarWriteError::Misuse("the end of a directory that is not open"));
        }
        self.open.pop();
        self.end()
    }

    /// Writes a symbolic link.
    pub fn symlink(&mut self, target: &[u8]) -> Result<(), NarWriteError> {
        if let Some(why) = target_fault(target) {
            return Err(NarWriteError::Tree(NarErrorKind::Target { target: shown(target), why }));
        }
        self.begin(b"symlink")?;
        self.strings([b"target".as_slice(), target])?;
        self.end()
    }

    /// Writes a regular file of `size` bytes, which `contents` must give exactly.
    pub fn regular(
        &mut self,
        executable: bool,
        size: u64,
        mut contents: impl Read,
    ) -> Result<(), NarWriteError> {
        self.begin(b"regular")?;
        if executable {
            self.strings([b"executable".as_slice(), b""])?;
        }
        self.strings([b"contents".as_slice()])?;
        self.out.write_all(&size.to_le_bytes())?;
        let found = io::copy(&mut contents.by_ref().take(size), &mut self.out)?;
        if found < size {
            return Err(NarWriteError::Changed { expected: size, found: Some(found) });
        }
        if io::copy(&mut contents.take(1), &mut io::sink())? > 0 {
            return Err(NarWriteError::Changed { expected: size, found: None });
        }
        self.out.write_all(&[0; 8][..padding(size)])?;
        self.end()
    }

    /// Flushes, and gives back what was written to; an error when the tree is not complete.
    pub fn finish(mut self) -> Result<W, NarWriteError> {
        if self.state != State::End {
            return Err(NarWriteError::Misuse("the tree is not complete"));
        }
        self.out.flush()?;
        self.out.into_inner().map_err(|error| NarWriteError::Io(error.into_error()))
    }

    fn begin(&mut self, kind: &[u8]) -> Result<(), NarWriteError> {
        if self.state != State::Node {
            return Err(NarWriteError::Misuse("a node where none can be"));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(NarWriteError::Tree(NarErrorKind::Depth));
        }
        if !self.started {
            self.started = true;
            self.strings([MAGIC])?;
        }
        self.strings([b"(".as_slice(), b"type", kind])
    }

    fn end(&mut self) -> Result<(), NarWriteError> {
        self.strings([b")".as_slice()])?;
        if self.open.is_empty() {
            self.state = State::End;
            return Ok(());
        }
        self.state = State::Directory;
        self.strings([b")".as_slice()])
    }

    fn strings<const N: usize>(&mut self, strings: [&[u8]; N]) -> Result<(), NarWriteError> {
        for string in strings {
            let len = string.len() as u64;
            self.out.write_all(&len.to_le_bytes())?;
            self.out.write_all(string)?;
            self.out.write_all(&[0; 8][..padding(len)])?;
        }
        Ok(())
    }
}
