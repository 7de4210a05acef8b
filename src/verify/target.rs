//! Builds a target again and again, and takes up the rounds that an interrupted run had finished.

use std::sync::{Mutex, PoisonError};

use super::derivation::{Builder, Built};
use crate::{
    graph::Graph,
    machine::Settings,
    schedule::{Finished, RealiseError, Realiser, RoundOf},
    store::RoundKey,
};

/// What to do about rounds that an earlier run finished before it was interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeptRounds {
    /// Use those whose bits are still there.
    TakeUp,
    /// Build every round.
    Ignore,
}

/// The builder of one target.
pub(super) struct TargetBuilder<'a, 'r> {
    realiser: &'a Realiser<'r>,
    graph: &'a Graph,
    index: usize,
    rounds: KeptRounds,
    so_far: Mutex<SoFar>,
}

#[derive(Default)]
struct SoFar {
    /// What a round under the settings that are not varied made.
    first: Option<Finished>,
    /// What the rounds are kept under.
    kept: Vec<RoundKey>,
}

impl<'a, 'r> TargetBuilder<'a, 'r> {
    pub(super) fn new(
        realiser: &'a Realiser<'r>,
        graph: &'a Graph,
        index: usize,
        rounds: KeptRounds,
    ) -> Self {
        TargetBuilder { realiser, graph, index, rounds, so_far: Mutex::default() }
    }

    /// What round 1 made, and what every round is kept under.
    pub(super) fn finish(self) -> (Option<Finished>, Vec<RoundKey>) {
        let so_far = self.so_far.into_inner().unwrap_or_else(PoisonError::into_inner);
        (so_far.first, so_far.kept)
    }

    /// A round that is there already.
    fn kept(&self, key: &RoundKey, round: RoundOf<'_>) -> Result<Option<Finished>, RealiseError> {
        match self.rounds {
            KeptRounds::Ignore => Ok(None),
            KeptRounds::TakeUp => self.realiser.kept(key, round),
        }
    }
}

impl Builder for TargetBuilder<'_, '_> {
    type Error = RealiseError;

    fn build(&self, settings: &Settings, label: &str) -> Result<Built, RealiseError> {
        let round = RoundOf { graph: self.graph, index: self.index, settings, label };
        let key = self.realiser.round_key(round)?;
        let finished = match self.kept(&key, round)? {
            Some(kept) => kept,
            None => {
                let finished = self.realiser.build(self.graph, self.index, settings, label)?;
                self.realiser.keep(&key, &finished)?;
                finished
            }
        };
        let built = Built {
            outputs: finished.outputs.iter().map(|(name, output)| (name.clone(), output.nar_hash)).collect(),
            run: finished.run.to_string(),
            instructions: finished.instructions,
            wall: finished.wall,
        };
        let mut so_far = self.so_far.lock().unwrap_or_else(PoisonError::into_inner);
        so_far.kept.push(key);
        if *settings == *self.realiser.settings {
            so_far.first.get_or_insert(finished);
        }
        Ok(built)
    }
}
