//! For a person: what is violated, where in the closure, and what to change.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::{Standing, standing, way};
use crate::{
    graph::{Change, Graph, What},
    policy::{Checked, Edit, Violation},
    report::{
        count::count,
        drv_diff::{value, write_change},
        escape::{escape, escape_bytes},
    },
};

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
/// Derivations shown of one policy.
const SHOWN: usize = 10;

/// Writes what was found of each policy, all of it when `full`.
pub fn write(out: &mut dyn Write, graph: &Graph, all: &[Checked<'_>], full: bool) -> io::Result<()> {
    for checked in all {
        let (style, mark) = match standing(checked) {
            Standing::Violated => (BAD, "✘"),
            Standing::Holds => (GOOD, "✔"),
            Standing::NotAbout => (DIM, "·"),
        };
        let policy = checked.policy;
        let name = &policy.name;
        write!(out, "{style}{mark} {name}{style:#}  {}  {DIM}", escape(&policy.title))?;
        let of = |number: usize| count(number as u64, "derivation", "derivations");
        match standing(checked) {
            Standing::Violated => {
                writeln!(out, "{} of {}{DIM:#}", checked.violations.len(), of(checked.looked))?
            }
            Standing::Holds if checked.policy.rewrites() => writeln!(out, "{}{DIM:#}", of(checked.about))?,
            Standing::Holds => writeln!(out, "none of {}{DIM:#}", of(checked.looked))?,
            Standing::NotAbout => writeln!(out, "nothing that it is about in {}{DIM:#}", checked.at.words())?,
        }
        let shown = if full { checked.violations.len() } else { SHOWN };
        for violation in checked.violations.iter().take(shown) {
            write_violation(out, graph, violation)?;
        }
        if checked.violations.len() > shown {
            writeln!(out, "  {DIM}and {} more: -v shows them{DIM:#}", checked.violations.len() - shown)?;
        }
        if !checked.violations.is_empty() && !policy.fix.is_empty() {
            writeln!(out, "  fix: {}", escape(&policy.fix))?;
        }
    }
    Ok(())
}

fn write_violation(out: &mut dyn Write, graph: &Graph, violation: &Violation) -> io::Result<()> {
    let node = &graph.nodes()[violation.index];
    writeln!(out, "  {BOLD}{}{BOLD:#}  {DIM}{}{DIM:#}", node.name(), node.drv)?;
    if violation.way.len() > 1 {
        writeln!(out, "   {DIM}{}{DIM:#}", way(graph, &violation.way).join(" → "))?;
    }
    for why in &violation.forbidden {
        writeln!(out, "   {}", escape(why))?;
    }
    violation.changes.iter().filter(|change| is_said(change)).try_for_each(|change| from_to(out, change))
}

/// Inputs and sources come and go with the attributes that name them.
fn is_said(change: &Change) -> bool {
    !matches!(change.what, What::Input(_) | What::Source(_))
}

/// Writes what is there and what is to be there, on one line where that is possible.
fn from_to(out: &mut dyn Write, change: &Change) -> io::Result<()> {
    let has_lines = |text: &Option<Vec<u8>>| text.as_ref().is_some_and(|text| text.contains(&b'\n'));
    match &change.what {
        What::Variable(name) if !has_lines(&change.a) && !has_lines(&change.b) => {
            let name = escape_bytes(name);
            let [a, b] = [&change.a, &change.b].map(|text| match text {
                None => format!("{DIM}none{DIM:#}"),
                Some(text) => value(text),
            });
            writeln!(out, "   {name}: {a} → {b}")
        }
        _ => write_change(out, change),
    }
}

/// Writes what policies changed, and how much has another path because of it.
pub fn write_edits(out: &mut dyn Write, edits: &[Edit], moved: usize) -> io::Result<()> {
    for edit in edits {
        let (name, by) = (edit.drv.short_name(), edit.policies.join(", "));
        writeln!(out, "{BOLD}{name}{BOLD:#}  {by}  {DIM}{}{DIM:#}", edit.drv)?;
        edit.changes.iter().filter(|change| is_said(change)).try_for_each(|change| from_to(out, change))?;
    }
    let changed = count(edits.len() as u64, "derivation", "derivations");
    let others =
        count(moved.saturating_sub(edits.len()) as u64, "other has another path", "others have other paths");
    writeln!(out, "{changed} changed; {others} because of it")
}
