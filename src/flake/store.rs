//! The store directory of our own that `nix` writes into.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{DrvFolder, FlakeError};

/// A chroot store: paths say `/nix/store`, files are below a folder of ours.
#[derive(Clone, Debug)]
pub struct ChrootStore {
    root: PathBuf,
    home: PathBuf,
}

impl ChrootStore {
    /// The store below a state directory; made when it is not there.
    pub fn open(state: &Path) -> Result<ChrootStore, FlakeError> {
        let failed = |path: &Path, error: io::Error| FlakeError::StateDir {
            path: path.to_owned(),
            why: error.to_string(),
        };
        let state = std::path::absolute(state).map_err(|error| failed(state, error))?;
        // `nix` reads a store's address as a URL: behind a question mark stand parameters.
        if state.to_str().is_none_or(|path| path.contains(['?', '%', '#'])) {
            let why = "`nix` takes no store whose path has `?`, `%` or `#`, or is not UTF-8".to_owned();
            return Err(FlakeError::StateDir { path: state, why });
        }
        let store = ChrootStore { root: state.join("nix"), home: state.join("nix-home") };
        for folder in [&store.root, &store.home] {
            fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
        }
        // Nix wants to know for itself where a chroot store really is.
        let root = store.root.canonicalize().map_err(|error| failed(&store.root, error))?;
        Ok(ChrootStore { root, ..store })
    }

    /// What `--store` is given.
    pub(super) fn address(&self) -> &Path {
        &self.root
    }

    /// A home directory for `nix`: evaluation caches, fetched flakes.
    pub(super) fn home(&self) -> &Path {
        &self.home
    }

    /// The files of the store.
    pub fn folder(&self) -> DrvFolder {
        DrvFolder::new(self.root.join("nix/store"))
    }
}
