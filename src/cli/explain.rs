//! `reprove explain`: what an error code or a cause means, and what to do.

use std::io::Write as _;

use clap::Args;

use super::{Context, Exit, Failure};
use crate::{
    code::{Code, Explanation},
    diagnose,
};

/// Wrong usage.
pub const USAGE: Code = Code(1);
/// A file or stream of the user's.
pub const INPUT_OUTPUT: Code = Code(2);

const EXPLANATIONS: &[Explanation] = &[
    Explanation {
        code: USAGE,
        title: "something on the command line cannot be meant",
        text: "The message names the argument. `reprove help VERB` lists what the verb takes.",
    },
    Explanation {
        code: INPUT_OUTPUT,
        title: "a file or stream could not be read or written",
        text: "The message names it and gives the operating system's answer.",
    },
];

/// Explain an error code or a cause.
#[derive(Debug, Args)]
pub struct Explain {
    /// An error code like RP0701, or a cause like embedded-build-time; none lists them all.
    id: Option<String>,
}

/// Every explanation of every room, by code.
fn all() -> Vec<Explanation> {
    let mut all: Vec<Explanation> = [
        EXPLANATIONS,
        crate::attest::EXPLANATIONS,
        crate::build::EXPLANATIONS,
        crate::diagnose::accepted::EXPLANATIONS,
        crate::diff::EXPLANATIONS,
        crate::flake::EXPLANATIONS,
        crate::graph::EXPLANATIONS,
        crate::guest::EXPLANATIONS,
        crate::machine::EXPLANATIONS,
        crate::mirror::EXPLANATIONS,
        crate::mirror::challenge::EXPLANATIONS,
        crate::mirror::gc::EXPLANATIONS,
        crate::mirror::location::EXPLANATIONS,
        crate::mirror::policy::EXPLANATIONS,
        crate::nix::EXPLANATIONS,
        crate::policy::EXPLANATIONS,
        crate::release::archive::EXPLANATIONS,
        crate::release::files::EXPLANATIONS,
        crate::release::manifest::EXPLANATIONS,
        crate::release::objection::EXPLANATIONS,
        crate::release::quorum::EXPLANATIONS,
        crate::release::sign::EXPLANATIONS,
        crate::release::signature::EXPLANATIONS,
        crate::release::signers::EXPLANATIONS,
        crate::schedule::EXPLANATIONS,
        crate::source::EXPLANATIONS,
        crate::source::binary_cache::EXPLANATIONS,
        crate::store::EXPLANATIONS,
        crate::verify::EXPLANATIONS,
    ]
    .concat();
    all.sort_by_key(|explanation| explanation.code);
    all
}

impl Explain {
    /// Prints the explanation, or the list.
    pub fn run(&self, _context: &Context) -> Result<Exit, Failure> {
        let mut out = anstream::stdout();
        let written = match &self.id {
            None => list(&mut out),
            Some(id) => {
                let code = all().into_iter().find(|e| e.code.to_string().eq_ignore_ascii_case(id));
                match (diagnose::find(id), code) {
                    (Some(cause), _) => explain_cause(&mut out, cause),
                    (None, Some(found)) => {
                        writeln!(out, "{}: {}\n\n{}", found.code, found.title, wrapped(found.text))
                    }
                    (None, None) => {
                        return Err(Failure::usage(format!("nothing is called `{id}`"))
                            .hint("`reprove explain` without an argument lists every code and cause"));
                    }
                }
            }
        };
        written.map_err(|error| Failure::io("standard output", &error))?;
        Ok(Exit::Success)
    }
}

fn list(out: &mut impl std::io::Write) -> std::io::Result<()> {
    for explanation in all() {
        writeln!(out, "{}  {}", explanation.code, explanation.title)?;
    }
    writeln!(out)?;
    let width = diagnose::CATALOGUE.iter().map(|cause| cause.id.len()).max().unwrap_or_default();
    for cause in diagnose::CATALOGUE {
        writeln!(out, "{:width$}  {}", cause.id, cause.title)?;
    }
    Ok(())
}

fn explain_cause(out: &mut impl std::io::Write, cause: &diagnose::Entry) -> std::io::Result<()> {
    writeln!(out, "{}: {}\n\n{}\n", cause.id, cause.title, cause.what)?;
    writeln!(out, "For example:\n  {}\n\nWhat to change:\n{}", cause.example, cause.fix)
}

/// `text` in lines a person can read, wherever they are shown.
fn wrapped(text: &str) -> String {
    const WIDTH: usize = 96;
    let mut out = String::with_capacity(text.len());
    let mut column = 0;
    for word in text.split_whitespace() {
        let width = word.chars().count();
        if column > 0 && column + 1 + width > WIDTH {
            out.push('\n');
            column = 0;
        } else if column > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += width;
    }
    out
}
