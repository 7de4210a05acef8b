//! What was found of policies, and what they changed: for a terminal and as JSON.

mod json;
mod terminal;

pub use json::{SCHEMA, document, schema};
pub use terminal::{write, write_edits};

use crate::{graph::Graph, policy::Checked};

/// The derivations from what was asked for to one that violates a policy, by name.
fn way<'a>(graph: &'a Graph, way: &[usize]) -> Vec<&'a str> {
    way.iter().map(|index| graph.nodes()[*index].name()).collect()
}

/// What a check came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Violated,
    Holds,
    /// There is nothing it is about: nothing was shown.
    NotAbout,
}

fn standing(checked: &Checked<'_>) -> Standing {
    match (checked.violations.is_empty(), checked.about) {
        (false, _) => Standing::Violated,
        // What only forbids is about nothing where it holds; but it has to have looked at something.
        (true, 0) if checked.policy.rewrites() || checked.looked == 0 => Standing::NotAbout,
        (true, _) => Standing::Holds,
    }
}
