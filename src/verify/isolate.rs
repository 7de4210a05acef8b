//! Isolation: what of the machine a derivation's bits depend on, found by varying one setting at a time.
//!
//! Rounds of a verification vary everything at once and look closer only when that shows a difference; two dependences
//! can hide each other there. Here every setting is tried alone, then all that flip nothing alone are tried together, and a
//! set that flips the bits only together is narrowed until nothing can be left out of it.

use std::collections::BTreeSet;

use super::{
    derivation::{Builder, Round, failure_reason, run_all},
    rounds::{Outputs, RoundPlan, flipped},
};
use crate::{
    machine::{Setting, Settings},
    nix::hash::NarHash,
    schedule::OnFailure,
};

/// Everything that was built of one derivation.
#[derive(Clone, Debug)]
pub struct Isolation<E> {
    /// The settings of round 1, from which each other build varies something.
    pub base: Settings,
    /// What was varied.
    pub tried: Vec<Setting>,
    /// Round 1, the same once more, then every other build in the order they were made.
    pub rounds: Vec<Round<E>>,
}

/// What the bits of an output depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dependence {
    /// On nothing that was varied, alone or together.
    Nothing,
    /// On settings of the machine.
    Settings {
        /// Those that flip the bits alone.
        alone: Vec<Setting>,
        /// Of those that do not, a set that flips the bits together, and of which nothing can be left out; empty when there
        /// is none.
        together: Vec<Setting>,
    },
    /// On something else: under the very same settings the bits were others.
    Unsteady,
    /// It is not known: why.
    Unknown(String),
}

/// Builds with one setting of `vary` at another value each, and with as many more as it takes to find what flips the bits of
/// `outputs`; at most `jobs` at once.
pub fn isolate<B: Builder>(
    base: &Settings,
    vary: &[Setting],
    outputs: &[String],
    builder: &B,
    jobs: usize,
) -> Isolation<B::Error>
where
    B::Error: std::fmt::Display,
{
    // In the order of settings, so that a round is known by what it varied.
    let mut vary = vary.to_vec();
    vary.sort_unstable();
    let twice = vec![("round 1".to_owned(), base.clone()), ("probe none".to_owned(), base.clone())];
    let rounds = run_all(base, twice, builder, jobs, OnFailure::Stop);
    let mut found = Isolation { base: base.clone(), tried: vary.clone(), rounds };
    if found.first().is_none() {
        return found;
    }
    let alone = vary.iter().map(|which| vec![*which]);
    found.build(alone.collect(), builder, jobs);
    let rest: BTreeSet<Vec<Setting>> = outputs
        .iter()
        .filter(|output| !found.unsteady(output))
        .map(|output| vary.iter().copied().filter(|which| !found.flips(&[*which], output)).collect())
        .filter(|rest: &Vec<Setting>| rest.len() > 1)
        .collect();
    found.build(rest.iter().cloned().collect(), builder, jobs);
    for output in outputs {
        for rest in &rest {
            if found.is_rest(rest, output) && found.flips(rest, output) {
                found.narrow(rest.clone(), output, builder, jobs);
            }
        }
    }
    found
}

impl<E: std::fmt::Display> Isolation<E> {
    fn build<B: Builder<Error = E>>(&mut self, sets: Vec<Vec<Setting>>, builder: &B, jobs: usize) {
        let new = sets.into_iter().filter(|set| self.round(set).is_none());
        let wanted = new.map(|vary| {
            let names: Vec<&str> = vary.iter().map(|which| which.name()).collect();
            let label = format!("probe {}", names.join("+"));
            (label, RoundPlan { rounds: 2, base: self.base.clone(), vary }.settings(1))
        });
        let rounds = run_all(&self.base, wanted.collect(), builder, jobs, OnFailure::KeepGoing);
        self.rounds.extend(rounds);
    }

    /// Leaves out of a set that flips the bits what it does not need.
    fn narrow<B: Builder<Error = E>>(
        &mut self,
        mut set: Vec<Setting>,
        output: &str,
        builder: &B,
        jobs: usize,
    ) {
        for which in set.clone() {
            let without: Vec<Setting> = set.iter().copied().filter(|other| *other != which).collect();
            if without.len() > 1 {
                self.build(vec![without.clone()], builder, jobs);
                if self.flips(&without, output) {
                    set = without;
                }
            }
        }
    }

    /// The round that varied exactly these.
    fn round(&self, set: &[Setting]) -> Option<&Round<E>> {
        self.rounds.iter().find(|round| !set.is_empty() && round.varied == set)
    }

    /// The bits of round 1.
    pub fn first(&self) -> Option<&Outputs> {
        Some(&self.rounds.first()?.built()?.outputs)
    }

    fn flips(&self, set: &[Setting], output: &str) -> bool {
        self.round(set).is_some_and(|round| self.differs(round, output))
    }

    /// Whether a build gave other bits than round 1.
    pub fn differs(&self, round: &Round<E>, output: &str) -> bool {
        let bits = round.built().and_then(|built| built.outputs.get(output));
        let first = self.first().and_then(|first| first.get(output));
        bits.is_some() && first.is_some() && bits != first
    }

    fn unsteady(&self, output: &str) -> bool {
        self.rounds.get(1).is_some_and(|again| self.differs(again, output))
    }

    /// Whether `set` is all that does not flip the bits alone.
    fn is_rest(&self, set: &[Setting], output: &str) -> bool {
        let rest = self.tried.iter().filter(|which| !self.flips(&[**which], output));
        rest.eq(set)
    }

    /// What the bits of `output` depend on.
    pub fn dependence(&self, output: &str) -> Dependence {
        let Some(first) = self.first().and_then(|first| first.get(output)) else {
            return Dependence::Unknown(self.failures().next().map_or_else(
                || format!("round 1 has no output `{output}`"),
                |(round, error)| failure_reason(round, error),
            ));
        };
        if self.unsteady(output) {
            return Dependence::Unsteady;
        }
        let (alone, together) = (self.alone(*first, output), self.together(output));
        if !alone.is_empty() || !together.is_empty() {
            return Dependence::Settings { alone, together };
        }
        let unknown = self
            .rounds
            .iter()
            .find(|round| round.built().is_none_or(|built| !built.outputs.contains_key(output)));
        match unknown {
            None => Dependence::Nothing,
            Some(round) => Dependence::Unknown(match &round.result {
                Some(Err(error)) => failure_reason(round, error),
                Some(Ok(_)) => format!("{} has no output `{output}`", round.label),
                None => format!("{} was not run", round.label),
            }),
        }
    }

    fn alone(&self, first: NarHash, output: &str) -> Vec<Setting> {
        let probes = self.rounds.iter().filter_map(|round| match round.varied.as_slice() {
            [which] => Some((*which, round.built()?.outputs.clone())),
            _ => None,
        });
        flipped(first, &probes.collect::<Vec<_>>(), output)
    }

    /// The smallest set of several that was seen to flip the bits and has nothing in it that does so alone.
    fn together(&self, output: &str) -> Vec<Setting> {
        let sets = self.rounds.iter().filter(|round| round.varied.len() > 1 && self.differs(round, output));
        let sets = sets.map(|round| &round.varied);
        let sets = sets.filter(|set| !set.iter().any(|which| self.flips(&[*which], output)));
        sets.min_by_key(|set| set.len()).cloned().unwrap_or_default()
    }

    /// The rounds to show the differences of: one for each setting or set that [`Isolation::dependence`] names, or the repeat
    /// that gave other bits.
    pub fn witnesses(&self, output: &str) -> Vec<&Round<E>> {
        match self.dependence(output) {
            Dependence::Nothing | Dependence::Unknown(_) => Vec::new(),
            Dependence::Unsteady => self.rounds.get(1).into_iter().collect(),
            Dependence::Settings { alone, together } => {
                let sets = alone.into_iter().map(|which| vec![which]).chain([together]);
                sets.filter_map(|set| self.round(&set)).collect()
            }
        }
    }

    /// The builds that failed.
    pub fn failures(&self) -> impl Iterator<Item = (&Round<E>, &E)> {
        self.rounds.iter().filter_map(|round| Some((round, round.result.as_ref()?.as_ref().err()?)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::*;
    use crate::verify::derivation::Built;

    /// A builder whose outputs are a function of the settings.
    struct Fake<F>(F);

    impl<F: Fn(&Settings) -> Result<u8, String> + Sync> Builder for Fake<F> {
        type Error = String;

        fn build(&self, settings: &Settings, _round: &str) -> Result<Built, String> {
            let outputs = Outputs::from([("out".to_owned(), NarHash([(self.0)(settings)?; 32]))]);
            Ok(Built { outputs, run: String::new(), instructions: None, wall: None })
        }
    }

    const VARY: [Setting; 6] =
        [Setting::Clock, Setting::Seed, Setting::Rate, Setting::Memory, Setting::Cores, Setting::Hostname];

    fn find(bits: impl Fn(&Settings) -> Result<u8, String> + Sync) -> Isolation<String> {
        isolate(&Settings::default(), &VARY, &["out".to_owned()], &Fake(bits), 2)
    }

    fn settings(alone: &[Setting], together: &[Setting]) -> Dependence {
        Dependence::Settings { alone: alone.to_vec(), together: together.to_vec() }
    }

    #[test]
    fn every_setting_is_tried_alone_twice_nothing_and_the_rest_together() {
        let found = find(|_| Ok(1));
        let varied: Vec<usize> = found.rounds.iter().map(|round| round.varied.len()).collect();
        assert_eq!(varied, [0, 0, 1, 1, 1, 1, 1, 1, 6]);
        assert_eq!(found.dependence("out"), Dependence::Nothing);
        assert!(found.witnesses("out").is_empty());
    }

    #[test]
    fn dependences_that_hide_each_other_when_both_are_varied_are_found() {
        let base = Settings::default();
        // Varied both at once, the bits are what they were.
        let found = find(|s| Ok(u8::from((s.clock != base.clock) != (s.cores != base.cores))));
        assert_eq!(found.dependence("out"), settings(&[Setting::Clock, Setting::Cores], &[]));
        let labels: Vec<&str> = found.witnesses("out").iter().map(|round| round.label.as_str()).collect();
        assert_eq!(labels, ["probe clock", "probe cores"]);
    }

    #[test]
    fn a_set_that_flips_only_together_is_narrowed_beside_one_that_does_alone() {
        let base = Settings::default();
        let found = find(|s| {
            let both = s.memory != base.memory && s.hostname != base.hostname;
            Ok(u8::from(both) + 2 * u8::from(s.cores != base.cores))
        });
        let expected = settings(&[Setting::Cores], &[Setting::Memory, Setting::Hostname]);
        assert_eq!(found.dependence("out"), expected);
    }

    #[test]
    fn random_numbers_made_of_everything_name_the_seed_alone() {
        let found = find(|s| Ok((s.seed + s.clock + u64::from(s.rate)) as u8));
        assert_eq!(found.dependence("out"), settings(&[Setting::Seed], &[]));
    }

    #[test]
    fn bits_that_never_stay_prove_no_setting() {
        let builds = AtomicU8::new(0);
        let found = find(|_| Ok(builds.fetch_add(1, Ordering::Relaxed)));
        assert_eq!(found.dependence("out"), Dependence::Unsteady);
        assert_eq!(found.witnesses("out")[0].label, "probe none");
    }

    #[test]
    fn a_build_that_fails_is_never_taken_for_one_that_agrees() {
        let found = find(|s| if s.cores > 1 { Err("broke".to_owned()) } else { Ok(1) });
        let Dependence::Unknown(why) = found.dependence("out") else { panic!("{found:?}") };
        assert!(why.contains("cores=") && why.contains("broke"), "{why}");
        // What the other settings show is not lost.
        let base = Settings::default().clock;
        let found =
            find(|s| if s.cores > 1 { Err("broke".to_owned()) } else { Ok(u8::from(s.clock != base)) });
        assert_eq!(found.dependence("out"), settings(&[Setting::Clock], &[]));
        // Without round 1 there is nothing to compare with, and nothing more is built.
        let found = find(|_| Err("broke".to_owned()));
        assert!(matches!(found.dependence("out"), Dependence::Unknown(_)) && found.rounds.len() == 2);
    }
}
