//! Physical memory protection (RISC-V Privileged Architecture, "Physical Memory Protection").
//!
//! Sixteen entries with a granularity of one page: a page is protected as a whole, so that one look at it when it is
//! first translated is enough.

use crate::csr::Mode;
use crate::memory::PAGE;

const ENTRIES: usize = 16;

/// Bits of an entry's configuration.
mod config {
    pub const READ: u8 = 1;
    pub const WRITE: u8 = 2;
    pub const EXECUTE: u8 = 4;
    pub const MATCH: u8 = 3 << 3;
    pub const TOP_OF_RANGE: u8 = 1 << 3;
    pub const NATURAL_FOUR: u8 = 2 << 3;
    pub const NATURAL: u8 = 3 << 3;
    pub const LOCKED: u8 = 1 << 7;
    pub const WRITABLE: u8 = 0x9f;
}

/// An address is written in units of four bytes; bits of it below the granularity.
const BELOW_PAGE: u64 = (PAGE >> 2) - 1;
/// The writable bits of an address: 56 physical bits.
const ADDRESS: u64 = (1 << 54) - 1;

/// What an access wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To read data.
    Read,
    /// To write data.
    Write,
    /// To fetch an instruction.
    Execute,
}

/// The entries.
#[derive(Clone)]
pub struct Pmp {
    config: [u8; ENTRIES],
    address: [u64; ENTRIES],
}

impl Pmp {
    pub(crate) fn new() -> Pmp {
        Pmp { config: [0; ENTRIES], address: [0; ENTRIES] }
    }

    /// Everything is open to everyone: what firmware without secrets sets up.
    pub(crate) fn open() -> Pmp {
        let mut pmp = Pmp::new();
        pmp.set_address(0, u64::MAX);
        pmp.set_config(0, u64::from(config::NATURAL | config::READ | config::WRITE | config::EXECUTE));
        pmp
    }

    /// The registers as they are written to a state: configurations, then addresses.
    pub(crate) fn registers(&self) -> [u64; 2 + ENTRIES] {
        std::array::from_fn(|i| if i < 2 { self.config(8 * i) } else { self.address[i - 2] })
    }

    /// Takes back what [`Pmp::registers`] gave.
    pub(crate) fn restore(&mut self, registers: &[u64; 2 + ENTRIES]) {
        for (i, config) in self.config.iter_mut().enumerate() {
            *config = (registers[i / 8] >> (i % 8 * 8)) as u8;
        }
        self.address.copy_from_slice(&registers[2..]);
    }

    /// Whether every register has a value that can be written to it.
    pub(crate) fn is_sound(&self) -> bool {
        self.config
            .iter()
            .all(|config| config & !config::WRITABLE == 0 && config & config::MATCH != config::NATURAL_FOUR)
            && self.address.iter().all(|address| address & !ADDRESS == 0)
    }

    /// Eight configurations from entry `first` on; zero where there are no entries.
    pub(crate) fn config(&self, first: usize) -> u64 {
        let entry = |i: usize| self.config.get(first + i).copied().unwrap_or(0);
        u64::from_le_bytes(std::array::from_fn(entry))
    }

    pub(crate) fn set_config(&mut self, first: usize, value: u64) {
        for (i, new) in value.to_le_bytes().into_iter().enumerate() {
            let Some(entry) = self.config.get_mut(first + i) else { return };
            if *entry & config::LOCKED != 0 {
                continue;
            }
            let mut new = new & config::WRITABLE;
            if new & (config::READ | config::WRITE) == config::WRITE {
                new &= !config::WRITE; // reserved
            }
            if new & config::MATCH == config::NATURAL_FOUR {
                new = new & !config::MATCH | *entry & config::MATCH; // smaller than a page: not to be had
            }
            *entry = new;
        }
    }

    /// The address register of entry `i` as it is read: bits below the granularity read as the mode of matching asks.
    pub(crate) fn address(&self, i: usize) -> u64 {
        let Some(address) = self.address.get(i) else { return 0 };
        if self.config[i] & config::MATCH == config::NATURAL {
            address | BELOW_PAGE >> 1
        } else {
            address & !BELOW_PAGE
        }
    }

    pub(crate) fn set_address(&mut self, i: usize, value: u64) {
        let Some(config) = self.config.get(i) else { return };
        let next = self.config.get(i + 1).copied().unwrap_or(0);
        let bounds_locked = next & config::LOCKED != 0 && next & config::MATCH == config::TOP_OF_RANGE;
        if config & config::LOCKED == 0 && !bounds_locked {
            self.address[i] = value & ADDRESS;
        }
    }

    /// Whether `mode` may make `access` to the page at physical `address`.
    pub(crate) fn allows(&self, address: u64, access: Access, mode: Mode) -> bool {
        let page = address >> 2 & !BELOW_PAGE;
        for i in 0..ENTRIES {
            let config = self.config[i];
            let matches = match config & config::MATCH {
                config::TOP_OF_RANGE => {
                    let from = if i == 0 { 0 } else { self.address[i - 1] & !BELOW_PAGE };
                    from <= page && page < self.address[i] & !BELOW_PAGE
                }
                config::NATURAL => {
                    let address = self.address[i] | BELOW_PAGE >> 1;
                    let size = 2u64 << address.trailing_ones(); // in units of four bytes
                    page & !(size - 1) == address & !(size - 1)
                }
                _ => continue,
            };
            if matches {
                let bit = match access {
                    Access::Read => config::READ,
                    Access::Write => config::WRITE,
                    Access::Execute => config::EXECUTE,
                };
                return config & bit != 0 || mode == Mode::Machine && config & config::LOCKED == 0;
            }
        }
        mode == Mode::Machine
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_naturally_aligned_range() {
        let mut pmp = Pmp::new();
        pmp.set_address(0, (0x8000_0000 >> 2) | 0x7ff); // 16 KiB
        pmp.set_config(0, u64::from(config::NATURAL | config::READ));
        assert!(pmp.allows(0x8000_3fff, Access::Read, Mode::User));
        assert!(!pmp.allows(0x8000_3fff, Access::Write, Mode::Supervisor));
        assert!(pmp.allows(0x8000_3fff, Access::Write, Mode::Machine));
        assert!(!pmp.allows(0x8000_4000, Access::Read, Mode::User), "no entry matches");
        assert!(pmp.allows(0x8000_4000, Access::Read, Mode::Machine));
    }

    #[test]
    fn a_range_below_its_top_and_locked() {
        let mut pmp = Pmp::new();
        pmp.set_address(0, 0x8000_0000 >> 2);
        pmp.set_address(1, 0x8000_2000 >> 2);
        pmp.set_config(0, u64::from(config::TOP_OF_RANGE | config::LOCKED | config::EXECUTE) << 8);
        assert!(pmp.allows(0x8000_1000, Access::Execute, Mode::User));
        assert!(!pmp.allows(0x8000_1000, Access::Read, Mode::Machine), "locked entries bind machine mode");
        pmp.set_address(0, 0);
        assert!(
            !pmp.allows(0x8000_1000, Access::Read, Mode::Machine),
            "the bottom of a locked range is locked"
        );
        assert!(!pmp.allows(0x7fff_f000, Access::Execute, Mode::User));
    }

    #[test]
    fn all_ones_is_all_of_memory() {
        let pmp = Pmp::open();
        assert!(pmp.allows(0x8000_0000, Access::Write, Mode::User));
        assert!(pmp.allows(0, Access::Execute, Mode::User));
    }
}
