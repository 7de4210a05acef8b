//! Who wrote the file last: linkers and strip programs write the same section table in different ways.
//!
//! Measured on what Go 1.26, GNU ld 2.40 and lld 14 link, and on what GNU strip 2.40, llvm-strip 14 and eu-strip
//! 0.188 make of it: each has an order of its own for the names of sections.

use super::parse::Elf;
use crate::diff::{Value, executable::Field};

/// Who wrote the section table, as a field.
pub(super) fn writer(elf: &Elf) -> Field {
    Field { name: "section table written by", value: Value::Named(0, who(elf)), at: None, derived: true }
}

fn who(elf: &Elf) -> &'static str {
    let [_, (phoff, phlen), (shoff, shlen)] = elf.tables[..] else { return "nobody" };
    if shlen == 0 {
        return "nobody";
    }
    if phlen > 0 && shoff == phoff + phlen {
        return "Go's linker";
    }
    let mut names: Vec<(u64, &[u8])> = elf
        .sections
        .iter()
        .skip(1)
        .filter(|section| !section.name.is_empty())
        .map(|section| (section.values[0], section.name.as_slice()))
        .collect();
    let in_order = names.is_sorted_by_key(|(offset, _)| *offset);
    names.sort_unstable();
    names.dedup();
    match names.first() {
        Some((1, b".symtab")) => return "GNU binutils",
        Some((1, b".shstrtab")) => return "GNU strip",
        _ if names.len() < 4 => return "unknown",
        _ if in_order => return "a linker",
        _ => {}
    }
    // Names that end alike share their bytes, so both of the others sort by the last letter, in opposite directions.
    let last_letter = |name: &[u8]| name.last().copied();
    let ascending = names.windows(2).filter(|pair| last_letter(pair[0].1) <= last_letter(pair[1].1)).count();
    let descending = names.windows(2).filter(|pair| last_letter(pair[0].1) >= last_letter(pair[1].1)).count();
    match (ascending, descending) {
        (up, _) if up + 1 == names.len() => "elfutils strip",
        (_, down) if down + 1 == names.len() => "LLVM strip",
        _ => "unknown",
    }
}
