//! Other programs, run with a clean environment and bounded output.

use std::io::Read as _;
use std::process::{Command, ExitStatus, Stdio};

use crate::code::Code;
use crate::nix::hash::{Algorithm, Hash};

/// Most output we take from a program: `apt-cache` prints a few kilobytes per package, pip less.
const MAX_OUTPUT: u64 = 64 << 20;

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
        }
    }
}

/// A program about to be run.
pub(super) struct Tool {
    command: Command,
    program: String,
    fix: &'static str,
}

impl Tool {
    /// `fix` is what the error says when the program is missing.
    pub(super) fn new(program: &str, fix: &'static str) -> Self {
        let mut command = Command::new(program);
        // Messages in one language: a few of them are told apart.
        command.env("LC_ALL", "C").env_remove("LANGUAGE").stdin(Stdio::null());
        Tool { command, program: program.to_owned(), fix }
    }

    pub(super) fn args<S: AsRef<std::ffi::OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    pub(super) fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs it and gives its standard output; any status but 0 is an error.
    pub(super) fn run(mut self) -> Result<String, ToolError> {
        let io = |source| ToolError::Io { program: self.program.clone(), source };
        // Standard error goes to a file, so that a full pipe can never block the program.
        let mut errors = tempfile::tempfile().map_err(io)?;
        self.command.stdout(Stdio::piped()).stderr(errors.try_clone().map_err(io)?);
        let mut child = self.command.spawn().map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => {
                ToolError::Missing { program: self.program.clone(), fix: self.fix }
            }
            _ => io(source),
        })?;
        let mut output = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            stdout.take(MAX_OUTPUT + 1).read_to_end(&mut output).map_err(io)?;
        }
        if output.len() as u64 > MAX_OUTPUT {
            let _ = child.kill();
            let _ = child.wait();
            return Err(ToolError::TooMuch { command: self.line() });
        }
        let status = child.wait().map_err(io)?;
        if !status.success() {
            let stderr = last_lines(&mut errors).map_err(io)?;
            return Err(ToolError::Failed { command: self.line(), status, stderr });
        }
        Ok(String::from_utf8_lossy(&output).into_owned())
    }

    fn line(&self) -> String {
        let args = self.command.get_args().map(|arg| arg.to_string_lossy().into_owned());
        std::iter::once(self.program.clone()).chain(args).collect::<Vec<_>>().join(" ")
    }
}

fn last_lines(errors: &mut std::fs::File) -> std::io::Result<String> {
    use std::io::{Seek as _, SeekFrom};
    let length = errors.seek(SeekFrom::End(0))?;
    errors.seek(SeekFrom::Start(length.saturating_sub(16 << 10)))?;
    let mut bytes = Vec::new();
    errors.take(16 << 10).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    Ok(lines[lines.len().saturating_sub(ERROR_LINES)..].join("\n"))
}
