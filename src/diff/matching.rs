//! Matching two sequences of lines: what both have in the same order, and the stretches that differ between.
//!
//! Patience first (Bram Cohen): lines that each side has exactly once are anchors when they keep their order. Between
//! anchors Myers' greedy algorithm ("An O(ND) Difference Algorithm"), up to a number of edits; a stretch with more is taken
//! as replaced whole. Work is bounded by constants and lengths, never by a clock: equal inputs give equal answers.

use std::{collections::HashMap, ops::Range};

/// How often a stretch between anchors is searched for further anchors. Real texts need three or four.
const MAX_DEPTH: usize = 12;

/// Most lines taken away and put in that are followed in one stretch without anchors. Time is its product with the
/// stretch's length, memory four bytes times its square.
const MAX_EDITS: i32 = 512;

/// A stretch that differs: these lines of the first are those of the second; one of the two may be empty.
pub(super) type Hunk = (Range<usize>, Range<usize>);

/// The stretches in which `a` and `b` differ, in order. Whatever lies between them is equal.
pub(super) fn hunks(a: &[u32], b: &[u32]) -> Vec<Hunk> {
    let mut hunks = Vec::new();
    let (mut x, mut y) = (0, 0);
    for (i, j) in matches(a, b).into_iter().chain([(a.len(), b.len())]) {
        if i > x || j > y {
            hunks.push((x..i, y..j));
        }
        (x, y) = (i + 1, j + 1);
    }
    hunks
}

/// Pairs of equal lines, ascending on both sides.
fn matches(a: &[u32], b: &[u32]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut left = vec![(0..a.len(), 0..b.len(), 0)];
    while let Some((mut old, mut new, depth)) = left.pop() {
        while !old.is_empty() && !new.is_empty() && a[old.start] == b[new.start] {
            found.push((old.start, new.start));
            (old.start, new.start) = (old.start + 1, new.start + 1);
        }
        while !old.is_empty() && !new.is_empty() && a[old.end - 1] == b[new.end - 1] {
            (old.end, new.end) = (old.end - 1, new.end - 1);
            found.push((old.end, new.end));
        }
        if old.is_empty() || new.is_empty() {
            continue;
        }
        let anchors = if depth < MAX_DEPTH { anchors(a, b, &old, &new) } else { Vec::new() };
        if anchors.is_empty() {
            let (x, y) = (old.start, new.start);
            found.extend(
                greedy(&a[old], &b[new]).unwrap_or_default().into_iter().map(|(i, j)| (x + i, y + j)),
            );
            continue;
        }
        let (mut x, mut y) = (old.start, new.start);
        for (i, j) in anchors {
            left.push((x..i, y..j, depth + 1));
            found.push((i, j));
            (x, y) = (i + 1, j + 1);
        }
        left.push((x..old.end, y..new.end, depth + 1));
    }
    found.sort_unstable();
    found
}

/// Lines that each stretch has exactly once, as many as keep their order.
fn anchors(a: &[u32], b: &[u32], old: &Range<usize>, new: &Range<usize>) -> Vec<(usize, usize)> {
    /// Where a line stands on each side, and how often.
    #[derive(Default)]
    struct Seen {
        old: (usize, usize),
        new: (usize, usize),
    }
    let mut seen: HashMap<u32, Seen> = HashMap::new();
    for i in old.clone() {
        let of = &mut seen.entry(a[i]).or_default().old;
        *of = (i, of.1 + 1);
    }
    for j in new.clone() {
        let of = &mut seen.entry(b[j]).or_default().new;
        *of = (j, of.1 + 1);
    }
    let once = seen.into_values().filter(|seen| seen.old.1 == 1 && seen.new.1 == 1);
    let mut once: Vec<(usize, usize)> = once.map(|seen| (seen.old.0, seen.new.0)).collect();
    once.sort_unstable();
    ascending(&once)
}

/// A longest part of `pairs`, which ascend in the first place, that ascends in the second as well.
fn ascending(pairs: &[(usize, usize)]) -> Vec<(usize, usize)> {
    // For each length the pair that ends such a part lowest; and for each pair the one before it.
    let (mut ends, mut before) = (Vec::<usize>::new(), vec![None; pairs.len()]);
    for (index, (_, place)) in pairs.iter().enumerate() {
        let length = ends.partition_point(|end| pairs[*end].1 < *place);
        before[index] = length.checked_sub(1).map(|shorter| ends[shorter]);
        match ends.get_mut(length) {
            Some(end) => *end = index,
            None => ends.push(index),
        }
    }
    let mut part = Vec::with_capacity(ends.len());
    let mut at = ends.last().copied();
    while let Some(index) = at {
        part.push(pairs[index]);
        at = before[index];
    }
    part.reverse();
    part
}

/// How far along each diagonal some number of edits lead: the place on `a`; diagonals run from `-(most + 1)`.
struct Front {
    reached: Vec<i32>,
    most: i32,
}

/// No number of edits leads there.
const NOWHERE: i32 = i32::MIN;

impl Front {
    fn at(&self, diagonal: i32) -> i32 {
        self.reached[(diagonal + self.most + 1) as usize]
    }

    /// The furthest place one edit leads to on `diagonal`, and the diagonal it comes from; none outside of the two texts.
    fn step(&self, diagonal: i32, lengths: (i32, i32)) -> Option<(i32, i32)> {
        let inserted = Some(self.at(diagonal + 1)).filter(|x| *x != NOWHERE && x - diagonal <= lengths.1);
        let removed = Some(self.at(diagonal - 1)).filter(|x| *x != NOWHERE && *x < lengths.0).map(|x| x + 1);
        match (inserted, removed) {
            (Some(x), removed) if removed.is_none_or(|other| other < x) => Some((x, diagonal + 1)),
            (_, removed) => removed.map(|x| (x, diagonal - 1)),
        }
    }
}

/// Pairs of equal lines with the fewest edits between, the last first; `None` when it takes more than [`MAX_EDITS`].
fn greedy(a: &[u32], b: &[u32]) -> Option<Vec<(usize, usize)>> {
    let lengths = (i32::try_from(a.len()).ok()?, i32::try_from(b.len()).ok()?);
    let most = lengths.0.saturating_add(lengths.1).min(MAX_EDITS);
    let mut front = Front { reached: vec![NOWHERE; 2 * most as usize + 3], most };
    let mut history: Vec<Vec<i32>> = Vec::new();
    for edits in 0..=most {
        let before = Front { reached: front.reached.clone(), most };
        for diagonal in (-edits..=edits).step_by(2) {
            let start = if edits == 0 { Some((0, 0)) } else { before.step(diagonal, lengths) };
            let mut x = start.map_or(NOWHERE, |(x, _)| x);
            while x != NOWHERE
                && x < lengths.0
                && x - diagonal < lengths.1
                && a[x as usize] == b[(x - diagonal) as usize]
            {
                x += 1;
            }
            front.reached[(diagonal + most + 1) as usize] = x;
            if x == lengths.0 && x - diagonal == lengths.1 {
                return Some(back(&history, most, lengths, edits));
            }
        }
        // Only the diagonals reached so far: the whole would be a square of the lengths.
        let (low, high) = ((most + 1 - edits) as usize, (most + 1 + edits) as usize);
        history.push(front.reached[low..=high].to_vec());
    }
    None
}

/// The way from the end of both texts to their beginning.
fn back(history: &[Vec<i32>], most: i32, lengths: (i32, i32), edits: i32) -> Vec<(usize, usize)> {
    let mut pairs = Vec::new();
    let (mut x, mut diagonal) = (lengths.0, lengths.0 - lengths.1);
    for edits in (0..=edits).rev() {
        let (start, from) = match edits.checked_sub(1).and_then(|fewer| history.get(fewer as usize)) {
            None => (0, None),
            Some(part) => {
                let mut reached = vec![NOWHERE; 2 * most as usize + 3];
                let low = (most + 1 - (edits - 1)) as usize;
                reached[low..low + part.len()].copy_from_slice(part);
                let step = Front { reached, most }.step(diagonal, lengths);
                step.map_or((0, None), |(x, from)| (x, Some(from)))
            }
        };
        while x > start {
            x -= 1;
            pairs.push((x as usize, (x - diagonal) as usize));
        }
        if let Some(from) = from {
            // An insertion keeps the place on `a`, a removal was one before it.
            x = if from > diagonal { start } else { start - 1 };
            diagonal = from;
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The most lines that two texts share in order, by the plain quadratic table.
    fn longest(a: &[u32], b: &[u32]) -> usize {
        let mut row = vec![0; b.len() + 1];
        for x in a {
            let mut diagonal = 0;
            for (j, y) in b.iter().enumerate() {
                let above = row[j + 1];
                row[j + 1] = if x == y { diagonal + 1 } else { above.max(row[j]) };
                diagonal = above;
            }
        }
        row[b.len()]
    }

    proptest! {
        #[test]
        fn what_is_matched_is_equal_and_in_order(
            a in proptest::collection::vec(0..9u32, 0..60),
            b in proptest::collection::vec(0..9u32, 0..60),
        ) {
            let found = matches(&a, &b);
            prop_assert!(found.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 < pair[1].1));
            prop_assert!(found.iter().all(|(i, j)| a[*i] == b[*j]));
            let (old, new): (usize, usize) =
                hunks(&a, &b).iter().fold((0, 0), |sum, (old, new)| (sum.0 + old.len(), sum.1 + new.len()));
            prop_assert_eq!((old + found.len(), new + found.len()), (a.len(), b.len()));
            prop_assert_eq!(hunks(&a, &b).is_empty(), a == b);
        }

        #[test]
        fn without_anchors_nothing_more_can_be_matched(
            a in proptest::collection::vec(0..4u32, 0..40),
            b in proptest::collection::vec(0..4u32, 0..40),
        ) {
            let found = greedy(&a, &b).unwrap();
            prop_assert_eq!(found.len(), longest(&a, &b));
            prop_assert!(found.iter().all(|(i, j)| a[*i] == b[*j]));
        }
    }

    #[test]
    fn a_changed_line_among_many_is_one_hunk() {
        let a: Vec<u32> = (0..50_000).map(|n| n % 1000).collect();
        let mut b = a.clone();
        b[25_000] = 5000;
        b.insert(40_000, 6000);
        assert_eq!(hunks(&a, &b), [(25_000..25_001, 25_000..25_001), (40_000..40_000, 40_000..40_001)]);
    }

    #[test]
    fn texts_without_anything_in_common_order_are_given_up_within_bounded_work() {
        // Lines that stand twice on each side, in opposite order; and the same few lines in no order at all.
        let twice: Vec<u32> = (0..20_000).map(|n| n / 2).collect();
        let reversed: Vec<u32> = twice.iter().rev().copied().collect();
        let mut state = 1u32;
        let mut noise = || -> Vec<u32> {
            let mut next = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 16) % 300
            };
            (0..20_000).map(|_| next()).collect()
        };
        assert_eq!(hunks(&twice, &reversed).len(), 1);
        assert!(hunks(&noise(), &noise()).len() < 10);
        let unique: Vec<u32> = (0..20_000).collect();
        let backwards: Vec<u32> = unique.iter().rev().copied().chain([30_000]).collect();
        assert!(hunks(&unique, &backwards).len() <= 2);
    }
}
