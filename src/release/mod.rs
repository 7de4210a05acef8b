//! Releases: archives that come out the same everywhere, what they hash to, and who says so.
//!
//! | file | what |
//! |---|---|
//! | [`archive`] | a folder as a tar archive, compressed or not, or as a zip file, the same bytes on every host |
//! | [`digest`] | size and SHA-256 of a stream |
//! | [`manifest`] | what a release consists of, file by file |
//! | [`target`] | the platform in a file's name |
//! | [`files`] | files against the lines of a manifest |
//! | [`statement`] | what an ed25519 key signs of a document |
//! | [`openpgp`] | OpenPGP certificates and detached signatures |
//! | [`signers`] | who has to agree: `signers.toml` |
//! | [`signature`] | what a signature is worth |
//! | [`objection`] | "I got other bytes", signed as well |
//! | [`quorum`] | whether enough agree |
//! | [`reproduce`] | a manifest against what a rebuild gave |
//! | [`sign`] | what can go wrong when a document is signed |
//!
//! `docs/release.md` says how a stranger checks each of these without this program.

pub mod archive;
pub mod digest;
pub mod files;
pub mod manifest;
pub mod objection;
pub mod openpgp;
pub mod quorum;
pub mod reproduce;
pub mod sign;
pub mod signature;
pub mod signers;
pub mod statement;
pub mod target;
