//! `reprove attest`: verdicts as signed statements, and what such statements say.

use std::{io::Write as _, path::PathBuf};

use clap::{Args, Subcommand};

use super::{Context, Exit, Failure, document::deliver, read};
use crate::{
    attest::{
        AttestError,
        check::{self, Attested, Said},
        envelope::{Envelope, IN_TOTO},
        make,
        verdict::VerdictPredicate,
    },
    build::RunRecord,
    nix::{nar::NarHasher, signature::PublicKey},
    report::escape::escape,
    store,
};

/// Write verdicts as signed in-toto statements, and check such statements, offline.
#[derive(Debug, Args)]
pub struct Attest {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Make(Make),
    Verify(Verify),
}

/// Write what `reprove verify --json` found as signed statements: for each output how it was built (SLSA provenance v1)
/// and the verdict with each machine run, in DSSE envelopes, one a line
#[derive(Debug, Args)]
struct Make {
    /// The document that `verify --json` wrote
    document: PathBuf,
    /// The ed25519 key to sign with, as `nix key generate-secret` makes them
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Where the envelopes go
    #[arg(long, value_name = "FILE", default_value = "-")]
    to: PathBuf,
}

/// Check signed statements, and print what they say.
///
/// Exit codes: 0 every verdict is that bits were reproduced, 102 a file given has other bits, 104 a verdict is that bits
/// differ, 121 a statement is not signed by the keys given, 122 a verdict is that nothing was compared.
#[derive(Debug, Args)]
struct Verify {
    /// Envelopes, one a line
    envelopes: PathBuf,
    /// A key to believe, NAME:BASE64, as `nix key convert-secret-to-public` prints it
    #[arg(long, value_name = "KEY", required = true)]
    key: Vec<PublicKey>,
    /// Check also that this file or folder is what one of the statements is about
    #[arg(long, value_name = "PATH")]
    subject: Vec<PathBuf>,
}

impl Attest {
    /// Runs the verb.
    pub fn run(&self, context: &Context) -> Result<Exit, Failure> {
        match &self.verb {
            Verb::Make(verb) => verb.run(context),
            Verb::Verify(verb) => verb.run(),
        }
    }
}

impl Make {
    fn run(&self, context: &Context) -> Result<Exit, Failure> {
        let key = read::secret_key(&self.key)?;
        let document = read::named(&self.document, make::MAX_LEN)?;
        let store = context.store()?;
        let record = |run: &str| -> Result<RunRecord, AttestError> {
            let missing = || AttestError::NoRun { run: run.to_owned() };
            let id = run.parse().map_err(|_| missing())?;
            let kept = store.run(id).ok().flatten().ok_or_else(missing)?;
            kept.record().map_err(|error| AttestError::Malformed { why: error.to_string() })
        };
        let statements = make::statements(&document, &record)
            .map_err(|error| Failure::from(error).about(self.document.display()))?;
        let mut lines = Vec::new();
        for statement in &statements {
            let failed = |error: serde_json::Error| Failure::io("a statement", &error.into());
            let envelope = Envelope::sign(IN_TOTO, &serde_json::to_vec(statement).map_err(failed)?, &key);
            lines.extend(serde_json::to_vec(&envelope).map_err(failed)?);
            lines.push(b'\n');
        }
        if statements.is_empty() {
            return Err(Failure {
                exit: Exit::NotChecked,
                ..Failure::usage("no output of it has bits to speak of")
            });
        }
        deliver(&self.to, &lines)?;
        Ok(Exit::Success)
    }
}

impl Verify {
    fn run(&self) -> Result<Exit, Failure> {
        let lines = read::named(&self.envelopes, check::MAX_LEN)?;
        let attested = check::check(&lines, &self.key)
            .map_err(|error| Failure::from(error).about(self.envelopes.display()))?;
        let mut out = anstream::stdout().lock();
        let mut exit = Exit::NotChecked;
        let mut verdicts = Vec::new();
        for Attested { path, nar_hash, signers, said } in &attested {
            let signers = signers.join(", ");
            let line = match said {
                Said::Provenance(how) => format!("built by     {}", escape(&how.run_details.builder.id)),
                Said::Verdict(what) => {
                    verdicts.push(verdict(&what.verdict));
                    told(what)
                }
            };
            writeln!(out, "{path}  {nar_hash}\n  {line}, signed by {}", escape(&signers))
                .map_err(|error| Failure::io("standard output", &error))?;
        }
        if !verdicts.is_empty() {
            exit = verdicts.into_iter().fold(Exit::Success, Exit::and);
        }
        for path in &self.subject {
            let (hash, _) = store::write_nar(path, NarHasher::default())?.finish();
            if !attested.iter().any(|one| one.nar_hash == hash) {
                let mut failure = Failure::usage(format!(
                    "{}: its NAR hash is {hash}, of which nothing is said",
                    path.display()
                ));
                failure.exit = Exit::HASH_MISMATCH;
                failure.print();
                exit = exit.and(failure.exit);
            }
        }
        Ok(exit)
    }
}

/// A verdict in a line, with what it rests on.
fn told(what: &VerdictPredicate) -> String {
    let mut line =
        format!("{:<12} level {} ({})", escape(&what.verdict), what.level, escape(&what.level_name));
    if !what.policies.is_empty() {
        line += &format!(", with {}", escape(&what.policies.join(", ")));
    }
    match what.taken_on_trust.len() {
        0 => {}
        1 => line += ", 1 input taken on trust",
        taken => line += &format!(", {taken} inputs taken on trust"),
    }
    line
}

/// What a verdict means to the shell. One that is not known is none.
fn verdict(verdict: &str) -> Exit {
    match verdict {
        "reproduced" | "equivalent" => Exit::Success,
        "diverged" => Exit::DIVERGED,
        _ => Exit::NotChecked,
    }
}

impl From<AttestError> for Failure {
    fn from(error: AttestError) -> Self {
        let exit = match error {
            AttestError::Untrusted { .. } | AttestError::Contradiction { .. } => Exit::Unsigned,
            AttestError::NoRun { .. } => Exit::NotChecked,
            _ => Exit::Usage,
        };
        Failure::new(error.code(), &error, exit)
    }
}
