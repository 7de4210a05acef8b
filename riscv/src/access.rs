//! Loads and stores that need more than the caches of translations: what the slow ways of [`crate::exec`] call.

use crate::hart::Hart;
use crate::memory::PAGE;
use crate::pmp::Access;
use crate::trap::{Cause, Trap};

/// Where an access to data goes.
enum Place {
    /// To memory, at this offset.
    Memory(usize),
    /// To a device, at this physical address.
    Device(u64),
}

impl Hart {
    /// Where `size` bytes at the virtual `address`, all in one page, are for `access` to data. What is in the caches of
    /// translations holds; what is not is in them afterwards.
    fn locate(&mut self, address: u64, size: u64, access: Access) -> Result<Place, Trap> {
        if let Some(host) = self.data_tlb().find(address, access) {
            return Ok(Place::Memory(self.memory.offset_of_host(host)));
        }
        let mode = self.csr.data_mode();
        let target = self.translate(address, access, mode)?;
        let Some(offset) = self.memory.offset(target.physical, size) else {
            return Ok(Place::Device(target.physical));
        };
        self.data_tlb().note_size(address, target.level);
        let page = offset & !(PAGE as usize - 1);
        let host = self.memory.host(page);
        if access == Access::Write {
            // The write itself marks the page, and opens the way for the next.
            self.data_tlb().set_write(address, host, true);
        } else {
            self.data_tlb().set_read(address, host);
        }
        Ok(Place::Memory(offset))
    }

    /// Reads `size` bytes at the virtual `address` with everything that can happen on the way; see
    /// [`Hart::take_changed`].
    ///
    /// `left` must be what was left before the instruction.
    pub(crate) fn read(&mut self, address: u64, size: u64) -> Result<u64, Trap> {
        if (address & (PAGE - 1)) + size > PAGE {
            // Over the end of a page: byte by byte, when all of them are memory.
            let last = address.wrapping_add(size - 1);
            self.locate_memory(address, 1, Access::Read, Cause::LoadAccess)?;
            self.locate_memory(last & !(PAGE - 1), 1, Access::Read, Cause::LoadAccess)?;
            let mut bytes = [0; 8];
            for (i, byte) in bytes.iter_mut().enumerate().take(size as usize) {
                *byte = self.read(address.wrapping_add(i as u64), 1)? as u8;
            }
            return Ok(u64::from_le_bytes(bytes));
        }
        match self.locate(address, size, Access::Read)? {
            Place::Memory(offset) => Ok(self.get(offset, size)),
            Place::Device(physical) => {
                let time = self.clock.time_after((self.given - self.left) as u64);
                self.changed = true;
                let value = self.devices.read(physical, size, &self.clock, time);
                value.ok_or(Trap::new(Cause::LoadAccess, address))
            }
        }
    }

    /// Writes the low `size` bytes of `value` at the virtual `address`. Whether something else changed, so that the loop
    /// must look before the next instruction.
    pub(crate) fn write(&mut self, address: u64, size: u64, value: u64) -> Result<bool, Trap> {
        if (address & (PAGE - 1)) + size > PAGE {
            // Over the end of a page: nothing is written unless all can be.
            let last = address.wrapping_add(size - 1);
            self.locate_memory(address, 1, Access::Write, Cause::StoreAccess)?;
            self.locate_memory(last & !(PAGE - 1), 1, Access::Write, Cause::StoreAccess)?;
            let mut changed = false;
            for (i, byte) in value.to_le_bytes().into_iter().enumerate().take(size as usize) {
                changed |= self.write(address.wrapping_add(i as u64), 1, u64::from(byte))?;
            }
            return Ok(changed);
        }
        match self.locate(address, size, Access::Write)? {
            Place::Memory(offset) => {
                if self.memory.is_code(offset) {
                    self.forget_code(offset);
                }
                let host = self.memory.host(offset & !(PAGE as usize - 1));
                self.data_tlb().set_write(address, host, false);
                self.put(offset, size, value);
                Ok(self.take_changed())
            }
            Place::Device(physical) => {
                let written = self.devices.write(physical, size, value, &mut self.clock);
                if written { Ok(true) } else { Err(Trap::new(Cause::StoreAccess, address)) }
            }
        }
    }

    /// Where an access goes that devices do not have: an atomic one, or one over the end of a page. `cause` is what is said
    /// otherwise.
    fn locate_memory(
        &mut self,
        address: u64,
        size: u64,
        access: Access,
        cause: Cause,
    ) -> Result<usize, Trap> {
        match self.locate(address, size, access)? {
            Place::Memory(offset) => Ok(offset),
            Place::Device(_) => Err(Trap::new(cause, address)),
        }
    }

    /// `lr`: reads and reserves.
    pub(crate) fn reserve(&mut self, address: u64, size: u64) -> Result<u64, Trap> {
        let offset = self.locate_memory(address, size, Access::Read, Cause::LoadAccess)?;
        self.reservation = Some(crate::memory::BASE + offset as u64);
        Ok(self.get(offset, size))
    }

    /// `sc`: whether it stored, and whether something else changed.
    pub(crate) fn store_conditional(
        &mut self,
        address: u64,
        size: u64,
        value: u64,
    ) -> Result<(bool, bool), Trap> {
        let offset = self.locate_memory(address, size, Access::Write, Cause::StoreAccess)?;
        if self.reservation.take() != Some(crate::memory::BASE + offset as u64) {
            return Ok((false, self.take_changed()));
        }
        Ok((true, self.write(address, size, value)?))
    }

    /// An AMO: what was there before, and whether something else changed.
    pub(crate) fn modify(
        &mut self,
        address: u64,
        size: u64,
        f: impl Fn(u64) -> u64,
    ) -> Result<(u64, bool), Trap> {
        let offset = self.locate_memory(address, size, Access::Write, Cause::StoreAccess)?;
        let before = self.get(offset, size);
        Ok((before, self.write(address, size, f(before))?))
    }

    fn get(&self, offset: usize, size: u64) -> u64 {
        match size {
            1 => self.memory.get::<1>(offset),
            2 => self.memory.get::<2>(offset),
            4 => self.memory.get::<4>(offset),
            _ => self.memory.get::<8>(offset),
        }
    }

    fn put(&mut self, offset: usize, size: u64, value: u64) {
        match size {
            1 => self.memory.set::<1>(offset, value),
            2 => self.memory.set::<2>(offset, value),
            4 => self.memory.set::<4>(offset, value),
            _ => self.memory.set::<8>(offset, value),
        }
    }
}
