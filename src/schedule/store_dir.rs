//! A store directory of the `nix` program's: its objects are taken as they lie there.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use crate::{
    nix::{nar::references::ReferenceScanner, store_path::StorePath},
    store::{Origin, PathInfo, Store, StoreError},
};

/// A store directory on this host, in which `/nix/store/<base name>` lies at `<dir>/<base name>`.
#[derive(Clone, Debug)]
pub struct StoreDir {
    dir: PathBuf,
    origin: Origin,
}

impl StoreDir {
    /// The directory; what is taken from it is marked with `origin`.
    pub fn new(dir: impl Into<PathBuf>, origin: Origin) -> Self {
        StoreDir { dir: dir.into(), origin }
    }

    /// Whether it has `path`.
    pub fn has(&self, path: &StorePath) -> bool {
        self.at(path).symlink_metadata().is_ok()
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where `path` lies.
    pub fn at(&self, path: &StorePath) -> PathBuf {
        self.dir.join(path.base_name())
    }

    /// Takes `path` and everything it refers to into `store`; `false` when it, or something it refers to, is not here.
    ///
    /// References are found as Nix finds them: a path is referred to when its hash part occurs in the bytes.
    pub fn import(&self, path: &StorePath, store: &Store) -> Result<bool, StoreError> {
        if store.path(path)?.is_some() {
            return Ok(true);
        }
        let known = self.names().map_err(|source| failed(&self.dir, source))?;
        let mut found: BTreeMap<StorePath, PathInfo> = BTreeMap::new();
        let mut left = vec![path.clone()];
        while let Some(path) = left.pop() {
            if found.contains_key(&path) || store.path(&path)?.is_some() {
                continue;
            }
            if !self.has(&path) {
                return Ok(false);
            }
            let info = self.object(&path, &known, store)?;
            left.extend(info.references.iter().filter(|reference| **reference != path).cloned());
            found.insert(path, info);
        }
        register_closed(found, store)?;
        Ok(true)
    }

    fn object(&self, path: &StorePath, known: &[StorePath], store: &Store) -> Result<PathInfo, StoreError> {
        let nar = store.add_tree(&self.at(path))?;
        let mut scanner = ReferenceScanner::new(known.iter().cloned());
        if let Some(mut file) = store.nar(&nar.hash)? {
            io::copy(&mut file, &mut scanner).map_err(|source| failed(&self.at(path), source))?;
        }
        Ok(PathInfo {
            path: path.clone(),
            nar_hash: nar.hash,
            nar_size: nar.size,
            references: scanner.found(),
            deriver: None,
            origin: self.origin.clone(),
        })
    }

    fn names(&self) -> io::Result<Vec<StorePath>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            // Lock files and the like are no store paths.
            names.extend(StorePath::from_base_name(entry?.file_name().as_bytes()).ok());
        }
        Ok(names)
    }
}

fn failed(path: &Path, source: io::Error) -> StoreError {
    StoreError::Io { what: "read", path: path.to_owned(), source }
}

/// Registers paths, each after everything it refers to, so that a path is never there without its closure.
pub(super) fn register_closed(
    mut infos: BTreeMap<StorePath, PathInfo>,
    store: &Store,
) -> Result<(), StoreError> {
    while !infos.is_empty() {
        let mut next: Vec<StorePath> = infos
            .values()
            .filter(|info| info.references.iter().all(|r| *r == info.path || !infos.contains_key(r)))
            .map(|info| info.path.clone())
            .collect();
        if next.is_empty() {
            // Paths that refer to each other in a circle: no order is right, and no honest store has them.
            next = infos.keys().cloned().collect();
        }
        for info in next.iter().filter_map(|path| infos.remove(path)) {
            store.register(&info)?;
        }
    }
    Ok(())
}

/// The host's own store.
pub const HOST_STORE: &str = "/nix/store";

/// Whether there is a host store at all.
pub fn host_store() -> Option<StoreDir> {
    Path::new(HOST_STORE).is_dir().then(|| StoreDir::new(HOST_STORE, Origin::HostStore))
}
