//! The objects that are about no single path, or say something against one.

use serde::{Serialize, de::DeserializeOwned};

use super::{Checker, Found, Kind, unpack::unpacked};
use crate::{
    attest::envelope::Envelope,
    mirror::{
        MAX_SMALL,
        admission::{REFUSAL_KIND, Refusal},
        conflict::{self, Bits, Conflict},
        document::MAX_LEN,
        layout::{HashPart, KeyId, Object},
        policy::Policy,
        reading::{READING_KIND, Reading},
    },
    nix::{hash::NarHash, signature::PublicKey},
};

impl Checker<'_> {
    /// Who has signed `mirror.json`. Every line has to count: what is signed by nobody who is named has no place there.
    pub(super) fn policy_signatures(&self, document: &[u8]) -> Found {
        let mut found = Found::default();
        let name = Object::PolicySignature.name();
        let Some(bytes) = self.get(&mut found, &name, MAX_SMALL) else { return found };
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        if lines.concat().len() + lines.len() != bytes.len() {
            found.fault(Kind::Damaged, &name, "it is not one signature a line");
        }
        let message = Policy::signed_bytes(document);
        for line in &lines {
            if self.believed.named.who_signed(&message, std::slice::from_ref(line)).is_empty() {
                found.fault(
                    Kind::Damaged,
                    &name,
                    "a signature in it is of none of the signers that are named",
                );
            }
        }
        let has_signed = |key: &PublicKey| lines.iter().any(|line| key.has_signed_message(&message, line));
        let signed = self.believed.counted.iter().filter(|one| one.nix.iter().any(has_signed));
        self.too_few(&mut found, &Object::Policy.name(), signed.map(|one| one.name.as_str()).collect());
        found
    }

    /// `nix-cache-info` follows from the policy.
    pub(super) fn cache_info(&self) -> Found {
        let mut found = Found::default();
        let name = Object::CacheInfo.name();
        let Some(bytes) = self.get(&mut found, &name, MAX_SMALL) else { return found };
        if bytes != self.policy.cache_info().as_bytes() {
            found.fault(Kind::Damaged, &name, "it is not what follows from mirror.json");
        }
        found
    }

    /// A source, a refusal or a conflict.
    pub(super) fn document(&self, object: &Object) -> Found {
        let mut found = Found::default();
        let name = object.name();
        match object {
            Object::Source(hash) if self.hash(&mut found, &name).is_some_and(|(has, _)| has != *hash) => {
                found.fault(Kind::Damaged, &name, "its hash is not its name");
            }
            Object::Conflict(part, hash) => {
                if let Some(conflict) = self.signed::<Conflict>(&mut found, &name, conflict::KIND) {
                    self.conflict(&mut found, &name, (part, hash), &conflict);
                }
            }
            Object::Refused(part, _) => {
                let refusal = self.signed::<Refusal>(&mut found, &name, REFUSAL_KIND);
                if refusal.is_some_and(|refusal| HashPart::of(&refusal.derivation) != *part) {
                    found.fault(Kind::Damaged, &name, "it is about something else than its name says");
                }
            }
            Object::Reading(part, key) => self.reading(&mut found, &name, part, key),
            _ => {}
        }
        found
    }

    /// A record of other bits: that it is one, that those whom it names have signed what it says they have, and that the bits which
    /// were found are there.
    fn conflict(
        &self,
        found: &mut Found,
        name: &str,
        (part, hash): (&HashPart, &NarHash),
        conflict: &Conflict,
    ) {
        if HashPart::of(&conflict.path) != *part || conflict.found.nar_hash != *hash {
            found.fault(Kind::Damaged, name, "it is about something else than its name says");
        }
        let narinfo = conflict.narinfo().unwrap_or_else(|why| {
            found.fault(Kind::Damaged, name, why);
            None
        });
        let keys = narinfo.iter().flat_map(|info| self.keys_of(info)).flatten();
        let by: Vec<&str> = keys.map(PublicKey::name).collect();
        if narinfo.is_some() && by.is_empty() {
            found.fault(
                Kind::Damaged,
                name,
                "the narinfo in it is signed by none of the signers that are named",
            );
        }
        let by = if by.is_empty() { String::new() } else { format!(" by {}", by.join(", ")) };
        let Conflict { path, admitted, found: other, .. } = conflict;
        let mut why = format!("{path} is admitted as {}{by}, and was found ", admitted.nar_hash);
        if admitted.nar_hash == other.nar_hash {
            why.push_str("to refer to something else");
        } else {
            self.other_nar(found, part, other);
            why.push_str(&format!("as {}", other.nar_hash));
            if let Some(info) = narinfo {
                let other = Object::OtherNar(part.clone(), other.nar_hash);
                why.push_str(&format!(
                    ": `reprove diff` of {} and {other} shows where they differ",
                    info.url
                ));
            }
        }
        found.fault(Kind::Conflict, name, why);
    }

    /// The NAR of other bits that were found.
    fn other_nar(&self, found: &mut Found, part: &HashPart, bits: &Bits) {
        let name = Object::OtherNar(part.clone(), bits.nar_hash).name();
        let Some(opened) = self.open(found, &name) else { return };
        let Some(read) = unpacked(found, &name, opened.bytes, bits.nar_size) else { return };
        if (NarHash(read.nar.0.0), read.nar.1) != (bits.nar_hash, bits.nar_size) {
            found.fault(Kind::Damaged, &name, "the NAR in it is not the one that its name promises");
        }
    }

    /// What somebody has read: that it is theirs, and that what they read is what is there.
    fn reading(&self, found: &mut Found, name: &str, part: &HashPart, key: &KeyId) {
        let Some(reading) = self.signed::<Reading>(found, name, READING_KIND) else { return };
        let own: Vec<PublicKey> =
            self.believed.keys().filter(|one| KeyId::of(one) == *key).cloned().collect();
        let envelope = self.get(found, name, MAX_LEN);
        let envelope = envelope.and_then(|bytes| serde_json::from_slice::<Envelope>(&bytes).ok());
        if envelope.is_none_or(|envelope| envelope.open(&own).is_err()) {
            found.fault(Kind::Unsigned, name, "it is not signed by the key it is named for");
        }
        if HashPart::of(&reading.path) != *part {
            found.fault(Kind::Damaged, name, "it is about something else than its name says");
        }
        for (key, hash) in &reading.statements {
            let object = format!("attestations/{part}/{key}.jsonl");
            let is_one = matches!(Object::parse(&object), Some(Object::Attestation(..)));
            if !is_one || self.hash(found, &object).is_some_and(|(has, _)| has.hex() != *hash) {
                found.fault(Kind::Damaged, name, format!("{object} is not what was read"));
            }
        }
    }

    /// A document in an envelope that somebody whom the mirror names has signed.
    pub(super) fn signed<T: DeserializeOwned + Serialize>(
        &self,
        found: &mut Found,
        name: &str,
        kind: &str,
    ) -> Option<T> {
        let bytes = self.get(found, name, MAX_LEN)?;
        let text = std::str::from_utf8(&bytes).ok().and_then(|text| text.strip_suffix('\n'));
        let Some(envelope) = text.and_then(canonical::<Envelope>) else {
            found.fault(Kind::Damaged, name, "it is no envelope as this program writes them");
            return None;
        };
        let keys: Vec<PublicKey> = self.believed.keys().cloned().collect();
        let document = match envelope.open(&keys) {
            Ok((document, _)) if envelope.payload_type == kind => document,
            Ok(_) => {
                found.fault(Kind::Damaged, name, format!("it is no {kind}"));
                return None;
            }
            Err(error) => {
                found.fault(Kind::Unsigned, name, error.to_string());
                return None;
            }
        };
        let said = serde_json::from_slice(&document);
        said.inspect_err(|error| found.fault(Kind::Damaged, name, error.to_string())).ok()
    }
}

/// A line of JSON that is written as this program writes it.
pub(super) fn canonical<T: DeserializeOwned + Serialize>(line: &str) -> Option<T> {
    let value: T = serde_json::from_str(line).ok()?;
    (serde_json::to_string(&value).ok()? == line).then_some(value)
}
