//! Who has what is not built here: the host's own store, or a binary cache.

use std::{collections::BTreeMap, fmt};

use super::store_dir::StoreDir;
use crate::{
    nix::store_path::StorePath,
    source::binary_cache::{BinaryCache, CacheError, Trust},
    store::{Origin, PathInfo, Store, StoreError},
};

/// Somebody whose word is taken for what lies outside of the frontier.
#[derive(Clone, Debug)]
pub enum Taker {
    /// A store directory on this host.
    Dir(StoreDir),
    /// A binary cache.
    Cache(BinaryCache, Trust),
}

/// Why something could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    /// Our store, or a file of theirs.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The cache.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

impl Taker {
    /// Whether it says that it has `path`; it may still lack something that `path` refers to.
    pub fn has(&self, path: &StorePath) -> Result<bool, TakeError> {
        Ok(match self {
            Taker::Dir(dir) => dir.has(path),
            Taker::Cache(cache, trust) => match cache.narinfo(path)? {
                Some(info) => trust.check(&info, cache).map(|_| true)?,
                None => false,
            },
        })
    }

    /// Takes `path` and everything it refers to into `store`; `false` when it does not have all of that.
    pub fn take(&self, path: &StorePath, store: &Store) -> Result<bool, TakeError> {
        match self {
            Taker::Dir(dir) => Ok(dir.import(path, store)?),
            Taker::Cache(cache, trust) => take_from_cache(cache, trust, path, store),
        }
    }
}

impl fmt::Display for Taker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Taker::Dir(dir) => write!(f, "{}", dir.dir().display()),
            Taker::Cache(cache, _) => f.write_str(cache.address()),
        }
    }
}

fn take_from_cache(
    cache: &BinaryCache,
    trust: &Trust,
    path: &StorePath,
    store: &Store,
) -> Result<bool, TakeError> {
    let mut found = BTreeMap::new();
    let mut left = vec![path.clone()];
    while let Some(path) = left.pop() {
        if found.contains_key(&path) || store.path(&path)?.is_some() {
            continue;
        }
        let Some(info) = cache.narinfo(&path)? else { return Ok(false) };
        let signed_by = trust.check(&info, cache)?;
        let nar = cache.fetch(&info, store)?;
        left.extend(info.references.iter().cloned());
        let info = PathInfo {
            path: path.clone(),
            nar_hash: nar.hash,
            nar_size: nar.size,
            references: info.references,
            // The cache's word on the deriver is no evidence.
            deriver: None,
            origin: Origin::Substituted { from: cache.address().to_owned(), signed_by },
        };
        found.insert(path, info);
    }
    store.register_closed(found.into_values().collect())?;
    Ok(true)
}
