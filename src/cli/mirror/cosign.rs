//! `reprove mirror cosign`: what others have admitted, built again and signed.

use std::{io::Write as _, path::PathBuf};

use clap::Args;
use serde::Serialize;

use super::{bench::Bench, ending::Ending, seeds::Seeds, to_write};
use crate::{
    cli::{
        Context, Exit, Failure,
        document::{Json, JsonTo},
        read, realising,
        running::Running,
    },
    mirror::{
        Mirror, MirrorError,
        cosign::{Cosign as Signing, Cosigned, CosignedAll},
        populate::OnRefused,
        publish::{Published, Publisher},
        reading::Read,
        rebuild::Rebuild,
    },
    nix::store_path::StorePath,
    report::{count::count, escape::escape},
    schedule::{Taker, host_store},
    store::Store,
};

/// Sign what others have admitted to a mirror or testified to: every path that was built is built again, leaves first, from what the
/// mirror holds and from nowhere else, and signed if the very bits come out. Other bits leave a signed refusal and a record of the
/// conflict, and no signature.
///
/// Where the mirror's policy asks for several signers, this is how a path that is pending gets its narinfo. Seeds cannot be built:
/// `--seed` names those that this signer takes as well, from a place of their own; a path that rests on others stays as it is.
///
/// With --records nothing is built: everything in the mirror is checked as `mirror verify` does, and what others say of each path is
/// signed as read. That counts for nothing, neither towards the threshold nor to Nix.
///
/// Exit codes: 0 everything is signed and in, 102 something in the mirror cannot be read or believed, 104 something came out otherwise,
/// 121 the key is of no signer, or something waits for more signers, 122 something could not be built.
#[derive(Debug, Args)]
pub struct Cosign {
    /// The mirror
    #[arg(value_name = "LOCATION")]
    location: String,
    /// The ed25519 key to sign with, one that the mirror's policy names
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    #[command(flatten)]
    taken: Seeds,
    /// Read what others say, build nothing, and sign that only
    #[arg(long, conflicts_with_all = ["seeds", "retry"])]
    records: bool,
    /// Build again what this key refused before
    #[arg(long)]
    retry: bool,
    #[command(flatten)]
    json: JsonTo,
    #[command(flatten)]
    running: Running,
}

/// The version of the document.
const SCHEMA: &str = "reprove.mirror-cosign/1";

#[derive(Serialize, schemars::JsonSchema)]
struct Document {
    #[schemars(extend("const" = SCHEMA))]
    schema: &'static str,
    mirror: String,
    /// Seeds that were named and what they refer to, and what else nobody can build and is pending.
    seeds: Vec<One>,
    derivations: Vec<One>,
    /// What cannot be read, so that nothing was tried of it.
    unread: Vec<Unread>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct Unread {
    /// An object of the mirror.
    object: String,
    why: String,
}

#[derive(Serialize, schemars::JsonSchema)]
struct One {
    /// A seed, or a derivation; with `--records` a path.
    path: StorePath,
    /// `signed`, `pending` (and too few others have), `there` (signed before), `conflict`, `refused`, `blocked`, `not-checked`,
    /// `failed`, or with `--records` `read`.
    fate: &'static str,
    why: Option<String>,
}

impl Cosign {
    /// Signs, and prints what became of everything.
    pub fn run(&self, context: &Context) -> Result<Exit, Failure> {
        let json = self.json.open()?;
        let key = read::secret_key(&self.key)?;
        let mirror = Mirror::open(to_write(&self.location)?)?.seen_by(&key)?;
        let bench = Bench::open(context, &self.running, &mirror)?;
        let realiser = bench.realiser();
        let publisher = Publisher::new(&mirror, &key, &bench.store)?.cosigning();
        if self.records {
            return self.read(&publisher, &mirror, json);
        }
        for seed in &self.taken.seeds {
            gather(seed, &bench.store)?;
        }
        let rebuild = Rebuild { mirror: &mirror, realiser: &realiser, jobs: self.running.jobs().get() };
        let refused = if self.retry { OnRefused::Retry } else { OnRefused::Keep };
        let (seeded, signed) = mirror.while_at_work(&bench.store, |hold| {
            let seeded = publisher.seed(&self.taken.seeds, self.taken.why())?;
            let signed = Signing { rebuild, publisher: &publisher, refused, hold }.run()?;
            Ok::<_, MirrorError>((seeded, signed))
        })??;
        let CosignedAll { derivations, waiting, unread } = signed;
        let ended = Ending::of(&mirror, &key);
        let waiting = waiting.into_iter().filter(|path| !seeded.iter().any(|(seed, _)| seed == path));
        let waiting: Vec<_> = waiting.map(|path| (path, Published::Pending)).collect();
        let seeds = seeded.into_iter().chain(waiting);
        let seeds: Vec<_> = seeds.map(|(path, published)| (path, Cosigned::Signed(published))).collect();
        let exit =
            seeds.iter().chain(&derivations).fold(Exit::Success, |exit, (_, one)| exit.and(exit_of(one)));
        let exit = unread.iter().fold(exit, |exit, (_, error)| exit.and(super::exit(error)));
        let unread = unread.into_iter().map(|(object, error)| Unread { object, why: error.to_string() });
        let told = |all: &[(StorePath, Cosigned)]| all.iter().map(|(path, one)| told(path, one)).collect();
        let document = Document {
            schema: SCHEMA,
            mirror: mirror.location().address().to_owned(),
            seeds: told(&seeds),
            derivations: told(&derivations),
            unread: unread.collect(),
        };
        if !json.is_stdout() {
            print(&document).map_err(|error| Failure::io("standard output", &error))?;
        }
        json.write(&document)?;
        Ok(exit.and(ended.tell()))
    }
}

impl Cosign {
    /// Reads, and builds nothing.
    fn read(&self, publisher: &Publisher<'_>, mirror: &Mirror, json: Json<'_>) -> Result<Exit, Failure> {
        let paths = match publisher.read(self.running.threads())? {
            Read::Sound(paths) => paths,
            Read::Faulty(report) => {
                let faults = count(report.findings.len() as u64, "fault is", "faults are");
                let message = format!("{faults} in the mirror, and nothing was signed");
                return Err(Failure { exit: super::verify::exit(&report), ..Failure::usage(message) }
                    .hint("`reprove mirror verify` lists them"));
            }
        };
        let one = |path| One { path, fate: "read", why: Some("it was not built again".to_owned()) };
        let document = Document {
            schema: SCHEMA,
            mirror: mirror.location().address().to_owned(),
            seeds: Vec::new(),
            derivations: paths.into_iter().map(one).collect(),
            unread: Vec::new(),
        };
        let ended = Ending::of(mirror, publisher.key());
        if !json.is_stdout() {
            print(&document).map_err(|error| Failure::io("standard output", &error))?;
        }
        json.write(&document)?;
        Ok(ended.tell())
    }
}

/// Brings a seed into our store, if it is not there, from the host's.
fn gather(path: &StorePath, store: &Store) -> Result<(), Failure> {
    if store.path(path)?.is_some() {
        return Ok(());
    }
    if let Some(host) = host_store().map(Taker::Dir)
        && host.take(path, store).map_err(|error| realising::failure(&error.into()))?
    {
        return Ok(());
    }
    let message = format!("--seed {path}: neither our store nor the host's has it");
    Err(Failure { exit: Exit::NotChecked, ..Failure::usage(message) }.hint("build it with `reprove build`"))
}

fn told(path: &StorePath, cosigned: &Cosigned) -> One {
    let (fate, why) = match cosigned {
        Cosigned::Signed(Published::New) => ("signed", None),
        Cosigned::Signed(Published::There) => ("there", None),
        Cosigned::Signed(Published::Pending) => {
            ("pending", Some("too few of the signers have testified to it yet".to_owned()))
        }
        Cosigned::Signed(Published::Conflict { admitted }) => {
            ("conflict", Some(format!("others have it as {admitted}")))
        }
        Cosigned::Refused(refusal) => {
            let outputs = refusal.outputs.iter().map(|one| {
                let hashes: Vec<String> = one.nar_hashes.iter().map(ToString::to_string).collect();
                format!("{}: {}", one.output, hashes.join(" or "))
            });
            ("refused", Some(outputs.collect::<Vec<_>>().join("; ")))
        }
        Cosigned::RefusedBefore => ("refused", Some("in an earlier run; --retry builds it again".to_owned())),
        Cosigned::Blocked(by) => ("blocked", Some(format!("by {by}"))),
        Cosigned::NotChecked(why) => ("not-checked", Some(why.clone())),
        Cosigned::Failed(error) => ("failed", Some(error.to_string())),
    };
    One { path: path.clone(), fate, why }
}

fn exit_of(cosigned: &Cosigned) -> Exit {
    match cosigned {
        Cosigned::Signed(Published::New | Published::There) => Exit::Success,
        Cosigned::Signed(Published::Pending) => Exit::Unsigned,
        Cosigned::Signed(Published::Conflict { .. }) | Cosigned::Refused(_) | Cosigned::RefusedBefore => {
            Exit::DIVERGED
        }
        Cosigned::Blocked(_) | Cosigned::NotChecked(_) => Exit::NotChecked,
        Cosigned::Failed(error) => super::exit(error),
    }
}

fn print(document: &Document) -> std::io::Result<()> {
    let mut out = anstream::stdout().lock();
    let seeds = document.seeds.iter().map(|one| ("seed ", one));
    for (kind, one) in seeds.chain(document.derivations.iter().map(|one| ("", one))) {
        write!(out, "{kind}{:<12} {}", one.fate, one.path)?;
        match &one.why {
            Some(why) => writeln!(out, "  {}", escape(why))?,
            None => writeln!(out)?,
        }
    }
    for Unread { object, why } in &document.unread {
        writeln!(out, "{:<12} {}  {}", "unread", escape(object), escape(why))?;
    }
    Ok(())
}

/// The JSON Schema of what `--json` writes.
pub fn schema() -> schemars::Schema {
    crate::report::schema::of::<Document>()
}
