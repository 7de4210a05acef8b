//! Releases: archives that come out the same everywhere, what they hash to, and who says so.
//!
//! | file | what |
//! |---|---|
//! | [`archive`] | a folder as a tar archive, compressed or not, or as a zip file, the same bytes on every host |
//! | [`digest`] | size and SHA-256 of a stream |
//!
//! `docs/release.md` says how a stranger checks each of these without this program.

pub mod archive;
pub mod digest;
