//! How a store path came into a build: for a person, and as a part of a document.

use serde::Serialize;

use crate::{
    graph::{Attribute, Brought, BroughtKind, Link},
    nix::store_path::StorePath,
    report::escape::{escape, escape_bytes},
};

/// In one line: `…-tzdata is output out of tzdata: hello (variable x) → go (argument 2) → tzdata`.
pub(super) fn sentence(brought: &Brought) -> String {
    let last = brought.way.last().map_or("", |link| link.drv.short_name());
    let what = match &brought.kind {
        BroughtKind::Output(output) => format!("output {} of {last}", escape(output)),
        BroughtKind::Source => format!("a source of {last}"),
        BroughtKind::Derivation => "a derivation".to_owned(),
    };
    let way: Vec<String> = brought.way.iter().map(link).collect();
    format!("{} is {what}: {}", brought.path, way.join(" → "))
}

fn link(link: &Link) -> String {
    name_by(link.drv.short_name(), &link.by)
}

/// `hello (variable x, argument 2)`
pub(super) fn name_by(name: &str, by: &[Attribute]) -> String {
    let by: Vec<String> = by.iter().map(words).collect();
    if by.is_empty() { name.to_owned() } else { format!("{name} ({})", by.join(", ")) }
}

/// `builder`, `argument 2`, `variable x`, `attribute /env/x`
pub(super) fn words(attribute: &Attribute) -> String {
    match attribute {
        Attribute::Builder => "builder".to_owned(),
        Attribute::Argument(number) => format!("argument {number}"),
        Attribute::Variable(name) => format!("variable {}", escape_bytes(name)),
        Attribute::Structured(place) => format!("attribute {}", escape(place)),
    }
}

/// The part of a document that says it.
#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct BroughtOf<'a> {
    path: &'a StorePath,
    /// `output`, `source`, `derivation`: of the last derivation on the way.
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<&'a str>,
    /// From what is built first to who has the path.
    way: Vec<LinkOf<'a>>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct LinkOf<'a> {
    drv: &'a StorePath,
    /// Attributes that name what comes next: `builder`, `argument 2`, `variable x`, `attribute /env/x`.
    by: Vec<String>,
}

impl<'a> BroughtOf<'a> {
    pub(super) fn new(brought: &'a Brought) -> BroughtOf<'a> {
        let (kind, output) = match &brought.kind {
            BroughtKind::Output(output) => ("output", Some(output.as_str())),
            BroughtKind::Source => ("source", None),
            BroughtKind::Derivation => ("derivation", None),
        };
        let link = |link: &'a Link| LinkOf { drv: &link.drv, by: link.by.iter().map(words).collect() };
        BroughtOf { path: &brought.path, kind, output, way: brought.way.iter().map(link).collect() }
    }
}
