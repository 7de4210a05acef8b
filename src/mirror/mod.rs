//! A mirror: a Nix binary cache in which every path was rebuilt here before it was admitted, and says what it rests on.
//!
//! | object | what |
//! |---|---|
//! | `nix-cache-info` | which store it is of; Nix reads it first |
//! | `mirror.json`, `mirror.json.sig` | [`policy`]: what is admitted, and who says so; signed |
//! | `<hash>.narinfo` | an admitted path: the hash of its NAR, what it refers to, signatures |
//! | `nar/<SHA-256>.nar.zst` | its NAR, by the hash of the file |
//! | `<hash>.ls` | the tree in its NAR |
//! | `log/<derivation>` | what its builder said |
//! | `derivations/<derivation>` | the text of one that something was built by, or that one of those needs |
//! | `attestations/<hash>/<key>.jsonl` | why it was admitted: signed statements, a file for each key |
//! | `attestations/<hash>/<key>.narinfo` | the narinfo as this key signs it, where others have to or may as well |
//! | `seeds/<hash>.json` | a path that was taken as it is, and why; signed |
//! | `sources/sha256/<SHA-256>` | a source, by the hash of the file |
//! | `refused/<hash of the derivation>/<key>.json` | what was not admitted, and why; signed |
//! | `readings/<hash>/<key>.json` | what a signer has read of it and not built; signed |
//! | `conflicts/<hash>-<NAR hash>.json` | other bits that were found for an admitted path; signed |
//! | `conflicts/<hash>-<NAR hash>.nar.zst` | those bits |
//! | `admitted/<hash>.json` | that a path was admitted, and with which bits: stays when the path goes |
//! | `removed/<hash>.json` | a path that was removed because nothing needed it; signed; goes when it comes again |
//! | `snapshots/<key>.json` | what was there at a time, and until when that holds; signed |
//! | `claims/<hash of the derivation>/<n>` | who is at work, on it or on nothing in particular; goes when that is done |
//! | `index.html` | what is in, for people: follows from all the others; replaced |
//!
//! | module | what lives there |
//! |---|---|
//! | [`location`] | where objects lie |
//! | [`layout`] | their names |
//! | [`policy`] | `mirror.json` |
//! | `feasible` | whether anything can ever meet it |
//! | [`statement`] | what is said of an admitted path |
//! | [`publish`] | the way of a path into the mirror |
//! | `pack` | its NAR as it lies there, and the list of the tree in it |
//! | [`escrow`] | the way of a source into it, and back |
//! | [`derivations`] | the way of a derivation's text into it, and back |
//! | [`car`] | sources under the names of content-addressed networks |
//! | [`seeds`] | paths that are taken as they are |
//! | [`bring`] | the way of a path from the mirror into our store |
//! | [`admission`] | whether what a verification showed is enough, pure |
//! | [`workbench`] | one derivation, built from what the mirror holds |
//! | `testimony` | what a verification showed, as statements |
//! | `made` | the way of what was built into the mirror |
//! | `supply` | the way of sources out of the mirror into our store |
//! | `follows` | whether the path of a source follows from its bits |
//! | `signatures` | what each signer signs, and the narinfo that follows from it |
//! | [`cosign`] | what others have admitted or testified to, proved again and signed |
//! | [`reading`] | what others say, read and not built |
//! | [`rebuild`] | admitted paths proved again, from the mirror alone |
//! | [`claims`] | who is at work on what |
//! | [`populate`] | a whole closure, leaves first |
//! | `parallel` | the same work for many objects, on all cores |
//! | [`conflict`] | other bits for an admitted path |
//! | [`document`] | signed documents, read back |
//! | [`holdings`] | what is in, and what is said of it, to be looked at |
//! | [`page`] | the page at the root: where it lies, and whether it is the one that follows |
//! | [`memory`] | what was once admitted, and what was removed since |
//! | [`snapshot`] | what was there at a time |
//! | [`time`] | moments, as documents state them |
//! | [`gc`] | removing what nobody needs |
//! | [`serve`] | the mirror over HTTP |
//! | [`challenge`] | whether several caches say the same, and what differs |
//! | [`check`] | everything that a stranger can check |
//!
//! An object is written once, as a whole, under a name that nothing had (`location`): that is the only promise asked of the place.
//! A path's narinfo comes last. So a killed writer leaves objects that nobody refers to and never a path without its proof, and of
//! two writers one admits a path and the other finds it admitted. What is admitted follows from what was verified, the policy and the key:
//! whoever does the same work again makes the same bytes. Claims, snapshots, readings, and records of conflicts and removals say what was
//! there when they were made.

pub mod admission;
pub mod bring;
pub mod car;
pub mod challenge;
pub mod check;
pub mod claims;
pub mod conflict;
pub mod cosign;
pub mod derivations;
pub mod document;
mod error;
pub mod escrow;
mod feasible;
mod follows;
pub mod gc;
pub mod holdings;
pub mod layout;
pub mod location;
mod made;
pub mod memory;
mod pack;
pub mod page;
mod parallel;
pub mod policy;
pub mod populate;
pub mod publish;
pub mod reading;
pub mod rebuild;
pub mod seeds;
pub mod serve;
mod signatures;
pub mod snapshot;
pub mod statement;
mod stream;
mod supply;
mod testimony;
pub mod time;
pub mod workbench;

use std::{collections::BTreeSet, sync::Mutex};

use crate::{
    attest::check as attested,
    nix::{narinfo::NarInfo, secret_key::SecretKey, signature::PublicKey, store_path::StorePath},
    release::signers::Signers,
};

pub use error::{EXPLANATIONS, MirrorError};
use layout::{HashPart, KeyId, Object};
use location::{Location, Put};
use policy::Policy;
use statement::Admission;

/// Longest `nix-cache-info` and file of signatures, in bytes.
const MAX_SMALL: u64 = 64 << 10;

/// How often an object that gains signatures is written again when others write it meanwhile.
const ATTEMPTS: usize = 32;

/// A mirror.
pub struct Mirror {
    location: Location,
    policy: Policy,
    signers: Signers,
    /// Whose testimony is enough for whoever looks.
    seen_by: Option<PublicKey>,
    /// Held while paths are brought into our store.
    bringing: Mutex<()>,
}

impl Mirror {
    /// Makes a mirror in a location that has none. In one that has the same policy, the key's signature is added to those of it: so
    /// several signers, each of whom brings the policy, agree about it.
    ///
    /// # Errors
    /// [`MirrorError::OtherPolicy`] when there is one of another policy; [`MirrorError::NotASigner`] when the key is of nobody whom
    /// the policy names; a location that writes over what is there.
    pub fn init(location: Location, policy: Policy, key: &SecretKey) -> Result<Mirror, MirrorError> {
        let signers = policy.signers()?;
        check_signer(&signers, key)?;
        location.prove_create_once("claims/probe")?;
        let put = |object: Object, bytes: &[u8]| -> Result<(), MirrorError> {
            let name = object.name();
            let there = location.put_new(&name, bytes)? == Put::There;
            if there && location.get(&name, policy::MAX_LEN)?.as_deref() != Some(bytes) {
                return Err(MirrorError::OtherPolicy { address: location.address().to_owned() });
            }
            Ok(())
        };
        put(Object::Policy, &policy.to_json())?;
        sign_policy(&location, &policy, key)?;
        // Last: what has none is no mirror to Nix.
        put(Object::CacheInfo, policy.cache_info().as_bytes())?;
        Ok(Mirror { location, policy, signers, seen_by: None, bringing: Mutex::default() })
    }

    /// Opens a mirror, and believes its policy.
    ///
    /// # Errors
    /// [`MirrorError::NotAMirror`] without a `mirror.json`, [`MirrorError::Policy`] for one that says nothing that can be kept, and
    /// [`MirrorError::Unsigned`] for one that none of the signers it names has signed.
    pub fn open(location: Location) -> Result<Mirror, MirrorError> {
        let name = Object::Policy.name();
        let document = location.get(&name, policy::MAX_LEN)?;
        let document =
            document.ok_or_else(|| MirrorError::NotAMirror { address: location.address().to_owned() })?;
        let policy = Policy::from_json(&document)?;
        let signers = policy.signers()?;
        let mirror = Mirror { location, policy, signers, seen_by: None, bringing: Mutex::default() };
        if mirror.stand_for_policy()?.is_empty() {
            let why = "none of the signers it names has signed it".to_owned();
            return Err(MirrorError::Unsigned { object: mirror.location.url(&name), why });
        }
        Ok(mirror)
    }

    /// Where it lies.
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// What it admits.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Who says so.
    pub fn signers(&self) -> &Signers {
        &self.signers
    }

    /// What it says of a path that as many of its signers have signed as have to; for one of them also of what they have testified to
    /// themselves. `None` when it does not have it.
    ///
    /// # Errors
    /// [`MirrorError::Document`] for a narinfo that is none or is about another path, [`MirrorError::Unsigned`] for one that too
    /// few of the signers signed: neither is the same as having none.
    pub fn narinfo(&self, path: &StorePath) -> Result<Option<NarInfo>, MirrorError> {
        let part = HashPart::of(path);
        let Some(info) = self.narinfo_of(&part)? else { return Ok(None) };
        if info.store_path != *path {
            let object = self.location.url(&Object::NarInfo(part).name());
            return Err(MirrorError::Document { object, why: format!("it is about {}", info.store_path) });
        }
        Ok(Some(info))
    }

    /// The same, of the path that is found by these characters.
    ///
    /// # Errors
    /// As [`Mirror::narinfo`].
    pub fn narinfo_of(&self, part: &HashPart) -> Result<Option<NarInfo>, MirrorError> {
        match (self.admitted(part)?, &self.seen_by) {
            (None, Some(key)) => self.signed_by(part, key),
            (admitted, _) => Ok(admitted),
        }
    }

    /// Why a path of the mirror was admitted, as one of those who signed it says.
    ///
    /// # Errors
    /// [`MirrorError::Document`] when it is not there, or nobody says it.
    pub fn admission(&self, path: &StorePath) -> Result<Admission, MirrorError> {
        let part = HashPart::of(path);
        let document = |why: &str| MirrorError::Document {
            object: self.location.url(&Object::NarInfo(part.clone()).name()),
            why: why.to_owned(),
        };
        let info = self.narinfo(path)?.ok_or_else(|| document("it is not there"))?;
        for key in self.keys() {
            if info.signatures.iter().any(|signature| key.has_signed(&info, signature))
                && let Some(admission) = self.said_by(&info, key)?
            {
                return Ok(admission);
            }
        }
        Err(document("nobody says why it was admitted"))
    }

    /// Why a path was admitted, as the owner of a key says.
    fn said_by(&self, info: &NarInfo, key: &PublicKey) -> Result<Option<Admission>, MirrorError> {
        let object = Object::Attestation(HashPart::of(&info.store_path), KeyId::of(key)).name();
        let Some(lines) = self.location.get(&object, attested::MAX_LEN)? else { return Ok(None) };
        for line in String::from_utf8_lossy(&lines).lines() {
            let said = attested::signed(line, std::slice::from_ref(key))?;
            let about_it = said.path == info.store_path && said.nar_hash == info.nar_hash;
            if about_it && said.predicate_type == statement::TYPE {
                let admission = serde_json::from_value(said.predicate);
                let document = |error: serde_json::Error| MirrorError::Document {
                    object: self.location.url(&object),
                    why: error.to_string(),
                };
                return admission.map(Some).map_err(document);
            }
        }
        Ok(None)
    }

    /// Who of the signers has signed `mirror.json`.
    ///
    /// # Errors
    /// When the signatures cannot be read. One that does not count is none.
    pub fn stand_for_policy(&self) -> Result<Vec<&str>, MirrorError> {
        let bytes = self.location.get(&Object::PolicySignature.name(), MAX_SMALL)?.unwrap_or_default();
        let lines: Vec<String> = String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect();
        Ok(self.signers.who_signed(&Policy::signed_bytes(&self.policy.to_json()), &lines))
    }
}

/// That a key is of one of the signers.
///
/// # Errors
/// [`MirrorError::NotASigner`]: nobody would believe what it signs.
pub fn check_signer(signers: &Signers, key: &SecretKey) -> Result<(), MirrorError> {
    if signers.has_nix_key(&key.public()) {
        return Ok(());
    }
    Err(MirrorError::NotASigner { key: key.name().to_owned() })
}

/// Adds a signer's signature to those of `mirror.json`. It never loses one.
fn sign_policy(location: &Location, policy: &Policy, key: &SecretKey) -> Result<(), MirrorError> {
    let name = Object::PolicySignature.name();
    let own = key.sign(&Policy::signed_bytes(&policy.to_json())).to_string();
    for _ in 0..ATTEMPTS {
        let was = location.get(&name, MAX_SMALL)?;
        let text = String::from_utf8_lossy(was.as_deref().unwrap_or_default()).into_owned();
        let mut lines: BTreeSet<&str> = text.lines().collect();
        if !lines.insert(&own) {
            return Ok(());
        }
        let all: String = lines.into_iter().flat_map(|line| [line, "\n"]).collect();
        let written = match &was {
            Some(was) => location.exchange(&name, was, all.as_bytes())?,
            None => location.put_new(&name, all.as_bytes())? == Put::New,
        };
        if written {
            return Ok(());
        }
    }
    Err(MirrorError::Contended { object: location.url(&name) })
}
