//! Reads derivations from a folder of store paths, without asking `nix`.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use rustix::fs::{Mode, OFlags};

use super::FlakeError;
use crate::{
    graph::{Graph, LoadError},
    nix::{derivation::Derivation, store_path::StorePath},
};

/// Largest derivation read, in bytes; the largest of nixpkgs have a few hundred thousand.
const MAX_DERIVATION: u64 = 64 << 20;

/// A folder that holds store paths under their base names: a store directory, or a folder of `.drv` files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrvFolder {
    path: PathBuf,
}

impl DrvFolder {
    /// A folder; it need not be there yet.
    pub fn new(path: impl Into<PathBuf>) -> DrvFolder {
        DrvFolder { path: path.into() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the file or tree of a store path is; also of sources that derivations name.
    pub fn file_of(&self, path: &StorePath) -> PathBuf {
        self.path.join(path.base_name())
    }

    /// Reads one derivation. Its text is bounded, must be a plain file, and must be canonical.
    pub fn derivation(&self, drv: &StorePath) -> Result<Derivation, FlakeError> {
        let path = self.file_of(drv);
        let failed = |error: std::io::Error| FlakeError::Unreadable {
            drv: drv.clone(),
            path: path.clone(),
            why: match error.kind() {
                std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
                _ => error.to_string(),
            },
        };
        // A pipe in its place would block the opening, a link could lead anywhere.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file =
            File::from(rustix::fs::open(&path, flags, Mode::empty()).map_err(|error| failed(error.into()))?);
        if !file.metadata().map_err(failed)?.is_file() {
            return Err(failed(std::io::Error::other("it is not a plain file")));
        }
        let mut text = Vec::new();
        file.take(MAX_DERIVATION + 1).read_to_end(&mut text).map_err(failed)?;
        if text.len() as u64 > MAX_DERIVATION {
            return Err(failed(std::io::Error::other("it is larger than 64 MiB")));
        }
        Derivation::parse(&text).map_err(|error| FlakeError::Derivation { drv: drv.clone(), error })
    }

    /// Reads derivations and everything they need, and recomputes every path in them.
    pub fn load_closure(&self, roots: &[StorePath]) -> Result<Graph, FlakeError> {
        let graph = Graph::load(roots, |drv| self.derivation(drv)).map_err(|error| match error {
            LoadError::Resolve(error) => error,
            LoadError::Graph(error) => FlakeError::Graph(error),
        })?;
        graph.check_paths()?;
        Ok(graph)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::GraphError;

    fn corpus() -> DrvFolder {
        DrvFolder::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/drvs"))
    }

    /// Any derivation of the corpus whose closure is there, with at least one input.
    fn some_root() -> StorePath {
        let mut names: Vec<_> = std::fs::read_dir(corpus().path())
            .unwrap()
            .filter_map(|entry| entry.unwrap().file_name().into_string().ok())
            .filter(|name| name.ends_with(".drv"))
            .collect();
        names.sort();
        names
            .iter()
            .filter_map(|name| StorePath::from_base_name(name.as_bytes()).ok())
            .find(|drv| {
                corpus().load_closure(std::slice::from_ref(drv)).is_ok_and(|graph| graph.nodes().len() > 1)
            })
            .expect("a derivation with inputs in tests/data/drvs")
    }

    #[test]
    fn a_closure_is_read_and_checked() {
        let root = some_root();
        let graph = corpus().load_closure(std::slice::from_ref(&root)).unwrap();
        assert_eq!(graph.roots(), [graph.index_of(&root).unwrap()]);
    }

    #[test]
    fn t09_a_renamed_derivation_is_refused() {
        let root = some_root();
        let folder = tempfile::tempdir().unwrap();
        let other = StorePath::from_base_name(format!("{}-other.drv", "0".repeat(32)).as_bytes()).unwrap();
        for entry in std::fs::read_dir(corpus().path()).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
        }
        std::fs::copy(corpus().file_of(&root), folder.path().join(other.base_name())).unwrap();
        let result = DrvFolder::new(folder.path()).load_closure(&[other]);
        assert!(matches!(result, Err(FlakeError::Graph(GraphError::WrongPath { .. }))), "{result:?}");
    }

    #[test]
    fn what_stands_in_the_place_of_a_derivation() {
        let folder = tempfile::tempdir().unwrap();
        let drvs = DrvFolder::new(folder.path());
        let drv = some_root();
        let path = drvs.file_of(&drv);
        let why = || match drvs.derivation(&drv) {
            Err(FlakeError::Unreadable { why, .. }) => why,
            other => panic!("{other:?}"),
        };
        assert_eq!(why(), "there is no such file");
        std::os::unix::fs::symlink(corpus().file_of(&drv), &path).unwrap();
        assert!(!why().is_empty(), "links are not followed");
        std::fs::remove_file(&path).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, Mode::RWXU, 0).unwrap();
        assert_eq!(why(), "it is not a plain file");
        std::fs::remove_file(&path).unwrap();
        File::create(&path).unwrap().set_len(MAX_DERIVATION + 1).unwrap();
        assert_eq!(why(), "it is larger than 64 MiB");
        std::fs::write(&path, b"Derive(").unwrap();
        assert!(matches!(drvs.derivation(&drv), Err(FlakeError::Derivation { .. })));
    }
}
