//! What runs inside a machine: kernel, modules, initial file system, `init`.
//!
//! The parts are Debian packages pinned in `guest.lock` by name, version and SHA-256; same lock, same bundle,
//! byte for byte, on any host. The bundle's id enters every run record.

use crate::machine::Arch;

/// A guest, ready to boot.
#[derive(Clone, Debug)]
pub struct Bundle {
    /// What it runs on.
    pub arch: Arch,
    /// SHA-256 over the parts, as `docs/guest-protocol.md` defines it.
    pub id: [u8; 32],
    /// The kernel: an EFI `Image` on riscv64, the uncompressed ELF `vmlinux` on x86_64.
    pub kernel: Vec<u8>,
    /// The initial file system: an uncompressed newc cpio archive.
    pub initrd: Vec<u8>,
    /// M-mode firmware; riscv64 only.
    pub firmware: Option<Vec<u8>>,
}
