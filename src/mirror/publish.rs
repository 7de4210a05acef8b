//! The way of a path into a mirror: NAR, listing, log, attestation, and the narinfo last, each only if there is none. Where several
//! have to agree, what one of them has to say ends with the narinfo that they sign, and `signatures` makes one of theirs.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read, Seek as _, SeekFrom},
};

use serde::Serialize;

use super::{
    Mirror, MirrorError, check_signer,
    conflict::{Bits, Standing},
    layout::{HashPart, KeyId, Object},
    location::Put,
    pack::Packed,
    parallel::{WAITING, parallel},
    signatures::agree,
    statement::{self, Admission},
    stream::same,
};
use crate::{
    attest::statement::Statement,
    nix::{
        hash::{Algorithm, Hash, NarHash},
        narinfo::{Compression, NarInfo},
        secret_key::SecretKey,
        store_path::StorePath,
    },
    store::{PathInfo, Store},
};

/// Proofs that are made ahead of their turn.
const AT_ONCE: usize = 64;

/// Somebody who may admit paths to a mirror.
pub struct Publisher<'a> {
    pub(super) mirror: &'a Mirror,
    key: &'a SecretKey,
    pub(super) store: &'a Store,
    admitted: Admitted,
}

/// What to do about a path that is admitted already, with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// It is enough that others have admitted it.
    Leave,
    /// One's own signature is added.
    Cosign,
}

/// A path that is to be admitted; its NAR is in our store.
pub struct Entry<'a> {
    /// The path.
    pub info: &'a PathInfo,
    /// Why it is admitted.
    pub admission: &'a Admission,
    /// What else is said of it: for one that was built how, and the verdict.
    pub statements: &'a [Statement],
    /// What its builder said, if it was built.
    pub log: Option<&'a [u8]>,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// It is admitted now.
    New,
    /// It was there, with the same bits.
    There,
    /// This signer has testified to it, and too few others have: nobody is told to use it yet.
    Pending,
    /// It is there with other bits, and stays so; a record of that was left.
    Conflict {
        /// The bits that are admitted.
        admitted: NarHash,
    },
}

impl<'a> Publisher<'a> {
    /// Somebody with a key that the mirror's policy names, who admits what is in our store.
    ///
    /// # Errors
    /// [`MirrorError::NotASigner`] for any other key.
    pub fn new(mirror: &'a Mirror, key: &'a SecretKey, store: &'a Store) -> Result<Self, MirrorError> {
        check_signer(&mirror.signers, key)?;
        Ok(Publisher { mirror, key, store, admitted: Admitted::Leave })
    }

    /// The same, who adds a signature to what others have admitted.
    #[must_use]
    pub fn cosigning(self) -> Self {
        Publisher { admitted: Admitted::Cosign, ..self }
    }

    /// The key that is signed with.
    pub fn key(&self) -> &SecretKey {
        self.key
    }

    /// Leaves a signed document. One that is there stays: whoever was first has said it. Says which of both.
    pub(super) fn put_signed(
        &self,
        object: &Object,
        kind: &str,
        document: &impl Serialize,
    ) -> Result<Put, MirrorError> {
        self.mirror.put_told(object, kind, document, self.key)
    }

    /// Admits a path, or testifies to it where several have to.
    ///
    /// # Errors
    /// [`MirrorError::NotClosed`] when something it refers to is not in, or the derivation it was built by is not;
    /// [`MirrorError::Left`] when an unfinished writer left something else in its place; a NAR of our store that is damaged. Then it
    /// is not admitted.
    pub fn publish(&self, entry: &Entry<'_>) -> Result<Published, MirrorError> {
        self.publish_with(entry, || self.put_proof(entry))
    }

    /// The same for many paths, each after what it refers to; says of each what came of it. The proofs are made several at once and
    /// before it is their turn, so that an error may leave some of paths that are not admitted.
    ///
    /// # Errors
    /// As [`Publisher::publish`]; then those before it are admitted, and it and those behind it are not.
    pub fn publish_all(&self, entries: &[Entry<'_>]) -> Result<Vec<Published>, MirrorError> {
        let mut published = Vec::with_capacity(entries.len());
        for some in entries.chunks(AT_ONCE) {
            let proofs = parallel(some, WAITING, |entry| -> Result<Option<NarInfo>, MirrorError> {
                // Of what others have something to say of, or said once, their bits are looked at first.
                let part = HashPart::of(&entry.info.path);
                let was = self.mirror.remembered(&part)?;
                let other = was.is_some_and(|was| was.bits != Bits::found(entry.info));
                let told =
                    other || self.mirror.admitted(&part)?.is_some() || !self.mirror.signed(&part)?.is_empty();
                if told { Ok(None) } else { self.put_proof(entry).map(Some) }
            });
            for (entry, proof) in some.iter().zip(proofs) {
                let proof = proof?;
                let made = || proof.map_or_else(|| self.put_proof(entry), Ok);
                published.push(self.publish_with(entry, made)?);
            }
        }
        Ok(published)
    }

    /// Admits a path by a proof that is made when it is wanted.
    fn publish_with(
        &self,
        entry: &Entry<'_>,
        proof: impl FnOnce() -> Result<NarInfo, MirrorError>,
    ) -> Result<Published, MirrorError> {
        let info = entry.info;
        let part = HashPart::of(&info.path);
        let admitted = self.mirror.admitted(&part)?;
        let signed = self.mirror.signed(&part)?;
        match &admitted {
            Some(there) => self.mirror.remember(there)?,
            // What was admitted once and is not there any more comes in with those bits or not at all.
            None => {
                let was = self.mirror.remembered(&part)?.filter(|was| was.bits != Bits::found(info));
                if let Some(was) = was {
                    return self.conflict(&Standing::Remembered(was.bits), info);
                }
            }
        }
        if let Some(other) = admitted.iter().chain(signed.values()).find(|there| !same_bits(there, info)) {
            return self.conflict(&Standing::Said(other), info);
        }
        let own = self.key.public();
        let mine =
            |there: &NarInfo| there.signatures.iter().any(|signature| own.has_signed(there, signature));
        if admitted.iter().chain(signed.values()).any(mine) {
            return self.mirror.settle(&part);
        }
        if admitted.is_some() && self.admitted == Admitted::Leave {
            return Ok(Published::There);
        }
        self.closed(entry)?;
        let narinfo = proof()?;
        // Another release may compress otherwise, and where a NAR lies is not signed: all have to say the same of that.
        if let Some(other) = admitted.iter().chain(signed.values()).find(|other| !agree(other, &narinfo)) {
            return Err(self.left(&other.url));
        }
        let again = if admitted.is_none() { self.comes_again(&part, &narinfo)? } else { None };
        if again.as_ref().is_some_and(|again| self.admitted == Admitted::Leave || mine(again)) {
            return Ok(Published::New);
        }
        let text = narinfo.to_string();
        if self.mirror.policy.threshold > 1 || admitted.is_some() || again.is_some() {
            self.put_bytes(&Object::Signature(part.clone(), KeyId::of(&own)).name(), text.as_bytes())?;
            // From now on it is on its way in again, if it had been removed.
            self.mirror.location.delete(&Object::Removed(part.clone()).name())?;
            return self.mirror.settle(&part);
        }
        match self.mirror.location.put_new(&Object::NarInfo(part.clone()).name(), text.as_bytes())? {
            Put::New => {
                self.mirror.remember(&narinfo)?;
                Ok(Published::New)
            }
            // Somebody else was faster.
            Put::There => match self.mirror.admitted(&part)? {
                Some(there) if same_bits(&there, info) => Ok(Published::There),
                Some(there) => self.conflict(&Standing::Said(&there), info),
                None => Err(self.left(&narinfo.store_path.to_string())),
            },
        }
    }

    /// A path that was removed on record, and is in again with the signatures of everybody who had signed it: the bits are the same, and
    /// what they said of them stayed.
    fn comes_again(&self, part: &HashPart, narinfo: &NarInfo) -> Result<Option<NarInfo>, MirrorError> {
        let Some(removal) = self.mirror.removal(part)? else { return Ok(None) };
        let was = NarInfo::parse(removal.document.narinfo.as_bytes()).ok();
        let Some(was) = was.filter(|was| agree(was, narinfo)) else { return Ok(None) };
        if !self.mirror.is_ready(&was)? {
            return Ok(None);
        }
        self.mirror.put_back(&removal.document)?;
        Ok(Some(was))
    }

    /// Whether everything is in, as far as this signer is concerned, that has to be in before a path.
    fn closed(&self, entry: &Entry<'_>) -> Result<(), MirrorError> {
        let path = &entry.info.path;
        let missing =
            |missing: &StorePath| MirrorError::NotClosed { path: path.clone(), missing: missing.clone() };
        for reference in entry.info.references.iter().filter(|reference| *reference != path) {
            if self.mirror.narinfo(reference)?.is_none() {
                return Err(missing(reference));
            }
        }
        match entry.admission.deriver() {
            Some(drv) if self.mirror.location.open(&Object::Derivation(drv.clone()).name())?.is_none() => {
                Err(missing(drv))
            }
            _ => Ok(()),
        }
    }

    /// Everything of a path but its narinfo, which it returns.
    fn put_proof(&self, entry: &Entry<'_>) -> Result<NarInfo, MirrorError> {
        let part = HashPart::of(&entry.info.path);
        let mut packed = self.pack(entry.info)?;
        let object = Object::Nar(packed.hash).name();
        if self.mirror.location.put_new_file(&object, &mut packed.file)? == Put::There {
            // Its name is its hash; a length that differs is damage that shows without reading it.
            let there = self.mirror.location.open(&object)?.map(|opened| opened.size);
            if there != Some(packed.size) {
                return Err(self.left(&object));
            }
        }
        if let Some(listing) = &mut packed.listing {
            self.put_same(&Object::Listing(part.clone()).name(), listing)?;
        }
        if let (Some(log), Some(drv)) = (entry.log, entry.admission.deriver()) {
            // The same for every output of a derivation, and no part of any proof: the first one stays.
            self.mirror.location.put_new(&Object::Log(drv.clone()).name(), log)?;
        }
        let lines = statement::lines(entry, self.key)?;
        self.put_bytes(&Object::Attestation(part, KeyId::of(&self.key.public())).name(), &lines)?;
        Ok(self.narinfo(entry, &packed))
    }

    /// Creates an object; one that is there has to be the same.
    ///
    /// # Errors
    /// [`MirrorError::Left`] when something else is there.
    pub fn put_bytes(&self, name: &str, bytes: &[u8]) -> Result<(), MirrorError> {
        match self.mirror.location.put_new(name, bytes)? {
            Put::New => Ok(()),
            Put::There => self.there_is(name, bytes.len() as u64, bytes),
        }
    }

    /// The same of a file's bytes.
    fn put_same(&self, name: &str, file: &mut File) -> Result<(), MirrorError> {
        if self.mirror.location.put_new_file(name, file)? == Put::New {
            return Ok(());
        }
        file.seek(SeekFrom::Start(0))?;
        self.there_is(name, file.metadata()?.len(), file)
    }

    fn there_is(&self, name: &str, size: u64, bytes: impl Read) -> Result<(), MirrorError> {
        let there = self.mirror.location.open(name)?.filter(|there| there.size == size);
        let same = there.map(|there| same(there.bytes, bytes)).transpose()?;
        if same == Some(true) { Ok(()) } else { Err(self.left(name)) }
    }

    pub(super) fn left(&self, name: &str) -> MirrorError {
        MirrorError::Left { object: self.mirror.location.url(name) }
    }

    /// What comes of a path that others have testified to: a record, if they have other bits for it.
    pub(super) fn compare(&self, there: &NarInfo, info: &PathInfo) -> Result<Published, MirrorError> {
        if same_bits(there, info) {
            self.mirror.settle(&HashPart::of(&info.path))
        } else {
            self.conflict(&Standing::Said(there), info)
        }
    }

    fn narinfo(&self, entry: &Entry<'_>, packed: &Packed) -> NarInfo {
        let info = entry.info;
        let mut narinfo = NarInfo {
            store_path: info.path.clone(),
            url: Object::Nar(packed.hash).name(),
            compression: Compression::Zstd,
            file_hash: Hash::new(Algorithm::Sha256, &packed.hash.0),
            file_size: Some(packed.size),
            nar_hash: info.nar_hash,
            nar_size: info.nar_size,
            references: info.references.clone(),
            // Nobody signs this line: it repeats what is signed beside it, or says nothing.
            deriver: entry.admission.deriver().cloned(),
            signatures: Vec::new(),
            content_address: None,
            other: BTreeMap::new(),
        };
        narinfo.signatures.push(self.key.sign(narinfo.fingerprint().as_bytes()));
        narinfo
    }
}

/// Whether a narinfo is about the very bits of a path.
fn same_bits(there: &NarInfo, info: &PathInfo) -> bool {
    (there.nar_hash, there.nar_size, &there.references) == (info.nar_hash, info.nar_size, &info.references)
}
