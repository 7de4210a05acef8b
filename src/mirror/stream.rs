//! Bytes that are hashed on their way.

use std::io::{self, Read, Write};

use sha2::{Digest as _, Sha256};

use super::layout::FileHash;

/// Hashes and counts what goes through.
pub(super) struct Hashed<T> {
    through: T,
    state: Sha256,
    size: u64,
}

impl<T> Hashed<T> {
    pub(super) fn new(through: T) -> Self {
        Hashed { through, state: Sha256::new(), size: 0 }
    }

    /// What it went to or came from, and the hash and size in bytes of what did.
    pub(super) fn finish(self) -> (T, FileHash, u64) {
        (self.through, FileHash(self.state.finalize().into()), self.size)
    }

    fn add(&mut self, bytes: &[u8]) {
        self.state.update(bytes);
        self.size += bytes.len() as u64;
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.through.read(buffer)?;
        self.add(&buffer[..n]);
        Ok(n)
    }
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.through.write(bytes)?;
        self.add(&bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.through.flush()
    }
}

/// Reads, and writes what it read to somebody else.
pub(super) struct Tee<R, W> {
    pub(super) from: R,
    pub(super) to: W,
}

impl<R: Read, W: Write> Read for Tee<R, W> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.from.read(buffer)?;
        self.to.write_all(&buffer[..n])?;
        Ok(n)
    }
}

/// Whether two readers give the same bytes.
pub(super) fn same(mut a: impl Read, mut b: impl Read) -> io::Result<bool> {
    let (mut one, mut other) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    loop {
        let n = fill(&mut a, &mut one)?;
        if n != fill(&mut b, &mut other)? || one[..n] != other[..n] {
            return Ok(false);
        }
        if n == 0 {
            return Ok(true);
        }
    }
}

/// As many bytes as there is room for, or as there are.
fn fill(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match from.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
