//! What a signed verdict says was done, held against what the policy asks: how often it was built, and in which machines.

use std::collections::BTreeSet;

use crate::{
    attest::verdict::VerdictPredicate,
    machine::{Arch, Engine},
    mirror::policy::Policy,
    nix::{hash::NarHash, store_path::StorePath},
    verify::{Level, Reference, Verdict},
};

/// The machines that a verdict names. Which ones it has to name is known with the system of its derivation.
#[derive(Debug)]
pub(super) struct Machines {
    /// The statements it stands in.
    pub(super) object: String,
    /// What was built.
    pub(super) derivation: StorePath,
    /// Those that did the rounds.
    rounds: BTreeSet<String>,
    /// What else gave these bits, as a verdict names it.
    besides: BTreeSet<String>,
}

/// Says what a verdict lacks of the builds that the policy asks for: as many rounds, each a run of its own, that gave these bits.
pub(super) fn too_few_builds(policy: &Policy, verdict: &VerdictPredicate, bits: &NarHash) -> Option<String> {
    let bits = bits.to_string();
    for (round, run) in verdict.rounds.iter().enumerate() {
        let gave = match &run.nar_hash {
            Some(hash) if *hash == bits => continue,
            Some(_) => "other bits",
            None => "no bits",
        };
        return Some(format!("round {} of its verdict gave {gave}", round + 1));
    }
    let rounds = verdict.rounds.len();
    let runs: BTreeSet<&str> = verdict.rounds.iter().map(|run| run.run.as_str()).collect();
    if runs.len() < rounds {
        return Some(format!("the {rounds} rounds of its verdict are {} runs only", runs.len()));
    }
    let asked = policy.rounds;
    let enough = usize::try_from(asked).is_ok_and(|asked| rounds >= asked);
    (!enough).then(|| format!("the policy asks for {asked} rounds, and its verdict names {rounds}"))
}

impl Machines {
    /// Those of a verdict about these bits, which stands in `object`.
    pub(super) fn of(
        verdict: &VerdictPredicate,
        bits: &NarHash,
        derivation: StorePath,
        object: String,
    ) -> Self {
        // After an engine's name stands its version.
        let name = |engine: &str| engine.split(' ').next().unwrap_or_default().to_owned();
        let (same, bits) = (Verdict::Reproduced.to_string(), bits.to_string());
        let agrees = verdict
            .references
            .iter()
            .filter(|one| (&one.verdict, &one.nar_hash) == (&same, &Some(bits.clone())));
        Machines {
            object,
            derivation,
            rounds: verdict.rounds.iter().map(|run| name(&run.engine)).collect(),
            besides: agrees.map(|one| one.reference.clone()).collect(),
        }
    }

    /// Says what is not as the policy asks for a system.
    pub(super) fn fault(&self, policy: &Policy, system: &[u8]) -> Option<String> {
        let arch = Arch::of_system(system);
        let runs = |engine: &Engine| arch.is_some_and(|arch| engine.runs(arch));
        let mut asked = policy.engines(system).into_iter().filter(runs);
        let system = String::from_utf8_lossy(system);
        let Some(first) = asked.next() else {
            return Some(format!("it was built for {system}, for which the policy admits nothing"));
        };
        if let Some(other) = self.rounds.iter().find(|name| *name != first.name()) {
            let first = first.name();
            return Some(format!(
                "the policy asks for rounds in the machine {first} for {system}, and its verdict names {other}"
            ));
        }
        let besides = asked.map(Reference::Machine);
        let replay = (policy.level == Level::Replayed as u8).then_some(Reference::Replay);
        let mut besides = besides.chain(replay).map(|one| one.to_string());
        let lacking = besides.find(|one| !self.besides.contains(one))?;
        Some(format!(
            "the policy asks for `{lacking}` besides the rounds for {system}, and its verdict does not say that it gave these bits"
        ))
    }
}
