//! `reprove guest`: what runs inside the machines.

use std::{io::Write as _, path::PathBuf};

use clap::{Args, Subcommand};

use super::{Context, Exit, Failure};
use crate::{
    guest::{Cache, GuestError, Lock},
    machine::Arch,
    schedule::HostError,
    source::apt::Apt,
};

/// Build, show and re-pin the guests.
#[derive(Debug, Args)]
pub struct Guest {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Build the guests from their pinned packages, and print their ids
    Build {
        /// x86_64 or riscv64 [default: both]
        arch: Option<Arch>,
    },
    /// Print the packages the guests are made of
    Show,
    /// Write a lock file with the packages there are now
    Update {
        /// Where to write it; a source tree has it as src/guest/guest.lock
        lock: PathBuf,
    },
}

impl Guest {
    /// Runs the verb.
    pub fn run(&self, context: &Context) -> Result<Exit, Failure> {
        let stdout = |error: std::io::Error| Failure::io("standard output", &error);
        let mut lock = Lock::released()?;
        match &self.verb {
            Verb::Build { arch } => {
                let state = context.state_dir()?;
                let client = Apt::of_machine(&state.join("apt"));
                for arch in Arch::ALL.into_iter().filter(|a| arch.is_none_or(|wanted| wanted == *a)) {
                    context.progress.step(&format!("building the guest for {arch}"));
                    let bundle = Cache::new(state.join("guests")).get(arch, &lock, &client);
                    context.progress.end_step();
                    let id = data_encoding::HEXLOWER.encode(&bundle?.id);
                    writeln!(anstream::stdout(), "{arch}  {id}").map_err(stdout)?;
                }
            }
            Verb::Show => {
                for arch in Arch::ALL {
                    for package in lock.parts(arch).packages() {
                        writeln!(
                            anstream::stdout(),
                            "{arch}  {}  {package}  {}",
                            package.suite,
                            package.sha256
                        )
                        .map_err(stdout)?;
                    }
                }
            }
            Verb::Update { lock: to } => {
                lock.update(&Apt::of_machine(&context.state_dir()?.join("apt")))?;
                std::fs::write(to, lock.to_toml()?)
                    .map_err(|error| Failure::io(to.display().to_string(), &error))?;
            }
        }
        Ok(Exit::Success)
    }
}

impl From<GuestError> for Failure {
    fn from(error: GuestError) -> Self {
        Failure::new(error.code(), &error, Exit::NotChecked)
    }
}

impl From<HostError> for Failure {
    fn from(error: HostError) -> Self {
        Failure::new(error.code(), &error, Exit::NotChecked)
    }
}
