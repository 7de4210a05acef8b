//! Fields that are a cause by themselves.

use super::{
    super::{Diagnosis, Passage, field_evidence},
    flags, is_stripped,
};
use crate::{
    diagnose::Confidence,
    diff::{Finding, Pair, Piece, Place, Range, Value},
};

/// Fields that are a cause by themselves.
pub(in crate::diagnose::rules) fn field(
    diagnosis: &mut Diagnosis,
    place: &Place<'_>,
    finding: &Finding,
) -> bool {
    let Finding::Field { name, values, at, .. } = finding else { return false };
    let known = match *name {
        "section table written by" | "stripped of" => {
            diagnosis.file.as_ref().filter(|file| file.holds(place)).and_then(|file| file.rewritten)
        }
        "compiler" => Some(tools(values)),
        "DW_AT_producer" | "compiler flags" => return flags::compare(diagnosis, place, name, values),
        "debug file"
        | "DW_AT_name"
        | "DW_AT_comp_dir"
        | "include_directories"
        | "file_names"
        | "-ldflags"
        | "modules"
        | "vcs.time" => return embedded(diagnosis, place, name, values),
        // A strip program that knows less of a format than the linker forgets flags of sections.
        "Characteristics" if is_stripped(diagnosis, place) => {
            Some(("stripped-after-link", Confidence::MEDIUM))
        }
        _ => known(name),
    };
    let Some((cause, confidence)) = known else { return compiled(diagnosis, place, finding) };
    diagnosis.add(cause, confidence, field_evidence(place, name, values, *at), 0);
    true
}

/// Any other field follows when all of the code was made anew.
fn compiled(diagnosis: &mut Diagnosis, place: &Place<'_>, finding: &Finding) -> bool {
    let file = diagnosis.file.as_ref().filter(|file| file.holds(place));
    file.is_some_and(|file| file.compiled.is_some()) && matches!(finding, Finding::Field { .. })
}

/// What a field speaks for, whatever its values.
pub(super) fn known(name: &str) -> Option<(&'static str, Confidence)> {
    Some(match name {
        "program interpreter" | "DT_RUNPATH" | "DT_RPATH" | "LC_RPATH" => {
            ("interpreter-or-rpath", Confidence(95))
        }
        "build id" | "Go build id" => ("build-id-random", Confidence::MEDIUM),
        "debug link" => ("debug-link", Confidence::HIGH),
        "Go version" => ("compiler-version", Confidence(95)),
        "GOAMD64" | "GO386" | "GOARM" | "GOARM64" | "GORISCV64" => ("cpu-features", Confidence(95)),
        "-gcflags" | "-asmflags" | "-compiler" | "-race" => ("optimization-level", Confidence(85)),
        "x86 ISA needed" | "x86 ISA used" | "processor" => ("cpu-features", Confidence(90)),
        "linker" => ("linker-version", Confidence(95)),
        "stamp" => ("coverage-stamp", Confidence(95)),
        "TimeDateStamp" => ("embedded-build-time", Confidence(92)),
        "linker version" => ("linker-version", Confidence(88)),
        "Rich header" | "tools" | "producers" => ("compiler-version", Confidence(85)),
        "code signature" | "certificate" => ("code-signature", Confidence::HIGH),
        "UUID" | "debug GUID" => ("build-id-random", Confidence::MEDIUM),
        "-trimpath" => ("build-path", Confidence(88)),
        "CGO_ENABLED" | "GOEXPERIMENT" | "DefaultGODEBUG" | "-buildmode" | "-tags" | "-pgo"
        | "CGO_CFLAGS" | "CGO_CPPFLAGS" | "CGO_CXXFLAGS" | "CGO_LDFLAGS" => {
            ("toolchain-config", Confidence(90))
        }
        _ => return None,
    })
}

/// What a text embeds: a date, a path, a store path. Without any it is unexplained, but for the directory of the
/// compiler, which is the build's whatever its name is.
fn embedded(diagnosis: &mut Diagnosis, place: &Place<'_>, name: &str, values: &Pair<Value>) -> bool {
    let Pair { a: Value::Text(Some(a)), b: Value::Text(Some(b)) } = values else { return false };
    let piece =
        |text: &[u8]| Piece { offset: 0, len: text.len() as u64, sample_offset: 0, sample: text.to_vec() };
    let range = Range { a: piece(a), b: piece(b), differing: 1, symbol: None, lines: None };
    let matches = Passage::new(&range).matches();
    let (cause, confidence) = match matches.first() {
        Some(found) => {
            let tokens = [&found.tokens.a, &found.tokens.b].into_iter().flatten();
            let confidence = tokens.map(|token| token.confidence).max();
            (found.recogniser.cause, confidence.unwrap_or(Confidence::LOW))
        }
        None if name == "DW_AT_comp_dir" => ("build-path", Confidence(85)),
        None => return false,
    };
    diagnosis.add(cause, confidence, field_evidence(place, name, values, None), 0);
    true
}

/// `.comment` lists every compiler and, in LLVM's and mold's case, the linker.
pub(super) fn tools(values: &Pair<Value>) -> (&'static str, Confidence) {
    let list = |value: &Value| -> Vec<Vec<u8>> {
        let Value::Text(Some(text)) = value else { return Vec::new() };
        let text = String::from_utf8_lossy(text);
        text.split("; ").map(|tool| tool.as_bytes().to_vec()).collect()
    };
    let lists = values.as_ref().map(list);
    let only = |of: &[Vec<u8>], other: &[Vec<u8>]| -> Vec<Vec<u8>> {
        of.iter().filter(|tool| !other.contains(tool)).cloned().collect()
    };
    let new = [only(&lists.a, &lists.b), only(&lists.b, &lists.a)].concat();
    let is_linker = |tool: &Vec<u8>| tool.starts_with(b"Linker:") || tool.starts_with(b"mold");
    match !new.is_empty() && new.iter().all(is_linker) {
        true => ("linker-version", Confidence::HIGH),
        false => ("compiler-version", Confidence::HIGH),
    }
}
