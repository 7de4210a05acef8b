//! `reprove mirror verify`: everything that a stranger can check of a mirror.

use std::{io::Write as _, path::PathBuf, time::SystemTime};

use clap::Args;
use indicatif::HumanBytes;
use serde::Serialize;

use super::{bench::Bench, page};
use crate::{
    cli::{Context, Exit, Failure, document::JsonTo, read, running::Running, signers},
    mirror::{
        Mirror,
        check::{self, Believing, Kind, Report, Request},
        location::Location,
        rebuild::{Rebuild, Rebuilt, Subject, Subjects},
        snapshot,
    },
    nix::{signature::PublicKey, store_path::StorePath},
    report::{count::count, escape::escape},
};

/// Check a mirror: signatures and quorum, every NAR and every file by its hash, listings, references, statements, seeds,
/// sources and conflicts. No network is needed for a mirror that was copied; of one that is served over HTTP paths have to be named.
///
/// Without --trusted-public-keys or --signers the mirror is held against the keys that it names itself: that finds damage and
/// mistakes, and nobody who made a mirror of their own. With keys it is still the mirror that says how many signers have to agree;
/// with --signers it is you.
///
/// Snapshots that its signers made of the mirror say until when they hold, and what has to be there: so an old copy of it, and one in
/// which something was left out, is found out; with --since even one whose server hides the snapshot as well.
///
/// With --rebuild every path that was built, or of PATH… each, is proved again: its derivation, inputs and sources come from the
/// mirror and from nowhere else, it is built as often and in the machines that the mirror's policy says, and the bits are compared.
///
/// Exit codes: 0 all is well, 102 something is damaged, missing or was taken away, 104 other bits are on record for an admitted path or
/// were built, 110 both, 120 something is below the mirror's own policy, 121 too few of those who have to have signed, 122 something
/// that is needed or was asked for is not in, is old, could not be read, or could not be built again.
#[derive(Debug, Args)]
pub struct Verify {
    /// The mirror; http://… and https://… as well
    #[arg(value_name = "LOCATION")]
    location: String,
    /// Check these store paths and what they refer to and were made from [default: everything]
    #[arg(value_name = "PATH")]
    paths: Vec<StorePath>,
    /// The keys to believe, with commas between them, each as nix.conf spells it: NAME:BASE64
    #[arg(long, value_name = "KEY", value_delimiter = ',')]
    trusted_public_keys: Vec<PublicKey>,
    /// Who has to have signed: a `signers.toml`, as `release verify` reads it; as many of its contributors as it says, with ed25519
    /// keys of Nix, and no fewer than the mirror says
    #[arg(long, value_name = "FILE", conflicts_with = "trusted_public_keys")]
    signers: Option<PathBuf>,
    /// A snapshot of the mirror that you have kept, a copy of snapshots/…: the mirror has to have everything that it lists
    #[arg(long, value_name = "FILE")]
    since: Vec<PathBuf>,
    /// Build again what was built
    #[arg(long)]
    rebuild: bool,
    #[command(flatten)]
    json: JsonTo,
    #[command(flatten)]
    running: Running,
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
    /// What signers have read and not built: it counts for nothing.
    readings: u64,
    /// Paths that too few signers have testified to yet: they have no narinfo.
    pending: u64,
    /// Paths by the signers whose good signature they have.
    signed: std::collections::BTreeMap<String, u64>,
    /// Whether the mirror was held against its own keys only.
    by_own_keys: bool,
    /// Whether records of other bits could not be looked for, because the mirror cannot be listed.
    conflicts_unseen: bool,
    /// What its signers saw of it, and until when that holds.
    snapshots: Vec<Snapshot>,
    /// Paths that were removed as they should be.
    removed: u64,
    /// Objects that no path refers to.
    left: Vec<String>,
    /// What a killed writer did not come to say: that a path was admitted.
    unremembered: Vec<String>,
    findings: Vec<Finding>,
    /// What came of building it again; none without `--rebuild`.
    rebuilt: Option<Vec<Again>>,
}

/// A snapshot of the mirror.
#[derive(Serialize, schemars::JsonSchema)]
struct Snapshot {
    by: String,
    number: u64,
    made: String,
    /// Until when it holds under the mirror's policy.
    until: String,
    /// Whether it holds now.
    holds: bool,
}

/// A derivation that was built again.
#[derive(Serialize, schemars::JsonSchema)]
struct Again {
    /// The derivation, a path that was not built by any, or an object of which it cannot be read how its path came in.
    drv: String,
    /// Its outputs in the mirror.
    paths: Vec<StorePath>,
    /// `reproduced`, `diverged` or `not-checked`.
    verdict: &'static str,
    /// The level of assurance of what was reproduced.
    level: Option<u8>,
    /// What is different, or why nothing was shown.
    why: Option<String>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct Finding {
    /// `damaged`, `unsigned`, `not-closed`, `below-policy`, `conflict`, `unlisted`, `outdated`, `gone`, `stale` or `unread`.
    kind: String,
    object: String,
    why: String,
}

impl Verify {
    /// Checks and prints.
    pub fn run(&self, context: &Context) -> Result<Exit, Failure> {
        let json = self.json.open()?;
        let location = Location::parse(&self.location)?;
        if self.paths.is_empty() {
            location.listable()?;
        }
        let since: Vec<Vec<u8>> =
            self.since.iter().map(|file| read::named(file, snapshot::MAX_LEN)).collect::<Result<_, _>>()?;
        let signers = self.signers.as_deref().map(signers::read).transpose()?;
        let believing = match (&signers, &self.trusted_public_keys[..]) {
            (Some(signers), _) => Believing::Signers(signers),
            (None, []) => Believing::ItsOwn,
            (None, keys) => Believing::Keys(keys),
        };
        let request = Request {
            paths: &self.paths,
            believing,
            since: &since,
            now: SystemTime::now(),
            jobs: self.running.threads(),
        };
        let mut report = check::check(&location, &request)?;
        if self.paths.is_empty() {
            // A mirror that none of its signers stands for has no page of its own; that was found already.
            if let Ok(mirror) = Mirror::open(Location::parse(&self.location)?) {
                report.findings.extend(page::fault(&mirror));
                report.findings.sort();
            }
        }
        if !json.is_stdout() {
            print(&report).map_err(|error| Failure::io("standard output", &error))?;
        }
        let mut exit = exit(&report);
        let rebuilt = self.rebuild.then(|| self.again(context, location)).transpose()?;
        for again in rebuilt.iter().flatten() {
            exit = exit.and(match again.verdict {
                REPRODUCED => Exit::Success,
                DIVERGED => Exit::DIVERGED,
                _ => Exit::NotChecked,
            });
        }
        if !json.is_stdout() {
            print_again(rebuilt.as_deref().unwrap_or_default())
                .map_err(|error| Failure::io("standard output", &error))?;
        }
        json.write(&document(report, rebuilt))?;
        Ok(exit)
    }

    /// Builds again.
    fn again(&self, context: &Context, location: Location) -> Result<Vec<Again>, Failure> {
        let mirror = Mirror::open(location)?;
        let bench = Bench::open(context, &self.running, &mirror)?;
        let realiser = bench.realiser();
        let Subjects { built: subjects, others, unread } = mirror.subjects(&self.paths)?;
        let rebuild = Rebuild { mirror: &mirror, realiser: &realiser, jobs: self.running.jobs().get() };
        let rebuilt = rebuild.run(&subjects);
        let mut again: Vec<Again> =
            subjects.iter().zip(&rebuilt).map(|(subject, rebuilt)| told(subject, rebuilt)).collect();
        // Of a whole mirror it is no fault that it rests on seeds.
        let asked = others.into_iter().filter(|_| !self.paths.is_empty());
        let not_checked =
            |drv, paths, why| Again { drv, paths, verdict: NOT_CHECKED, level: None, why: Some(why) };
        again.extend(asked.map(|path| {
            let why = "it was not built: it was taken as it is, or is a source".to_owned();
            not_checked(path.to_string(), vec![path], why)
        }));
        again.extend(
            unread.into_iter().map(|(object, error)| not_checked(object, Vec::new(), error.to_string())),
        );
        Ok(again)
    }
}

const REPRODUCED: &str = "reproduced";
const DIVERGED: &str = "diverged";
const NOT_CHECKED: &str = "not-checked";

fn told(subject: &Subject, rebuilt: &Rebuilt) -> Again {
    let (verdict, level, why) = match rebuilt {
        Rebuilt::Same { level } => (REPRODUCED, Some(*level as u8), None),
        Rebuilt::Other(others) => {
            let other = others.iter().map(|one| {
                if one.made == one.admitted {
                    return format!("{} refers to something else than the mirror says", one.output);
                }
                format!("{} is {}, and admitted as {}", one.output, one.made, one.admitted)
            });
            (DIVERGED, None, Some(other.collect::<Vec<_>>().join("; ")))
        }
        Rebuilt::Diverged(refusal) => {
            let outputs =
                refusal.outputs.iter().map(|one| format!("{}: {}", one.output, one.causes.join(", ")));
            let why = format!("from build to build, {}", outputs.collect::<Vec<_>>().join("; "));
            (DIVERGED, None, Some(why))
        }
        Rebuilt::NotChecked(why) => (NOT_CHECKED, None, Some(why.clone())),
    };
    let paths = subject.outputs.values().map(|info| info.store_path.clone()).collect();
    Again { drv: subject.drv.to_string(), paths, verdict, level, why }
}

fn print_again(rebuilt: &[Again]) -> std::io::Result<()> {
    let mut out = anstream::stdout().lock();
    for one in rebuilt {
        write!(out, "{:<12}  {}", one.verdict, escape(&one.drv))?;
        match &one.why {
            Some(why) => writeln!(out, "  {}", escape(why))?,
            None => writeln!(out)?,
        }
    }
    Ok(())
}

fn print(report: &Report) -> std::io::Result<()> {
    let mut out = anstream::stdout().lock();
    for finding in &report.findings {
        writeln!(out, "{:<12}  {}: {}", finding.kind, escape(&finding.object), escape(&finding.why))?;
    }
    for name in &report.left {
        writeln!(out, "{:<12}  {}: nothing refers to it", "left", escape(name))?;
    }
    for name in &report.unremembered {
        writeln!(out, "{:<12}  {}: a writer was killed before it said so", "unremembered", escape(name))?;
    }
    let signed = report.signed.iter().map(|(name, paths)| format!("{paths} by {}", escape(name)));
    let signed: Vec<String> = signed.collect();
    writeln!(
        out,
        "{} paths ({} of them seeds), {} of NARs in {} of files, {} sources, {} derivations, {} refused, {} pending; signed: {}",
        report.paths,
        report.seeds,
        HumanBytes(report.nar_bytes),
        HumanBytes(report.file_bytes),
        report.sources,
        report.derivations,
        report.refused,
        report.pending,
        if signed.is_empty() { "none".to_owned() } else { signed.join(", ") }
    )?;
    for one in &report.snapshots {
        writeln!(
            out,
            "snapshot {} of {} by {} {} until {}",
            one.number,
            one.made,
            escape(&one.by),
            if one.holds { "holds" } else { "held" },
            one.until
        )?;
    }
    if report.conflicts_unseen {
        writeln!(
            out,
            "records of other bits cannot be looked for where nothing can be listed; a snapshot or a copy of the mirror shows them"
        )?;
    }
    if report.by_own_keys {
        writeln!(
            out,
            "held against the keys that the mirror names itself; --trusted-public-keys or --signers names yours"
        )?;
    }
    let faults = report.findings.len();
    match faults {
        0 => writeln!(out, "nothing is wrong"),
        faults => writeln!(out, "{}", count(faults as u64, "fault", "faults")),
    }
}

/// What the findings come to.
pub(super) fn exit(report: &Report) -> Exit {
    report.findings.iter().fold(Exit::Success, |exit, finding| {
        exit.and(match finding.kind {
            Kind::Damaged | Kind::Gone => Exit::HASH_MISMATCH,
            Kind::Conflict => Exit::DIVERGED,
            Kind::Unsigned => Exit::Unsigned,
            Kind::BelowPolicy => Exit::Policy,
            _ => Exit::NotChecked,
        })
    })
}

fn document(report: Report, rebuilt: Option<Vec<Again>>) -> Document {
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
        readings: report.readings,
        pending: report.pending,
        signed: report.signed,
        by_own_keys: report.by_own_keys,
        conflicts_unseen: report.conflicts_unseen,
        snapshots: report.snapshots.into_iter().map(shown).collect(),
        removed: report.removed,
        left: report.left,
        unremembered: report.unremembered,
        findings: report.findings.into_iter().map(finding).collect(),
        rebuilt,
    }
}

fn shown(seen: check::SeenSnapshot) -> Snapshot {
    let check::SeenSnapshot { by, number, made, until, holds } = seen;
    Snapshot { by, number, made: made.to_string(), until: until.to_string(), holds }
}

/// The JSON Schema of what `--json` writes.
pub fn schema() -> schemars::Schema {
    crate::report::schema::of::<Document>()
}
