//! All there is besides memory: a console, its way to interrupt, and, for guests that bring their own firmware, the timer
//! as memory. None of them knows anything of the host.

mod clint;
mod plic;
mod uart;

pub(crate) use clint::Clint;
pub(crate) use plic::Plic;
pub(crate) use uart::Uart;

use crate::clock::Clock;
use crate::hart::Stop;

/// Physical address of the console's registers, and their length.
pub const UART: (u64, u64) = (0x1000_0000, 0x100);
/// Physical address of the interrupt controller, and its length.
pub const PLIC: (u64, u64) = (0xc00_0000, 0x60_0000);
/// Physical address of timer and software interrupt, and their length.
pub const CLINT: (u64, u64) = (0x200_0000, 0x1_0000);
/// The number of the console's interrupt at the interrupt controller.
pub const UART_INTERRUPT: u32 = 10;

/// Every device.
pub(crate) struct Devices {
    pub uart: Uart,
    pub plic: Plic,
    /// Only for guests with firmware of their own.
    pub clint: Option<Clint>,
    /// What ends the run.
    pub stop: Option<Stop>,
}

impl Devices {
    /// `clint` is whether there is one.
    pub fn new(clint: bool) -> Devices {
        Devices { uart: Uart::new(), plic: Plic::new(), clint: clint.then(Clint::default), stop: None }
    }

    /// What has ended the run since the last call.
    pub fn stop(&mut self) -> Option<Stop> {
        if self.uart.take_marked() {
            return Some(Stop::Marked);
        }
        self.stop
    }

    /// Whether the interrupt controller interrupts the supervisor.
    pub fn interrupt(&self) -> bool {
        self.plic.interrupts(self.uart.interrupt())
    }

    /// Whether software interrupts machine mode.
    pub fn software_interrupt(&self) -> bool {
        self.clint.as_ref().is_some_and(|clint| clint.software)
    }

    /// Reads a register; none where there is none. `time` is what the timer reads.
    pub fn read(&mut self, address: u64, size: u64, clock: &Clock, time: u64) -> Option<u64> {
        if let Some(offset) = inside(UART, address, size) {
            return (size == 1).then(|| u64::from(self.uart.read(offset)));
        }
        if let Some(offset) = inside(PLIC, address, size) {
            return (size == 4).then(|| u64::from(self.plic.read(offset, self.uart.interrupt())));
        }
        let offset = inside(CLINT, address, size)?;
        self.clint.as_ref()?.read(offset, size, clock, time)
    }

    /// Writes a register; false where there is none.
    pub fn write(&mut self, address: u64, size: u64, value: u64, clock: &mut Clock) -> bool {
        if let Some(offset) = inside(UART, address, size) {
            if size == 1 {
                self.uart.write(offset, value as u8);
            }
            return size == 1;
        }
        if let Some(offset) = inside(PLIC, address, size) {
            if size == 4 {
                self.plic.write(offset, value as u32);
            }
            return size == 4;
        }
        match (inside(CLINT, address, size), &mut self.clint) {
            (Some(offset), Some(clint)) => clint.write(offset, size, value, clock),
            _ => false,
        }
    }
}

/// The offset of `address` in `range`, if `size` bytes from there lie in it.
fn inside(range: (u64, u64), address: u64, size: u64) -> Option<u64> {
    let offset = address.wrapping_sub(range.0);
    (offset < range.1 && size <= range.1 - offset).then_some(offset)
}
