use std::{collections::BTreeSet, io::Write as _};

use proptest::prelude::*;

use super::path;
use crate::nix::{nar::references::ReferenceScanner, store_path::StorePath};

fn scan(candidates: &[StorePath], pieces: &[&[u8]]) -> BTreeSet<StorePath> {
    let mut scanner = ReferenceScanner::new(candidates.iter().cloned());
    for piece in pieces {
        scanner.write_all(piece).expect("scanning never fails");
    }
    scanner.found()
}

#[test]
fn a_path_cut_at_every_place() {
    let wanted = path(0x1234_5678_9abc_def0, "x");
    let text = format!("see /nix/store/{}-x.", wanted.hash_part()).into_bytes();
    let found = BTreeSet::from([wanted.clone()]);
    for cut in 0..=text.len() {
        let (head, tail) = text.split_at(cut);
        assert_eq!(scan(std::slice::from_ref(&wanted), &[head, tail]), found, "cut at {cut}");
    }
    let bytes: Vec<&[u8]> = text.chunks(1).collect();
    assert_eq!(scan(std::slice::from_ref(&wanted), &bytes), found);
}

#[test]
fn only_whole_hash_parts_count() {
    let wanted = path(7, "x");
    let hash = wanted.hash_part().as_bytes();
    assert!(scan(std::slice::from_ref(&wanted), &[&hash[..31]]).is_empty());
    assert!(scan(std::slice::from_ref(&wanted), &[&hash[..31], b"-", &hash[31..]]).is_empty());
    // Within a longer run of base-32 it counts, as for Nix.
    assert!(!scan(std::slice::from_ref(&wanted), &[b"00zz", hash, b"11"]).is_empty());
    assert!(scan(&[], &[hash]).is_empty());
}

proptest! {
    #[test]
    fn finds_what_a_plain_search_finds(
        numbers in prop::collection::btree_set(any::<u64>(), 0..5),
        // Text of few characters, most of them base-32, with hash parts put in.
        pieces in prop::collection::vec(prop_oneof![
            any::<u64>().prop_map(|n| path(n, "x").hash_part().as_bytes().to_vec()),
            (0u64..4).prop_map(|n| path(n, "x").hash_part().as_bytes().to_vec()),
            prop::collection::vec(prop::sample::select(&b"0z/e\0"[..]), 0..40),
        ], 0..12),
        cuts in prop::collection::vec(1usize..50, 1..20),
        take in any::<prop::sample::Index>(),
    ) {
        let mut candidates: Vec<StorePath> = numbers.into_iter().chain(0..3).map(|n| path(n, "x")).collect();
        candidates.truncate(take.index(candidates.len()) + 1);
        let text = pieces.concat();
        let mut cut = Vec::new();
        let mut rest = text.as_slice();
        for len in cuts.iter().cycle() {
            if rest.is_empty() { break; }
            let (head, tail) = rest.split_at((*len).min(rest.len()));
            cut.push(head);
            rest = tail;
        }
        let expected: BTreeSet<StorePath> = candidates
            .iter()
            .filter(|path| text.windows(32).any(|window| window == path.hash_part().as_bytes()))
            .cloned()
            .collect();
        prop_assert_eq!(scan(&candidates, &cut), expected);
    }
}
