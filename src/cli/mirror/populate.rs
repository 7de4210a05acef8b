//! `reprove mirror populate`: builds a closure from the leaves up, and admits what was reproduced.

use std::{io::Write as _, path::PathBuf};

use clap::Args;
use serde::Serialize;

use super::{ending::Ending, seeds::Seeds, to_write};
use crate::{
    cli::{
        Context, Exit, Failure,
        document::JsonTo,
        host_nix::HostNix,
        policies::shipped,
        read, realising,
        running::Interrupted,
        workshop::{Work, Workshop},
    },
    graph::Graph,
    mirror::{
        Mirror, MirrorError,
        claims::Worker,
        escrow::Kept,
        populate::{Fate, OnRefused, PATIENCE, Populate as Filling},
        publish::{Published, Publisher},
    },
    nix::store_path::StorePath,
    policy,
    report::escape::escape,
    schedule::{Realiser, TakeError},
    store::{Origin, Store},
};

/// Fill a mirror, leaves first: build each derivation from what the mirror holds, verify it to the level that the mirror's policy
/// asks, and admit it, or refuse it with its causes.
///
/// What is in is not built again, so an interrupted run is begun again with the same command. Several workers can fill one mirror.
/// Derivations that need something that was not admitted are reported as blocked by it; the rest goes on. What `--only` or `--depth`
/// leave out is built by nobody here: it is in already, or is reported as not in.
///
/// Exit codes: 0 everything asked for is in, 100 a build failed, 101 it took too long, 102 a source has the wrong hash, 104 bits
/// differ and were refused, 120 a policy that the mirror names is violated, 121 something waits for other signers, 122 something is not in for another reason.
#[derive(Debug, Args)]
pub struct Populate {
    /// The mirror
    #[arg(value_name = "LOCATION")]
    location: String,
    /// The ed25519 key to sign with, one that the mirror's policy names
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    #[command(flatten)]
    taken: Seeds,
    /// Build again what this key refused before
    #[arg(long)]
    retry: bool,
    #[command(flatten)]
    json: JsonTo,
    #[command(flatten)]
    work: Work,
}

/// The version of the document.
const SCHEMA: &str = "reprove.mirror-populate/1";

#[derive(Serialize, schemars::JsonSchema)]
struct Document {
    #[schemars(extend("const" = SCHEMA))]
    schema: &'static str,
    mirror: String,
    /// Paths that were taken as they are, and whether each is `admitted`, `pending`, was `there`, or is there with other bits (`conflict`).
    seeds: Vec<Seeded>,
    derivations: Vec<Derivation>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct Seeded {
    path: StorePath,
    fate: &'static str,
    /// Which bits are there, and which were found.
    why: Option<String>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct Derivation {
    drv: StorePath,
    /// `admitted`, `there`, `pending` (too few signers yet), `conflict`, `refused`, `blocked`, `not-now`, `not-built` or `failed`.
    fate: &'static str,
    /// Why it is not in; of a refusal the causes.
    why: Option<String>,
    /// What blocks it.
    blocked_by: Option<StorePath>,
}

impl Populate {
    /// Fills it and prints what became of everything.
    pub fn run(&self, context: &Context) -> Result<Exit, Failure> {
        self.work.takes_nothing_on_trust()?;
        let json = self.json.open()?;
        let key = read::secret_key(&self.key)?;
        let mirror = Mirror::open(to_write(&self.location)?)?.seen_by(&key)?;
        let kept = Kept::new(&mirror);
        let engines = mirror.policy().all_engines();
        let workshop = self.work.open_in(context, Interrupted::GoOn, &engines)?;
        let closure = &workshop.closure;
        policies_hold(&mirror, &closure.graph, &closure.drvs())?;
        let realiser = workshop.realiser()?;
        let realiser = Realiser { sources: realiser.sources.with_shelf(&kept), ..realiser };
        let publisher = Publisher::new(&mirror, &key, &workshop.store)?;
        self.gather(&realiser, &workshop)?;
        somebody_stands_for(&self.taken.seeds, &workshop.store)?;
        let worker = Worker::of(&workshop.store)?;
        let native = HostNix::new(closure, &realiser);
        let filling = Filling {
            mirror: &mirror,
            publisher: &publisher,
            graph: &closure.graph,
            frontier: &workshop.frontier(),
            realiser: &realiser,
            worker: &worker,
            native: Some(&native),
            jobs: workshop.jobs(),
            refused: if self.retry { OnRefused::Retry } else { OnRefused::Keep },
            patience: PATIENCE,
        };
        // Seeds stay until something is built from them.
        let (seeded, fates) = match &self.taken.seeds[..] {
            [] => (Vec::new(), filling.run()),
            seeds => mirror.while_at_work(&workshop.store, |_| -> Result<_, MirrorError> {
                Ok((publisher.seed(seeds, self.taken.why())?, filling.run()))
            })??,
        };
        let ended = Ending::of(&mirror, &key).and(filling.tidy_claims());
        let mut exit = Exit::Success;
        for published in seeded.iter().map(|(_, published)| published) {
            exit = exit.and(exit_of(&Fate::In(*published)));
        }
        let document = Document {
            schema: SCHEMA,
            mirror: mirror.location().address().to_owned(),
            seeds: seeded
                .into_iter()
                .map(|(path, published)| told(path, published, &workshop.store))
                .collect(),
            derivations: fates.iter().map(|(index, fate)| derivation(&closure.graph, *index, fate)).collect(),
        };
        for (_, fate) in &fates {
            exit = exit.and(exit_of(fate));
        }
        if !json.is_stdout() {
            print(&document).map_err(|error| Failure::io("standard output", &error))?;
        }
        json.write(&document)?;
        for (_, fate) in fates {
            match fate {
                Fate::Failed(error) => Failure::from(error).print(),
                Fate::NotBuilt(error) => realising::failure(&error).print(),
                _ => {}
            }
        }
        Ok(exit.and(ended.tell()))
    }

    /// Brings the seeds into our store, each from the first place that has it.
    fn gather(&self, realiser: &Realiser<'_>, workshop: &Workshop<'_>) -> Result<(), Failure> {
        for path in &self.taken.seeds {
            let store = &workshop.store;
            if store.path(path)?.is_some() || realiser.evaluated.import(path, store)? {
                continue;
            }
            let taken = realiser.takers.iter().map(|taker| taker.take(path, store));
            let taken: Vec<bool> = taken.collect::<Result<_, _>>().map_err(taking)?;
            if !taken.contains(&true) {
                let message = format!("--seed {path}: neither our store, nor the host's, nor a cache has it");
                return Err(Failure { exit: Exit::NotChecked, ..Failure::usage(message) }
                    .hint("build it with `reprove build`, or name who has it with `--substituter URL`"));
            }
        }
        Ok(())
    }
}

/// That of seeds from binary caches, and of what they refer to, somebody who is trusted has signed each: what nobody signed, no
/// mirror of ours signs.
fn somebody_stands_for(seeds: &[StorePath], store: &Store) -> Result<(), Failure> {
    for info in store.closure(seeds)? {
        if let Origin::Substituted { from, signed_by: None } = &info.origin {
            let message = format!("{}: {from} has it, and nobody who is trusted has signed it", info.path);
            return Err(Failure { exit: Exit::Unsigned, ..Failure::usage(message) }
                .hint("name the keys you believe with `--trusted-public-keys`, or build it; `--trust-unsigned` is not enough here"));
        }
    }
    Ok(())
}

fn taking(error: TakeError) -> Failure {
    realising::failure(&error.into())
}

/// The policies that the mirror names hold in everything that was asked for.
fn policies_hold(mirror: &Mirror, graph: &Graph, asked: &[StorePath]) -> Result<(), Failure> {
    for name in &mirror.policy().policies {
        let Some(policy) = shipped()?.iter().find(|policy| policy.name == *name) else {
            return Err(crate::cli::policies::unknown(name));
        };
        let checked = policy::check(graph, asked, policy, &policy.at)?;
        if let Some(violation) = checked.violations.first() {
            let name = &policy.name;
            let drv = graph.nodes()[violation.index].name();
            let message = format!("{drv} violates the policy `{name}`, which has to hold in this mirror");
            return Err(Failure { code: policy::VIOLATED, exit: Exit::Policy, ..Failure::usage(message) }
                .hint(format!("`--policy {name}` makes it hold")));
        }
    }
    Ok(())
}

fn told(path: StorePath, published: Published, store: &Store) -> Seeded {
    let why = match published {
        Published::Conflict { admitted } => {
            let found = store.path(&path).ok().flatten().map(|found| found.nar_hash);
            Some(match found.filter(|found| *found != admitted) {
                Some(found) => format!("it is admitted as {admitted}, and was found as {found}"),
                None => format!("it is admitted as {admitted}, and refers to something else there"),
            })
        }
        _ => None,
    };
    Seeded { path, fate: word(&Fate::In(published)), why }
}

fn word(fate: &Fate) -> &'static str {
    match fate {
        Fate::In(Published::New) => "admitted",
        Fate::In(Published::There) => "there",
        Fate::In(Published::Pending) => "pending",
        Fate::In(Published::Conflict { .. }) => "conflict",
        Fate::Refused(_) | Fate::RefusedBefore => "refused",
        Fate::Blocked(_) => "blocked",
        Fate::NotNow(_) | Fate::Theirs => "not-now",
        Fate::NotBuilt(_) => "not-built",
        Fate::Failed(_) => "failed",
    }
}

fn derivation(graph: &Graph, index: usize, fate: &Fate) -> Derivation {
    let why = match fate {
        Fate::In(Published::Conflict { admitted }) => {
            Some(format!("it is admitted with other bits, {admitted}"))
        }
        Fate::In(Published::Pending) => Some("too few of the signers have testified to it yet".to_owned()),
        Fate::In(_) | Fate::Blocked(_) | Fate::Theirs => None,
        Fate::Refused(refusal) => {
            let outputs =
                refusal.outputs.iter().map(|one| format!("{}: {}", one.output, one.causes.join(", ")));
            Some(outputs.collect::<Vec<_>>().join("; "))
        }
        Fate::RefusedBefore => Some("in an earlier run; --retry builds it again".to_owned()),
        Fate::NotNow(why) => Some(why.clone()),
        Fate::Failed(error) => Some(error.to_string()),
        Fate::NotBuilt(error) => Some(error.to_string()),
    };
    let blocked_by = match fate {
        Fate::Blocked(by) => Some(graph.nodes()[*by].drv.clone()),
        _ => None,
    };
    Derivation { drv: graph.nodes()[index].drv.clone(), fate: word(fate), why, blocked_by }
}

fn print(document: &Document) -> std::io::Result<()> {
    let mut out = anstream::stdout().lock();
    for seed in &document.seeds {
        write!(out, "seed {:<10} {}", seed.fate, seed.path)?;
        match &seed.why {
            Some(why) => writeln!(out, "  {}", escape(why))?,
            None => writeln!(out)?,
        }
    }
    for one in &document.derivations {
        write!(out, "{:<15} {}", one.fate, one.drv)?;
        if let Some(by) = &one.blocked_by {
            write!(out, "  by {}", by.name())?;
        }
        if let Some(why) = &one.why {
            write!(out, "  {}", escape(why))?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn exit_of(fate: &Fate) -> Exit {
    match fate {
        Fate::In(Published::New | Published::There) => Exit::Success,
        Fate::In(Published::Pending) => Exit::Unsigned,
        Fate::In(Published::Conflict { .. }) | Fate::Refused(_) | Fate::RefusedBefore => Exit::DIVERGED,
        Fate::Blocked(_) | Fate::NotNow(_) | Fate::Theirs => Exit::NotChecked,
        Fate::NotBuilt(error) => realising::failure(error).exit,
        Fate::Failed(error) => super::exit(error),
    }
}

/// The JSON Schema of what `--json` writes.
pub fn schema() -> schemars::Schema {
    crate::report::schema::of::<Document>()
}
