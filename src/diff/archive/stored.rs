//! Members whose contents lie in many blocks, each packed for itself.

use super::{Member, Stop};
use sha2::{Digest as _, Sha256};

use crate::diff::{Content, Pair, ReadError, Side, Window, bytes, limits::Effort, unpack::Unpacked};

/// Bytes of one block that are hashed; blocks are not larger.
const MAX_HASHED: u64 = 1 << 20;

/// Offset and length of a block, and the word that says how it is packed.
pub(super) type Block = (u64, u64, u32);

/// How an archive's members are stored in blocks.
pub(super) trait Stored {
    /// Where the contents of a member lie.
    fn blocks(&self, member: &Member) -> Result<Blocks, Stop>;
    /// Unpacks them.
    fn unpack<'e>(&self, blocks: &Blocks, effort: &'e Effort<'_>) -> Result<Unpacked<'e>, Stop>;
}

/// Contents in blocks.
#[derive(Default)]
pub(super) struct Blocks {
    /// What they are packed by, in the format's own numbers, and how many bytes at a time.
    pub packing: (u16, u64),
    /// Length unpacked.
    pub size: u64,
    /// In their order.
    pub list: Vec<Block>,
    /// The last block holds the ends of several members: where in it that of this one begins.
    pub within: Option<u32>,
}

impl Blocks {
    /// Whether the same contents in other bytes were packed by another encoder: the settings are the same, and there are
    /// blocks that hold nothing else.
    pub fn comparable(&self, other: &Blocks) -> bool {
        self.packing == other.packing && self.whole().len() == other.whole().len()
    }

    /// The blocks that hold nothing of other members.
    fn whole(&self) -> &[Block] {
        &self.list[..self.list.len() - usize::from(self.within.is_some())]
    }

    /// Length as they are packed.
    pub fn packed(&self) -> u64 {
        self.list.iter().map(|(_, len, _)| len).sum()
    }
}

/// Whether the blocks of two sides are the same bytes, packed alike: their contents are equal then. Comparing them is
/// work that is counted, since several members may have the same blocks.
pub(super) fn same(
    files: Pair<&dyn Content>,
    blocks: Pair<&Blocks>,
    effort: &Effort<'_>,
) -> Result<bool, ReadError> {
    let (a, b) = (blocks.a, blocks.b);
    let alike = (a.packing, a.size, a.within) == (b.packing, b.size, b.within);
    Ok(alike && same_list(files, Pair::new(&a.list, &b.list), effort)?)
}

/// The same of the blocks that hold nothing of other members.
pub(super) fn same_whole(
    files: Pair<&dyn Content>,
    blocks: Pair<&Blocks>,
    effort: &Effort<'_>,
) -> Result<bool, ReadError> {
    same_list(files, blocks.map(Blocks::whole), effort)
}

fn same_list(
    files: Pair<&dyn Content>,
    lists: Pair<&[Block]>,
    effort: &Effort<'_>,
) -> Result<bool, ReadError> {
    let packed = lists.a.iter().map(|(_, len, _)| len).sum();
    if lists.a.len() != lists.b.len() || effort.hold().more(packed).is_err() {
        return Ok(false);
    }
    for ((at_a, len_a, word_a), (at_b, len_b, word_b)) in lists.a.iter().zip(lists.b) {
        let windows = Pair::new(Window::new(files.a, *at_a, *len_a), Window::new(files.b, *at_b, *len_b));
        if word_a != word_b || !bytes::equal(windows)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A hash of the blocks as they are packed, of as many as may be looked at.
pub(super) fn hash(
    side: Side,
    file: &dyn Content,
    blocks: &Blocks,
    effort: &Effort<'_>,
) -> Result<Vec<u8>, ReadError> {
    let (mut hash, mut buffer) = (Sha256::new(), Vec::new());
    for (at, len, word) in blocks.list.iter().take_while(|(at, ..)| *at <= file.len()) {
        if effort.hold().more(*len).is_err() {
            break;
        }
        let window = Window::new(file, *at, (*len).min(MAX_HASHED));
        let bytes = window.bytes(window.start(), window.end(), &mut buffer);
        hash.update(bytes.map_err(bytes::failed(side, *at))?);
        hash.update(word.to_le_bytes());
    }
    Ok(hash.finalize().to_vec())
}
