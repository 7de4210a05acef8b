//! Removes what nothing needs any more.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    Origin, RunId, Store, StoreError, check::nar_name, error::Context as _, lock, names, rounds, sync_dir,
    tmp,
};
use crate::nix::store_path::StorePath;

/// What a garbage collection keeps.
#[derive(Clone, Debug)]
pub struct Keep {
    /// Paths to keep, with everything they refer to; `None` keeps every registered path.
    pub roots: Option<Vec<StorePath>>,
    /// How many runs to keep of each derivation, the newest first. A run that built a path that is kept is kept
    /// in any case, and so is what a kept run's round gave.
    pub runs: usize,
}

/// What a garbage collection removed, or would remove.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Freed {
    /// NARs.
    pub nars: u64,
    /// Path records.
    pub paths: u64,
    /// Runs.
    pub runs: u64,
    /// Rounds.
    pub rounds: u64,
    /// States of runs that were interrupted.
    pub checkpoints: u64,
    /// Bytes of all that.
    pub bytes: u64,
}

/// Files to be removed, in the order in which names must go: never a name before what depends on it.
#[derive(Default)]
struct Garbage {
    checkpoints: Vec<PathBuf>,
    rounds: Vec<PathBuf>,
    paths: Vec<PathBuf>,
    runs: Vec<PathBuf>,
    nars: Vec<PathBuf>,
}

impl Store {
    /// Removes NARs that nothing names, paths outside the roots' closure, old runs, and the states of runs that were interrupted.
    /// Needs the store alone: [`StoreError::InUse`] while another process has it open, as every one that runs a machine has.
    ///
    /// # Errors
    /// A damaged record stops it before anything is removed: what a record that cannot be read needs is unknown.
    pub fn gc(&mut self, keep: &Keep) -> Result<Freed, StoreError> {
        self.alone(|store| {
            let garbage = store.garbage(keep)?;
            let freed = garbage.size()?;
            for (dir, files) in garbage.in_order().into_iter().filter(|(_, files)| !files.is_empty()) {
                for file in files {
                    tmp::remove(file).context("remove", file)?;
                }
                sync_dir(&store.dir(dir))?;
            }
            store.remove_lock_files()?;
            Ok(freed)
        })
    }

    /// What [`Store::gc`] would remove now.
    pub fn would_free(&self, keep: &Keep) -> Result<Freed, StoreError> {
        self.garbage(keep)?.size()
    }

    fn garbage(&self, keep: &Keep) -> Result<Garbage, StoreError> {
        let mut garbage = Garbage::default();
        let kept_paths = match &keep.roots {
            None => None,
            Some(roots) => {
                Some(self.closure(roots)?.into_iter().map(|info| info.path).collect::<HashSet<_>>())
            }
        };
        let (mut nars, mut runs) = (HashSet::new(), BTreeSet::new());
        for info in self.paths()? {
            let info = info?;
            if kept_paths.as_ref().is_some_and(|kept| !kept.contains(&info.path)) {
                garbage.paths.push(self.path_file(&info.path));
                continue;
            }
            nars.insert(info.nar_hash);
            if let Origin::Built { run } = info.origin {
                runs.insert(run);
            }
        }
        garbage.runs = self.old_runs(keep.runs, &mut runs)?;
        let dir = self.dir("rounds");
        for name in names(&dir)? {
            let file = dir.join(name);
            match rounds::read_round(&file)? {
                Some(saved) if runs.contains(&saved.round.run) => {
                    nars.extend(saved.round.outputs.values().map(|output| output.nar_hash));
                }
                _ => garbage.rounds.push(file),
            }
        }
        let dir = self.dir("checkpoints");
        if dir.is_dir() {
            garbage.checkpoints = names(&dir)?.into_iter().map(|name| dir.join(name)).collect();
        }
        let dir = self.dir("nar");
        for name in names(&dir)? {
            if nar_name(&name).is_none_or(|hash| !nars.contains(&hash)) {
                garbage.nars.push(dir.join(name));
            }
        }
        Ok(garbage)
    }

    /// The directories of runs that are neither in `kept` nor among the newest; the newest are added to `kept`.
    fn old_runs(&self, newest: usize, kept: &mut BTreeSet<RunId>) -> Result<Vec<PathBuf>, StoreError> {
        let mut seen: BTreeMap<StorePath, usize> = BTreeMap::new();
        let mut old = Vec::new();
        for run in self.runs()? {
            let run = run?;
            let seen = seen.entry(run.derivation).or_default();
            *seen += 1;
            if *seen <= newest {
                kept.insert(run.id);
            }
            if !kept.contains(&run.id) {
                old.push(self.run_dir(run.id));
            }
        }
        Ok(old)
    }

    /// While we are alone, no other process holds or waits for a derivation's lock; threads of our own may.
    fn remove_lock_files(&self) -> Result<(), StoreError> {
        let dir = self.dir("locks");
        for name in names(&dir)? {
            if Path::new(&name).extension().is_some_and(|extension| extension == "lock") {
                let file = dir.join(name);
                if lock::attempt_exclusive(&lock::open(&file)?).context("lock", &file)? {
                    fs::remove_file(&file).context("remove", &file)?;
                }
            }
        }
        Ok(())
    }
}

impl Garbage {
    fn in_order(&self) -> [(&'static str, &[PathBuf]); 5] {
        [
            ("checkpoints", &self.checkpoints),
            ("rounds", &self.rounds),
            ("paths", &self.paths),
            ("runs", &self.runs),
            ("nar", &self.nars),
        ]
    }

    fn size(&self) -> Result<Freed, StoreError> {
        let mut bytes = 0;
        for file in self.in_order().into_iter().flat_map(|(_, files)| files) {
            bytes += size(file).context("look at", file)?;
        }
        Ok(Freed {
            nars: self.nars.len() as u64,
            paths: self.paths.len() as u64,
            runs: self.runs.len() as u64,
            rounds: self.rounds.len() as u64,
            checkpoints: self.checkpoints.len() as u64,
            bytes,
        })
    }
}

/// Bytes of a file, or of the files in a directory of files.
fn size(path: &Path) -> io::Result<u64> {
    let metadata = fs::symlink_metadata(path)?;
    if !metadata.is_dir() {
        return Ok(metadata.len());
    }
    fs::read_dir(path)?.map(|entry| Ok(entry?.metadata()?.len())).sum()
}
