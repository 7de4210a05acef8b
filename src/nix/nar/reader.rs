//! Reads a NAR as a stream of events.

use std::io::{self, BufRead as _, BufReader, Read};

use super::{
    MAGIC, MAX_DEPTH, MAX_NAME, MAX_TAG, MAX_TARGET,
    error::{NarError, NarErrorKind},
    name_fault, padding, target_fault,
};
use crate::nix::text::shown;

/// What comes next in a NAR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A directory begins; its entries follow, then [`Event::Leave`].
    Directory,
    /// An entry of the directory begins; its node follows.
    Entry {
        /// Its name: one path component, any bytes.
        name: Vec<u8>,
    },
    /// A regular file; [`Reader::contents`] gives its bytes, which are skipped when not read.
    Regular {
        /// Whether the owner may execute it.
        executable: bool,
        /// Length in bytes.
        size: u64,
        /// Offset of the first byte in the NAR.
        offset: u64,
    },
    /// A symbolic link.
    Symlink {
        /// Its target.
        target: Vec<u8>,
    },
    /// The innermost open directory ends.
    Leave,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing read yet.
    Start,
    /// A node begins.
    Node,
    /// Within a directory: an entry or the end follows.
    Directory,
    /// A file's contents: this many bytes are left, then this much padding.
    Contents { left: u64, padding: usize },
    /// The root node is complete.
    End,
    /// An error was reported; nothing more can be said.
    Failed,
}

/// Reads a NAR from a stream, event by event, in memory that does not depend on what is read.
///
/// ```
/// # use reprove::nix::nar::{Event, Reader, Writer};
/// # let mut writer = Writer::new(Vec::new());
/// # writer.symlink(b"target")?;
/// # let nar = writer.finish()?;
/// let mut reader = Reader::new(nar.as_slice());
/// while let Some(event) = reader.next_event()? {
///     if let Event::Regular { .. } = event {
///         std::io::copy(&mut reader.contents(), &mut std::io::sink())?;
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Reader<R: Read> {
    input: BufReader<R>,
    offset: u64,
    state: State,
    // The last entry's name of every open directory; at most MAX_DEPTH.
    open: Vec<Vec<u8>>,
}

impl<R: Read> Reader<R> {
    /// A reader at the beginning of a NAR; buffers on its own.
    pub fn new(input: R) -> Self {
        Reader {
            input: BufReader::with_capacity(64 << 10, input),
            offset: 0,
            state: State::Start,
            open: Vec::new(),
        }
    }

    /// Bytes consumed so far.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The next event; `None` at the end, when the stream has ended too. Contents not read are skipped, and checked
    /// like those that are.
    pub fn next_event(&mut self) -> Result<Option<Event>, NarError> {
        let event = self.step();
        if event.is_err() {
            self.state = State::Failed;
        }
        event
    }

    /// The contents of the regular file just announced; empty at any other time.
    /// A truncated stream is an error here as in [`next_event`](Self::next_event).
    pub fn contents(&mut self) -> impl Read + '_ {
        ContentsReader(self)
    }

    fn step(&mut self) -> Result<Option<Event>, NarError> {
        loop {
            match self.state {
                State::Start => {
                    self.magic()?;
                    self.state = State::Node;
                }
                State::Node => return self.node().map(Some),
                State::Contents { .. } => {
                    self.skip_contents()?;
                    self.expect("the `)` of a file", b")")?;
                    self.close_node()?;
                }
                State::Directory => return self.entry_or_leave().map(Some),
                State::End => {
                    if self.available()? > 0 {
                        return Err(self.error(NarErrorKind::Trailing));
                    }
                    return Ok(None);
                }
                State::Failed => {
                    let error = io::Error::other("the NAR was found to be invalid before");
                    return Err(self.error(error.into()));
                }
            }
        }
    }

    fn node(&mut self) -> Result<Event, NarError> {
        if self.open.len() >= MAX_DEPTH {
            return Err(self.error(NarErrorKind::Depth));
        }
        self.expect("the `(` of a node", b"(")?;
        self.expect("`type`", b"type")?;
        let start = self.offset;
        let kind = self.string("a node's type", MAX_TAG)?;
        match kind.as_slice() {
            b"regular" => self.regular(),
            b"symlink" => {
                self.expect("`target`", b"target")?;
                let start = self.offset;
                let target = self.string("a symbolic link target", MAX_TARGET)?;
                if let Some(why) = target_fault(&target) {
                    let what = NarErrorKind::Target { target: shown(&target), why };
                    return Err(NarError { offset: start, what });
                }
                self.expect("the `)` of a symbolic link", b")")?;
                self.close_node()?;
                Ok(Event::Symlink { target })
            }
            b"directory" => {
                self.open.push(Vec::new());
                self.state = State::Directory;
                Ok(Event::Directory)
            }
            found => {
                let found = shown(found);
                let what = NarErrorKind::Tag { expected: "`regular`, `symlink` or `directory`", found };
                Err(NarError { offset: start, what })
            }
        }
    }

    fn regular(&mut self) -> Result<Event, NarError> {
        let start = self.offset;
        let mut tag = self.string("a file's fields", MAX_TAG)?;
        let executable = tag == b"executable";
        if executable {
            self.string("the value of `executable`", 0)?;
            tag = self.string("a file's fields", MAX_TAG)?;
        }
        if tag != b"contents" {
            let expected = if executable { "`contents`" } else { "`executable` or `contents`" };
            return Err(NarError { offset: start, what: NarErrorKind::Tag { expected, found: shown(&tag) } });
        }
        let length_at = self.offset;
        let size = self.length()?;
        let padding = padding(size);
        // Offsets are signed in every file interface; a file that reaches beyond them is a lie.
        let end = self.offset.checked_add(size).and_then(|end| end.checked_add(padding as u64));
        if end.is_none_or(|end| end > i64::MAX as u64) {
            return Err(NarError { offset: length_at, what: NarErrorKind::Size { len: size } });
        }
        self.state = State::Contents { left: size, padding };
        Ok(Event::Regular { executable, size, offset: self.offset })
    }

    fn entry_or_leave(&mut self) -> Result<Event, NarError> {
        let start = self.offset;
        let tag = self.string("a directory", MAX_TAG)?;
        match tag.as_slice() {
            b")" => {
                self.open.pop();
                self.close_node()?;
                return Ok(Event::Leave);
            }
            b"entry" => {}
            found => {
                let what = NarErrorKind::Tag { expected: "`entry` or `)`", found: shown(found) };
                return Err(NarError { offset: start, what });
            }
        }
        self.expect("the `(` of an entry", b"(")?;
        self.expect("`name`", b"name")?;
        let start = self.offset;
        let name = self.string("an entry name", MAX_NAME)?;
        let fail = |what| Err(NarError { offset: start, what });
        if let Some(why) = name_fault(&name) {
            return fail(NarErrorKind::Name { name: shown(&name), why });
        }
        if let Some(previous) = self.open.last_mut() {
            if name <= *previous {
                return fail(NarErrorKind::Order { name: shown(&name), previous: shown(previous) });
            }
            previous.clone_from(&name);
        }
        self.expect("`node`", b"node")?;
        self.state = State::Node;
        Ok(Event::Entry { name })
    }

    /// After a node's own `)`: that of its entry, unless it is the root.
    fn close_node(&mut self) -> Result<(), NarError> {
        if self.open.is_empty() {
            self.state = State::End;
        } else {
            self.expect("the `)` of an entry", b")")?;
            self.state = State::Directory;
        }
        Ok(())
    }

    fn read_contents(&mut self, buffer: &mut [u8]) -> Result<usize, NarError> {
        let State::Contents { left, padding } = self.state else { return Ok(0) };
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        if wanted == 0 {
            return Ok(0);
        }
        let count = self.input.read(&mut buffer[..wanted]).map_err(|error| self.error(error.into()))?;
        if count == 0 {
            return Err(self.error(NarErrorKind::Truncated { what: "a file's contents" }));
        }
        self.offset += count as u64;
        self.state = State::Contents { left: left - count as u64, padding };
        Ok(count)
    }

    fn skip_contents(&mut self) -> Result<(), NarError> {
        while let State::Contents { left, padding } = self.state {
            if left == 0 {
                return self.zeros(padding);
            }
            let count = usize::try_from(left).unwrap_or(usize::MAX).min(self.available()?);
            if count == 0 {
                return Err(self.error(NarErrorKind::Truncated { what: "a file's contents" }));
            }
            self.input.consume(count);
            self.offset += count as u64;
            self.state = State::Contents { left: left - count as u64, padding };
        }
        Ok(())
    }

    /// How many bytes lie in the buffer, which is filled when it is empty; none at the end of the stream.
    fn available(&mut self) -> Result<usize, NarError> {
        loop {
            match self.input.fill_buf() {
                Ok(bytes) => return Ok(bytes.len()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.error(error.into())),
            }
        }
    }

    fn error(&self, what: NarErrorKind) -> NarError {
        NarError { offset: self.offset, what }
    }

    fn exact(&mut self, buffer: &mut [u8], what: &'static str) -> Result<(), NarError> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.input.read(&mut buffer[filled..]) {
                Ok(0) => return Err(self.error(NarErrorKind::Truncated { what })),
                Ok(count) => {
                    filled += count;
                    self.offset += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.error(error.into())),
            }
        }
        Ok(())
    }

    fn length(&mut self) -> Result<u64, NarError> {
        let mut bytes = [0; 8];
        self.exact(&mut bytes, "a length")?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn zeros(&mut self, count: usize) -> Result<(), NarError> {
        let mut bytes = [0; 8];
        let start = self.offset;
        self.exact(&mut bytes[..count], "padding")?;
        if bytes != [0; 8] {
            return Err(NarError { offset: start, what: NarErrorKind::Padding });
        }
        Ok(())
    }

    fn string(&mut self, what: &'static str, max: usize) -> Result<Vec<u8>, NarError> {
        let start = self.offset;
        let len = self.length()?;
        let fits = usize::try_from(len).ok().filter(|len| *len <= max);
        let Some(fits) = fits else {
            return Err(NarError { offset: start, what: NarErrorKind::TooLong { what, len, max } });
        };
        let mut bytes = vec![0; fits];
        self.exact(&mut bytes, what)?;
        self.zeros(padding(len))?;
        Ok(bytes)
    }

    fn expect(&mut self, expected: &'static str, tag: &[u8]) -> Result<(), NarError> {
        let start = self.offset;
        let found = self.string(expected, MAX_TAG)?;
        if found != tag {
            let what = NarErrorKind::Tag { expected, found: shown(&found) };
            return Err(NarError { offset: start, what });
        }
        Ok(())
    }

    fn magic(&mut self) -> Result<(), NarError> {
        match self.string("the beginning", MAGIC.len()) {
            Ok(magic) if magic == MAGIC => Ok(()),
            Err(error) if matches!(error.what, NarErrorKind::Io(_) | NarErrorKind::Truncated { .. }) => {
                Err(error)
            }
            _ => Err(NarError { offset: 0, what: NarErrorKind::Magic }),
        }
    }
}

struct ContentsReader<'a, R: Read>(&'a mut Reader<R>);

impl<R: Read> Read for ContentsReader<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read_contents(buffer).map_err(|error| match error.what {
            NarErrorKind::Io(error) => error,
            what => io::Error::new(io::ErrorKind::UnexpectedEof, NarError { offset: error.offset, what }),
        })
    }
}
