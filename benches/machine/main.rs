//! How fast the embedded machine is: the same workloads in it, in QEMU with a clock that counts instructions, and on the
//! host itself. `docs/machine.md` says how to run it and what it measured.
//!
//! CPU seconds of the engine (user and system) are counted, not wall-clock time, so that another load on the host does
//! little harm. What a workload prints must be the same everywhere, or there is nothing to compare.

#![allow(clippy::unwrap_used, clippy::panic)] // what is not as expected ends the bench

mod course;
mod embedded;
mod native;
mod parts;
mod qemu;
mod table;

use std::collections::BTreeMap;

use course::Measured;

/// What is measured of one engine, by workload.
type Results = BTreeMap<String, Measured>;

/// The workloads, in the order in which they run.
const WORKLOADS: [&str; 7] = ["boot", "xorshift", "sha256", "sha256sum", "gzip", "spawn", "cc1"];

/// The engines, in the order of the columns.
const ENGINES: [&str; 3] = ["embedded", "qemu", "native"];

const USAGE: &str = "usage: cargo bench --bench machine -- [WORKLOAD]... [--on ENGINE[,ENGINE]...]
workloads: boot xorshift sha256 sha256sum gzip spawn cc1
engines: embedded qemu native";

fn main() {
    let (workloads, engines) = arguments();
    let parts = parts::Parts::gather(&workloads);
    let mut all: Vec<(&str, Results)> = Vec::new();
    for engine in ENGINES.into_iter().filter(|engine| engines.contains(engine)) {
        eprintln!("{engine} ...");
        let results = match engine {
            "embedded" => embedded::run(&parts),
            "qemu" => qemu::run(&parts),
            _ => native::run(&parts),
        };
        all.push((engine, results));
    }
    print!("{}", table::table(&workloads, &all));
    table::check(&workloads, &all);
}

/// What to run, and where.
fn arguments() -> (Vec<&'static str>, Vec<&'static str>) {
    let (mut workloads, mut engines) = (Vec::new(), ENGINES.to_vec());
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    while let Some(argument) = arguments.next() {
        if argument == "--on" {
            let wanted = arguments.next().unwrap_or_default();
            engines = wanted.split(',').map(|name| known(&ENGINES, name)).collect();
        } else {
            workloads.push(known(&WORKLOADS, &argument));
        }
    }
    if workloads.is_empty() {
        workloads = WORKLOADS.to_vec();
    }
    (workloads, engines)
}

fn known(names: &[&'static str], name: &str) -> &'static str {
    names.iter().find(|known| **known == name).copied().unwrap_or_else(|| {
        eprintln!("{name:?} is neither a workload nor an engine\n{USAGE}");
        std::process::exit(1)
    })
}
