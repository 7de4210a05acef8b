//! How machines are run: how many, under which settings, and where they are stopped.

use std::{num::NonZeroUsize, path::Path, str::FromStr, thread, time::Duration};

use clap::Args;

use super::Failure;
use crate::{
    machine::{
        Caps, Engine, Settings,
        embedded::{Checkpoints, Embedded},
    },
    schedule::OnFailure,
};

/// A year: more than any build takes, and no clock overflows.
const MAX_SECONDS: u64 = 31_536_000;

/// How machines are run.
#[derive(Debug, Args)]
#[command(next_help_heading = "Machines")]
pub struct Running {
    /// Which machine builds: `embedded` (riscv64 only, and its default) or `qemu`; `verify` compares with every further
    /// one, as in `embedded,qemu`
    #[arg(long, value_name = "MACHINE", value_delimiter = ',')]
    machine: Vec<Engine>,
    /// How many machines run at once [default: the cores of this host, as far as its memory goes]
    #[arg(long, short, value_name = "N")]
    jobs: Option<NonZeroUsize>,
    /// After a failure, go on with what does not need what failed; with a mirror that is always so
    #[arg(long, short)]
    keep_going: bool,
    /// Guest memory in MiB, a multiple of 128
    #[arg(long, value_name = "MIB", default_value_t = 3072, value_parser = clap::value_parser!(u64).range(256..=65536))]
    memory: u64,
    /// Stop a builder after this many seconds of the guest's own clock
    #[arg(long, value_name = "SECONDS", default_value_t = Caps::default().guest_seconds, value_parser = clap::value_parser!(u64).range(1..=MAX_SECONDS))]
    guest_seconds: u64,
    /// Stop a machine after this many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = Caps::default().wall.as_secs(), value_parser = clap::value_parser!(u64).range(1..=MAX_SECONDS))]
    timeout: u64,
    /// Stop a machine that has said nothing for this many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = Caps::default().silence.as_secs(), value_parser = clap::value_parser!(u64).range(1..=MAX_SECONDS))]
    max_silent_time: u64,
    /// Build nothing whose inputs, which are copied into memory, are larger, in MiB
    #[arg(long, value_name = "MIB", default_value_t = Caps::default().input_bytes >> 20, value_parser = clap::value_parser!(u64).range(1..=1_048_576))]
    input_size: u64,
    /// Room for the outputs, in MiB
    #[arg(long, value_name = "MIB", default_value_t = Caps::default().output_bytes >> 20, value_parser = clap::value_parser!(u64).range(1..=262_144))]
    output_size: u64,
    /// Stop a builder that wrote this much log, in MiB
    #[arg(long, value_name = "MIB", default_value_t = Caps::default().log_bytes >> 20, value_parser = clap::value_parser!(u64).range(1..=4096))]
    log_size: u64,
    /// Processes a builder may have at once, and never more than two for each MiB of guest memory
    #[arg(long, value_name = "N", default_value_t = Caps::default().processes)]
    processes: u32,
    /// Keep the state of an embedded machine every 2^N instructions, to go on from when the same command is given after an
    /// interruption; `off` for never
    #[arg(long, value_name = "N", default_value = "36")]
    checkpoint_every: Every,
    /// Put the root of an embedded machine's state every 2^N steps into the run record
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(i64::from(Embedded::LEAST_ROOTS)..=62))]
    state_root_every: Option<u8>,
}

/// An exponent of two, or `off`.
#[derive(Clone, Copy, Debug)]
struct Every(Option<u8>);

impl FromStr for Every {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let range = Checkpoints::LEAST..=62;
        let every = text.parse().ok().filter(|every| range.contains(every));
        match (text, every) {
            ("off", _) => Ok(Every(None)),
            (_, Some(every)) => Ok(Every(Some(every))),
            _ => Err(format!("neither `off` nor a number from {} to {}", range.start(), range.end())),
        }
    }
}

/// What to do about runs that were interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupted {
    /// Go on with them.
    GoOn,
    /// Begin again.
    BeginAgain,
}

impl Running {
    /// The kinds of machine that were asked for, in order; none when it does not matter.
    pub fn engines(&self) -> &[Engine] {
        &self.machine
    }

    /// The embedded machine, with what it keeps in the state directory `state`.
    pub fn embedded(&self, state: &Path, interrupted: Interrupted) -> Embedded {
        let mut embedded = Embedded::new(Some(state.join("boots")));
        if let Every(Some(every)) = self.checkpoint_every {
            embedded = embedded.with_checkpoints(Checkpoints::new(state.join("checkpoints"), every));
        }
        if let Some(every) = self.state_root_every {
            embedded = embedded.with_state_roots(every);
        }
        match interrupted {
            Interrupted::GoOn => embedded,
            Interrupted::BeginAgain => embedded.anew(),
        }
    }

    /// How many machines run at once.
    pub fn jobs(&self) -> NonZeroUsize {
        let cores = || thread::available_parallelism().unwrap_or(NonZeroUsize::MIN).get();
        // Drives and varied memory come on top of a guest's own memory: a GiB is room for what is usual.
        let fit = || available_memory().map_or(usize::MAX, |mib| (mib / (self.memory + 1024)) as usize);
        self.jobs.or_else(|| NonZeroUsize::new(cores().min(fit()))).unwrap_or(NonZeroUsize::MIN)
    }

    /// How much is done at once where nothing runs in machines.
    pub fn threads(&self) -> usize {
        self.jobs.or(thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get)
    }

    /// What to do after a failure.
    pub fn on_failure(&self) -> OnFailure {
        if self.keep_going { OnFailure::KeepGoing } else { OnFailure::Stop }
    }

    /// Where a run is stopped.
    pub fn caps(&self) -> Caps {
        Caps {
            guest_seconds: self.guest_seconds,
            wall: Duration::from_secs(self.timeout),
            silence: Duration::from_secs(self.max_silent_time),
            input_bytes: self.input_size << 20,
            output_bytes: self.output_size << 20,
            log_bytes: self.log_size << 20,
            processes: self.processes,
        }
    }

    /// The settings of a build that is not varied.
    pub fn settings(&self) -> Result<Settings, Failure> {
        if !self.memory.is_multiple_of(128) {
            return Err(Failure::usage(format!("--memory {}: not a multiple of 128 MiB", self.memory)));
        }
        Ok(Settings { memory: self.memory << 20, ..Settings::default() })
    }
}

/// Memory that new processes may take on this host, in MiB; unknown on systems without Linux's `/proc`.
fn available_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? / 1024)
}
