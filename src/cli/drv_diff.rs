//! `reprove drv-diff`: why two derivations differ.

use std::io::Write as _;

use clap::Args;

use super::{Context, Exit, Failure, document::JsonTo, evaluation::Installables};
use crate::{graph::differences, report::drv_diff as report};

/// Say why two derivations differ: what they say otherwise, through all of their inputs, each pair once
#[derive(Debug, Args)]
pub struct DrvDiff {
    #[command(flatten)]
    installables: Installables,
    #[command(flatten)]
    json: JsonTo,
}

impl DrvDiff {
    /// Runs the verb.
    pub fn run(&self, context: &Context) -> Result<Exit, Failure> {
        let json = self.json.open()?;
        let closure = self.installables.evaluate(context)?;
        let [first, second] = &closure.asked[..] else {
            let number = closure.asked.len();
            return Err(Failure::usage(format!(
                "two derivations are compared, these are {number}: give two installables or .drv files"
            )));
        };
        let index = |drv| {
            closure
                .graph
                .index_of(drv)
                .ok_or_else(|| Failure::usage(format!("{drv} is not in its own closure")))
        };
        let (a, b) = (index(&first.drv)?, index(&second.drv)?);
        let differences = differences(&closure.graph, a, b);
        json.write(&report::document(&differences, &closure.graph))?;
        if !json.is_stdout() {
            let mut text = Vec::new();
            report::write(&mut text, &differences, &closure.graph, a, b)
                .and_then(|()| anstream::stdout().write_all(&text))
                .map_err(|error| Failure::io("standard output", &error))?;
        }
        Ok(if differences.pairs.is_empty() { Exit::Success } else { Exit::DIVERGED })
    }
}
