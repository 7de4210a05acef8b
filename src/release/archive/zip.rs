//! Zip files: one way to write each thing, no extra fields, no extensions for large files.
//!
//! Format: PKWARE's APPNOTE 6.3.10. What zip says of a file in several ways is said the simplest: names in UTF-8 with the
//! flag that says so when they are not ASCII, times in the two-second steps of DOS (taken as UTC), Unix permissions in the
//! external attributes. Sizes and checksums are in the local headers, not behind the contents.

use std::io::{self, Read, Seek, SeekFrom, Write};

use flate2::Crc;

use super::{
    ArchiveError,
    deflate::Deflate,
    folder::{Entry, Kind},
};
use crate::diff::date;

/// Made by version 3.0 on Unix, as Info-ZIP says of itself: the host decides how the attributes are read.
const MADE_BY: u16 = 0x031e;
/// Names are in UTF-8.
const UTF8: u16 = 1 << 11;
const STORED: u16 = 0;
const DEFLATED: u16 = 8;

/// Writes one file, entry by entry.
pub struct Writer<W> {
    out: W,
    time: u16,
    date: u16,
    entries: Vec<Written>,
}

/// An entry, for the central directory.
struct Written {
    name: Vec<u8>,
    offset: u32,
    method: u16,
    crc: u32,
    compressed: u32,
    size: u32,
    attributes: u32,
}

impl<W: Write + Seek> Writer<W> {
    /// An empty file, whose entries are all of the time `mtime`, or of 1980 if that is later.
    pub fn new(out: W, mtime: u64) -> Self {
        let (time, date) = dos(mtime);
        Writer { out, time, date, entries: Vec::new() }
    }

    /// Adds an entry; `contents` are those of a regular file, with as many bytes as the entry says.
    pub fn add(&mut self, entry: &Entry, contents: &mut dyn Read) -> Result<(), ArchiveError> {
        if str::from_utf8(&entry.path).is_err() {
            return Err(ArchiveError::ZipName { name: entry.path.clone() });
        }
        let too_large = |what| ArchiveError::ZipSize { name: entry.path.clone(), what };
        if self.entries.len() >= usize::from(u16::MAX) - 1 {
            return Err(too_large("one entry more"));
        }
        match &entry.kind {
            Kind::Regular(size) if *size >= u64::from(u32::MAX) => return Err(too_large("a file of 4 GiB")),
            _ => {}
        }
        let written = self.write_entry(entry, contents).map_err(ArchiveError::Output)?;
        self.entries.push(written.ok_or_else(|| too_large("what comes behind 4 GiB"))?);
        Ok(())
    }

    /// Nothing, if the file grew too large.
    fn write_entry(&mut self, entry: &Entry, contents: &mut dyn Read) -> io::Result<Option<Written>> {
        let Some(offset) = small(self.out.stream_position()?) else { return Ok(None) };
        let mut name = entry.path.clone();
        let (method, kind, dos) = match &entry.kind {
            Kind::Directory => {
                name.push(b'/');
                (STORED, 0o040_000, 0x10)
            }
            Kind::Symlink(_) => (STORED, 0o120_000, 0),
            Kind::Regular(0) => (STORED, 0o100_000, 0),
            Kind::Regular(_) => (DEFLATED, 0o100_000, 0),
        };
        let attributes = ((kind | entry.mode) << 16) | dos;
        let mut written = Written { name, offset, method, crc: 0, compressed: 0, size: 0, attributes };
        self.local(&written)?;
        let start = self.out.stream_position()?;
        let mut crc = Crc::new();
        match &entry.kind {
            Kind::Directory => {}
            Kind::Symlink(target) => {
                crc.update(target);
                self.out.write_all(target)?;
                written.size = target.len() as u32;
            }
            Kind::Regular(0) => {}
            Kind::Regular(size) => {
                let mut deflate = Deflate::new(&mut self.out);
                let copied = copy(&mut contents.take(*size), &mut deflate, &mut crc)?;
                deflate.finish()?;
                if copied != *size {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                written.size = copied as u32;
            }
        }
        let end = self.out.stream_position()?;
        let (Some(compressed), Some(_)) = (small(end - start), small(end)) else { return Ok(None) };
        (written.crc, written.compressed) = (crc.sum(), compressed);
        self.out.seek(SeekFrom::Start(u64::from(offset)))?;
        self.local(&written)?;
        self.out.seek(SeekFrom::Start(end))?;
        Ok(Some(written))
    }

    fn local(&mut self, entry: &Written) -> io::Result<()> {
        self.out.write_all(b"PK\x03\x04")?;
        self.common(entry)?;
        self.out.write_all(&entry.name)
    }

    /// What local headers and the central directory say alike: from the version that is needed to the length of the extra
    /// field.
    fn common(&mut self, entry: &Written) -> io::Result<()> {
        let flags = if entry.name.is_ascii() { 0 } else { UTF8 };
        for field in [20, flags, entry.method, self.time, self.date] {
            self.out.write_all(&field.to_le_bytes())?;
        }
        for field in [entry.crc, entry.compressed, entry.size] {
            self.out.write_all(&field.to_le_bytes())?;
        }
        // A path has 4096 bytes at the most.
        self.out.write_all(&(entry.name.len() as u16).to_le_bytes())?;
        self.out.write_all(&[0; 2])
    }

    /// Writes the central directory.
    pub fn finish(mut self) -> io::Result<()> {
        let start = self.out.stream_position()?;
        let entries = std::mem::take(&mut self.entries);
        for entry in &entries {
            self.out.write_all(b"PK\x01\x02")?;
            self.out.write_all(&MADE_BY.to_le_bytes())?;
            self.common(entry)?;
            // No comment, first disk, no internal attributes.
            self.out.write_all(&[0; 6])?;
            self.out.write_all(&entry.attributes.to_le_bytes())?;
            self.out.write_all(&entry.offset.to_le_bytes())?;
            self.out.write_all(&entry.name)?;
        }
        let size = self.out.stream_position()? - start;
        let (Some(start), Some(size)) = (small(start), small(size)) else {
            return Err(io::Error::other("the directory of the zip file does not fit into 4 GiB"));
        };
        let count = (entries.len() as u16).to_le_bytes();
        self.out.write_all(b"PK\x05\x06\0\0\0\0")?;
        self.out.write_all(&count)?;
        self.out.write_all(&count)?;
        self.out.write_all(&size.to_le_bytes())?;
        self.out.write_all(&start.to_le_bytes())?;
        self.out.write_all(&[0; 2])?;
        self.out.flush()
    }
}

/// A number that needs no extension: all ones mean that there is one.
fn small(number: u64) -> Option<u32> {
    u32::try_from(number).ok().filter(|number| *number != u32::MAX)
}

fn copy(from: &mut impl Read, to: &mut impl Write, crc: &mut Crc) -> io::Result<u64> {
    let mut buffer = vec![0; 1 << 16];
    let mut copied = 0;
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(copied),
            Ok(count) => {
                crc.update(&buffer[..count]);
                to.write_all(&buffer[..count])?;
                copied += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Time and date of DOS: from 1980 to 2107, in steps of two seconds.
fn dos(mtime: u64) -> (u16, u16) {
    const FIRST: i64 = 315_532_800;
    const LAST: i64 = 4_354_819_198;
    let seconds = i64::try_from(mtime).unwrap_or(LAST).clamp(FIRST, LAST);
    let ((year, month, day), second) = (date(seconds), seconds % 86_400);
    let time = ((second / 3600) << 11) | ((second / 60 % 60) << 5) | (second % 60 / 2);
    ((time as u16), (((year - 1980) << 9) | (month << 5) | day) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_dos_begin_in_1980_and_end_in_2107() {
        let parts = |mtime| {
            let (time, date) = dos(mtime);
            (1980 + (date >> 9), date >> 5 & 15, date & 31, time >> 11, time >> 5 & 63, time & 31)
        };
        assert_eq!(parts(1), (1980, 1, 1, 0, 0, 0));
        assert_eq!(parts(1_795_264_497), (2026, 11, 21, 12, 34, 28));
        assert_eq!(parts(u64::MAX), (2107, 12, 31, 23, 59, 29));
    }
}
