//! Whether enough contributors agree about a manifest.

use std::collections::BTreeSet;

use super::{
    digest::Digest,
    objection::{Objection, ObjectionError},
    signature::{self, Document, Signature, SignatureError},
    signers::Signers,
    statement,
};
use crate::code::{Code, Explanation};

/// A file of signatures, as it was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its name, for reports.
    pub file: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// A document that somebody put beside the manifest, and the signatures of it.
#[derive(Clone, Debug)]
pub struct FoundObjection {
    /// The document.
    pub document: Found,
    /// Signatures of it.
    pub signatures: Vec<Found>,
}

/// One signature, and what it is worth.
#[derive(Debug)]
pub struct Judged {
    /// The file it is in.
    pub file: String,
    /// Who made it, or why it does not count.
    pub result: Result<Signature, SignatureError>,
}

/// An objection, and what its signatures are worth.
#[derive(Debug)]
pub struct JudgedObjection {
    /// The file it is in.
    pub file: String,
    /// What it says; one about another manifest says nothing here.
    pub objection: Result<Option<Objection>, ObjectionError>,
    /// Its signatures.
    pub signatures: Vec<Judged>,
}

/// Too few agree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{threshold} contributors have to agree, and {} did{}", agreed.len(), names(agreed))]
pub struct QuorumError {
    /// How many have to.
    pub threshold: usize,
    /// Who did.
    pub agreed: Vec<String>,
}

impl QuorumError {
    /// The stable code.
    pub fn code(&self) -> Code {
        Code(1250)
    }
}

fn names(names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!(": {}", names.join(", ")) }
}

/// Everything that is signed about a manifest.
#[derive(Debug)]
pub struct Quorum {
    /// How many contributors have to agree.
    pub threshold: usize,
    /// Signatures of the manifest.
    pub signatures: Vec<Judged>,
    /// Objections to it.
    pub objections: Vec<JudgedObjection>,
    /// Who signed it and did not object to it: each of them once, by name.
    pub agreed: Vec<String>,
    /// Who objected to it, by name.
    pub objected: Vec<String>,
}

impl Quorum {
    /// Judges all signatures of `manifest`, at the time `now` (seconds since 1970).
    pub fn of(
        signers: &Signers,
        manifest: &[u8],
        signatures: &[Found],
        objections: &[FoundObjection],
        now: u64,
    ) -> Self {
        let judge = |document: Document<'_>, found: &Found| {
            let results = signature::judge(signers, document, &found.bytes, now);
            results.into_iter().map(|result| Judged { file: found.file.clone(), result }).collect::<Vec<_>>()
        };
        let manifest_document = Document { kind: statement::MANIFEST, bytes: manifest };
        let signatures: Vec<Judged> =
            signatures.iter().flat_map(|found| judge(manifest_document, found)).collect();
        // Reading memory does not fail.
        let digest = Digest::of(manifest).ok();
        let objections: Vec<JudgedObjection> = objections
            .iter()
            .map(|found| {
                let document = Document { kind: statement::OBJECTION, bytes: &found.document.bytes };
                let objection = Objection::parse(document.bytes).map(|said| {
                    Some(said).filter(|said| Some(said.manifest) == digest.map(|digest| digest.sha256))
                });
                let signatures = found.signatures.iter().flat_map(|found| judge(document, found)).collect();
                JudgedObjection { file: found.document.file.clone(), objection, signatures }
            })
            .collect();
        let about_this = objections.iter().filter(|said| matches!(said.objection, Ok(Some(_))));
        let objected = contributors(about_this.flat_map(|said| &said.signatures));
        let agreed = contributors(&signatures).difference(&objected).cloned().collect();
        let objected = objected.into_iter().collect();
        Quorum { threshold: signers.threshold, signatures, objections, agreed, objected }
    }

    /// Whether enough agree.
    pub fn check(&self) -> Result<(), QuorumError> {
        if self.agreed.len() >= self.threshold && self.threshold > 0 {
            return Ok(());
        }
        Err(QuorumError { threshold: self.threshold, agreed: self.agreed.clone() })
    }
}

/// Whose good signatures there are.
fn contributors<'a>(judged: impl IntoIterator<Item = &'a Judged>) -> BTreeSet<String> {
    let good = judged.into_iter().filter_map(|judged| judged.result.as_ref().ok());
    good.map(|signature| signature.contributor.clone()).collect()
}

/// What `reprove explain` prints for these codes.
pub const EXPLANATIONS: &[Explanation] = &[Explanation {
    code: Code(1250),
    title: "too few contributors agree",
    text: "signers.toml says how many have to. One person counts once, whatever keys they signed with; who objected to the \
           manifest does not count. Signatures that do not count are listed with the reason.",
}];
