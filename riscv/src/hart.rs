//! The hart: its registers, and the loop that runs blocks and does what blocks cannot.

use crate::block::{Blocks, Header, Jump};
use crate::clock::Clock;
use crate::csr::{Csr, Mode, Now, status};
use crate::device::Devices;
use crate::memory::Memory;
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

/// How often the caches of translations are emptied, in steps, as a power of two.
///
/// A guest that changes its page tables and does not say so can see what a cache still holds. So that a run from a stored
/// state sees the same as one that went through it, a state is stored only when the caches are empty.
pub const FLUSH_INTERVAL: u32 = 24;

/// A hart and all it reaches. Translated code finds its fields by their offsets, the registers best at the beginning.
#[repr(C)]
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
    pub changed: bool,
    /// Steps left until something else is due.
    pub left: i64,
    /// Steps there were when the loop last let blocks run.
    pub given: i64,
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
    pub blocks: Blocks,
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
                Exit::Look | Exit::Check => {}
                Exit::Straddle => self.refresh_straddle(),
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
                match (*header).native {
                    Some(native) => native(self, std::ptr::null(), self.left, pc),
                    None => {
                        let op = Header::first(header);
                        ((*op).run)(self, op, self.left - i64::from((*header).count), pc);
                    }
                }
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
    pub(crate) fn now(&self) -> Now {
        Now { clock: self.clock.now(), retired: self.clock.retired(), time: self.clock.time() }
    }

    /// Sets the bits of `mip` that timer and devices set.
    pub(crate) fn update_interrupts(&mut self) {
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

    fn context(mode: Mode, mstatus: u64) -> Context {
        match mode {
            Mode::User => Context::User,
            Mode::Supervisor if mstatus & status::SUM != 0 => Context::SupervisorAsUser,
            Mode::Supervisor => Context::Supervisor,
            Mode::Machine => Context::Machine,
        }
    }

    /// Chooses the caches for the current mode.
    pub(crate) fn choose_context(&mut self) {
        let base: *mut Tlb = self.tlbs.cast();
        let code = Hart::context(self.csr.mode, self.csr.mstatus);
        let data = Hart::context(self.csr.data_mode(), self.csr.mstatus);
        self.code = base.wrapping_add(code as usize);
        self.data = base.wrapping_add(data as usize);
    }

    pub(crate) fn each_tlb(&mut self, f: impl FnMut(&mut Tlb)) {
        // SAFETY: no reference into the caches is held across a call of anything.
        unsafe { (*self.tlbs).iter_mut().for_each(f) }
    }

    pub(crate) fn data_tlb(&mut self) -> &mut Tlb {
        // SAFETY: as above; `data` always points into `tlbs`.
        unsafe { &mut *self.data.cast_mut() }
    }

    pub(crate) fn code_tlb(&mut self) -> &mut Tlb {
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
    pub(crate) fn translate(&mut self, address: u64, access: Access, mode: Mode) -> Result<Target, Trap> {
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
}
