//! `reprove machine`: the embedded machine by hand.

mod diff_trace;
mod run;
mod symbols;
mod trace;

use clap::{Args, Subcommand};

pub use run::schema as run_schema;

use super::{Context, Exit, Failure};
use crate::machine::MachineError;

/// Run the embedded riscv64 machine by hand, and compare what two runs did.
#[derive(Debug, Args)]
pub struct Machine {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Run(run::Run),
    DiffTrace(diff_trace::DiffTrace),
}

impl Machine {
    /// Runs the verb.
    pub fn run(&self, context: &Context) -> Result<Exit, Failure> {
        match &self.verb {
            Verb::Run(verb) => verb.run(context),
            Verb::DiffTrace(verb) => verb.run(),
        }
    }
}

impl From<MachineError> for Failure {
    fn from(error: MachineError) -> Self {
        Failure::new(error.code(), &error, Exit::Usage)
    }
}
