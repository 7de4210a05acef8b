//! ELF files (System V ABI, "Object Files"): header and tables field by field, sections by name.

mod compare;
mod debug;
mod dynamic;
mod image;
mod layout;
mod line_tables;
mod names;
mod notes;
mod parse;
mod relocation_types;
mod relocations;
mod symbols;
#[cfg(test)]
mod tests;

pub(super) use compare::compare;

/// Whether a file that begins with `head` claims to be ELF.
pub(super) fn is_elf(head: &[u8]) -> bool {
    head.starts_with(b"\x7fELF")
}
