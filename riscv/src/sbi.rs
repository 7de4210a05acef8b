//! The firmware: the RISC-V Supervisor Binary Interface 2.0, answered by the machine itself.

use crate::hart::{Hart, Stop};
use crate::trap::interrupt;

/// What a guest asks for when it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// To switch off.
    Shutdown,
    /// To switch off because of a failure.
    Failure,
    /// To start again; the machine stops.
    Reboot,
}

/// Extensions.
mod extension {
    pub const SET_TIMER: u64 = 0x00;
    pub const PUT_CHARACTER: u64 = 0x01;
    pub const GET_CHARACTER: u64 = 0x02;
    pub const CLEAR_INTERRUPT: u64 = 0x03;
    pub const SEND_INTERRUPT: u64 = 0x04;
    pub const REMOTE_FENCE_I: u64 = 0x05;
    pub const REMOTE_FENCE_VMA: u64 = 0x06;
    pub const REMOTE_FENCE_VMA_ASID: u64 = 0x07;
    pub const SHUTDOWN: u64 = 0x08;
    pub const BASE: u64 = 0x10;
    pub const TIME: u64 = 0x5449_4d45;
    pub const INTERRUPT: u64 = 0x73_5049;
    pub const REMOTE_FENCE: u64 = 0x5246_4e43;
    pub const HART_STATE: u64 = 0x48_534d;
    pub const SYSTEM_RESET: u64 = 0x5352_5354;
    pub const CONSOLE: u64 = 0x4442_434e;
}

/// Errors.
const NOT_SUPPORTED: i64 = -2;
const INVALID_PARAMETER: i64 = -3;
const ALREADY_AVAILABLE: i64 = -6;

/// SBI 2.0.
const VERSION: u64 = 2 << 24;
/// The number of this implementation; the specification keeps a list that it is not on.
const IMPLEMENTATION: u64 = 0x7270;
/// Bytes one call writes to the console at most, so that no step takes long; the caller asks again for the rest.
const CONSOLE_MOST: u64 = 256;

type Answer = Result<u64, i64>;

/// Answers the call whose arguments are in the registers: `a7` is the extension, `a6` the function.
pub(crate) fn call(hart: &mut Hart) {
    let argument: [u64; 6] = std::array::from_fn(|i| hart.x[10 + i]);
    let (extension, function) = (hart.x[17], hart.x[16]);
    if extension <= self::extension::SHUTDOWN {
        hart.x[10] = legacy(hart, extension, argument[0]) as u64;
        return;
    }
    let answer = match extension {
        extension::BASE => base(function, argument[0]),
        extension::TIME if function == 0 => set_timer(hart, argument[0]),
        extension::INTERRUPT if function == 0 => to_this_hart(argument[0], argument[1]).map(|there| {
            if there {
                hart.csr.mip |= interrupt::SUPERVISOR_SOFTWARE;
            }
            0
        }),
        // fence.i needs nothing; fences of translations empty the caches; those of hypervisors there are not.
        extension::REMOTE_FENCE if function <= 2 => to_this_hart(argument[0], argument[1]).map(|there| {
            if there && function > 0 {
                hart.flush();
            }
            0
        }),
        extension::HART_STATE => hart_state(hart, function, argument),
        extension::SYSTEM_RESET if function == 0 => reset(hart, argument[0], argument[1]),
        extension::CONSOLE => console(hart, function, argument),
        _ => Err(NOT_SUPPORTED),
    };
    let (error, value) = match answer {
        Ok(value) => (0, value),
        Err(error) => (error, 0),
    };
    hart.x[10] = error as u64;
    hart.x[11] = value;
}

/// The extensions of SBI 0.1, which give one number back.
fn legacy(hart: &mut Hart, extension: u64, argument: u64) -> i64 {
    match extension {
        extension::SET_TIMER => {
            hart.clock.deadline = argument;
        }
        extension::PUT_CHARACTER => hart.devices.uart.send(argument as u8),
        extension::GET_CHARACTER => return -1,
        extension::CLEAR_INTERRUPT => hart.csr.mip &= !interrupt::SUPERVISOR_SOFTWARE,
        extension::SEND_INTERRUPT => hart.csr.mip |= interrupt::SUPERVISOR_SOFTWARE,
        extension::REMOTE_FENCE_I => {}
        extension::REMOTE_FENCE_VMA | extension::REMOTE_FENCE_VMA_ASID => hart.flush(),
        _ => hart.devices.stop = Some(Stop::PoweredOff { reset: Reset::Shutdown }),
    }
    0
}

fn base(function: u64, probed: u64) -> Answer {
    use extension::*;
    Ok(match function {
        0 => VERSION,
        1 => IMPLEMENTATION,
        2 => 1,
        3 => u64::from(
            probed <= SHUTDOWN
                || [BASE, TIME, INTERRUPT, REMOTE_FENCE, HART_STATE, SYSTEM_RESET, CONSOLE].contains(&probed),
        ),
        4..=6 => 0, // mvendorid, marchid, mimpid
        _ => return Err(NOT_SUPPORTED),
    })
}

fn set_timer(hart: &mut Hart, deadline: u64) -> Answer {
    hart.clock.deadline = deadline;
    Ok(0)
}

/// Whether a mask of harts that begins at `first` has the only one in it.
fn to_this_hart(mask: u64, first: u64) -> Result<bool, i64> {
    match first {
        u64::MAX => Ok(true),
        0 if mask & !1 == 0 => Ok(mask == 1),
        _ if mask == 0 => Ok(false),
        _ => Err(INVALID_PARAMETER),
    }
}

fn hart_state(hart: &mut Hart, function: u64, argument: [u64; 6]) -> Answer {
    match function {
        0 if argument[0] == 0 => Err(ALREADY_AVAILABLE),
        0 => Err(INVALID_PARAMETER),
        // The only hart stops: nothing can start it again.
        1 => {
            hart.devices.stop = Some(Stop::Stuck);
            Ok(0)
        }
        2 if argument[0] == 0 => Ok(0), // started
        2 => Err(INVALID_PARAMETER),
        // Suspension that keeps everything is waiting, which the guest may also do by itself.
        3 if argument[0] as u32 == 0 => Ok(0),
        _ => Err(NOT_SUPPORTED),
    }
}

fn reset(hart: &mut Hart, kind: u64, reason: u64) -> Answer {
    let reset = match (kind, reason) {
        (0, 0) => Reset::Shutdown,
        (0, 1) => Reset::Failure,
        (1 | 2, _) => Reset::Reboot,
        _ => return Err(INVALID_PARAMETER),
    };
    hart.devices.stop = Some(Stop::PoweredOff { reset });
    Ok(0)
}

fn console(hart: &mut Hart, function: u64, argument: [u64; 6]) -> Answer {
    match function {
        0 => {
            let len = argument[0].min(CONSOLE_MOST);
            // The upper half of an address of twice a register's width.
            let bytes = hart.memory.slice(argument[1], len).filter(|_| argument[2] == 0);
            let bytes = bytes.ok_or(INVALID_PARAMETER)?;
            bytes.iter().for_each(|byte| hart.devices.uart.send(*byte));
            Ok(len)
        }
        1 => Ok(0), // there is never anything to read
        2 => {
            hart.devices.uart.send(argument[0] as u8);
            Ok(0)
        }
        _ => Err(NOT_SUPPORTED),
    }
}

/// The registers a kernel or a guest's own firmware starts with: the hart's number and the device tree's address.
pub(crate) fn hand_over(hart: &mut Hart, entry: u64, device_tree: u64) {
    hart.pc = entry & !1;
    hart.x[10] = 0;
    hart.x[11] = device_tree;
}
