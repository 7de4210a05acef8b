//! From a mirror into our store: what a build is given is what the mirror holds.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read as _,
    panic,
    sync::PoisonError,
    thread::{self, ScopedJoinHandle},
};

use super::{
    Mirror, MirrorError,
    layout::Object,
    parallel::{WAITING, parallel},
};
use crate::{
    nix::{narinfo::NarInfo, store_path::StorePath},
    store::{Batch, Origin, PathInfo, Store, StoreError, batches, references_first},
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
        // Of several who need the same the second finds what the first has brought.
        let _alone = self.bringing.lock().unwrap_or_else(PoisonError::into_inner);
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
        // What is there in other bits is refused by our store, and nothing is written over.
        let infos = narinfos.values().map(|narinfo| self.info(narinfo)).collect();
        let infos = references_first(infos);
        // While the disk takes one batch the next one is fetched; each is registered after the one before, which it may refer to.
        thread::scope(|scope| {
            let mut before: Option<ScopedJoinHandle<'_, Result<(), StoreError>>> = None;
            for some in batches(&infos) {
                let batch = store.batch()?;
                let fetched =
                    parallel(some, WAITING, |info| self.fetch(&narinfos[&info.path], store, &batch));
                let fetched = fetched.into_iter().collect::<Result<(), MirrorError>>();
                before.take().map_or(Ok(()), joined)?;
                match fetched {
                    Ok(()) => before = Some(scope.spawn(move || batch.register(some))),
                    // The others that came need not come again.
                    Err(error) => return batch.register(&[]).map_err(MirrorError::from).and(Err(error)),
                }
            }
            Ok(before.map_or(Ok(()), joined)?)
        })
    }

    /// A path as our store is to know it.
    fn info(&self, narinfo: &NarInfo) -> PathInfo {
        let signed = self.signers.who_signed(narinfo.fingerprint().as_bytes(), &narinfo.signatures);
        PathInfo {
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
        }
    }

    /// The NAR of a path, for our store.
    fn fetch(&self, narinfo: &NarInfo, store: &Store, batch: &Batch<'_>) -> Result<(), MirrorError> {
        if store.nar_size(&narinfo.nar_hash)? == Some(narinfo.nar_size) {
            // Hashed again before a build is given it.
            return Ok(());
        }
        let file = narinfo.file_hash.as_ref().and_then(|hash| hash.bytes().try_into().ok());
        let object = file.map(|hash| Object::Nar(super::layout::FileHash(hash)).name());
        let missing = |object: &str| MirrorError::Document {
            object: self.location.url(object),
            why: format!("it is not there, and {} needs it", narinfo.store_path),
        };
        let object = object.filter(|object| *object == narinfo.url).ok_or_else(|| missing(&narinfo.url))?;
        let opened = self.location.open(&object)?.ok_or_else(|| missing(&object))?;
        let mut nar = zstd::Decoder::new(opened.bytes.take(opened.size))?;
        nar.window_log_max(WINDOW_LOG)?;
        batch.import_nar(nar.take(narinfo.nar_size.saturating_add(1)), Some(narinfo.nar_hash))?;
        Ok(())
    }
}

/// What came of a thread's work; its panic is ours.
fn joined<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|payload| panic::resume_unwind(payload))
}
