//! Rules about entries of a tree: what a NAR knows of them.

use super::{Diagnosis, evidence, quote, said};
use crate::{
    diagnose::Confidence,
    diff::{Finding, Place, Side},
};

/// An entry or a part that one side lacks.
pub(super) fn only_in_one(diagnosis: &mut Diagnosis, place: &Place<'_>, finding: &Finding) -> bool {
    let Finding::OnlyIn { side, what, size } = finding else { return false };
    let (a, b) = one_sided(*side, format!("{what} of {size} bytes"), "nothing".to_owned());
    diagnosis.add("missing-file", Confidence(95), said(place, a, b), *size);
    true
}

/// A file here, a link or directory there.
pub(super) fn kind(diagnosis: &mut Diagnosis, place: &Place<'_>, finding: &Finding) -> bool {
    let Finding::Kind(kinds) = finding else { return false };
    let found = said(place, kinds.a.name().into(), kinds.b.name().into());
    diagnosis.add("missing-file", Confidence(95), found, 0);
    true
}

/// Executable on one side only.
pub(super) fn mode(diagnosis: &mut Diagnosis, place: &Place<'_>, finding: &Finding) -> bool {
    let Finding::Executable(pair) = finding else { return false };
    let word = |yes: bool| if yes { "executable" } else { "not executable" }.to_owned();
    diagnosis.add("file-mode", Confidence(95), said(place, word(pair.a), word(pair.b)), 0);
    true
}

/// Links that point elsewhere.
pub(super) fn target(diagnosis: &mut Diagnosis, place: &Place<'_>, finding: &Finding) -> bool {
    let Finding::Target(pair) = finding else { return false };
    let quotes = pair.as_ref().map(|target| Some(quote(None, target.clone())));
    diagnosis.add("symlink-target", Confidence(95), evidence(place, None, quotes.a, quotes.b), 0);
    true
}

/// What both sides say when one of them has something.
pub(super) fn one_sided(side: Side, here: String, there: String) -> (String, String) {
    match side {
        Side::A => (here, there),
        Side::B => (there, here),
    }
}
