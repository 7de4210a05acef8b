//! `reprove release`: from a folder to something that strangers can check.

pub mod archive;

use clap::{Args, Subcommand};

use super::{Context, Exit, Failure};

/// Make archives that are the same everywhere.
///
/// docs/release.md says how a stranger checks each of them without this program.
#[derive(Debug, Args)]
pub struct Release {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Archive(archive::Archive),
}

impl Release {
    /// Runs the verb.
    pub fn run(&self, context: &Context) -> Result<Exit, Failure> {
        match &self.verb {
            Verb::Archive(verb) => verb.run(context),
        }
    }
}
