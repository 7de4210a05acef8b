//! Where sources may be looked for.

use std::path::Path;

use clap::Args;

use super::{Exit, Failure};
use crate::{
    source::{
        Mirror, Natively, NixProgram, Provider, SourceError,
        apt::{Apt, Archives},
    },
    store::Store,
};

/// Where sources may be looked for besides our store and the files added to it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Sources")]
pub struct Sourcing {
    /// A hashed mirror: sources are asked for at BASE/sha256/HASH
    #[arg(long = "mirror", value_name = "BASE")]
    mirrors: Vec<String>,
    /// The mirror of the Debian archive that packages are taken from [default: the one this machine's apt uses]
    #[arg(long, value_name = "URI", value_parser = Archives::at)]
    apt_mirror: Option<Archives>,
    /// Ask no network: no package client, no fetching by `nix`
    #[arg(long)]
    offline: bool,
}

impl Sourcing {
    /// The machine's package client, with its private state below `state`. Whether there is one shows when it is asked.
    pub fn apt(&self, state: &Path) -> Apt {
        let root = state.join("apt");
        match &self.apt_mirror {
            Some(archives) => Apt::new(&root, archives.clone()),
            None => Apt::of_machine(&root),
        }
    }

    /// Everything that may be asked.
    pub fn provider<'store>(&self, state: &Path, store: &'store Store) -> Result<Provider<'store>, Failure> {
        let mut provider = Provider::new(store);
        for base in &self.mirrors {
            let mirror = Mirror::new(base).map_err(SourceError::from)?;
            provider = provider.with_mirror(mirror);
        }
        if self.offline {
            return Ok(provider);
        }
        let nix = NixProgram::new(&store.nix_dir(), Natively::Builtins);
        Ok(provider.with_packages(self.apt(state)).with_nix(nix))
    }
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        let exit = if error.is_hash_mismatch() { Exit::HASH_MISMATCH } else { Exit::NotChecked };
        Failure::new(error.code(), &error, exit)
    }
}
