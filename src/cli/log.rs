//! `reprove log`: what a build said.

use std::io::{self, Write as _};

use clap::Args;

use super::{Context, Exit, Failure};
use crate::{
    nix::store_path::StorePath,
    report::escape::escape,
    store::{Run, RunId},
};

/// Print the log of a build that was run, the newest of a derivation or output.
#[derive(Debug, Args)]
pub struct Log {
    /// A derivation, an output, or the first digits of a run's id
    of: String,
    /// Print the whole console of the machine, kernel messages included
    #[arg(long, conflicts_with = "record")]
    console: bool,
    /// Print the run record
    #[arg(long)]
    record: bool,
    /// List the runs there are instead
    #[arg(long, conflicts_with_all = ["console", "record"])]
    list: bool,
}

impl Log {
    /// Prints what was asked for.
    pub fn run(&self, context: &Context) -> Result<Exit, Failure> {
        let store = context.store()?;
        let runs = match StorePath::parse(self.of.as_bytes()) {
            Ok(path) if path.is_derivation() => store.runs_of(&path)?,
            Ok(path) => match store.path(&path)?.and_then(|info| info.deriver) {
                Some(drv) => store.runs_of(&drv)?,
                None => Vec::new(),
            },
            Err(_) => {
                let ids = store.run_ids_starting(&self.of)?;
                if ids.len() > 1 && !self.list {
                    return Err(ambiguous(&self.of, &ids));
                }
                let runs: Result<Vec<Option<Run>>, _> = ids.into_iter().map(|id| store.run(id)).collect();
                runs?.into_iter().flatten().collect()
            }
        };
        let newest = runs.first().ok_or_else(|| {
            Failure::usage(format!("there is no run of `{}`", escape(&self.of)))
                .hint("`reprove store ls` lists what was built; a log is there once a build was tried here")
        })?;
        let stdout = |error: io::Error| Failure::io("standard output", &error);
        if self.list {
            for run in &runs {
                writeln!(io::stdout(), "{}  {}", run.id, run.derivation).map_err(stdout)?;
            }
            return Ok(Exit::Success);
        }
        let part = if self.console {
            "console"
        } else if self.record {
            "record.json"
        } else {
            "log"
        };
        let mut file = newest.open(part)?;
        // Bytes as they are when they go to a file or a program; on a terminal nothing may move the cursor.
        if io::IsTerminal::is_terminal(&io::stdout()) {
            let mut text = Vec::new();
            io::Read::read_to_end(&mut file, &mut text).map_err(stdout)?;
            for line in text.split_inclusive(|byte| *byte == b'\n') {
                let line = String::from_utf8_lossy(line);
                writeln!(io::stdout(), "{}", escape(line.trim_end_matches(['\r', '\n']))).map_err(stdout)?;
            }
        } else {
            io::copy(&mut file, &mut io::stdout().lock()).map_err(stdout)?;
        }
        Ok(Exit::Success)
    }
}

/// More candidates than this are not listed.
const MAX_CANDIDATES: usize = 20;

fn ambiguous(digits: &str, ids: &[RunId]) -> Failure {
    let mut failure = Failure::usage(format!("`{}` begins the ids of {} runs", escape(digits), ids.len()));
    failure.notes = ids.iter().take(MAX_CANDIDATES).map(RunId::to_string).collect();
    failure.hint("type more digits, or list them with their derivations: --list")
}
