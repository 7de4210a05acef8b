//! What rules need to know of a file as a whole, read from its differences before they are gone through.

use super::{super::Diagnosis, fields, flags};
use crate::{
    diagnose::Confidence,
    diff::{Difference, Finding, Pair, Place, Step, Value},
};

/// An executable or object file that differs.
#[derive(Debug, Default)]
pub(in crate::diagnose::rules) struct File {
    /// How many steps lead to it.
    steps: usize,
    /// Whether Go's toolchain made it.
    pub go: bool,
    /// Whether anything differs that does not only describe the rest: code, data, a name, a field.
    pub changed: bool,
    /// Whether every section has the same contents and only lies elsewhere.
    relaid: bool,
    /// What it speaks for that another program wrote the section table.
    pub rewritten: Option<(&'static str, Confidence)>,
    /// Whether the same symbols lie in another order.
    pub link_order: bool,
    /// Whether it counts what runs.
    pub coverage: bool,
    /// The cause that made all of its code anew: another compiler, other flags.
    pub compiled: Option<&'static str>,
    /// Fields whose place in the file is known, on side a: offset, length, the cause they speak for.
    located: Vec<(u64, u64, Option<&'static str>)>,
}

impl File {
    /// Whether a place is a part of this file.
    pub fn holds(&self, place: &Place<'_>) -> bool {
        place.steps.len() > self.steps
    }

    /// Whether one side was stripped after the link, or by another program.
    pub fn stripped(&self) -> bool {
        self.relaid || self.rewritten.is_some_and(|(cause, _)| cause == STRIPPED)
    }

    /// If a range of side a is a field that was told already: the cause it speaks for, if it is one.
    pub fn told(&self, offset: u64, len: u64) -> Option<Option<&'static str>> {
        let inside = |start: u64, size: u64| offset >= start && offset + len <= start + size;
        self.located.iter().find(|(start, size, _)| inside(*start, *size)).map(|(.., cause)| *cause)
    }
}

const STRIPPED: &str = "stripped-after-link";

/// Takes notice of the file at `place`, or forgets the last one when the place is no part of it.
pub(in crate::diagnose::rules) fn enter(diagnosis: &mut Diagnosis, place: &Place<'_>) {
    if diagnosis.file.as_ref().is_some_and(|file| !file.holds(place)) {
        diagnosis.file = None;
    }
    let Some(kind) = &place.difference.kind else { return };
    let parts = &place.difference.inside;
    let relaid = !parts.is_empty() && parts.iter().all(|part| part.found.iter().all(|f| is_layout(part, f)));
    let compiled = findings(parts).into_iter().find_map(compiled);
    diagnosis.file = Some(File {
        steps: place.steps.len(),
        go: kind.go,
        coverage: kind.coverage,
        compiled,
        changed: parts.iter().any(is_change),
        relaid,
        rewritten: rewritten(parts, relaid, compiled),
        link_order: parts.iter().flat_map(|part| &part.found).any(is_order),
        located: parts.iter().flat_map(|part| &part.found).filter_map(located).collect(),
    });
}

fn findings(parts: &[Difference]) -> Vec<&Finding> {
    parts.iter().flat_map(|part| &part.found).collect()
}

/// What it speaks for that another program wrote the section table, or that a header says what was removed: with nothing
/// to strip on either side, a strip after the link, whatever else differs; with debug information or symbols on one side
/// only, these.
fn rewritten(
    parts: &[Difference],
    relaid: bool,
    compiled: Option<&'static str>,
) -> Option<(&'static str, Confidence)> {
    let writers = findings(parts).into_iter().find_map(|finding| match finding {
        Finding::Field { name: "section table written by" | "stripped of", values, .. } => Some(values),
        _ => None,
    })?;
    if let Pair { a: Value::Text(Some(a)), b: Value::Text(Some(b)) } = writers {
        // A linker that removes line numbers says so; only with nothing on the other side it was another program.
        let of_one = a == b"nothing" || b == b"nothing";
        let confidence = if of_one { Confidence(95) } else { Confidence::MEDIUM };
        return match parts.iter().any(is_debug_of_one_side) {
            true => Some(("debug-info-kept", Confidence(80))),
            // GNU ld says it too: with another linker on the other side it says nothing.
            false => compiled.is_none().then_some((STRIPPED, confidence)),
        };
    }
    let is_strip = |value: &Value| matches!(value, Value::Named(_, name) if name.ends_with("strip"));
    match (relaid, is_strip(&writers.a) || is_strip(&writers.b)) {
        (true, true) => Some((STRIPPED, Confidence(95))),
        (true, false) => Some((STRIPPED, Confidence::MEDIUM)),
        (false, true) if parts.iter().any(is_debug_of_one_side) => Some(("debug-info-kept", Confidence(80))),
        // GNU ld that strips by itself writes the table as GNU strip does: with another linker on the other side it
        // says nothing.
        (false, true) if compiled.is_none() => Some((STRIPPED, Confidence::HIGH)),
        _ => None,
    }
}

/// Whether a part is a section for debuggers that the other side lacks.
fn is_debug_of_one_side(part: &Difference) -> bool {
    let one_side = || part.found.iter().any(|finding| matches!(finding, Finding::OnlyIn { .. }));
    matches!(&part.at, Step::Section(name) if is_debug(name)) && one_side()
}

/// What a field says of how all of the code was made.
fn compiled(finding: &Finding) -> Option<&'static str> {
    let Finding::Field { name, values, .. } = finding else { return None };
    let cause = match *name {
        "DW_AT_producer" | "compiler flags" => flags::causes(values)?.first()?.0,
        "compiler" => fields::tools(values).0,
        _ => fields::known(name)?.0,
    };
    const OF_CODE: [&str; 6] = [
        "compiler-version",
        "cpu-features",
        "optimization-level",
        "linker-version",
        "toolchain-config",
        "coverage-stamp",
    ];
    OF_CODE.contains(&cause).then_some(cause)
}

fn located(finding: &Finding) -> Option<(u64, u64, Option<&'static str>)> {
    let Finding::Field { name, values, at: Some(at), .. } = finding else { return None };
    let len = match &values.a {
        Value::Text(Some(bytes)) | Value::Hex(Some(bytes)) => bytes.len() as u64,
        _ => 4,
    };
    Some((at.a, len, fields::known(name).map(|(cause, _)| cause)))
}

fn is_order(finding: &Finding) -> bool {
    let Finding::Symbols(changes) = finding else { return false };
    let same_size = changes.changed.iter().all(|change| change.size.a == change.size.b);
    changes.order.is_some() && same_size && changes.renamed_total == 0
}

/// Whether a part is more than a description of the others.
fn is_change(part: &Difference) -> bool {
    let is_change = |finding: &Finding| match finding {
        Finding::Field { name, derived, .. } => {
            !derived && !matches!(*name, "build id" | "Go build id" | "debug link" | "UUID" | "debug GUID")
        }
        Finding::Symbols(_) | Finding::Moved { .. } => true,
        Finding::OnlyIn { .. } => true,
        Finding::Bytes(_) | Finding::Strings(_) => {
            !matches!(&part.at, Step::Section(name) if describes_others(name) || is_id(name))
        }
        _ => true,
    };
    part.found.iter().any(is_change) || part.inside.iter().any(|part| part.found.iter().any(is_change))
}

/// Whether a finding only says that something lies elsewhere.
fn is_layout(part: &Difference, finding: &Finding) -> bool {
    match finding {
        Finding::Field { derived, .. } => *derived,
        Finding::Bytes(_) | Finding::Strings(_) => {
            matches!(&part.at, Step::Section(name) if is_names(name))
        }
        // Some strip programs remove what nobody loads.
        Finding::OnlyIn { .. } => {
            matches!(&part.at, Step::Table(_) | Step::Segment(..))
                || matches!(&part.at, Step::Section(name) if name == b".comment")
        }
        _ => false,
    }
}

/// The names of sections.
pub(super) fn is_names(section: &[u8]) -> bool {
    section == b".shstrtab"
}

fn is_id(section: &[u8]) -> bool {
    matches!(
        section,
        b".note.gnu.build-id"
            | b".note.go.buildid"
            | b".gnu_debuglink"
            | b"code signature"
            | b"certificate table"
    )
}

/// Sections that a debugger needs and nobody else: debug information, and symbols that are not loaded.
pub(super) fn is_debug(section: &[u8]) -> bool {
    const PREFIXES: [&[u8]; 6] =
        [b".debug_", b".zdebug_", b"__DWARF,", b".gdb_index", b".gnu_debug", b".stab"];
    PREFIXES.iter().any(|prefix| section.starts_with(prefix)) || matches!(section, b".symtab" | b".strtab")
}

/// Sections that linkers and compilers make from the others: tables of symbols, of relocations, for unwinding, of
/// functions, debug information. What is new in them is a string, and is told apart by that.
pub(super) fn describes_others(section: &[u8]) -> bool {
    const NAMES: [&[u8]; 29] = [
        b".symtab",
        b".strtab",
        b".shstrtab",
        b".dynsym",
        b".hash",
        b".gnu.hash",
        b".gnu.version",
        b".gnu.version_r",
        b".gnu.version_d",
        b".eh_frame",
        b".eh_frame_hdr",
        b".gcc_except_table",
        b".dynamic",
        b".got",
        b".got.plt",
        b".plt",
        b".plt.got",
        b".plt.sec",
        b".gopclntab",
        b".typelink",
        b".itablink",
        b".go.fipsinfo",
        b".go.module",
        b".llvm_addrsig",
        b".pdata",
        b".xdata",
        b".reloc",
        b"__TEXT,__unwind_info",
        b"__TEXT,__eh_frame",
    ];
    const PREFIXES: [&[u8]; 5] = [b".rela", b".rel.", b".debug_", b".zdebug_", b"__DWARF,"];
    const LINKEDIT: [&[u8]; 11] = [
        b"symbol table",
        b"string table",
        b"function starts",
        b"data in code",
        b"exports",
        b"fixups",
        b"rebases",
        b"binds",
        b"weak binds",
        b"lazy binds",
        b"COFF symbols",
    ];
    NAMES.contains(&section)
        || LINKEDIT.contains(&section)
        || section == b"name"
        || PREFIXES.iter().any(|prefix| section.starts_with(prefix))
}
