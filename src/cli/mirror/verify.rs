//! `reprove mirror verify`: everything that a stranger can check of a mirror.

use std::{io::Write as _, num::NonZeroUsize, thread};

use clap::Args;
use indicatif::HumanBytes;
use serde::Serialize;

use crate::{
    cli::{Context, Exit, Failure, document::JsonTo},
    mirror::{
        check::{self, Kind, Report, Request},
        location::Location,
    },
    nix::{signature::PublicKey, store_path::StorePath},
    report::escape::escape,
};

/// Check a mirror: signatures and quorum, every NAR and every file by its hash, listings, references, statements, seeds,
/// sources and conflicts. No network is needed for a mirror that was copied.
///
/// Without --trusted-public-keys the mirror is held against the keys that it names itself: that finds damage and mistakes, and
/// nobody who made a mirror of their own.
///
/// Exit codes: 0 all is well, 102 something is damaged, 104 other bits are on record for an admitted path, 120 something is below
/// the mirror's own policy, 121 too few of those who have to have signed, 122 something is missing or could not be read.
#[derive(Debug, Args)]
pub struct Verify {
    /// The mirror
    #[arg(value_name = "LOCATION")]
    location: String,
    /// Check these store paths and what they refer to and were made from [default: everything]
    #[arg(value_name = "PATH")]
    paths: Vec<StorePath>,
    /// The keys to believe, as nix.conf spells them: NAME:BASE64
    #[arg(long, value_name = "KEY", value_delimiter = ',')]
    trusted_public_keys: Vec<PublicKey>,
    /// How many threads [default: the cores of this host]
    #[arg(long, short, value_name = "N")]
    jobs: Option<NonZeroUsize>,
    #[command(flatten)]
    json: JsonTo,
}

/// The version of the document.
const SCHEMA: &str = "reprove.mirror-verify/1";

#[derive(Serialize, schemars::JsonSchema)]
struct Document {
    #[schemars(extend("const" = SCHEMA))]
    schema: &'static str,
    /// Paths that were looked at, and of them those that were taken as they are.
    paths: u64,
    seeds: u64,
    nar_bytes: u64,
    file_bytes: u64,
    sources: u64,
    /// Derivations that paths were built by, and what those need.
    derivations: u64,
    refused: u64,
    claims: u64,
    /// Paths by the signers whose good signature they have.
    signed: std::collections::BTreeMap<String, u64>,
    /// Whether the mirror was held against its own keys only.
    by_own_keys: bool,
    /// Objects that no path refers to.
    left: Vec<String>,
    findings: Vec<Finding>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct Finding {
    /// `damaged`, `unsigned`, `not-closed`, `below-policy`, `conflict` or `unread`.
    kind: String,
    object: String,
    why: String,
}

impl Verify {
    /// Checks and prints.
    pub fn run(&self, _context: &Context) -> Result<Exit, Failure> {
        let json = self.json.open()?;
        let location = Location::parse(&self.location)?;
        let cores = || thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let request = Request {
            paths: &self.paths,
            believed: &self.trusted_public_keys,
            jobs: self.jobs.unwrap_or_else(cores).get(),
        };
        let report = check::check(&location, &request)?;
        if !json.is_stdout() {
            print(&report).map_err(|error| Failure::io("standard output", &error))?;
        }
        let exit = exit(&report);
        json.write(&document(report))?;
        Ok(exit)
    }
}

fn print(report: &Report) -> std::io::Result<()> {
    let mut out = anstream::stdout().lock();
    for finding in &report.findings {
        writeln!(out, "{:<12}  {}: {}", finding.kind, escape(&finding.object), escape(&finding.why))?;
    }
    for name in &report.left {
        writeln!(out, "{:<12}  {}: nothing refers to it", "left", escape(name))?;
    }
    let signed = report.signed.iter().map(|(name, paths)| format!("{paths} by {}", escape(name)));
    let signed: Vec<String> = signed.collect();
    writeln!(
        out,
        "{} paths ({} of them seeds), {} of NARs in {} of files, {} sources, {} derivations, {} refused; signed: {}",
        report.paths,
        report.seeds,
        HumanBytes(report.nar_bytes),
        HumanBytes(report.file_bytes),
        report.sources,
        report.derivations,
        report.refused,
        if signed.is_empty() { "none".to_owned() } else { signed.join(", ") }
    )?;
    if report.by_own_keys {
        writeln!(
            out,
            "held against the keys that the mirror names itself; --trusted-public-keys names yours"
        )?;
    }
    let faults = report.findings.len();
    writeln!(out, "{}", if faults == 0 { "nothing is wrong".to_owned() } else { format!("{faults} faults") })
}

fn exit(report: &Report) -> Exit {
    report.findings.iter().fold(Exit::Success, |exit, finding| {
        exit.and(match finding.kind {
            Kind::Damaged => Exit::HASH_MISMATCH,
            Kind::Conflict => Exit::DIVERGED,
            Kind::Unsigned => Exit::Unsigned,
            Kind::BelowPolicy => Exit::Policy,
            _ => Exit::NotChecked,
        })
    })
}

fn document(report: Report) -> Document {
    let finding =
        |one: check::Finding| Finding { kind: one.kind.to_string(), object: one.object, why: one.why };
    Document {
        schema: SCHEMA,
        paths: report.paths,
        seeds: report.seeds,
        nar_bytes: report.nar_bytes,
        file_bytes: report.file_bytes,
        sources: report.sources,
        derivations: report.derivations,
        refused: report.refused,
        claims: report.claims,
        signed: report.signed,
        by_own_keys: report.by_own_keys,
        left: report.left,
        findings: report.findings.into_iter().map(finding).collect(),
    }
}

/// The JSON Schema of what `--json` writes.
pub fn schema() -> schemars::Schema {
    crate::report::schema::of::<Document>()
}
