//! Executables and object files of every format, compared in one way: fields by name, sections by name, functions by
//! name and size, and words that only refer to what moved told apart from what is really new.

mod align;
mod changes;
mod compare;
mod image;
mod references;
mod symbols;

pub(super) use compare::compare;
pub(super) use image::{Field, Image, Role, Section, Table};
pub(super) use symbols::{Part, Symbols};
