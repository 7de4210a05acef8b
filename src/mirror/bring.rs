//! From a mirror into our store: what a build is given is what the mirror holds.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read as _,
};

use super::{
    Mirror, MirrorError,
    layout::Object,
    parallel::{WAITING, parallel},
};
use crate::{
    nix::{narinfo::NarInfo, store_path::StorePath},
    schedule::register_closed,
    store::{Origin, PathInfo, Store},
};

/// What unpacking may hold in memory, as a power of two in bytes: four times what our level of zstd asks for.
const WINDOW_LOG: u32 = 24;

impl Mirror {
    /// Takes a path and everything it refers to into `store`. What is there already has to be the same bits.
    ///
    /// # Errors
    /// [`MirrorError::NotClosed`] when the mirror lacks something of it; [`crate::store::StoreError::Conflict`] when our store has
    /// other bits for it.
    pub fn bring(&self, path: &StorePath, store: &Store) -> Result<(), MirrorError> {
        let mut narinfos: BTreeMap<StorePath, NarInfo> = BTreeMap::new();
        let mut left = BTreeSet::from([path.clone()]);
        while !left.is_empty() {
            let batch: Vec<StorePath> = std::mem::take(&mut left).into_iter().collect();
            let read = parallel(&batch, WAITING, |next| self.narinfo(next));
            for (next, narinfo) in batch.into_iter().zip(read) {
                let missing = || MirrorError::NotClosed { path: path.clone(), missing: next.clone() };
                let narinfo = narinfo?.ok_or_else(missing)?;
                left.extend(narinfo.references.iter().cloned());
                narinfos.insert(next, narinfo);
            }
            left.retain(|reference| !narinfos.contains_key(reference));
        }
        let narinfos: Vec<NarInfo> = narinfos.into_values().collect();
        let fetched = parallel(&narinfos, WAITING, |narinfo| self.fetch(narinfo, store));
        let infos: Result<Vec<PathInfo>, MirrorError> = fetched.into_iter().collect();
        let infos = infos?.into_iter().map(|info| (info.path.clone(), info)).collect();
        // What is there in other bits is refused by our store, and nothing is written over.
        Ok(register_closed(infos, store)?)
    }

    /// The NAR of a path, in our store.
    fn fetch(&self, narinfo: &NarInfo, store: &Store) -> Result<PathInfo, MirrorError> {
        let signed = self.signers.who_signed(narinfo.fingerprint().as_bytes(), &narinfo.signatures);
        let info = PathInfo {
            path: narinfo.store_path.clone(),
            nar_hash: narinfo.nar_hash,
            nar_size: narinfo.nar_size,
            references: narinfo.references.clone(),
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
        let file = narinfo.file_hash.as_ref().and_then(|hash| hash.bytes().try_into().ok());
        let object = file.map(|hash| Object::Nar(super::layout::FileHash(hash)).name());
        let missing = |object: &str| MirrorError::Document {
            object: self.location.url(object),
            why: format!("it is not there, and {} needs it", info.path),
        };
        let object = object.filter(|object| *object == narinfo.url).ok_or_else(|| missing(&narinfo.url))?;
        let opened = self.location.open(&object)?.ok_or_else(|| missing(&object))?;
        let mut nar = zstd::Decoder::new(opened.bytes.take(opened.size))?;
        nar.window_log_max(WINDOW_LOG)?;
        store.import_nar(nar.take(info.nar_size.saturating_add(1)), Some(info.nar_hash))?;
        Ok(info)
    }
}
