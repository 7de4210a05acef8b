//! The Nix Archive format: a canonical serialisation of a file tree.

mod tree;

pub use tree::{Contents, Node};
