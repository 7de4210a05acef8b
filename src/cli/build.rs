//! `reprove build`: builds in a machine, leaves first, into our store.

use std::{collections::BTreeSet, io::Write as _};

use clap::Args;
use serde::Serialize;

use super::{
    Context, Exit, Failure,
    document::JsonTo,
    realising,
    running::Interrupted,
    workshop::{Work, Workshop},
};
use crate::{nix::store_path::StorePath, schedule::Outcome, store::PathInfo};

/// Build installables, each derivation in a machine of its own, and print the paths of the outputs.
///
/// One build says nothing about reproducibility: `verify` does.
#[derive(Debug, Args)]
pub struct Build {
    #[command(flatten)]
    json: JsonTo,
    #[command(flatten)]
    work: Work,
}

/// The version of the document.
const SCHEMA: &str = "reprove.build/1";

#[derive(Serialize, schemars::JsonSchema)]
struct Document {
    #[schemars(extend("const" = SCHEMA))]
    schema: &'static str,
    outputs: Vec<Output>,
}

/// One output that was asked for.
#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct Output {
    installable: String,
    drv: StorePath,
    output: String,
    #[serde(flatten)]
    pub(super) info: PathInfo,
}

impl Build {
    /// Builds and prints.
    pub fn run(&self, context: &Context) -> Result<Exit, Failure> {
        let json = self.json.open()?;
        let workshop = self.work.open(context, Interrupted::GoOn)?;
        if workshop.engines().len() > 1 {
            return Err(Failure::usage("`build` takes one machine; `verify` builds in several and compares"));
        }
        let (outputs, exit) = realise(&workshop)?;
        let document = Document { schema: SCHEMA, outputs };
        json.write(&document)?;
        if !json.is_stdout() {
            for output in &document.outputs {
                writeln!(anstream::stdout(), "{}", output.info.path)
                    .map_err(|error| Failure::io("standard output", &error))?;
            }
        }
        Ok(exit)
    }
}

/// Builds what was asked for, says what failed, and gives the outputs there are.
pub(super) fn realise(workshop: &Workshop<'_>) -> Result<(Vec<Output>, Exit), Failure> {
    let plan = workshop.plan(&[]);
    let outcomes = workshop.realiser()?.realise(
        &workshop.closure.graph,
        &plan,
        &BTreeSet::new(),
        workshop.jobs(),
        workshop.on_failure(),
    );
    let mut exit = Exit::Success;
    for (_, outcome) in outcomes {
        if let Outcome::Failed(error) = outcome {
            let failure = realising::failure(&error);
            failure.print();
            exit = exit.and(failure.exit);
        }
    }
    let outputs = outputs(workshop)?;
    let wanted: usize = workshop.closure.asked.iter().map(|asked| asked.outputs.len()).sum();
    if outputs.len() < wanted && exit == Exit::Success {
        exit = Exit::NotChecked;
    }
    Ok((outputs, exit))
}

/// The outputs asked for that are in the store.
fn outputs(workshop: &Workshop<'_>) -> Result<Vec<Output>, Failure> {
    let graph = &workshop.closure.graph;
    let mut outputs = Vec::new();
    for asked in &workshop.closure.asked {
        let Some(index) = graph.index_of(&asked.drv) else { continue };
        for output in &asked.outputs {
            let Some(path) = graph.nodes()[index].derivation.output_path(output) else { continue };
            if let Some(info) = workshop.store.path(path)? {
                let (installable, drv) = (asked.installable.clone(), asked.drv.clone());
                outputs.push(Output { installable, drv, output: output.clone(), info });
            }
        }
    }
    Ok(outputs)
}

/// The JSON Schema of what `--json` writes.
pub fn schema() -> schemars::Schema {
    crate::report::schema::of::<Document>()
}
