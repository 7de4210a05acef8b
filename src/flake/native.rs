//! Native builds by `nix` in the store of our own: a reference to compare with.

use std::{
    collections::BTreeSet,
    io::{self, Cursor, Read, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    ChrootStore, DrvFolder, FlakeError, Nix,
    process::{self, Finished},
    quote::quote,
};
use crate::{
    graph::Node,
    nix::{nar::Writer, store_path::StorePath},
};

/// Most paths given to `nix` at once; the kernel bounds an argument vector.
const PATHS_AT_ONCE: usize = 1000;

/// How far a native build may go.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Wall-clock time of everything.
    pub time: Duration,
    /// Time without a line of log.
    pub silence: Duration,
    /// Value of `NIX_BUILD_CORES`.
    pub cores: u32,
}

/// A store object to give to `nix`.
pub struct Object<'a> {
    /// Its path.
    pub path: &'a StorePath,
    /// Its contents as a NAR, exactly one.
    pub nar: Box<dyn Read + Send + 'a>,
    /// What it refers to.
    pub references: &'a BTreeSet<StorePath>,
}

/// `nix` building in the store of our own. It never asks the network: sources are imported first.
#[derive(Clone, Debug)]
pub struct Native {
    nix: Nix,
    store: ChrootStore,
}

impl Native {
    pub(super) fn new(nix: Nix, store: ChrootStore) -> Native {
        Native { nix, store }
    }

    /// Where the files of a store path are, once it is valid.
    pub fn file_of(&self, path: &StorePath) -> PathBuf {
        self.folder().file_of(path)
    }

    /// The files of the store.
    pub fn folder(&self) -> DrvFolder {
        self.store.folder()
    }

    /// Those of `paths` that are not valid in the store.
    pub fn missing(&self, paths: &BTreeSet<StorePath>) -> Result<BTreeSet<StorePath>, FlakeError> {
        let mut missing = BTreeSet::new();
        let all: Vec<&StorePath> = paths.iter().collect();
        for some in all.chunks(PATHS_AT_ONCE) {
            let mut command = self.nix.command("nix-store", &self.store);
            command.arg("--store").arg(self.store.address());
            command.args(["--check-validity", "--print-invalid"]);
            command.args(some.iter().map(|path| path.to_string()));
            let finished = process::run(&mut command, Duration::from_secs(600), None)
                .map_err(|failure| FlakeError::of_failure("nix-store --check-validity", failure))?;
            if !finished.status.success() {
                return Err(FlakeError::Store {
                    doing: "looking for valid paths",
                    message: quote(&finished.stderr),
                });
            }
            for line in finished.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                let path = StorePath::parse(line).map_err(|error| FlakeError::Store {
                    doing: "looking for valid paths",
                    message: error.to_string(),
                })?;
                missing.insert(path);
            }
        }
        Ok(missing)
    }

    /// Gives objects to the store, in an order where what an object refers to comes before it. What is valid already
    /// stays as it is. `nix` writes each to a temporary place and registers it last, so this can be interrupted
    /// at any moment.
    ///
    /// The caller answers for contents and paths belonging together: `nix` believes an import.
    pub fn import<'a>(
        &self,
        objects: impl IntoIterator<Item = io::Result<Object<'a>>> + Send,
        limit: Duration,
    ) -> Result<(), FlakeError> {
        let mut command = self.nix.command("nix-store", &self.store);
        command.arg("--store").arg(self.store.address()).arg("--import");
        let mut objects = Some(objects);
        let mut feed = |out: &mut dyn Write| match objects.take() {
            Some(objects) => export(objects, out),
            None => Ok(()),
        };
        let finished = process::run(&mut command, limit, Some(&mut feed))
            .map_err(|failure| FlakeError::of_failure("nix-store --import", failure))?;
        match finished.status.success() {
            true => Ok(()),
            false => {
                Err(FlakeError::Store { doing: "importing store objects", message: quote(&finished.stderr) })
            }
        }
    }

    /// Gives derivations to the store that another evaluator wrote, leaves first. What they name besides each other must
    /// be there already.
    pub fn import_derivations(&self, nodes: &[&Node], limit: Duration) -> Result<(), FlakeError> {
        let missing = self.missing(&nodes.iter().map(|node| node.drv.clone()).collect())?;
        let nodes = nodes.iter().filter(|node| missing.contains(&node.drv));
        let named: Vec<(&Node, BTreeSet<StorePath>)> =
            nodes.map(|node| (*node, node.derivation.references().cloned().collect())).collect();
        let objects = named.iter().map(|(node, references)| {
            // A derivation that was read is canonical: this is the very text of its file.
            let text = node.derivation.serialise();
            let mut nar = Writer::new(Vec::new());
            nar.regular(false, text.len() as u64, text.as_slice()).map_err(io::Error::other)?;
            let nar = nar.finish().map_err(io::Error::other)?;
            Ok(Object { path: &node.drv, nar: Box::new(Cursor::new(nar)), references })
        });
        self.import(objects, limit)
    }

    /// Copies a derivation and everything it needs into the store below another folder.
    pub fn copy_derivations(&self, drv: &StorePath, to: &Path, limit: Duration) -> Result<(), FlakeError> {
        let to = std::path::absolute(to)
            .map_err(|error| FlakeError::StateDir { path: to.to_owned(), why: error.to_string() })?;
        let mut command = self.nix.command("nix", &self.store);
        command.args(["copy", "--derivation", "--no-check-sigs", "--from"]).arg(self.store.address());
        command.arg("--to").arg(&to).arg(drv.to_string());
        let finished = process::run(&mut command, limit, None)
            .map_err(|failure| FlakeError::of_failure("nix copy", failure))?;
        match finished.status.success() {
            true => Ok(()),
            false => {
                Err(FlakeError::Store { doing: "copying derivations", message: quote(&finished.stderr) })
            }
        }
    }

    /// Builds a derivation that was evaluated into the store, with everything it still needs. Afterwards its outputs
    /// are valid; [`file_of`](Self::file_of) says where.
    pub fn realise(&self, drv: &StorePath, limits: Limits) -> Result<(), FlakeError> {
        let mut command = self.nix.command("nix-store", &self.store);
        command.arg("--store").arg(self.store.address());
        command.args(["--realise", "--no-gc-warning", "--option", "substitute", "false"]);
        command.args(["--option", "sandbox-fallback", "false", "--max-jobs", "1"]);
        command.args(["--cores", &limits.cores.to_string()]);
        command.args(["--timeout", &limits.time.as_secs().max(1).to_string()]);
        command.args(["--max-silent-time", &limits.silence.as_secs().max(1).to_string()]);
        command.arg(drv.to_string());
        let finished = process::run(&mut command, limits.time, None).map_err(|failure| match failure {
            process::Failure::TimedOut(stderr) => {
                FlakeError::NativeTimedOut { drv: drv.clone(), message: quote(&stderr) }
            }
            other => FlakeError::of_failure(&format!("building {drv} natively"), other),
        })?;
        judge(drv, &finished)
    }
}

/// Nix's exit codes: 100, plus 1 for a timeout, 2 for a hash mismatch, 8 for a check that failed.
fn judge(drv: &StorePath, finished: &Finished) -> Result<(), FlakeError> {
    let message = || quote(&finished.stderr);
    match finished.status.code() {
        Some(0) => Ok(()),
        Some(code @ 100..=111) if (code - 100) & 1 != 0 => {
            Err(FlakeError::NativeTimedOut { drv: drv.clone(), message: message() })
        }
        _ => Err(FlakeError::NativeBuild { drv: drv.clone(), status: finished.status, message: message() }),
    }
}

/// Marks the end of a NAR in an export; Nix's `export-import.cc`.
const EXPORT_MAGIC: u64 = 0x4558_494e;

/// Writes the format of `nix-store --export`: for each object 1, its NAR, a mark, path, references, deriver (none
/// here) and 0; a 0 at the end. Numbers are 64 bits, little-endian; texts have a length in front and are padded.
fn export<'a>(
    objects: impl IntoIterator<Item = io::Result<Object<'a>>>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut out = io::BufWriter::with_capacity(1 << 16, out);
    for object in objects {
        let Object { path, mut nar, references } = object?;
        number(&mut out, 1)?;
        io::copy(&mut nar, &mut out)?;
        number(&mut out, EXPORT_MAGIC)?;
        text(&mut out, path.to_string().as_bytes())?;
        number(&mut out, references.len() as u64)?;
        for reference in references {
            text(&mut out, reference.to_string().as_bytes())?;
        }
        text(&mut out, b"")?;
        number(&mut out, 0)?;
    }
    number(&mut out, 0)?;
    out.flush()
}

fn number(out: &mut impl Write, number: u64) -> io::Result<()> {
    out.write_all(&number.to_le_bytes())
}

fn text(out: &mut impl Write, text: &[u8]) -> io::Result<()> {
    number(out, text.len() as u64)?;
    out.write_all(text)?;
    out.write_all(&[0; 8][..text.len().next_multiple_of(8) - text.len()])
}
