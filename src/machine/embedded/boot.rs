//! How a kernel is put into an empty machine and started: by the machine itself, without firmware.

use std::borrow::Cow;
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

/// A guest as it lies in memory when its first instruction runs. All else is zeros.
pub struct Image<'a> {
    /// The device tree, with the kernel's command line.
    pub device_tree: Part<'a>,
    /// The kernel, which is entered at its first byte.
    pub kernel: Part<'a>,
    /// The initial file system.
    pub initrd: Part<'a>,
}

/// Bytes of a guest, and where they lie.
pub struct Part<'a> {
    /// Physical address of the first one.
    pub address: u64,
    /// The bytes.
    pub bytes: Cow<'a, [u8]>,
}

/// A machine without content, with `memory` bytes of memory, drives included.
pub fn machine(memory: u64, rate: u8, firmware: Firmware) -> Result<riscv::Machine, MachineError> {
    riscv::Machine::new(memory, rate, firmware).map_err(|why| MachineError::Io {
        what: "a machine's memory".to_owned(),
        source: io::Error::new(io::ErrorKind::OutOfMemory, why),
    })
}

impl<'a> Guest<'a> {
    /// The guest in a machine of which the first `memory` bytes are its memory.
    pub fn image(&self, memory: u64, drives: &[Range]) -> Result<Image<'a>, MachineError> {
        let at = |offset: u64| board::MEMORY + offset;
        let initrd = (at(place::INITRD), at(place::INITRD) + self.initrd.len() as u64);
        let boot = Boot::Direct { command_line: self.command_line, initrd };
        let device_tree = board::device_tree(memory, drives, self.seed, &boot);
        let part = |what, from: u64, bytes: Cow<'a, [u8]>, to: u64| {
            let room = to.saturating_sub(from);
            if bytes.len() as u64 > room {
                let len = bytes.len();
                let why = format!("{what} has {len} bytes, more than the {room} there are for it");
                return Err(MachineError::DoesNotFit(why));
            }
            Ok(Part { address: at(from), bytes })
        };
        Ok(Image {
            kernel: part("the kernel", place::KERNEL, self.kernel.into(), place::DEVICE_TREE)?,
            device_tree: part("the device tree", place::DEVICE_TREE, device_tree.into(), place::INITRD)?,
            initrd: part("the initial file system", place::INITRD, self.initrd.into(), memory)?,
        })
    }
}

impl Image<'_> {
    /// Puts the guest into `machine` and starts it.
    pub fn start(&self, machine: &mut riscv::Machine) -> Result<(), MachineError> {
        for Part { address, bytes } in [&self.kernel, &self.device_tree, &self.initrd] {
            if !machine.memory_mut().write(*address, bytes) {
                let len = bytes.len();
                let why = format!("the guest's {len} bytes at {address:#x} are not in the machine's memory");
                return Err(MachineError::DoesNotFit(why));
            }
        }
        machine.start(self.kernel.address, self.device_tree.address);
        Ok(())
    }
}
