//! Bytes in, differences out (pure).
//!
//! [`compare_trees`] and [`compare_files`] take what a [`Tree`] or [`Content`] gives and return a [`Comparison`]: a
//! tree of [`Difference`]s from the entry down to the part of the file, each with its [`Finding`]s. Whether two
//! things are equal is decided by all their bytes, in blocks, with bounded memory; everything else (structure,
//! lines, moved parts, new strings) is a closer look at what is known to differ, within [`Limits`], and says in a
//! [`Note`] where it stopped.

mod appended;
mod archive;
mod bytes;
mod common;
mod compressed;
mod content;
mod difference;
mod elf;
mod error;
mod executable;
mod file;
mod filter;
mod gaps;
mod gcov;
mod go;
mod image;
mod json;
mod keys;
mod limits;
mod macho;
mod matching;
mod moved;
mod novelty;
mod pe;
mod png;
mod pyc;
mod text;
mod time;
mod tree;
mod unpack;
mod wasm;

#[cfg(test)]
mod tests;

pub use content::{Content, Window};
pub use difference::{
    Comparison, Difference, EntryKind, Extent, FileKind, Finding, Layout, Pair, Piece, Place, Range, Ranges,
    Side, Sorted, Step, Strings, Symbol, SymbolChange, SymbolChanges, Value,
};
pub use error::{DiffError, EXPLANATIONS, Note, ReadError};
pub use limits::Limits;
pub use time::date;
pub use tree::{Entry, NarTree, Tree, compare_files, compare_trees, compare_trees_telling, join};
