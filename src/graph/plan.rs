//! What is left to do for each derivation of a graph.

use std::{collections::BTreeSet, fmt};

use super::{Choice, Frontier, Graph};
use crate::nix::{
    derivation::{Derivation, Output},
    store_path::StorePath,
    text::shown,
};

/// Why a derivation cannot be built here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unsupported {
    /// Its outputs' paths are known only after a build: `floating content-addressed`, `deferred` or `impure`.
    Outputs(&'static str),
    /// It asks for a part of Nix that is not there; the name, escaped.
    Builtin(String),
    /// There is no machine for its system; the system, escaped.
    System(String),
    /// It asks to be built outside of the sandbox (`__noChroot`).
    NoSandbox,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unsupported::Outputs(kind) => {
                write!(f, "its outputs are {kind}: their paths are known only after a build")
            }
            Unsupported::Builtin(name) => {
                write!(f, "builder builtin:{name} is a part of Nix that is not supported")
            }
            Unsupported::System(system) => write!(f, "there is no machine for system {system}"),
            Unsupported::NoSandbox => write!(f, "it asks to be built outside of the sandbox (__noChroot)"),
        }
    }
}

/// What sort of derivation it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The contents of its output are known by their hash: a source, provided and not built.
    Fixed,
    /// Built in a machine of this system (`x86_64-linux`).
    Machine {
        /// The system.
        system: String,
    },
    /// Cannot be built.
    Unsupported(Unsupported),
}

/// What is to be done for a derivation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing: what is needed of it is there.
    Present,
    /// Nothing: whatever needs it is there or taken.
    NotNeeded,
    /// Find the output by its hash.
    Provide,
    /// Take the outputs from who has them.
    Take,
    /// Build it in a machine.
    Build,
    /// It cannot be built, and is needed.
    Refuse(Unsupported),
}

/// One derivation of a [`Plan`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What sort of derivation it is.
    pub kind: Kind,
    /// What is to be done.
    pub action: Action,
    /// Which of its outputs something needs; empty when not needed.
    pub outputs: BTreeSet<String>,
}

/// One step for each derivation of the graph, leaves first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// In the order of the graph.
    pub steps: Vec<Step>,
}

impl Plan {
    /// The derivations with something to do, leaves first.
    pub fn work(&self) -> impl Iterator<Item = (usize, &Step)> {
        let idle = |action: &Action| matches!(action, Action::Present | Action::NotNeeded);
        self.steps.iter().enumerate().filter(move |(_, step)| !idle(&step.action))
    }
}

/// Plans a graph: as Nix does it, an output that is there needs none of what it was built from.
///
/// `runs` says whether there is a machine for a system, `present` whether an output is in our store, `available`
/// whether somebody we take from has it (asked only where the frontier allows both).
pub fn plan(
    graph: &Graph,
    frontier: &Frontier,
    runs: impl Fn(&[u8]) -> bool,
    present: impl Fn(&StorePath) -> bool,
    available: impl Fn(&StorePath) -> bool,
) -> Plan {
    let mut needed: Vec<BTreeSet<String>> = vec![BTreeSet::new(); graph.nodes().len()];
    for target in &frontier.targets {
        needed[*target] = graph.nodes()[*target].derivation.outputs.keys().cloned().collect();
    }
    let mut steps = Vec::with_capacity(graph.nodes().len());
    // Whoever needs a derivation stands behind it, so from the end everything is known in time.
    for (index, node) in graph.nodes().iter().enumerate().rev() {
        let outputs = std::mem::take(&mut needed[index]);
        let kind = kind(&node.derivation, &runs);
        let all = |there: &dyn Fn(&StorePath) -> bool| {
            outputs.iter().all(|output| node.derivation.output_path(output).is_some_and(there))
        };
        let action = if outputs.is_empty() {
            Action::NotNeeded
        } else if all(&present) {
            Action::Present
        } else {
            match (&kind, frontier.choices[index]) {
                (Kind::Fixed, _) => Action::Provide,
                (_, Choice::Take) => Action::Take,
                (_, Choice::TakeOrBuild) if all(&available) => Action::Take,
                (Kind::Unsupported(why), _) => Action::Refuse(why.clone()),
                (Kind::Machine { .. }, _) => Action::Build,
            }
        };
        if action == Action::Build {
            for (input, wanted) in &node.derivation.input_drvs {
                if let Some(input) = graph.index_of(input) {
                    needed[input].extend(wanted.iter().cloned());
                }
            }
        }
        steps.push(Step { kind, action, outputs });
    }
    steps.reverse();
    Plan { steps }
}

/// The parts of Nix that a fixed output may be fetched with; its hash decides what it is.
const FETCHERS: [&[u8]; 1] = [b"fetchurl"];

fn kind(derivation: &Derivation, runs: &impl Fn(&[u8]) -> bool) -> Kind {
    let unknown = derivation.outputs.values().find(|output| output.path().is_none());
    if let Some(output) = unknown {
        return Kind::Unsupported(Unsupported::Outputs(Output::kind(output)));
    }
    if derivation.is_fixed_output() {
        return match derivation.builtin() {
            Some(name) if !FETCHERS.contains(&name) => Kind::Unsupported(Unsupported::Builtin(shown(name))),
            _ => Kind::Fixed,
        };
    }
    if let Some(name) = derivation.builtin() {
        return Kind::Unsupported(Unsupported::Builtin(shown(name)));
    }
    if derivation.env_get("__noChroot") == Some(b"1") {
        return Kind::Unsupported(Unsupported::NoSandbox);
    }
    match std::str::from_utf8(&derivation.system) {
        Ok(system) if runs(&derivation.system) => Kind::Machine { system: system.to_owned() },
        _ => Kind::Unsupported(Unsupported::System(shown(&derivation.system))),
    }
}
