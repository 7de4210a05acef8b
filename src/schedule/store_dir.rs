//! A store directory of the `nix` program's: its objects are taken as they lie there.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use crate::{
    nix::{
        hash::{Algorithm, Hash},
        make_path::{self, Method},
        nar::references::ReferenceScanner,
        store_path::StorePath,
    },
    store::{Nar, Origin, PathInfo, Store, StoreError},
};

/// Texts are written by the evaluator from strings; a file that is larger is no text.
const MAX_TEXT: u64 = 64 << 20;

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
        store.register_closed(found.into_values().collect())?;
        Ok(true)
    }

    /// Takes what is here of `paths`, and tells all of them with what they refer to, references first.
    pub fn import_all(
        &self,
        paths: impl IntoIterator<Item = StorePath>,
        store: &Store,
    ) -> Result<Vec<PathInfo>, StoreError> {
        let paths: Vec<StorePath> = paths.into_iter().collect();
        for path in &paths {
            self.import(path, store)?;
        }
        store.closure(&paths)
    }

    fn object(&self, path: &StorePath, known: &[StorePath], store: &Store) -> Result<PathInfo, StoreError> {
        let nar = store.add_tree(&self.at(path))?;
        let mut scanner = ReferenceScanner::new(known.iter().cloned());
        if let Some(mut file) = store.nar(&nar.hash)? {
            io::copy(&mut file, &mut scanner).map_err(|source| failed(&self.at(path), source))?;
        }
        let references = scanner.found();
        // A source is believed because its path follows from its bytes; anything else is taken on trust, and says so.
        let origin = match &self.origin {
            Origin::Source { .. } if !self.follows(path, &nar, &references)? => Origin::HostStore,
            origin => origin.clone(),
        };
        Ok(PathInfo {
            path: path.clone(),
            nar_hash: nar.hash,
            nar_size: nar.size,
            references,
            deriver: None,
            origin,
        })
    }

    /// Whether `path` is what Nix makes of these bytes: a source tree, a text, or a file added flat (Nix manual, "Store path
    /// specification").
    fn follows(
        &self,
        path: &StorePath,
        nar: &Nar,
        references: &BTreeSet<StorePath>,
    ) -> Result<bool, StoreError> {
        let others = || references.iter().filter(|reference| *reference != path);
        if make_path::source_path(path.name(), &nar.hash.0, others()).is_ok_and(|made| made == *path) {
            return Ok(true);
        }
        let file = self.at(path);
        let metadata = file.symlink_metadata().map_err(|source| failed(&file, source))?;
        if !metadata.is_file() || metadata.len() > MAX_TEXT {
            return Ok(false);
        }
        let text = fs::read(&file).map_err(|source| failed(&file, source))?;
        let made = [
            make_path::text_path(path.name(), &text, others()),
            make_path::fixed_output_path(path.name(), Method::Flat, &Hash::of(Algorithm::Sha256, &text)),
        ];
        Ok(made.into_iter().flatten().any(|made| made == *path))
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

/// The host's own store.
pub const HOST_STORE: &str = "/nix/store";

/// Whether there is a host store at all.
pub fn host_store() -> Option<StoreDir> {
    Path::new(HOST_STORE).is_dir().then(|| StoreDir::new(HOST_STORE, Origin::HostStore))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A store directory with one text in it, under the path Nix gives it or under another.
    fn import(name_of: impl Fn(&[u8]) -> StorePath) -> Origin {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("state")).unwrap();
        let objects = dir.path().join("store");
        fs::create_dir(&objects).unwrap();
        let text = b"echo hello\n";
        let path = name_of(text);
        fs::write(objects.join(path.base_name()), text).unwrap();
        let from = StoreDir::new(&objects, Origin::Source { place: "evaluation".to_owned() });
        assert!(from.import(&path, &store).unwrap());
        store.path(&path).unwrap().unwrap().origin
    }

    #[test]
    fn a_text_under_the_path_that_follows_from_it_is_a_source() {
        let origin = import(|text| make_path::text_path("builder.sh", text, []).unwrap());
        assert!(matches!(origin, Origin::Source { .. }));
    }

    #[test]
    fn a_file_under_a_path_of_another_is_taken_on_trust_and_says_so() {
        let origin = import(|_| make_path::text_path("builder.sh", b"something else", []).unwrap());
        assert_eq!(origin, Origin::HostStore);
    }
}
