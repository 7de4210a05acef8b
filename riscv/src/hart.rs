//! The hart: its registers, and the loop that runs blocks and does what blocks cannot.

use crate::block::{Blocks, Header, Jump, LONGEST};
use crate::clock::Clock;
use crate::compressed;
use crate::csr::{Csr, Effect, Mode, Now, status};
use crate::decode::{self, After, Instruction};
use crate::device::Devices;
use crate::fuse;
use crate::memory::{Memory, PAGE};
use crate::op::Op;
use crate::pmp::Access;
use crate::sbi;
use crate::tlb::{Context, Tlb};
use crate::translate::{Target, translate};
use crate::trap::{Cause, Trap, interrupt};

/// Why a block went back to the loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// To find the block at `pc`.
    Look,
    /// Something changed that interrupts or devices depend on; then as above.
    Check,
    /// The instruction at `pc` raised [`Hart::trap`].
    Trap,
    /// The instruction at `pc` is [`Hart::word`], which only the loop can run.
    System,
    /// The instruction at `pc` reaches into a page that is not known or not what it was.
    Straddle,
}

/// Why [`Hart::run`] came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The clock reached the step it was to run to.
    Reached,
    /// The guest switched the machine off; why, as it said to the firmware.
    PoweredOff {
        /// What it asked for.
        reset: sbi::Reset,
    },
    /// The guest waits for an interrupt that can never come.
    Stuck,
    /// The mark that was looked for stands on the console (see [`crate::Machine::stop_at_mark`]).
    Marked,
}

/// Whether the machine itself is the firmware of its guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firmware {
    /// Calls from supervisor mode are answered by the machine ([`crate::sbi`]).
    Machine,
    /// The guest brings its own, in machine mode.
    Guest,
}

/// Where an access to data goes.
enum Place {
    /// To memory, at this offset.
    Memory(usize),
    /// To a device, at this physical address.
    Device(u64),
}

/// How often the caches of translations are emptied, in steps, as a power of two.
///
/// A guest that changes its page tables and does not say so can see what a cache still holds. So that a run from a stored
/// state sees the same as one that went through it, a state is stored only when the caches are empty.
pub const FLUSH_INTERVAL: u32 = 24;

/// A hart and all it reaches.
pub(crate) struct Hart {
    /// Integer registers, and in [`crate::op::SINK`] what was written to `x0`. As long as a byte can index.
    pub x: [u64; 256],
    /// Floating-point registers.
    pub f: [u64; 32],
    pub pc: u64,
    pub csr: Csr,
    pub clock: Clock,
    /// The physical address that is reserved; none when there is no reservation.
    pub reservation: Option<u64>,
    /// Whether a `wfi` was run and nothing has ended its waiting yet.
    pub waiting: bool,
    pub memory: Memory,
    pub devices: Devices,
    pub firmware: Firmware,

    // What blocks and the loop tell each other.
    /// Whether an access to data changed something that the rest of its block must not be run without looking at:
    /// decoded code was forgotten, or a device was read.
    changed: bool,
    /// Steps left until something else is due.
    pub left: i64,
    /// Steps there were when the loop last let blocks run.
    given: i64,
    pub block: *const Header,
    pub exit: Exit,
    pub trap: Trap,
    pub word: u32,
    /// The caches of translations in use, in `tlbs`.
    pub data: *const Tlb,
    pub code: *const Tlb,

    /// Where jumps went: all of them together take less room than the tables of the pages they went to.
    pub jumps: Box<[Jump; Jump::MOST]>,

    tlbs: *mut [Tlb; Context::COUNT],
    blocks: Blocks,
}

// SAFETY: the pointers lead to what the hart itself owns, and nothing else has them.
unsafe impl Send for Hart {}

impl Drop for Hart {
    fn drop(&mut self) {
        // SAFETY: the box was made in `new` and nothing else frees it.
        drop(unsafe { Box::from_raw(self.tlbs) });
    }
}

impl Hart {
    pub fn new(memory: Memory, clock: Clock, firmware: Firmware) -> Hart {
        let tlbs: Box<[Tlb; Context::COUNT]> = Box::new(std::array::from_fn(|_| Tlb::new()));
        let tlbs = Box::into_raw(tlbs);
        let mut hart = Hart {
            x: [0; 256],
            f: [0; 32],
            pc: 0,
            csr: if firmware == Firmware::Machine { Csr::supervisor() } else { Csr::reset() },
            clock,
            reservation: None,
            waiting: false,
            memory,
            devices: Devices::new(firmware == Firmware::Guest),
            firmware,
            changed: false,
            left: 0,
            given: 0,
            block: std::ptr::null(),
            exit: Exit::Look,
            trap: Trap::new(Cause::IllegalInstruction, 0),
            word: 0,
            data: tlbs.cast(),
            code: tlbs.cast(),
            jumps: Box::new([Jump::NONE; Jump::MOST]),
            tlbs,
            blocks: Blocks::new(),
        };
        hart.choose_context();
        hart
    }

    /// To be called when registers were set from outside.
    pub fn restored(&mut self) {
        self.flush();
        self.choose_context();
    }

    /// Whether its registers, which may have come from anywhere, are such as it can have.
    pub fn is_sound(&self) -> bool {
        self.x[0] == 0 && self.pc & 1 == 0 && self.csr.is_sound() && self.clock.is_sound()
    }

    /// The memory alone.
    pub fn into_memory(mut self) -> Memory {
        self.forget_all_code();
        std::mem::replace(&mut self.memory, Memory::empty())
    }

    /// Runs until the clock reads `until`, or the machine stops by itself.
    pub fn run(&mut self, until: u64) -> Stop {
        // So far from overflow that nothing below need think of it.
        let until = until.min(crate::clock::LONGEST);
        loop {
            if let Some(stop) = self.devices.stop() {
                return stop;
            }
            if self.clock.pass_flush() {
                self.flush();
            }
            self.update_interrupts();
            if self.waiting {
                let Some(stop) = self.wait(until) else { continue };
                // The wait may have gone on into another interval, which is part of the state.
                if self.clock.pass_flush() {
                    self.flush();
                }
                return stop;
            }
            if let Some(bit) = self.csr.pending_interrupt() {
                let code = u64::from(bit.trailing_zeros());
                self.pc = self.csr.enter(code, true, 0, self.pc);
                self.choose_context();
            }
            let due = self.clock.due(until);
            if due <= self.clock.now() {
                return Stop::Reached;
            }
            self.given = (due - self.clock.now()) as i64;
            self.left = self.given;
            self.run_blocks();
            self.clock.advance((self.given - self.left) as u64);
            match self.exit {
                Exit::Look | Exit::Check | Exit::Straddle => {}
                Exit::Trap => self.take(self.trap),
                Exit::System => {
                    if let Err(trap) = self.system() {
                        self.take(trap);
                    }
                }
            }
        }
    }

    /// Runs blocks until the steps are used up or something else is to be done.
    fn run_blocks(&mut self) {
        while self.left > 0 {
            let header = match self.block_at(self.pc) {
                Ok(header) => header,
                Err(trap) => {
                    (self.trap, self.exit) = (trap, Exit::Trap);
                    return;
                }
            };
            // SAFETY: the block was just found in the arena.
            let count = i64::from(unsafe { (*header).count });
            let header = if count <= self.left { header } else { self.partial_block(self.left as usize) };
            self.block = header;
            let pc = self.pc;
            // SAFETY: a block's first operation is followed by its others, each of which is run as it expects.
            unsafe {
                let count = i64::from((*header).count);
                let op = Header::first(header);
                ((*op).run)(self, op, self.left - count, pc);
            }
            if self.exit == Exit::Straddle {
                self.exit = Exit::Look;
                self.refresh_straddle();
            }
            if self.exit != Exit::Look {
                return;
            }
        }
        self.exit = Exit::Look;
    }

    /// An exception: the step is spent, the instruction is not retired.
    fn take(&mut self, trap: Trap) {
        self.clock.trap();
        self.pc = self.csr.enter(trap.cause as u64, false, trap.value, self.pc);
        self.choose_context();
    }

    /// What the registers must know of the present, in the loop.
    fn now(&self) -> Now {
        Now { clock: self.clock.now(), retired: self.clock.retired(), time: self.clock.time() }
    }

    /// Sets the bits of `mip` that timer and devices set.
    fn update_interrupts(&mut self) {
        let mut set = |bit: u64, on: bool| {
            self.csr.mip = if on { self.csr.mip | bit } else { self.csr.mip & !bit };
        };
        match self.firmware {
            Firmware::Machine => {
                set(interrupt::SUPERVISOR_TIMER, self.clock.timer_due());
                set(interrupt::SUPERVISOR_EXTERNAL, self.devices.interrupt());
            }
            Firmware::Guest => {
                set(interrupt::MACHINE_TIMER, self.clock.timer_due());
                set(interrupt::MACHINE_SOFTWARE, self.devices.software_interrupt());
                set(interrupt::MACHINE_EXTERNAL, false);
            }
        }
    }

    // --- instructions only the loop runs --------------------------------------------------------------------------

    fn system(&mut self) -> Result<(), Trap> {
        let word = self.word;
        let illegal = Trap::new(Cause::IllegalInstruction, u64::from(word));
        let next = self.pc.wrapping_add(4);
        if word >> 12 & 7 != 0 {
            self.register_instruction(word).ok_or(illegal)?;
            self.pc = next;
            self.clock.advance(1);
            return Ok(());
        }
        let tsr = self.csr.mstatus & status::TSR != 0;
        match word {
            0x0000_0073 => {
                let cause = match self.csr.mode {
                    Mode::User => Cause::CallFromUser,
                    Mode::Supervisor if self.firmware == Firmware::Machine => {
                        self.pc = next;
                        self.clock.advance(1);
                        sbi::call(self);
                        return Ok(());
                    }
                    Mode::Supervisor => Cause::CallFromSupervisor,
                    Mode::Machine => Cause::CallFromMachine,
                };
                return Err(Trap::new(cause, 0));
            }
            0x0010_0073 => return Err(Trap::new(Cause::Breakpoint, self.pc)),
            0x1020_0073 if self.csr.mode == Mode::Machine || self.csr.mode == Mode::Supervisor && !tsr => {
                self.pc = self.csr.supervisor_return();
                self.choose_context();
            }
            0x3020_0073 if self.csr.mode == Mode::Machine => {
                self.pc = self.csr.machine_return();
                self.choose_context();
            }
            0x1050_0073 => {
                let trapped = self.csr.mode == Mode::User
                    || self.csr.mode < Mode::Machine && self.csr.mstatus & status::TW != 0;
                if trapped {
                    return Err(illegal);
                }
                self.pc = next;
                self.waiting = true;
            }
            _ if word & 0xfe00_7fff == 0x1200_0073 => {
                let tvm = self.csr.mstatus & status::TVM != 0;
                if self.csr.mode == Mode::User || self.csr.mode == Mode::Supervisor && tvm {
                    return Err(illegal);
                }
                match word >> 15 & 31 {
                    0 => self.flush(),
                    rs1 => {
                        let address = self.x[rs1 as usize];
                        self.each_tlb(|tlb| tlb.flush_page(address));
                    }
                }
                self.pc = next;
            }
            _ => return Err(illegal),
        }
        self.clock.advance(1);
        Ok(())
    }

    /// After `wfi`: lets the clock jump to the next thing that can happen. Whether the run is over: the clock has come to
    /// `until`, or nothing can ever happen.
    fn wait(&mut self, until: u64) -> Option<Stop> {
        if self.csr.mip & self.csr.mie == 0 {
            match self.clock.timer_step() {
                Some(step) if step > until => {
                    self.clock.idle_to(until);
                    return Some(Stop::Reached);
                }
                Some(step) => self.clock.idle_to(step),
                None => return Some(Stop::Stuck),
            }
        }
        self.waiting = false;
        None
    }

    /// `csrrw` and its kin.
    fn register_instruction(&mut self, word: u32) -> Option<()> {
        self.update_interrupts();
        let number = (word >> 20) as u16;
        let field = (word >> 15 & 31) as usize;
        let operand = if word >> 14 & 1 != 0 { field as u64 } else { self.x[field] };
        let rd = (word >> 7 & 31) as usize;
        let now = self.now();
        let new = match word >> 12 & 3 {
            1 => {
                // Reading may have effects elsewhere; here only the right to read matters, and that is checked by both.
                let old = self.csr.read(number, now).ok()?;
                (old, Some(operand))
            }
            2 => {
                let old = self.csr.read(number, now).ok()?;
                (old, (field != 0).then_some(old | operand))
            }
            _ => {
                let old = self.csr.read(number, now).ok()?;
                (old, (field != 0).then_some(old & !operand))
            }
        };
        let (old, new) = new;
        if let Some(new) = new {
            if self.csr.write(number, new, now).ok()? == Effect::Translation {
                self.flush();
            }
            self.choose_context();
        }
        if rd != 0 {
            self.x[rd] = old;
        }
        Some(())
    }

    // --- floating point ---------------------------------------------------------------------------------------------

    #[inline(always)]
    pub fn set_float(&mut self, rd: u8, value: u64) {
        self.f[rd as usize & 31] = value;
        self.csr.mstatus |= status::FS;
    }

    #[inline(always)]
    pub fn raise_float_flags(&mut self, flags: u8) {
        if flags != 0 {
            self.csr.fflags |= flags;
            self.csr.mstatus |= status::FS;
        }
    }

    // --- translation --------------------------------------------------------------------------------------------------

    fn context(mode: Mode, mstatus: u64) -> Context {
        match mode {
            Mode::User => Context::User,
            Mode::Supervisor if mstatus & status::SUM != 0 => Context::SupervisorAsUser,
            Mode::Supervisor => Context::Supervisor,
            Mode::Machine => Context::Machine,
        }
    }

    /// Chooses the caches for the current mode.
    fn choose_context(&mut self) {
        let base: *mut Tlb = self.tlbs.cast();
        let code = Hart::context(self.csr.mode, self.csr.mstatus);
        let data = Hart::context(self.csr.data_mode(), self.csr.mstatus);
        self.code = base.wrapping_add(code as usize);
        self.data = base.wrapping_add(data as usize);
    }

    fn each_tlb(&mut self, f: impl FnMut(&mut Tlb)) {
        // SAFETY: no reference into the caches is held across a call of anything.
        unsafe { (*self.tlbs).iter_mut().for_each(f) }
    }

    fn data_tlb(&mut self) -> &mut Tlb {
        // SAFETY: as above; `data` always points into `tlbs`.
        unsafe { &mut *self.data.cast_mut() }
    }

    fn code_tlb(&mut self) -> &mut Tlb {
        // SAFETY: as above.
        unsafe { &mut *self.code.cast_mut() }
    }

    /// Empties the caches of translations.
    pub fn flush(&mut self) {
        self.each_tlb(Tlb::flush);
    }

    /// To be called before the marks of changed pages are taken: afterwards the pages that can be written to without
    /// being marked are marked again.
    pub fn guard_changes(&mut self) {
        self.each_tlb(Tlb::guard_all);
    }

    /// The physical address of `address`.
    fn translate(&mut self, address: u64, access: Access, mode: Mode) -> Result<Target, Trap> {
        let mut written = None;
        let target =
            translate(&self.csr, &mut self.memory, address, access, mode, &mut |at| written = Some(at));
        if let Some(at) = written
            && self.memory.is_code(at)
        {
            self.forget_code(at);
        }
        target
    }

    /// Whether an access to data since the last call changed something the loop must look at before the next
    /// instruction.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// Forgets the blocks of the page at `offset`.
    fn forget_code(&mut self, offset: usize) {
        self.changed = true;
        self.blocks.forget(offset, &mut self.memory);
        let page = offset & !(PAGE as usize - 1);
        self.each_tlb(|tlb| tlb.forget_blocks(Some(page)));
    }

    /// Forgets all blocks.
    fn forget_all_code(&mut self) {
        self.blocks.clear(&mut self.memory);
        self.jumps.fill(Jump::NONE);
        self.each_tlb(|tlb| tlb.forget_blocks(None));
    }

    /// Where `size` bytes at the virtual `address`, all in one page, are for `access` to data. What is in the caches of
    /// translations holds; what is not is in them afterwards.
    fn locate(&mut self, address: u64, size: u64, access: Access) -> Result<Place, Trap> {
        if let Some(host) = self.data_tlb().find(address, access) {
            return Ok(Place::Memory(self.memory.offset_of_host(host)));
        }
        let mode = self.csr.data_mode();
        let target = self.translate(address, access, mode)?;
        let Some(offset) = self.memory.offset(target.physical, size) else {
            return Ok(Place::Device(target.physical));
        };
        self.data_tlb().note_size(address, target.level);
        let page = offset & !(PAGE as usize - 1);
        let host = self.memory.host(page);
        if access == Access::Write {
            // The write itself marks the page, and opens the way for the next.
            self.data_tlb().set_write(address, host, true);
        } else {
            self.data_tlb().set_read(address, host);
        }
        Ok(Place::Memory(offset))
    }

    /// Reads `size` bytes at the virtual `address` with everything that can happen on the way; see
    /// [`Hart::take_changed`].
    ///
    /// `left` must be what was left before the instruction.
    pub fn read(&mut self, address: u64, size: u64) -> Result<u64, Trap> {
        if (address & (PAGE - 1)) + size > PAGE {
            // Over the end of a page: byte by byte, when all of them are memory.
            let last = address.wrapping_add(size - 1);
            self.locate_memory(address, 1, Access::Read, Cause::LoadAccess)?;
            self.locate_memory(last & !(PAGE - 1), 1, Access::Read, Cause::LoadAccess)?;
            let mut bytes = [0; 8];
            for (i, byte) in bytes.iter_mut().enumerate().take(size as usize) {
                *byte = self.read(address.wrapping_add(i as u64), 1)? as u8;
            }
            return Ok(u64::from_le_bytes(bytes));
        }
        match self.locate(address, size, Access::Read)? {
            Place::Memory(offset) => Ok(self.get(offset, size)),
            Place::Device(physical) => {
                let mut present = self.clock.clone();
                present.advance((self.given - self.left) as u64);
                let time = present.time();
                self.changed = true;
                let value = self.devices.read(physical, size, &self.clock, time);
                value.ok_or(Trap::new(Cause::LoadAccess, address))
            }
        }
    }

    /// Writes the low `size` bytes of `value` at the virtual `address`. Whether something else changed, so that the loop
    /// must look before the next instruction.
    pub fn write(&mut self, address: u64, size: u64, value: u64) -> Result<bool, Trap> {
        if (address & (PAGE - 1)) + size > PAGE {
            // Over the end of a page: nothing is written unless all can be.
            let last = address.wrapping_add(size - 1);
            self.locate_memory(address, 1, Access::Write, Cause::StoreAccess)?;
            self.locate_memory(last & !(PAGE - 1), 1, Access::Write, Cause::StoreAccess)?;
            let mut changed = false;
            for (i, byte) in value.to_le_bytes().into_iter().enumerate().take(size as usize) {
                changed |= self.write(address.wrapping_add(i as u64), 1, u64::from(byte))?;
            }
            return Ok(changed);
        }
        match self.locate(address, size, Access::Write)? {
            Place::Memory(offset) => {
                if self.memory.is_code(offset) {
                    self.forget_code(offset);
                }
                let host = self.memory.host(offset & !(PAGE as usize - 1));
                self.data_tlb().set_write(address, host, false);
                self.put(offset, size, value);
                Ok(self.take_changed())
            }
            Place::Device(physical) => {
                let written = self.devices.write(physical, size, value, &mut self.clock);
                if written { Ok(true) } else { Err(Trap::new(Cause::StoreAccess, address)) }
            }
        }
    }

    /// Where an access goes that devices do not have: an atomic one, or one over the end of a page. `cause` is what is said
    /// otherwise.
    fn locate_memory(
        &mut self,
        address: u64,
        size: u64,
        access: Access,
        cause: Cause,
    ) -> Result<usize, Trap> {
        match self.locate(address, size, access)? {
            Place::Memory(offset) => Ok(offset),
            Place::Device(_) => Err(Trap::new(cause, address)),
        }
    }

    /// `lr`: reads and reserves.
    pub fn reserve(&mut self, address: u64, size: u64) -> Result<u64, Trap> {
        let offset = self.locate_memory(address, size, Access::Read, Cause::LoadAccess)?;
        self.reservation = Some(crate::memory::BASE + offset as u64);
        Ok(self.get(offset, size))
    }

    /// `sc`: whether it stored, and whether something else changed.
    pub fn store_conditional(&mut self, address: u64, size: u64, value: u64) -> Result<(bool, bool), Trap> {
        let offset = self.locate_memory(address, size, Access::Write, Cause::StoreAccess)?;
        if self.reservation.take() != Some(crate::memory::BASE + offset as u64) {
            return Ok((false, self.take_changed()));
        }
        Ok((true, self.write(address, size, value)?))
    }

    /// An AMO: what was there before, and whether something else changed.
    pub fn modify(&mut self, address: u64, size: u64, f: impl Fn(u64) -> u64) -> Result<(u64, bool), Trap> {
        let offset = self.locate_memory(address, size, Access::Write, Cause::StoreAccess)?;
        let before = self.get(offset, size);
        Ok((before, self.write(address, size, f(before))?))
    }

    fn get(&self, offset: usize, size: u64) -> u64 {
        match size {
            1 => self.memory.get::<1>(offset),
            2 => self.memory.get::<2>(offset),
            4 => self.memory.get::<4>(offset),
            _ => self.memory.get::<8>(offset),
        }
    }

    fn put(&mut self, offset: usize, size: u64, value: u64) {
        match size {
            1 => self.memory.set::<1>(offset, value),
            2 => self.memory.set::<2>(offset, value),
            4 => self.memory.set::<4>(offset, value),
            _ => self.memory.set::<8>(offset, value),
        }
    }

    // --- code -----------------------------------------------------------------------------------------------------------

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
    fn block_at(&mut self, pc: u64) -> Result<*const Header, Trap> {
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
    fn partial_block(&mut self, limit: usize) -> *const Header {
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
    pub fn second_half_is(&mut self, pc: u64, half: u16) -> bool {
        let entry = self.code_tlb().code[Tlb::code_index(pc)];
        let known = entry.tag == Tlb::tag(pc, 1);
        known && self.memory.get::<2>(entry.offset + (pc & (PAGE - 1)) as usize) == u64::from(half)
    }

    /// Forgets the block of the instruction at `pc`, which reaches into the next page.
    fn refresh_straddle(&mut self) {
        if let Ok(offset) = self.fetch(self.pc) {
            self.blocks.insert(offset, std::ptr::null());
        }
    }

    /// Decodes a block of at most `limit` instructions at `offset`. `second` is the half word after the page.
    fn decode(&mut self, offset: usize, limit: usize, second: Option<u16>) -> *const Header {
        let end = (offset / PAGE as usize + 1) * PAGE as usize;
        let mut writer = self.blocks.write((offset / PAGE as usize) as u32);
        let mut offset = offset;
        let mut at = 0u8;
        let mut before: Option<Instruction> = None;
        while writer.count() < limit && offset < end {
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
                Some(u32::from(half) | u32::from(second) << 16)
            } else {
                break;
            };
            writer.instruction(at);
            let here = word.map(|word| Instruction { word, at, next: at + len / 2 });
            let pair = before.zip(here).filter(|_| limit == LONGEST);
            let after = if let Some((op, after)) = pair.and_then(|(first, second)| fuse::fuse(first, second))
            {
                writer.replace(op);
                before = None;
                after
            } else {
                let (op, after) = match here {
                    Some(here) => decode::decode(here),
                    None => (decode::illegal(u32::from(half), at), After::Leaves),
                };
                writer.op(op);
                before = here;
                after
            };
            offset += usize::from(len);
            at += len / 2;
            match after {
                After::Next => {}
                After::Links => {
                    writer.links();
                    return writer.finish();
                }
                After::Leaves => return writer.finish(),
            }
        }
        writer.op(decode::fall(at));
        writer.links();
        writer.finish()
    }

    /// The bits of the instruction of `op`, for the value of a trap.
    pub unsafe fn word_at(&mut self, op: *const Op, pc: u64) -> u64 {
        // SAFETY: the caller's operation.
        let pc = unsafe { crate::exec::pc_of(op, pc) };
        let Ok(offset) = self.fetch(pc) else { return 0 };
        self.word(pc).map_or_else(|| self.memory.get::<2>(offset), u64::from)
    }

    /// The bits of the instruction at `pc`, when all of it can be fetched.
    pub fn word(&mut self, pc: u64) -> Option<u32> {
        let offset = self.fetch(pc).ok()?;
        let low = self.memory.get::<2>(offset) as u32;
        if low & 3 != 3 {
            return Some(low);
        }
        let offset = self.fetch(pc.wrapping_add(2)).ok()?;
        Some(low | (self.memory.get::<2>(offset) as u32) << 16)
    }
}
