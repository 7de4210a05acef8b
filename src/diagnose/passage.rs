//! A differing range and how much of it has been explained.

use super::tokens::{RECOGNISERS, Recogniser, Token};
use crate::diff::{Pair, Piece, Range, Side};

/// Two pieces of bytes that differ, read for tokens.
pub(super) struct Passage<'a> {
    pub range: &'a Range,
    /// For each byte of the samples: whether it differs and nothing has explained it.
    open: Pair<Vec<bool>>,
}

/// A token of one side or of both, as ranges of the samples.
pub(super) struct Match {
    pub recogniser: &'static Recogniser,
    pub tokens: Pair<Option<Token>>,
    /// How many differing bytes it explains.
    pub bytes: u64,
}

impl<'a> Passage<'a> {
    pub fn new(range: &'a Range) -> Self {
        let pieces = Pair::new(&range.a, &range.b);
        let mut open = pieces.map(marks);
        // In place, only the positions that differ count.
        if range.a.len == range.b.len {
            let (from_a, from_b) = (range.a.marked().start, range.b.marked().start);
            let len = range.a.marked().len().min(range.b.marked().len());
            open.a[from_a + len..].fill(false);
            open.b[from_b + len..].fill(false);
            for at in 0..len {
                let differs = range.a.sample[from_a + at] != range.b.sample[from_b + at];
                open.a[from_a + at] = differs;
                open.b[from_b + at] = differs;
            }
        }
        Passage { range, open }
    }

    /// Everything recognised in what is still open, the most specific kind first. What is recognised is closed.
    pub fn matches(&mut self) -> Vec<Match> {
        let mut matches = Vec::new();
        for recogniser in &RECOGNISERS {
            let found =
                Pair::new(self.open_tokens(recogniser, Side::A), self.open_tokens(recogniser, Side::B));
            let pairs = found.a.len().min(found.b.len());
            let rest = (found.a.get(pairs..), found.b.get(pairs..));
            let mut all: Vec<Pair<Option<Token>>> = found
                .a
                .iter()
                .zip(&found.b)
                .map(|(a, b)| Pair::new(Some(a.clone()), Some(b.clone())))
                .collect();
            if recogniser.alone {
                all.extend(rest.0.iter().copied().flatten().map(|a| Pair::new(Some(a.clone()), None)));
                all.extend(rest.1.iter().copied().flatten().map(|b| Pair::new(None, Some(b.clone()))));
            }
            for tokens in all {
                if let (Some(a), Some(b)) = (&tokens.a, &tokens.b) {
                    // The same on both sides: it only moved.
                    let a = (&self.range.a.sample[a.range.clone()], a.confidence);
                    let b = (&self.range.b.sample[b.range.clone()], b.confidence);
                    if a.0 == b.0 || !(recogniser.same)(a, b) {
                        continue;
                    }
                }
                let bytes = self.close(&tokens);
                matches.push(Match { recogniser, tokens, bytes });
            }
        }
        matches
    }

    fn open_tokens(&self, recogniser: &Recogniser, side: Side) -> Vec<Token> {
        let open = self.open.of(side);
        let other = match side {
            Side::A => Side::B,
            Side::B => Side::A,
        };
        // Where bytes were inserted, this side's range is empty: the token around that place is the changed one.
        let piece = self.piece(side);
        let tokens = recogniser.find(&piece.sample);
        let (at, inserted) = (piece.marked().start, piece.len == 0 && self.open.of(other).contains(&true));
        let touches = |token: &Token| {
            open[token.range.clone()].contains(&true)
                || (inserted && token.range.start < at && at < token.range.end)
        };
        tokens.into_iter().filter(touches).collect()
    }

    /// Whether all that differs on one side lies in text that `holds` accepts: the run of bytes without NUL around it.
    pub fn lies_in(&self, side: Side, holds: impl Fn(&[u8]) -> bool) -> bool {
        let piece = self.piece(side);
        let marked = piece.marked();
        let start = piece.sample[..marked.start].iter().rposition(|byte| *byte == 0).map_or(0, |at| at + 1);
        let end = piece.sample[marked.end..].iter().position(|byte| *byte == 0);
        holds(&piece.sample[start..end.map_or(piece.sample.len(), |end| marked.end + end)])
    }

    fn piece(&self, side: Side) -> &'a Piece {
        match side {
            Side::A => &self.range.a,
            Side::B => &self.range.b,
        }
    }

    /// Takes tokens as explained, and says how many differing bytes that was.
    fn close(&mut self, tokens: &Pair<Option<Token>>) -> u64 {
        let close = |open: &mut [bool], token: &Option<Token>| {
            let Some(token) = token else { return 0 };
            let open = &mut open[token.range.clone()];
            let count = open.iter().filter(|open| **open).count() as u64;
            open.fill(false);
            count
        };
        close(&mut self.open.a, &tokens.a).max(close(&mut self.open.b, &tokens.b))
    }

    /// How many differing bytes are not explained: those still open, and those behind the end of the sample.
    pub fn unexplained(&self) -> u64 {
        let (a, b) = (&self.range.a, &self.range.b);
        if a.len != b.len {
            // Without what is explained, both may say the same.
            let left = Pair::new(self.left(Side::A), self.left(Side::B));
            let head = left.a.iter().zip(&left.b).take_while(|(x, y)| x == y).count();
            let (rest_a, rest_b) = (&left.a[head..], &left.b[head..]);
            let tail = rest_a.iter().rev().zip(rest_b.iter().rev()).take_while(|(x, y)| x == y).count();
            let open = (rest_a.len().max(rest_b.len()) - tail) as u64;
            let sampled = a.marked().len().max(b.marked().len()) as u64;
            return open + self.range.differing.saturating_sub(sampled);
        }
        let open = |side: Side| self.open.of(side).iter().filter(|open| **open).count() as u64;
        let differing = a.sample[a.marked()].iter().zip(&b.sample[b.marked()]).filter(|(x, y)| x != y);
        open(Side::A).max(open(Side::B)) + self.range.differing.saturating_sub(differing.count() as u64)
    }

    /// The bytes of one side that are still open.
    fn left(&self, side: Side) -> Vec<u8> {
        let bytes = self.piece(side).sample.iter().zip(self.open.of(side));
        bytes.filter(|(_, open)| **open).map(|(byte, _)| *byte).collect()
    }
}

fn marks(piece: &Piece) -> Vec<bool> {
    let marked = piece.marked();
    (0..piece.sample.len()).map(|at| marked.contains(&at)).collect()
}
