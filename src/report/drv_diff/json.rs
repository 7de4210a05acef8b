//! `reprove.drv-diff/1`: how two derivations differ as a document.

use serde::Serialize;

use crate::{
    graph::{Change, Differences, DrvPair, Graph, What, named_by},
    nix::store_path::StorePath,
    report::{brought::words, escape::escape_bytes},
};

/// The version of the document.
pub const SCHEMA: &str = "reprove.drv-diff/1";

#[derive(Serialize, schemars::JsonSchema)]
struct Document<'a> {
    #[schemars(extend("const" = SCHEMA))]
    schema: &'static str,
    identical: bool,
    /// Those that differ by themselves, nearest to the leaves first.
    sources: Vec<One<'a>>,
    /// Those in which all that differs follows from their inputs.
    pass_on: Vec<Both<'a>>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct Both<'a> {
    a: &'a StorePath,
    b: &'a StorePath,
}

#[derive(Serialize, schemars::JsonSchema)]
struct One<'a> {
    #[serde(flatten)]
    both: Both<'a>,
    /// The derivations on the way up to what was asked for, by name.
    way: Vec<&'a str>,
    /// What of each of them but the first names the one before it.
    named_by: Vec<Vec<String>>,
    changes: Vec<ChangeOf>,
}

/// Something that one derivation says otherwise than the other, or that only one of them says.
#[derive(Serialize, schemars::JsonSchema)]
pub struct ChangeOf {
    /// `system`, `builder`, `argument`, `variable`, `output`, `input`, `source`.
    what: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    a: Option<String>,
    b: Option<String>,
    /// What of the derivation names the input or source: `builder`, `argument 2`, `variable x`, `attribute /env/x`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    by: Vec<String>,
}

/// Its JSON Schema.
pub fn schema() -> schemars::Schema {
    crate::report::schema::of::<Document<'_>>()
}

/// The document, ready to be serialised.
pub fn document<'a>(differences: &'a Differences, graph: &'a Graph) -> impl Serialize + 'a {
    let both = |pair: &DrvPair| Both { a: &graph.nodes()[pair.a].drv, b: &graph.nodes()[pair.b].drv };
    let source = |pair: &'a DrvPair| One {
        both: both(pair),
        way: differences.way(pair).iter().map(|pair| graph.nodes()[pair.a].name()).collect(),
        named_by: differences
            .way(pair)
            .windows(2)
            .map(|two| named_by(graph, two[1].a, two[0].a).iter().map(words).collect())
            .collect(),
        changes: pair.changes.iter().map(change).collect(),
    };
    Document {
        schema: SCHEMA,
        identical: differences.pairs.is_empty(),
        sources: differences.sources(graph).into_iter().map(source).collect(),
        pass_on: differences.pairs.iter().filter(|pair| pair.changes.is_empty()).map(both).collect(),
    }
}

/// One change, ready to be serialised.
pub fn change(change: &Change) -> ChangeOf {
    let (what, name) = match &change.what {
        What::System => ("system", None),
        What::Builder => ("builder", None),
        What::Argument(number) => ("argument", Some(number.to_string())),
        What::Variable(name) => ("variable", Some(escape_bytes(name))),
        What::Output(name) => ("output", Some(name.clone())),
        What::Input(name) => ("input", Some(name.clone())),
        What::Source(name) => ("source", Some(name.clone())),
    };
    let text = |text: &Option<Vec<u8>>| text.as_deref().map(escape_bytes);
    let by = change.by.iter().map(words).collect();
    ChangeOf { what, name, a: text(&change.a), b: text(&change.b), by }
}
