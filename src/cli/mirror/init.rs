//! `reprove mirror init`: an empty mirror, its policy, and a key to sign with.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use clap::Args;

use crate::{
    cli::{Context, Exit, Failure, read},
    mirror::{
        Mirror,
        location::Location,
        policy::{self, Policy},
    },
    nix::secret_key,
    report::escape::escape,
};

/// Make a mirror: what it admits and who says so is fixed from then on.
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
    pub fn run(&self, _context: &Context) -> Result<Exit, Failure> {
        let location = Location::parse(&self.location)?;
        let text = match &self.policy {
            Some(file) => read::text(file, policy::MAX_LEN)?,
            None => String::new(),
        };
        if !self.key.exists() {
            make_key(&self.key, &self.key_name)
                .map_err(|error| Failure::io(self.key.display().to_string(), &error))?;
        }
        let key = read::secret_key(&self.key)?;
        let policy = Policy::from_toml(&text, &key)?;
        let mirror = Mirror::init(location, policy, &key)?;
        let mut out = anstream::stdout().lock();
        for signer in &mirror.policy().signers {
            for key in &signer.keys {
                writeln!(out, "{}", escape(key)).map_err(|error| Failure::io("standard output", &error))?;
            }
        }
        Ok(Exit::Success)
    }
}

/// Writes a new key that nobody else can read.
fn make_key(file: &Path, name: &str) -> io::Result<()> {
    let mut secret = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut secret)?;
    let mut to = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    to.write_all(secret_key::spelled(name, &secret).as_bytes())?;
    to.sync_all()
}
