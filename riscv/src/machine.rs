//! The machine from outside.

use std::io::{self, Read, Write};

use crate::clock::Clock;
use crate::csr::Csr;
use crate::hart::{Firmware, Hart, Stop};
use crate::memory::{Memory, PAGE};
use crate::sbi;
use crate::snapshot::{self, Head, invalid};
use crate::state::{self, Hash, Tree};

/// A machine: make it, fill its memory, start it, run it.
pub struct Machine {
    hart: Hart,
    tree: Tree,
    /// The root of the state that [`Machine::save_delta`] goes beyond.
    base: Option<Hash>,
}

impl Machine {
    /// A machine with `memory` bytes of memory, drives included, and `1 << rate` guest nanoseconds a step.
    ///
    /// # Errors
    /// As [`Memory::new`].
    pub fn new(memory: u64, rate: u8, firmware: Firmware) -> Result<Machine, String> {
        let hart = Hart::new(Memory::new(memory)?, Clock::new(rate), firmware);
        Ok(Machine { hart, tree: Tree::new(memory / PAGE), base: None })
    }

    /// Its memory.
    pub fn memory(&self) -> &Memory {
        &self.hart.memory
    }

    /// Its memory, to be filled before it starts.
    pub fn memory_mut(&mut self) -> &mut Memory {
        &mut self.hart.memory
    }

    /// Starts at physical address `entry`, with `device_tree` as the address of the device tree.
    pub fn start(&mut self, entry: u64, device_tree: u64) {
        sbi::hand_over(&mut self.hart, entry, device_tree);
    }

    /// Whether the guest's code is translated to the host's, where that can be (as in a new machine), or run by an
    /// interpreter. It is the same run either way, to the last bit, slower by a factor of two to four.
    pub fn set_translates(&mut self, translates: bool) {
        self.hart.set_translates(translates);
    }

    /// Runs until the clock reads `until` steps, or the machine stops by itself.
    pub fn run(&mut self, until: u64) -> Stop {
        self.hart.run(until)
    }

    /// Runs one instruction, or, when the hart waits, up to the moment that ends the waiting, but not beyond `until`. Steps in
    /// a row are the same run as one [`Machine::run`] over all of them, only slower.
    pub fn step(&mut self, until: u64) -> Stop {
        let now = self.hart.clock.now();
        let next = match self.hart.clock.timer_step() {
            Some(timer) if self.hart.waiting => timer.max(now + 1),
            _ => now + 1,
        };
        self.hart.run(next.min(until))
    }

    /// Whether the hart waits for an interrupt.
    pub fn waits(&self) -> bool {
        self.hart.waiting
    }

    /// The instruction that the next step runs; none when the hart waits, or cannot fetch it and will trap. An instruction
    /// of 16 bits has zeros above them. Looking at it is no more than what the step itself does first, so nothing changes.
    pub fn instruction(&mut self) -> Option<u32> {
        if self.hart.waiting { None } else { self.hart.word(self.hart.pc) }
    }

    /// Stops the next runs when `mark` was written to the console, just after its last byte.
    pub fn stop_at_mark(&mut self, mark: Option<&[u8]>) {
        self.hart.devices.uart.look_for(mark);
    }

    /// What was written to the console since the last call; of a run that writes more than 16 MiB, the beginning.
    pub fn take_console(&mut self) -> Vec<u8> {
        self.hart.devices.uart.take_output()
    }

    /// Its clock.
    pub fn clock(&self) -> &Clock {
        &self.hart.clock
    }

    /// The address of the next instruction.
    pub fn pc(&self) -> u64 {
        self.hart.pc
    }

    /// The integer registers.
    pub fn registers(&self) -> [u64; 32] {
        std::array::from_fn(|i| self.hart.x[i])
    }

    /// The floating-point registers, as bits; a single-precision number has all higher bits set.
    pub fn float_registers(&self) -> [u64; 32] {
        self.hart.f
    }

    /// The privilege mode and the control and status registers, as they were when the last run came back.
    pub fn csr(&self) -> &Csr {
        &self.hart.csr
    }

    /// The root of its whole state (see [`state`]).
    pub fn state_root(&mut self) -> Hash {
        state::root(&mut self.hart, &mut self.tree)
    }

    /// Empties the caches of translations.
    pub fn flush(&mut self) {
        self.hart.flush();
    }

    /// Writes its state. The caches of translations are emptied, which a guest may notice that changes its page tables
    /// without saying so: a run that stores its state here and goes on is the same as one that goes on from what was
    /// stored, and the same as one that does neither where [`crate::FLUSH_INTERVAL`] has them emptied anyway.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn save(&mut self, out: &mut dyn Write) -> io::Result<Hash> {
        self.write(out, None)
    }

    /// Makes its state now the one that [`Machine::save_delta`] and [`Machine::load_delta`] go beyond, and gives its root.
    pub fn set_base(&mut self) -> Hash {
        let root = self.state_root();
        self.hart.memory.settle();
        self.base = Some(root);
        root
    }

    /// Writes, as [`Machine::save`] does, what its state has beyond the base: the pages that were written to since.
    ///
    /// # Errors
    /// Those of `out`, and of kind [`io::ErrorKind::InvalidInput`] without a base.
    pub fn save_delta(&mut self, out: &mut dyn Write) -> io::Result<Hash> {
        let base =
            self.base.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "there is no base"))?;
        self.write(out, Some(base))
    }

    fn write(&mut self, out: &mut dyn Write, base: Option<Hash>) -> io::Result<Hash> {
        self.hart.flush();
        let root = self.state_root();
        let head = Head { base, root, registers: state::registers(&mut self.hart) };
        head.write(out, &self.hart.memory)?;
        Ok(root)
    }

    /// Takes the state that [`Machine::save`] wrote. Its root, which was computed anew.
    ///
    /// # Errors
    /// Those of `input`, and of kind [`io::ErrorKind::InvalidData`] when it is no state of such a machine or not what was written:
    /// the machine is then of no use. Nor is one that has run before.
    pub fn load(&mut self, input: &mut dyn Read) -> io::Result<Hash> {
        let head = Head::read(input)?;
        if head.base.is_some() {
            return Err(invalid("it is only a part of a state: what it has beyond another one"));
        }
        self.take(&head, input)
    }

    /// Takes what [`Machine::save_delta`] wrote of a machine with the same base; this one must not have run since it was set.
    ///
    /// # Errors
    /// As [`Machine::load`]; also when the base is another one.
    pub fn load_delta(&mut self, input: &mut dyn Read) -> io::Result<Hash> {
        let head = Head::read(input)?;
        if head.base.is_none() || head.base != self.base {
            return Err(invalid("it does not go beyond the state that this machine is in"));
        }
        self.take(&head, input)
    }

    fn take(&mut self, head: &Head, input: &mut dyn Read) -> io::Result<Hash> {
        snapshot::read_pages(input, &mut self.hart.memory)?;
        state::restore(&mut self.hart, &head.registers).map_err(invalid)?;
        self.hart.restored();
        let root = self.state_root();
        if root != head.root {
            return Err(invalid("its root is not the one it was stored with"));
        }
        Ok(root)
    }

    /// The machine whose state [`Machine::save`] wrote, whatever its memory and firmware, with at most `most` bytes of memory.
    ///
    /// # Errors
    /// As [`Machine::load`].
    pub fn from_stored(input: &mut dyn Read, most: u64) -> io::Result<Machine> {
        let head = Head::read(input)?;
        if head.base.is_some() {
            return Err(invalid("it is only a part of a state: what it has beyond another one"));
        }
        let (memory, firmware) = state::kind(&head.registers).map_err(invalid)?;
        if memory > most {
            return Err(invalid(format!("it has {memory} bytes of memory, more than {most}")));
        }
        let mut machine = Machine::new(memory, 0, firmware).map_err(invalid)?;
        machine.take(&head, input)?;
        Ok(machine)
    }

    /// Its memory, when nothing else of it is needed any more.
    pub fn into_memory(self) -> Memory {
        self.hart.into_memory()
    }
}
