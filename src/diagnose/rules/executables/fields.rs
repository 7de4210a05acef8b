//! Fields that are a cause by themselves.

use super::super::{Diagnosis, field_evidence};
use crate::{
    diagnose::Confidence,
    diff::{Finding, Pair, Place, Value},
};

/// Fields that are a cause by themselves.
pub(in crate::diagnose::rules) fn field(
    diagnosis: &mut Diagnosis,
    place: &Place<'_>,
    finding: &Finding,
) -> bool {
    let Finding::Field { name, values, at, .. } = finding else { return false };
    let known = match *name {
        "section table written by" => writer(diagnosis, place, values),
        "compiler" => Some(tools(values)),
        _ => known(name),
    };
    let Some((cause, confidence)) = known else { return false };
    diagnosis.add(cause, confidence, field_evidence(place, name, values, *at), 0);
    true
}

fn known(name: &str) -> Option<(&'static str, Confidence)> {
    Some(match name {
        "program interpreter" | "DT_RUNPATH" | "DT_RPATH" => ("interpreter-or-rpath", Confidence(95)),
        "build id" | "Go build id" => ("build-id-random", Confidence::MEDIUM),
        "debug link" => ("debug-link", Confidence::HIGH),
        "Go version" => ("compiler-version", Confidence(95)),
        "GOAMD64" | "GO386" | "GOARM" | "GOARM64" | "GORISCV64" => ("cpu-features", Confidence(95)),
        "-gcflags" | "-asmflags" | "-compiler" | "-race" => ("optimization-level", Confidence(85)),
        "-trimpath" => ("build-path", Confidence(88)),
        "CGO_ENABLED" | "GOEXPERIMENT" | "DefaultGODEBUG" | "-buildmode" | "-tags" | "-pgo"
        | "CGO_CFLAGS" | "CGO_CPPFLAGS" | "CGO_CXXFLAGS" | "CGO_LDFLAGS" => {
            ("toolchain-config", Confidence(90))
        }
        _ => return None,
    })
}

/// Another hand wrote the section table: all there is when the contents are equal, else a consequence of what was
/// removed.
fn writer(
    diagnosis: &Diagnosis,
    place: &Place<'_>,
    values: &Pair<Value>,
) -> Option<(&'static str, Confidence)> {
    let file = diagnosis.file.as_ref().filter(|file| file.holds(place))?;
    let is_strip = |value: &Value| matches!(value, Value::Named(_, name) if name.ends_with("strip"));
    match (file.relaid, is_strip(&values.a) || is_strip(&values.b)) {
        (true, true) => Some(("stripped-after-link", Confidence(95))),
        (true, false) => Some(("stripped-after-link", Confidence::MEDIUM)),
        (false, true) => Some(("debug-info-kept", Confidence(80))),
        (false, false) => None,
    }
}

/// `.comment` lists every compiler and, in LLVM's and mold's case, the linker.
fn tools(values: &Pair<Value>) -> (&'static str, Confidence) {
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
