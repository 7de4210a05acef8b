//! `reprove mirror sources`: what a mirror keeps to be built again from, by every name it has.

use std::{fs::File, io::Write as _, path::PathBuf};

use clap::Args;

use crate::{
    cli::{Context, Exit, Failure},
    mirror::{Mirror, location::Location},
};

/// List the sources that a mirror keeps: SHA-256, IPFS' CID of the file as one raw block, size in bytes. With --car write them as
/// one archive.
#[derive(Debug, Args)]
pub struct Sources {
    /// The mirror
    #[arg(value_name = "LOCATION")]
    location: String,
    /// Write a CAR v1 archive of them all; FILE must not exist yet
    #[arg(long, value_name = "FILE")]
    car: Option<PathBuf>,
}

impl Sources {
    /// Lists or writes them.
    pub fn run(&self, _context: &Context) -> Result<Exit, Failure> {
        let mirror = Mirror::open(Location::parse(&self.location)?)?;
        let sources = mirror.sources()?;
        if let Some(path) = &self.car {
            let failed = |error: std::io::Error| Failure::io(path.display().to_string(), &error);
            let mut out = std::io::BufWriter::new(File::create_new(path).map_err(failed)?);
            let written = mirror.export(&sources, &mut out).map_err(Failure::from);
            let written = written.and_then(|()| out.flush().map_err(failed));
            if written.is_err() {
                // Half an archive is none.
                let _ = std::fs::remove_file(path);
            }
            return written.map(|()| Exit::Success);
        }
        let mut out = anstream::stdout().lock();
        for (hash, size) in &sources {
            writeln!(out, "{}  {}  {size}", hash.hex(), hash.cid())
                .map_err(|error| Failure::io("standard output", &error))?;
        }
        Ok(Exit::Success)
    }
}
