//! One derivation: its rounds, the probes when they disagree, and what that says about each output.

use std::time::Duration;

use super::{
    Level, Verdict,
    rounds::{Agreement, Outputs, RoundPlan, agreement, flipped},
};
use crate::{
    machine::{Contract, Setting, Settings},
    nix::hash::NarHash,
    schedule::{self, OnFailure, Outcome},
};

/// One finished build.
#[derive(Clone, Debug)]
pub struct Built {
    /// NAR hash of every output.
    pub outputs: Outputs,
    /// The run record, by its id.
    pub run: String,
    /// Retired instructions, when the guest could say.
    pub instructions: Option<u64>,
    /// Wall-clock time, not compared; none for a round kept from an earlier run.
    pub wall: Option<Duration>,
}

/// Builds the derivation that is verified.
pub trait Builder: Sync {
    /// Why there are no bits.
    type Error: std::fmt::Display + Send;

    /// One build under `settings`; `round` says which one it is, for people.
    fn build(&self, settings: &Settings, round: &str) -> Result<Built, Self::Error>;
}

/// One round or probe, and what came of it.
#[derive(Clone, Debug)]
pub struct Round<E> {
    /// What it is called: `round 1`, `probe clock`.
    pub label: String,
    /// Its settings.
    pub settings: Settings,
    /// What it has at another value than round 0.
    pub varied: Vec<Setting>,
    /// What came of it; `None` when it was not started, because another failed.
    pub result: Option<Result<Built, E>>,
}

impl<E> Round<E> {
    /// What came of a build under `settings`.
    pub(super) fn new(
        base: &Settings,
        label: String,
        settings: Settings,
        result: Option<Result<Built, E>>,
    ) -> Self {
        Round { label, varied: base.differences(&settings), settings, result }
    }

    /// The build, when there is one.
    pub fn built(&self) -> Option<&Built> {
        self.result.as_ref()?.as_ref().ok()
    }
}

/// What the rounds of one derivation showed.
#[derive(Clone, Debug)]
pub struct Rounds<E> {
    /// The rounds, round 0 first.
    pub rounds: Vec<Round<E>>,
    /// Builds with one setting varied each; only when rounds disagreed.
    pub probes: Vec<Round<E>>,
    /// The plan they follow.
    pub plan: RoundPlan,
}

/// What the rounds showed about one output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What can be said from the rounds alone.
    pub verdict: Verdict,
    /// How much that shows.
    pub level: Level,
    /// Why it is neither reproduced nor diverged.
    pub reason: Option<String>,
    /// The bits of round 0.
    pub nar_hash: Option<NarHash>,
    /// The bits of the first round that differs, and its number.
    pub other: Option<(u32, NarHash)>,
    /// Settings proven to flip the bits, each alone.
    pub flipped: Vec<Setting>,
    /// There is one build and nothing is wrong with it: an equal reference is all that is missing.
    pub single: bool,
    /// A repeat of round 0 under the very same settings differs from it: whatever flips the bits, it is no setting.
    pub unsteady: bool,
}

impl Finding {
    /// Whether every setting that flips the bits is one that Nix's contract fixes: then no honest host can see the
    /// difference that the rounds saw.
    pub fn outside_contract(&self) -> bool {
        !self.flipped.is_empty() && self.flipped.iter().all(|setting| setting.contract() == Contract::Fixed)
    }
}

/// Builds everything that is wanted, each with its label.
pub(super) fn run_all<B: Builder>(
    base: &Settings,
    wanted: Vec<(String, Settings)>,
    builder: &B,
    jobs: usize,
    on_failure: OnFailure,
) -> Vec<Round<B::Error>> {
    let independent = vec![Vec::new(); wanted.len()];
    let outcomes = schedule::run(&independent, jobs, on_failure, |n| {
        let (label, settings) = &wanted[n];
        builder.build(settings, label)
    });
    wanted
        .into_iter()
        .zip(outcomes)
        .map(|((label, settings), outcome)| {
            let result = match outcome {
                Outcome::Done(built) => Some(Ok(built)),
                Outcome::Failed(error) => Some(Err(error)),
                Outcome::Skipped(_) | Outcome::Stopped => None,
            };
            Round::new(base, label, settings, result)
        })
        .collect()
}

impl<E: std::fmt::Display> Rounds<E> {
    /// When an output differs between two rounds, runs the probes that tell which setting did it, at most `jobs` at once.
    pub(super) fn probe<B: Builder<Error = E>>(&mut self, builder: &B, jobs: usize)
    where
        E: Send,
    {
        let Some(round) = self.first_disagreement() else { return };
        // Round 0 once more: were it to differ from itself, no probe would prove anything.
        let mut probes = vec![("probe none".to_owned(), self.plan.base.clone())];
        let single = self.plan.probes(round);
        // One varied setting: the round itself is the probe.
        if single.len() > 1 {
            probes.extend(single.into_iter().map(|(which, s)| (format!("probe {}", which.name()), s)));
        }
        self.probes = run_all(&self.plan.base, probes, builder, jobs, OnFailure::Stop);
    }

    /// What each round made; `None` unless every round was built.
    fn outputs(&self) -> Option<Vec<Outputs>> {
        self.rounds.iter().map(|round| Some(round.built()?.outputs.clone())).collect()
    }

    fn first_disagreement(&self) -> Option<u32> {
        let rounds = self.outputs()?;
        let differing = rounds.first()?.keys().filter_map(|output| match agreement(&rounds, output)? {
            Agreement::Differs { round, .. } => Some(round),
            Agreement::Same(_) => None,
        });
        differing.min()
    }

    /// What the rounds say about `output`.
    pub fn finding(&self, output: &str) -> Finding {
        let unknown = |verdict, reason| Finding {
            verdict,
            level: Level::Built,
            reason: Some(reason),
            nar_hash: self.rounds.first().and_then(Round::built).and_then(|b| b.outputs.get(output).copied()),
            other: None,
            flipped: Vec::new(),
            single: false,
            unsteady: false,
        };
        // A difference that was seen stays one, whatever another round came to.
        let first = self.rounds.first().and_then(Round::built).and_then(|built| built.outputs.get(output));
        let other = (0u32..).zip(&self.rounds).find_map(|(n, round)| {
            let hash = round.built()?.outputs.get(output)?;
            (Some(hash) != first).then_some((n, *hash))
        });
        if let (Some(first), Some((round, other))) = (first, other) {
            let (flipped, unsteady) = self.flipped(*first, round, output);
            return Finding {
                verdict: Verdict::Diverged,
                level: Level::Built,
                reason: None,
                nar_hash: Some(*first),
                other: Some((round, other)),
                flipped,
                single: false,
                unsteady,
            };
        }
        if let Some((round, error)) = self.first_failure() {
            return unknown(Verdict::NotBuilt, failure_reason(round, error));
        }
        let Some(rounds) = self.outputs() else {
            return unknown(Verdict::NotBuilt, "not every round was run".to_owned());
        };
        match agreement(&rounds, output) {
            None => unknown(Verdict::NotChecked, format!("a round has no output `{output}`")),
            Some(Agreement::Same(_)) if rounds.len() < 2 => Finding {
                single: true,
                ..unknown(Verdict::NotChecked, "one build and nothing to compare it with".to_owned())
            },
            Some(Agreement::Same(hash)) => Finding {
                verdict: Verdict::Reproduced,
                level: if self.plan.vary.is_empty() { Level::Repeated } else { Level::Varied },
                reason: None,
                nar_hash: Some(hash),
                other: None,
                flipped: Vec::new(),
                single: false,
                unsteady: false,
            },
            Some(Agreement::Differs { .. }) => {
                unknown(Verdict::NotChecked, "the rounds differ, and it was not seen where".to_owned())
            }
        }
    }

    /// Whether one of the rounds or probes is the run with this id.
    pub fn has_run(&self, run: &str) -> bool {
        self.rounds.iter().chain(&self.probes).filter_map(Round::built).any(|built| built.run == run)
    }

    fn first_failure(&self) -> Option<(&Round<E>, &E)> {
        self.rounds.iter().find_map(|round| Some((round, round.result.as_ref()?.as_ref().err()?)))
    }

    /// The settings that flip the bits, and whether even the same settings do.
    fn flipped(&self, first: NarHash, round: u32, output: &str) -> (Vec<Setting>, bool) {
        let mut probes: Vec<(Setting, Outputs)> = Vec::new();
        let mut unsteady = false;
        // With one varied setting the round itself is the probe.
        for probe in self.probes.iter().chain(self.rounds.get(round as usize)) {
            let Some(built) = probe.built() else { continue };
            match probe.varied.as_slice() {
                [] => unsteady |= built.outputs.get(output).is_some_and(|hash| *hash != first),
                [which] => probes.push((*which, built.outputs.clone())),
                _ => {}
            }
        }
        if unsteady { (Vec::new(), true) } else { (flipped(first, &probes, output), false) }
    }

    /// Whether every probe that was wanted was built; if not, that none flips the bits says nothing.
    pub fn probes_complete(&self) -> bool {
        self.probes.iter().all(|probe| probe.built().is_some())
    }
}

pub(super) fn failure_reason<E: std::fmt::Display>(round: &Round<E>, error: &E) -> String {
    let varied: Vec<String> = round
        .varied
        .iter()
        .map(|which| format!("{}={}", which.name(), round.settings.value(*which)))
        .collect();
    match varied.as_slice() {
        [] => format!("{error}"),
        varied => format!("{} ({}): {error}", round.label, varied.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::builds;

    /// A builder whose outputs are a function of the settings.
    struct Fake<F>(F);

    impl<F: Fn(&Settings) -> Result<Vec<(&'static str, u8)>, String> + Sync> Builder for Fake<F> {
        type Error = String;

        fn build(&self, settings: &Settings, _round: &str) -> Result<Built, String> {
            let outputs = (self.0)(settings)?
                .into_iter()
                .map(|(name, n)| (name.to_owned(), NarHash([n; 32])))
                .collect();
            Ok(Built { outputs, run: String::new(), instructions: None, wall: None })
        }
    }

    fn find(
        rounds: u32,
        also: &[Setting],
        build: impl Fn(&Settings) -> Result<Vec<(&'static str, u8)>, String> + Sync,
    ) -> Rounds<String> {
        let (plan, builder) = (RoundPlan::new(rounds, Settings::default(), also), Fake(build));
        let mut builds = builds::first(&plan, &[Some(&builder)], &[0], |_| None::<()>, 2);
        let mut rounds = builds.remove(0).rounds.unwrap();
        rounds.probe(&builder, 2);
        rounds
    }

    #[test]
    fn equal_bits_under_varied_settings_are_reproduced_at_level_2() {
        let found = find(2, &[], |_| Ok(vec![("out", 1)])).finding("out");
        assert_eq!((found.verdict, found.level), (Verdict::Reproduced, Level::Varied));
    }

    #[test]
    fn one_build_is_never_reproduced() {
        let found = find(1, &[], |_| Ok(vec![("out", 1)])).finding("out");
        assert_eq!((found.verdict, found.level), (Verdict::NotChecked, Level::Built));
    }

    #[test]
    fn a_flipped_setting_is_named_and_others_are_not() {
        let found = find(3, &[], |s| Ok(vec![("out", s.clock as u8), ("doc", 0)]));
        assert_eq!(found.finding("out").verdict, Verdict::Diverged);
        assert_eq!(found.finding("out").flipped, [Setting::Clock]);
        assert_eq!(found.finding("doc").verdict, Verdict::Reproduced);
    }

    #[test]
    fn a_difference_that_needs_two_settings_at_once_names_none() {
        let base = Settings::default();
        let found =
            find(2, &[], |s| Ok(vec![("out", u8::from(s.clock != base.clock && s.seed != base.seed))]));
        let finding = found.finding("out");
        assert_eq!((finding.verdict, finding.flipped.as_slice()), (Verdict::Diverged, [].as_slice()));
    }

    #[test]
    fn a_fixed_setting_counts_as_outside_the_contract() {
        let build = |s: &Settings| Ok(vec![("out", s.hostname.len() as u8)]);
        assert_eq!(find(2, &[], build).finding("out").verdict, Verdict::Reproduced);
        let finding = find(2, &[Setting::Hostname], build).finding("out");
        assert_eq!((finding.verdict, finding.outside_contract()), (Verdict::Diverged, true));
    }

    #[test]
    fn a_failed_round_is_not_built_even_when_the_others_agree() {
        let found =
            find(3, &[], |s| if s.cores == 3 { Err("broke".to_owned()) } else { Ok(vec![("out", 1)]) });
        let finding = found.finding("out");
        assert_eq!(finding.verdict, Verdict::NotBuilt);
        assert!(finding.reason.unwrap().contains("cores=3"), "the settings that broke it are named");
    }

    #[test]
    fn a_difference_that_was_seen_outweighs_a_failed_round() {
        let found = find(3, &[], |s| match s.cores {
            4 => Err("broke".to_owned()),
            cores => Ok(vec![("out", cores as u8)]),
        });
        let failed = found.rounds.iter().any(|round| matches!(round.result, Some(Err(_))));
        assert!(failed);
        assert_eq!(found.finding("out").verdict, Verdict::Diverged);
    }

    #[test]
    fn bits_that_differ_under_the_same_settings_prove_no_setting() {
        let builds = std::sync::atomic::AtomicU8::new(0);
        let found =
            find(2, &[], |_| Ok(vec![("out", builds.fetch_add(1, std::sync::atomic::Ordering::Relaxed))]));
        let finding = found.finding("out");
        assert_eq!((finding.verdict, finding.unsteady, finding.flipped.len()), (Verdict::Diverged, true, 0));
    }

    #[test]
    fn an_output_that_a_round_lacks_is_not_checked() {
        let base = Settings::default();
        let found = find(2, &[], |s| Ok(if *s == base { vec![("out", 1)] } else { vec![] }));
        assert_eq!(found.finding("out").verdict, Verdict::NotChecked);
    }
}
