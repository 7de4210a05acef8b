//! Where everything lies in a guest's memory.
//!
//! The whole of it is one range: `[guest memory | input drive | output drive | pad]`, a file with QEMU. The guest is told
//! of the first part as memory and of the drives as persistent memory; the pad is where the engine and its firmware
//! put tables of their own (a second device tree, ACPI), away from the drives.

use crate::machine::{Arch, Caps, MachineError, Settings};

/// Least guest memory: below it the kernel and its own initial file system leave nothing for a build.
const MIN_MEMORY: u64 = 256 << 20;

/// Most guest memory and drives together; a bound against settings that only wish to overflow.
pub const MAX_TOTAL: u64 = 1 << 40;

/// Bytes of the output drive before the tar stream: the result record (see `docs/guest-protocol.md`).
const RECORD: u64 = 4096;

/// A range of the file, and where the guest finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// First byte in the file.
    pub offset: u64,
    /// First byte in the guest's physical address space.
    pub address: u64,
    /// Length in bytes.
    pub len: u64,
}

/// The memory of one machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Guest memory from the bottom, in bytes.
    pub memory: u64,
    /// The input drive.
    pub input: Range,
    /// The output drive.
    pub output: Range,
    /// The pad after the drives.
    pub pad: Range,
    /// Length of the whole file.
    pub total: u64,
}

/// How an architecture's machine lays out its memory.
struct Rules {
    /// Drives start and end at multiples of this: `pmem` maps them in huge pages, x86 in memory sections.
    unit: u64,
    /// Drives never start below this file offset.
    drives: u64,
    /// The input drive has this length at least, and otherwise a power of two: guests that boot before they see their
    /// drive's content (see `embedded`) then have few layouts. None where lengths are multiples of `unit` only.
    input_class: Option<u64>,
    /// Length of the pad.
    pad: u64,
    /// Guest physical address of the file's first byte, for the drives.
    base: u64,
}

fn rules(arch: Arch) -> Rules {
    match arch {
        // QEMU 7.2 puts the device tree right below 3 GiB or the end of memory, whichever is lower (newer ones: the
        // end of memory): with drives from 3 GiB on and a pad behind them it never lies in a drive.
        Arch::Riscv64 => Rules {
            unit: 2 << 20,
            drives: 1 << 30,
            input_class: Some(256 << 20),
            pad: 32 << 20,
            base: 0x8000_0000,
        },
        // microvm has 3 GiB of memory below the PCI hole and the rest from 4 GiB on; the file knows no hole. With
        // all drives above it, no drive is cut by it; what lies between `memory` and 3 GiB is reserved.
        Arch::X86_64 => {
            Rules { unit: 128 << 20, drives: 3 << 30, input_class: None, pad: 128 << 20, base: 1 << 30 }
        }
    }
}

impl Layout {
    /// The drives, in the order in which the guest finds them.
    pub fn drives(&self) -> [Range; 2] {
        [self.input, self.output]
    }

    /// The layout for an input drive of `input` bytes.
    pub fn new(arch: Arch, settings: &Settings, caps: &Caps, input: u64) -> Result<Self, MachineError> {
        let rules = rules(arch);
        let memory = settings.memory;
        if memory < MIN_MEMORY || !memory.is_multiple_of(128 << 20) {
            return Err(MachineError::DoesNotFit(format!(
                "guest memory of {memory} bytes is not a multiple of 128 MiB from 256 MiB on"
            )));
        }
        let output = caps.output_bytes.saturating_add(RECORD);
        if [memory, input, output].into_iter().any(|part| part > MAX_TOTAL / 4) {
            return Err(MachineError::DoesNotFit(format!(
                "guest memory ({memory} bytes), input drive ({input}) and output drive ({output}) are more than \
                 one machine holds ({} each)",
                MAX_TOTAL / 4
            )));
        }
        let mut offset = memory.max(rules.drives);
        let mut take = |len: u64| {
            let range = Range { offset, address: rules.base + offset, len };
            offset += len;
            range
        };
        let input = match rules.input_class {
            Some(least) => input.max(least).next_power_of_two(),
            None => input.max(1),
        };
        let input = take(input.next_multiple_of(rules.unit));
        let output = take(output.next_multiple_of(rules.unit));
        let pad = take(rules.pad);
        Ok(Layout { memory, input, output, pad, total: offset })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn parts_never_overlap_and_never_meet_the_hole(
            riscv: bool, memory in 2u64..200, input in 0u64..(9 << 30), output in 0u64..(9 << 30),
        ) {
            let arch = if riscv { Arch::Riscv64 } else { Arch::X86_64 };
            let settings = Settings { memory: memory << 27, ..Settings::default() };
            let caps = Caps { output_bytes: output, ..Caps::default() };
            let layout = Layout::new(arch, &settings, &caps, input).unwrap();
            prop_assert!(layout.memory <= layout.input.offset);
            prop_assert!(layout.input.len >= input && layout.output.len >= output + RECORD);
            prop_assert_eq!(layout.input.offset + layout.input.len, layout.output.offset);
            prop_assert_eq!(layout.output.offset + layout.output.len, layout.pad.offset);
            prop_assert_eq!(layout.pad.offset + layout.pad.len, layout.total);
            prop_assert_eq!(layout.total % (1 << 20), 0);
            for drive in [layout.input, layout.output] {
                prop_assert_eq!(drive.address % (2 << 20), 0);
                match arch {
                    Arch::Riscv64 => prop_assert_eq!(drive.address, 0x8000_0000 + drive.offset),
                    // Above the hole; below it the file and the addresses are the same.
                    Arch::X86_64 => {
                        prop_assert!(drive.offset >= 3 << 30);
                        prop_assert_eq!(drive.address, drive.offset + (1 << 30));
                        prop_assert_eq!(drive.address % (128 << 20), 0);
                    }
                }
            }
        }
    }

    #[test]
    fn what_no_machine_has() {
        let layout = |memory, input| {
            let settings = Settings { memory, ..Settings::default() };
            Layout::new(Arch::X86_64, &settings, &Caps::default(), input).map(|_| ()).unwrap_err().to_string()
        };
        assert!(layout(1 << 27, 0).contains("256 MiB"), "too little");
        assert!(layout((1 << 30) + 1, 0).contains("multiple"), "odd");
        assert!(layout(1 << 30, u64::MAX).contains("input drive"), "a drive without end");
    }
}
