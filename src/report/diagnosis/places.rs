//! Which files of an output differ, and in which of their parts: one line each.

use std::collections::BTreeMap;

use crate::{
    diff::{Comparison, Finding},
    report::escape::escape_bytes,
};

/// The parts of one file that differ.
pub(super) struct FilePlaces {
    /// Its path in the output; empty when the output is the file.
    pub(super) path: Vec<u8>,
    /// `2 ranges in .rodata`, in the order of the file.
    pub(super) parts: Vec<String>,
}

impl FilePlaces {
    /// The path as it is shown.
    pub(super) fn name(&self) -> String {
        if self.path.is_empty() { "the output".to_owned() } else { escape_bytes(&self.path) }
    }
}

/// The files that differ, in the order of their paths.
pub(super) fn of(comparison: &Comparison) -> Vec<FilePlaces> {
    let mut files: Vec<FilePlaces> = Vec::new();
    let mut at: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    for place in comparison.places() {
        let index = *at.entry(place.path().to_vec()).or_insert_with(|| {
            files.push(FilePlaces { path: place.path().to_vec(), parts: Vec::new() });
            files.len() - 1
        });
        let inside: Vec<String> = place.inside().into_iter().map(escape_bytes).collect();
        let part = place.part().map(|part| escape_bytes(part.to_string().as_bytes()));
        let whereabouts = inside.into_iter().chain(part).collect::<Vec<_>>().join(" » ");
        let whereabouts = if whereabouts.is_empty() { String::new() } else { format!(" in {whereabouts}") };
        let parts =
            place.difference.found.iter().filter_map(words).map(|words| format!("{words}{whereabouts}"));
        files[index].parts.extend(parts);
    }
    files.retain(|file| !file.parts.is_empty());
    files
}

/// What was found, in a word or two; nothing for what only follows from other differences.
fn words(finding: &Finding) -> Option<String> {
    let several = |n: u64, one: &str| format!("{n} {one}{}", if n == 1 { "" } else { "s" });
    match finding {
        Finding::OnlyIn { side, what, .. } => Some(format!("{what} only in {side}")),
        Finding::Kind(_) => Some("another kind of file".to_owned()),
        Finding::Executable(_) => Some("executable on one side".to_owned()),
        Finding::Target(_) => Some("another target".to_owned()),
        Finding::Field { derived: true, .. } => None,
        Finding::Field { name, .. } => Some(format!("field {name}")),
        Finding::Bytes(ranges) => Some(several(ranges.total, "range")),
        Finding::Lines(ranges) => Some(format!("{} of lines", several(ranges.total, "range"))),
        Finding::LineEndings(_) => Some("other line endings".to_owned()),
        Finding::Reordered { lines, .. } => Some(format!("{lines} lines in another order")),
        _ => None,
    }
}
