//! The x86_64 machine: QEMU's `microvm` board; the kernel is entered as an ELF file by the PVH protocol.

use crate::machine::layout::Layout;

/// The board, and the one processor all its guests have: baseline x86-64-v1, without RDRAND.
///
/// Two devices look idle and are not: without `pcie` the kernel never makes the drives known as persistent memory,
/// without `pit` it cannot calibrate its clock and stops at boot.
pub const BOARD: &[&str] = &[
    "-M",
    "microvm,pit=on,pic=on,rtc=on,isa-serial=on,auto-kernel-cmdline=off,pcie=on,memory-backend=ram",
    "-cpu",
    "qemu64",
];

/// Memory below this is given to the guest below 4 GiB, the rest above.
const LOW_MEMORY: u64 = 3 << 30;

/// The kernel's command line but for the seed: where the drives are, and what is neither memory nor a drive.
pub fn command_line(layout: &Layout) -> String {
    let mut line = String::from("reboot=t nokaslr");
    if layout.memory < LOW_MEMORY {
        line += &format!(" memmap={:#x}${:#x}", LOW_MEMORY - layout.memory, layout.memory);
    }
    for drive in [&layout.input, &layout.output] {
        line += &format!(" memmap={:#x}!{:#x}", drive.len, drive.address);
    }
    line += &format!(" memmap={:#x}${:#x}", layout.pad.len, layout.pad.address);
    line
}
