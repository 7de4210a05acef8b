//! The machine's whole state, and one hash that commits to it.
//!
//! `docs/state-tree.md` says the same for people who want to compute it themselves. A state is a page of registers
//! and the pages of memory:
//!
//! * a leaf is SHA-256 over a byte 0 and the 4096 bytes of a page; an inner node is SHA-256 over a byte 1 and its two
//!   children (as RFC 6962 does it);
//! * the memory's tree is perfect: the pages of memory in order, then pages of zeros up to the next power of two;
//! * the root is the inner node of the leaf of registers and the memory's root.
//!
//! Only pages that changed are hashed again.

use sha2::{Digest, Sha256};

use crate::csr::Mode;
use crate::hart::{Firmware, Hart, Stop};
use crate::memory::{Memory, PAGE};
use crate::sbi::Reset;

/// A SHA-256.
pub type Hash = [u8; 32];

/// 64-bit words of the page of registers.
const WORDS: usize = (PAGE / 8) as usize;

/// The first word of the page of registers: which layout it has.
const LAYOUT: u64 = u64::from_le_bytes(*b"rprvst01");

/// The hash of a page.
fn leaf(page: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(page).finalize().into()
}

/// The hash of an inner node.
fn node(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// The tree over memory, as far as it is not all zeros.
pub(crate) struct Tree {
    /// The levels, leaves first; the last has one node.
    levels: Vec<Level>,
}

/// Nodes of one height.
struct Level {
    /// The hash of a node below which there are only zeros.
    zero: Hash,
    /// The nodes; one that was never set stands as [`UNSET`] and means `zero`.
    nodes: Vec<Halves>,
}

/// A hash in two: the allocator hands out zeros for many of these untouched, as it does not for arrays of 32 bytes.
type Halves = [[u8; 16]; 2];

/// A node that was never set.
const UNSET: Halves = [[0; 16]; 2];

impl Level {
    fn get(&self, index: usize) -> Hash {
        match self.nodes.get(index) {
            Some(halves) if *halves != UNSET => std::array::from_fn(|i| halves[i / 16][i % 16]),
            _ => self.zero,
        }
    }

    fn set(&mut self, index: usize, hash: &Hash) {
        if let Some(halves) = self.nodes.get_mut(index) {
            halves.as_flattened_mut().copy_from_slice(hash);
        }
    }
}

impl Tree {
    /// The tree of `pages` pages of zeros.
    pub fn new(pages: u64) -> Tree {
        let mut levels = Vec::new();
        let mut count = (pages.max(1) as usize).next_power_of_two();
        let mut zero = leaf(&[0; PAGE as usize]);
        loop {
            levels.push(Level { zero, nodes: vec![UNSET; count] });
            if count == 1 {
                return Tree { levels };
            }
            count /= 2;
            zero = node(&zero, &zero);
        }
    }

    /// Takes up what changed in `memory`, and gives the root.
    pub fn update(&mut self, memory: &mut Memory) -> Hash {
        let mut changed = memory.take_changed();
        for page in &changed {
            let start = (page * PAGE) as usize;
            let hash = leaf(&memory.bytes()[start..start + PAGE as usize]);
            self.levels[0].set(*page as usize, &hash);
        }
        for height in 1..self.levels.len() {
            changed.iter_mut().for_each(|index| *index /= 2);
            changed.dedup();
            let (below, here) = self.levels.split_at_mut(height);
            let below = &below[height - 1];
            for index in &changed {
                let index = *index as usize;
                here[0].set(index, &node(&below.get(2 * index), &below.get(2 * index + 1)));
            }
        }
        self.levels.last().map_or([0; 32], |top| top.get(0))
    }
}

/// What goes over the words of a state, to write or to read them.
trait Visitor {
    fn word(&mut self, word: &mut u64);

    fn narrow<T: Copy + TryFrom<u64> + Into<u64>>(&mut self, value: &mut T) {
        let mut word = (*value).into();
        self.word(&mut word);
        if let Ok(new) = T::try_from(word) {
            *value = new;
        }
    }

    fn flag(&mut self, flag: &mut bool) {
        let mut word = u64::from(*flag);
        self.word(&mut word);
        *flag = word != 0;
    }
}

/// Writes words to a page.
struct Writer {
    words: Vec<u64>,
}

impl Visitor for Writer {
    fn word(&mut self, word: &mut u64) {
        self.words.push(*word);
    }
}

/// Reads words from a page.
struct Reader<'a> {
    words: std::slice::Iter<'a, u64>,
}

impl Visitor for Reader<'_> {
    fn word(&mut self, word: &mut u64) {
        *word = self.words.next().copied().unwrap_or(0);
    }
}

/// Every word of a state outside memory, in order. The one place that says what a state is.
fn visit(hart: &mut Hart, visitor: &mut impl Visitor) {
    visitor.narrow(&mut hart.clock.rate);
    visitor.word(&mut hart.pc);
    for i in 0..32 {
        visitor.word(&mut hart.x[i]);
    }
    hart.f.iter_mut().for_each(|f| visitor.word(f));

    let csr = &mut hart.csr;
    let mut mode = csr.mode as u64;
    visitor.word(&mut mode);
    csr.mode = Mode::of(mode);
    visitor.narrow(&mut csr.fflags);
    visitor.narrow(&mut csr.frm);
    for word in [
        &mut csr.mstatus,
        &mut csr.mip,
        &mut csr.mie,
        &mut csr.medeleg,
        &mut csr.mideleg,
        &mut csr.mtvec,
        &mut csr.mscratch,
        &mut csr.mepc,
        &mut csr.mcause,
        &mut csr.mtval,
        &mut csr.mcounteren,
        &mut csr.menvcfg,
        &mut csr.mcountinhibit,
        &mut csr.cycle_offset,
        &mut csr.instret_offset,
        &mut csr.stvec,
        &mut csr.sscratch,
        &mut csr.sepc,
        &mut csr.scause,
        &mut csr.stval,
        &mut csr.scounteren,
        &mut csr.senvcfg,
        &mut csr.satp,
    ] {
        visitor.word(word);
    }
    let mut pmp = csr.pmp.registers();
    pmp.iter_mut().for_each(|word| visitor.word(word));
    csr.pmp.restore(&pmp);

    let mut reservation = hart.reservation.unwrap_or(u64::MAX);
    visitor.word(&mut reservation);
    hart.reservation = (reservation != u64::MAX).then_some(reservation);

    let clock = &mut hart.clock;
    for word in [&mut clock.steps, &mut clock.traps, &mut clock.idle, &mut clock.deadline, &mut clock.flushed]
    {
        visitor.word(word);
    }

    let uart = &mut hart.devices.uart;
    visitor.narrow(&mut uart.divisor);
    for register in [&mut uart.enable, &mut uart.buffers, &mut uart.line, &mut uart.modem, &mut uart.scratch]
    {
        visitor.narrow(register);
    }
    visitor.flag(&mut uart.news);
    visitor.word(&mut uart.written);
    let plic = &mut hart.devices.plic;
    visitor.narrow(&mut plic.priority);
    visitor.flag(&mut plic.enabled);
    visitor.narrow(&mut plic.threshold);
    visitor.flag(&mut plic.claimed);
    let mut software = hart.devices.clint.as_ref().is_some_and(|clint| clint.software);
    visitor.flag(&mut software);
    if let Some(clint) = &mut hart.devices.clint {
        clint.software = software;
    }
    let mut stop = stop_word(hart.devices.stop);
    visitor.word(&mut stop);
    hart.devices.stop = stop_of(stop);
    visitor.flag(&mut hart.waiting);
}

/// How the machine stopped, as a word: 0 when it has not.
fn stop_word(stop: Option<Stop>) -> u64 {
    match stop {
        Some(Stop::PoweredOff { reset: Reset::Shutdown }) => 1,
        Some(Stop::PoweredOff { reset: Reset::Failure }) => 2,
        Some(Stop::PoweredOff { reset: Reset::Reboot }) => 3,
        Some(Stop::Stuck) => 4,
        None | Some(Stop::Reached | Stop::Marked) => 0,
    }
}

fn stop_of(word: u64) -> Option<Stop> {
    match word {
        1 => Some(Stop::PoweredOff { reset: Reset::Shutdown }),
        2 => Some(Stop::PoweredOff { reset: Reset::Failure }),
        3 => Some(Stop::PoweredOff { reset: Reset::Reboot }),
        4 => Some(Stop::Stuck),
        _ => None,
    }
}

/// The page of registers.
pub(crate) fn registers(hart: &mut Hart) -> Vec<u8> {
    let firmware = u64::from(hart.firmware == Firmware::Guest);
    let mut writer = Writer { words: vec![LAYOUT, hart.memory.len(), firmware] };
    visit(hart, &mut writer);
    debug_assert!(writer.words.len() <= WORDS);
    writer.words.resize(WORDS, 0);
    writer.words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// The words of a page of registers.
fn words(page: &[u8]) -> Vec<u64> {
    page.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word)).collect()
}

/// Bytes of memory and firmware of the machine whose page of registers `page` is; why it is none's.
pub(crate) fn kind(page: &[u8]) -> Result<(u64, Firmware), String> {
    let words = words(page);
    match words[..] {
        [LAYOUT, memory, 0, ..] if words.len() == WORDS => Ok((memory, Firmware::Machine)),
        [LAYOUT, memory, 1, ..] if words.len() == WORDS => Ok((memory, Firmware::Guest)),
        _ => Err("it has no page of registers that this version knows".to_owned()),
    }
}

/// Takes the registers from `page`; why it is not one for this machine.
pub(crate) fn restore(hart: &mut Hart, page: &[u8]) -> Result<(), String> {
    let (memory, firmware) = kind(page)?;
    if memory != hart.memory.len() {
        return Err(format!("it is of a machine with {memory} bytes of memory"));
    }
    if firmware != hart.firmware {
        return Err("it is of a machine with other firmware".to_owned());
    }
    visit(hart, &mut Reader { words: words(page)[3..].iter() });
    // A word that does not come back was none of a machine's; nor are those that come back and mean nothing.
    if registers(hart) != page || !hart.is_sound() {
        return Err("it has registers that no machine can have".to_owned());
    }
    Ok(())
}

/// The root of the whole state.
pub(crate) fn root(hart: &mut Hart, tree: &mut Tree) -> Hash {
    // Pages are marked as changed when they come into the caches: what is still in them must be marked again.
    hart.guard_changes();
    let memory = tree.update(&mut hart.memory);
    node(&leaf(&registers(hart)), &memory)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::BASE;

    /// The root of memory as the documentation says it, by recursion over all of it.
    fn naive(memory: &[u8]) -> Hash {
        fn tree(leaves: &[Hash]) -> Hash {
            match leaves {
                [one] => *one,
                more => node(&tree(&more[..more.len() / 2]), &tree(&more[more.len() / 2..])),
            }
        }
        let mut leaves: Vec<Hash> = memory.chunks(PAGE as usize).map(leaf).collect();
        leaves.resize(leaves.len().next_power_of_two(), leaf(&[0; PAGE as usize]));
        tree(&leaves)
    }

    #[test]
    fn the_root_of_changed_pages_is_the_root_of_all() {
        let mut memory = Memory::new(11 * PAGE).unwrap();
        let mut tree = Tree::new(11);
        assert_eq!(tree.update(&mut memory), naive(memory.bytes()), "zeros");
        for (page, byte) in [(0, 1), (10, 2), (5, 3), (10, 0), (4, 9)] {
            assert!(memory.write(BASE + page * PAGE + 77, &[byte]));
            assert_eq!(tree.update(&mut memory), naive(memory.bytes()), "page {page}");
        }
        assert_eq!(tree.update(&mut memory), naive(memory.bytes()), "nothing changed");
    }

    #[test]
    fn registers_come_back_as_they_were() {
        let machine = || {
            let memory = Memory::new(4 * PAGE).unwrap();
            Hart::new(memory, crate::clock::Clock::new(1), Firmware::Machine)
        };
        let mut page: Vec<u8> = registers(&mut machine());
        let words = page.as_chunks_mut::<8>().0;
        // Every word that is a plain register may have any value.
        for (i, word) in words.iter_mut().enumerate().skip(4).take(65).filter(|(i, _)| *i != 5) {
            *word = (0x2222_2222_2222_2222 * (i as u64 % 7 + 1)).to_le_bytes();
        }
        let mut hart = machine();
        restore(&mut hart, &page).unwrap();
        assert_eq!(registers(&mut hart), page);
        for (word, value) in [(3, 7), (3, 300), (4, 1), (5, 1), (69, 2), (70, 32), (71, 8), (94, 9 << 60)] {
            let mut page = page.clone();
            page.as_chunks_mut::<8>().0[word] = u64::to_le_bytes(value);
            assert!(restore(&mut machine(), &page).is_err(), "word {word} is {value:#x}");
        }
        assert!(restore(&mut hart, &page[..4088]).is_err());
        page[8] ^= 1;
        assert!(restore(&mut hart, &page).unwrap_err().contains("memory"));
    }
}
