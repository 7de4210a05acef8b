//! Our artefact store: NARs, path records and run records by hash, crash-safe.
//!
//! | below the state directory | what |
//! |---|---|
//! | `version` | number of this layout |
//! | `nar/<base-32 of the NAR hash>.nar` | plain NARs, named by what they hold |
//! | `paths/<base name of the store path>.json` | [`PathInfo`]: which NAR a store path is, and where it came from |
//! | `runs/<run id>/` | [`Run`]: `run.json`, `record.json` and attachments, named by the hash of `run.json` |
//! | `rounds/<hash of the key>.json` | [`Round`]: rounds of a verification that are done |
//! | `files/` | files given by hand for fixed-output derivations; the `source` room's |
//! | `nix/` | the evaluator's own store; the `flake` room's |
//! | `checkpoints/` | states of long runs, for the case of an interruption; the `machine` room's |
//! | `locks/`, `tmp/` | advisory locks; what is being written |
//!
//! Files and no database: every object is immutable and has its name from its content or its store path, so
//! a rename is all the transaction there is to make; `kill -9`, a full disk and two processes at once are then
//! the file system's well-trodden ground, and a person can look with `ls`. What a database would buy, queries,
//! nobody needs: runs of a derivation are found by reading a few hundred bytes per run.
//!
//! The order in which things become durable: the NAR's bytes, its name, then the path record that speaks of it.
//! A crash between two steps leaves an unreferenced NAR, never a reference to nothing.

mod batch;
mod check;
mod contents;
mod error;
mod explanations;
mod folder;
mod gc;
mod lock;
mod nars;
mod pack;
mod paths;
mod rounds;
mod runs;
mod tmp;
mod tree_error;
mod unpack;

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tree_tests;

pub use batch::{Batch, batches, references_first};
pub use check::{Checked, Finding, Report};
pub use contents::{FileContent, FileTree};
pub use error::StoreError;
pub use explanations::EXPLANATIONS;
pub use folder::FolderTree;
pub use gc::{Freed, Keep};
pub use lock::Guard;
pub use nars::{Nar, NarSink};
pub(crate) use pack::{kind as kind_of_file, sorted_names};
pub use pack::{pack, write_nar};
pub use paths::{Origin, PathInfo, Registered};
pub use rounds::{Round, RoundKey, RoundOutput};
pub use runs::{Part, Run, RunId};
pub use tmp::{Pending, Scratch, sweep};
pub use tree_error::TreeError;
pub use unpack::unpack;

use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use error::Context as _;

/// The layout this program reads and writes.
const VERSION: u32 = 1;

/// Everything that may lie in a state directory; anything else means that the directory is not ours.
const ENTRIES: [&str; 10] =
    ["version", "nar", "paths", "runs", "rounds", "files", "nix", "nix-home", "locks", "tmp"];

/// Records are small documents; a larger file is damage, not a record.
const RECORD_LIMIT: u64 = 64 << 20;

/// A store, open. Any number of processes may have the same one open.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    /// Held shared while the store is open, so that garbage collection never meets a writer between its NAR
    /// and its path record.
    in_use: File,
}

impl Store {
    /// Opens the store at `root`, makes it when there is none, and removes what killed processes left in `tmp/`.
    ///
    /// # Errors
    /// [`StoreError::Newer`] for a layout of a later release, [`StoreError::NotAStore`] for a directory that
    /// holds something else.
    pub fn open(root: &Path) -> Result<Store, StoreError> {
        fs::create_dir_all(root).context("make the state directory", root)?;
        // The directory is held by its real name: a later change of directory must not move the store.
        let root = fs::canonicalize(root).context("find the state directory", root)?;
        if !check_version(&root)? {
            refuse_foreign(&root)?;
            for entry in ENTRIES.iter().filter(|entry| **entry != "version") {
                let dir = root.join(entry);
                match fs::create_dir(&dir) {
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                    made => made.context("make", &dir)?,
                }
            }
            let mut version = Pending::new(&root.join("tmp"))?;
            writeln!(version.file(), "{VERSION}").context("write", &root.join("version"))?;
            version.replace(&root.join("version"))?;
            check_version(&root)?;
        }
        let in_use = lock::open(&root.join("locks/in-use"))?;
        lock::shared(&in_use).context("lock", &root.join("locks/in-use"))?;
        tmp::sweep(&root.join("tmp"))?;
        Ok(Store { root, in_use })
    }

    /// The state directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where files given by hand lie; what is in it is the `source` room's business.
    pub fn files_dir(&self) -> PathBuf {
        self.dir("files")
    }

    /// The evaluator's own store; what is in it is the `flake` room's business.
    pub fn nix_dir(&self) -> PathBuf {
        self.dir("nix")
    }

    /// A private directory for drives and other large intermediate files, gone when dropped, and gone after a
    /// crash with the next [`Store::open`].
    pub fn scratch(&self) -> Result<Scratch, StoreError> {
        Scratch::new(&self.dir("tmp"))
    }

    /// A file to be written and then put in its place as a whole, anywhere below the state directory.
    pub fn pending(&self) -> Result<Pending, StoreError> {
        Pending::new(&self.dir("tmp"))
    }

    fn dir(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }
}

/// Whether there is a `version`; an error when it is not one we can work with.
fn check_version(root: &Path) -> Result<bool, StoreError> {
    let file = root.join("version");
    let Some(text) = read_record(&file)? else { return Ok(false) };
    let found = std::str::from_utf8(&text).ok().and_then(|text| text.trim_end().parse::<u32>().ok());
    match found {
        Some(VERSION) => Ok(true),
        Some(found) if found > VERSION => {
            Err(StoreError::Newer { root: root.to_owned(), found, known: VERSION })
        }
        _ => Err(StoreError::Damaged { file, why: "not a layout number".to_owned() }),
    }
}

/// A directory without a version is made into a store only when it is empty, or when all that is in it is what
/// an interrupted [`Store::open`] leaves.
fn refuse_foreign(root: &Path) -> Result<(), StoreError> {
    for entry in fs::read_dir(root).context("list", root)? {
        let name = entry.context("list", root)?.file_name();
        if !ENTRIES.iter().any(|known| name == **known) {
            return Err(StoreError::NotAStore { root: root.to_owned(), entry: name });
        }
    }
    Ok(())
}

/// The bytes of a small file; `None` when it is not there.
fn read_record(file: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    let reader = match File::open(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.context("open", file)?,
    };
    let mut bytes = Vec::new();
    reader.take(RECORD_LIMIT + 1).read_to_end(&mut bytes).context("read", file)?;
    if bytes.len() as u64 > RECORD_LIMIT {
        return Err(StoreError::Damaged {
            file: file.to_owned(),
            why: format!("over {RECORD_LIMIT} bytes long, no record is"),
        });
    }
    Ok(Some(bytes))
}

/// The file names in `dir` that are UTF-8, sorted. Every name of ours is; others are for [`Store::verify`] to report.
fn names(dir: &Path) -> Result<Vec<std::ffi::OsString>, StoreError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).context("list", dir)? {
        names.push(entry.context("list", dir)?.file_name());
    }
    names.sort();
    Ok(names)
}

/// Makes the names in `dir` durable.
fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    File::open(dir).and_then(|dir| dir.sync_all()).context("make durable", dir)
}
