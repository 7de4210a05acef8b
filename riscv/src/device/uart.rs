//! The console: a 16550A that only sends, at once (National Semiconductor PC16550D data sheet).
//!
//! What is written is kept; nothing is ever received.

/// Registers by offset; what three of them are depends on [`line::DIVISOR`] or on the direction.
mod register {
    /// Transmitter; low byte of the divisor.
    pub const DATA: u64 = 0;
    /// Interrupt enable; high byte of the divisor.
    pub const ENABLE: u64 = 1;
    /// Interrupt identification when read, control of the buffers when written.
    pub const IDENTIFICATION: u64 = 2;
    pub const LINE_CONTROL: u64 = 3;
    pub const MODEM_CONTROL: u64 = 4;
    pub const LINE_STATUS: u64 = 5;
    pub const MODEM_STATUS: u64 = 6;
    pub const SCRATCH: u64 = 7;
}

/// The bit of the line control register that shows the divisor.
const DIVISOR: u8 = 0x80;
/// The transmitter is empty, all of it.
const EMPTY: u8 = 0x60;
/// The interrupt that the transmitter is empty, in the interrupt enable register.
const ENABLE_EMPTY: u8 = 0x02;
/// Loopback, in the modem control register.
const LOOPBACK: u8 = 0x10;
/// Carrier, data set ready, clear to send, in the modem status register.
const CONNECTED: u8 = 0xb0;

/// Bytes kept until they are taken, at most: what a guest writes beyond them in one run is lost.
const KEPT: usize = 16 << 20;

/// The console.
#[derive(Clone)]
pub(crate) struct Uart {
    pub divisor: u16,
    pub enable: u8,
    pub buffers: u8,
    pub line: u8,
    pub modem: u8,
    pub scratch: u8,
    /// Whether "the transmitter is empty" has not been seen yet.
    pub news: bool,
    /// What was written and not yet taken.
    output: Vec<u8>,
    /// Bytes written since reset.
    pub written: u64,
    mark: Option<Mark>,
}

/// A line to be looked for in what is written.
#[derive(Clone)]
struct Mark {
    text: Vec<u8>,
    /// Bytes of it that were the last ones written.
    seen: usize,
    marked: bool,
}

impl Uart {
    pub fn new() -> Uart {
        Uart {
            divisor: 0,
            enable: 0,
            buffers: 0,
            line: 0,
            modem: 0,
            scratch: 0,
            news: false,
            output: Vec::new(),
            written: 0,
            mark: None,
        }
    }

    /// What was written since the last call.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// Looks for `mark` from now on. It must not begin again inside itself.
    pub fn look_for(&mut self, mark: Option<&[u8]>) {
        self.mark = mark.map(|text| Mark { text: text.to_vec(), seen: 0, marked: false });
    }

    /// Whether the mark was written since the last call.
    pub fn take_marked(&mut self) -> bool {
        self.mark.as_mut().is_some_and(|mark| std::mem::take(&mut mark.marked))
    }

    /// Writes a byte.
    pub fn send(&mut self, byte: u8) {
        if self.output.len() < KEPT {
            self.output.push(byte);
        }
        self.written += 1;
        if let Some(mark) = &mut self.mark {
            mark.seen = match mark.text.get(mark.seen) {
                Some(expected) if *expected == byte => mark.seen + 1,
                _ => usize::from(mark.text.first() == Some(&byte)),
            };
            if mark.seen == mark.text.len() {
                mark.marked = true;
                mark.seen = 0;
            }
        }
    }

    /// Whether it interrupts.
    pub fn interrupt(&self) -> bool {
        self.news && self.enable & ENABLE_EMPTY != 0
    }

    pub fn read(&mut self, offset: u64) -> u8 {
        let divisor = self.line & DIVISOR != 0;
        match offset {
            register::DATA if divisor => self.divisor as u8,
            register::ENABLE if divisor => (self.divisor >> 8) as u8,
            register::ENABLE => self.enable,
            register::IDENTIFICATION => {
                let buffers = if self.buffers & 1 != 0 { 0xc0 } else { 0 };
                if self.interrupt() {
                    self.news = false; // reading it is having seen it
                    buffers | 2
                } else {
                    buffers | 1
                }
            }
            register::LINE_CONTROL => self.line,
            register::MODEM_CONTROL => self.modem,
            register::LINE_STATUS => EMPTY,
            // In loopback the outputs are the inputs: DTR, RTS, OUT1 and OUT2 come back as DSR, CTS, RI and DCD.
            register::MODEM_STATUS if self.modem & LOOPBACK != 0 => {
                let bit = |from: u8, to: u8| (self.modem >> from & 1) << to;
                bit(0, 5) | bit(1, 4) | bit(2, 6) | bit(3, 7)
            }
            register::MODEM_STATUS => CONNECTED,
            register::SCRATCH => self.scratch,
            _ => 0,
        }
    }

    pub fn write(&mut self, offset: u64, value: u8) {
        let divisor = self.line & DIVISOR != 0;
        match offset {
            register::DATA if divisor => self.divisor = self.divisor & 0xff00 | u16::from(value),
            register::ENABLE if divisor => self.divisor = self.divisor & 0xff | u16::from(value) << 8,
            register::DATA => {
                // In loopback nothing leaves.
                if self.modem & LOOPBACK == 0 {
                    self.send(value);
                }
                self.news = true;
            }
            register::ENABLE => {
                if value & ENABLE_EMPTY != 0 && self.enable & ENABLE_EMPTY == 0 {
                    self.news = true;
                }
                self.enable = value & 0x0f;
            }
            register::IDENTIFICATION => self.buffers = value & 0xc9,
            register::LINE_CONTROL => self.line = value,
            register::MODEM_CONTROL => self.modem = value & 0x1f,
            register::SCRATCH => self.scratch = value,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interrupt_comes_when_asked_for_and_after_every_byte_and_goes_when_seen() {
        let mut uart = Uart::new();
        assert_eq!(uart.read(2), 1);
        uart.write(1, 2);
        assert!(uart.interrupt());
        assert_eq!(uart.read(2), 2);
        assert_eq!(uart.read(2), 1);
        uart.write(0, b'x');
        assert!(uart.interrupt());
        uart.write(1, 0);
        assert!(!uart.interrupt());
        assert_eq!(uart.take_output(), b"x");
    }

    #[test]
    fn a_mark_is_found_once_and_only_whole() {
        let mut uart = Uart::new();
        uart.look_for(Some(b"\nready\n"));
        b"\nread\n\nready".iter().for_each(|byte| uart.write(0, *byte));
        assert!(!uart.take_marked());
        uart.write(0, b'\n');
        assert!(uart.take_marked());
        assert!(!uart.take_marked());
    }
}
