//! Path records: which NAR a store path is, what it refers to, and where it came from.

use std::{
    collections::{BTreeSet, HashSet},
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{RunId, Store, StoreError, error::Context as _, names, read_record, sync_dir};
use crate::nix::{hash::NarHash, store_path::StorePath};

/// Where a path's bits came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Origin {
    /// Built in a machine of ours.
    Built {
        /// The run that did it.
        run: RunId,
    },
    /// A fixed-output input or a file of the evaluation, its content named by hash.
    Source {
        /// Where it was found; for people.
        place: String,
    },
    /// Copied from the host's own store, trusted as it is.
    HostStore,
    /// Taken from a binary cache.
    Substituted {
        /// The cache; for people.
        from: String,
        /// The name of the trusted key that signed for it; none when the cache's word was taken.
        #[serde(default)]
        signed_by: Option<String>,
    },
}

impl Origin {
    /// Whether it was taken as it is, from a place whose word was believed.
    pub fn is_on_trust(&self) -> bool {
        matches!(self, Origin::HostStore | Origin::Substituted { .. })
    }
}

/// What is known about a store path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PathInfo {
    /// The path.
    pub path: StorePath,
    /// Its NAR.
    pub nar_hash: NarHash,
    /// Length of its NAR in bytes.
    pub nar_size: u64,
    /// The paths whose hash parts occur in it; may hold the path itself.
    pub references: BTreeSet<StorePath>,
    /// The derivation it was built by, if known.
    pub deriver: Option<StorePath>,
    /// Where it came from.
    pub origin: Origin,
}

/// What [`Store::register`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registered {
    /// The path is new.
    New,
    /// The path was there with the same bits and references.
    Same,
}

impl Store {
    /// What is known about `path`, or `None`.
    pub fn path(&self, path: &StorePath) -> Result<Option<PathInfo>, StoreError> {
        let file = self.path_file(path);
        let Some(text) = read_record(&file)? else { return Ok(None) };
        parse(&file, &text).map(Some)
    }

    /// Registers a path whose NAR is in the store. All or nothing, also when killed; durable when it returns.
    ///
    /// A path that is there with the same NAR and the same references is fine, and keeps its record, but for one
    /// thing: that we built it ourselves is worth more than any other origin, and takes its place.
    ///
    /// # Errors
    /// [`StoreError::NarMissing`]; [`StoreError::Conflict`] and [`StoreError::ReferencesConflict`] when the path
    /// is registered otherwise: nothing is ever overwritten by other bits.
    pub fn register(&self, info: &PathInfo) -> Result<Registered, StoreError> {
        self.has_nar(info)?;
        let file = self.path_file(&info.path);
        loop {
            if let Some(there) = self.path(&info.path)? {
                agree(&there, info)?;
                if matches!(info.origin, Origin::Built { .. })
                    && !matches!(there.origin, Origin::Built { .. })
                {
                    self.write_record(info, &format!("{}", info.path))?.replace(&file)?;
                }
                return Ok(Registered::Same);
            }
            if self.write_record(info, &format!("{}", info.path))?.place(&file)? {
                return Ok(Registered::New);
            }
            // Somebody else was faster; compare with what they wrote.
        }
    }

    /// An error when the NAR of a path is not in the store.
    pub(super) fn has_nar(&self, info: &PathInfo) -> Result<(), StoreError> {
        let PathInfo { nar_hash, nar_size, .. } = *info;
        if self.nar_size(&nar_hash)? == Some(nar_size) {
            return Ok(());
        }
        Err(StoreError::NarMissing { path: info.path.clone(), nar_hash, nar_size })
    }

    /// Removes the record of `path`, and says whether there was one. Its NAR stays until [`Store::gc`].
    pub fn forget(&self, path: &StorePath) -> Result<bool, StoreError> {
        let file = self.path_file(path);
        match fs::remove_file(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            removed => removed.context("remove", &file)?,
        }
        sync_dir(&self.dir("paths"))?;
        Ok(true)
    }

    /// Every registered path, by base name. A record that cannot be read is an error in its place.
    pub fn paths(&self) -> Result<impl Iterator<Item = Result<PathInfo, StoreError>>, StoreError> {
        let dir = self.dir("paths");
        Ok(names(&dir)?.into_iter().filter_map(move |name| {
            let file = dir.join(name);
            match read_record(&file) {
                Ok(text) => text.map(|text| parse(&file, &text)),
                Err(error) => Some(Err(error)),
            }
        }))
    }

    /// `roots` and everything they refer to, directly or not; each path once, references before referrers.
    ///
    /// # Errors
    /// [`StoreError::NotClosed`] with every path that is missing.
    pub fn closure(&self, roots: &[StorePath]) -> Result<Vec<PathInfo>, StoreError> {
        /// A path being visited and the references still to be looked at.
        struct Open {
            info: PathInfo,
            left: Vec<StorePath>,
        }
        let (mut seen, mut done, mut missing) = (HashSet::new(), Vec::new(), Vec::new());
        let mut enter = |path: StorePath, referrer: Option<&StorePath>| -> Result<Option<Open>, StoreError> {
            if !seen.insert(path.clone()) {
                return Ok(None);
            }
            let Some(info) = self.path(&path)? else {
                missing.push((path, referrer.cloned()));
                return Ok(None);
            };
            let left = info.references.iter().rev().cloned().collect();
            Ok(Some(Open { info, left }))
        };
        for root in roots {
            let mut stack: Vec<Open> = enter(root.clone(), None)?.into_iter().collect();
            while let Some(top) = stack.last_mut() {
                match top.left.pop() {
                    Some(next) => {
                        let entered = enter(next, Some(&top.info.path))?;
                        stack.extend(entered);
                    }
                    None => done.extend(stack.pop().map(|top| top.info)),
                }
            }
        }
        if missing.is_empty() { Ok(done) } else { Err(StoreError::NotClosed { missing }) }
    }

    pub(super) fn path_file(&self, path: &StorePath) -> PathBuf {
        self.dir("paths").join(format!("{}.json", path.base_name()))
    }

    /// `record` as JSON, ready to be put in its place.
    pub(super) fn write_record(
        &self,
        record: &impl Serialize,
        of: &str,
    ) -> Result<super::Pending, StoreError> {
        let text = to_json(record, of)?;
        let mut pending = self.pending()?;
        io::Write::write_all(pending.file(), &text).context("write to", &self.dir("tmp"))?;
        Ok(pending)
    }
}

/// `record` as JSON for people to read, and a newline.
pub(super) fn to_json(record: &impl Serialize, of: &str) -> Result<Vec<u8>, StoreError> {
    let mut text = serde_json::to_vec_pretty(record)
        .map_err(|source| StoreError::Record { of: of.to_owned(), source })?;
    text.push(b'\n');
    Ok(text)
}

/// Reads a path record, and checks that it is about the path that its file is named for.
fn parse(file: &Path, text: &[u8]) -> Result<PathInfo, StoreError> {
    let damaged = |why: String| StoreError::Damaged { file: file.to_owned(), why };
    let info: PathInfo = serde_json::from_slice(text).map_err(|error| damaged(error.to_string()))?;
    if file.file_name().is_none_or(|name| *name != *format!("{}.json", info.path.base_name())) {
        return Err(damaged(format!("it is the record of {}", info.path)));
    }
    Ok(info)
}

fn agree(there: &PathInfo, offered: &PathInfo) -> Result<(), StoreError> {
    if there.nar_hash != offered.nar_hash {
        return Err(StoreError::Conflict {
            path: offered.path.clone(),
            registered: there.nar_hash,
            offered: offered.nar_hash,
        });
    }
    if there.references != offered.references {
        return Err(StoreError::ReferencesConflict {
            path: offered.path.clone(),
            registered: there.references.iter().cloned().collect(),
            offered: offered.references.iter().cloned().collect(),
        });
    }
    Ok(())
}
