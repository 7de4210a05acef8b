//! One derivation in one machine, under Nix's own build contract.

pub mod drive;
pub mod erofs;
pub mod program;
