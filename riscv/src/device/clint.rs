//! Timer and software interrupt as memory, for machine mode (SiFive FU540-C000 Manual, "Core-Local Interruptor").

use crate::clock::Clock;

const SOFTWARE: u64 = 0;
const COMPARE: u64 = 0x4000;
const TIME: u64 = 0xbff8;

/// The registers that are not the clock's own.
#[derive(Clone, Default)]
pub(crate) struct Clint {
    pub software: bool,
}

impl Clint {
    pub fn read(&self, offset: u64, size: u64, clock: &Clock, time: u64) -> Option<u64> {
        let (register, inside) = register(offset)?;
        let value = match register {
            SOFTWARE => u64::from(self.software),
            COMPARE => clock.deadline,
            _ => time,
        };
        matches!(size, 4 | 8).then_some(value >> (8 * inside))
    }

    pub fn write(&mut self, offset: u64, size: u64, value: u64, clock: &mut Clock) -> bool {
        match (register(offset), size) {
            (Some((SOFTWARE, _)), 4) => self.software = value & 1 != 0,
            (Some((COMPARE, 0)), 8) => clock.deadline = value,
            (Some((COMPARE, inside)), 4) => {
                let shift = 8 * inside;
                clock.deadline = clock.deadline & !(0xffff_ffff << shift) | (value & 0xffff_ffff) << shift;
            }
            _ => return false,
        }
        true
    }
}

/// The register at `offset`, and the byte in it.
fn register(offset: u64) -> Option<(u64, u64)> {
    [(SOFTWARE, 4), (COMPARE, 8), (TIME, 8)]
        .into_iter()
        .find(|(start, len)| (*start..start + len).contains(&offset))
        .map(|(start, _)| (start, offset - start))
        .filter(|(_, inside)| inside.is_multiple_of(4))
}
