//! Who has signed a path: the mirror's narinfo, what each signer signs, and that they agree.

use std::collections::BTreeMap;

use super::{Checker, Found, Kind, path::PathResult};
use crate::{
    mirror::{
        layout::{HashPart, KeyId, Object},
        signatures::agree,
    },
    nix::{narinfo::NarInfo, signature::PublicKey},
};

impl Checker<'_> {
    /// The keys that have signed a path, of everybody whom the mirror names; of each signature its key, or none.
    pub(super) fn keys_of(&self, info: &NarInfo) -> Vec<Option<&PublicKey>> {
        let key = |signature: &String| self.believed.keys().find(|key| key.has_signed(info, signature));
        info.signatures.iter().map(key).collect()
    }

    /// Who has signed it, with these keys. Every line has to be of somebody whom the mirror names.
    pub(super) fn signatures(
        &self,
        found: &mut Found,
        name: &str,
        keys: &[Option<&PublicKey>],
    ) -> Vec<String> {
        if keys.contains(&None) {
            found.fault(Kind::Damaged, name, "a signature of it is of none of the signers that are named");
        }
        let good = |key: &PublicKey| keys.contains(&Some(key));
        let signed = self.believed.counted.iter().filter(|one| one.nix.iter().any(good));
        let signed: Vec<String> = signed.map(|one| one.name.clone()).collect();
        self.too_few(found, name, signed.iter().map(String::as_str).collect());
        signed
    }

    /// Tells when fewer have signed something than have to agree.
    pub(super) fn too_few(&self, found: &mut Found, object: &str, signed: Vec<&str>) {
        let needed = self.believed.needed;
        if signed.len() < needed {
            let by = if signed.is_empty() { "nobody who is believed".to_owned() } else { signed.join(", ") };
            let why = match needed {
                1 => format!("it is signed by {by}"),
                needed => format!("{needed} signers have to agree, and it is signed by {by}"),
            };
            found.fault(Kind::Unsigned, object, why);
        }
    }

    /// The narinfos of a path as each signer signs it. One signer alone signs the mirror's.
    pub(super) fn each_signs(&self, result: &mut PathResult, part: &HashPart) -> BTreeMap<KeyId, NarInfo> {
        let several = self.believed.keys().count() > 1;
        let mut signed = BTreeMap::new();
        for key in self.believed.keys().filter(|_| several) {
            let id = KeyId::of(key);
            let name = Object::Signature(part.clone(), id.clone()).name();
            match self.location.open(&name) {
                Ok(None) => continue,
                Ok(Some(_)) => {}
                Err(error) => result.found.fault(Kind::Unread, &name, error.to_string()),
            }
            result.uses.insert(name.clone());
            let Some(info) = self.narinfo(&mut result.found, &name, part) else { continue };
            match &info.signatures[..] {
                [one] if key.has_signed(&info, one) => {
                    signed.insert(id, info);
                }
                _ => result.found.fault(Kind::Unsigned, &name, "it is not signed by its signer alone"),
            }
        }
        signed
    }

    /// That an admitted path is what each of its signers signs, and has their signatures.
    pub(super) fn listed(
        &self,
        result: &mut PathResult,
        name: &str,
        info: &NarInfo,
        signed: &BTreeMap<KeyId, NarInfo>,
    ) {
        let part = HashPart::of(&info.store_path);
        for (key, one) in signed {
            let own = Object::Signature(part.clone(), key.clone()).name();
            if one.fingerprint() != info.fingerprint() {
                let why = format!("it is signed as {}, and admitted as {}", one.nar_hash, info.nar_hash);
                result.found.fault(Kind::Conflict, &own, why);
            } else if !agree(one, info) {
                let why = format!("it is not what {name} is without the others' signatures");
                result.found.fault(Kind::Damaged, &own, why);
            } else if one.signatures.iter().any(|signature| !info.signatures.contains(signature)) {
                let why = format!("{own} has a signature that it does not have: cosign it again");
                result.found.fault(Kind::Unlisted, name, why);
            }
        }
        if self.policy.threshold > 1 {
            for signature in &info.signatures {
                if !signed.values().any(|one| one.signatures.contains(signature)) {
                    let why = "it has a signature that its signer keeps no record of";
                    result.found.fault(Kind::Damaged, name, why);
                }
            }
        }
    }

    /// A path that somebody has testified to, with all signatures that agree. Others are a conflict.
    pub(super) fn pending<'i>(
        &self,
        result: &mut PathResult,
        first: &NarInfo,
        signed: impl Iterator<Item = &'i NarInfo>,
    ) -> NarInfo {
        let mut info = NarInfo { signatures: Vec::new(), ..first.clone() };
        let name = Object::NarInfo(HashPart::of(&info.store_path)).name();
        for one in signed {
            if agree(one, &info) {
                info.signatures.extend(one.signatures.iter().cloned());
            } else {
                let why = format!("one signs it as {}, and another as {}", info.nar_hash, one.nar_hash);
                result.found.fault(Kind::Conflict, &name, why);
            }
        }
        info
    }
}
