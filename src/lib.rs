//! `reprove` proves, again and independently, that published bits come from their source.
//!
//! The rooms, from the bottom up; a room only ever calls rooms above it in this list.
//!
//! | room | what lives there |
//! |---|---|
//! | [`code`] | stable error codes and their explanations |
//! | [`nix`] | Nix's data formats, pure: base32, hashes, store paths, derivations, NAR |
//! | [`graph`] | derivations as a graph, leaves first, pure |
//! | [`policy`] | named rules over derivations: violations, and a closure without them, pure |
//! | [`diff`] | bytes in, differences out, pure |
//! | [`diagnose`] | differences in, causes out, pure |
//! | [`store`] | our artefact store: NARs, path records and run records by hash, crash-safe |
//! | [`flake`] | asks the `nix` program to evaluate installables |
//! | [`source`] | fixed-output inputs, found by hash |
//! | [`machine`] | deterministic machines behind one trait |
//! | [`guest`] | what runs inside a machine: kernel, initial file system, `init` |
//! | [`build`] | one derivation in one machine under Nix's build contract |
//! | [`schedule`] | leaves-first execution over a graph |
//! | [`verify`] | rounds under varied settings, references, verdicts |
//! | [`release`] | archives that come out the same everywhere, manifests, who signed them |
//! | [`attest`] | verdicts as signed in-toto statements |
//! | [`mirror`] | a binary cache in which every path was rebuilt before it was admitted |
//! | [`report`] | the same verdicts for a terminal and as JSON |
//! | [`cli`] | one file per verb; the only place that prints or exits |

pub mod attest;
pub mod build;
pub mod cli;
pub mod code;
pub mod diagnose;
pub mod diff;
pub mod flake;
pub mod graph;
pub mod guest;
pub mod machine;
pub mod mirror;
pub mod nix;
pub mod policy;
pub mod release;
pub mod report;
pub mod schedule;
pub mod source;
pub mod store;
pub mod verify;
