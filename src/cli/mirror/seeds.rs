//! `--seed` and `--why`: what is taken as it is.

use clap::{Args, builder::NonEmptyStringValueParser};

use crate::nix::store_path::StorePath;

/// What is taken as it is, and why.
#[derive(Debug, Args)]
pub struct Seeds {
    /// Take this store path, and what it refers to, as it is: from our store, the host's, or, to fill a mirror, a cache
    #[arg(long = "seed", value_name = "PATH", requires = "why")]
    pub seeds: Vec<StorePath>,
    /// Why the seeds are taken as they are: it is recorded, and signed
    #[arg(long, value_name = "TEXT", requires = "seeds", value_parser = NonEmptyStringValueParser::new())]
    why: Option<String>,
}

impl Seeds {
    /// Why; nothing where there are none.
    pub fn why(&self) -> &str {
        self.why.as_deref().unwrap_or_default()
    }
}
