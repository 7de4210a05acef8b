//! Where sources may be looked for.

use clap::Args;

use super::{Context, Exit, Failure};
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
    /// Ask no network: no package client, no fetching by `nix`
    #[arg(long)]
    offline: bool,
}

impl Sourcing {
    /// Everything that may be asked.
    pub fn provider<'store>(
        &self,
        context: &Context,
        store: &'store Store,
    ) -> Result<Provider<'store>, Failure> {
        let mut provider = Provider::new(store);
        for base in &self.mirrors {
            let mirror = Mirror::new(base).map_err(SourceError::from)?;
            provider = provider.with_mirror(mirror);
        }
        if self.offline {
            return Ok(provider);
        }
        let state = context.state_dir()?;
        // A machine without apt has no package client to ask; a source that needs one says so then.
        if let Ok(archives) = Archives::of_machine() {
            provider = provider.with_packages(Apt::new(&state.join("apt"), archives));
        }
        Ok(provider.with_nix(NixProgram::new(&store.nix_dir(), Natively::Builtins)))
    }
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        let exit = if error.is_hash_mismatch() { Exit::HASH_MISMATCH } else { Exit::NotChecked };
        Failure::new(error.code(), &error, exit)
    }
}
