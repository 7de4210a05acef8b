//! Bits that differ only in what the project accepts: equivalent, never reproduced.

use super::{
    Level, NOT_COMPARED, Verdict,
    conclusion::{Comparison, Conclusion},
    derivation::{Finding, Round},
    diagnosis::{OutputDiagnosis, proofs as alone},
    divergence::{Divergence, explain},
    isolate::Isolation,
    output::{Compared, Note, OutputCheck, OutputResult, proofs},
};
use crate::{
    diagnose::{Accepted, Judgement, Proof},
    nix::{hash::NarHash, store_path::StorePath},
    schedule::RealiseError,
    store::Store,
};

/// Most different bits of one output that are looked at.
const DIFFERENT_MAX: usize = 16;

/// Holds every difference that was seen of a diverging output against what is accepted. It becomes equivalent only if every
/// round and comparison that was asked for came to an end, and all of their bits differ from round 1's in nothing else.
pub(super) fn accept(check: &OutputCheck<'_>, accepted: &Accepted, result: &mut OutputResult) {
    let Some(ours) = result.finding.nar_hash.filter(|_| result.conclusion.verdict == Verdict::Diverged)
    else {
        return;
    };
    let seen = seen(check, result, ours);
    let against = Against { store: check.store, accepted, path: result.path.as_ref(), ours };
    let judgement = against.judge(seen, &result.divergences, &mut result.conclusion, &mut result.notes);
    result.judgement = Some(judgement);
}

/// The same of an output that a diagnosis built under other settings.
pub(super) fn accept_diagnosed(
    store: &Store,
    accepted: &Accepted,
    isolation: &Isolation<RealiseError>,
    result: &mut OutputDiagnosis,
) {
    let Some(ours) = result.nar_hash.filter(|_| result.conclusion.verdict == Verdict::Diverged) else {
        return;
    };
    let mut seen = Seen::default();
    for round in &isolation.rounds {
        seen.add_round(round, &result.output, ours, || alone(&isolation.base, round));
    }
    let against = Against { store, accepted, path: result.path.as_ref(), ours };
    let judgement = against.judge(seen, &result.divergences, &mut result.conclusion, &mut result.notes);
    result.judgement = Some(judgement);
}

/// What differences are held against.
struct Against<'a> {
    store: &'a Store,
    accepted: &'a Accepted,
    path: Option<&'a StorePath>,
    /// The bits of round 1.
    ours: NarHash,
}

impl Against<'_> {
    /// What is accepted of what was seen, of which `known` is explained already; the conclusion becomes `equivalent` when all is.
    fn judge(
        &self,
        Seen { different, complete }: Seen,
        known: &[Divergence],
        conclusion: &mut Conclusion,
        notes: &mut Vec<Note>,
    ) -> Judgement {
        let mut judgement = Judgement::default();
        let mut all = complete && different.len() <= DIFFERENT_MAX;
        for (against, other, proofs) in different.into_iter().take(DIFFERENT_MAX) {
            let known = known.iter().find(|known| known.other == other && known.against == against);
            let judged = match known {
                Some(known) => Ok(self.of(known)),
                None => explain(self.store, against.clone(), self.ours, other, &proofs)
                    .map(|divergence| self.of(&divergence)),
            };
            match judged {
                Ok(judged) => judgement.join(judged),
                Err(error) => {
                    all = false;
                    let text = format!("whether the bits of {against} are acceptable is not known: {error}");
                    notes.push(Note { code: NOT_COMPARED, text });
                }
            }
        }
        if all && judgement.all_accepted() && !judgement.met.is_empty() {
            let reason = Some("the bits differ, and only in what is accepted".to_owned());
            *conclusion = Conclusion { verdict: Verdict::Equivalent, level: Level::Built, reason };
        }
        judgement
    }

    fn of(&self, divergence: &Divergence) -> Judgement {
        let package = self.path.map(|path| path.name().as_bytes()).unwrap_or_default();
        self.accepted.judge(package, &divergence.comparison, &divergence.causes)
    }
}

/// What was seen of an output.
struct Seen {
    /// The different bits, each once: whose, and what is proven of them.
    different: Vec<(String, NarHash, Vec<Proof>)>,
    /// Whether every round and comparison that was asked for gave bits.
    complete: bool,
}

impl Default for Seen {
    fn default() -> Self {
        Seen { different: Vec::new(), complete: true }
    }
}

fn seen(check: &OutputCheck<'_>, result: &OutputResult, ours: NarHash) -> Seen {
    let mut seen = Seen::default();
    for round in check.rounds.iter().flat_map(|all| all.rounds.iter().chain(&all.probes)) {
        seen.add_round(round, &result.output, ours, || of_round(round, &result.finding, check));
    }
    for Compared { reference, nar_hash, comparison, .. } in &result.compared {
        match (comparison, nar_hash) {
            (Comparison::Equal { .. }, _) => {}
            (Comparison::Different, Some(hash)) => seen.add(reference.to_string(), *hash, ours, Vec::new),
            _ => seen.complete = false,
        }
    }
    seen
}

impl Seen {
    fn add_round(
        &mut self,
        round: &Round<RealiseError>,
        output: &str,
        ours: NarHash,
        proofs: impl FnOnce() -> Vec<Proof>,
    ) {
        match round.built().and_then(|built| built.outputs.get(output)) {
            Some(hash) => self.add(round.label.clone(), *hash, ours, proofs),
            None => self.complete = false,
        }
    }

    fn add(&mut self, whose: String, hash: NarHash, ours: NarHash, proofs: impl FnOnce() -> Vec<Proof>) {
        if hash != ours && !self.different.iter().any(|(_, known, _)| *known == hash) {
            self.different.push((whose, hash, proofs()));
        }
    }
}

/// What is proven of a round's bits: the settings that flip them and are others in it.
fn of_round(round: &Round<RealiseError>, finding: &Finding, check: &OutputCheck<'_>) -> Vec<Proof> {
    let Some(rounds) = check.rounds else { return Vec::new() };
    let flipped = finding.flipped.iter().copied().filter(|setting| round.varied.contains(setting));
    proofs(&rounds.plan.base, &round.settings, flipped)
}
