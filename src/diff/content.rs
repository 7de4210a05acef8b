//! What is compared: bytes that are read where they lie, so that a comparison never needs a whole file in memory.

use std::{borrow::Cow, io};

/// Bytes that can be read from any offset: a slice, an open file, a member of an archive. Several threads read at once.
pub trait Content: Sync {
    /// How many bytes there are.
    fn len(&self) -> u64;

    /// Fills `buffer` from `offset`. The caller never asks for bytes behind [`Content::len`]; bytes that cannot be
    /// given any more (the file shrank) are an error.
    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// All bytes at once where they are in memory anyway: saves the copy.
    fn as_slice(&self) -> Option<&[u8]> {
        None
    }

    /// Whether there are no bytes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Content for [u8] {
    fn len(&self) -> u64 {
        <[u8]>::len(self) as u64
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        let end = start.checked_add(buffer.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(self.get(start..end).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn as_slice(&self) -> Option<&[u8]> {
        Some(self)
    }
}

impl Content for Vec<u8> {
    fn len(&self) -> u64 {
        Content::len(self.as_slice())
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.as_slice().read_exact_at(offset, buffer)
    }

    fn as_slice(&self) -> Option<&[u8]> {
        Some(self)
    }
}

impl<C: Content + ?Sized> Content for &C {
    fn len(&self) -> u64 {
        (**self).len()
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        (**self).read_exact_at(offset, buffer)
    }

    fn as_slice(&self) -> Option<&[u8]> {
        (**self).as_slice()
    }
}

impl<C: Content + ?Sized> Content for Box<C> {
    fn len(&self) -> u64 {
        (**self).len()
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        (**self).read_exact_at(offset, buffer)
    }

    fn as_slice(&self) -> Option<&[u8]> {
        (**self).as_slice()
    }
}

/// A range of some content, which keeps the offsets of the whole: what a section is of a file.
#[derive(Clone, Copy)]
pub struct Window<'a> {
    whole: &'a dyn Content,
    start: u64,
    end: u64,
}

impl<'a> Window<'a> {
    /// All of `whole`.
    pub fn of(whole: &'a dyn Content) -> Self {
        Window { whole, start: 0, end: whole.len() }
    }

    /// `len` bytes of `whole` from `start`; what lies behind its end is cut off.
    pub fn new(whole: &'a dyn Content, start: u64, len: u64) -> Self {
        let start = start.min(whole.len());
        Window { whole, start, end: start.saturating_add(len).min(whole.len()) }
    }

    /// The part of this window between two offsets of the whole, cut to this window.
    #[must_use]
    pub fn part(&self, start: u64, end: u64) -> Self {
        let start = start.clamp(self.start, self.end);
        Window { whole: self.whole, start, end: end.clamp(start, self.end) }
    }

    /// Offset of its first byte in the whole.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// Offset behind its last byte in the whole.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Length in bytes.
    pub fn size(&self) -> u64 {
        self.end - self.start
    }

    /// The bytes between two offsets of the whole, which must lie in this window. `buffer` is used when they are
    /// not in memory.
    pub(crate) fn bytes<'b>(self, start: u64, end: u64, buffer: &'b mut Vec<u8>) -> io::Result<&'b [u8]>
    where
        'a: 'b,
    {
        debug_assert!(self.start <= start && start <= end && end <= self.end);
        if let Some(slice) = self.whole.as_slice() {
            let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
            let bytes = range.and_then(|(start, end)| slice.get(start..end));
            return bytes.ok_or_else(|| io::ErrorKind::UnexpectedEof.into());
        }
        let len = usize::try_from(end - start).map_err(|_| io::ErrorKind::OutOfMemory)?;
        buffer.resize(len, 0);
        self.whole.read_exact_at(start, buffer)?;
        Ok(buffer)
    }

    /// All bytes of the window, copied only when they are not in memory. The caller has checked [`Window::size`]
    /// against a cap.
    pub(crate) fn load(self) -> io::Result<Cow<'a, [u8]>> {
        if let Some(slice) = self.whole.as_slice() {
            let range = usize::try_from(self.start).ok().zip(usize::try_from(self.end).ok());
            let bytes = range.and_then(|(start, end)| slice.get(start..end));
            return bytes.map(Cow::Borrowed).ok_or_else(|| io::ErrorKind::UnexpectedEof.into());
        }
        self.to_vec().map(Cow::Owned)
    }

    /// All bytes of the window, copied. The caller has checked [`Window::size`] against a cap.
    pub(crate) fn to_vec(self) -> io::Result<Vec<u8>> {
        let mut buffer = Vec::new();
        if self.whole.as_slice().is_some() {
            return self.bytes(self.start, self.end, &mut buffer).map(<[u8]>::to_vec);
        }
        self.bytes(self.start, self.end, &mut buffer)?;
        Ok(buffer)
    }
}

impl Content for Window<'_> {
    fn len(&self) -> u64 {
        self.size()
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        if offset.checked_add(buffer.len() as u64).is_none_or(|end| end > self.size()) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.whole.read_exact_at(self.start + offset, buffer)
    }

    fn as_slice(&self) -> Option<&[u8]> {
        let range = usize::try_from(self.start).ok()?..usize::try_from(self.end).ok()?;
        self.whole.as_slice()?.get(range)
    }
}
