//! One path, as it and what is said of it lie in the mirror.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    super::{
        Mirror, MirrorError,
        layout::{HashPart, KeyId, Object},
        reading::{READING_KIND, Reading},
        statement::{self, Admission},
    },
    Held, MOST_NEEDS, ReadBy, Shown, Testimony, Unread, Waiting,
};
use crate::{
    attest::{
        check::{self as attested, Said},
        verdict::VerdictPredicate,
    },
    nix::{
        narinfo::{self, NarInfo},
        signature::PublicKey,
        store_path::StorePath,
    },
    release::signers::Contributor,
};

impl Mirror {
    /// A path, and what of it cannot be read or believed.
    pub(super) fn held(
        &self,
        part: &HashPart,
        readers: &[KeyId],
    ) -> Result<Option<(Held, Vec<Unread>)>, MirrorError> {
        let object = Object::NarInfo(part.clone());
        let Some(text) = self.location.get(&object.name(), narinfo::MAX_LEN as u64)? else { return Ok(None) };
        let damaged = |why: String| MirrorError::Document { object: self.location.url(&object.name()), why };
        let info = NarInfo::parse(&text).map_err(|error| damaged(error.to_string()))?;
        if HashPart::of(&info.store_path) != *part {
            return Err(damaged(format!("it is about {}", info.store_path)));
        }
        let (mut signed, mut said, mut unread) = (Vec::new(), Vec::new(), Vec::new());
        for contributor in &self.signers.contributors {
            let keys: Vec<&PublicKey> = contributor
                .nix
                .iter()
                .filter(|key| info.signatures.iter().any(|signature| key.has_signed(&info, signature)))
                .collect();
            if keys.is_empty() {
                continue;
            }
            signed.push(contributor.name.clone());
            for key in keys {
                let object = Object::Attestation(part.clone(), KeyId::of(key)).name();
                match self.testimony(&info, key, &contributor.name, &object) {
                    Ok(one) => said.extend(one),
                    Err(error) => unread.push(self.unread(&object, &error)),
                }
            }
        }
        if signed.is_empty() {
            let why = "none of the mirror's signers has signed it".to_owned();
            return Err(MirrorError::Unsigned { object: self.location.url(&object.name()), why });
        }
        if said.is_empty() {
            let why = "nobody says why it was admitted".to_owned();
            unread.push(Unread { object: object.name(), why });
        }
        let mut read = Vec::new();
        for key in readers {
            let object = Object::Reading(part.clone(), key.clone());
            let of_key = |one: &&Contributor| one.nix.iter().any(|one| KeyId::of(one) == *key);
            let Some(owner) = self.signers.contributors.iter().find(of_key) else { continue };
            match self.is_read_by(&info, &object, &owner.name) {
                // Who has built it since says more than that.
                Ok(true) if !signed.contains(&owner.name) => {
                    read.push(ReadBy { by: owner.name.clone(), object: object.name() });
                }
                Ok(_) => {}
                Err(error) => unread.push(self.unread(&object.name(), &error)),
            }
        }
        let mut references = info.references;
        references.remove(&info.store_path);
        let held = Held {
            path: info.store_path,
            nar_hash: info.nar_hash,
            nar_size: info.nar_size,
            file_size: info.file_size,
            references: references.into_iter().take(MOST_NEEDS).collect(),
            signed,
            said,
            read,
        };
        Ok(Some((held, unread)))
    }

    /// A path that is not admitted, as those say who have testified to the same bits; `None` when nobody has.
    pub(super) fn waiting(&self, part: &HashPart) -> Result<Option<Waiting>, MirrorError> {
        let Some((info, signed)) = self.most_signed(part)? else { return Ok(None) };
        let NarInfo { store_path: path, nar_hash, nar_size, .. } = info;
        Ok(Some(Waiting { path, nar_hash, nar_size, signed }))
    }

    /// Whether somebody says in this object that he has read what is said of these bits; not when it is gone.
    fn is_read_by(&self, info: &NarInfo, object: &Object, by: &String) -> Result<bool, MirrorError> {
        let Some(told) = self.told::<Reading>(object, READING_KIND)? else { return Ok(false) };
        let document = |why: &str| MirrorError::Document { object: object.name(), why: why.to_owned() };
        if (&told.document.path, told.document.nar_hash) != (&info.store_path, info.nar_hash) {
            return Err(document("it is about something else"));
        }
        if !told.by.contains(by) {
            return Err(document("it is signed by somebody else than its name says"));
        }
        Ok(true)
    }

    /// What the owner of a key says of a path; `None` when he says nothing.
    fn testimony(
        &self,
        info: &NarInfo,
        key: &PublicKey,
        by: &str,
        object: &str,
    ) -> Result<Option<Testimony>, MirrorError> {
        let Some(lines) = self.location.get(object, attested::MAX_LEN)? else { return Ok(None) };
        let damaged = |why: &str| MirrorError::Document { object: object.to_owned(), why: why.to_owned() };
        let (mut admission, mut verdict): (Option<Admission>, Option<Box<VerdictPredicate>>) = (None, None);
        for line in String::from_utf8_lossy(&lines).lines() {
            let one = attested::signed(line, std::slice::from_ref(key))?;
            if one.path != info.store_path || one.nar_hash != info.nar_hash {
                return Err(damaged("a statement in it is about something else"));
            }
            if one.predicate_type == statement::TYPE {
                let read = serde_json::from_value(one.predicate);
                admission = Some(read.map_err(|error| damaged(&error.to_string()))?);
                continue;
            }
            // What is said beside it, and is not known here, takes nothing from it.
            if let Ok(Said::Verdict(one)) =
                Said::read(&one.predicate_type, one.predicate, &one.path, one.nar_hash)
            {
                verdict = Some(one);
            }
        }
        let Some(admission) = admission else { return Ok(None) };
        let first = |paths: BTreeSet<StorePath>| paths.into_iter().take(MOST_NEEDS).collect();
        Ok(Some(Testimony {
            by: by.to_owned(),
            object: object.to_owned(),
            ground: admission.ground,
            inputs: first(admission.inputs.into_keys().collect()),
            seeds: first(admission.seeds),
            sources: admission.sources.len(),
            log: admission.log.is_some(),
            shown: verdict.map(|verdict| shown(*verdict)),
        }))
    }

    pub(super) fn unread(&self, object: &str, error: &MirrorError) -> Unread {
        // Where the mirror lies is no part of what it holds.
        let why = error.to_string().replace(&self.location.url(""), "");
        let why = why.strip_prefix(&format!("{object}: ")).map(str::to_owned).unwrap_or(why);
        Unread { object: object.to_owned(), why }
    }
}

fn shown(verdict: VerdictPredicate) -> Shown {
    let mut rounds = BTreeMap::new();
    for round in verdict.rounds {
        *rounds.entry(round.engine).or_default() += 1;
    }
    Shown {
        verdict: verdict.verdict,
        level: verdict.level,
        level_name: verdict.level_name,
        rounds,
        references: verdict.references.into_iter().map(|one| one.reference).collect(),
    }
}
