//! Who has signed what: each signer's own narinfo of a path, which nobody else can make and which never changes, and the narinfo
//! that Nix reads, which follows from them.
//!
//! Nix takes a path that one key it trusts has signed. So a path has a narinfo only when as many signers agree as the policy asks,
//! and until then it is pending: its signers build on it, and nobody else is told of it. Further signatures are added to the
//! narinfo; a writer who dies before, or is overtaken, leaves one out, and the next one who settles the path puts it in.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    ATTEMPTS, Mirror, MirrorError,
    admission::agreeing,
    check_signer,
    layout::{HashPart, KeyId, Object},
    location::Put,
    publish::Published,
    statement::Admission,
};
use crate::nix::{
    narinfo::{self, NarInfo},
    secret_key::SecretKey,
    signature::PublicKey,
};

impl Mirror {
    /// The mirror as one of its signers sees it: what they have testified to themselves is there for them.
    ///
    /// # Errors
    /// [`MirrorError::NotASigner`].
    pub fn seen_by(self, key: &SecretKey) -> Result<Mirror, MirrorError> {
        check_signer(&self.signers, key)?;
        Ok(Mirror { seen_by: Some(key.public()), ..self })
    }

    /// Every key that the policy names.
    pub(super) fn keys(&self) -> impl Iterator<Item = &PublicKey> {
        self.signers.nix_keys().map(|(_, key)| key)
    }

    /// The narinfo of a path that is admitted: as many have signed it as have to.
    pub(super) fn admitted(&self, part: &HashPart) -> Result<Option<NarInfo>, MirrorError> {
        let object = Object::NarInfo(part.clone());
        let Some((info, _)) = self.read(&object, part)? else { return Ok(None) };
        let signed = self.signers.who_signed(info.fingerprint().as_bytes(), &info.signatures).len();
        if signed < self.policy.threshold {
            let needed = self.policy.threshold;
            let why = format!("{signed} of the mirror's signers have signed it, and {needed} have to");
            return Err(MirrorError::Unsigned { object: self.location.url(&object.name()), why });
        }
        Ok(Some(info))
    }

    /// The narinfo of a path as the owner of a key signs it.
    pub(super) fn signed_by(&self, part: &HashPart, key: &PublicKey) -> Result<Option<NarInfo>, MirrorError> {
        let object = Object::Signature(part.clone(), KeyId::of(key));
        let Some((info, _)) = self.read(&object, part)? else { return Ok(None) };
        match &info.signatures[..] {
            [one] if key.has_signed(&info, one) => Ok(Some(info)),
            _ => {
                let why = format!("it has to be signed by {} and by nobody else", key.name());
                Err(MirrorError::Unsigned { object: self.location.url(&object.name()), why })
            }
        }
    }

    /// The narinfos of a path as each key signs it. Where there is one key only, it signs the mirror's own.
    pub(super) fn signed(&self, part: &HashPart) -> Result<BTreeMap<KeyId, NarInfo>, MirrorError> {
        let mut signed = BTreeMap::new();
        if self.keys().count() > 1 {
            for key in self.keys() {
                signed.extend(self.signed_by(part, key)?.map(|info| (KeyId::of(key), info)));
            }
        }
        Ok(signed)
    }

    /// Makes the narinfo of a path what follows from what its signers sign. It never loses a signature.
    ///
    /// # Errors
    /// [`MirrorError::Left`] when it cannot be written because others never cease to write it.
    pub fn settle(&self, part: &HashPart) -> Result<Published, MirrorError> {
        let signed = self.signed(part)?;
        let object = Object::NarInfo(part.clone());
        if signed.is_empty() && self.admitted(part)?.is_some() {
            return Ok(Published::There);
        }
        for _ in 0..ATTEMPTS {
            // What has a narinfo already has to be admitted: too few signatures are an error.
            let there = self.admitted(part)?.and(self.read(&object, part)?);
            let Some(mut info) =
                there.as_ref().map(|(info, _)| info.clone()).or_else(|| self.most(signed.values()))
            else {
                return Ok(Published::Pending);
            };
            let agreeing = signed.values().filter(|one| agree(one, &info));
            let all: BTreeSet<String> =
                agreeing.flat_map(|one| &one.signatures).chain(&info.signatures).cloned().collect();
            info.signatures = all.into_iter().collect();
            let text = info.to_string();
            let written = match &there {
                Some((_, was)) if was == text.as_bytes() => return Ok(Published::There),
                Some((_, was)) => self.location.exchange(&object.name(), was, text.as_bytes())?,
                None if !self.is_ready(&info)? => return Ok(Published::Pending),
                None => self.location.put_new(&object.name(), text.as_bytes())? == Put::New,
            };
            if written {
                self.remember(&info)?;
                return Ok(Published::New);
            }
        }
        Err(MirrorError::Left { object: self.location.url(&object.name()) })
    }

    /// What is said of a path that is admitted or that somebody has testified to, and why, by one who says it.
    pub(super) fn testified(&self, part: &HashPart) -> Result<Option<(NarInfo, Admission)>, MirrorError> {
        let signed = self.signed(part)?;
        let Some(info) = self.admitted(part)?.or_else(|| self.most(signed.values())) else { return Ok(None) };
        for key in self.keys() {
            let own = signed.get(&KeyId::of(key)).is_some_and(|one| agree(one, &info));
            let listed = || info.signatures.iter().any(|signature| key.has_signed(&info, signature));
            if (own || listed())
                && let Some(admission) = self.said_by(&info, key)?
            {
                return Ok(Some((info, admission)));
            }
        }
        let object = self.location.url(&Object::NarInfo(part.clone()).name());
        Err(MirrorError::Document { object, why: "nobody says why it was admitted".to_owned() })
    }

    /// What most of those say who have testified to a path, and who they are.
    pub(super) fn most_signed(&self, part: &HashPart) -> Result<Option<(NarInfo, Vec<String>)>, MirrorError> {
        let signed = self.signed(part)?;
        let Some(info) = self.most(signed.values()) else { return Ok(None) };
        let agreeing = signed.values().filter(|one| agree(one, &info));
        let signatures: Vec<String> = agreeing.flat_map(|one| one.signatures.clone()).collect();
        let names = self.signers.who_signed(info.fingerprint().as_bytes(), &signatures);
        let names = names.into_iter().map(str::to_owned).collect();
        Ok(Some((info, names)))
    }

    /// The narinfo on which most signers agree, of several the first.
    fn most<'i>(&self, signed: impl Iterator<Item = &'i NarInfo> + Clone) -> Option<NarInfo> {
        let count = |info: &NarInfo| {
            let agreeing = signed.clone().filter(|one| agree(one, info));
            let signatures: Vec<String> = agreeing.flat_map(|one| one.signatures.clone()).collect();
            self.signers.who_signed(info.fingerprint().as_bytes(), &signatures).len()
        };
        let mut best: Option<(usize, &NarInfo)> = None;
        for info in signed.clone() {
            let count = count(info);
            if best.is_none_or(|(most, _)| count > most) {
                best = Some((count, info));
            }
        }
        best.map(|(_, info)| info.clone())
    }

    /// Whether enough have signed a path and say the same of it, and what it refers to and was made from is admitted.
    pub(super) fn is_ready(&self, info: &NarInfo) -> Result<bool, MirrorError> {
        let mut said = Vec::new();
        for contributor in &self.signers.contributors {
            for key in &contributor.nix {
                if info.signatures.iter().any(|signature| key.has_signed(info, signature)) {
                    said.extend(self.said_by(info, key)?.map(|said| (contributor.name.as_str(), said)));
                }
            }
        }
        let by: Vec<(&str, &Admission)> = said.iter().map(|(name, said)| (*name, said)).collect();
        if agreeing(&by) < self.policy.threshold {
            return Ok(false);
        }
        let inputs = said.iter().flat_map(|(_, said)| said.inputs.keys());
        let mut needed: BTreeSet<HashPart> = info.references.iter().chain(inputs).map(HashPart::of).collect();
        needed.remove(&HashPart::of(&info.store_path));
        for part in needed {
            if self.admitted(&part)?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A narinfo and its very bytes.
    fn read(&self, object: &Object, part: &HashPart) -> Result<Option<(NarInfo, Vec<u8>)>, MirrorError> {
        let name = object.name();
        let Some(text) = self.location.get(&name, narinfo::MAX_LEN as u64)? else { return Ok(None) };
        let document = |why: String| MirrorError::Document { object: self.location.url(&name), why };
        let info = NarInfo::parse(&text).map_err(|error| document(error.to_string()))?;
        if HashPart::of(&info.store_path) != *part {
            return Err(document(format!("it is about {}", info.store_path)));
        }
        Ok(Some((info, text)))
    }
}

/// Whether two narinfos are the same but for who has signed them.
pub(super) fn agree(one: &NarInfo, other: &NarInfo) -> bool {
    let unsigned = |info: &NarInfo| NarInfo { signatures: Vec::new(), ..info.clone() };
    unsigned(one) == unsigned(other)
}
