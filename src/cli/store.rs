//! `reprove store`: what we hold.

use std::{io::Write as _, path::PathBuf};

use clap::{Args, Subcommand};
use indicatif::HumanBytes;

use super::{Context, Exit, Failure};
use crate::{
    nix::store_path::StorePath,
    report::escape::escape,
    store::{self, Keep, Origin, Report},
};

/// Look at, check, export and clean our store.
#[derive(Debug, Args)]
pub struct Store {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the paths it holds, with size, hash and origin
    Ls,
    /// Re-hash everything and follow every reference
    Verify {
        /// Remove what is damaged, and forget paths that refer to what is not here
        #[arg(long)]
        repair: bool,
    },
    /// Write a path's tree to a new file or folder
    Export {
        /// The store path
        path: String,
        /// What to make; must not exist yet
        to: PathBuf,
    },
    /// Remove what nothing needs any more
    Gc {
        /// Keep this path and what it refers to; without any, every path is kept
        #[arg(long = "root", value_name = "PATH")]
        roots: Vec<String>,
        /// How many runs to keep of each derivation
        #[arg(long, default_value_t = 5, value_name = "N")]
        runs: usize,
        /// Only say what would be removed
        #[arg(long, short = 'n')]
        dry_run: bool,
    },
    /// Forget a path; its bits go with the next `gc`
    Forget {
        /// The store path
        path: String,
    },
}

impl Store {
    /// Runs the verb.
    pub fn run(&self, context: &Context) -> Result<Exit, Failure> {
        let mut store = context.store()?;
        match &self.verb {
            Verb::Ls => list(&store),
            Verb::Verify { repair } => verify(&mut store, *repair, context),
            Verb::Export { path, to } => {
                let path = parse(path)?;
                let info = store.path(&path)?.ok_or_else(|| absent(&path))?;
                let nar = store.nar(&info.nar_hash)?.ok_or_else(|| absent(&path))?;
                store::unpack(std::io::BufReader::new(nar), to)?;
                Ok(Exit::Success)
            }
            Verb::Gc { roots, runs, dry_run } => {
                let roots = roots.iter().map(|root| parse(root)).collect::<Result<Vec<_>, _>>()?;
                let keep = Keep { roots: (!roots.is_empty()).then_some(roots), runs: *runs };
                let freed = if *dry_run { store.would_free(&keep)? } else { store.gc(&keep)? };
                print(&format!(
                    "{} {} NARs, {} paths, {} runs, {} rounds, {} checkpoints: {}",
                    if *dry_run { "would remove" } else { "removed" },
                    freed.nars,
                    freed.paths,
                    freed.runs,
                    freed.rounds,
                    freed.checkpoints,
                    HumanBytes(freed.bytes)
                ))
            }
            Verb::Forget { path } => {
                let path = parse(path)?;
                if store.forget(&path)? { Ok(Exit::Success) } else { Err(absent(&path)) }
            }
        }
    }
}

fn parse(path: &str) -> Result<StorePath, Failure> {
    StorePath::parse(path.as_bytes()).map_err(Failure::nix)
}

fn absent(path: &StorePath) -> Failure {
    Failure::usage(format!("{path} is not in our store")).hint("`reprove store ls` lists what is")
}

fn print(line: &str) -> Result<Exit, Failure> {
    writeln!(anstream::stdout(), "{line}").map_err(|error| Failure::io("standard output", &error))?;
    Ok(Exit::Success)
}

fn list(store: &store::Store) -> Result<Exit, Failure> {
    for info in store.paths()? {
        let info = info?;
        let origin = match &info.origin {
            Origin::Built { run } => format!("built, run {}", &run.to_string()[..12]),
            Origin::Source { place } => format!("source, {}", escape(place)),
            Origin::HostStore => "host store".to_owned(),
            Origin::Substituted { from, signed_by } => {
                let signed =
                    signed_by.as_ref().map_or("not signed".to_owned(), |key| format!("signed by {key}"));
                format!("substituted, {}, {}", escape(from), escape(&signed))
            }
        };
        let size = HumanBytes(info.nar_size).to_string();
        print(&format!("{}  {size:>10}  {}  {origin}", info.path, info.nar_hash))?;
    }
    Ok(Exit::Success)
}

fn verify(store: &mut store::Store, repair: bool, context: &Context) -> Result<Exit, Failure> {
    let report = store.verify(&mut |checked| context.progress.step(&checked.file.to_string_lossy()))?;
    context.progress.end_step();
    print(&format!(
        "{} NARs ({}), {} paths, {} runs, {} rounds checked",
        report.nars,
        HumanBytes(report.nar_bytes),
        report.paths,
        report.runs,
        report.rounds
    ))?;
    for finding in &report.corrupt {
        print(&format!("damaged: {}: {}", escape(&finding.file.to_string_lossy()), escape(&finding.why)))?;
    }
    for (referrer, reference) in &report.dangling {
        print(&format!("dangling: {referrer} refers to {reference}, which is not here"))?;
    }
    if report.abandoned > 0 {
        print(&format!("{} unfinished files of killed processes, harmless", report.abandoned))?;
    }
    if repair && !report.is_clean() {
        let forgotten = store.repair(&report)?;
        print(&format!("removed {} damaged entries", report.corrupt.len()))?;
        for path in forgotten {
            print(&format!("forgot {path}: what it refers to is not all here"))?;
        }
        return Ok(Exit::Success);
    }
    Ok(verdict(&report))
}

fn verdict(report: &Report) -> Exit {
    if report.is_clean() { Exit::Success } else { Exit::HASH_MISMATCH }
}
