//! What a guest wrote down about a build while it ran: its processes, and the files they wrote; and what of that is not the
//! same in two builds.
//!
//! The logs are those of the guest's `/watch-processes` and `/watch-files` (`docs/guest-protocol.md`), and hostile.

mod align;
mod parse;

#[cfg(test)]
mod tests;

pub use align::{First, Seen, first_difference};
pub use parse::TraceError;

/// What was seen of one build.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// Programs that were executed, in the order of their start.
    pub processes: Vec<Process>,
    /// Files that were written, in the order they were closed in.
    pub written: Vec<Written>,
}

/// A program that was executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its command line, its name first.
    pub command: Vec<Vec<u8>>,
    /// Whether the command line is longer than what was kept of it.
    pub cut: bool,
    /// Its working directory when it started; absent when the kernel did not say.
    pub folder: Option<Vec<u8>>,
}

/// A file that was closed by the last who could write to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its path when it was closed; absent when it had none.
    pub path: Option<Vec<u8>>,
    /// Its length then, in bytes.
    pub size: Option<u64>,
    /// SHA-256 of its contents then; absent when not all of it could be hashed.
    pub sha256: Option<[u8; 32]>,
    /// Who closed it, as an index into [`Trace::processes`]; absent when that is not known.
    pub process: Option<usize>,
}

impl Trace {
    /// Reads the two logs.
    pub fn parse(processes: &[u8], files: &[u8]) -> Result<Trace, TraceError> {
        parse::parse(processes, files)
    }

    /// Who closed a file, when that is known.
    pub fn process_of(&self, written: &Written) -> Option<&Process> {
        self.processes.get(written.process?)
    }

    /// The last time that the file at `path` was written.
    pub fn last_written(&self, path: &[u8]) -> Option<&Written> {
        self.written.iter().rev().find(|written| written.path.as_deref() == Some(path))
    }
}
