//! Tar archives in GNU's format, as GNU tar writes them.
//!
//! Format: the GNU tar manual, "Basic Tar Format" (`struct oldgnu_header`, types `L` and `K`, base-256 numbers); how GNU
//! tar spells each field was compared byte by byte with its archives.

use std::io::{self, Read, Write};

use super::{
    ArchiveError,
    folder::{Entry, Kind},
};

/// The unit of the format.
const BLOCK: usize = 512;

/// An archive is padded to whole records of twenty blocks.
const RECORD: u64 = 20 * BLOCK as u64;

/// Bytes of a name or link target in a header; what is longer comes in an entry of its own before it.
const NAME: usize = 100;

/// The name of those entries.
const LONG_LINK: &[u8] = b"././@LongLink";

/// Writes one archive, entry by entry.
pub struct Writer<W> {
    out: W,
    mtime: u64,
    written: u64,
}

impl<W: Write> Writer<W> {
    /// An empty archive, whose entries are all of the time `mtime`.
    pub fn new(out: W, mtime: u64) -> Self {
        Writer { out, mtime, written: 0 }
    }

    /// Adds an entry; `contents` are those of a regular file, with as many bytes as the entry says.
    pub fn add(&mut self, entry: &Entry, contents: &mut dyn Read) -> Result<(), ArchiveError> {
        self.write_entry(entry, contents).map_err(ArchiveError::Output)
    }

    fn write_entry(&mut self, entry: &Entry, contents: &mut dyn Read) -> io::Result<()> {
        let (mut name, mut target, mut size) = (entry.path.clone(), &b""[..], 0);
        let flag = match &entry.kind {
            Kind::Directory => {
                name.push(b'/');
                b'5'
            }
            Kind::Symlink(to) => {
                target = to;
                b'2'
            }
            Kind::Regular(bytes) => {
                size = *bytes;
                b'0'
            }
        };
        if target.len() > NAME {
            self.long(b'K', target)?;
        }
        if name.len() > NAME {
            self.long(b'L', &name)?;
        }
        let (mode, mtime) = (entry.mode, self.mtime);
        self.header(&Header { name: &name, mode, size, mtime, flag, target })?;
        let copied = io::copy(&mut contents.take(size), self)?;
        if copied != size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.pad(BLOCK as u64)
    }

    /// A name or target (`flag` `L` or `K`) that the next header has no room for.
    fn long(&mut self, flag: u8, text: &[u8]) -> io::Result<()> {
        let size = text.len() as u64 + 1;
        self.header(&Header { name: LONG_LINK, mode: 0o644, size, mtime: 0, flag, target: b"" })?;
        self.write_all(text)?;
        self.write_all(&[0])?;
        self.pad(BLOCK as u64)
    }

    fn header(&mut self, header: &Header<'_>) -> io::Result<()> {
        self.write_all(&header.block())
    }

    /// Zeros up to the next multiple of `unit`.
    fn pad(&mut self, unit: u64) -> io::Result<()> {
        let missing = self.written.next_multiple_of(unit) - self.written;
        io::copy(&mut io::repeat(0).take(missing), self).map(drop)
    }

    /// The end mark: two blocks of zeros, and as many as fill the record.
    pub fn finish(mut self) -> io::Result<W> {
        self.write_all(&[0; 2 * BLOCK])?;
        self.pad(RECORD)?;
        Ok(self.out)
    }
}

impl<W: Write> Write for Writer<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let count = self.out.write(data)?;
        self.written += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

struct Header<'a> {
    name: &'a [u8],
    mode: u32,
    size: u64,
    mtime: u64,
    flag: u8,
    target: &'a [u8],
}

impl Header<'_> {
    fn block(&self) -> [u8; BLOCK] {
        let mut block = [0; BLOCK];
        let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &self.name[..self.name.len().min(NAME)]);
        put(100, format!("{:07o}", self.mode).as_bytes());
        put(108, b"0000000");
        put(116, b"0000000");
        put(124, &number(self.size));
        put(136, &number(self.mtime));
        put(148, b"        ");
        put(156, &[self.flag]);
        put(157, &self.target[..self.target.len().min(NAME)]);
        put(257, b"ustar  \0");
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        // Six digits, NUL, space: the old spelling, which GNU tar kept.
        block[148..154].copy_from_slice(format!("{sum:06o}").as_bytes());
        block[154] = 0;
        block
    }
}

/// Eleven octal digits and NUL; what is larger in binary, with the first bit set.
fn number(value: u64) -> [u8; 12] {
    let mut field = [0; 12];
    if value < 1 << 33 {
        field[..11].copy_from_slice(format!("{value:011o}").as_bytes());
    } else {
        field[0] = 0x80;
        field[4..].copy_from_slice(&value.to_be_bytes());
    }
    field
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_eight_gibibytes_have_their_size_in_binary() {
        assert_eq!(&number((1 << 33) - 1), b"77777777777\0");
        assert_eq!(number(1 << 33), [0x80, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0]);
    }
}
