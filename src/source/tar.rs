//! Tar archives, read as a stream: one entry after the other, bounded, nothing written anywhere.
//!
//! Formats: POSIX.1-2017 `pax` ("pax Interchange Format": ustar headers and `x`/`g` records) and the GNU
//! extensions that Debian's archives use (long names `L` and `K`, base-256 numbers).
//! An own reader because the bytes come from strangers and from guests: where two common readers would
//! understand an archive differently (two sizes for one entry, contents behind a link, sparse maps), it is
//! refused, and a path can never leave the tree ([`Entry::path`]).

use std::io::{self, Read};

use crate::code::Code;

mod header;

use header::{Header, Records};

/// The unit of the format; everything is padded to it.
const BLOCK: usize = 512;

/// What an archive may use up; past it, reading ends with [`TarError::Cap`].
#[derive(Clone, Copy, Debug)]
pub struct Caps {
    /// Entries of all kinds. Debian's largest package has some 50 000.
    pub entries: u64,
    /// Bytes in the contents of all entries together.
    pub contents: u64,
}

impl Default for Caps {
    /// 1 000 000 entries, 16 GiB.
    fn default() -> Self {
        Caps { entries: 1_000_000, contents: 16 << 30 }
    }
}

/// Longest path or link target: twice Linux' `PATH_MAX`, so that no real archive meets it.
pub const MAX_PATH: usize = 8192;

/// Longest extended header (`x`, `g`, `L`, `K`): they are held in memory, and real ones hold a path or two
/// and a few file attributes.
pub const MAX_EXTENSION: u64 = 1 << 20;

/// Extended headers in a row before an entry must come: `g`, `x`, `L`, `K`, and as many again.
const MAX_EXTENSIONS_IN_A_ROW: u32 = 8;

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file; [`Reader::contents`] gives its bytes.
    Regular,
    /// Another name for an earlier entry: its path, normalised as [`Entry::path`] is.
    HardLink(Vec<u8>),
    /// A symbolic link and its target, as written (any bytes but NUL, never empty).
    Symlink(Vec<u8>),
    /// A directory.
    Directory,
    /// A character device.
    CharacterDevice,
    /// A block device.
    BlockDevice,
    /// A named pipe.
    Fifo,
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its path below the archive's root: components joined by `/`, none of them empty, `.` or `..`, and
    /// no leading or trailing slash. The root itself is the empty path.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Permission bits, including set-uid, set-gid and sticky (the low 12 bits).
    pub mode: u32,
    /// Numeric owner.
    pub uid: u64,
    /// Numeric group.
    pub gid: u64,
    /// Modification time, seconds since 1970; the fraction of a second is dropped.
    pub mtime: i64,
    /// Length of the contents in bytes; zero for everything but regular files.
    pub size: u64,
    /// Where its header starts in the (uncompressed) archive: for messages.
    pub offset: u64,
}

impl Entry {
    /// Whether its owner may execute it: the one permission a NAR knows.
    pub fn is_executable(&self) -> bool {
        self.mode & 0o100 != 0
    }
}

/// What is wrong with an archive, and at which byte of it (uncompressed).
#[derive(Debug, thiserror::Error)]
pub enum TarError {
    /// The bytes below could not be read or decompressed.
    #[error("the tar archive cannot be read at byte {offset}: {source}")]
    Read {
        /// Byte offset in the uncompressed archive.
        offset: u64,
        /// The reader's own error.
        source: io::Error,
    },
    /// The archive ends in the middle of something, or without its end mark.
    #[error("the tar archive ends too early, at byte {offset}, inside {inside}")]
    Truncated {
        /// Byte offset in the uncompressed archive.
        offset: u64,
        /// What was being read.
        inside: &'static str,
    },
    /// A header breaks the format.
    #[error("malformed tar header at byte {offset}: {problem}")]
    Malformed {
        /// Byte offset of the header.
        offset: u64,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A path or hard link would leave the tree.
    #[error("the tar entry at byte {offset} has the path {path:?}, which leaves the tree")]
    Escape {
        /// Byte offset of the entry's header.
        offset: u64,
        /// The path, lossily as text.
        path: String,
    },
    /// A legal feature that readers understand differently, or that we do not read.
    #[error("the tar entry at byte {offset} uses {feature}, which is not supported")]
    Unsupported {
        /// Byte offset of the entry's header.
        offset: u64,
        /// The feature's name.
        feature: &'static str,
    },
    /// A cap was reached.
    #[error("the tar archive has more than {limit} {what} (at byte {offset})")]
    Cap {
        /// Byte offset of the entry that went over it.
        offset: u64,
        /// What is counted.
        what: &'static str,
        /// The cap.
        limit: u64,
    },
}

impl TarError {
    /// The stable code of the error.
    pub fn code(&self) -> Code {
        match self {
            TarError::Read { .. } => Code(401),
            TarError::Truncated { .. } | TarError::Malformed { .. } => Code(402),
            TarError::Escape { .. } => Code(403),
            TarError::Unsupported { .. } => Code(404),
            TarError::Cap { .. } => Code(405),
        }
    }
}

/// Reads one archive from front to back.
pub struct Reader<R> {
    input: R,
    caps: Caps,
    /// Bytes read so far.
    offset: u64,
    /// Contents of the current entry that were not read yet.
    left: u64,
    /// Padding behind the contents of the current entry.
    padding: u64,
    entries: u64,
    contents: u64,
    /// The end mark, or an error, was met: nothing comes after it.
    done: bool,
}

impl<R: Read> Reader<R> {
    /// A reader over an uncompressed archive.
    pub fn new(input: R, caps: Caps) -> Self {
        Reader { input, caps, offset: 0, left: 0, padding: 0, entries: 0, contents: 0, done: false }
    }

    /// Goes to the next entry, over what is unread of the current one; `None` behind the last.
    ///
    /// After an error the archive counts as ended.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, TarError> {
        if self.done {
            return Ok(None);
        }
        let entry = self.read_entry();
        self.done = !matches!(entry, Ok(Some(_)));
        entry
    }

    /// The contents of the current entry, from where the last read ended.
    ///
    /// An archive that ends inside them is an [`io::ErrorKind::UnexpectedEof`], never a short file.
    pub fn contents(&mut self) -> impl Read + '_ {
        ContentsOf { reader: self }
    }

    fn read_entry(&mut self) -> Result<Option<Entry>, TarError> {
        self.skip_contents()?;
        let mut records = Records::default();
        for _ in 0..=MAX_EXTENSIONS_IN_A_ROW {
            let offset = self.offset;
            let Some(header) = self.read_header()? else {
                if !records.is_empty() {
                    return Err(TarError::Malformed {
                        offset,
                        problem: "an extended header without its entry",
                    });
                }
                return self.check_end().map(|()| None);
            };
            if header.is_extension() {
                let body = self.read_extension(&header, offset)?;
                records.add(header.type_flag(), &body, offset)?;
                continue;
            }
            let entry = header.entry(records, offset)?;
            self.entries += 1;
            self.contents = self.contents.saturating_add(entry.size);
            for (count, limit, what) in [
                (self.entries, self.caps.entries, "entries"),
                (self.contents, self.caps.contents, "bytes of contents"),
            ] {
                if count > limit {
                    return Err(TarError::Cap { offset, what, limit });
                }
            }
            self.left = entry.size;
            self.padding = padding(entry.size);
            return Ok(Some(entry));
        }
        Err(TarError::Malformed { offset: self.offset, problem: "too many extended headers in a row" })
    }

    /// The next header block; `None` at the end mark (a block of zeros).
    fn read_header(&mut self) -> Result<Option<Header>, TarError> {
        let offset = self.offset;
        let mut block = [0u8; BLOCK];
        self.read_exact(&mut block, "a header")?;
        if block.iter().all(|&byte| byte == 0) {
            return Ok(None);
        }
        Header::parse(block, offset).map(Some)
    }

    fn read_extension(&mut self, header: &Header, offset: u64) -> Result<Vec<u8>, TarError> {
        let size = header.size(offset)?;
        if size > MAX_EXTENSION {
            return Err(TarError::Cap { offset, what: "bytes in one extended header", limit: MAX_EXTENSION });
        }
        let mut body = vec![0u8; size as usize];
        self.read_exact(&mut body, "an extended header")?;
        let mut zeros = [0u8; BLOCK];
        self.read_exact(&mut zeros[..padding(size) as usize], "the padding of an extended header")?;
        Ok(body)
    }

    /// Behind the first block of zeros only zeros may follow: two archives in one file, or data hidden
    /// behind the end, would be seen by some readers and not by others.
    fn check_end(&mut self) -> Result<(), TarError> {
        /// GNU tar pads to 10 240 bytes, some writers to more; this much is plainly no padding.
        const MAX_END: u64 = 1 << 20;
        let start = self.offset;
        let mut block = [0u8; 4096];
        loop {
            let count = self.read_some(&mut block)?;
            if count == 0 {
                return Ok(());
            }
            if block[..count].iter().any(|&byte| byte != 0) {
                return Err(TarError::Malformed {
                    offset: self.offset - count as u64,
                    problem: "data behind the end mark",
                });
            }
            if self.offset - start > MAX_END {
                return Err(TarError::Cap { offset: start, what: "bytes of end padding", limit: MAX_END });
            }
        }
    }

    fn skip_contents(&mut self) -> Result<(), TarError> {
        let mut scrap = [0u8; 8192];
        while self.left + self.padding > 0 {
            let want = (self.left + self.padding).min(scrap.len() as u64) as usize;
            self.read_exact(&mut scrap[..want], "the contents of an entry")?;
            let from_contents = self.left.min(want as u64);
            self.left -= from_contents;
            self.padding -= want as u64 - from_contents;
        }
        Ok(())
    }

    fn read_exact(&mut self, buffer: &mut [u8], inside: &'static str) -> Result<(), TarError> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read_some(&mut buffer[filled..])? {
                0 => return Err(TarError::Truncated { offset: self.offset, inside }),
                count => filled += count,
            }
        }
        Ok(())
    }

    fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize, TarError> {
        loop {
            match self.input.read(buffer) {
                Ok(count) => {
                    self.offset += count as u64;
                    return Ok(count);
                }
                Err(source) if source.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(TarError::Read { offset: self.offset, source }),
            }
        }
    }
}

/// Bytes of padding behind `size` bytes of contents.
fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}

struct ContentsOf<'a, R> {
    reader: &'a mut Reader<R>,
}

impl<R: Read> Read for ContentsOf<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let want = (buffer.len() as u64).min(self.reader.left) as usize;
        if want == 0 {
            return Ok(0);
        }
        let count = match self.reader.read_some(&mut buffer[..want]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => count,
            Err(TarError::Read { source, .. }) => return Err(source),
            Err(other) => return Err(io::Error::other(other)),
        };
        self.reader.left -= count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
