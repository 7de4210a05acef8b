//! Deterministic machines behind one trait: the same guest, the same drives, several engines.
//!
//! A [`Machine`] takes a [`Job`] (a guest bundle, settings, caps, an input drive) and gives a [`Run`]: how it
//! ended, how far it ran, its console and its output drive. What the drives mean is the business of `build`;
//! what the guest does with them is written in `docs/guest-protocol.md`.

mod board;
mod drive;
mod error;
mod fdt;
mod layout;
mod limits;
mod settings;

pub mod embedded;
pub mod qemu;

pub use drive::{Drive, Region};
pub use error::{EXPLANATIONS, MachineError};
pub use settings::{Caps, Contract, Setting, Settings};

use std::{fmt, str::FromStr, time::Duration};

/// An instruction set a machine runs; the `x86_64` of Nix's `x86_64-linux`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arch {
    /// 64-bit x86, baseline (x86-64-v1).
    X86_64,
    /// RV64GC.
    Riscv64,
}

impl Arch {
    /// Every architecture there is a machine for.
    pub const ALL: [Arch; 2] = [Arch::X86_64, Arch::Riscv64];

    /// `x86_64`, `riscv64`.
    pub fn name(self) -> &'static str {
        match self {
            Arch::X86_64 => "x86_64",
            Arch::Riscv64 => "riscv64",
        }
    }

    /// Nix's `system` of a Linux guest of this architecture: `x86_64-linux`.
    pub fn system(self) -> &'static str {
        match self {
            Arch::X86_64 => "x86_64-linux",
            Arch::Riscv64 => "riscv64-linux",
        }
    }

    /// Debian's name of the architecture: `amd64`, `riscv64`.
    pub fn debian(self) -> &'static str {
        match self {
            Arch::X86_64 => "amd64",
            Arch::Riscv64 => "riscv64",
        }
    }

    /// The architecture that runs a derivation's `system`, if there is a machine for it.
    pub fn of_system(system: &[u8]) -> Option<Arch> {
        Arch::ALL.into_iter().find(|arch| arch.system().as_bytes() == system)
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Arch {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Arch::ALL
            .into_iter()
            .find(|arch| arch.name() == text || arch.system() == text)
            .ok_or_else(|| format!("`{text}` is no architecture there is a machine for: x86_64, riscv64"))
    }
}

/// A kind of machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Engine {
    /// Our own, in this process.
    Embedded,
    /// QEMU's emulation, as a child process.
    Qemu,
}

impl Engine {
    /// Every kind, the ones that are taken by default first.
    pub const ALL: [Engine; 2] = [Engine::Embedded, Engine::Qemu];

    /// `embedded`, `qemu`.
    pub fn name(self) -> &'static str {
        match self {
            Engine::Embedded => "embedded",
            Engine::Qemu => "qemu",
        }
    }

    /// Whether it runs guests of `arch`.
    pub fn runs(self, arch: Arch) -> bool {
        match self {
            Engine::Embedded => arch == Arch::Riscv64,
            Engine::Qemu => true,
        }
    }
}

impl FromStr for Engine {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Engine::ALL.into_iter().find(|engine| engine.name() == text);
        found.ok_or_else(|| format!("`{text}` is no machine: embedded, qemu"))
    }
}

/// One thing to run: everything the outcome depends on.
pub struct Job<'a> {
    /// Kernel, initial file system and firmware.
    pub bundle: &'a crate::guest::Bundle,
    /// What can be varied.
    pub settings: &'a Settings,
    /// Where to stop.
    pub caps: &'a Caps,
    /// The read-only input drive.
    pub input: &'a Drive,
    /// Which of several runs of the same it is, as `round 2`; empty when there is only one. No run depends on it: only what is
    /// kept of a run that is interrupted is this run's and no other's, which would otherwise prove nothing beside it.
    pub round: &'a str,
}

/// What an engine tells of a run besides its console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// It goes on where one that was interrupted had come to; all of the console until there was just told again.
    TakenUp {
        /// Instructions that were retired by then.
        instructions: u64,
    },
    /// Its state could not be kept: after an interruption it would begin again. It goes on.
    NotKept {
        /// The operating system's answer.
        why: String,
    },
}

/// Who watches a run: progress for a person, and the way to stop it early.
pub trait Watch: Send {
    /// New bytes of the console, in order, in pieces of any size.
    fn console(&mut self, bytes: &[u8]);
    /// Something else.
    fn news(&mut self, _news: &News) {}
    /// Whether to stop now; asked several times a second.
    fn cancelled(&self) -> bool {
        false
    }
}

/// A watcher that does not look.
pub struct Unwatched;

impl Watch for Unwatched {
    fn console(&mut self, _bytes: &[u8]) {}
}

/// How a run ended, as the engine saw it. Only the result record in the output drive says whether the job
/// inside succeeded; the engine can only say that the machine stopped by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// The guest switched the machine off.
    PoweredOff,
    /// The wall-clock cap was reached.
    WallTime,
    /// Nothing came on the console for longer than the cap on silence.
    Silence,
    /// The console wrote more than its cap.
    ConsoleOverflow,
    /// The watcher cancelled it.
    Cancelled,
    /// The guest waits for something that can never happen.
    Stuck,
    /// The engine itself failed (exit code or signal in the engine's log).
    EngineFailed,
}

impl End {
    /// Whether it is the host that ended the run, which could have gone on.
    pub fn is_the_hosts(self) -> bool {
        match self {
            End::WallTime | End::Silence | End::Cancelled | End::EngineFailed => true,
            End::PoweredOff | End::ConsoleOverflow | End::Stuck => false,
        }
    }
}

/// What a run left behind.
pub struct Run {
    /// How it ended.
    pub end: End,
    /// How far the machine ran, in retired instructions (see `docs/machine.md` for what each engine counts);
    /// absent when the guest never got to say.
    pub instructions: Option<u64>,
    /// The whole console, first byte to last.
    pub console: Vec<u8>,
    /// The output drive as the guest left it. Hostile.
    pub output: Region,
    /// Hashes of the machine's whole state, from an engine that can tell.
    pub state: Option<StateRoots>,
    /// What the engine wrote to its own standard error; for people.
    pub engine_log: Vec<u8>,
    /// Wall-clock time the run took. Not part of any comparison.
    pub wall: Duration,
}

/// Roots of the hash tree over a machine's whole state (see `docs/state-tree.md`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateRoots {
    /// When the guest had booted and its drives were attached.
    pub first: [u8; 32],
    /// When the machine had stopped.
    pub last: [u8; 32],
    /// In between, when they were asked for, in order.
    pub along: Vec<RootAt>,
}

/// The root of a machine's state at a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RootAt {
    /// The step.
    pub step: u64,
    /// The root.
    pub root: [u8; 32],
}

/// A deterministic machine.
pub trait Machine: Send + Sync {
    /// The engine's name and version as it enters run records, e.g. `qemu 7.2.22`.
    fn engine(&self) -> String;
    /// What it runs.
    fn arch(&self) -> Arch;
    /// Runs `job` to its end. Errors are failures to start or to look after the engine; whatever happens inside
    /// the guest is a [`Run`].
    fn run(&self, job: &Job<'_>, watch: &mut dyn Watch) -> Result<Run, MachineError>;
}
