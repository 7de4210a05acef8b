//! `reprove build`: builds in a machine, leaves first, into our store.

use std::io::Write as _;

use clap::Args;
use serde::Serialize;

use super::{
    Context, Exit, Failure, document::JsonTo, evaluation::Installables, frontier::Frontier, realising,
    running::Running, sourcing::Sourcing,
};
use crate::{
    nix::store_path::StorePath,
    schedule::{Machines, Outcome, Realiser, StoreDir},
    store::{Origin, PathInfo},
};

/// Build installables, each derivation in a machine of its own, and print the paths of the outputs.
///
/// One build says nothing about reproducibility: `verify` does.
#[derive(Debug, Args)]
pub struct Build {
    #[command(flatten)]
    installables: Installables,
    #[command(flatten)]
    json: JsonTo,
    #[command(flatten)]
    frontier: Frontier,
    #[command(flatten)]
    running: Running,
    #[command(flatten)]
    sourcing: Sourcing,
}

#[derive(Serialize)]
struct Document {
    schema: &'static str,
    outputs: Vec<Output>,
}

#[derive(Serialize)]
struct Output {
    installable: String,
    drv: StorePath,
    output: String,
    #[serde(flatten)]
    info: PathInfo,
}

impl Build {
    /// Builds and prints.
    pub fn run(&self, context: &Context) -> Result<Exit, Failure> {
        let settings = self.running.settings()?;
        let store = context.store()?;
        let closure = self.installables.evaluate(context)?;
        let takers = self.frontier.takers()?;
        let plan = self.frontier.plan(&closure.graph, &store, &takers, &[]);
        let machines = Machines::new(&context.state_dir()?);
        let evaluated =
            StoreDir::new(closure.folder.path(), Origin::Source { place: "evaluation".to_owned() });
        let realiser = Realiser {
            store: &store,
            sources: &self.sourcing.provider(context, &store)?,
            machines: &machines,
            settings: &settings,
            caps: &self.running.caps(),
            observer: &context.progress,
            evaluated: &evaluated,
            takers: &takers,
        };
        let nothing = std::collections::BTreeSet::new();
        let outcomes =
            realiser.realise(&closure.graph, &plan, &nothing, self.running.jobs(), self.running.on_failure());
        let mut exit = Exit::Success;
        for (_, outcome) in outcomes {
            if let Outcome::Failed(error) = outcome {
                let failure = realising::failure(&error);
                failure.print();
                exit = exit.and(failure.exit);
            }
        }
        let outputs = self.outputs(&closure.asked, &closure.graph, &store)?;
        let wanted: usize = closure.asked.iter().map(|asked| asked.outputs.len()).sum();
        if outputs.len() < wanted && exit == Exit::Success {
            exit = Exit::NotChecked;
        }
        let document = Document { schema: "reprove.build/1", outputs };
        self.json.write(&document)?;
        if !self.json.is_stdout() {
            for output in &document.outputs {
                writeln!(anstream::stdout(), "{}", output.info.path)
                    .map_err(|error| Failure::io("standard output", &error))?;
            }
        }
        Ok(exit)
    }

    /// The outputs asked for that are in the store.
    fn outputs(
        &self,
        asked: &[super::evaluation::Asked],
        graph: &crate::graph::Graph,
        store: &crate::store::Store,
    ) -> Result<Vec<Output>, Failure> {
        let mut outputs = Vec::new();
        for asked in asked {
            let Some(index) = graph.index_of(&asked.drv) else { continue };
            for output in &asked.outputs {
                let Some(path) = graph.nodes()[index].derivation.output_path(output) else { continue };
                if let Some(info) = store.path(path)? {
                    let (installable, drv) = (asked.installable.clone(), asked.drv.clone());
                    outputs.push(Output { installable, drv, output: output.clone(), info });
                }
            }
        }
        Ok(outputs)
    }
}
