//! `reprove mirror snapshot`: what a mirror holds now, signed and dated.

use std::{io::Write as _, path::PathBuf, time::SystemTime};

use clap::{Args, builder::RangedU64ValueParser};
use serde::Serialize;

use super::{page, to_write};
use crate::{
    cli::{Context, Exit, Failure, document::JsonTo, read},
    mirror::{
        Mirror,
        layout::{KeyId, Object},
        snapshot::{Making, Snapshot as Made, USUAL_DAYS},
    },
    nix::secret_key::SecretKey,
    report::count::count,
};

/// Sign what a mirror holds now: the paths, and what is said against any. `mirror verify` holds the mirror against that, also where it
/// is served, and so finds an older copy, one in which something was left out, and one that nobody looks after any more.
///
/// A snapshot takes the place of the one that this key made before, and only if everything is there that the one before lists. Where
/// the mirror's policy says `snapshot_days`, `populate`, `cosign` and `gc` make one themselves; make one more often than they expire.
///
/// Exit codes: 0 done, 102 something is gone that the one before lists, 121 the key is of no signer.
#[derive(Debug, Args)]
pub struct Snapshot {
    /// The mirror
    #[arg(value_name = "LOCATION")]
    location: String,
    /// The ed25519 key to sign with, one that the mirror's policy names
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// For how many days it holds [default: what the policy says, or 30]
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<u32>::new().range(1..=36_500))]
    days: Option<u32>,
    #[command(flatten)]
    json: JsonTo,
}

/// The version of the document.
const SCHEMA: &str = "reprove.mirror-snapshot/1";

#[derive(Serialize, schemars::JsonSchema)]
struct Document {
    #[schemars(extend("const" = SCHEMA))]
    schema: &'static str,
    /// The name of the object.
    object: String,
    number: u64,
    made: String,
    /// Until when it holds under the mirror's policy.
    expires: String,
    /// Paths that are listed.
    paths: usize,
    /// Seeds, refusals, readings and other bits that are listed.
    records: usize,
}

impl Snapshot {
    /// Makes it, and prints what it is.
    pub fn run(&self, _context: &Context) -> Result<Exit, Failure> {
        let json = self.json.open()?;
        let key = read::secret_key(&self.key)?;
        let mirror = Mirror::open(to_write(&self.location)?)?;
        let days = self.days.or(mirror.policy().snapshot_days).unwrap_or(USUAL_DAYS);
        let made = make(&mirror, &key, days)?;
        page::renew(&mirror)?;
        let document = Document {
            schema: SCHEMA,
            object: Object::Snapshot(KeyId::of(&key.public())).name(),
            number: made.number,
            made: made.made.to_string(),
            expires: made.holds_until(mirror.policy()).to_string(),
            paths: made.listed.paths.len(),
            records: made.listed.records.len(),
        };
        if !json.is_stdout() {
            print(&document).map_err(|error| Failure::io("standard output", &error))?;
        }
        json.write(&document)?;
        Ok(Exit::Success)
    }
}

/// Makes a snapshot if the mirror's policy asks for them: the mirror has changed.
pub(super) fn renew(mirror: &Mirror, key: &SecretKey) -> Result<(), Failure> {
    if let Some(days) = mirror.policy().snapshot_days {
        make(mirror, key, days)?;
    }
    Ok(())
}

fn make(mirror: &Mirror, key: &SecretKey, days: u32) -> Result<Made, Failure> {
    Ok(mirror.snapshot(&Making { key, days, now: SystemTime::now(), jobs: page::jobs() })?)
}

fn print(document: &Document) -> std::io::Result<()> {
    writeln!(
        anstream::stdout().lock(),
        "snapshot {} of {} and {}; it holds until {}",
        document.number,
        count(document.paths as u64, "path", "paths"),
        count(document.records as u64, "record", "records"),
        document.expires
    )
}

/// The JSON Schema of what `--json` writes.
pub fn schema() -> schemars::Schema {
    crate::report::schema::of::<Document>()
}
