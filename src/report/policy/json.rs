//! `reprove.policy-check/1`: what was found of policies as a document.

use serde::Serialize;

use super::{Standing, standing, way};
use crate::{
    graph::Graph,
    nix::store_path::StorePath,
    policy::{Checked, Violation},
    report::drv_diff::{ChangeOf, change},
};

/// The version of the document.
pub const SCHEMA: &str = "reprove.policy-check/1";

#[derive(Serialize, schemars::JsonSchema)]
struct Document<'a> {
    #[schemars(extend("const" = SCHEMA))]
    schema: &'static str,
    /// Derivations in the closure.
    derivations: usize,
    policies: Vec<One<'a>>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct One<'a> {
    name: &'a str,
    title: &'a str,
    /// Which derivations it looked at: `root`, `all`, or a regular expression between slashes.
    at: String,
    /// `violated`, `holds`, or `not-about` when it is about none of them.
    standing: &'static str,
    /// How many it looked at.
    looked: usize,
    /// How many of them it is about.
    about: usize,
    violations: Vec<ViolationOf<'a>>,
    #[serde(skip_serializing_if = "str::is_empty")]
    fix: &'a str,
}

#[derive(Serialize, schemars::JsonSchema)]
struct ViolationOf<'a> {
    drv: &'a StorePath,
    name: &'a str,
    /// The derivations from what was asked for to this one, by name.
    way: Vec<&'a str>,
    /// What making the policy hold would change.
    changes: Vec<ChangeOf>,
    /// Why the derivation must not be there, where no change helps.
    forbidden: &'a [String],
}

/// Its JSON Schema.
pub fn schema() -> schemars::Schema {
    crate::report::schema::of::<Document<'_>>()
}

/// The document, ready to be serialised.
pub fn document<'a>(graph: &'a Graph, all: &'a [Checked<'a>]) -> impl Serialize + 'a {
    let violation = |violation: &'a Violation| {
        let node = &graph.nodes()[violation.index];
        ViolationOf {
            drv: &node.drv,
            name: node.name(),
            way: way(graph, &violation.way),
            changes: violation.changes.iter().map(change).collect(),
            forbidden: &violation.forbidden,
        }
    };
    let policies = all.iter().map(|checked| One {
        name: &checked.policy.name,
        title: &checked.policy.title,
        at: checked.at.to_string(),
        standing: match standing(checked) {
            Standing::Violated => "violated",
            Standing::Holds => "holds",
            Standing::NotAbout => "not-about",
        },
        looked: checked.looked,
        about: checked.about,
        violations: checked.violations.iter().map(violation).collect(),
        fix: &checked.policy.fix,
    });
    Document { schema: SCHEMA, derivations: graph.nodes().len(), policies: policies.collect() }
}
