//! From a mirror into our store: what a build is given is what the mirror holds.

use std::{collections::BTreeMap, io::Read as _};

use super::{Mirror, MirrorError, layout::Object};
use crate::{
    nix::{narinfo::NarInfo, store_path::StorePath},
    schedule::register_closed,
    store::{Origin, PathInfo, Store},
};

impl Mirror {
    /// Takes a path and everything it refers to into `store`. What is there already has to be the same bits.
    ///
    /// # Errors
    /// [`MirrorError::NotClosed`] when the mirror lacks something of it; [`crate::store::StoreError::Conflict`] when our store has
    /// other bits for it.
    pub fn bring(&self, path: &StorePath, store: &Store) -> Result<(), MirrorError> {
        let mut found: BTreeMap<StorePath, PathInfo> = BTreeMap::new();
        let mut left = vec![path.clone()];
        while let Some(next) = left.pop() {
            if found.contains_key(&next) {
                continue;
            }
            let narinfo = self.narinfo(&next)?;
            let narinfo = narinfo
                .ok_or_else(|| MirrorError::NotClosed { path: path.clone(), missing: next.clone() })?;
            left.extend(narinfo.references.iter().cloned());
            let info = self.fetch(narinfo, store)?;
            found.insert(next, info);
        }
        // What is there in other bits is refused by our store, and nothing is written over.
        Ok(register_closed(found, store)?)
    }

    /// The NAR of a path, in our store.
    fn fetch(&self, narinfo: NarInfo, store: &Store) -> Result<PathInfo, MirrorError> {
        let signed = self.signers.who_signed(narinfo.fingerprint().as_bytes(), &narinfo.signatures);
        let info = PathInfo {
            path: narinfo.store_path,
            nar_hash: narinfo.nar_hash,
            nar_size: narinfo.nar_size,
            references: narinfo.references,
            // Nobody signs what a narinfo says of it.
            deriver: None,
            origin: Origin::Substituted {
                from: self.location.address().to_owned(),
                signed_by: Some(signed.join(", ")),
            },
        };
        if store.nar_size(&info.nar_hash)? == Some(info.nar_size) {
            // Hashed again before a build is given it.
            return Ok(info);
        }
        let file = narinfo.file_hash.and_then(|hash| hash.bytes().try_into().ok());
        let object = file.map(|hash| Object::Nar(super::layout::FileHash(hash)).name());
        let missing = |object: &str| MirrorError::Document {
            object: self.location.url(object),
            why: format!("it is not there, and {} needs it", info.path),
        };
        let object = object.filter(|object| *object == narinfo.url).ok_or_else(|| missing(&narinfo.url))?;
        let opened = self.location.open(&object)?.ok_or_else(|| missing(&object))?;
        let nar = zstd::Decoder::new(opened.bytes.take(opened.size))?;
        store.import_nar(nar.take(info.nar_size.saturating_add(1)), Some(info.nar_hash))?;
        Ok(info)
    }
}
