//! Control and status registers (RISC-V Privileged Architecture; Unprivileged, chapters Zicsr, Zicntr and F).

use crate::pmp::Pmp;
use crate::trap::interrupt;

/// A privilege mode, by its encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Mode {
    /// Where programs run.
    User = 0,
    /// Where a kernel runs.
    Supervisor = 1,
    /// Where firmware runs; without firmware of its own the machine never enters it.
    Machine = 3,
}

impl Mode {
    /// The mode encoded by the low two bits; the reserved encoding counts as user mode.
    pub(crate) fn of(bits: u64) -> Mode {
        match bits & 3 {
            3 => Mode::Machine,
            1 => Mode::Supervisor,
            _ => Mode::User,
        }
    }
}

/// Fields of `mstatus`.
#[allow(missing_docs)] // the names are the specification's
pub mod status {
    pub const SIE: u64 = 1 << 1;
    pub const MIE: u64 = 1 << 3;
    pub const SPIE: u64 = 1 << 5;
    pub const MPIE: u64 = 1 << 7;
    pub const SPP: u64 = 1 << 8;
    pub const MPP: u64 = 3 << 11;
    pub const MPP_SHIFT: u32 = 11;
    pub const FS: u64 = 3 << 13;
    pub const MPRV: u64 = 1 << 17;
    pub const SUM: u64 = 1 << 18;
    pub const MXR: u64 = 1 << 19;
    pub const TVM: u64 = 1 << 20;
    pub const TW: u64 = 1 << 21;
    pub const TSR: u64 = 1 << 22;
    /// Both user and supervisor registers have 64 bits, always.
    pub const XL: u64 = (2 << 32) | (2 << 34);
    pub const SD: u64 = 1 << 63;
    /// What a supervisor sees of it.
    pub const SUPERVISOR: u64 = SIE | SPIE | SPP | FS | SUM | MXR | (3 << 32) | SD;
    /// What a supervisor can change.
    pub const SUPERVISOR_WRITABLE: u64 = SIE | SPIE | SPP | FS | SUM | MXR;
    /// What machine mode can change.
    pub const WRITABLE: u64 = SUPERVISOR_WRITABLE | MIE | MPIE | MPP | MPRV | TVM | TW | TSR;
}

/// Exceptions that can be delegated: all but calls from machine mode and the reserved codes.
const DELEGABLE: u64 = 0xb3ff;

/// Numbers of registers.
mod number {
    pub const FFLAGS: u16 = 0x001;
    pub const FRM: u16 = 0x002;
    pub const FCSR: u16 = 0x003;
    pub const SSTATUS: u16 = 0x100;
    pub const SIE: u16 = 0x104;
    pub const STVEC: u16 = 0x105;
    pub const SCOUNTEREN: u16 = 0x106;
    pub const SENVCFG: u16 = 0x10a;
    pub const SSCRATCH: u16 = 0x140;
    pub const SEPC: u16 = 0x141;
    pub const SCAUSE: u16 = 0x142;
    pub const STVAL: u16 = 0x143;
    pub const SIP: u16 = 0x144;
    pub const SATP: u16 = 0x180;
    pub const MSTATUS: u16 = 0x300;
    pub const MISA: u16 = 0x301;
    pub const MEDELEG: u16 = 0x302;
    pub const MIDELEG: u16 = 0x303;
    pub const MIE: u16 = 0x304;
    pub const MTVEC: u16 = 0x305;
    pub const MCOUNTEREN: u16 = 0x306;
    pub const MENVCFG: u16 = 0x30a;
    pub const MCOUNTINHIBIT: u16 = 0x320;
    pub const MHPMEVENT_FIRST: u16 = 0x323;
    pub const MHPMEVENT_LAST: u16 = 0x33f;
    pub const MSCRATCH: u16 = 0x340;
    pub const MEPC: u16 = 0x341;
    pub const MCAUSE: u16 = 0x342;
    pub const MTVAL: u16 = 0x343;
    pub const MIP: u16 = 0x344;
    pub const PMPCFG_FIRST: u16 = 0x3a0;
    pub const PMPCFG_LAST: u16 = 0x3af;
    pub const PMPADDR_FIRST: u16 = 0x3b0;
    pub const PMPADDR_LAST: u16 = 0x3ef;
    pub const MCYCLE: u16 = 0xb00;
    pub const MINSTRET: u16 = 0xb02;
    pub const MHPMCOUNTER_FIRST: u16 = 0xb03;
    pub const MHPMCOUNTER_LAST: u16 = 0xb1f;
    pub const CYCLE: u16 = 0xc00;
    pub const TIME: u16 = 0xc01;
    pub const INSTRET: u16 = 0xc02;
    pub const HPMCOUNTER_FIRST: u16 = 0xc03;
    pub const HPMCOUNTER_LAST: u16 = 0xc1f;
    pub const MVENDORID: u16 = 0xf11;
    pub const MARCHID: u16 = 0xf12;
    pub const MIMPID: u16 = 0xf13;
    pub const MHARTID: u16 = 0xf14;
    pub const MCONFIGPTR: u16 = 0xf15;
}

/// `misa`: 64 bits, I M A F D C, S and U; fixed.
const MISA: u64 = (2 << 62) | extension(b"ACDFIMSU");

const fn extension(letters: &[u8]) -> u64 {
    let mut bits = 0;
    let mut i = 0;
    while i < letters.len() {
        bits |= 1 << (letters[i] - b'A');
        i += 1;
    }
    bits
}

/// What the registers need to know of the machine at the moment they are read.
#[derive(Clone, Copy)]
pub(crate) struct Now {
    /// Steps since reset.
    pub clock: u64,
    /// Instructions retired since reset.
    pub retired: u64,
    /// Ticks of the timer.
    pub time: u64,
}

/// What else changes with a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing.
    None,
    /// Translations made before no longer hold.
    Translation,
}

/// An access the current mode does not have, or a register there is not.
#[derive(Debug)]
pub(crate) struct Illegal;

/// All registers but the integer and floating-point ones.
#[derive(Clone)]
pub struct Csr {
    /// The current privilege mode.
    pub mode: Mode,
    /// `mstatus`, without the bits that never change.
    pub mstatus: u64,
    /// `fcsr`: accrued exceptions.
    pub fflags: u8,
    /// `fcsr`: dynamic rounding mode, as written.
    pub frm: u8,
    /// `mip`: interrupts that wait.
    pub mip: u64,
    #[allow(missing_docs)]
    pub mie: u64,
    #[allow(missing_docs)]
    pub medeleg: u64,
    #[allow(missing_docs)]
    pub mideleg: u64,
    #[allow(missing_docs)]
    pub mtvec: u64,
    #[allow(missing_docs)]
    pub mscratch: u64,
    #[allow(missing_docs)]
    pub mepc: u64,
    #[allow(missing_docs)]
    pub mcause: u64,
    #[allow(missing_docs)]
    pub mtval: u64,
    #[allow(missing_docs)]
    pub mcounteren: u64,
    #[allow(missing_docs)]
    pub menvcfg: u64,
    #[allow(missing_docs)]
    pub mcountinhibit: u64,
    /// What is added to the steps to give `mcycle`.
    pub cycle_offset: u64,
    /// What is added to the instructions retired to give `minstret`.
    pub instret_offset: u64,
    #[allow(missing_docs)]
    pub stvec: u64,
    #[allow(missing_docs)]
    pub sscratch: u64,
    #[allow(missing_docs)]
    pub sepc: u64,
    #[allow(missing_docs)]
    pub scause: u64,
    #[allow(missing_docs)]
    pub stval: u64,
    #[allow(missing_docs)]
    pub scounteren: u64,
    #[allow(missing_docs)]
    pub senvcfg: u64,
    #[allow(missing_docs)]
    pub satp: u64,
    /// Physical memory protection.
    pub pmp: Pmp,
}

impl Csr {
    /// As after reset, in machine mode.
    pub(crate) fn reset() -> Csr {
        Csr {
            mode: Mode::Machine,
            mstatus: 0,
            fflags: 0,
            frm: 0,
            mip: 0,
            mie: 0,
            medeleg: 0,
            mideleg: 0,
            mtvec: 0,
            mscratch: 0,
            mepc: 0,
            mcause: 0,
            mtval: 0,
            mcounteren: 0,
            menvcfg: 0,
            mcountinhibit: 0,
            cycle_offset: 0,
            instret_offset: 0,
            stvec: 0,
            sscratch: 0,
            sepc: 0,
            scause: 0,
            stval: 0,
            scounteren: 0,
            senvcfg: 0,
            satp: 0,
            pmp: Pmp::new(),
        }
    }

    /// As firmware leaves them to a kernel: in supervisor mode, everything delegated, counters open.
    pub(crate) fn supervisor() -> Csr {
        let mut csr = Csr::reset();
        csr.mode = Mode::Supervisor;
        csr.medeleg = DELEGABLE & !(1 << 9);
        csr.mideleg = interrupt::SUPERVISOR;
        // Cycle, time and instret; a kernel that drives no performance counters leaves the second as it finds it.
        csr.mcounteren = 7;
        csr.scounteren = 7;
        csr.pmp = Pmp::open();
        csr
    }

    /// Whether the fields that are read without a mask have values that can be written to them.
    pub(crate) fn is_sound(&self) -> bool {
        self.fflags < 32 && self.frm < 8 && matches!(self.satp >> 60, 0 | 8) && self.pmp.is_sound()
    }

    /// `mstatus` as it is read.
    fn status(&self) -> u64 {
        let dirty = if self.mstatus & status::FS == status::FS { status::SD } else { 0 };
        self.mstatus | status::XL | dirty
    }

    /// Whether floating-point instructions may be used.
    #[inline]
    pub(crate) fn float_enabled(&self) -> bool {
        self.mstatus & status::FS != 0
    }

    /// Reads register `number` in the current mode.
    pub(crate) fn read(&self, number: u16, now: Now) -> Result<u64, Illegal> {
        use number::*;
        if Mode::of(u64::from(number >> 8)) > self.mode {
            return Err(Illegal);
        }
        Ok(match number {
            FFLAGS | FRM | FCSR if !self.float_enabled() => return Err(Illegal),
            FFLAGS => u64::from(self.fflags),
            FRM => u64::from(self.frm),
            FCSR => u64::from(self.frm) << 5 | u64::from(self.fflags),
            CYCLE..=HPMCOUNTER_LAST => {
                self.counter_open(number)?;
                match number {
                    CYCLE => now.clock.wrapping_add(self.cycle_offset),
                    TIME => now.time,
                    INSTRET => now.retired.wrapping_add(self.instret_offset),
                    HPMCOUNTER_FIRST..=HPMCOUNTER_LAST => 0,
                    _ => return Err(Illegal),
                }
            }
            SSTATUS => self.status() & status::SUPERVISOR,
            SIE => self.mie & self.mideleg,
            SIP => self.mip & self.mideleg,
            STVEC => self.stvec,
            SCOUNTEREN => self.scounteren,
            SENVCFG => self.senvcfg,
            SSCRATCH => self.sscratch,
            SEPC => self.sepc,
            SCAUSE => self.scause,
            STVAL => self.stval,
            SATP if self.mode == Mode::Supervisor && self.mstatus & status::TVM != 0 => return Err(Illegal),
            SATP => self.satp,
            MSTATUS => self.status(),
            MISA => self::MISA,
            MEDELEG => self.medeleg,
            MIDELEG => self.mideleg,
            MIE => self.mie,
            MTVEC => self.mtvec,
            MCOUNTEREN => self.mcounteren,
            MENVCFG => self.menvcfg,
            MCOUNTINHIBIT => self.mcountinhibit,
            MHPMEVENT_FIRST..=MHPMEVENT_LAST | MHPMCOUNTER_FIRST..=MHPMCOUNTER_LAST => 0,
            MSCRATCH => self.mscratch,
            MEPC => self.mepc,
            MCAUSE => self.mcause,
            MTVAL => self.mtval,
            MIP => self.mip,
            PMPCFG_FIRST..=PMPCFG_LAST if number.is_multiple_of(2) => {
                self.pmp.config(usize::from(number - PMPCFG_FIRST) * 4)
            }
            PMPADDR_FIRST..=PMPADDR_LAST => self.pmp.address(usize::from(number - PMPADDR_FIRST)),
            MCYCLE => now.clock.wrapping_add(self.cycle_offset),
            MINSTRET => now.retired.wrapping_add(self.instret_offset),
            MVENDORID | MARCHID | MIMPID | MHARTID | MCONFIGPTR => 0,
            _ => return Err(Illegal),
        })
    }

    /// Whether the current mode may read the counter.
    fn counter_open(&self, number: u16) -> Result<(), Illegal> {
        let bit = 1 << (number & 31);
        let machine = self.mode == Mode::Machine || self.mcounteren & bit != 0;
        let supervisor = self.mode != Mode::User || self.scounteren & bit != 0;
        if machine && supervisor { Ok(()) } else { Err(Illegal) }
    }

    /// Writes register `number` in the current mode.
    pub(crate) fn write(&mut self, number: u16, value: u64, now: Now) -> Result<Effect, Illegal> {
        use number::*;
        if Mode::of(u64::from(number >> 8)) > self.mode || number >> 10 == 3 {
            return Err(Illegal);
        }
        let mut effect = Effect::None;
        match number {
            FFLAGS | FRM | FCSR => {
                if !self.float_enabled() {
                    return Err(Illegal);
                }
                self.mstatus |= status::FS;
                if number != FRM {
                    self.fflags = value as u8 & 0x1f;
                }
                match number {
                    FRM => self.frm = value as u8 & 7,
                    FCSR => self.frm = (value >> 5) as u8 & 7,
                    _ => {}
                }
            }
            SSTATUS => effect = self.set_status(value, status::SUPERVISOR_WRITABLE),
            SIE => self.mie = self.mie & !self.mideleg | value & self.mideleg,
            SIP => {
                let writable = self.mideleg & interrupt::SUPERVISOR_SOFTWARE;
                self.mip = self.mip & !writable | value & writable;
            }
            STVEC => self.stvec = vector(value),
            SCOUNTEREN => self.scounteren = value & 0xffff_ffff,
            SENVCFG => self.senvcfg = value & 1,
            SSCRATCH => self.sscratch = value,
            SEPC => self.sepc = value & !1,
            SCAUSE => self.scause = value,
            STVAL => self.stval = value,
            SATP => {
                if self.mode == Mode::Supervisor && self.mstatus & status::TVM != 0 {
                    return Err(Illegal);
                }
                // Bare and Sv39 are what there is; an attempt to set another mode changes nothing. No address space
                // identifiers.
                if matches!(value >> 60, 0 | 8) {
                    self.satp = value & 0xf000_0fff_ffff_ffff;
                    effect = Effect::Translation;
                }
            }
            MSTATUS => effect = self.set_status(value, status::WRITABLE),
            MISA => {}
            MEDELEG => self.medeleg = value & DELEGABLE,
            MIDELEG => self.mideleg = value & interrupt::SUPERVISOR,
            MIE => {
                self.mie = value
                    & (interrupt::SUPERVISOR
                        | interrupt::MACHINE_SOFTWARE
                        | interrupt::MACHINE_TIMER
                        | interrupt::MACHINE_EXTERNAL);
            }
            MIP => self.mip = self.mip & !interrupt::SUPERVISOR | value & interrupt::SUPERVISOR,
            MTVEC => self.mtvec = vector(value),
            MCOUNTEREN => self.mcounteren = value & 0xffff_ffff,
            MENVCFG => self.menvcfg = value & 1,
            MCOUNTINHIBIT => {} // the counters cannot be stopped: they are the clock
            MHPMEVENT_FIRST..=MHPMEVENT_LAST | MHPMCOUNTER_FIRST..=MHPMCOUNTER_LAST => {}
            MSCRATCH => self.mscratch = value,
            MEPC => self.mepc = value & !1,
            MCAUSE => self.mcause = value,
            MTVAL => self.mtval = value,
            PMPCFG_FIRST..=PMPCFG_LAST if number.is_multiple_of(2) => {
                self.pmp.set_config(usize::from(number - PMPCFG_FIRST) * 4, value);
                effect = Effect::Translation;
            }
            PMPADDR_FIRST..=PMPADDR_LAST => {
                self.pmp.set_address(usize::from(number - PMPADDR_FIRST), value);
                effect = Effect::Translation;
            }
            // The instruction that writes a counter does not count in it: the next one reads what was written.
            MCYCLE => self.cycle_offset = value.wrapping_sub(now.clock.wrapping_add(1)),
            MINSTRET => self.instret_offset = value.wrapping_sub(now.retired.wrapping_add(1)),
            _ => return Err(Illegal),
        }
        Ok(effect)
    }

    fn set_status(&mut self, value: u64, writable: u64) -> Effect {
        let before = self.mstatus;
        self.mstatus = before & !writable | value & writable;
        if self.mstatus & status::MPP == 2 << status::MPP_SHIFT {
            self.mstatus = self.mstatus & !status::MPP | before & status::MPP; // reserved: keeps what it was
        }
        if (before ^ self.mstatus) & status::MXR != 0 { Effect::Translation } else { Effect::None }
    }

    /// The mode whose rights loads and stores have.
    pub(crate) fn data_mode(&self) -> Mode {
        if self.mode == Mode::Machine && self.mstatus & status::MPRV != 0 {
            Mode::of(self.mstatus >> status::MPP_SHIFT)
        } else {
            self.mode
        }
    }

    /// The interrupt to be taken now, by its bit.
    pub(crate) fn pending_interrupt(&self) -> Option<u64> {
        let waiting = self.mip & self.mie;
        if waiting == 0 {
            return None;
        }
        let machine = self.mode < Mode::Machine || self.mstatus & status::MIE != 0;
        let supervisor =
            self.mode < Mode::Supervisor || self.mode == Mode::Supervisor && self.mstatus & status::SIE != 0;
        let mut enabled = 0;
        if machine {
            enabled |= waiting & !self.mideleg;
        }
        if enabled == 0 && supervisor {
            enabled |= waiting & self.mideleg;
        }
        interrupt::BY_PRIORITY.into_iter().find(|bit| enabled & bit != 0)
    }

    /// Enters the handler of a trap at `pc`: exception `code`, or interrupt `code`. Where the handler is.
    pub(crate) fn enter(&mut self, code: u64, is_interrupt: bool, value: u64, pc: u64) -> u64 {
        let delegated = if is_interrupt { self.mideleg } else { self.medeleg } >> code & 1 != 0;
        let cause = u64::from(is_interrupt) << 63 | code;
        let vector;
        if self.mode < Mode::Machine && delegated {
            vector = self.stvec;
            (self.sepc, self.scause, self.stval) = (pc, cause, value);
            let enabled = self.mstatus & status::SIE != 0;
            self.mstatus &= !(status::SIE | status::SPIE | status::SPP);
            self.mstatus |= if enabled { status::SPIE } else { 0 };
            self.mstatus |= if self.mode == Mode::Supervisor { status::SPP } else { 0 };
            self.mode = Mode::Supervisor;
        } else {
            vector = self.mtvec;
            (self.mepc, self.mcause, self.mtval) = (pc, cause, value);
            let enabled = self.mstatus & status::MIE != 0;
            self.mstatus &= !(status::MIE | status::MPIE | status::MPP);
            self.mstatus |= if enabled { status::MPIE } else { 0 };
            self.mstatus |= (self.mode as u64) << status::MPP_SHIFT;
            self.mode = Mode::Machine;
        }
        let base = vector & !3;
        if is_interrupt && vector & 1 != 0 { base.wrapping_add(4 * code) } else { base }
    }

    /// `sret`: where execution goes on.
    pub(crate) fn supervisor_return(&mut self) -> u64 {
        let mode = if self.mstatus & status::SPP != 0 { Mode::Supervisor } else { Mode::User };
        let enabled = self.mstatus & status::SPIE != 0;
        self.mstatus &= !(status::SIE | status::SPP | status::MPRV);
        self.mstatus |= status::SPIE | if enabled { status::SIE } else { 0 };
        self.mode = mode;
        self.sepc
    }

    /// `mret`: where execution goes on.
    pub(crate) fn machine_return(&mut self) -> u64 {
        let mode = Mode::of(self.mstatus >> status::MPP_SHIFT);
        let enabled = self.mstatus & status::MPIE != 0;
        self.mstatus &= !(status::MIE | status::MPP);
        self.mstatus |= status::MPIE | if enabled { status::MIE } else { 0 };
        if mode != Mode::Machine {
            self.mstatus &= !status::MPRV;
        }
        self.mode = mode;
        self.mepc
    }
}

/// A trap vector as it can be set: direct or vectored.
fn vector(value: u64) -> u64 {
    value & !2
}
