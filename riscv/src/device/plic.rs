//! The interrupt controller: as much of a PLIC as one source and one hart need (RISC-V Platform-Level Interrupt
//! Controller Specification 1.0.0). Context 0 is machine mode and has nothing, context 1 is supervisor mode.

use super::UART_INTERRUPT;

/// Offsets of registers.
mod register {
    use super::UART_INTERRUPT;
    /// The console's priority.
    pub const PRIORITY: u64 = 4 * UART_INTERRUPT as u64;
    /// Which of the first 32 sources wait.
    pub const PENDING: u64 = 0x1000;
    /// Which of the first 32 sources the supervisor wants.
    pub const ENABLE: u64 = 0x2080;
    /// The priority above which it wants them.
    pub const THRESHOLD: u64 = 0x20_1000;
    /// To take an interrupt, and to say that it was dealt with.
    pub const CLAIM: u64 = 0x20_1004;
}

/// The interrupt controller.
#[derive(Clone, Default)]
pub(crate) struct Plic {
    pub priority: u32,
    pub enabled: bool,
    pub threshold: u32,
    /// Whether the console's interrupt was taken and not yet dealt with.
    pub claimed: bool,
}

impl Plic {
    pub fn new() -> Plic {
        Plic::default()
    }

    /// Whether the source waits; `line` is whether the console interrupts.
    fn pending(&self, line: bool) -> bool {
        line && !self.claimed
    }

    /// Whether the supervisor is interrupted.
    pub fn interrupts(&self, line: bool) -> bool {
        self.pending(line) && self.enabled && self.priority > self.threshold
    }

    pub fn read(&mut self, offset: u64, line: bool) -> u32 {
        match offset {
            register::PRIORITY => self.priority,
            register::PENDING => u32::from(self.pending(line)) << UART_INTERRUPT,
            register::ENABLE => u32::from(self.enabled) << UART_INTERRUPT,
            register::THRESHOLD => self.threshold,
            register::CLAIM if self.pending(line) && self.enabled && self.priority > 0 => {
                self.claimed = true;
                UART_INTERRUPT
            }
            _ => 0,
        }
    }

    pub fn write(&mut self, offset: u64, value: u32) {
        match offset {
            register::PRIORITY => self.priority = value & 7,
            register::ENABLE => self.enabled = value >> UART_INTERRUPT & 1 != 0,
            register::THRESHOLD => self.threshold = value & 7,
            register::CLAIM if value == UART_INTERRUPT && self.enabled => self.claimed = false,
            _ => {}
        }
    }
}
