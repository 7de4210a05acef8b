//! Machines put together by hand: any kernel, any drives, or a program on the bare machine.

use std::fs::File;
use std::io::{self, BufReader};
use std::os::unix::fs::FileExt;

use object::read::elf::{ElfFile64, ProgramHeader};
use object::{Endianness, Object, elf};
use reprove_riscv::{self as riscv, Firmware};

use super::boot::{self, Guest};
use crate::machine::layout::{MAX_TOTAL, Range};
use crate::machine::{MachineError, board};

/// Drives are multiples of this, and begin at one: the guest maps them in huge pages.
const UNIT: u64 = 2 << 20;

/// Drives never lie below this offset.
const DRIVES: u64 = 1 << 30;

/// What a machine that boots a kernel is made of. It is a function of these alone.
pub struct Parts<'a> {
    /// The kernel: an uncompressed `Image`.
    pub kernel: &'a [u8],
    /// The initial file system.
    pub initrd: &'a [u8],
    /// The kernel's command line, beside what every guest of this architecture has.
    pub append: &'a str,
    /// Guest memory in bytes, drives not counted.
    pub memory: u64,
    /// Guest nanoseconds a step takes, as a power of two.
    pub rate: u8,
    /// Seed of the guest's random numbers.
    pub seed: u64,
    /// Images of drives, in the order in which the guest finds them. They are copied: the guest writes to its copy.
    pub drives: &'a [File],
}

impl Parts<'_> {
    /// The machine, about to boot.
    pub fn assemble(&self) -> Result<riscv::Machine, MachineError> {
        let (drives, total) = self.layout()?;
        let mut machine = boot::machine(total, self.rate, Firmware::Machine)?;
        for (range, file) in drives.iter().zip(self.drives) {
            let io = |source| MachineError::Io { what: "filling a machine's drive".to_owned(), source };
            let len = file.metadata().map_err(io)?.len();
            let drive = machine.memory_mut().slice_mut(range.address, len.min(range.len));
            let drive = drive.ok_or_else(|| io(io::Error::other("the drive is larger than its place")))?;
            file.read_exact_at(drive, 0).map_err(io)?;
        }
        let command_line = board::command_line(board::COMMAND_LINE, self.seed);
        let command_line = format!("{command_line} {}", self.append);
        let guest = Guest {
            kernel: self.kernel,
            initrd: self.initrd,
            command_line: command_line.trim_end(),
            seed: self.seed,
        };
        guest.image(self.memory, &drives)?.start(&mut machine)?;
        Ok(machine)
    }

    /// Where the drives lie, and where the last one ends.
    fn layout(&self) -> Result<(Vec<Range>, u64), MachineError> {
        let memory = check_memory(self.memory)?;
        let mut end = if self.drives.is_empty() { memory } else { memory.next_multiple_of(UNIT).max(DRIVES) };
        let mut drives = Vec::new();
        for file in self.drives {
            let len = file
                .metadata()
                .map_err(|source| MachineError::Io { what: "looking at a drive".to_owned(), source })?;
            let len = len.len().clamp(1, MAX_TOTAL).next_multiple_of(UNIT);
            drives.push(Range { offset: end, address: board::MEMORY + end, len });
            end += len;
            if end > MAX_TOTAL {
                return Err(MachineError::DoesNotFit(format!(
                    "the drives end at {end} bytes, behind the last of {MAX_TOTAL}"
                )));
            }
        }
        Ok((drives, end))
    }
}

/// A program on the bare machine: it begins in machine mode, and brings its own firmware.
pub struct Program<'a> {
    /// A static ELF file for riscv64, loaded at its physical addresses.
    pub elf: &'a [u8],
    /// Memory in bytes.
    pub memory: u64,
    /// Guest nanoseconds a step takes, as a power of two.
    pub rate: u8,
}

impl Program<'_> {
    /// The machine, about to run the program's first instruction.
    pub fn assemble(&self) -> Result<riscv::Machine, MachineError> {
        let bad = |why: String| MachineError::DoesNotFit(format!("the program: {why}"));
        let file = ElfFile64::<Endianness>::parse(self.elf).map_err(|error| bad(error.to_string()))?;
        if file.architecture() != object::Architecture::Riscv64 {
            return Err(bad("it is not for riscv64".to_owned()));
        }
        let endian = file.endian();
        let mut machine = boot::machine(check_memory(self.memory)?, self.rate, Firmware::Guest)?;
        for header in file.elf_program_headers().iter().filter(|h| h.p_type(endian) == elf::PT_LOAD) {
            let address = header.p_paddr(endian);
            let bytes = header.data(endian, self.elf).map_err(|()| bad("it is cut off".to_owned()))?;
            // What is in memory beyond the file is zeros, as all memory is; it only has to be there.
            let fits = machine.memory().offset(address, header.p_memsz(endian)).is_some();
            if !fits || !machine.memory_mut().write(address, bytes) {
                return Err(bad(format!(
                    "its segment of {} bytes at {address:#x} is not in the memory from {:#x} to {:#x}",
                    header.p_memsz(endian),
                    board::MEMORY,
                    board::MEMORY + self.memory
                )));
            }
        }
        machine.start(file.entry(), 0);
        Ok(machine)
    }
}

/// The machine whose state [`riscv::Machine::save`] wrote to `file`: `docs/state-tree.md` has the format.
pub fn stored(file: File) -> Result<riscv::Machine, MachineError> {
    let machine = riscv::Machine::from_stored(&mut BufReader::with_capacity(1 << 20, file), MAX_TOTAL);
    machine.map_err(|source| MachineError::Io { what: "reading a stored state".to_owned(), source })
}

/// Memory that a machine can have.
fn check_memory(memory: u64) -> Result<u64, MachineError> {
    if memory == 0 || memory > MAX_TOTAL || !memory.is_multiple_of(riscv::memory::PAGE) {
        return Err(MachineError::DoesNotFit(format!(
            "{memory} bytes are no memory of a machine: a multiple of {} up to {MAX_TOTAL} is",
            riscv::memory::PAGE
        )));
    }
    Ok(memory)
}
