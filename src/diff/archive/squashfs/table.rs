//! Metadata of a squashfs image: blocks of up to 8 KiB, each compressed for itself.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
};

use super::super::{Stop, array, bytes};
use super::packing::Compressor;
use crate::diff::Content;

/// Unpacked length of a block of metadata.
const BLOCK: usize = 8192;

/// Unpacked metadata held in memory: that of a million files.
const MAX_TABLES: u64 = 64 << 20;

/// What a block takes besides, in about: there can be as many as an image has bytes.
const OVERHEAD: usize = 256;

/// Says that a block is not compressed.
const STORED: u16 = 0x8000;

/// The metadata of one image. Blocks are unpacked when they are needed, once.
pub(super) struct Tables<'a> {
    content: &'a dyn Content,
    compressor: Compressor,
    blocks: RefCell<HashMap<u64, Rc<Block>>>,
    held: Cell<u64>,
}

struct Block {
    bytes: Vec<u8>,
    /// Where the next one begins.
    next: u64,
}

/// A place in metadata: offset of a block in the image, and a distance into it unpacked.
#[derive(Clone, Copy, Debug)]
pub(super) struct At {
    pub block: u64,
    pub within: usize,
}

impl<'a> Tables<'a> {
    pub fn new(content: &'a dyn Content, compressor: Compressor) -> Self {
        Tables { content, compressor, blocks: RefCell::default(), held: Cell::new(0) }
    }

    fn block(&self, at: u64) -> Result<Rc<Block>, Stop> {
        if let Some(block) = self.blocks.borrow().get(&at) {
            return Ok(block.clone());
        }
        let header = u16::from_le_bytes(array(self.content, at)?);
        let len = u64::from(header & !STORED);
        if len == 0 || len > BLOCK as u64 {
            return Err(Stop::Broken { offset: at, what: "a block of metadata has no length it can have" });
        }
        let packed = bytes(self.content, at + 2, len)?;
        let unpacked = match header & STORED {
            0 => self.compressor.unpack(&packed, BLOCK, at)?,
            _ => packed,
        };
        let held = self.held.get() + (unpacked.len() + OVERHEAD) as u64;
        if held > MAX_TABLES {
            return Err(Stop::Cap { what: "bytes of tables", cap: MAX_TABLES });
        }
        self.held.set(held);
        let block = Rc::new(Block { bytes: unpacked, next: at + 2 + len });
        self.blocks.borrow_mut().insert(at, block.clone());
        Ok(block)
    }

    /// `len` bytes from `at`, across blocks; moves `at` behind them.
    pub fn read(&self, at: &mut At, len: usize) -> Result<Vec<u8>, Stop> {
        let mut out = Vec::new();
        while out.len() < len {
            let block = self.block(at.block)?;
            let rest = block.bytes.get(at.within..).unwrap_or_default();
            if rest.is_empty() {
                if at.within > block.bytes.len() || block.bytes.is_empty() {
                    return Err(Stop::Broken {
                        offset: at.block,
                        what: "a place behind the end of its block",
                    });
                }
                *at = At { block: block.next, within: 0 };
                continue;
            }
            let part = &rest[..rest.len().min(len - out.len())];
            out.extend_from_slice(part);
            at.within += part.len();
        }
        Ok(out)
    }

    pub fn array<const N: usize>(&self, at: &mut At) -> Result<[u8; N], Stop> {
        let offset = at.block;
        let read = self.read(at, N)?;
        read.try_into().map_err(|_| Stop::Broken { offset, what: "a table that is too short" })
    }

    /// Entry `index` of a table of entries of `N` bytes, whose blocks are listed at `list`.
    pub fn entry<const N: usize>(&self, list: u64, index: u64) -> Result<[u8; N], Stop> {
        let start = index * N as u64;
        let pointer = list.saturating_add(start / BLOCK as u64 * 8);
        let block = u64::from_le_bytes(array(self.content, pointer)?);
        self.array(&mut At { block, within: (start % BLOCK as u64) as usize })
    }
}
