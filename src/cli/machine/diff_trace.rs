//! `reprove machine diff-trace`: where two runs part.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use clap::Args;

use super::symbols::Symbols;
use crate::cli::{Exit, Failure};
use crate::report::escape::escape;

/// Lines shown around the first difference.
const AROUND: usize = 5;

/// Longest line that is read; a line of a trace has some hundred bytes.
const LINE: u64 = 64 << 10;

/// Find the first step in which two traces differ.
///
/// The exit code is 0 when they are the same, 104 when they differ.
#[derive(Debug, Args)]
pub struct DiffTrace {
    /// A trace that `machine run --trace` wrote
    a: PathBuf,
    /// Another
    b: PathBuf,
    /// Name addresses by the symbols of this vmlinux, ELF file or System.map
    #[arg(long, value_name = "FILE")]
    symbols: Option<PathBuf>,
}

impl DiffTrace {
    /// Compares.
    pub fn run(&self) -> Result<Exit, Failure> {
        let symbols = self.symbols.as_deref().map(symbols).transpose()?;
        let mut a = Lines::open(&self.a)?;
        let mut b = Lines::open(&self.b)?;
        let mut before: VecDeque<String> = VecDeque::new();
        // The last change of page tables both had.
        let mut satp: Option<(String, String)> = None;
        let mut same = 0u64;
        let out = &mut anstream::stdout();
        let stdout = |error: io::Error| Failure::io("standard output", &error);
        loop {
            let (left, right) = (a.next()?, b.next()?);
            if left != right {
                let (left, right) = (left.as_deref(), right.as_deref());
                let name = |line: &str| symbols.as_ref().and_then(|symbols| symbols.name(pc(line)?));
                let mut text = format!("{same} steps are the same\n");
                for line in &before {
                    text += &show("  ", line, name(line));
                }
                for (sign, first, rest) in [("- ", left, &mut a), ("+ ", right, &mut b)] {
                    match first {
                        Some(line) => text += &show(sign, line, name(line)),
                        None => text += &format!("{sign}(the trace ends)\n"),
                    }
                    for _ in 0..AROUND {
                        let Some(line) = first.and(rest.next()?) else { break };
                        text += &show(sign, &line, name(&line));
                    }
                }
                text += &process(satp.as_ref(), left.or(right));
                out.write_all(text.as_bytes()).map_err(stdout)?;
                return Ok(Exit::DIVERGED);
            }
            let Some(line) = left else { break };
            if let Some(value) = line.split_ascii_whitespace().find_map(|word| word.strip_prefix("satp=")) {
                let step = line.split(' ').next().unwrap_or_default();
                satp = Some((value.to_owned(), step.to_owned()));
            }
            same += 1;
            if before.len() == AROUND {
                before.pop_front();
            }
            before.push_back(line);
        }
        writeln!(out, "the traces are the same: {same} steps").map_err(stdout)?;
        Ok(Exit::Success)
    }
}

fn symbols(path: &Path) -> Result<Symbols, Failure> {
    let about = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|error| Failure::io(&about, &error))?;
    Symbols::parse(&bytes).ok_or_else(|| {
        Failure::usage(format!("{about} has no symbols"))
            .hint("an ELF file that is not stripped has, and the kernel's System.map")
    })
}

fn show(sign: &str, line: &str, name: Option<String>) -> String {
    let name = name.map_or(String::new(), |name| format!("  <{}>", escape(&name)));
    format!("{sign}{}{name}\n", escape(line))
}

/// The address in a line.
fn pc(line: &str) -> Option<u64> {
    u64::from_str_radix(line.split(' ').nth(2)?, 16).ok()
}

/// What can be said about the process that ran.
fn process(satp: Option<&(String, String)>, line: Option<&str>) -> String {
    let mode = line.and_then(|line| line.split(' ').nth(1)).unwrap_or_default();
    let place = match mode {
        "U" => "a program",
        "S" => "the kernel",
        "M" => "machine mode",
        _ => "no mode that is known",
    };
    match satp {
        Some((satp, step)) => {
            format!(
                "in {place}; a trace does not name processes: the page tables are those of satp {satp}, set in step {step}\n"
            )
        }
        None => format!(
            "in {place}; which process cannot be told: the page tables did not change since the traces begin\n"
        ),
    }
}

/// The lines of a file, one at a time.
struct Lines {
    file: BufReader<File>,
    about: String,
}

impl Lines {
    fn open(path: &Path) -> Result<Lines, Failure> {
        let about = path.display().to_string();
        let file = File::open(path).map_err(|error| Failure::io(&about, &error))?;
        Ok(Lines { file: BufReader::with_capacity(1 << 20, file), about })
    }

    fn next(&mut self) -> Result<Option<String>, Failure> {
        let mut line = Vec::new();
        let n = (&mut self.file).take(LINE).read_until(b'\n', &mut line);
        let n = n.map_err(|error| Failure::io(&self.about, &error))?;
        if n as u64 == LINE {
            return Err(Failure::usage(format!("{} is no trace: it has a line without end", self.about)));
        }
        Ok((n > 0).then(|| String::from_utf8_lossy(&line).trim_end().to_owned()))
    }
}
