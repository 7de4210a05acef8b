//! Rules about values by name, in the documents of container images and in PNG images, and about how layers are cut.

use super::{Diagnosis, field_evidence, said, tokens};
use crate::{
    diagnose::Confidence,
    diff::{Finding, Pair, Place, Step, Strings, Value},
};

/// A value of a manifest or configuration: what it says by its name, or by what stands in it.
pub(super) fn value(diagnosis: &mut Diagnosis, place: &Place<'_>, finding: &Finding) -> bool {
    let Some(Step::Key(path)) = place.steps.last() else { return false };
    let Finding::Field { name, values, at, derived: false } = finding else { return false };
    let texts = values.as_ref().map(|value| match value {
        Value::Text(Some(text)) => Strings { list: vec![(0, text.clone())], total: 1 },
        _ => Strings::default(),
    });
    if tokens::in_strings(diagnosis, place, &texts) {
        return true;
    }
    let of_png = place.steps.iter().any(|step| matches!(step, Step::Table("PNG")));
    let one_sided = matches!(values, Pair { a: Value::Text(None), .. } | Pair { b: Value::Text(None), .. });
    let last = path.rsplit('.').next().unwrap_or_default();
    let cause = match last {
        "created" => "embedded-build-time",
        "Hostname" | "author" | "container" => "build-user-or-host",
        "docker_version" => "compiler-version",
        "mediaType" | "schemaVersion" | "imageLayoutVersion" => "archive-format",
        _ if one_sided && path.starts_with("history[") => "archive-format",
        _ if path.contains("annotations.") || path.contains("Labels.") => "archive-extra-metadata",
        _ if of_png && (path.starts_with("date:") || path.contains("Time")) => "embedded-build-time",
        _ if of_png => "archive-extra-metadata",
        _ if path.contains("RepoTags") => "archive-extra-metadata",
        _ => return false,
    };
    diagnosis.add(cause, Confidence(90), field_evidence(place, name, values, *at), 0);
    true
}

/// The same files, spread otherwise over the layers.
pub(super) fn final_tree(diagnosis: &mut Diagnosis, place: &Place<'_>, finding: &Finding) -> bool {
    let Finding::SameValue { format: "final tree" } = finding else { return false };
    let word = || "the same files, cut otherwise into layers".to_owned();
    diagnosis.add("archive-format", Confidence::HIGH, said(place, word(), word()), 0);
    true
}
