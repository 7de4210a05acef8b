//! From an address to the block that begins there: finding, decoding, keeping and forgetting.

use crate::block::{Header, Jump, LONGEST};
use crate::compressed;
use crate::decode::{self, After, Instruction};
use crate::fuse;
use crate::hart::Hart;
use crate::memory::PAGE;
use crate::native::{self, Contents, Meaning};
use crate::op::Op;
use crate::pmp::Access;
use crate::tlb::Tlb;
use crate::trap::{Cause, Trap};

impl Hart {
    /// Where in memory the instruction at `pc` begins; its page is in the cache afterwards.
    fn fetch(&mut self, pc: u64) -> Result<usize, Trap> {
        let entry = self.code_tlb().code[Tlb::code_index(pc)];
        if entry.tag == Tlb::tag(pc, 1) {
            return Ok(entry.offset + (pc & (PAGE - 1)) as usize);
        }
        let mode = self.csr.mode;
        let target = self.translate(pc, Access::Execute, mode)?;
        let refused = Trap::new(Cause::InstructionAccess, pc);
        let offset = self.memory.offset(target.physical, 2).ok_or(refused)?;
        self.code_tlb().note_size(pc, target.level);
        let page = offset & !(PAGE as usize - 1);
        let table = self.blocks.table(page);
        self.code_tlb().set_code(pc, page, table);
        Ok(offset)
    }

    /// The block at `pc`.
    pub(crate) fn block_at(&mut self, pc: u64) -> Result<*const Header, Trap> {
        let offset = self.fetch(pc)?;
        // SAFETY: `fetch` has put the page in the cache; the table it has there lives until it is forgotten there.
        let header =
            unsafe { (*self.code_tlb().code[Tlb::code_index(pc)].blocks)[(pc & (PAGE - 1)) as usize / 2] };
        if !header.is_null() {
            return Ok(header);
        }
        if !self.blocks.has_room() {
            self.forget_all_code();
        }
        let mut second = None;
        if offset % PAGE as usize == PAGE as usize - 2 && self.memory.get::<2>(offset) & 3 == 3 {
            let at = self.fetch(pc.wrapping_add(2))?;
            second = Some(self.memory.get::<2>(at) as u16);
        }
        let page = offset & !(PAGE as usize - 1);
        if !self.memory.is_code(page) {
            // From here on stores to it must be seen.
            let host = self.memory.host(page);
            self.each_tlb(|tlb| tlb.guard(host));
            let table = self.blocks.add_table(page, &mut self.memory);
            self.each_tlb(|tlb| tlb.set_blocks(page, table));
        }
        let header = self.decode(offset, LONGEST, second);
        self.blocks.insert(offset, header);
        Ok(header)
    }

    /// A block of at most `limit` instructions at `pc`, of which the whole block is known. Not kept.
    pub(crate) fn partial_block(&mut self, limit: usize) -> *const Header {
        if !self.blocks.has_room() {
            self.forget_all_code();
        }
        match self.fetch(self.pc) {
            Ok(offset) => self.decode(offset, limit, None),
            Err(_) => self.block, // the page was in the cache just now
        }
    }

    /// Whether the page of `pc`, which is its first half word, is in the cache and begins with `half`.
    #[inline(never)]
    pub(crate) fn second_half_is(&mut self, pc: u64, half: u16) -> bool {
        let entry = self.code_tlb().code[Tlb::code_index(pc)];
        let known = entry.tag == Tlb::tag(pc, 1);
        known && self.memory.get::<2>(entry.offset + (pc & (PAGE - 1)) as usize) == u64::from(half)
    }

    /// Forgets the block of the instruction at `pc`, which reaches into the next page.
    pub(crate) fn refresh_straddle(&mut self) {
        if let Ok(offset) = self.fetch(self.pc) {
            self.blocks.insert(offset, std::ptr::null());
            Jump::forget(&mut self.jumps[..], offset as u64);
        }
    }

    /// Decodes a block of at most `limit` instructions at `offset`. `second` is the half word after the page.
    fn decode(&mut self, offset: usize, limit: usize, second: Option<u16>) -> *const Header {
        // A part of a block is run once.
        let translates = limit == LONGEST && self.blocks.translates();
        let begin = offset;
        let end = (offset / PAGE as usize + 1) * PAGE as usize;
        let mut contents = Contents::new();
        let mut writer = self.blocks.write((offset / PAGE as usize) as u32);
        let mut offset = offset;
        let mut at = 0u8;
        let mut before: Option<Instruction> = None;
        let mut after = After::Next;
        while after == After::Next && writer.count() < limit && offset < end {
            let half = self.memory.get::<2>(offset) as u16;
            let len: u8 = if half & 3 == 3 { 4 } else { 2 };
            let word = if len == 2 {
                compressed::expand(half)
            } else if end - offset >= 4 {
                Some(self.memory.get::<4>(offset) as u32)
            } else if writer.count() == 0
                && let Some(second) = second
            {
                writer.op(decode::second_half(second));
                contents.push(Meaning::Itself);
                if translates {
                    writer.op(native::resume(at));
                    contents.push(Meaning::Resume);
                }
                Some(u32::from(half) | u32::from(second) << 16)
            } else {
                break;
            };
            writer.instruction(at);
            let here = word.map(|word| Instruction { word, at, next: at + len / 2 });
            let pair = before.zip(here).filter(|_| limit == LONGEST);
            let fused = pair.and_then(|(first, second)| Some((first, second, fuse::fuse(first, second)?)));
            if let Some((first, second, (op, then))) = fused {
                writer.replace(op);
                contents.replace(native::pair(first, second));
                (before, after) = (None, then);
            } else if let Some((here, (op, then))) = here.and_then(|here| Some((here, here.decode()?))) {
                writer.op(op);
                after = then;
                if native::knows(here) {
                    contents.push(Meaning::One(here));
                    before = Some(here);
                } else {
                    contents.push(Meaning::Itself);
                    if translates && then == After::Next {
                        writer.op(native::resume(here.next));
                        contents.push(Meaning::Resume);
                    }
                    before = None;
                }
            } else {
                let bits = word.unwrap_or(u32::from(half));
                writer.op(decode::illegal(bits, at));
                contents.push(Meaning::Itself);
                after = After::Leaves;
            }
            offset += usize::from(len);
            at += len / 2;
        }
        if after == After::Next {
            writer.op(decode::fall(at));
            contents.push(Meaning::Fall);
        }
        if after != After::Leaves {
            writer.links();
        }
        let header = writer.finish();
        if translates {
            self.blocks.translate(header, begin as u64 % PAGE, &contents);
        }
        header
    }

    /// The bits of the instruction of `op`, for the value of a trap.
    pub(crate) unsafe fn word_at(&mut self, op: *const Op, pc: u64) -> u64 {
        // SAFETY: the caller's operation.
        let pc = unsafe { crate::exec::pc_of(op, pc) };
        let Ok(offset) = self.fetch(pc) else { return 0 };
        self.word(pc).map_or_else(|| self.memory.get::<2>(offset), u64::from)
    }

    /// The bits of the instruction at `pc`, when all of it can be fetched.
    pub(crate) fn word(&mut self, pc: u64) -> Option<u32> {
        let offset = self.fetch(pc).ok()?;
        let low = self.memory.get::<2>(offset) as u32;
        if low & 3 != 3 {
            return Some(low);
        }
        let offset = self.fetch(pc.wrapping_add(2)).ok()?;
        Some(low | (self.memory.get::<2>(offset) as u32) << 16)
    }

    /// Forgets the blocks of the page at `offset`.
    pub(crate) fn forget_code(&mut self, offset: usize) {
        self.changed = true;
        self.blocks.forget(offset, &mut self.memory);
        let page = offset & !(PAGE as usize - 1);
        Jump::forget_page(&mut self.jumps[..], (page / PAGE as usize) as u64);
        self.each_tlb(|tlb| tlb.forget_blocks(Some(page)));
    }

    /// Whether blocks are run as code of the host, where that can be, or by their operations alone. It is the same run.
    pub(crate) fn set_translates(&mut self, translates: bool) {
        self.forget_all_code();
        self.blocks.set_translates(translates);
    }

    /// Forgets all blocks.
    pub(crate) fn forget_all_code(&mut self) {
        self.blocks.clear(&mut self.memory);
        self.jumps.fill(Jump::NONE);
        self.each_tlb(|tlb| tlb.forget_blocks(None));
    }
}
