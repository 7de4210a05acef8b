//! Asks the `nix` program to evaluate installables, into a store directory of our own.
//!
//! [`Evaluator`] turns an [`Installable`] into the path of a derivation; [`DrvFolder`] reads the derivations it
//! wrote; [`Native`] has `nix` build one the usual way, to compare with. Nothing in `/nix` is touched: the store is a
//! chroot store below the state directory, whose paths still say `/nix/store`.
//!
//! `nix` is run with an argument vector, never through a shell, and with settings of ours: no substituters, no
//! registries, no settings from a flake's `nixConfig`.

mod error;
mod evaluate;
mod folder;
mod installable;
mod native;
pub(crate) mod process;
mod program;
mod quote;
mod store;

pub use error::{EXPLANATIONS, FlakeError};
pub use evaluate::{Evaluated, Evaluator, Options};
pub use folder::DrvFolder;
pub use installable::{Installable, Outputs, Target};
pub use native::{Limits, Native, Object};
pub use program::{Nix, Version};
pub use store::ChrootStore;
