//! Rules about executables and objects: fields and sections.

use super::{Diagnosis, Passage, field_evidence, said, tree::one_sided};
use crate::{
    diagnose::{Confidence, Quote},
    diff::{Finding, Place, Side, Step},
};

/// A section that one side lacks.
pub(super) fn section_of_one_side(diagnosis: &mut Diagnosis, place: &Place<'_>, finding: &Finding) -> bool {
    let Finding::OnlyIn { side, what, size } = finding else { return false };
    if !matches!(place.part(), Some(Step::Section(_))) {
        return false;
    }
    let (a, b) = one_sided(*side, format!("{what} of {size} bytes"), "no such section".to_owned());
    diagnosis.rest.add(Confidence::LOW, said(place, a, b), *size);
    true
}

/// Fields that are a cause by themselves.
pub(super) fn field(diagnosis: &mut Diagnosis, place: &Place<'_>, finding: &Finding) -> bool {
    let Finding::Field { name, values, at, .. } = finding else { return false };
    let (cause, confidence) = match *name {
        "program interpreter" | "DT_RUNPATH" | "DT_RPATH" => ("interpreter-or-rpath", Confidence(95)),
        "compiler" => ("compiler-version", Confidence::HIGH),
        "build id" => ("build-id-random", Confidence::MEDIUM),
        _ => return false,
    };
    diagnosis.add(cause, confidence, field_evidence(place, name, values, *at), 0);
    true
}

/// Sections that are one value: the field beside them has told it.
pub(super) fn section_of_one_value(
    diagnosis: &mut Diagnosis,
    place: &Place<'_>,
    passage: &mut Passage<'_>,
) -> bool {
    let cause = match place.section() {
        Some(b".interp") => "interpreter-or-rpath",
        Some(b".comment") => "compiler-version",
        Some(b".note.gnu.build-id") => "build-id-random",
        _ => return false,
    };
    let known = diagnosis.drafts.contains_key(cause);
    if known {
        diagnosis.add_bytes(cause, passage.range.differing);
    }
    known
}

/// A range of the dynamic string table that is part of a search path that differs.
pub(super) fn search_path(diagnosis: &mut Diagnosis, place: &Place<'_>, passage: &mut Passage<'_>) -> bool {
    if place.section() != Some(b".dynstr") {
        return false;
    }
    let Some(draft) = diagnosis.drafts.get("interpreter-or-rpath") else { return false };
    let mut of_file = draft.evidence.iter().filter(|evidence| evidence.is_of(place));
    let known = of_file.any(|evidence| {
        let inside = |side: Side, quote: &Option<Quote>| {
            quote.as_ref().is_some_and(|quote| {
                passage
                    .lies_in(side, |run| !run.is_empty() && quote.text.windows(run.len()).any(|w| w == run))
            })
        };
        inside(Side::A, &evidence.a) && inside(Side::B, &evidence.b)
    });
    if known {
        diagnosis.add_bytes("interpreter-or-rpath", passage.range.differing);
    }
    known
}
