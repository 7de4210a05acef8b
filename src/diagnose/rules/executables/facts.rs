//! What rules need to know of a file as a whole, read from its differences before they are gone through.

use super::super::Diagnosis;
use crate::diff::{Difference, Finding, Place, Step};

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
    pub relaid: bool,
    /// Whether the same symbols lie in another order.
    pub link_order: bool,
}

impl File {
    /// Whether a place is a part of this file.
    pub fn holds(&self, place: &Place<'_>) -> bool {
        place.steps.len() > self.steps
    }
}

/// Takes notice of the file at `place`, or forgets the last one when the place is no part of it.
pub(in crate::diagnose::rules) fn enter(diagnosis: &mut Diagnosis, place: &Place<'_>) {
    if diagnosis.file.as_ref().is_some_and(|file| !file.holds(place)) {
        diagnosis.file = None;
    }
    let Some(kind) = &place.difference.kind else { return };
    let parts = &place.difference.inside;
    diagnosis.file = Some(File {
        steps: place.steps.len(),
        go: kind.go,
        changed: parts.iter().any(is_change),
        relaid: !parts.is_empty() && parts.iter().all(|part| part.found.iter().all(|f| is_layout(part, f))),
        link_order: parts.iter().flat_map(|part| &part.found).any(is_order),
    });
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
            !derived && !matches!(*name, "build id" | "Go build id" | "debug link")
        }
        Finding::Symbols(_) | Finding::Moved { .. } => true,
        Finding::OnlyIn { .. } | Finding::Bytes(_) | Finding::Strings(_) => {
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
        _ => false,
    }
}

/// The names of sections.
pub(super) fn is_names(section: &[u8]) -> bool {
    section == b".shstrtab"
}

fn is_id(section: &[u8]) -> bool {
    matches!(section, b".note.gnu.build-id" | b".note.go.buildid" | b".gnu_debuglink")
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
    NAMES.contains(&section) || PREFIXES.iter().any(|prefix| section.starts_with(prefix))
}
