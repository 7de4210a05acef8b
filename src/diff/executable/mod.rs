//! Executables and object files of every format, compared in one way: fields by name, sections by name, functions by
//! name and size, and words that only refer to what moved told apart from what is really new.

mod align;
mod changes;
mod compare;
mod image;
mod numbers;
mod read;
mod references;
mod symbols;

pub(super) use compare::compare;
pub(super) use image::{Field, Image, Role, Section, Table};
pub(super) use numbers::Numbers;
pub(super) use read::{Broken, Parsed, compare_files, read};
pub(super) use symbols::{Part, Symbols, without_hash};

/// Whether a section's name is that of DWARF in ELF and PE, or of its compressed form.
pub(super) fn is_debug_name(name: &[u8]) -> bool {
    name.starts_with(b".debug_") || name.starts_with(b".zdebug_")
}
