//! `reprove source`: files for fixed-output derivations, where there is no network.

use std::{io::Write as _, path::PathBuf};

use clap::{Args, Subcommand};

use super::{Context, Exit, Failure};
use crate::source::Files;

/// Add files that fixed-output derivations need: the air-gapped road.
#[derive(Debug, Args)]
pub struct Source {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Keep files by their hashes, so that every fixed output they can be finds them
    Add {
        /// Files, folders, or NARs
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
}

impl Source {
    /// Runs the verb.
    pub fn run(&self, context: &Context) -> Result<Exit, Failure> {
        let Verb::Add { files } = &self.verb;
        let store = context.store()?;
        for file in files {
            let added = Files::of(&store).add(file)?;
            let flat = added.flat.map_or(String::new(), |hash| format!("  flat {}", hash.to_sri()));
            writeln!(anstream::stdout(), "{}  recursive {}{flat}", file.display(), added.recursive.to_sri())
                .map_err(|error| Failure::io("standard output", &error))?;
        }
        Ok(Exit::Success)
    }
}
