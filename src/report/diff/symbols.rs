//! Functions and objects that differ, one line each.

use std::io::{self, Write};

use super::terminal::{DIM, Detail, OF_A, OF_B, more};
use crate::report::count::count;
use crate::{
    diff::{SymbolChange, SymbolChanges},
    report::escape::escape_bytes,
};

/// Writes what differs in the symbols: a line of counts, then the first ones.
pub(super) fn write(
    out: &mut dyn Write,
    indent: usize,
    changes: &SymbolChanges,
    detail: Detail,
) -> io::Result<()> {
    let mut words = vec![format!("{}: {} in both", changes.table, count(changes.both, "symbol", "symbols"))];
    for (number, what) in [
        (changes.total, "changed"),
        (changes.moved, "moved"),
        (changes.reordered, "in another order"),
        (changes.renamed_total, "renamed by a hash"),
    ] {
        if number > 0 {
            words.push(format!("{} {what}", count(number, "", "").trim()));
        }
    }
    writeln!(out, "{:indent$}{DIM}{}{DIM:#}", "", words.join(", "))?;
    let shown = changes.changed.len().min(detail.ranges().saturating_mul(2));
    for change in &changes.changed[..shown] {
        writeln!(out, "{:indent$}{}  {}", "", escape_bytes(&change.name), what_changed(change))?;
    }
    more(out, indent, changes.total - shown as u64, "symbol", "symbols")?;
    let shown = changes.renamed.len().min(detail.ranges());
    for names in &changes.renamed[..shown] {
        let names = names.as_ref().map(|name| escape_bytes(name));
        writeln!(out, "{:indent$}{OF_A}{}{OF_A:#}  {OF_B}{}{OF_B:#}", "", names.a, names.b)?;
    }
    more(out, indent, changes.renamed_total - shown as u64, "name", "names")
}

fn what_changed(change: &SymbolChange) -> String {
    let size = |bytes: u64| count(bytes, "byte", "bytes");
    match (change.size.a, change.size.b) {
        (Some(a), None) => format!("only in {OF_A}a{OF_A:#}, {}", size(a)),
        (None, Some(b)) => format!("only in {OF_B}b{OF_B:#}, {}", size(b)),
        (Some(a), Some(b)) if a != b => {
            format!("{OF_A}{}{OF_A:#} in a, {OF_B}{}{OF_B:#} in b", size(a), size(b))
        }
        _ => format!("{} differ", size(change.differing)),
    }
}
