//! A verification for a person: one verdict per output, how much it shows, and what stands behind it.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use crate::{
    diff::Pair,
    graph::Brought,
    machine::{Contract, Settings},
    report::{
        accepted, brought,
        count::quantity,
        diff::{self, Detail},
        escape::escape,
    },
    schedule::RealiseError,
    store::Origin,
    verify::{
        Input, Note, OutputResult, Reference, UnknownInput, Verdict,
        conclusion::Comparison,
        derivation::Round,
        divergence::Divergence,
        session::{TargetResult, Verification},
    },
};

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const UNSURE: Style = AnsiColor::Yellow.on_default().bold();
const WARN: Style = AnsiColor::Yellow.on_default();

/// Writes the result of a verification, its differences in as much detail as is asked for.
pub fn write(out: &mut dyn Write, verification: &Verification, detail: Detail) -> io::Result<()> {
    for target in &verification.targets {
        for result in &target.outputs {
            write_output(out, target, result, detail)?;
        }
    }
    write_inputs(out, &verification.inputs, &verification.unknown_inputs)
}

fn write_output(
    out: &mut dyn Write,
    target: &TargetResult,
    result: &OutputResult,
    detail: Detail,
) -> io::Result<()> {
    let verdict = result.conclusion.verdict;
    let (style, mark) = match verdict {
        Verdict::Reproduced => (GOOD, "✔"),
        Verdict::Equivalent => (GOOD, "≈"),
        Verdict::Diverged => (BAD, "✘"),
        Verdict::NotBuilt | Verdict::NotChecked => (UNSURE, "⚠"),
    };
    let name = escape(&target.target.name(&result.output));
    write!(out, "{style}{mark} {verdict}{style:#}  {BOLD}{name}{BOLD:#}")?;
    match verdict {
        Verdict::Reproduced => writeln!(out, "  {}", result.conclusion.level)?,
        Verdict::Diverged if result.outside_contract() => {
            writeln!(out, "  {WARN}outside of Nix's contract{WARN:#}")?;
        }
        _ => writeln!(out)?,
    }
    if let Some(path) = &result.path {
        writeln!(out, "  {DIM}{path}{DIM:#}")?;
    }
    if let Some(hash) = result.finding.nar_hash {
        writeln!(out, "  {DIM}{hash}{DIM:#}")?;
    }
    if let Some(reason) = &result.conclusion.reason {
        for line in reason.lines() {
            writeln!(out, "  {}", escape(line))?;
        }
    }
    if let Some(rounds) = &target.rounds {
        for round in rounds.rounds.iter().chain(&rounds.probes) {
            write_round(out, round, result)?;
        }
    }
    for compared in &result.compared {
        let (style, word) = match &compared.comparison {
            Comparison::Equal { .. } => (GOOD, "equal"),
            Comparison::Different => (BAD, "different"),
            Comparison::Unlike { .. } => (UNSURE, "another run"),
            Comparison::Missing { .. } => (UNSURE, "not compared"),
        };
        let why = match (&compared.comparison, &compared.reference) {
            (Comparison::Missing { why } | Comparison::Unlike { why }, _) => {
                format!("  {DIM}{}{DIM:#}", escape(why))
            }
            (Comparison::Equal { .. }, Reference::Replay) => {
                format!("  {DIM}the same run: instructions, console, roots of the whole state{DIM:#}")
            }
            (Comparison::Equal { .. }, _) if !compared.signed_by.is_empty() => {
                format!("  {DIM}signed by {}{DIM:#}", escape(&compared.signed_by.join(", ")))
            }
            _ => String::new(),
        };
        writeln!(out, "  {style}{word:>12}{style:#}  {}{why}", escape(&compared.reference.to_string()))?;
    }
    write_flipped(out, target, result)?;
    write_differences(out, &result.notes, &result.brought, &result.divergences, detail)?;
    if let Some(judgement) = &result.judgement {
        accepted::write(out, judgement)?;
    }
    writeln!(out)
}

/// What is known of bits that differ, and what is not: notes, how store paths came there, where and why.
pub(in crate::report) fn write_differences(
    out: &mut dyn Write,
    notes: &[Note],
    brought: &[Brought],
    divergences: &[Divergence],
    detail: Detail,
) -> io::Result<()> {
    for note in notes {
        writeln!(out, "  {WARN}note[{}]{WARN:#} {}", note.code, escape(&note.text))?;
    }
    for brought in brought {
        writeln!(out, "  {}", brought::sentence(brought))?;
    }
    for divergence in divergences {
        writeln!(out)?;
        let names = Pair::new("round 1", divergence.against.as_str());
        diff::write(out, names, &divergence.comparison, &divergence.causes, detail)?;
    }
    Ok(())
}

fn write_round(out: &mut dyn Write, round: &Round<RealiseError>, result: &OutputResult) -> io::Result<()> {
    let first = result.finding.nar_hash;
    let (style, word, tail) = match &round.result {
        None => (UNSURE, "not run", String::new()),
        Some(Err(_)) => (UNSURE, "not built", String::new()),
        Some(Ok(built)) => {
            let (style, word) = match (built.outputs.get(&result.output).copied(), first) {
                (Some(hash), Some(first)) if hash == first => (GOOD, "equal"),
                (Some(_), _) => (BAD, "different"),
                (None, _) => (UNSURE, "no output"),
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
    let (style, word) =
        if round.label == "round 1" && word == "equal" { (GOOD, "built") } else { (style, word) };
    let varied = varied(&round.settings, round);
    writeln!(out, "  {style}{word:>12}{style:#}  {}  {DIM}{tail}{varied}{DIM:#}", round.label)
}

/// What a round has at another value, in brackets; nothing when it has nothing.
pub(in crate::report) fn varied(settings: &Settings, round: &Round<RealiseError>) -> String {
    let each: Vec<String> =
        round.varied.iter().map(|which| format!("{} {}", which.name(), settings.value(*which))).collect();
    if each.is_empty() { String::new() } else { format!("  ({})", each.join(", ")) }
}

fn write_flipped(out: &mut dyn Write, target: &TargetResult, result: &OutputResult) -> io::Result<()> {
    let (Some((round, _)), Some(rounds)) = (result.finding.other, &target.rounds) else { return Ok(()) };
    let other = rounds.plan.settings(round);
    if result.finding.unsteady {
        return writeln!(out, "  {WARN}the same settings gave other bits{WARN:#}: no setting is the cause");
    }
    if result.finding.flipped.is_empty() {
        return match rounds.probes_complete() {
            true => writeln!(out, "  no single setting flips the bits; several at once do"),
            false => {
                writeln!(out, "  not every probe could be built: which setting flips the bits is not known")
            }
        };
    }
    for setting in &result.finding.flipped {
        let (a, b) = (rounds.plan.base.value(*setting), other.value(*setting));
        let contract = match setting.contract() {
            Contract::Open => "Nix leaves it open: two honest hosts may differ in it",
            Contract::Fixed => "Nix gives every builder the same: outside of its contract",
        };
        writeln!(
            out,
            "  flipped by {WARN}{}{WARN:#} alone: {a} → {b}  {DIM}({contract}){DIM:#}",
            setting.name()
        )?;
    }
    Ok(())
}

/// What our store cannot say the origin of.
pub(in crate::report) fn write_unknown<'a>(
    out: &mut dyn Write,
    unknown: impl IntoIterator<Item = &'a UnknownInput>,
) -> io::Result<()> {
    for unknown in unknown {
        let why = escape(&unknown.error.to_string());
        writeln!(out, "{WARN}unknown input{WARN:#} {}: {why}", unknown.path)?;
    }
    Ok(())
}

/// What outputs were built from, counted: the frontier of what a verification of them says.
pub fn write_inputs(out: &mut dyn Write, known: &[Input], unknown: &[UnknownInput]) -> io::Result<()> {
    let (mut built, mut sources, mut taken) = (0, 0, Vec::new());
    for input in known {
        match &input.origin {
            Origin::Built { .. } => built += 1,
            Origin::Source { .. } => sources += 1,
            Origin::HostStore | Origin::Substituted { .. } => taken.push(&input.path),
        }
    }
    let of = |n: u32, one: &str| format!("{n} {one}{}", if n == 1 { "" } else { "s" });
    let (sources, built) = (of(sources, "source"), of(built, "output"));
    write_unknown(out, unknown)?;
    write!(out, "{DIM}inputs: {sources} by hash, {built} built in a machine{DIM:#}")?;
    if taken.is_empty() {
        return writeln!(out);
    }
    writeln!(out, ", {WARN}{} taken on trust{WARN:#}", taken.len())?;
    for path in taken {
        writeln!(out, "  {DIM}{path}{DIM:#}")?;
    }
    Ok(())
}
