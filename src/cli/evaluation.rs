//! Installables on a command line, and what they evaluate to.

use std::{path::Path, str::FromStr as _};

use clap::Args;

use super::{Context, Exit, Failure};
use crate::{
    flake::{DrvFolder, Evaluator, FlakeError, Installable, Options},
    graph::Graph,
    nix::store_path::StorePath,
    report::escape::escape,
};

/// What to evaluate, and how.
#[derive(Debug, Args)]
pub struct Installables {
    /// What to work on, as `nix build` spells it: `.#attr`, `path:DIR#attr`, `git+file:…`, `….drv`, with `^out` for some
    /// outputs; all outputs without [default: the flake in this folder]
    #[arg(value_name = "INSTALLABLE")]
    installables: Vec<String>,
    /// Look attributes up for this system, e.g. riscv64-linux
    #[arg(long, value_name = "SYSTEM")]
    system: Option<String>,
    /// Replace an input of the flake
    #[arg(long, num_args = 2, value_names = ["INPUT", "FLAKE"], action = clap::ArgAction::Append)]
    override_input: Vec<String>,
    /// Set an option of `nix` for the evaluation
    #[arg(long = "option", num_args = 2, value_names = ["NAME", "VALUE"], action = clap::ArgAction::Append)]
    options: Vec<String>,
}

/// One installable, evaluated.
#[derive(Clone, Debug)]
pub struct Asked {
    /// As it was typed.
    pub installable: String,
    /// Its derivation.
    pub drv: StorePath,
    /// The outputs meant.
    pub outputs: Vec<String>,
    /// The system it was evaluated for, where it was for several.
    pub system: Option<String>,
}

/// Everything the installables need, and where the evaluator keeps it.
pub struct Closure {
    /// The derivations.
    pub graph: Graph,
    /// What was asked for, in the order it was typed.
    pub asked: Vec<Asked>,
    /// Where the derivations and the files of the evaluation lie.
    pub folder: DrvFolder,
    /// The evaluator, for native builds in the same store.
    pub evaluator: Evaluator,
    /// The policies that were made to hold in it, each with what it looked at.
    pub policies: Vec<String>,
}

impl Closure {
    /// Joined with what the same installables are for another system.
    pub fn join(self, other: Closure) -> Result<Closure, Failure> {
        let asked: Vec<Asked> = self.asked.into_iter().chain(other.asked).collect();
        let roots: Vec<StorePath> = asked.iter().map(|asked| asked.drv.clone()).collect();
        let graph = Graph::joined(&roots, &[&self.graph, &other.graph]).map_err(FlakeError::Graph)?;
        Ok(Closure { graph, asked, ..other })
    }

    /// The derivations that were asked for.
    pub fn drvs(&self) -> Vec<StorePath> {
        self.asked.iter().map(|asked| asked.drv.clone()).collect()
    }
}

impl Installables {
    /// Evaluates them all.
    pub fn evaluate(&self, context: &Context) -> Result<Closure, Failure> {
        self.evaluate_with(context, &[])
    }

    /// Evaluates them all; the graph has these derivations as well.
    pub fn evaluate_with(&self, context: &Context, also: &[StorePath]) -> Result<Closure, Failure> {
        self.evaluate_for(context, None, also)
    }

    /// Evaluates them all for one of several systems.
    pub fn evaluate_for(
        &self,
        context: &Context,
        system: Option<&str>,
        also: &[StorePath],
    ) -> Result<Closure, Failure> {
        let typed =
            if self.installables.is_empty() { vec![".".to_owned()] } else { self.installables.clone() };
        let installables = typed
            .iter()
            .map(|text| Installable::from_str(&as_path(text)))
            .collect::<Result<Vec<_>, FlakeError>>()?;
        let pairs = |words: &[String]| words.chunks_exact(2).map(|p| (p[0].clone(), p[1].clone())).collect();
        let options = Options {
            system: system.map(str::to_owned).or_else(|| self.system.clone()),
            override_inputs: pairs(&self.override_input),
            options: pairs(&self.options),
            ..Options::default()
        };
        let evaluator = Evaluator::new(&context.state_dir()?, options)?;
        let (mut asked, mut folder) = (Vec::new(), None::<DrvFolder>);
        for (installable, text) in installables.iter().zip(&typed) {
            let on = system.map(|system| format!(" for {system}")).unwrap_or_default();
            context.progress.step(&format!("evaluating {text}{on}"));
            let evaluated = evaluator.evaluate(installable);
            context.progress.end_step();
            let evaluated = evaluated?;
            for warning in &evaluated.warnings {
                context.progress.line(&format!("{}: {warning}", escape(text)));
            }
            match &folder {
                Some(first) if first.path() != evaluated.folder.path() => {
                    return Err(Failure::usage("derivations of two folders cannot be worked on together"));
                }
                _ => folder = Some(evaluated.folder),
            }
            let outputs = evaluated.outputs.into_iter().collect();
            let system = system.map(str::to_owned);
            asked.push(Asked { installable: text.clone(), drv: evaluated.drv, outputs, system });
        }
        let folder = folder.ok_or_else(|| Failure::usage("there is nothing to evaluate"))?;
        let roots: Vec<StorePath> =
            asked.iter().map(|asked| asked.drv.clone()).chain(also.iter().cloned()).collect();
        let graph = folder.load_closure(&roots)?;
        Ok(Closure { graph, asked, folder, evaluator, policies: Vec::new() })
    }
}

/// A folder with a flake in it is meant as a folder, whatever `nix` would look up under the name: `examples/hello#x` is
/// `./examples/hello#x`.
fn as_path(text: &str) -> String {
    let folder = text.split(['#', '^']).next().unwrap_or_default();
    let bare = !folder.is_empty() && !folder.starts_with(['.', '/', '~']) && !folder.contains([':', '?']);
    if bare && Path::new(folder).join("flake.nix").is_file() { format!("./{text}") } else { text.to_owned() }
}

impl From<FlakeError> for Failure {
    fn from(error: FlakeError) -> Self {
        Failure::new(error.code(), &error, Exit::Usage)
    }
}
