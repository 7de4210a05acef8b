//! `reprove mirror gc`: removes what nobody needs any more, and says so for good.

use std::{io::Write as _, path::PathBuf, time::Duration};

use clap::Args;
use indicatif::HumanBytes;
use serde::Serialize;

use super::{ending::Ending, page, to_write};
use crate::{
    cli::{Context, Exit, Failure, document::JsonTo, read},
    mirror::{
        Mirror,
        claims::Worker,
        gc::{Gc as Collect, GcError, Gone, Mode, OnBusy},
    },
    nix::store_path::StorePath,
};

/// Remove from a mirror what no root needs: what roots refer to and were made from stays, with its sources and derivations.
///
/// Narinfos go first, each behind a signed record of its removal; what was said of a path stays, and with which bits it was admitted. So
/// `mirror verify` tells a path that was removed from one that somebody took away, and a path that comes again has to have the same bits.
/// A removal that was killed is gone on with by the same command.
///
/// Exit codes: 0 done, 1 a root is not in the mirror, 121 the key is of no signer, 122 somebody is filling the mirror.
#[derive(Debug, Args)]
pub struct Gc {
    /// The mirror
    #[arg(value_name = "LOCATION")]
    location: String,
    /// Keep this path of the mirror and everything it needs
    #[arg(long = "root", value_name = "PATH", required = true)]
    roots: Vec<StorePath>,
    /// The ed25519 key to sign with, one that the mirror's policy names
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Only say what would be removed
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// Go on although claims hold: whoever made them is dead
    #[arg(long)]
    force: bool,
    /// Remove what killed writers left as well, when it is older than this many hours
    #[arg(long, value_name = "HOURS", num_args = 0..=1, default_missing_value = "24")]
    leftovers: Option<u32>,
    #[command(flatten)]
    json: JsonTo,
}

/// The version of the document.
const SCHEMA: &str = "reprove.mirror-gc/1";

#[derive(Serialize, schemars::JsonSchema)]
struct Document {
    #[schemars(extend("const" = SCHEMA))]
    schema: &'static str,
    /// Whether it was only said what would be removed.
    dry_run: bool,
    /// Paths that were removed, in that order.
    paths: Vec<StorePath>,
    /// Objects that were removed.
    objects: Vec<Object>,
    /// Bytes of them all.
    bytes: u64,
    /// Paths that stay.
    kept: usize,
    /// Paths that an earlier removal, which was killed, had taken out, and that something needs: they are in again.
    put_back: Vec<StorePath>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct Object {
    name: String,
    bytes: u64,
    /// Whether it is what a killed writer left.
    leftover: bool,
}

impl Gc {
    /// Removes, and prints what.
    pub fn run(&self, context: &Context) -> Result<Exit, Failure> {
        let json = self.json.open()?;
        let key = read::secret_key(&self.key)?;
        let mirror = Mirror::open(to_write(&self.location)?)?;
        let gone = Collect {
            mirror: &mirror,
            key: &key,
            worker: &Worker::of(&context.store()?)?,
            roots: &self.roots,
            mode: if self.dry_run { Mode::DryRun } else { Mode::Remove },
            busy: if self.force { OnBusy::GoOn } else { OnBusy::Refuse },
            leftovers: self.leftovers.map(|hours| Duration::from_secs(u64::from(hours) * 3600)),
            jobs: page::jobs(),
        }
        .run()?;
        let ended = (!self.dry_run).then(|| Ending::of(&mirror, &key));
        let document = self.document(gone);
        if !json.is_stdout() {
            print(&document).map_err(|error| Failure::io("standard output", &error))?;
        }
        json.write(&document)?;
        Ok(ended.map_or(Exit::Success, Ending::tell))
    }

    fn document(&self, gone: Gone) -> Document {
        let Gone { paths, objects, leftovers, kept, put_back } = gone;
        Document {
            schema: SCHEMA,
            dry_run: self.dry_run,
            bytes: objects.values().sum(),
            objects: objects
                .into_iter()
                .map(|(name, bytes)| Object { leftover: leftovers.contains(&name), name, bytes })
                .collect(),
            paths,
            kept,
            put_back,
        }
    }
}

fn print(document: &Document) -> std::io::Result<()> {
    let mut out = anstream::stdout().lock();
    let removed = if document.dry_run { "would remove" } else { "removed" };
    for path in &document.put_back {
        writeln!(out, "put back {path}")?;
    }
    for path in &document.paths {
        writeln!(out, "{removed} {path}")?;
    }
    for object in &document.objects {
        let left = if object.leftover { ", left by a killed writer" } else { "" };
        writeln!(out, "{removed} {}, {}{left}", object.name, HumanBytes(object.bytes))?;
    }
    writeln!(
        out,
        "{removed} {} paths, {} objects, {}; {} paths stay",
        document.paths.len(),
        document.objects.len(),
        HumanBytes(document.bytes),
        document.kept
    )
}

/// The JSON Schema of what `--json` writes.
pub fn schema() -> schemars::Schema {
    crate::report::schema::of::<Document>()
}

impl From<GcError> for Failure {
    fn from(error: GcError) -> Self {
        let exit = match &error {
            GcError::Mirror(error) => super::exit(error),
            GcError::Busy { .. } | GcError::Grown { .. } => Exit::NotChecked,
            _ => Exit::Usage,
        };
        let hint = matches!(error, GcError::Busy { .. });
        let failure = Failure::new(error.code(), &error, exit);
        if hint { failure.hint("when nobody is at work any more, `--force` goes on") } else { failure }
    }
}
