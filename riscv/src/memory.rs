//! The machine's memory: one range of bytes from [`BASE`] up, guest memory and drives alike.

use crate::host::Pages;

/// Physical address of the first byte.
pub const BASE: u64 = 0x8000_0000;

/// Bytes of a page: the unit of translation, of decoded code and of what has changed.
pub const PAGE: u64 = 4096;

/// What is known of a page besides its bytes.
mod mark {
    /// Instructions of it are decoded: a store must go the slow way, which forgets them.
    pub const CODE: u8 = 1;
    /// It may differ from what it was when [`super::Memory::take_changed`] was called last.
    pub const CHANGED: u8 = 2;
    /// It was written to at some time: any other page is all zeros.
    pub const USED: u8 = 4;
    /// It may differ from what it was when [`super::Memory::settle`] was called last.
    pub const UNSETTLED: u8 = 8;
}

/// All of the machine's memory. Untouched pages take no memory of the host.
pub struct Memory {
    pages: Pages,
    marks: Vec<u8>,
}

impl Memory {
    /// `len` zero bytes.
    ///
    /// # Errors
    /// When `len` is no multiple of a page, more than the host can address, or more than it gives.
    pub fn new(len: u64) -> Result<Memory, String> {
        let (Ok(bytes), true) = (usize::try_from(len), len.is_multiple_of(PAGE)) else {
            return Err(format!(
                "{len} bytes are no memory: a multiple of {PAGE} that the host can address is"
            ));
        };
        let pages = Pages::new(bytes).map_err(|why| format!("{len} bytes of memory: {why}"))?;
        Ok(Memory { pages, marks: vec![0; (len / PAGE) as usize] })
    }

    /// No memory.
    pub(crate) fn empty() -> Memory {
        Memory { pages: Pages::none(), marks: Vec::new() }
    }

    /// Length in bytes.
    pub fn len(&self) -> u64 {
        self.bytes().len() as u64
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.bytes().is_empty()
    }

    /// All bytes, from [`BASE`] up.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        self.pages.bytes()
    }

    /// All bytes, to write; whoever writes marks the pages.
    #[inline]
    fn bytes_mut(&mut self) -> &mut [u8] {
        self.pages.bytes_mut()
    }

    /// Where `len` bytes at physical `address` begin in [`Memory::bytes`], if all of them are memory.
    #[inline]
    pub fn offset(&self, address: u64, len: u64) -> Option<usize> {
        let offset = address.wrapping_sub(BASE);
        let all = self.len();
        (offset < all && len <= all - offset).then_some(offset as usize)
    }

    /// `len` bytes at physical `address`.
    pub fn slice(&self, address: u64, len: u64) -> Option<&[u8]> {
        let offset = self.offset(address, len)?;
        Some(&self.bytes()[offset..offset + len as usize])
    }

    /// Writes `data` at physical `address`, from outside the guest; false when it does not all fit.
    ///
    /// Instructions decoded from there are not forgotten: only for use before the machine runs.
    pub fn write(&mut self, address: u64, data: &[u8]) -> bool {
        match self.slice_mut(address, data.len() as u64) {
            Some(slice) => slice.copy_from_slice(data),
            None => return false,
        }
        true
    }

    /// `len` bytes at physical `address` to be filled from outside the guest, under the rule of [`Memory::write`].
    pub fn slice_mut(&mut self, address: u64, len: u64) -> Option<&mut [u8]> {
        let offset = self.offset(address, len)?;
        let pages = offset / PAGE as usize..(offset + len as usize).div_ceil(PAGE as usize);
        for page in &mut self.marks[pages] {
            *page |= mark::CHANGED | mark::USED;
        }
        Some(&mut self.bytes_mut()[offset..offset + len as usize])
    }

    /// A little-endian number of `N` bytes at `offset`; `offset` comes from [`Memory::offset`].
    #[inline]
    pub(crate) fn get<const N: usize>(&self, offset: usize) -> u64 {
        let mut word = [0; 8];
        word[..N].copy_from_slice(&self.bytes()[offset..offset + N]);
        u64::from_le_bytes(word)
    }

    /// Writes the low `N` bytes of `value` at `offset` and marks the page; no code may be decoded there.
    #[inline]
    pub(crate) fn set<const N: usize>(&mut self, offset: usize, value: u64) {
        self.marks[offset / PAGE as usize] |= mark::CHANGED | mark::USED;
        self.bytes_mut()[offset..offset + N].copy_from_slice(&value.to_le_bytes()[..N]);
    }

    /// The host's address of the byte at `offset`, for the translation caches.
    pub(crate) fn host(&mut self, offset: usize) -> *mut u8 {
        // The whole allocation's provenance, not that of one slice: entries of the caches reach a page each.
        self.pages.start().wrapping_add(offset)
    }

    /// The offset of an address that [`Memory::host`] gave, or of one in the page after it.
    #[inline]
    pub(crate) fn offset_of_host(&self, host: usize) -> usize {
        host.wrapping_sub(self.bytes().as_ptr().addr())
    }

    /// Whether instructions of the page of `offset` are decoded.
    #[inline]
    pub(crate) fn is_code(&self, offset: usize) -> bool {
        self.marks[offset / PAGE as usize] & mark::CODE != 0
    }

    /// Says whether instructions of the page of `offset` are decoded.
    pub(crate) fn set_code(&mut self, offset: usize, code: bool) {
        let mark = &mut self.marks[offset / PAGE as usize];
        *mark = if code { *mark | mark::CODE } else { *mark & !mark::CODE };
    }

    /// The pages (by number from [`BASE`]) that were ever written to, in order.
    pub(crate) fn used(&self) -> impl Iterator<Item = u64> + '_ {
        self.marks.iter().zip(0..).filter(|(mark, _)| *mark & mark::USED != 0).map(|(_, page)| page)
    }

    /// The pages (by number from [`BASE`]) that may have changed since the last call, in order.
    pub(crate) fn take_changed(&mut self) -> Vec<u64> {
        let mut changed = Vec::new();
        for (page, mark) in self.marks.iter_mut().enumerate() {
            if *mark & mark::CHANGED != 0 {
                *mark = *mark & !mark::CHANGED | mark::UNSETTLED;
                changed.push(page as u64);
            }
        }
        changed
    }

    /// Makes what it is now what [`Memory::unsettled`] compares with. To be called when nothing is marked as changed.
    pub(crate) fn settle(&mut self) {
        self.marks.iter_mut().for_each(|mark| *mark &= !mark::UNSETTLED);
    }

    /// The pages (by number from [`BASE`]) that may differ from what they were when [`Memory::settle`] was called, in order;
    /// of those marked as changed, the ones that [`Memory::take_changed`] gave.
    pub(crate) fn unsettled(&self) -> impl Iterator<Item = u64> + '_ {
        self.marks.iter().zip(0..).filter(|(mark, _)| *mark & mark::UNSETTLED != 0).map(|(_, page)| page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_outside_are_no_memory() {
        let memory = Memory::new(2 * PAGE).unwrap();
        assert_eq!(memory.offset(BASE, 8), Some(0));
        assert_eq!(memory.offset(BASE + 2 * PAGE - 8, 8), Some(8184));
        assert_eq!(memory.offset(BASE + 2 * PAGE - 7, 8), None);
        assert_eq!(memory.offset(BASE - 1, 1), None);
        assert_eq!(memory.offset(u64::MAX, 8), None);
        assert_eq!(memory.offset(0, u64::MAX), None);
        assert!(Memory::new(1).is_err());
        assert!(Memory::new(!(PAGE - 1)).is_err());
    }

    #[test]
    fn pages_are_unsettled_until_they_are_settled() {
        let mut memory = Memory::new(4 * PAGE).unwrap();
        let changed = |memory: &mut Memory, page: u64| {
            assert!(memory.write(BASE + page * PAGE, &[1]));
            memory.take_changed();
            memory.unsettled().collect::<Vec<_>>()
        };
        assert_eq!(changed(&mut memory, 2), [2]);
        assert_eq!(changed(&mut memory, 0), [0, 2]);
        memory.settle();
        assert_eq!(changed(&mut memory, 3), [3]);
        assert_eq!(memory.used().collect::<Vec<_>>(), [0, 2, 3]);
    }

    #[test]
    fn what_was_written_from_outside_has_changed() {
        let mut memory = Memory::new(4 * PAGE).unwrap();
        assert!(memory.write(BASE + PAGE - 1, &[1, 2]));
        assert!(!memory.write(BASE + 4 * PAGE - 1, &[1, 2]));
        assert_eq!(memory.take_changed(), [0, 1]);
        assert_eq!(memory.take_changed(), []);
    }
}
