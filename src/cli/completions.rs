//! `reprove completions`: completions for a shell.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::{Context, Exit, Failure};

/// Print completions for a shell.
#[derive(Debug, Args)]
pub struct Completions {
    /// Which shell.
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    /// Writes the script to standard output.
    pub fn run(&self, _context: &Context) -> Result<Exit, Failure> {
        clap_complete::generate(self.shell, &mut super::Cli::command(), "reprove", &mut std::io::stdout());
        Ok(Exit::Success)
    }
}
