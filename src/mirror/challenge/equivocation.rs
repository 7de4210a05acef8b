//! A key that has signed two things of one path: proof against its owner that nobody can explain away, and that anybody can check.

use super::{Cache, Group};
use crate::nix::{hash::NarHash, narinfo::NarInfo, signature::PublicKey};

/// A key that has signed several bits of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Equivocation {
    /// The key.
    pub key: PublicKey,
    /// What it has signed: two or more, each another.
    pub signed: Vec<Signed>,
}

/// What a key has signed. The signature is over the fingerprint, so that these two and the key are all that it takes to check it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The hash of the NAR.
    pub nar_hash: NarHash,
    /// What is signed (Nix manual, "Store Object Fingerprint"): path, hash, size and references.
    pub fingerprint: String,
    /// The signature, as it is in the narinfo.
    pub signature: String,
}

/// The keys that have signed more than one of what caches say of a path. Of keys that are not known nothing can be said.
pub(super) fn find(groups: &[Group], caches: &[Cache], keys: &[PublicKey]) -> Vec<Equivocation> {
    let mut known: Vec<&PublicKey> = Vec::new();
    for key in keys.iter().chain(caches.iter().flat_map(|cache| &cache.keys)) {
        if !known.contains(&key) {
            known.push(key);
        }
    }
    let infos: Vec<&NarInfo> =
        groups.iter().flat_map(|group| &group.said).filter_map(|said| said.claim.info.as_ref()).collect();
    let of = |key: &PublicKey| {
        let mut signed: Vec<Signed> = Vec::new();
        for info in &infos {
            let fingerprint = info.fingerprint();
            let signature = info.signatures.iter().find(|signature| key.has_signed(info, signature));
            let is_new = signed.iter().all(|one| one.fingerprint != fingerprint);
            if let Some(signature) = signature.filter(|_| is_new) {
                signed.push(Signed { nar_hash: info.nar_hash, fingerprint, signature: signature.clone() });
            }
        }
        signed
    };
    let found = known.into_iter().map(|key| Equivocation { key: key.clone(), signed: of(key) });
    found.filter(|one| one.signed.len() > 1).collect()
}
