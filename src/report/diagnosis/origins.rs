//! Where in a build its bits begin to differ: the first process whose file differs, and who wrote the output's files.

use std::io::{self, Write};

use anstyle::Style;
use data_encoding::HEXLOWER;
use serde::Serialize;

use super::command;
use crate::{
    diagnose::trace::{First, Process, Seen},
    report::{
        count::count,
        escape::{escape, escape_bytes},
    },
    verify::origin::Origin,
};

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
/// Files of the output whose writer is named.
const WRITERS: usize = 4;

/// Writes it for a person.
pub(super) fn write(out: &mut dyn Write, origin: &Result<Origin, String>) -> io::Result<()> {
    writeln!(out, "    {}", sentence(origin))?;
    let Ok(origin) = origin else { return Ok(()) };
    if let Some(first) = &origin.first {
        let commands = first.sides.as_ref().map(|seen| seen.as_ref().and_then(|seen| seen.process.as_ref()));
        let by = |process: Option<&Process>| {
            process.map_or("a process that is not known".to_owned(), command::line)
        };
        let b = match (commands.a, commands.b) {
            (Some(a), Some(b)) => command::beside(a, b),
            (_, b) => by(b),
        };
        for (name, seen, by) in [("round 1", &first.sides.a, by(commands.a)), ("other", &first.sides.b, b)] {
            write_side(out, name, seen.as_ref(), &by)?;
        }
    }
    for writer in origin.writers.iter().take(WRITERS) {
        let name = if writer.path.is_empty() { "the output".to_owned() } else { escape_bytes(&writer.path) };
        let by = writer.process.as_ref().map_or("a process that is not known".to_owned(), command::line);
        writeln!(out, "    {BOLD}{name}{BOLD:#} was written last by {by}")?;
    }
    Ok(())
}

fn write_side(out: &mut dyn Write, name: &str, seen: Option<&Seen>, by: &str) -> io::Result<()> {
    let Some(seen) = seen else {
        return writeln!(out, "      {name:>7}  {DIM}writes no such file{DIM:#}");
    };
    writeln!(out, "      {name:>7}  {BOLD}{by}{BOLD:#}")?;
    let folder = seen.process.as_ref().and_then(|process| process.folder.as_deref());
    let folder = folder.map_or(String::new(), |folder| format!("in {}, ", escape_bytes(folder)));
    writeln!(out, "               {DIM}{folder}wrote {}{DIM:#}", file(seen))
}

/// `/build/x.o, 1 234 bytes, sha256 0123…`
fn file(seen: &Seen) -> String {
    let written = &seen.written;
    let path = written.path.as_deref().map_or("a file without a path".to_owned(), escape_bytes);
    let size = written.size.map_or(String::new(), |size| format!(", {}", count(size, "byte", "bytes")));
    let hash =
        written.sha256.map_or(String::new(), |hash| format!(", sha256 {}…", &HEXLOWER.encode(&hash)[..12]));
    format!("{path}{size}{hash}")
}

/// In one sentence, which also says what is not known.
pub(super) fn sentence(origin: &Result<Origin, String>) -> String {
    let origin = match origin {
        Err(why) => return format!("which process differs first is not known: {}", escape(why)),
        Ok(origin) => origin,
    };
    let unsure = match origin.not_compared {
        0 => String::new(),
        n => format!("; {} before it could not be compared", count(n as u64, "file", "files")),
    };
    let files = count(origin.files.a as u64, "file", "files");
    match &origin.first {
        None => format!("no file that a process closed after writing differs, of {files}{unsure}"),
        Some(First { sides, position }) => {
            let seen = sides.a.as_ref().or(sides.b.as_ref());
            let process = seen.and_then(|seen| seen.process.as_ref());
            let program = process.map_or("a process that is not known".to_owned(), command::name);
            let only = match (&sides.a, &sides.b) {
                (Some(_), None) => ", in round 1 only",
                (None, Some(_)) => ", not in round 1",
                _ => "",
            };
            format!("first process whose file differs{only}: {program}, file {position} of {files}{unsure}")
        }
    }
}

/// The part of a document that says it.
#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct OriginOf {
    #[serde(skip_serializing_if = "Option::is_none")]
    unknown: Option<String>,
    first: Option<FirstOf>,
    not_compared: usize,
    /// Files written in each build.
    files: [usize; 2],
    writers: Vec<WriterOf>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct FirstOf {
    position: usize,
    a: Option<SeenOf>,
    b: Option<SeenOf>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct SeenOf {
    process: Option<ProcessOf>,
    path: Option<String>,
    size: Option<u64>,
    sha256: Option<String>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct ProcessOf {
    command: Vec<String>,
    /// The command line is longer than what was kept of it.
    cut: bool,
    folder: Option<String>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct WriterOf {
    path: String,
    process: Option<ProcessOf>,
}

impl OriginOf {
    pub(super) fn new(origin: &Result<Origin, String>) -> OriginOf {
        let seen = |seen: &Seen| SeenOf {
            process: seen.process.as_ref().map(process),
            path: seen.written.path.as_deref().map(escape_bytes),
            size: seen.written.size,
            sha256: seen.written.sha256.map(|hash| HEXLOWER.encode(&hash)),
        };
        match origin {
            Err(why) => OriginOf {
                unknown: Some(escape(why)),
                first: None,
                not_compared: 0,
                files: [0; 2],
                writers: Vec::new(),
            },
            Ok(origin) => OriginOf {
                unknown: None,
                first: origin.first.as_ref().map(|first| FirstOf {
                    position: first.position,
                    a: first.sides.a.as_ref().map(seen),
                    b: first.sides.b.as_ref().map(seen),
                }),
                not_compared: origin.not_compared,
                files: [origin.files.a, origin.files.b],
                writers: origin
                    .writers
                    .iter()
                    .map(|writer| WriterOf {
                        path: escape_bytes(&writer.path),
                        process: writer.process.as_ref().map(process),
                    })
                    .collect(),
            },
        }
    }
}

fn process(process: &Process) -> ProcessOf {
    ProcessOf {
        command: process.command.iter().map(|word| escape_bytes(word)).collect(),
        cut: process.cut,
        folder: process.folder.as_deref().map(escape_bytes),
    }
}
