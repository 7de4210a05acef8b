//! Store paths among the bits that differ, traced to what brought them.

use std::collections::BTreeSet;

use bstr::ByteSlice as _;

use super::divergence::Divergence;
use crate::graph::{self, Brought, Graph};

/// Where Nix's own store is; paths in outputs are of no other.
const STORE: &[u8] = b"/nix/store/";
/// Letters of the hash in a store path.
const HASH: usize = 32;
/// Causes whose evidence quotes store paths.
const CAUSES: [&str; 2] = ["nix-store-path", "go-toolchain-patched"];
/// Paths that are traced.
const PATHS: usize = 32;

/// How the store paths that the causes of `divergences` quote came into the build of the derivation at `index`, as far as they came
/// from what it is built from.
pub(super) fn of(graph: &Graph, index: usize, divergences: &[Divergence]) -> Vec<Brought> {
    let causes = divergences.iter().flat_map(|divergence| &divergence.causes);
    let causes = causes.filter(|cause| CAUSES.contains(&cause.entry.id));
    let evidence = causes.flat_map(|cause| &cause.evidence);
    let quotes = evidence.flat_map(|evidence| [&evidence.a, &evidence.b]).flatten();
    let hashes: BTreeSet<&[u8]> = quotes.flat_map(|quote| hashes(&quote.text)).collect();
    hashes.into_iter().take(PATHS).filter_map(|hash| graph::brought(graph, index, hash)).collect()
}

/// The hash parts of the store paths in a text.
fn hashes(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let starts: Vec<usize> = text.find_iter(STORE).map(|at| at + STORE.len()).collect();
    starts.into_iter().filter_map(|at| text.get(at..at + HASH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_store_path_in_a_text_is_found_and_one_that_is_cut_is_not() {
        let (a, b) = ("a".repeat(HASH), "b".repeat(HASH));
        let text = format!("x/nix/store/{a}-tzdata/y:/nix/store/{b} /nix/store/short");
        let found: Vec<&[u8]> = hashes(text.as_bytes()).collect();
        assert_eq!(found, [a.as_bytes(), b.as_bytes()]);
    }
}
