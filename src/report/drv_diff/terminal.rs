//! For a person: what differs by itself first, nearest to the leaves; then what only passes it on.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use crate::{
    diff::{Finding, Limits, compare_files},
    graph::{Change, Differences, DrvPair, Graph, What, named_by},
    report::{brought::name_by, count::count, diff::finding_for_terminal, escape::escape_bytes},
};

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const OF_A: Style = AnsiColor::Red.on_default();
const OF_B: Style = AnsiColor::Green.on_default();
/// Longest value shown on one line.
const LONGEST: usize = 200;
/// Names of derivations that only pass differences on, at most.
const NAMES: usize = 12;

/// Writes how the derivations `a` and `b` of `graph` differ.
pub fn write(
    out: &mut dyn Write,
    differences: &Differences,
    graph: &Graph,
    a: usize,
    b: usize,
) -> io::Result<()> {
    let drv = |index: usize| &graph.nodes()[index].drv;
    if differences.pairs.is_empty() {
        return writeln!(out, "{BOLD}identical{BOLD:#}  {}", drv(a));
    }
    writeln!(out, "{BOLD}different{BOLD:#}  {OF_A}a{OF_A:#} {}", drv(a))?;
    writeln!(out, "           {OF_B}b{OF_B:#} {}", drv(b))?;
    for (index, pair) in differences.sources(graph).into_iter().enumerate() {
        source(out, index + 1, differences, graph, pair)?;
    }
    let passing: Vec<&str> = differences
        .pairs
        .iter()
        .filter(|pair| pair.changes.is_empty())
        .map(|pair| graph.nodes()[pair.a].name())
        .collect();
    if !passing.is_empty() {
        let more = passing.len().saturating_sub(NAMES);
        let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
        let shown = passing[..passing.len().min(NAMES)].join(", ");
        let passes = if passing.len() == 1 { "passes" } else { "pass" };
        let all = count(passing.len() as u64, "derivation", "derivations");
        writeln!(out, "\n{all} only {passes} it on: {DIM}{shown}{rest}{DIM:#}")?;
    }
    Ok(())
}

fn source(
    out: &mut dyn Write,
    number: usize,
    differences: &Differences,
    graph: &Graph,
    pair: &DrvPair,
) -> io::Result<()> {
    let (a, b) = (&graph.nodes()[pair.a], &graph.nodes()[pair.b]);
    let name = if a.name() == b.name() {
        a.name().to_owned()
    } else {
        format!("{OF_A}{}{OF_A:#} and {OF_B}{}{OF_B:#}", a.name(), b.name())
    };
    writeln!(out, "\n{number}. {BOLD}{name}{BOLD:#}")?;
    let way = differences.way(pair);
    if way.len() > 1 {
        let name = |pair: &DrvPair| graph.nodes()[pair.a].name().to_owned();
        let above = way.windows(2).map(|two| name_by(&name(two[1]), &named_by(graph, two[1].a, two[0].a)));
        let names: Vec<String> = way.first().map(|first| name(first)).into_iter().chain(above).collect();
        writeln!(out, "   {DIM}{}{DIM:#}", names.join(" → "))?;
    }
    pair.changes.iter().try_for_each(|change| write_change(out, change))
}

/// Writes one change, what it is about first.
pub fn write_change(out: &mut dyn Write, change: &Change) -> io::Result<()> {
    let what = match &change.what {
        What::System => "system".to_owned(),
        What::Builder => "builder".to_owned(),
        What::Argument(number) => format!("argument {number}"),
        What::Variable(name) => escape_bytes(name),
        What::Output(name) => format!("output {name}"),
        What::Input(name) => format!("input {name}"),
        What::Source(name) => format!("source {name}"),
    };
    let what = name_by(&what, &change.by);
    match (&change.a, &change.b) {
        (Some(a), Some(b)) if a.contains(&b'\n') || b.contains(&b'\n') => {
            writeln!(out, "   {what}:")?;
            lines(out, a, b)
        }
        (Some(a), Some(b)) => {
            writeln!(out, "   {what}:")?;
            writeln!(out, "     {OF_A}a{OF_A:#} {}", value(a))?;
            writeln!(out, "     {OF_B}b{OF_B:#} {}", value(b))
        }
        (Some(a), None) => writeln!(out, "   {what}: {OF_A}only in a{OF_A:#}  {}", value(a)),
        (None, Some(b)) => writeln!(out, "   {what}: {OF_B}only in b{OF_B:#}  {}", value(b)),
        (None, None) => Ok(()),
    }
}

/// Text of several lines: those that differ.
fn lines(out: &mut dyn Write, a: &[u8], b: &[u8]) -> io::Result<()> {
    let found = compare_files(&a, &b, &Limits::default()).ok();
    let places = found.as_ref().map(|comparison| comparison.places()).unwrap_or_default();
    let findings = places.iter().flat_map(|place| &place.difference.found);
    for finding in findings.filter(|finding| !matches!(finding, Finding::Strings(_))) {
        for line in finding_for_terminal(finding).lines() {
            writeln!(out, "     {line}")?;
        }
    }
    Ok(())
}

/// A value on one line, cut where it is long.
pub fn value(bytes: &[u8]) -> String {
    let shown = escape_bytes(&bytes[..bytes.len().min(LONGEST)]);
    if bytes.is_empty() {
        "(empty)".to_owned()
    } else if bytes.len() > LONGEST {
        format!("{shown}…")
    } else {
        shown
    }
}
