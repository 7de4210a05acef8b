//! What was said of accepted differences, for a person and as a document.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use super::{
    count::count,
    escape::{escape, escape_bytes},
};
use crate::diagnose::{
    Judgement,
    accepted::{Met, Open},
};

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default();
const WARN: Style = AnsiColor::Yellow.on_default();
/// Differences that are not accepted, shown to a person; all are counted.
const SHOWN: usize = 16;

/// Writes which accepted differences were met, and what is none.
pub fn write(out: &mut dyn Write, judgement: &Judgement) -> io::Result<()> {
    writeln!(out, "\n{BOLD}accepted{BOLD:#}")?;
    for met in &judgement.met {
        let covers = covers(met);
        let [path, reason, owner] = [&met.path, &met.reason, &met.owner].map(|text| escape(text));
        writeln!(
            out,
            "  {GOOD}entry {}{GOOD:#}  {} in {path}  {DIM}{covers}{DIM:#}",
            met.number, met.cause.id
        )?;
        writeln!(out, "     {reason}  {DIM}({owner}, until {}){DIM:#}", met.expires)?;
    }
    if judgement.all_accepted() {
        return writeln!(out, "  {GOOD}equivalent{GOOD:#}: nothing else differs");
    }
    let of = count(judgement.open.len() as u64, "part", "parts");
    writeln!(out, "  {WARN}not accepted{WARN:#}: {of} of files")?;
    for open in judgement.open.iter().take(SHOWN) {
        writeln!(out, "     {}  {}", cause(open), place(open))?;
    }
    match judgement.open.len().saturating_sub(SHOWN) {
        0 => Ok(()),
        more => writeln!(out, "     and {more} more; --json lists all"),
    }
}

fn covers(met: &Met) -> String {
    let (places, bytes) = (count(met.places, "place", "places"), count(met.bytes, "byte", "bytes"));
    if met.bytes > 0 { format!("{places}, {bytes}") } else { places }
}

fn cause(open: &Open) -> &'static str {
    open.cause.unwrap_or("only what follows from others")
}

fn place(open: &Open) -> String {
    let path = if open.path.is_empty() { ".".to_owned() } else { escape_bytes(&open.path) };
    let inside = open.inside.iter().map(|name| escape_bytes(name));
    let steps = std::iter::once(path).chain(inside).chain(open.part.as_deref().map(escape));
    steps.collect::<Vec<_>>().join(" » ")
}

/// The document, part of those of `diff` and `verify`.
#[derive(Serialize, schemars::JsonSchema)]
pub struct Document<'a> {
    /// Whether nothing else differs.
    all: bool,
    entries: Vec<Entry<'a>>,
    open: Vec<OpenOf>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct Entry<'a> {
    number: usize,
    cause: &'static str,
    path: &'a str,
    reason: &'a str,
    owner: &'a str,
    expires: String,
    places: u64,
    bytes: u64,
}

#[derive(Serialize, schemars::JsonSchema)]
struct OpenOf {
    cause: Option<&'static str>,
    path: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    inside: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<String>,
}

impl<'a> Document<'a> {
    /// Of a judgement.
    pub fn of(judgement: &'a Judgement) -> Document<'a> {
        let entry = |met: &'a Met| Entry {
            number: met.number,
            cause: met.cause.id,
            path: &met.path,
            reason: &met.reason,
            owner: &met.owner,
            expires: met.expires.to_string(),
            places: met.places,
            bytes: met.bytes,
        };
        let open = |open: &Open| OpenOf {
            cause: open.cause,
            path: escape_bytes(&open.path),
            inside: open.inside.iter().map(|name| escape_bytes(name)).collect(),
            part: open.part.as_deref().map(escape),
        };
        Document {
            all: judgement.all_accepted(),
            entries: judgement.met.iter().map(entry).collect(),
            open: judgement.open.iter().map(open).collect(),
        }
    }
}
