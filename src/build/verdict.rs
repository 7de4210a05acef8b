//! What a run's end and its result record mean for the build.

use super::{
    console,
    error::{BuildError, Clock},
    record::{Record, RecordError, Stopped, Tar},
};
use crate::{
    machine::{End, Run},
    nix::text::shown,
};

/// Lines of a log quoted in an error, and bytes of them.
const TAIL: (usize, usize) = (10, 4096);

fn tail(text: &[u8]) -> Vec<String> {
    console::tail(text, TAIL.0, TAIL.1)
}

/// The bytes of tar stream of a build that succeeded; in every other case why it did not.
///
/// Only a record counts: an engine that ended well without one is a failure.
pub fn judge(run: &Run, record: Result<&Record, RecordError>, log: &[u8]) -> Result<u64, BuildError> {
    match run.end {
        End::PoweredOff => {}
        End::WallTime => return Err(BuildError::TimedOut { clock: Clock::Wall }),
        End::Silence => return Err(BuildError::Silent),
        End::ConsoleOverflow => return Err(BuildError::LogLimit),
        End::Cancelled => return Err(BuildError::Cancelled),
        End::EngineFailed | End::Stuck => {
            return Err(BuildError::EngineFailed { tail: tail(&run.engine_log) });
        }
    }
    let record = record.map_err(|why| BuildError::NoRecord { why, tail: tail(&run.console) })?;
    // A builder that was refused processes or memory fails in many ways; this is the cause of all of them.
    let refused = (record.processes_refused > 0)
        .then_some(BuildError::ProcessLimit { refused: record.processes_refused });
    match record.stopped {
        Stopped::Setup => return Err(BuildError::SetupFailed { tail: tail(&run.console) }),
        Stopped::Log => return Err(BuildError::LogLimit),
        Stopped::Seconds => return Err(refused.unwrap_or(BuildError::TimedOut { clock: Clock::Guest })),
        Stopped::Exited => {}
    }
    // Also when the builder went on and called it a success: what it would have made without the cap is unknown.
    match (record.memory_killed, record.root_full && record.status != 0, refused) {
        (killed @ 1.., ..) => return Err(BuildError::MemoryExhausted { killed }),
        (0, true, _) => return Err(BuildError::DiskFull),
        (0, false, Some(refused)) => return Err(refused),
        (0, false, None) => {}
    }
    if record.status != 0 {
        return Err(BuildError::BuilderFailed { code: record.status, tail: tail(log) });
    }
    if let Some(path) = &record.special {
        return Err(BuildError::SpecialFile { path: shown(path) });
    }
    match record.tar {
        Tar::Bytes(bytes) => Ok(bytes),
        Tar::None => Ok(0),
        Tar::Overflow => Err(BuildError::OutputTooLarge),
        Tar::Failed => Err(BuildError::NotArchived { tail: tail(&run.console) }),
    }
}
