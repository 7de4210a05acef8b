//! Fixed-output inputs, found by hash: the hash decides, never the place.
//!
//! | module | what lives there |
//! |---|---|
//! | [`tar`], [`deb`] | bounded readers of archives and packages |
//! | [`pin`] | how a file of a package archive is named |
//! | [`apt`] | the machine's apt, with a private state |
//! | `pypi`, `mirror`, `nix_program`, `files` | the other places |
//! | `web`, `reach` | HTTP, and how far a redirect leads |
//! | [`Provider`] | asks the places in order, checks, and puts the input into the store |

pub mod apt;
pub mod binary_cache;
mod contents;
pub mod deb;
mod error;
mod explanations;
mod files;
mod fixed_output;
mod mirror;
mod nix_program;
pub mod pin;
mod provide;
mod pypi;
mod reach;
mod steady;
pub mod tar;
mod tool;
pub(crate) mod web;

pub use contents::Form;
pub use error::{NotFound, SourceError};
pub use explanations::EXPLANATIONS;
pub use files::{Added, Files};
pub use fixed_output::FixedOutput;
pub use mirror::{Mirror, MirrorError};
pub use nix_program::{Natively, NixProgram};
pub use provide::{Answer, Provided, Provider, Shelf, Tried};
pub use pypi::PypiError;
pub use tool::ToolError;
