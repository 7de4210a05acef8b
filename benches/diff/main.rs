//! How fast `reprove diff` is, as a whole process: cases that are made on the spot, diffoscope beside it where it is
//! installed, ratios of one run. `docs/diff.md` has the table.
//!
//! What can be made depends on what is installed: Go, or else Rust alone; a case that cannot be made is a line that
//! says so. Nothing is fetched.

#![allow(clippy::unwrap_used, clippy::panic)] // what is not as expected ends the bench

mod cases;
mod executables;
mod measure;
mod system;
mod table;

use std::path::Path;

use cases::{Case, KINDS, Kind};
use measure::{Course, measure};
use table::{Outcome, Row};

const USAGE: &str =
    "usage: cargo bench --bench diff -- [CASE]... [--without-diffoscope] [--limit SECONDS] [--runs N]
cases: in-place one-byte moved stripped tree tar equal
--limit: diffoscope is stopped after so many seconds, and the ratio is a lower bound (600)
--runs: how often reprove runs, behind one run to warm up; the median counts (7)";

/// What was asked for on the command line.
struct Arguments {
    cases: Vec<&'static Kind>,
    diffoscope: bool,
    limit: f64,
    runs: usize,
}

fn main() {
    // Memory compared in a process of its own: what it needs is not counted as that of another.
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, command, a, b] = &arguments[..]
        && command == system::MEMCMP
    {
        let equal = system::equal_mapped(Path::new(a), Path::new(b));
        std::process::exit(if equal { 0 } else { 1 });
    }
    let arguments = parse(arguments.into_iter().skip(1).filter(|argument| argument != "--bench"));
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    println!("{}", table::HEAD);
    for kind in &arguments.cases {
        eprintln!("{}: making it ...", kind.name);
        let folder = folder.path().join(kind.name);
        std::fs::create_dir(&folder).unwrap();
        let outcome = (kind.make)(&folder).map(|case| run(kind, case, &folder, &arguments));
        println!("{}", Row { kind, outcome });
        std::fs::remove_dir_all(&folder).unwrap();
    }
    println!("\n{}", table::FOOT);
}

fn run(kind: &Kind, case: Case, folder: &Path, arguments: &Arguments) -> Outcome {
    let reprove = env!("CARGO_BIN_EXE_reprove").as_ref();
    let course = |program, verb| Course { program, verb, a: &case.a, b: &case.b, folder };
    eprintln!("{}: reprove ...", kind.name);
    let ours = measure::median(&course(reprove, "diff"), arguments.runs);
    assert_eq!(ours.code, Some(if kind.equal { 0 } else { 104 }), "{} ends otherwise", kind.name);
    let own = std::env::current_exe().unwrap();
    let memcmp = kind.equal.then(|| measure::median(&course(&own, system::MEMCMP), arguments.runs));
    // Equal files are equal for anybody: nothing is learned from how long others take.
    let theirs = if arguments.diffoscope && !kind.equal { measure::find("diffoscope") } else { None };
    let theirs = theirs.as_ref().map(|diffoscope| {
        eprintln!("{}: diffoscope ...", kind.name);
        measure(&course(diffoscope, "--text=-"), Some(arguments.limit))
    });
    Outcome { case, ours, memcmp, theirs }
}

fn parse(mut given: impl Iterator<Item = String>) -> Arguments {
    let mut arguments = Arguments { cases: Vec::new(), diffoscope: true, limit: 600.0, runs: 7 };
    while let Some(argument) = given.next() {
        match argument.as_str() {
            "--without-diffoscope" => arguments.diffoscope = false,
            "--limit" => arguments.limit = number(given.next()),
            "--runs" => arguments.runs = number::<usize>(given.next()).max(1),
            name => match KINDS.iter().find(|kind| kind.name == name) {
                Some(kind) => arguments.cases.push(kind),
                None => usage(&format!("there is no case {name:?}")),
            },
        }
    }
    if arguments.cases.is_empty() {
        arguments.cases = KINDS.iter().collect();
    }
    arguments
}

fn number<N: std::str::FromStr>(text: Option<String>) -> N {
    text.and_then(|text| text.parse().ok()).unwrap_or_else(|| usage("a number is missing"))
}

fn usage(what: &str) -> ! {
    eprintln!("{what}\n{USAGE}");
    std::process::exit(1)
}
