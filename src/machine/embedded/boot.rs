//! How a kernel is put into an empty machine and started: by the machine itself, without firmware.

use std::io;

use reprove_riscv::{self as riscv, Firmware};

use crate::machine::MachineError;
use crate::machine::board::{self, Boot};
use crate::machine::layout::Range;

/// Where parts of the guest lie, from the first byte of memory.
mod place {
    /// The kernel: Linux wants a multiple of 2 MiB, and leaves what is below it alone.
    pub const KERNEL: u64 = 2 << 20;
    /// The device tree.
    pub const DEVICE_TREE: u64 = 127 << 20;
    /// The initial file system.
    pub const INITRD: u64 = 128 << 20;
}

/// What boots.
pub struct Guest<'a> {
    /// The kernel: an uncompressed `Image`.
    pub kernel: &'a [u8],
    /// The initial file system.
    pub initrd: &'a [u8],
    /// The kernel's command line.
    pub command_line: &'a str,
    /// What the random seed in the device tree is made from.
    pub seed: u64,
}

/// A machine without content, with `memory` bytes of memory, drives included.
pub fn machine(memory: u64, rate: u8, firmware: Firmware) -> Result<riscv::Machine, MachineError> {
    riscv::Machine::new(memory, rate, firmware).map_err(|why| MachineError::Io {
        what: "a machine's memory".to_owned(),
        source: io::Error::new(io::ErrorKind::OutOfMemory, why),
    })
}

impl Guest<'_> {
    /// Puts the guest into `machine`, of which the first `memory` bytes are its memory, and starts it.
    pub fn start(
        &self,
        machine: &mut riscv::Machine,
        memory: u64,
        drives: &[Range],
    ) -> Result<(), MachineError> {
        let at = |offset: u64| board::MEMORY + offset;
        let initrd = (at(place::INITRD), at(place::INITRD) + self.initrd.len() as u64);
        let boot = Boot::Direct { command_line: self.command_line, initrd };
        let device_tree = board::device_tree(memory, drives, self.seed, &boot);
        let parts = [
            ("the kernel", place::KERNEL, self.kernel, place::DEVICE_TREE),
            ("the device tree", place::DEVICE_TREE, &device_tree, place::INITRD),
            ("the initial file system", place::INITRD, self.initrd, memory),
        ];
        for (what, from, bytes, to) in parts {
            let room = to.saturating_sub(from);
            if bytes.len() as u64 > room || !machine.memory_mut().write(at(from), bytes) {
                return Err(MachineError::DoesNotFit(format!(
                    "{what} has {} bytes, more than the {room} there are for it",
                    bytes.len()
                )));
            }
        }
        machine.start(at(place::KERNEL), at(place::DEVICE_TREE));
        Ok(())
    }
}
