//! Rounds: the same derivation again under other settings, and which setting flipped the bits.

use std::collections::BTreeMap;

use crate::{
    machine::{Contract, Setting, Settings},
    nix::hash::NarHash,
};

/// The NAR hash of each output of a derivation, by output name.
pub type Outputs = BTreeMap<String, NarHash>;

/// Which rounds to run.
#[derive(Clone, Debug)]
pub struct RoundPlan {
    /// How many builds, the first under `base`.
    pub rounds: u32,
    /// The settings of the first round.
    pub base: Settings,
    /// What every later round has at another value.
    pub vary: Vec<Setting>,
}

impl RoundPlan {
    /// `rounds` builds; later ones vary what Nix's contract leaves open, and `also`.
    pub fn new(rounds: u32, base: Settings, also: &[Setting]) -> Self {
        let vary = Setting::ALL
            .into_iter()
            .filter(|setting| setting.contract() == Contract::Open || also.contains(setting))
            .collect();
        RoundPlan { rounds, base, vary }
    }

    /// The settings of round `n`, counted from 0.
    pub fn settings(&self, n: u32) -> Settings {
        match n {
            0 => self.base.clone(),
            n => self.vary.iter().fold(self.base.clone(), |settings, which| settings.varied(*which, n)),
        }
    }

    /// What round `n`, counted from 0, is called.
    pub fn label(&self, n: u32) -> String {
        format!("round {}", n + 1)
    }

    /// The probes that tell which setting flips the bits between round 0 and round `n`: round 0 with one setting at
    /// round `n`'s value, one probe per setting.
    pub fn probes(&self, n: u32) -> Vec<(Setting, Settings)> {
        let other = self.settings(n);
        self.base.differences(&other).into_iter().map(|which| (which, self.base.varied(which, n))).collect()
    }
}

/// What some rounds showed about one output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Agreement {
    /// Every round gave these bits.
    Same(NarHash),
    /// Round 0 gave `first`, and `round` is the first that gave other bits.
    Differs {
        /// The bits of round 0.
        first: NarHash,
        /// The number of the first round that differs.
        round: u32,
        /// The bits of that round.
        other: NarHash,
    },
}

/// Compares what each round made of `output`; `None` when there are no rounds or one of them lacks it.
pub fn agreement(rounds: &[Outputs], output: &str) -> Option<Agreement> {
    let hashes: Option<Vec<NarHash>> = rounds.iter().map(|round| round.get(output).copied()).collect();
    let hashes = hashes?;
    let first = *hashes.first()?;
    let differing = (0u32..).zip(&hashes).find(|(_, hash)| **hash != first);
    Some(match differing {
        None => Agreement::Same(first),
        Some((round, other)) => Agreement::Differs { first, round, other: *other },
    })
}

/// The settings whose probe gave other bits than round 0, in the order of [`Setting::ALL`]: proven causes. When the seed is
/// among them, clock, rate and memory are not: random numbers depend on them too.
pub fn flipped(first: NarHash, probes: &[(Setting, Outputs)], output: &str) -> Vec<Setting> {
    let mut flipped: Vec<Setting> = probes
        .iter()
        .filter(|(_, outputs)| outputs.get(output).is_some_and(|hash| *hash != first))
        .map(|(setting, _)| *setting)
        .collect();
    flipped.sort_unstable();
    if flipped.contains(&Setting::Seed) {
        // The bits follow from random numbers, and the kernel makes those of everything that came before: the time, when
        // interrupts came, how much memory there is. That these flip the bits as well proves nothing about them.
        flipped.retain(|setting| !matches!(setting, Setting::Clock | Setting::Rate | Setting::Memory));
    }
    flipped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(n: u8) -> NarHash {
        NarHash([n; 32])
    }

    fn round(out: u8, doc: u8) -> Outputs {
        Outputs::from([("out".to_owned(), hash(out)), ("doc".to_owned(), hash(doc))])
    }

    #[test]
    fn every_round_has_its_own_settings_and_round_0_the_base() {
        let plan = RoundPlan::new(4, Settings::default(), &[]);
        let settings: Vec<Settings> = (0..4).map(|n| plan.settings(n)).collect();
        assert_eq!(settings[0], Settings::default());
        for (i, a) in settings.iter().enumerate() {
            for b in &settings[i + 1..] {
                assert_ne!(a, b);
            }
        }
        let open = [Setting::Clock, Setting::Seed, Setting::Rate, Setting::Memory, Setting::Cores];
        assert_eq!(settings[0].differences(&settings[1]), open);
    }

    #[test]
    fn what_the_contract_fixes_is_varied_only_when_asked() {
        let plan = RoundPlan::new(2, Settings::default(), &[Setting::Hostname]);
        assert_ne!(plan.settings(1).hostname, "localhost");
        assert_eq!(plan.settings(1).build_dir, "/build");
    }

    #[test]
    fn a_probe_differs_from_round_0_in_one_setting() {
        let plan = RoundPlan::new(2, Settings::default(), &[Setting::Hostname]);
        let probes = plan.probes(1);
        assert_eq!(probes.len(), 6);
        for (which, settings) in probes {
            assert_eq!(plan.base.differences(&settings), [which]);
            assert_eq!(settings.value(which), plan.settings(1).value(which));
        }
    }

    #[test]
    fn every_output_is_compared_not_only_the_first() {
        let rounds = [round(1, 1), round(1, 2)];
        assert_eq!(agreement(&rounds, "out"), Some(Agreement::Same(hash(1))));
        assert_eq!(
            agreement(&rounds, "doc"),
            Some(Agreement::Differs { first: hash(1), round: 1, other: hash(2) })
        );
        assert_eq!(agreement(&rounds, "dev"), None);
        assert_eq!(agreement(&[], "out"), None);
    }

    #[test]
    fn what_random_numbers_depend_on_is_no_cause_beside_the_seed() {
        let all = [Setting::Clock, Setting::Seed, Setting::Rate, Setting::Memory, Setting::Cores];
        let probes = all.map(|which| (which, round(2, 1)));
        assert_eq!(flipped(hash(1), &probes, "out"), [Setting::Seed, Setting::Cores]);
    }

    #[test]
    fn only_the_settings_that_flip_are_named() {
        let probes =
            [(Setting::Rate, round(1, 3)), (Setting::Clock, round(2, 1)), (Setting::Seed, round(1, 1))];
        assert_eq!(flipped(hash(1), &probes, "out"), [Setting::Clock]);
        assert_eq!(flipped(hash(1), &probes, "doc"), [Setting::Rate]);
    }
}
