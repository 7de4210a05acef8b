//! What a failed realisation means to a person and to the shell.

use super::{Exit, Failure};
use crate::{
    build::{self, Outcome},
    schedule::{HostError, RealiseError, TakeError},
    store::RunId,
};

/// The error, with the exit code Nix gives it and what to type next.
pub fn failure(error: &RealiseError) -> Failure {
    match error {
        RealiseError::Build { failure, run, .. } => built(error, failure, run.as_ref()),
        RealiseError::Source(source) => {
            let exit = if source.is_hash_mismatch() { Exit::HASH_MISMATCH } else { Exit::NotChecked };
            Failure::new(source.code(), source, exit)
        }
        RealiseError::Host { source, .. } => {
            let failure = Failure::new(error.code(), error, Exit::NotChecked);
            match source {
                HostError::Machine(_) => {
                    failure.hint("Debian's packages are qemu-system-x86 and qemu-system-misc")
                }
                HostError::Guest(_) => failure.hint("`reprove guest update` pins the packages there are now"),
            }
        }
        RealiseError::NotTaken { .. } => Failure::new(error.code(), error, Exit::NotChecked)
            .hint("name who has it with `--substituter URL`, or build it: widen --only or --depth"),
        RealiseError::Take(TakeError::Store(_)) | RealiseError::Store(_) | RealiseError::Io { .. } => {
            Failure::new(error.code(), error, Exit::Internal)
        }
        RealiseError::Unsupported { .. } | RealiseError::Graph(_) | RealiseError::Take(_) => {
            Failure::new(error.code(), error, Exit::NotChecked)
        }
    }
}

fn built(error: &RealiseError, failure: &build::Failure, run: Option<&RunId>) -> Failure {
    let exit = match failure.error.outcome() {
        Outcome::NotTried => Exit::NotChecked,
        outcome => Exit::Build(outcome.exit_bits()),
    };
    let shown = Failure::new(error.code(), error, exit);
    match run {
        Some(run) => {
            let short = &run.to_string()[..12];
            shown.hint(format!(
                "`reprove log {short}` prints the whole log, with --console the kernel's as well"
            ))
        }
        None => shown,
    }
}
