//! `reprove mirror challenge`: whether several caches say the same, and what differs when they do not.

use std::io::Write as _;

use clap::{Args, ValueEnum};

use crate::{
    cli::{
        Context, Exit, Failure,
        document::{ReportTo, Shown},
    },
    mirror::challenge::{
        self, Bits, Cache, Challenge as Challenged, ChallengeError, Given, Request, Verdict, challenge,
    },
    nix::{signature::PublicKey, store_path::StorePath},
    report::challenge as report,
};

/// Requests at once: they wait for networks, not for this host.
const JOBS: usize = 8;

/// Compare what several binary caches say about the same store paths; fetch what they disagree about, and say where and why it differs.
///
/// Caches are mirrors or any others that Nix reads: http://…, https://…, a folder or file://…, s3://…, and `host`, which is this host's
/// own store as it lies there. What agrees agrees in what the caches say; with --bits all every NAR is fetched from every cache as well.
/// A path that one cache only has, or that a cache could not be asked for, is not checked.
///
/// Exit codes: 0 all paths agree, 102 a cache gives other bits than it says, 104 caches disagree, 121 a signature is not by the key that
/// it names, 122 something could not be compared.
#[derive(Debug, Args)]
pub struct Challenge {
    /// The caches, two or more, and the store paths to compare [default: those of the first cache, if it can be listed]
    #[arg(value_name = "CACHE|PATH", required = true)]
    things: Vec<String>,
    /// Compare what the paths refer to as well
    #[arg(long)]
    closure: bool,
    /// Keys whose signatures are looked for, NAME:BASE64; mirrors name their own
    #[arg(long, value_name = "KEY", value_delimiter = ',')]
    trusted_public_keys: Vec<PublicKey>,
    /// Which bits to fetch and look at
    #[arg(long, value_enum, default_value = "disagreeing")]
    bits: Which,
    /// Fetch the bits of so many paths, at most
    #[arg(long, value_name = "N", default_value_t = 100)]
    most: usize,
    #[command(flatten)]
    shown: Shown,
    #[command(flatten)]
    to: ReportTo,
}

/// [`Bits`], as it is written.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Which {
    /// None: only what caches say is compared
    None,
    /// Those that the caches disagree about
    Disagreeing,
    /// All, from every cache
    All,
}

impl Challenge {
    /// Asks, compares, and prints.
    pub fn run(&self, context: &Context) -> Result<Exit, Failure> {
        let views = self.to.open()?;
        let (mut caches, mut paths) = (Vec::new(), Vec::new());
        for thing in &self.things {
            match thing.parse::<StorePath>() {
                Ok(path) => paths.push(path),
                Err(_) => caches.push(Cache::parse(thing)?),
            }
        }
        let store = context.store()?;
        let found = challenge(&Request {
            caches: &caches,
            paths: &paths,
            closure: self.closure,
            keys: &self.trusted_public_keys,
            bits: match self.bits {
                Which::None => Bits::None,
                Which::Disagreeing => Bits::Disagreeing,
                Which::All => Bits::All,
            },
            most: self.most,
            jobs: JOBS,
            store: &store,
        })?;
        views.json.write(&report::document(&found))?;
        views.write(|| report::subjects(&found))?;
        if !views.is_stdout() {
            let mut text = Vec::new();
            report::write(&mut text, &found, self.shown.detail())
                .and_then(|()| anstream::stdout().write_all(&text))
                .map_err(|error| Failure::io("standard output", &error))?;
        }
        Ok(exit(&found))
    }
}

fn exit(found: &Challenged) -> Exit {
    let unlisted = if found.unlisted.is_empty() { Exit::Success } else { Exit::NotChecked };
    // That there was nothing to compare is not that all agree.
    let nothing = if found.paths.is_empty() { Exit::NotChecked } else { Exit::Success };
    found.paths.iter().fold(unlisted.and(nothing), |exit, result| {
        let mut exit = exit.and(match result.verdict {
            Verdict::Agree => Exit::Success,
            Verdict::Diverged => Exit::DIVERGED,
            Verdict::NotChecked => Exit::NotChecked,
        });
        for said in result.groups.iter().flat_map(|group| &group.said) {
            if let Given::Lie(_) = said.given {
                exit = exit.and(Exit::HASH_MISMATCH);
            }
            if let Given::Failed(_) = said.given {
                exit = exit.and(Exit::NotChecked);
            }
            if !said.claim.signatures.wrong.is_empty() {
                exit = exit.and(Exit::Unsigned);
            }
        }
        exit
    })
}

impl From<ChallengeError> for Failure {
    fn from(error: ChallengeError) -> Self {
        let exit = match &error {
            ChallengeError::Location(error) => super::exit_of_location(error),
            ChallengeError::Store(_) => Exit::Internal,
            _ => Exit::Usage,
        };
        let hint = matches!(error, challenge::ChallengeError::TooFew { .. });
        let failure = Failure::new(error.code(), &error, exit);
        if hint { failure.hint("`host` is this host's own store") } else { failure }
    }
}
