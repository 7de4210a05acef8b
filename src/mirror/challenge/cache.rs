//! The caches that are challenged, each with what it says of a path.

use std::{
    collections::BTreeSet,
    fmt,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{ChallengeError, Failed};
use crate::{
    mirror::{
        Mirror,
        layout::Object,
        location::{Location, LocationError},
        stream::Hashed,
    },
    nix::{
        hash::NarHash,
        narinfo::{self, NarInfo},
        signature::PublicKey,
        store_path::StorePath,
    },
    source::binary_cache::{BinaryCache, CacheError, CacheFiles},
    store::{Nar, Store, write_nar},
};

/// What stands for this host's own store among addresses.
pub const HOST: &str = "host";

/// A binary cache, or this host's store.
pub struct Cache {
    address: String,
    place: Place,
    /// What is known to sign here.
    pub(super) keys: Vec<PublicKey>,
    /// Why it is no cache of our paths. Then it says nothing of any: that is not the same as not having it.
    unfit: Option<Failed>,
}

enum Place {
    /// Something that can only be asked.
    Cache(BinaryCache),
    /// Something whose objects can be listed as well.
    Listable(BinaryCache, Arc<Location>),
    /// A folder of store paths as they lie.
    Host(PathBuf),
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address)
    }
}

/// What a cache says of a path.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The hash of its NAR.
    pub nar_hash: NarHash,
    /// Its size in bytes.
    pub nar_size: u64,
    /// What it refers to; a host's store does not say.
    pub references: Option<BTreeSet<StorePath>>,
    /// Who signed it.
    pub signatures: Signatures,
    /// All of it; none of a host's store.
    pub(super) info: Option<NarInfo>,
}

/// What a cache has.
#[derive(Debug, Default)]
pub(super) struct Listed {
    /// Its paths.
    pub(super) paths: Vec<StorePath>,
    /// What is in the way of knowing some.
    pub(super) failed: Vec<Failed>,
}

/// Whose signatures a claim has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signatures {
    /// Keys that are known, by name, whose signature is good.
    pub valid: Vec<String>,
    /// Names of keys that are not known.
    pub unknown: Vec<String>,
    /// Names of keys that are known, whose signature is not theirs.
    pub wrong: Vec<String>,
}

/// Objects of a mirror as files of a cache.
#[derive(Debug)]
struct Objects(Arc<Location>);

impl CacheFiles for Objects {
    fn open(&self, name: &str) -> io::Result<Option<Box<dyn Read>>> {
        let opened = self.0.open(name).map_err(|error| match error {
            LocationError::Io { source, .. } => source,
            other => io::Error::other(other),
        })?;
        Ok(opened.map(|opened| opened.bytes as Box<dyn Read>))
    }
}

impl Cache {
    /// The cache at `http://…` or `https://…`, in a folder, in a bucket, or this host's store: [`HOST`].
    ///
    /// # Errors
    /// An address of none of these.
    pub fn parse(address: &str) -> Result<Self, ChallengeError> {
        let web = address.starts_with("http://") || address.starts_with("https://");
        let (place, keys) = if address == HOST {
            return Ok(Cache::host(Path::new(crate::nix::store_path::STORE_DIR)));
        } else if web {
            (Place::Cache(BinaryCache::new(address)?), Vec::new())
        } else {
            let location = Arc::new(Location::parse(address)?);
            let cache = BinaryCache::over(address, Arc::new(Objects(location.clone())));
            // A mirror names those who sign in it. That it is none, or cannot be read, shows when it is asked.
            let mirror = Location::parse(address).ok().and_then(|location| Mirror::open(location).ok());
            let keys = mirror.iter().flat_map(|mirror| &mirror.signers().contributors);
            let keys = keys.flat_map(|one| one.nix.clone()).collect();
            (Place::Listable(cache, location), keys)
        };
        let unfit = match &place {
            Place::Cache(cache) | Place::Listable(cache, _) => cache.check_store_dir().err().map(Failed::new),
            Place::Host(_) => None,
        };
        Ok(Cache { address: address.to_owned(), place, keys, unfit })
    }

    /// Store paths as they lie in a folder.
    pub fn host(folder: &Path) -> Self {
        let place = Place::Host(folder.to_owned());
        Cache { address: HOST.to_owned(), place, keys: Vec::new(), unfit: None }
    }

    /// Its address, as it was given.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The paths that it has, and what is in the way of knowing some; `None` when it cannot be listed.
    pub(super) fn list(&self) -> Result<Option<Listed>, ChallengeError> {
        let Place::Listable(_, location) = &self.place else { return Ok(None) };
        let mut listed = Listed::default();
        listed.failed.extend(self.unfit.clone());
        for (name, _) in location.list("")? {
            if !matches!(Object::parse(&name), Some(Object::NarInfo(_))) {
                continue;
            }
            let said = location.get(&name, narinfo::MAX_LEN as u64)?;
            match said.map(|text| NarInfo::parse(&text)) {
                Some(Ok(info)) => listed.paths.push(info.store_path),
                Some(Err(source)) => {
                    let error = CacheError::NarInfo { url: location.url(&name), source };
                    listed.failed.push(Failed::new(error));
                }
                None => {}
            }
        }
        Ok(Some(listed))
    }

    /// What it says of a path; `None` when it does not have it.
    pub(super) fn claim(&self, path: &StorePath, keys: &[PublicKey]) -> Result<Option<Claim>, Failed> {
        if let Some(unfit) = &self.unfit {
            return Err(unfit.clone());
        }
        let cache = match &self.place {
            Place::Cache(cache) | Place::Listable(cache, _) => cache,
            Place::Host(folder) => return lying(folder, path),
        };
        let Some(info) = cache.narinfo(path).map_err(Failed::new)? else { return Ok(None) };
        Ok(Some(Claim {
            nar_hash: info.nar_hash,
            nar_size: info.nar_size,
            references: Some(info.references.clone()),
            signatures: self.signatures(&info, keys),
            info: Some(info),
        }))
    }

    fn signatures(&self, info: &NarInfo, keys: &[PublicKey]) -> Signatures {
        let mut found = Signatures::default();
        for signature in &info.signatures {
            let name = signature.split_once(':').map_or("", |(name, _)| name).to_owned();
            let mut known = keys.iter().chain(&self.keys).filter(|key| key.name() == name).peekable();
            if known.peek().is_none() {
                found.unknown.push(name);
            } else if known.any(|key| key.has_signed(info, signature)) {
                found.valid.push(name);
            } else {
                found.wrong.push(name);
            }
        }
        found
    }

    /// Takes the bits that it claims into our store: those, or none.
    pub(super) fn fetch(&self, path: &StorePath, claim: &Claim, store: &Store) -> Result<Nar, CacheError> {
        match (&self.place, &claim.info) {
            (Place::Cache(cache) | Place::Listable(cache, _), Some(info)) => cache.fetch(info, store),
            (Place::Host(folder), _) => {
                let tree = folder.join(path.base_name());
                let added = store.add_tree(&tree);
                added.map_err(|source| CacheError::Store { url: tree.display().to_string(), source })
            }
            (_, None) => Err(CacheError::Address(self.address.clone())),
        }
    }
}

/// What a host's store has, by its bits as they lie there.
fn lying(folder: &Path, path: &StorePath) -> Result<Option<Claim>, Failed> {
    let tree = folder.join(path.base_name());
    if tree.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        return Ok(None);
    }
    let hashed = write_nar(&tree, Hashed::new(io::sink())).map_err(|source| {
        Failed::new(CacheError::Store { url: tree.display().to_string(), source: source.into() })
    })?;
    let (_, hash, nar_size) = hashed.finish();
    Ok(Some(Claim {
        nar_hash: NarHash(hash.0),
        nar_size,
        references: None,
        signatures: Signatures::default(),
        info: None,
    }))
}
