//! A trace: one line for every step of a machine.
//!
//! `STEP MODE PC WORD TEXT`, and behind `;` what the step changed: integer and floating-point registers with their new values, `satp` when the page
//! tables are others, `trap CAUSE` when the instruction was not completed. A wait is one line however long it is, with `-` for the word. Numbers but the step
//! and the cause are hexadecimal; the mode is `U`, `S` or `M`.

use std::io::{self, Write};

use reprove_riscv::csr::Mode;
use reprove_riscv::{FLOAT_REGISTERS, Machine, REGISTERS, Stop, disassemble};

/// Writes a trace.
pub struct Trace<W: Write> {
    out: W,
}

/// What a line may show as changed.
struct Seen {
    x: [u64; 32],
    f: [u64; 32],
    satp: u64,
    retired: u64,
}

impl Seen {
    fn of(machine: &Machine) -> Seen {
        Seen {
            x: machine.registers(),
            f: machine.float_registers(),
            satp: machine.csr().satp,
            retired: machine.clock().retired(),
        }
    }
}

impl<W: Write> Trace<W> {
    /// A trace that goes to `out`.
    pub fn new(out: W) -> Self {
        Trace { out }
    }

    /// Runs up to step `pause`, or behind it when the hart waits there, but never beyond `until`, and writes a line for each
    /// step.
    pub fn steps(&mut self, machine: &mut Machine, pause: u64, until: u64) -> io::Result<Stop> {
        let mut before = Seen::of(machine);
        while machine.clock().now() < pause.min(until) {
            let (step, mode, pc) = (machine.clock().now(), machine.csr().mode, machine.pc());
            let (waits, word) = (machine.waits(), machine.instruction());
            let stop = machine.step(until);
            let after = Seen::of(machine);
            if machine.clock().now() == step {
                return Ok(stop); // it had stopped before
            }
            let mode = match mode {
                Mode::User => 'U',
                Mode::Supervisor => 'S',
                Mode::Machine => 'M',
            };
            write!(self.out, "{step} {mode} {pc:016x} ")?;
            match word {
                _ if waits => write!(self.out, "- waits")?,
                Some(word) if word & 3 != 3 => write!(self.out, "{word:04x} {}", disassemble(word))?,
                Some(word) => write!(self.out, "{word:08x} {}", disassemble(word))?,
                None => write!(self.out, "- not fetched")?,
            }
            self.changes(machine, &before, &after, waits)?;
            self.out.write_all(b"\n")?;
            if stop != Stop::Reached {
                return Ok(stop);
            }
            before = after;
        }
        Ok(Stop::Reached)
    }

    fn changes(&mut self, machine: &Machine, before: &Seen, after: &Seen, waits: bool) -> io::Result<()> {
        let mut mark = " ;";
        let files = [(&REGISTERS, &before.x, &after.x), (&FLOAT_REGISTERS, &before.f, &after.f)];
        for (names, before, after) in files {
            for ((name, before), after) in names.iter().zip(before).zip(after) {
                if before != after {
                    write!(self.out, "{} {name}={after:x}", std::mem::take(&mut mark))?;
                }
            }
        }
        if before.satp != after.satp {
            write!(self.out, "{} satp={:x}", std::mem::take(&mut mark), after.satp)?;
        }
        if before.retired == after.retired && !waits {
            let csr = machine.csr();
            let cause = if csr.mode == Mode::Machine { csr.mcause } else { csr.scause };
            write!(self.out, "{} trap {cause}", std::mem::take(&mut mark))?;
        }
        Ok(())
    }

    /// Writes what is left.
    pub fn finish(mut self) -> io::Result<()> {
        self.out.flush()
    }
}
