//! Many NARs and path records at once, which wait for the disk together.
//!
//! Each object alone is synchronised before it has its name, and its folder after that. Of hundreds that is nearly all the time it
//! takes; here the file system is synchronised once (`syncfs(2)`), and then each object gets its name. The order is the same:
//! bytes, NARs' names, and records' names, each after those it refers to. Where synchronising a file system is known not to say
//! that it failed, or may not reach the disk, each object is synchronised alone all the same.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::Read,
    path::Path,
    sync::{Mutex, PoisonError},
};

use super::{
    Nar, PathInfo, Pending, Store, StoreError,
    error::Context as _,
    nars::{Import, import},
    sync_dir,
};
use crate::nix::{hash::NarHash, store_path::StorePath};

/// Paths of one batch at most: each has two open files.
const PATHS: usize = 64;

/// Bytes of their NARs at most, but for a single path: so many are fetched again after one that was killed.
const BYTES: u64 = 256 << 20;

/// So few are synchronised one by one, without waiting for what others have to write.
const FEW: usize = 4;

/// NARs that are written, and have no names yet.
pub struct Batch<'store> {
    store: &'store Store,
    /// Opened before anything is written: of what failed to be written since, synchronising says so.
    dir: File,
    nars: Mutex<Vec<(Pending, NarHash)>>,
}

impl Store {
    /// Begins a batch.
    pub fn batch(&self) -> Result<Batch<'_>, StoreError> {
        let tmp = self.dir("tmp");
        let dir = File::open(&tmp).context("open", &tmp)?;
        Ok(Batch { store: self, dir, nars: Mutex::default() })
    }

    /// Registers paths whose NARs are in the store, as [`Store::register`] does, each after everything it refers to, so that a
    /// path is never there without its closure.
    pub fn register_closed(&self, infos: Vec<PathInfo>) -> Result<(), StoreError> {
        batches(&references_first(infos)).try_for_each(|some| self.batch()?.register(some))
    }
}

impl Batch<'_> {
    /// Takes a NAR from outside, as [`Store::import_nar`] does; it is in the store when the batch is registered.
    pub fn import_nar(&self, nar: impl Read, expected: Option<NarHash>) -> Result<Nar, StoreError> {
        let Import { nar, file } = import(self.store, nar, expected)?;
        self.nars.lock().unwrap_or_else(PoisonError::into_inner).push((file, nar.hash));
        Ok(nar)
    }

    /// Puts the NARs in the store, and registers `infos` in this order, as [`Store::register`] does; durable when it returns.
    ///
    /// # Errors
    /// Those of [`Store::register`]. What comes before the path that one is about is registered, and all NARs are in the store.
    pub fn register(self, infos: &[PathInfo]) -> Result<(), StoreError> {
        let store = self.store;
        let nars = self.nars.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut records = Vec::with_capacity(infos.len());
        for info in infos {
            let record = match store.path(&info.path)? {
                None => Some(store.write_record(info, &info.path.to_string())?),
                Some(_) => None,
            };
            records.push((info, record));
        }
        let files: Vec<&Pending> =
            nars.iter().map(|(file, _)| file).chain(records.iter().flat_map(|(_, file)| file)).collect();
        seal(&files, &self.dir, &store.dir("tmp"))?;
        if !nars.is_empty() {
            for (file, hash) in nars {
                file.name_over(&store.nar_path(&hash))?;
            }
            sync_dir(&store.dir("nar"))?;
        }
        let mut named = false;
        for (info, record) in records {
            let is_new = match record {
                Some(record) => {
                    store.has_nar(info)?;
                    record.name(&store.path_file(&info.path))?
                }
                None => false,
            };
            if !is_new {
                // It was there, or somebody else was faster: it has to say the same.
                store.register(info)?;
            }
            named |= is_new;
        }
        if named { sync_dir(&store.dir("paths")) } else { Ok(()) }
    }
}

/// Puts what was written on the disk.
fn seal(files: &[&Pending], dir: &File, tmp: &Path) -> Result<(), StoreError> {
    if files.len() <= FEW || !is_synchronised_as_a_whole(dir) {
        return files.iter().try_for_each(|file| file.seal());
    }
    files.iter().try_for_each(|file| file.close_to_writers())?;
    rustix::fs::syncfs(dir).map_err(std::io::Error::from).context("make durable", tmp)
}

/// Whether it is a file system of a disk of this machine: ext4, XFS, Btrfs or tmpfs, by the numbers that statfs(2) lists. Others,
/// as those over a network, may keep what they were given.
fn is_synchronised_as_a_whole(dir: &File) -> bool {
    const KNOWN: [i128; 4] = [0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994];
    rustix::fs::fstatfs(dir).is_ok_and(|found| KNOWN.contains(&i128::from(found.f_type)))
}

/// Paths in their order, cut into what one batch takes.
pub fn batches(mut infos: &[PathInfo]) -> impl Iterator<Item = &[PathInfo]> {
    std::iter::from_fn(move || {
        let mut bytes: u64 = 0;
        let fits = |info: &&PathInfo| {
            bytes = bytes.saturating_add(info.nar_size);
            bytes <= BYTES
        };
        let count = infos.iter().take(PATHS).take_while(fits).count().max(1).min(infos.len());
        let (some, rest) = infos.split_at(count);
        infos = rest;
        (!some.is_empty()).then_some(some)
    })
}

/// Each path once, after everything that it refers to. Paths that refer to each other in a circle come last: no order is right for
/// them, and no honest store has them.
pub fn references_first(infos: Vec<PathInfo>) -> Vec<PathInfo> {
    let mut left: BTreeMap<StorePath, PathInfo> =
        infos.into_iter().map(|info| (info.path.clone(), info)).collect();
    let mut waiting: BTreeMap<StorePath, usize> = BTreeMap::new();
    let mut referrers: BTreeMap<StorePath, Vec<StorePath>> = BTreeMap::new();
    let mut ready: BTreeSet<StorePath> = BTreeSet::new();
    for info in left.values() {
        let others = info.references.iter().filter(|path| **path != info.path && left.contains_key(*path));
        let mut count = 0;
        for other in others {
            referrers.entry(other.clone()).or_default().push(info.path.clone());
            count += 1;
        }
        if count == 0 {
            ready.insert(info.path.clone());
        } else {
            waiting.insert(info.path.clone(), count);
        }
    }
    let mut ordered = Vec::with_capacity(left.len());
    while let Some(path) = ready.pop_first() {
        ordered.extend(left.remove(&path));
        for referrer in referrers.remove(&path).unwrap_or_default() {
            if let Some(count) = waiting.get_mut(&referrer) {
                *count -= 1;
                if *count == 0 {
                    ready.insert(referrer);
                }
            }
        }
    }
    ordered.extend(left.into_values());
    ordered
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            Origin,
            tests::{nar_of, path},
        },
        *,
    };

    fn info(store: &Batch<'_>, name: &str, references: &[&str]) -> PathInfo {
        let nar = store.import_nar(nar_of(name.as_bytes()).as_slice(), None).unwrap();
        PathInfo {
            path: path(name),
            nar_hash: nar.hash,
            nar_size: nar.size,
            references: references.iter().map(|name| path(name)).collect(),
            deriver: None,
            origin: Origin::HostStore,
        }
    }

    fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("state")).unwrap();
        (dir, store)
    }

    #[test]
    fn a_batch_is_in_the_store_as_if_each_had_come_alone() {
        for count in [1, FEW + 3] {
            let (dir, store) = store();
            let one_by_one = Store::open(&dir.path().join("other")).unwrap();
            let batch = store.batch().unwrap();
            let names: Vec<String> = (0..count).map(|n| format!("a-{n}")).collect();
            let infos: Vec<PathInfo> = names.iter().map(|name| info(&batch, name, &[])).collect();
            assert_eq!(store.nar_size(&infos[0].nar_hash).unwrap(), None, "nothing has a name yet");
            batch.register(&infos).unwrap();
            for (name, info) in names.iter().zip(&infos) {
                one_by_one.import_nar(nar_of(name.as_bytes()).as_slice(), None).unwrap();
                one_by_one.register(info).unwrap();
            }
            let list = |store: &Store| {
                let mut all = Vec::new();
                for folder in ["nar", "paths", "tmp"] {
                    for name in super::super::names(&store.root().join(folder)).unwrap() {
                        all.push((
                            name.clone(),
                            std::fs::read(store.root().join(folder).join(name)).unwrap(),
                        ));
                    }
                }
                all
            };
            assert_eq!(list(&store), list(&one_by_one));
        }
    }

    #[test]
    fn what_is_there_with_other_bits_is_a_conflict_and_stays() {
        let (_dir, store) = store();
        let batch = store.batch().unwrap();
        let was = info(&batch, "a", &[]);
        batch.register(std::slice::from_ref(&was)).unwrap();
        let batch = store.batch().unwrap();
        let other = PathInfo { path: was.path.clone(), ..info(&batch, "b", &[]) };
        assert!(matches!(batch.register(&[other]), Err(StoreError::Conflict { .. })));
        assert_eq!(store.path(&was.path).unwrap(), Some(was));
    }

    #[test]
    fn a_record_without_its_nar_is_refused() {
        let (_dir, store) = store();
        let nowhere = info(&store.batch().unwrap(), "a", &[]);
        let refused = store.register_closed(vec![nowhere.clone()]);
        assert!(matches!(refused, Err(StoreError::NarMissing { .. })), "{refused:?}");
        assert_eq!(store.path(&nowhere.path).unwrap(), None);
    }

    #[test]
    fn a_batch_that_is_dropped_leaves_nothing() {
        let (_dir, store) = store();
        let batch = store.batch().unwrap();
        info(&batch, "a", &[]);
        drop(batch);
        assert_eq!(super::super::names(&store.root().join("tmp")).unwrap().len(), 0);
    }

    #[test]
    fn a_batch_is_of_so_many_paths_and_so_many_bytes_and_never_of_none() {
        let (_dir, store) = store();
        let one = info(&store.batch().unwrap(), "a", &[]);
        let of = |sizes: &[u64]| -> Vec<usize> {
            let infos = sizes.iter().map(|size| PathInfo { nar_size: *size, ..one.clone() });
            batches(&infos.collect::<Vec<_>>()).map(<[PathInfo]>::len).collect()
        };
        assert_eq!(of(&[]), [0; 0]);
        assert_eq!(of(&[1; PATHS + 3]), [PATHS, 3]);
        assert_eq!(of(&[BYTES, 1, u64::MAX, u64::MAX, BYTES - 1, 1]), [1, 1, 1, 1, 2]);
    }

    #[test]
    fn references_come_first_and_circles_last() {
        let (_dir, store) = store();
        let batch = store.batch().unwrap();
        let all = [("d", vec!["c", "b", "d"]), ("a", vec![]), ("c", vec!["b", "nowhere"]), ("b", vec!["a"])];
        let circle = [("0", vec!["1"]), ("1", vec!["0"]), ("2", vec!["0"])];
        let infos = all.iter().chain(&circle).map(|(name, references)| info(&batch, name, references));
        let ordered = references_first(infos.collect());
        let names: Vec<&str> = ordered.iter().map(|info| info.path.name()).collect();
        assert_eq!((&names[..4], names.len()), (&["a", "b", "c", "d"][..], 7));
    }
}
