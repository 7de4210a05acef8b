//! Virtual memory: Sv39 (RISC-V Privileged Architecture, "Sv39: Page-Based 39-bit Virtual-Memory System").
//!
//! Accessed and dirty bits are set by the machine (Svadu). Entries that are not valid are never remembered, so a
//! mapping that is added is seen at once, also without a fence.

use crate::csr::{Csr, Mode, status};
use crate::memory::Memory;
use crate::pmp::Access;
use crate::trap::{Cause, Trap};

/// Bits of a page table entry.
mod entry {
    pub const VALID: u64 = 1;
    pub const READ: u64 = 1 << 1;
    pub const WRITE: u64 = 1 << 2;
    pub const EXECUTE: u64 = 1 << 3;
    pub const USER: u64 = 1 << 4;
    pub const ACCESSED: u64 = 1 << 6;
    pub const DIRTY: u64 = 1 << 7;
    /// Not ours to use: Svnapot, Svpbmt, reserved.
    pub const RESERVED: u64 = 0xffc0 << 48;
}

/// Exception codes of an access: page fault, access fault.
fn causes(access: Access) -> (Cause, Cause) {
    match access {
        Access::Read => (Cause::LoadPage, Cause::LoadAccess),
        Access::Write => (Cause::StorePage, Cause::StoreAccess),
        Access::Execute => (Cause::InstructionPage, Cause::InstructionAccess),
    }
}

/// Where an address leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub physical: u64,
    /// The level of the page table that says so: 0 for a page, 1 for 2 MiB, 2 for 1 GiB; 0 when none was asked.
    pub level: u32,
}

/// The physical address of `address` for an `access` with the rights of `mode`.
///
/// `written` is called for the offset in memory of every page table entry that changes.
pub(crate) fn translate(
    csr: &Csr,
    memory: &mut Memory,
    address: u64,
    access: Access,
    mode: Mode,
    written: &mut dyn FnMut(usize),
) -> Result<Target, Trap> {
    let (page_fault, access_fault) = causes(access);
    let refused = Trap::new(access_fault, address);
    let checked = |physical: u64, level: u32| {
        if csr.pmp.allows(physical, access, mode) { Ok(Target { physical, level }) } else { Err(refused) }
    };
    if mode == Mode::Machine || csr.satp >> 60 == 0 {
        return checked(address, 0);
    }
    let fault = Trap::new(page_fault, address);
    // Bits 63 to 39 are copies of bit 38.
    if (address as i64) << 25 >> 25 != address as i64 {
        return Err(fault);
    }
    let mut table = (csr.satp & ((1 << 44) - 1)) << 12;
    let mut level = 2;
    loop {
        let at = table + (address >> (12 + 9 * level) & 0x1ff) * 8;
        if !csr.pmp.allows(at, Access::Read, Mode::Supervisor) {
            return Err(refused);
        }
        let offset = memory.offset(at, 8).ok_or(refused)?;
        let pte = memory.get::<8>(offset);
        if pte & entry::VALID == 0
            || pte & (entry::READ | entry::WRITE) == entry::WRITE
            || pte & entry::RESERVED != 0
        {
            return Err(fault);
        }
        let frame = (pte >> 10 & ((1 << 44) - 1)) << 12;
        if pte & (entry::READ | entry::EXECUTE) == 0 {
            if level == 0 || pte & (entry::USER | entry::ACCESSED | entry::DIRTY) != 0 {
                return Err(fault);
            }
            table = frame;
            level -= 1;
            continue;
        }
        let inside = (1u64 << (12 + 9 * level)) - 1;
        if !permits(csr, pte, access, mode) || frame & inside != 0 {
            return Err(fault); // the second: a large page that is not aligned
        }
        let wanted = entry::ACCESSED | if access == Access::Write { entry::DIRTY } else { 0 };
        if pte & wanted != wanted {
            if !csr.pmp.allows(at, Access::Write, Mode::Supervisor) {
                return Err(refused);
            }
            memory.set::<8>(offset, pte | wanted);
            written(offset);
        }
        return checked(frame | address & inside, level);
    }
}

/// Whether the leaf `pte` lets `mode` make `access`.
fn permits(csr: &Csr, pte: u64, access: Access, mode: Mode) -> bool {
    let user_page = pte & entry::USER != 0;
    let reachable = match mode {
        Mode::User => user_page,
        _ => !user_page || access != Access::Execute && csr.mstatus & status::SUM != 0,
    };
    let readable = entry::READ | if csr.mstatus & status::MXR != 0 { entry::EXECUTE } else { 0 };
    reachable
        && match access {
            Access::Read => pte & readable != 0,
            Access::Write => pte & entry::WRITE != 0,
            Access::Execute => pte & entry::EXECUTE != 0,
        }
}
