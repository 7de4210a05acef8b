//! Why a machine could not be run at all.

use crate::code::{Code, Explanation};

/// Why a machine could not be run at all. What happens inside a machine that runs is no error but a
/// [`Run`](super::Run).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MachineError {
    /// The program that is the engine is not there.
    #[error("`{program}` was not found on PATH")]
    EngineMissing {
        /// What was looked for.
        program: String,
    },
    /// None of the machines that were chosen runs the architecture.
    #[error("no machine that was chosen runs {arch}: {chosen}")]
    NoEngine {
        /// What is to be run.
        arch: super::Arch,
        /// What was chosen.
        chosen: String,
    },
    /// The engine is older than the oldest one that was measured deterministic.
    #[error("{program} is version {version}; the oldest that is known to be deterministic is 7.2")]
    EngineTooOld {
        /// The program found.
        program: String,
        /// What it says it is.
        version: String,
    },
    /// A program of the engine's name that is something else.
    #[error("{program} does not say which version of QEMU it is, but {answer:?}")]
    EngineUnknown {
        /// The program found.
        program: String,
        /// The first line of its answer.
        answer: String,
    },
    /// Starting or looking after the engine failed.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// The drives and the memory do not fit the machine.
    #[error("{0}")]
    DoesNotFit(String),
}

impl MachineError {
    /// The stable code of the error.
    pub fn code(&self) -> Code {
        match self {
            MachineError::EngineMissing { .. } | MachineError::NoEngine { .. } => Code(601),
            MachineError::EngineTooOld { .. } | MachineError::EngineUnknown { .. } => Code(602),
            MachineError::Io { .. } => Code(603),
            MachineError::DoesNotFit(_) => Code(604),
        }
    }
}

/// What `reprove explain` prints for the errors of this room.
pub const EXPLANATIONS: &[Explanation] = &[
    Explanation {
        code: Code(601),
        title: "there is no machine to run it",
        text: "riscv64-linux runs in the machine that is part of this program (`--machine embedded`, the default) or in \
               QEMU; x86_64-linux runs in QEMU's system emulator only. These are `qemu-system-x86_64` for x86_64-linux and \
               `qemu-system-riscv64` for riscv64-linux. Install it (Debian: `apt install qemu-system-x86 \
               qemu-system-misc`; Nix: `nix shell nixpkgs#qemu`) or put it on PATH.",
    },
    Explanation {
        code: Code(602),
        title: "the emulator is too old, or is not QEMU",
        text: "Runs were measured to be repeatable with QEMU 7.2 and newer. With an older release, or with a program \
               that does not answer `--version` as QEMU does, nothing is known, so nothing is run.",
    },
    Explanation {
        code: Code(603),
        title: "the emulator could not be started or looked after",
        text: "The operating system refused something the machine needs: a process, or memory. A machine takes its \
               guest memory (setting `memory`), the input drive and the output drive as memory of the host, as far \
               as they are touched.",
    },
    Explanation {
        code: Code(604),
        title: "the drives and the memory do not fit the machine",
        text: "Guest memory is a multiple of 128 MiB, at least 256 MiB; memory, input drive and output drive may \
               each have up to 256 GiB.",
    },
];
