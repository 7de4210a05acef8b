//! Exceptions and interrupts (RISC-V Privileged Architecture, machine and supervisor cause registers).

/// Why an instruction did not complete, by its exception code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)] // the names are the specification's
pub enum Cause {
    InstructionAccess = 1,
    IllegalInstruction = 2,
    Breakpoint = 3,
    LoadMisaligned = 4,
    LoadAccess = 5,
    StoreMisaligned = 6,
    StoreAccess = 7,
    CallFromUser = 8,
    CallFromSupervisor = 9,
    CallFromMachine = 11,
    InstructionPage = 12,
    LoadPage = 13,
    StorePage = 15,
}

/// An exception: its cause, and the value for `xtval`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trap {
    /// Why.
    pub cause: Cause,
    /// The address or instruction that is to blame; 0 when none is.
    pub value: u64,
}

impl Trap {
    /// `cause`, with `value` to blame.
    pub const fn new(cause: Cause, value: u64) -> Trap {
        Trap { cause, value }
    }
}

/// Interrupts by their bit in `mip` and `mie`.
pub mod interrupt {
    /// Supervisor software.
    pub const SUPERVISOR_SOFTWARE: u64 = 1 << 1;
    /// Machine software.
    pub const MACHINE_SOFTWARE: u64 = 1 << 3;
    /// Supervisor timer.
    pub const SUPERVISOR_TIMER: u64 = 1 << 5;
    /// Machine timer.
    pub const MACHINE_TIMER: u64 = 1 << 7;
    /// Supervisor external.
    pub const SUPERVISOR_EXTERNAL: u64 = 1 << 9;
    /// Machine external.
    pub const MACHINE_EXTERNAL: u64 = 1 << 11;
    /// All a supervisor can be given.
    pub const SUPERVISOR: u64 = SUPERVISOR_SOFTWARE | SUPERVISOR_TIMER | SUPERVISOR_EXTERNAL;
    /// Highest priority first.
    pub const BY_PRIORITY: [u64; 6] = [
        MACHINE_EXTERNAL,
        MACHINE_SOFTWARE,
        MACHINE_TIMER,
        SUPERVISOR_EXTERNAL,
        SUPERVISOR_SOFTWARE,
        SUPERVISOR_TIMER,
    ];
}
