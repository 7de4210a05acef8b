//! Other programs, run with a clean environment and bounded output.

use std::fs::File;
use std::io;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use crate::code::Code;
use crate::flake::process::{self, Failure, Input};
use crate::nix::hash::{Algorithm, Hash};

/// Most output we take from a program: `apt-cache` prints a few kilobytes per package, pip less.
const MAX_OUTPUT: usize = 64 << 20;

/// Longest a program may take: they download, and a server that says nothing must not hold a build for ever.
const TIME: Duration = Duration::from_secs(3600);

/// Lines of a failed program's standard error that go into the error.
const ERROR_LINES: usize = 12;

/// Why another program did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// It is not installed.
    #[error("the program {program} is not installed; {fix}")]
    Missing {
        /// Its name.
        program: String,
        /// What to do about it.
        fix: &'static str,
    },
    /// It could not be run, or talked to.
    #[error("the program {program} could not be run: {source}")]
    Io {
        /// Its name.
        program: String,
        /// The system's error.
        source: std::io::Error,
    },
    /// It ended with another status than 0.
    #[error("`{command}` failed ({status}):\n{stderr}")]
    Failed {
        /// The command line.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// The last lines of its standard error.
        stderr: String,
    },
    /// It did not end.
    #[error("`{command}` did not end within {} seconds and was stopped:\n{stderr}", .limit.as_secs())]
    TimedOut {
        /// The command line.
        command: String,
        /// How long it was let.
        limit: Duration,
        /// The last lines of its standard error.
        stderr: String,
    },
    /// It printed more than we take.
    #[error("`{command}` printed more than {MAX_OUTPUT} bytes")]
    TooMuch {
        /// The command line.
        command: String,
    },
}

impl ToolError {
    /// The hash that the program says it got instead of the one it was to check: `Got <base-16>` of pip,
    /// `got: <SRI>` of nix.
    pub(super) fn got(&self, algorithm: Algorithm) -> Option<Hash> {
        let ToolError::Failed { stderr, .. } = self else { return None };
        stderr.lines().find_map(|line| {
            let words = line.trim().strip_prefix("got:").or_else(|| line.trim().strip_prefix("Got "))?;
            Hash::parse(words.trim().as_bytes(), Some(algorithm)).ok()
        })
    }

    /// The stable code of the error.
    pub fn code(&self) -> Code {
        match self {
            ToolError::Missing { .. } => Code(420),
            ToolError::Io { .. } | ToolError::TooMuch { .. } => Code(421),
            ToolError::Failed { .. } => Code(422),
            ToolError::TimedOut { .. } => Code(431),
        }
    }
}

/// A program about to be run.
pub(super) struct Tool {
    command: Command,
    program: String,
    fix: &'static str,
    limit: Duration,
    held: Option<io::Result<File>>,
}

impl Tool {
    /// `fix` is what the error says when the program is missing.
    pub(super) fn new(program: &str, fix: &'static str) -> Self {
        let mut command = Command::new(program);
        // Messages in one language: a few of them are told apart.
        command.env("LC_ALL", "C").env_remove("LANGUAGE");
        Tool { command, program: program.to_owned(), fix, limit: TIME, held: None }
    }

    pub(super) fn args<S: AsRef<std::ffi::OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    pub(super) fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs it in `folder`.
    pub(super) fn in_folder(mut self, folder: &std::path::Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// A lock that it holds, too, as its standard input: when this process is killed, and it is not, nobody else has the lock until
    /// it has ended.
    pub(super) fn holding(mut self, lock: io::Result<File>) -> Self {
        self.held = Some(lock);
        self
    }

    /// Another limit than the usual.
    #[cfg(test)]
    fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs it and gives its standard output; any status but 0 is an error.
    pub(super) fn run(mut self) -> Result<String, ToolError> {
        let input = match self.held.take() {
            None => Input::Nothing,
            Some(Ok(file)) => Input::Open(file),
            Some(Err(source)) => return Err(ToolError::Io { program: self.program, source }),
        };
        let finished = process::run_keeping(&mut self.command, self.limit, MAX_OUTPUT, input);
        let finished = finished.map_err(|failure| match failure {
            Failure::Io(source) if source.kind() == std::io::ErrorKind::NotFound => {
                ToolError::Missing { program: self.program.clone(), fix: self.fix }
            }
            Failure::Io(source) => ToolError::Io { program: self.program.clone(), source },
            Failure::TooMuch => ToolError::TooMuch { command: self.line() },
            Failure::TimedOut(stderr) => {
                ToolError::TimedOut { command: self.line(), limit: self.limit, stderr: last_lines(&stderr) }
            }
        })?;
        if !finished.status.success() {
            let (status, stderr) = (finished.status, last_lines(&finished.stderr));
            return Err(ToolError::Failed { command: self.line(), status, stderr });
        }
        Ok(String::from_utf8_lossy(&finished.stdout).into_owned())
    }

    fn line(&self) -> String {
        let args = self.command.get_args().map(|arg| arg.to_string_lossy().into_owned());
        std::iter::once(self.program.clone()).chain(args).collect::<Vec<_>>().join(" ")
    }
}

fn last_lines(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(ERROR_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Tool {
        Tool::new("sh", "it is everywhere").args(["-c", script])
    }

    #[test]
    fn a_program_that_hangs_is_ended_and_the_error_says_so() {
        let hung = shell("echo connecting >&2; exec sleep 1000").within(Duration::from_millis(300)).run();
        let error = hung.unwrap_err();
        assert!(matches!(error, ToolError::TimedOut { .. }), "{error}");
        assert!(error.to_string().contains("connecting") && error.code() == Code(431), "{error}");
    }

    #[test]
    fn a_program_runs_in_the_folder_it_is_given() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        assert_eq!(shell("pwd -P").in_folder(&folder).run().unwrap().trim_end(), folder.to_str().unwrap());
    }

    #[test]
    fn what_a_program_says_and_how_it_ends() {
        assert_eq!(shell("echo out; echo err >&2").run().unwrap(), "out\n");
        let failed = shell("for n in $(seq 100); do echo line $n >&2; done; exit 3").run().unwrap_err();
        let ToolError::Failed { stderr, .. } = &failed else { panic!("{failed}") };
        assert!(stderr.lines().count() == ERROR_LINES && stderr.ends_with("line 100"), "{stderr}");
        assert!(matches!(Tool::new("no-such-program-here", "").run(), Err(ToolError::Missing { .. })));
    }
}
