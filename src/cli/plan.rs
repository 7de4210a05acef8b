//! `reprove plan`: what would be done, leaves first.

use std::io::Write as _;

use anstyle::{AnsiColor, Style};
use clap::Args;
use serde::Serialize;

use super::{
    Context, Exit, Failure, document::JsonTo, evaluation::Installables, frontier::Frontier,
    policies::PoliciesFrom,
};
use crate::{
    graph::{Action, Graph, Kind, Plan as Steps, Step},
    machine::{Arch, Engine},
    nix::store_path::StorePath,
};

const DIM: Style = Style::new().dimmed();
const BUILD: Style = AnsiColor::Cyan.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();

/// Print what `build` would do, leaves first: sources, builds, what is there already.
#[derive(Debug, Args)]
pub struct Plan {
    #[command(flatten)]
    installables: Installables,
    #[command(flatten)]
    policies: PoliciesFrom,
    #[command(flatten)]
    frontier: Frontier,
    /// Also list what is there already or not needed
    #[arg(long, short)]
    all: bool,
    #[command(flatten)]
    json: JsonTo,
}

/// The version of the document.
const SCHEMA: &str = "reprove.plan/1";

#[derive(Serialize, schemars::JsonSchema)]
struct Document<'a> {
    #[schemars(extend("const" = SCHEMA))]
    schema: &'static str,
    derivations: usize,
    steps: Vec<StepOf<'a>>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct StepOf<'a> {
    drv: &'a StorePath,
    name: &'a str,
    depth: usize,
    kind: &'static str,
    action: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    system: Option<&'a str>,
    /// The engine of the machine that would run it.
    #[serde(skip_serializing_if = "Option::is_none")]
    engine: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    outputs: Vec<Output<'a>>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct Output<'a> {
    output: &'a str,
    path: Option<&'a StorePath>,
}

impl Plan {
    /// Evaluates, plans and prints.
    pub fn run(&self, context: &Context) -> Result<Exit, Failure> {
        let json = self.json.open()?;
        let store = context.store()?;
        let takers = self.frontier.takers()?;
        let policies = self.policies.open()?;
        let closure = self.installables.evaluate_with(context, &policies.replacements())?;
        let closure = policies.hold_in(context, closure)?;
        let plan = self.frontier.plan(&closure.graph, &store, &takers, &[]);
        json.write(&document(&closure.graph, &plan))?;
        if !json.is_stdout() {
            print(&closure.graph, &plan, self.all).map_err(|error| Failure::io("standard output", &error))?;
        }
        let refused = plan.steps.iter().any(|step| matches!(step.action, Action::Refuse(_)));
        Ok(if refused { Exit::NotChecked } else { Exit::Success })
    }
}

fn document<'a>(graph: &'a Graph, plan: &'a Steps) -> Document<'a> {
    let steps = graph.nodes().iter().zip(&plan.steps).map(|(node, step)| StepOf {
        drv: &node.drv,
        name: node.name(),
        depth: node.depth,
        kind: kind(step),
        action: action(step),
        system: match &step.kind {
            Kind::Machine { system } => Some(system),
            _ => None,
        },
        engine: engine(step),
        reason: reason(step),
        outputs: step
            .outputs
            .iter()
            .map(|output| Output { output, path: node.derivation.output_path(output) })
            .collect(),
    });
    Document { schema: SCHEMA, derivations: graph.nodes().len(), steps: steps.collect() }
}

fn kind(step: &Step) -> &'static str {
    match step.kind {
        Kind::Fixed => "source",
        Kind::Machine { .. } => "build",
        Kind::Unsupported(_) => "unsupported",
    }
}

fn action(step: &Step) -> &'static str {
    match step.action {
        Action::Present => "present",
        Action::NotNeeded => "not-needed",
        Action::Provide => "provide",
        Action::Take => "take",
        Action::Build => "build",
        Action::Refuse(_) => "refuse",
    }
}

fn reason(step: &Step) -> Option<String> {
    match &step.action {
        Action::Refuse(why) => Some(why.to_string()),
        _ => None,
    }
}

/// The kind of machine that would run it.
fn engine(step: &Step) -> Option<&'static str> {
    let (Kind::Machine { system }, Action::Build) = (&step.kind, &step.action) else { return None };
    let arch = Arch::of_system(system.as_bytes())?;
    Engine::ALL.into_iter().find(|engine| engine.runs(arch)).map(Engine::name)
}

fn print(graph: &Graph, plan: &Steps, all: bool) -> std::io::Result<()> {
    let mut out = anstream::stdout().lock();
    for (node, step) in graph.nodes().iter().zip(&plan.steps) {
        let idle = matches!(step.action, Action::Present | Action::NotNeeded);
        if idle && !all {
            continue;
        }
        let style = match step.action {
            Action::Build => BUILD,
            Action::Refuse(_) => BAD,
            _ => DIM,
        };
        write!(out, "{style}{:<10}{style:#} {}", action(step), node.name())?;
        if let (Kind::Machine { system }, Some(engine)) = (&step.kind, engine(step)) {
            write!(out, "  {DIM}{system}, {engine}{DIM:#}")?;
        }
        if let Some(why) = reason(step) {
            write!(out, "  {why}")?;
        }
        writeln!(out, "  {DIM}{}{DIM:#}", node.drv)?;
    }
    let count = |wanted: &str| plan.steps.iter().filter(|step| action(step) == wanted).count();
    writeln!(
        out,
        "{} derivations: {} to build, {} sources to find, {} to take by hash, {} there, {} not needed, {} refused",
        plan.steps.len(),
        count("build"),
        count("provide"),
        count("take"),
        count("present"),
        count("not-needed"),
        count("refuse"),
    )
}

/// The JSON Schema of what `--json` writes.
pub fn schema() -> schemars::Schema {
    crate::report::schema::of::<Document<'_>>()
}
