//! Loads and stores of integers and floating-point numbers.

use super::{leave_after, next};
use crate::hart::Hart;
use crate::op::Op;
use crate::tlb::Tlb;
use crate::trap::{Cause, Trap};

/// How a value lies in memory and in a register.
pub(crate) trait Width {
    /// Bytes.
    const SIZE: u64;
    /// What a register holds of `bits`, zero-extended bytes of memory.
    fn extend(bits: u64) -> u64;
    /// Reads from the host's memory.
    ///
    /// # Safety
    /// As [`std::ptr::read_unaligned`].
    unsafe fn get(host: *const u8) -> u64;
    /// Writes to the host's memory.
    ///
    /// # Safety
    /// As [`std::ptr::write_unaligned`].
    unsafe fn set(host: *mut u8, value: u64);
}

/// Defines a [`Width`] for each kind of load.
macro_rules! width {
    ($($name:ident $unsigned:ty, |$bits:ident| $extend:expr;)*) => {$(
        pub(crate) struct $name;
        impl Width for $name {
            const SIZE: u64 = size_of::<$unsigned>() as u64;
            #[inline(always)]
            fn extend($bits: u64) -> u64 {
                $extend
            }
            #[inline(always)]
            unsafe fn get(host: *const u8) -> u64 {
                // SAFETY: the caller's promise.
                u64::from(<$unsigned>::from_le(unsafe { host.cast::<$unsigned>().read_unaligned() }))
            }
            #[inline(always)]
            unsafe fn set(host: *mut u8, value: u64) {
                // SAFETY: the caller's promise.
                unsafe { host.cast::<$unsigned>().write_unaligned((value as $unsigned).to_le()) }
            }
        }
    )*};
}

width! {
    Byte u8, |bits| i64::from(bits as i8) as u64;
    Half u16, |bits| i64::from(bits as i16) as u64;
    Word u32, |bits| i64::from(bits as i32) as u64;
    Double u64, |bits| bits;
    ByteUnsigned u8, |bits| bits;
    HalfUnsigned u16, |bits| bits;
    WordUnsigned u32, |bits| bits;
    // A narrower number in a wider floating-point register has all higher bits set (NaN boxing).
    Boxed u32, |bits| bits | 0xffff_ffff << 32;
}

/// The host's address of an aligned `address` to read `W` from, when the cache of translations has it.
#[inline(always)]
unsafe fn readable<W: Width>(hart: &Hart, address: u64) -> Option<*const u8> {
    // SAFETY: the cache lives as long as the hart; its index is masked.
    let entry = unsafe { (*hart.data).read.get_unchecked(Tlb::data_index(address)) };
    (entry.tag == Tlb::tag(address, W::SIZE))
        .then(|| std::ptr::with_exposed_provenance((address as usize).wrapping_add(entry.addend)))
}

/// The same, to write to.
#[inline(always)]
pub(super) unsafe fn writable<W: Width>(hart: &Hart, address: u64) -> Option<*mut u8> {
    // SAFETY: as above.
    let entry = unsafe { (*hart.data).write.get_unchecked(Tlb::data_index(address)) };
    (entry.tag == Tlb::tag(address, W::SIZE))
        .then(|| std::ptr::with_exposed_provenance_mut((address as usize).wrapping_add(entry.addend)))
}

/// `rd = memory[rs1 + immediate]`.
pub(crate) unsafe extern "C" fn load<W: Width>(hart: &mut Hart, op: *const Op, left: i64, pc: u64) {
    // SAFETY: the loop calls handlers with an operation of the arena; what the cache of translations gives is memory.
    unsafe {
        let o = &*op;
        let address = hart.x[o.rs1 as usize].wrapping_add(i64::from(o.imm) as u64);
        if let Some(host) = readable::<W>(hart, address) {
            hart.x[o.rd as usize] = W::extend(W::get(host));
            return next(hart, op, left, pc);
        }
        load_slowly::<W>(hart, op, left, pc)
    }
}

#[cold]
unsafe fn load_slowly<W: Width>(hart: &mut Hart, op: *const Op, left: i64, pc: u64) {
    // SAFETY: as above.
    unsafe {
        if loaded::<W>(hart, op, left, pc) {
            next(hart, op, left, pc)
        }
    }
}

/// Loads with everything that can happen on the way; whether the next operation is to follow, or the block was left.
///
/// Never inlined: a handler with anything of its own on the stack cannot jump to the next one (see `build.rs`).
#[inline(never)]
unsafe fn loaded<W: Width>(hart: &mut Hart, op: *const Op, left: i64, pc: u64) -> bool {
    // SAFETY: as above.
    unsafe {
        let o = &*op;
        let address = hart.x[o.rs1 as usize].wrapping_add(i64::from(o.imm) as u64);
        loaded_from::<W>(hart, op, left, pc, address)
    }
}

/// The same, from an `address` that is known.
unsafe fn loaded_from<W: Width>(hart: &mut Hart, op: *const Op, left: i64, pc: u64, address: u64) -> bool {
    // SAFETY: as above.
    unsafe {
        hart.left = super::left_before(hart, op, left);
        match hart.read(address, W::SIZE) {
            Ok(bits) => {
                hart.x[(*op).rd as usize] = W::extend(bits);
                !hart.take_changed() || super::leave_after(hart, op, left, pc)
            }
            Err(refused) => super::trapped(hart, op, left, pc, refused),
        }
    }
}

/// `rd = memory[pc + immediate]`: `auipc` and a load. The load's own offset is in `rs1` and `rs2`.
pub(crate) unsafe extern "C" fn load_relative<W: Width>(hart: &mut Hart, op: *const Op, left: i64, pc: u64) {
    // SAFETY: as above.
    unsafe {
        let o = &*op;
        let address = super::pc_of(op, pc).wrapping_add(i64::from(o.imm) as u64);
        if let Some(host) = readable::<W>(hart, address) {
            hart.x[o.rd as usize] = W::extend(W::get(host));
            return next(hart, op, left, pc);
        }
        if loaded_relative::<W>(hart, op, left, pc, address) {
            next(hart, op, left, pc)
        }
    }
}

/// As [`loaded`]. Should the load trap, `auipc` has been run.
#[cold]
#[inline(never)]
unsafe fn loaded_relative<W: Width>(
    hart: &mut Hart,
    op: *const Op,
    left: i64,
    pc: u64,
    address: u64,
) -> bool {
    // SAFETY: as above.
    unsafe {
        let o = &*op;
        let offset = i16::from_le_bytes([o.rs1, o.rs2]);
        hart.x[o.rd as usize] = address.wrapping_sub(i64::from(offset) as u64);
        loaded_from::<W>(hart, op, left, pc, address)
    }
}

/// `memory[rs1 + immediate] = rs2`.
pub(crate) unsafe extern "C" fn store<W: Width>(hart: &mut Hart, op: *const Op, left: i64, pc: u64) {
    // SAFETY: as above.
    unsafe {
        let o = &*op;
        let address = hart.x[o.rs1 as usize].wrapping_add(i64::from(o.imm) as u64);
        if let Some(host) = writable::<W>(hart, address) {
            W::set(host, hart.x[o.rs2 as usize]);
            return next(hart, op, left, pc);
        }
        let value = hart.x[o.rs2 as usize];
        store_slowly::<W>(hart, op, left, pc, address, value)
    }
}

#[cold]
unsafe fn store_slowly<W: Width>(
    hart: &mut Hart,
    op: *const Op,
    left: i64,
    pc: u64,
    address: u64,
    value: u64,
) {
    // SAFETY: as above.
    unsafe {
        if stored::<W>(hart, op, left, pc, address, value) {
            next(hart, op, left, pc)
        }
    }
}

/// As [`loaded`].
#[inline(never)]
unsafe fn stored<W: Width>(
    hart: &mut Hart,
    op: *const Op,
    left: i64,
    pc: u64,
    address: u64,
    value: u64,
) -> bool {
    // SAFETY: as above.
    unsafe {
        hart.left = super::left_before(hart, op, left);
        match hart.write(address, W::SIZE, value) {
            Ok(false) => true,
            Ok(true) => leave_after(hart, op, left, pc),
            Err(refused) => super::trapped(hart, op, left, pc, refused),
        }
    }
}

/// `f[rd] = memory[rs1 + immediate]`.
pub(crate) unsafe extern "C" fn load_float<W: Width>(hart: &mut Hart, op: *const Op, left: i64, pc: u64) {
    // SAFETY: as above.
    unsafe {
        let o = &*op;
        let address = hart.x[o.rs1 as usize].wrapping_add(i64::from(o.imm) as u64);
        if hart.csr.float_enabled()
            && let Some(host) = readable::<W>(hart, address)
        {
            hart.set_float(o.rd, W::extend(W::get(host)));
            return next(hart, op, left, pc);
        }
        if loaded_float::<W>(hart, op, left, pc, address) {
            next(hart, op, left, pc)
        }
    }
}

/// As [`loaded`].
#[inline(never)]
unsafe fn loaded_float<W: Width>(hart: &mut Hart, op: *const Op, left: i64, pc: u64, address: u64) -> bool {
    // SAFETY: as above.
    unsafe {
        if !hart.csr.float_enabled() {
            return float_disabled(hart, op, left, pc);
        }
        hart.left = super::left_before(hart, op, left);
        match hart.read(address, W::SIZE) {
            Ok(bits) => {
                hart.set_float((*op).rd, W::extend(bits));
                !hart.take_changed() || super::leave_after(hart, op, left, pc)
            }
            Err(refused) => super::trapped(hart, op, left, pc, refused),
        }
    }
}

/// `memory[rs1 + immediate] = f[rs2]`.
pub(crate) unsafe extern "C" fn store_float<W: Width>(hart: &mut Hart, op: *const Op, left: i64, pc: u64) {
    // SAFETY: as above.
    unsafe {
        let o = &*op;
        if hart.csr.float_enabled() {
            let address = hart.x[o.rs1 as usize].wrapping_add(i64::from(o.imm) as u64);
            let value = hart.f[o.rs2 as usize & 31];
            if let Some(host) = writable::<W>(hart, address) {
                W::set(host, value);
                return next(hart, op, left, pc);
            }
            return store_slowly::<W>(hart, op, left, pc, address, value);
        }
        float_disabled(hart, op, left, pc);
    }
}

/// Floating point is off: its instructions are illegal. The block was left.
#[cold]
#[inline(never)]
unsafe fn float_disabled(hart: &mut Hart, op: *const Op, left: i64, pc: u64) -> bool {
    // SAFETY: as above.
    unsafe {
        let word = hart.word_at(op, pc);
        super::trapped(hart, op, left, pc, Trap::new(Cause::IllegalInstruction, word))
    }
}
