//! How machines are run: how many, under which settings, and where they are stopped.

use std::{num::NonZeroUsize, thread, time::Duration};

use clap::Args;

use super::Failure;
use crate::{
    machine::{Caps, Settings},
    schedule::OnFailure,
};

/// How machines are run.
#[derive(Debug, Args)]
#[command(next_help_heading = "Machines")]
pub struct Running {
    /// How many machines run at once [default: the cores of this host]
    #[arg(long, short, value_name = "N")]
    jobs: Option<NonZeroUsize>,
    /// After a failure, go on with what does not need what failed
    #[arg(long, short)]
    keep_going: bool,
    /// Guest memory in MiB, a multiple of 128
    #[arg(long, value_name = "MIB", default_value_t = 3072, value_parser = clap::value_parser!(u64).range(256..=65536))]
    memory: u64,
    /// Stop a builder after this many seconds of the guest's own clock
    #[arg(long, value_name = "SECONDS", default_value_t = Caps::default().guest_seconds)]
    guest_seconds: u64,
    /// Stop a machine after this many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = Caps::default().wall.as_secs())]
    timeout: u64,
    /// Stop a machine that has said nothing for this many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = Caps::default().silence.as_secs())]
    max_silent_time: u64,
    /// Room for the outputs, in MiB
    #[arg(long, value_name = "MIB", default_value_t = Caps::default().output_bytes >> 20, value_parser = clap::value_parser!(u64).range(1..=262_144))]
    output_size: u64,
    /// Stop a builder that wrote this much log, in MiB
    #[arg(long, value_name = "MIB", default_value_t = Caps::default().log_bytes >> 20, value_parser = clap::value_parser!(u64).range(1..=4096))]
    log_size: u64,
    /// Processes a builder may have at once
    #[arg(long, value_name = "N", default_value_t = Caps::default().processes)]
    processes: u32,
}

impl Running {
    /// How many machines run at once.
    pub fn jobs(&self) -> usize {
        let cores = || thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        self.jobs.unwrap_or_else(cores).get()
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
