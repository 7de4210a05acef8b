//! Numbers in tables of either byte order, every access checked.

/// Bytes read as numbers.
#[derive(Clone, Copy)]
pub(in crate::diff) struct Numbers<'a> {
    pub bytes: &'a [u8],
    pub big_endian: bool,
}

impl<'a> Numbers<'a> {
    /// Little endian.
    pub fn little(bytes: &'a [u8]) -> Self {
        Numbers { bytes, big_endian: false }
    }

    /// `len` bytes from `at`.
    pub fn slice(&self, at: usize, len: usize) -> Option<&'a [u8]> {
        self.bytes.get(at..at.checked_add(len)?)
    }

    /// The number in `len` bytes from `at`, at most 8.
    pub fn number(&self, at: usize, len: usize) -> Option<u64> {
        let bytes = self.slice(at, len)?;
        let fold = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        Some(if self.big_endian { bytes.iter().fold(0, fold) } else { bytes.iter().rev().fold(0, fold) })
    }

    /// Two bytes.
    pub fn u16(&self, at: usize) -> Option<u64> {
        self.number(at, 2)
    }

    /// Four bytes.
    pub fn u32(&self, at: usize) -> Option<u64> {
        self.number(at, 4)
    }

    /// The text from `at` to the next NUL, at most `longest` bytes.
    pub fn text(&self, at: usize, longest: usize) -> Option<&'a [u8]> {
        let rest = self.bytes.get(at..)?;
        let end = rest.iter().take(longest).position(|byte| *byte == 0).unwrap_or(rest.len().min(longest));
        Some(&rest[..end])
    }
}
