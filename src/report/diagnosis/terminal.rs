//! A diagnosis for a person: what each output depends on, where it shows, and what stands behind that.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::{closure, headline, origins, places};
use crate::{
    machine::Contract,
    report::{
        accepted,
        count::quantity,
        diff::Detail,
        escape::escape,
        verify::{varied, write_differences, write_unknown},
    },
    schedule::RealiseError,
    verify::{
        Verdict,
        derivation::Round,
        diagnosis::{Diagnosis, OutputDiagnosis, TargetDiagnosis},
        isolate::{Dependence, Isolation},
    },
};

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const UNSURE: Style = AnsiColor::Yellow.on_default().bold();
const WARN: Style = AnsiColor::Yellow.on_default();
/// Files named one by one.
const FILES: usize = 12;

/// Writes the result of a diagnosis, its differences in as much detail as is asked for.
pub fn write(out: &mut dyn Write, diagnosis: &Diagnosis, detail: Detail) -> io::Result<()> {
    if let Some(walk) = &diagnosis.walk {
        closure::write(out, walk)?;
    }
    for target in &diagnosis.targets {
        target.outputs.iter().try_for_each(|output| write_output(out, target, output, detail))?;
    }
    write_unknown(out, diagnosis.unknown_inputs())
}

fn write_output(
    out: &mut dyn Write,
    target: &TargetDiagnosis,
    output: &OutputDiagnosis,
    detail: Detail,
) -> io::Result<()> {
    let (style, mark) = match output.conclusion.verdict {
        Verdict::Reproduced => (GOOD, "✔"),
        Verdict::Equivalent => (GOOD, "≈"),
        Verdict::Diverged => (BAD, "✘"),
        Verdict::NotBuilt | Verdict::NotChecked => (UNSURE, "⚠"),
    };
    let name = escape(&target.target.name(&output.output));
    writeln!(out, "{style}{mark} {}{style:#}  {BOLD}{name}{BOLD:#}", headline(output))?;
    if let Some(path) = &output.path {
        writeln!(out, "  {DIM}{path}{DIM:#}")?;
    }
    if let Some(why) = &output.conclusion.reason {
        why.lines().try_for_each(|line| writeln!(out, "  {}", escape(line)))?;
    }
    if let Some(isolation) = &target.isolation {
        for (n, round) in isolation.rounds.iter().enumerate() {
            write_round(out, isolation, n, round, output)?;
        }
        write_dependence(out, isolation, output)?;
    }
    write_differences(out, &output.notes, &output.brought, &output.divergences, detail)?;
    if let Some(judgement) = &output.judgement {
        accepted::write(out, judgement)?;
    }
    writeln!(out)
}

fn write_round(
    out: &mut dyn Write,
    isolation: &Isolation<RealiseError>,
    n: usize,
    round: &Round<RealiseError>,
    output: &OutputDiagnosis,
) -> io::Result<()> {
    let (style, word, tail) = match &round.result {
        None => (UNSURE, "not run", String::new()),
        Some(Err(_)) => (UNSURE, "not built", String::new()),
        Some(Ok(built)) => {
            let (style, word) = match built.outputs.get(&output.output) {
                Some(_) if n == 0 => (GOOD, "built"),
                Some(_) if isolation.differs(round, &output.output) => (BAD, "different"),
                Some(_) if output.nar_hash.is_some() => (GOOD, "equal"),
                _ => (UNSURE, "no output"),
            };
            let count =
                built.instructions.map_or(String::new(), |n| format!(", {} instructions", quantity(n)));
            let wall = match built.wall {
                Some(wall) => format!("{:.1} s", wall.as_secs_f64()),
                None => "kept from an earlier run".to_owned(),
            };
            (style, word, format!("{wall}{count}"))
        }
    };
    let varied = varied(&round.settings, round);
    writeln!(out, "  {style}{word:>12}{style:#}  {}  {DIM}{tail}{varied}{DIM:#}", round.label)
}

/// What was proven: the settings with both values, and the files that show it.
fn write_dependence(
    out: &mut dyn Write,
    isolation: &Isolation<RealiseError>,
    output: &OutputDiagnosis,
) -> io::Result<()> {
    match &output.dependence {
        Dependence::Nothing | Dependence::Unknown(_) => return Ok(()),
        Dependence::Unsteady => {
            writeln!(out, "  {WARN}the same settings gave other bits{WARN:#}: no setting is the cause")?;
        }
        Dependence::Settings { .. } => {}
    }
    for round in isolation.witnesses(&output.output) {
        for setting in &round.varied {
            let (a, b) = (isolation.base.value(*setting), round.settings.value(*setting));
            let how = if round.varied.len() == 1 { "alone" } else { "with the others of its set" };
            let contract = match setting.contract() {
                Contract::Open => "Nix leaves it open: two honest hosts may differ in it",
                Contract::Fixed => "Nix gives every builder the same: outside of its contract",
            };
            let name = setting.name();
            writeln!(out, "  flipped by {WARN}{name}{WARN:#} {how}: {a} → {b}  {DIM}({contract}){DIM:#}")?;
        }
        let divergence = output.divergences.iter().find(|divergence| divergence.against == round.label);
        let Some(divergence) = divergence else { continue };
        let files = places::of(&divergence.comparison);
        for file in files.iter().take(FILES) {
            writeln!(out, "    {BOLD}{}{BOLD:#}: {}", file.name(), file.parts.join(", "))?;
        }
        if let Some(more) = files.len().checked_sub(FILES).filter(|more| *more > 0) {
            writeln!(out, "    {DIM}and {more} more{DIM:#}")?;
        }
        for (_, origin) in output.origins.iter().filter(|(against, _)| *against == round.label) {
            origins::write(out, origin)?;
        }
    }
    Ok(())
}
