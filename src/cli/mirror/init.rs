//! `reprove mirror init`: an empty mirror, its policy, and a key to sign with.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use clap::Args;

use super::{page, to_write};
use crate::{
    cli::{Context, Exit, Failure, read},
    mirror::{
        Mirror, check_signer,
        policy::{self, Policy},
    },
    nix::secret_key::{self, SecretKey},
    release::sign::SignError,
    report::escape::escape,
};

/// Make a mirror: what it admits and who says so is fixed from then on.
///
/// Where several signers have to agree, they have to agree about that first: each of them runs this with the same policy and a key of
/// their own, and `mirror.json` gets their signature. One that is another one is refused.
#[derive(Debug, Args)]
pub struct Init {
    /// Where it is to lie: a folder, s3://BUCKET/PREFIX, gs://… or az://…
    #[arg(value_name = "LOCATION")]
    location: String,
    /// The ed25519 key to sign with, as `nix key generate-secret` makes them; it is made when FILE is not there
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The name of a key that is made
    #[arg(long, value_name = "NAME", default_value = "mirror-1")]
    key_name: String,
    /// What the mirror admits, in TOML [default: riscv64-linux in the embedded machine, two rounds, level 2, this key]
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
}

impl Init {
    /// Makes it, and prints what others have to trust.
    pub fn run(&self, context: &Context) -> Result<Exit, Failure> {
        let location = to_write(&self.location)?;
        let text = match &self.policy {
            Some(file) => read::text(file, policy::MAX_LEN)?,
            None => String::new(),
        };
        // Nothing is made for a policy that is none: neither the mirror nor the key.
        let (key, new) = if self.key.exists() {
            (read::secret_key(&self.key)?, None)
        } else {
            let (key, text) = self.new_key()?;
            (key, Some(text))
        };
        let policy = Policy::from_toml(&text, &key)?;
        policy.check_feasible()?;
        check_signer(&policy.signers()?, &key)?;
        if let Some(text) = new {
            write_key(&self.key, &text)
                .map_err(|error| Failure::io(self.key.display().to_string(), &error))?;
        }
        let mirror = Mirror::init(location, policy, &key)?;
        // It says who stands for the policy.
        page::renew(&mirror)?;
        let mut out = anstream::stdout().lock();
        for signer in &mirror.policy().signers {
            for key in &signer.keys {
                writeln!(out, "{}", escape(key)).map_err(|error| Failure::io("standard output", &error))?;
            }
        }
        let (stand, needed) = (mirror.stand_for_policy()?, mirror.policy().threshold);
        if stand.len() < needed {
            context.progress.line(&format!(
                "{needed} signers have to agree about this policy, and {} has signed it: the others run the same command with their keys",
                escape(&stand.join(", ")),
            ));
        }
        context.progress.line(&format!(
            "next: reprove mirror populate {} INSTALLABLE --key {} (what it rests on: --seed PATH --why TEXT)",
            escape(&self.location),
            escape(&self.key.display().to_string()),
        ));
        Ok(Exit::Success)
    }

    /// A key that is not written yet, and how it is spelled.
    fn new_key(&self) -> Result<(SecretKey, String), Failure> {
        if !secret_key::is_name(&self.key_name) {
            let message = format!("`{}` is no name for a key", self.key_name.escape_debug());
            return Err(Failure::usage(message)
                .hint("letters, digits and signs but colon, comma, semicolon and quotes; as in `--key-name cache.example.org-1`"));
        }
        let mut secret = [0; 32];
        let random = File::open("/dev/urandom").and_then(|mut from| from.read_exact(&mut secret));
        random.map_err(|error| Failure::io("/dev/urandom", &error))?;
        let text = secret_key::spelled(&self.key_name, &secret);
        let key = text.parse().map_err(|source| SignError::SecretKey { file: self.key.clone(), source })?;
        Ok((key, text))
    }
}

/// Writes a new key that nobody else can read.
fn write_key(file: &Path, text: &str) -> io::Result<()> {
    let mut to = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    to.write_all(text.as_bytes())?;
    to.sync_all()
}
