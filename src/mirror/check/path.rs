//! One path: its narinfo, its NAR, its listing, its log, and what is said of it.

use std::{collections::BTreeSet, io::Read as _};

use super::{
    Checker, Found, Kind,
    document::canonical,
    shown::{Machines, too_few_builds},
    unpack::unpacked,
};
use crate::{
    attest::{
        check::{self as attested, Said},
        envelope::Envelope,
    },
    mirror::{
        admission::agreeing,
        layout::{FileHash, HashPart, KeyId, Object},
        seeds::{SEED_KIND, Seed},
        statement::{self, Admission, Ground},
    },
    nix::{
        hash::NarHash,
        narinfo::{self, Compression, NarInfo},
        signature::PublicKey,
        store_path::StorePath,
    },
    verify::Verdict,
};

/// What is known of a path when it was looked at.
#[derive(Debug, Default)]
pub(super) struct PathResult {
    /// Its narinfo, when that can be read.
    pub(super) info: Option<NarInfo>,
    /// What is said of it, by each key that is believed.
    pub(super) admissions: Vec<Admission>,
    /// The machines that each verdict names, of a path that was built.
    pub(super) machines: Vec<Machines>,
    /// Contributors with a good signature.
    pub(super) signed: Vec<String>,
    /// Whether any of the signers whom the mirror names has signed it: what else it may say is nobody's.
    pub(super) vouched: bool,
    /// Whether it has no narinfo, because too few have signed it yet.
    pub(super) pending: bool,
    /// The objects that are its own.
    pub(super) uses: BTreeSet<String>,
    /// Faults, and what was hashed.
    pub(super) found: Found,
}

impl PathResult {
    /// The name its faults go by.
    pub(super) fn name(&self) -> String {
        self.info
            .as_ref()
            .map(|info| Object::NarInfo(HashPart::of(&info.store_path)).name())
            .unwrap_or_default()
    }

    /// What it refers to and what it was made from, as one of the signers says: anybody can make up paths that need each other without
    /// an end.
    pub(super) fn needs(&self) -> impl Iterator<Item = HashPart> {
        let references = self.info.iter().filter(|_| self.vouched).flat_map(|info| &info.references);
        let inputs = self.admissions.iter().flat_map(|admission| admission.inputs.keys());
        references.chain(inputs).map(HashPart::of)
    }
}

impl Checker<'_> {
    /// Looks at a path.
    pub(super) fn path(&self, part: &HashPart) -> PathResult {
        let mut result = PathResult::default();
        let name = Object::NarInfo(part.clone()).name();
        let signed = self.each_signs(&mut result, part);
        // What enough have signed, or too few, may lack a narinfo; what nobody has signed may not.
        result.pending = !signed.is_empty() && matches!(self.location.open(&name), Ok(None));
        let info = match signed.values().next() {
            Some(first) if result.pending => Some(self.pending(&mut result, first, signed.values())),
            _ => self.admitted(&mut result, part),
        };
        let Some(info) = info else { return result };
        let keys = self.keys_of(&info);
        result.vouched = keys.iter().any(Option::is_some);
        if !result.pending {
            result.signed = self.signatures(&mut result.found, &name, &keys);
            self.listed(&mut result, &name, &info, &signed);
        }
        self.nar(&mut result, &name, &info);
        self.statements(&mut result, &info, &keys);
        result.info = Some(info);
        result
    }

    /// A path that is admitted.
    fn admitted(&self, result: &mut PathResult, part: &HashPart) -> Option<NarInfo> {
        let found = &mut result.found;
        let name = Object::NarInfo(part.clone()).name();
        let info = self.narinfo(found, &name, part)?;
        if !info.signatures.is_sorted_by(|one, next| one < next) {
            found.fault(Kind::Damaged, &name, "its signatures are not in order, each once");
        }
        Some(info)
    }

    /// A narinfo that is written in the one way in which it is written here.
    pub(super) fn narinfo(&self, found: &mut Found, name: &str, part: &HashPart) -> Option<NarInfo> {
        let text = self.get(found, name, narinfo::MAX_LEN as u64)?;
        let info = match NarInfo::parse(&text) {
            Ok(info) => info,
            Err(error) => {
                found.fault(Kind::Damaged, name, error.to_string());
                return None;
            }
        };
        if HashPart::of(&info.store_path) != *part {
            found.fault(Kind::Damaged, name, format!("it is about {}", info.store_path));
            return None;
        }
        if info.to_string().as_bytes() != text || !info.other.is_empty() || info.content_address.is_some() {
            found.fault(Kind::Damaged, name, "it is not written as this program writes it");
        }
        Some(info)
    }

    /// Its NAR and the listing of that, byte by byte.
    fn nar(&self, result: &mut PathResult, name: &str, info: &NarInfo) {
        let found = &mut result.found;
        let file_hash = info.file_hash.as_ref().and_then(|hash| hash.bytes().try_into().ok()).map(FileHash);
        let (Some(file_hash), Some(file_size)) = (file_hash, info.file_size) else {
            found.fault(Kind::Damaged, name, "it does not say hash and size of the file");
            return;
        };
        let object = Object::Nar(file_hash).name();
        if info.url != object || info.compression != Compression::Zstd {
            found.fault(Kind::Damaged, name, "its NAR is not where its hash says");
            return;
        }
        result.uses.insert(object.clone());
        let Some(opened) = self.open(found, &object) else { return };
        if opened.size != file_size {
            let why = format!("it has {} bytes, and {name} says {file_size}", opened.size);
            found.fault(Kind::Damaged, &object, why);
            return;
        }
        let file = opened.bytes.take(file_size.saturating_add(1));
        let Some(read) = unpacked(found, &object, file, info.nar_size) else { return };
        if read.file != (file_hash, file_size) {
            found.fault(Kind::Damaged, &object, "its hash is not its name");
        }
        if (NarHash(read.nar.0.0), read.nar.1) != (info.nar_hash, info.nar_size) {
            found.fault(Kind::Damaged, &object, format!("the NAR in it is not the one that {name} promises"));
        }
        if let Some(expected) = read.listing {
            let object = Object::Listing(HashPart::of(&info.store_path)).name();
            if self.hash(found, &object).is_some_and(|has| has != expected) {
                found.fault(Kind::Damaged, &object, "it is not the listing of the NAR");
            }
            result.uses.insert(object);
        }
    }

    /// What is said of it, with the keys that have signed it, by as many as have to agree.
    fn statements(&self, result: &mut PathResult, info: &NarInfo, keys: &[Option<&PublicKey>]) {
        let part = HashPart::of(&info.store_path);
        let (mut told, mut all_are_read) = (BTreeSet::new(), true);
        let mut by = Vec::new();
        for contributor in &self.believed.named.contributors {
            for key in &contributor.nix {
                // Only who signed the path has to have said why.
                if !keys.contains(&Some(key)) {
                    continue;
                }
                let name = Object::Attestation(part.clone(), KeyId::of(key)).name();
                result.uses.insert(name.clone());
                let Some(bytes) = self.get(&mut result.found, &name, attested::MAX_LEN) else { continue };
                // What waits for signers is for the mirror's own to agree about.
                let who = if result.pending { Some(&*contributor.name) } else { self.believed.who(key) };
                told.extend(who);
                match self.admission(&name, &bytes, std::slice::from_ref(key), info) {
                    Ok((admission, machines)) => {
                        result.machines.extend(machines);
                        self.seed(result, info, &admission);
                        if admission.ground == Ground::Source {
                            self.source(&mut result.found, &name, info);
                        }
                        self.sources(result, &name, &admission);
                        self.log(result, info, &admission);
                        by.push(who);
                        result.admissions.push(admission);
                    }
                    Err((kind, why)) => {
                        all_are_read = false;
                        result.found.fault(kind, &name, why);
                    }
                }
            }
        }
        let needed = if result.pending { 1 } else { self.believed.needed };
        // That too few have signed it at all was told of.
        if !result.pending && result.signed.len() < needed {
            return;
        }
        if told.len() < needed {
            let name = Object::NarInfo(part).name();
            result.found.fault(Kind::Unsigned, &name, "too few of the signers say why it was admitted");
            return;
        }
        let said = by.into_iter().zip(&result.admissions);
        let said: Vec<(&str, &Admission)> = said.filter_map(|(who, said)| Some((who?, said))).collect();
        if all_are_read && agreeing(&said) < needed {
            let name = Object::NarInfo(part).name();
            let why = "too few of the signers say the same of why it was admitted";
            result.found.fault(Kind::Unsigned, &name, why);
        }
    }

    /// The record of a path that was taken as it is.
    fn seed(&self, result: &mut PathResult, info: &NarInfo, admission: &Admission) {
        let Ground::Seed { .. } = &admission.ground else { return };
        let name = Object::Seed(HashPart::of(&info.store_path)).name();
        if let Some(seed) = self.signed::<Seed>(&mut result.found, &name, SEED_KIND)
            && seed.bits() != (&info.store_path, info.nar_hash, info.nar_size, &info.references)
        {
            result.found.fault(Kind::Damaged, &name, "it is about other bits than the narinfo");
        }
        result.uses.insert(name);
    }

    /// The sources that a statement speaks of: that they are there. Their hashes are checked once for all.
    fn sources(&self, result: &mut PathResult, statement: &str, admission: &Admission) {
        for (path, hash) in &admission.sources {
            let Some(hash) = FileHash::from_hex(hash) else {
                let why = format!("it names the source {path} by no hash");
                result.found.fault(Kind::Damaged, statement, why);
                continue;
            };
            let name = Object::Source(hash).name();
            self.open(&mut result.found, &name);
        }
    }

    /// The log that a statement speaks of.
    fn log(&self, result: &mut PathResult, info: &NarInfo, admission: &Admission) {
        let (Some(log), Some(drv)) = (&admission.log, &info.deriver) else { return };
        let name = Object::Log(drv.clone()).name();
        if self.hash(&mut result.found, &name).is_some_and(|(has, _)| has.hex() != *log) {
            result.found.fault(Kind::Damaged, &name, "it is not the log that is spoken of");
        }
        result.uses.insert(name);
    }

    /// The admission in a file of statements, all of which have to be about this path, and true as far as they can be held
    /// against each other; of a path that was built also the machines that it was built in.
    fn admission(
        &self,
        name: &str,
        bytes: &[u8],
        keys: &[PublicKey],
        info: &NarInfo,
    ) -> Result<(Admission, Option<Machines>), (Kind, String)> {
        let damaged = |why: &str| (Kind::Damaged, why.to_owned());
        let text = std::str::from_utf8(bytes).map_err(|_| damaged("it is no text"))?;
        let text = text.strip_suffix('\n').ok_or_else(|| damaged("its last line does not end"))?;
        let (mut admission, mut provenance, mut verdict) = (None, None, None);
        for line in text.split('\n') {
            if canonical::<Envelope>(line).is_none_or(|envelope| envelope.signatures.len() != 1) {
                return Err(damaged("it is not written as this program writes it"));
            }
            let said = attested::signed(line, keys).map_err(|error| (Kind::Unsigned, error.to_string()))?;
            if (&said.path, said.nar_hash) != (&info.store_path, info.nar_hash) {
                return Err(damaged("a statement in it is about something else"));
            }
            let malformed = |error: &dyn std::fmt::Display| (Kind::Damaged, error.to_string());
            if said.predicate_type == statement::TYPE {
                let one: Admission =
                    serde_json::from_value(said.predicate).map_err(|error| malformed(&error))?;
                if admission.replace(one).is_some() {
                    return Err(damaged("it says twice why the path was admitted"));
                }
                continue;
            }
            let read = Said::read(&said.predicate_type, said.predicate, &said.path, said.nar_hash);
            let twice = match read.map_err(|error| malformed(&error))? {
                Said::Provenance(one) => provenance.replace(one).is_some(),
                Said::Verdict(one) => verdict.replace(one).is_some(),
            };
            if twice {
                return Err(damaged("it says twice how it was built, or what was found"));
            }
        }
        let admission = admission.ok_or_else(|| damaged("it does not say why the path was admitted"))?;
        if info.deriver.as_ref() != admission.deriver() {
            return Err(damaged("its narinfo names another derivation, or none"));
        }
        let Ground::Built { derivation, output } = &admission.ground else { return Ok((admission, None)) };
        let verdict = verdict.ok_or_else(|| damaged("it was built, and no verdict says so"))?;
        let provenance = provenance.ok_or_else(|| damaged("it was built, and no provenance says how"))?;
        let asked = &provenance.build_definition.external_parameters;
        for (drv, of) in [(&verdict.derivation, &verdict.output), (&asked.derivation, &asked.output)] {
            if (drv, of) != (&derivation.to_string(), output) {
                return Err(damaged("its statements speak of another derivation"));
            }
        }
        if !verdict.rounds.first().is_some_and(|first| provenance.is_of(first)) {
            return Err(damaged("its provenance is of another run than the first round of its verdict"));
        }
        if verdict.verdict != Verdict::Reproduced.to_string() || verdict.level < u64::from(self.policy.level)
        {
            let why = format!("its verdict is {} at level {}", verdict.verdict, verdict.level);
            return Err((Kind::BelowPolicy, why));
        }
        if let Some(why) = too_few_builds(&self.policy, &verdict, &info.nar_hash) {
            return Err((Kind::BelowPolicy, why));
        }
        let machines = Machines::of(&verdict, &info.nar_hash, derivation.clone(), name.to_owned());
        Ok((admission, Some(machines)))
    }
}

/// The path's own references without itself.
pub(super) fn others(info: &NarInfo) -> impl Iterator<Item = &StorePath> {
    info.references.iter().filter(|reference| **reference != info.store_path)
}
