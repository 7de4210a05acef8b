//! What runs inside a machine: kernel, modules, initial file system, `init`.
//!
//! The parts are Debian packages pinned in `guest.lock` by name, version and SHA-256; same lock, same bundle,
//! byte for byte, on any host. The bundle's id enters every run record.

mod assemble;
mod cache;
mod client;
pub mod cpio;
mod error;
mod initrd;
mod lock;
mod modules;
mod vmlinux;

pub use assemble::build;
pub use cache::Cache;
pub use client::{Candidate, Client, FetchError};
pub use error::{EXPLANATIONS, GuestError};
pub use lock::{Lock, Package, Parts};

use sha2::{Digest, Sha256};

use crate::machine::Arch;

/// A guest, ready to boot.
#[derive(Clone, Debug, PartialEq, Eq)]
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

impl Bundle {
    /// A guest of these parts.
    pub fn new(arch: Arch, kernel: Vec<u8>, initrd: Vec<u8>, firmware: Option<Vec<u8>>) -> Bundle {
        let mut hasher = Sha256::new();
        hasher.update(format!("arch {arch}\nprotocol 2\n"));
        let parts = [("kernel", Some(&kernel)), ("initrd", Some(&initrd)), ("firmware", firmware.as_ref())];
        for (name, part) in parts {
            if let Some(part) = part {
                let hash = data_encoding::HEXLOWER.encode(&Sha256::digest(part));
                hasher.update(format!("{name} {} {hash}\n", part.len()));
            }
        }
        let id = hasher.finalize().into();
        Bundle { arch, id, kernel, initrd, firmware }
    }
}
