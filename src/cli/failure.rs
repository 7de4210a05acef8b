//! Errors as a person meets them: `error[RP0123]: …`, notes, hints, and an exit code.

use std::io::Write as _;

use anstyle::{AnsiColor, Style};

use super::Exit;
use crate::{
    code::Code,
    nix,
    report::escape::escape,
    store::{StoreError, TreeError},
};

const ERROR: Style = AnsiColor::Red.on_default().bold();
const NOTE: Style = Style::new().bold();
const HINT: Style = AnsiColor::Cyan.on_default();

/// Why a verb stopped.
#[derive(Debug)]
pub struct Failure {
    /// The code `reprove explain` knows.
    pub code: Code,
    /// What went wrong: lower case, no full stop.
    pub message: String,
    /// Evidence, a line or a few each.
    pub notes: Vec<String>,
    /// What to type or change next.
    pub hints: Vec<String>,
    /// How the program ends.
    pub exit: Exit,
}

impl Failure {
    /// An error with the causes behind it as notes.
    pub fn new(code: Code, error: &dyn std::error::Error, exit: Exit) -> Self {
        let message = error.to_string();
        let mut notes = Vec::new();
        let mut source = error.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            // Messages often quote their cause already.
            if !message.contains(&text) {
                notes.push(text);
            }
            source = cause.source();
        }
        Failure { code, message, notes, hints: Vec::new(), exit }
    }

    /// Something that is not what Nix's formats allow.
    pub fn nix(error: impl Into<nix::Error>) -> Self {
        let error = error.into();
        Failure::new(error.code(), &error, Exit::Usage)
    }

    /// The same, with what it is about in front.
    #[must_use]
    pub fn about(mut self, what: impl std::fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// A mistake in what was typed.
    pub fn usage(message: impl Into<String>) -> Self {
        Failure {
            code: super::explain::USAGE,
            message: message.into(),
            notes: Vec::new(),
            hints: Vec::new(),
            exit: Exit::Usage,
        }
    }

    /// A file or stream of the user's that could not be read or written.
    pub fn io(what: impl Into<String>, error: &std::io::Error) -> Self {
        let exit =
            if error.kind() == std::io::ErrorKind::BrokenPipe { Exit::BrokenPipe } else { Exit::Usage };
        Failure {
            code: super::explain::INPUT_OUTPUT,
            message: format!("{}: {error}", what.into()),
            notes: Vec::new(),
            hints: Vec::new(),
            exit,
        }
    }

    /// The same with one more hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Writes it to standard error.
    pub fn print(&self) {
        if self.exit == Exit::BrokenPipe {
            return;
        }
        let mut text = format!("{ERROR}error[{}]{ERROR:#}: {}\n", self.code, lines(&self.message));
        for note in &self.notes {
            text.push_str(&format!("  {NOTE}note{NOTE:#}: {}\n", lines(note)));
        }
        for hint in &self.hints {
            text.push_str(&format!("  {HINT}hint{HINT:#}: {}\n", lines(hint)));
        }
        // Nobody to tell when standard error is gone.
        let _ = anstream::stderr().write_all(text.as_bytes());
    }
}

/// Escapes each line and indents the ones behind the first.
fn lines(text: &str) -> String {
    text.trim_end().split('\n').map(escape).collect::<Vec<_>>().join("\n        ")
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Failure::new(error.code(), &error, Exit::Internal)
    }
}

impl From<TreeError> for Failure {
    fn from(error: TreeError) -> Self {
        Failure::new(error.code(), &error, Exit::Usage)
    }
}
