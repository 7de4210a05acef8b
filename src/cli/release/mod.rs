//! `reprove release`: from a folder to something that strangers can check.

pub mod archive;
mod beside;
pub mod manifest;
pub mod reproduce;
pub mod sign;
mod verify;

use clap::{Args, Subcommand};

use super::{Context, Exit, Failure};

/// Make archives that are the same everywhere, and check who says what a release consists of.
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
    Manifest(manifest::MakeManifest),
    Sign(sign::Sign),
    Verify(verify::VerifyRelease),
    Reproduce(Box<reproduce::Reproduce>),
}

impl Release {
    /// Runs the verb.
    pub fn run(&self, context: &Context) -> Result<Exit, Failure> {
        match &self.verb {
            Verb::Archive(verb) => verb.run(context),
            Verb::Manifest(verb) => verb.run(context),
            Verb::Sign(verb) => verb.run(context),
            Verb::Verify(verb) => verb.run(context),
            Verb::Reproduce(verb) => verb.run(context),
        }
    }
}
