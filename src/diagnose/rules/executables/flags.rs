//! Compilers that write down how they were called (`DW_AT_producer`, `.GCC.command.line`): which flags differ.

use super::super::{Diagnosis, field_evidence};
use crate::{
    diagnose::Confidence,
    diff::{Pair, Place, Value},
};

/// Adds a cause for each kind of flag that differs.
pub(super) fn compare(
    diagnosis: &mut Diagnosis,
    place: &Place<'_>,
    name: &str,
    values: &Pair<Value>,
) -> bool {
    let Some(causes) = causes(values) else { return false };
    for (cause, confidence) in causes {
        diagnosis.add(cause, confidence, field_evidence(place, name, values, None), 0);
    }
    true
}

/// The causes that two calls of a compiler speak for, the surest first; `None` when they are no text.
pub(super) fn causes(values: &Pair<Value>) -> Option<Vec<(&'static str, Confidence)>> {
    let Pair { a: Value::Text(Some(a)), b: Value::Text(Some(b)) } = values else { return None };
    let texts = Pair::new(String::from_utf8_lossy(a), String::from_utf8_lossy(b));
    let words =
        texts.as_ref().map(|text| text.split([' ', ';']).filter(|word| !word.is_empty()).collect::<Vec<_>>());
    let only = |of: &[&str], other: &[&str]| -> Vec<String> {
        of.iter().filter(|word| !other.contains(word)).map(|word| (*word).to_owned()).collect()
    };
    let new = [only(&words.a, &words.b), only(&words.b, &words.a)].concat();
    let mut causes: Vec<_> = new.iter().map(|word| cause(word)).collect();
    // The same words in another order.
    if causes.is_empty() {
        causes.push(("optimization-level", Confidence::LOW));
    }
    causes.sort_unstable_by_key(|(cause, confidence)| (std::cmp::Reverse(*confidence), *cause));
    let mut seen = std::collections::HashSet::new();
    causes.retain(|(cause, _)| seen.insert(*cause));
    Some(causes)
}

/// What a word that only one side has speaks for.
fn cause(word: &str) -> (&'static str, Confidence) {
    let any = |prefixes: &[&str]| prefixes.iter().any(|prefix| word.starts_with(prefix));
    if !word.starts_with('-') {
        ("compiler-version", Confidence::HIGH)
    } else if any(&["-frandom-seed"]) {
        ("random-seed", Confidence(95))
    } else if any(&["--coverage", "-fprofile", "-ftest-coverage", "-fcoverage"]) {
        ("coverage-stamp", Confidence(85))
    } else if any(&[
        "-ffile-prefix-map",
        "-fdebug-prefix-map",
        "-fmacro-prefix-map",
        "-fdebug-compilation-dir",
    ]) {
        ("build-path", Confidence(85))
    } else if any(&["-m", "--target-cpu", "-target-cpu", "--target-feature"]) {
        ("cpu-features", Confidence(95))
    } else if any(&["-g"]) {
        ("debug-info-kept", Confidence(85))
    } else {
        ("optimization-level", Confidence(if any(&["-O"]) { 95 } else { 80 }))
    }
}
