//! A walk through the graph: where bits begin to differ, and who only passes that on.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use crate::{
    nix::store_path::StorePath,
    report::{
        count::count,
        escape::escape,
        subject::{Standing, Subject},
    },
    verify::closure::{Role, Walk, Walked},
};

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const BAD: Style = AnsiColor::Red.on_default().bold();
const UNSURE: Style = AnsiColor::Yellow.on_default().bold();

/// Writes it for a person: everything that is not steady by name, leaves first.
pub(super) fn write(out: &mut dyn Write, walk: &Walk) -> io::Result<()> {
    let varied: Vec<&str> = walk.varied.iter().map(|which| which.name()).collect();
    let all = count(walk.steps.len() as u64, "derivation", "derivations");
    let sources = count(walk.sources().count() as u64, "source", "sources");
    writeln!(
        out,
        "{BOLD}through the graph{BOLD:#}  {all}, {sources} of differences  {DIM}(varied at once: {}){DIM:#}",
        varied.join(", ")
    )?;
    for step in &walk.steps {
        let (style, word, tail) = match &step.role {
            Err(why) => (UNSURE, "not known", escape(why)),
            Ok(role) if role.own.is_empty() && role.from.is_empty() => continue,
            Ok(role) => (if role.own.is_empty() { DIM } else { BAD }, role.word(), details(role)),
        };
        let name = step.drv.short_name();
        writeln!(out, "  {style}{word:>22}{style:#}  {BOLD}{name}{BOLD:#}  {DIM}{tail}{DIM:#}")?;
    }
    writeln!(out)
}

/// `outputs out; from stamp, left`
fn details(role: &Role) -> String {
    let mut outputs: Vec<&str> = role.own.iter().chain(&role.passed_on).map(String::as_str).collect();
    outputs.sort_unstable();
    outputs.dedup();
    let from: Vec<&str> = role.from.iter().map(StorePath::name).collect();
    let outputs = (!outputs.is_empty()).then(|| format!("outputs {}", outputs.join(", ")));
    let from = (!from.is_empty()).then(|| format!("from {}", from.join(", ")));
    outputs.into_iter().chain(from).collect::<Vec<_>>().join("; ")
}

/// The derivations that are no targets by themselves: who passes on, and where it is not known.
pub(super) fn subjects<'a>(walk: &Walk) -> Vec<Subject<'a>> {
    let told = walk.steps.iter().filter_map(|step| {
        let (standing, word, reason) = match &step.role {
            Err(why) => (Standing::Unknown, "not known".to_owned(), Some(why.clone())),
            Ok(role) if role.passed_on.is_empty() || !role.own.is_empty() => return None,
            Ok(role) => (Standing::Bad, role.word().to_owned(), Some(details(role))),
        };
        Some(Subject {
            name: step.drv.short_name().to_owned(),
            standing,
            word,
            level: None,
            judgement: None,
            reason,
            facts: vec![("derivation".to_owned(), step.drv.to_string())],
            seen: Vec::new(),
        })
    });
    told.collect()
}

/// The part of a document that says it.
#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct WalkedOf<'a> {
    drv: &'a StorePath,
    /// `source`, `passes on`, `source, and passes on`, `ends here`, `steady`, `not known`.
    role: &'static str,
    /// Outputs that have other bits though every input has the same.
    own: Vec<&'a str>,
    /// Inputs that have other bits.
    from: Vec<&'a StorePath>,
    /// Outputs that have other bits because those have.
    passed_on: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl<'a> WalkedOf<'a> {
    pub(super) fn new(step: &'a Walked) -> WalkedOf<'a> {
        let none = WalkedOf {
            drv: &step.drv,
            role: "not known",
            own: Vec::new(),
            from: Vec::new(),
            passed_on: Vec::new(),
            reason: None,
        };
        match &step.role {
            Err(why) => WalkedOf { reason: Some(escape(why)), ..none },
            Ok(role) => WalkedOf {
                role: role.word(),
                own: role.own.iter().map(String::as_str).collect(),
                from: role.from.iter().collect(),
                passed_on: role.passed_on.iter().map(String::as_str).collect(),
                ..none
            },
        }
    }
}
