//! Instructions that only the loop runs: calls, returns, waiting, fences of translations, registers of control.

use crate::csr::{Effect, Mode, status};
use crate::hart::{Firmware, Hart, Stop};
use crate::sbi;
use crate::trap::{Cause, Trap};

impl Hart {
    /// Runs the instruction [`Hart::word`] at `pc`.
    pub(crate) fn system(&mut self) -> Result<(), Trap> {
        let word = self.word;
        let illegal = Trap::new(Cause::IllegalInstruction, u64::from(word));
        let next = self.pc.wrapping_add(4);
        if word >> 12 & 7 != 0 {
            self.register_instruction(word).ok_or(illegal)?;
            self.pc = next;
            self.clock.advance(1);
            return Ok(());
        }
        let tsr = self.csr.mstatus & status::TSR != 0;
        match word {
            0x0000_0073 => {
                let cause = match self.csr.mode {
                    Mode::User => Cause::CallFromUser,
                    Mode::Supervisor if self.firmware == Firmware::Machine => {
                        self.pc = next;
                        self.clock.advance(1);
                        sbi::call(self);
                        return Ok(());
                    }
                    Mode::Supervisor => Cause::CallFromSupervisor,
                    Mode::Machine => Cause::CallFromMachine,
                };
                return Err(Trap::new(cause, 0));
            }
            0x0010_0073 => return Err(Trap::new(Cause::Breakpoint, self.pc)),
            0x1020_0073 if self.csr.mode == Mode::Machine || self.csr.mode == Mode::Supervisor && !tsr => {
                self.pc = self.csr.supervisor_return();
                self.choose_context();
            }
            0x3020_0073 if self.csr.mode == Mode::Machine => {
                self.pc = self.csr.machine_return();
                self.choose_context();
            }
            0x1050_0073 => {
                let trapped = self.csr.mode == Mode::User
                    || self.csr.mode < Mode::Machine && self.csr.mstatus & status::TW != 0;
                if trapped {
                    return Err(illegal);
                }
                self.pc = next;
                self.waiting = true;
            }
            _ if word & 0xfe00_7fff == 0x1200_0073 => {
                let tvm = self.csr.mstatus & status::TVM != 0;
                if self.csr.mode == Mode::User || self.csr.mode == Mode::Supervisor && tvm {
                    return Err(illegal);
                }
                match word >> 15 & 31 {
                    0 => self.flush(),
                    rs1 => {
                        let address = self.x[rs1 as usize];
                        self.each_tlb(|tlb| tlb.flush_page(address));
                    }
                }
                self.pc = next;
            }
            _ => return Err(illegal),
        }
        self.clock.advance(1);
        Ok(())
    }

    /// After `wfi`: lets the clock jump to the next thing that can happen. Whether the run is over: the clock has come to
    /// `until`, or nothing can ever happen.
    pub(crate) fn wait(&mut self, until: u64) -> Option<Stop> {
        if self.csr.mip & self.csr.mie == 0 {
            match self.clock.timer_step() {
                Some(step) if step > until => {
                    self.clock.idle_to(until);
                    return Some(Stop::Reached);
                }
                Some(step) => self.clock.idle_to(step),
                None => return Some(Stop::Stuck),
            }
        }
        self.waiting = false;
        None
    }

    /// `csrrw` and its kin.
    pub(crate) fn register_instruction(&mut self, word: u32) -> Option<()> {
        self.update_interrupts();
        let number = (word >> 20) as u16;
        let field = (word >> 15 & 31) as usize;
        let operand = if word >> 14 & 1 != 0 { field as u64 } else { self.x[field] };
        let rd = (word >> 7 & 31) as usize;
        let now = self.now();
        // Reading has no effects here, so that it does not matter whether `csrrw` to x0 reads.
        let old = self.csr.read(number, now).ok()?;
        let new = match word >> 12 & 3 {
            1 => Some(operand),
            2 => (field != 0).then_some(old | operand),
            _ => (field != 0).then_some(old & !operand),
        };
        if let Some(new) = new {
            if self.csr.write(number, new, now).ok()? == Effect::Translation {
                self.flush();
            }
            self.choose_context();
        }
        if rd != 0 {
            self.x[rd] = old;
        }
        Some(())
    }
}
