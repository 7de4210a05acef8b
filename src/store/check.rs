//! Looks whether everything in the store is what its name says.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    path::{Path, PathBuf},
};

use super::{Store, StoreError, error::Context as _, names, nars::hash_file, rounds, sync_dir, tmp};
use crate::nix::{hash::NarHash, store_path::StorePath};

/// One thing that was looked at, for progress.
#[derive(Clone, Copy, Debug)]
pub struct Checked<'a> {
    /// The file or directory.
    pub file: &'a Path,
    /// Bytes read of it.
    pub bytes: u64,
}

/// Something that is not what its name says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file, or the directory of a run.
    pub file: PathBuf,
    /// What is wrong, as a predicate or a sentence.
    pub why: String,
}

/// What [`Store::verify`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// NARs that were re-hashed.
    pub nars: u64,
    /// Their bytes.
    pub nar_bytes: u64,
    /// Path records that were read.
    pub paths: u64,
    /// Runs, each with every file of it re-hashed.
    pub runs: u64,
    /// Rounds that were read.
    pub rounds: u64,
    /// What is damaged; [`Store::repair`] removes it.
    pub corrupt: Vec<Finding>,
    /// References to paths that are not registered: who refers, to what. Not damage, but a closure that cannot
    /// be had.
    pub dangling: Vec<(StorePath, StorePath)>,
    /// Entries of `tmp/` that nobody is writing: left by killed processes, removed by the next [`Store::open`].
    pub abandoned: u64,
}

impl Report {
    /// Whether there is nothing to repair and nothing dangling.
    pub fn is_clean(&self) -> bool {
        self.corrupt.is_empty() && self.dangling.is_empty()
    }
}

impl Store {
    /// Re-hashes every NAR and every file of every run, reads every record, and follows every reference. Other
    /// processes may use the store meanwhile.
    ///
    /// # Errors
    /// Only what keeps it from looking; what it sees is in the report.
    pub fn verify(&self, progress: &mut dyn FnMut(Checked<'_>)) -> Result<Report, StoreError> {
        let mut report = Report::default();
        // Records first: a path registered while we look then has its NAR among those looked at later.
        let infos = self.check_paths(&mut report, progress)?;
        self.check_runs(&mut report, progress)?;
        let sound = self.check_nars(&mut report, progress)?;
        for (path, (hash, size)) in &infos {
            match sound.get(hash) {
                Some(Some(found)) if found == size => continue,
                // Somebody may have removed the record meanwhile, and then the NAR.
                None if self.path(path)?.is_none() => continue,
                None => report.finding(self.path_file(path), "its NAR is missing"),
                Some(None) => report.finding(self.path_file(path), "its NAR is damaged"),
                Some(Some(_)) => report.finding(self.path_file(path), "its NAR has another size"),
            }
        }
        self.check_rounds(&mut report, &sound, progress)?;
        report.abandoned = tmp::abandoned(&self.dir("tmp"))?;
        Ok(report)
    }

    /// Removes what a report calls corrupt, and forgets every path whose closure is not whole, for it or for what it had
    /// removed; gives those paths. Needs the store alone.
    pub fn repair(&mut self, report: &Report) -> Result<Vec<StorePath>, StoreError> {
        self.alone(|store| {
            for finding in &report.corrupt {
                if finding.file.strip_prefix(&store.root).is_ok() {
                    tmp::remove(&finding.file).context("remove", &finding.file)?;
                }
            }
            let forgotten = store.forget_open()?;
            ["paths", "runs", "rounds", "nar"].iter().try_for_each(|dir| sync_dir(&store.dir(dir)))?;
            Ok(forgotten)
        })
    }

    /// Forgets paths that refer to something that is not here, until none does.
    fn forget_open(&self) -> Result<Vec<StorePath>, StoreError> {
        let mut references: BTreeMap<StorePath, BTreeSet<StorePath>> = BTreeMap::new();
        for info in self.paths()? {
            let info = info?;
            references.insert(info.path, info.references);
        }
        let mut referrers: BTreeMap<&StorePath, Vec<&StorePath>> = BTreeMap::new();
        for (path, referred) in &references {
            for reference in referred {
                referrers.entry(reference).or_default().push(path);
            }
        }
        let absent = referrers.keys().filter(|path| !references.contains_key(**path));
        let mut left: Vec<&StorePath> = absent.copied().collect();
        let mut forgotten = BTreeSet::new();
        while let Some(gone) = left.pop() {
            for referrer in referrers.get(gone).into_iter().flatten() {
                if forgotten.insert((*referrer).clone()) {
                    self.forget(referrer)?;
                    left.push(referrer);
                }
            }
        }
        Ok(forgotten.into_iter().collect())
    }

    fn check_paths(
        &self,
        report: &mut Report,
        progress: &mut dyn FnMut(Checked<'_>),
    ) -> Result<BTreeMap<StorePath, (NarHash, u64)>, StoreError> {
        let (mut infos, mut referred) = (BTreeMap::new(), BTreeSet::new());
        for info in self.paths()? {
            report.paths += 1;
            let info = match info {
                Err(StoreError::Damaged { file, why }) => {
                    report.finding(file, why);
                    continue;
                }
                info => info?,
            };
            progress(Checked { file: &self.path_file(&info.path), bytes: 0 });
            referred.extend(info.references.into_iter().map(|reference| (info.path.clone(), reference)));
            infos.insert(info.path, (info.nar_hash, info.nar_size));
        }
        for (referrer, reference) in referred {
            if !infos.contains_key(&reference) && self.path(&reference)?.is_none() {
                report.dangling.push((referrer, reference));
            }
        }
        Ok(infos)
    }

    /// The NARs by hash: the size of a sound one, `None` for a damaged one.
    fn check_nars(
        &self,
        report: &mut Report,
        progress: &mut dyn FnMut(Checked<'_>),
    ) -> Result<BTreeMap<NarHash, Option<u64>>, StoreError> {
        let dir = self.dir("nar");
        let mut sound = BTreeMap::new();
        for name in names(&dir)? {
            let file = dir.join(&name);
            let Some(hash) = nar_name(&name) else {
                report.finding(file, "no NAR has such a name");
                continue;
            };
            let nar = match hash_file(&file) {
                // What the disk cannot give back is damage as well.
                Err(error) => {
                    report.finding(file, chain(&error));
                    sound.insert(hash, None);
                    continue;
                }
                Ok(nar) => nar,
            };
            report.nars += 1;
            report.nar_bytes += nar.size;
            if nar.hash != hash {
                report.finding(file.clone(), format!("its bytes have hash {}", nar.hash));
            }
            sound.insert(hash, (nar.hash == hash).then_some(nar.size));
            progress(Checked { file: &file, bytes: nar.size });
        }
        Ok(sound)
    }

    fn check_runs(
        &self,
        report: &mut Report,
        progress: &mut dyn FnMut(Checked<'_>),
    ) -> Result<(), StoreError> {
        let dir = self.dir("runs");
        for name in names(&dir)? {
            let run_dir = dir.join(&name);
            report.runs += 1;
            let Some(id) = name.to_str().and_then(|name| name.parse().ok()) else {
                report.finding(run_dir, "no run has such a name");
                continue;
            };
            match self.run(id) {
                Ok(None) => {}
                Ok(Some(run)) => {
                    if let Some((part, why)) = run.damage()? {
                        report.finding(run_dir.clone(), format!("{:?}: {why}", part.file_name()));
                    }
                    let bytes = run.parts.values().map(|part| part.size).sum();
                    progress(Checked { file: &run_dir, bytes });
                }
                Err(error) => report.finding(run_dir, chain(&error)),
            }
        }
        Ok(())
    }

    fn check_rounds(
        &self,
        report: &mut Report,
        sound: &BTreeMap<NarHash, Option<u64>>,
        progress: &mut dyn FnMut(Checked<'_>),
    ) -> Result<(), StoreError> {
        let dir = self.dir("rounds");
        for name in names(&dir)? {
            let file = dir.join(&name);
            report.rounds += 1;
            let saved = match rounds::read_round(&file) {
                Err(StoreError::Damaged { file, why }) => {
                    report.finding(file, why);
                    continue;
                }
                Ok(None) => continue,
                Ok(Some(saved)) => saved,
                Err(error) => return Err(error),
            };
            progress(Checked { file: &file, bytes: 0 });
            if self.round_file(&saved.key)? != file {
                report.finding(file, "it is another round's");
            } else if saved.round.outputs.values().any(|output| sound.get(&output.nar_hash) == Some(&None)) {
                report.finding(file, "a NAR of it is damaged");
            }
        }
        Ok(())
    }
}

impl Report {
    fn finding(&mut self, file: PathBuf, why: impl Into<String>) {
        self.corrupt.push(Finding { file, why: why.into() });
    }
}

/// The hash in the name of a NAR file.
pub(super) fn nar_name(name: &OsStr) -> Option<NarHash> {
    let hash = name.to_str()?.strip_suffix(".nar")?;
    let hash = NarHash::parse(format!("sha256:{hash}").as_bytes()).ok()?;
    // Other spellings of a hash are no names of ours.
    (*name == *format!("{}.nar", hash.to_base32())).then_some(hash)
}

/// An error and what caused it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
