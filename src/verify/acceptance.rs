//! Bits that differ only in what the project accepts: equivalent, never reproduced.

use super::{
    Level, NOT_COMPARED, Verdict,
    conclusion::{Comparison, Conclusion},
    derivation::{Finding, Round},
    divergence::{Divergence, explain},
    output::{Compared, Note, OutputCheck, OutputResult, proofs},
};
use crate::{
    diagnose::{Accepted, Judgement, Proof},
    nix::hash::NarHash,
    schedule::RealiseError,
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
    let package = result.path.as_ref().map(|path| path.name().as_bytes().to_vec()).unwrap_or_default();
    let Seen { different, complete } = seen(check, result, ours);
    let mut judgement = Judgement::default();
    let mut all = complete && different.len() <= DIFFERENT_MAX;
    for (against, other, proofs) in different.into_iter().take(DIFFERENT_MAX) {
        let known = result.divergences.iter().find(|known| known.other == other && known.against == against);
        let judged = match known {
            Some(known) => Ok(judge(accepted, &package, known)),
            None => explain(check.store, against.clone(), ours, other, &proofs)
                .map(|divergence| judge(accepted, &package, &divergence)),
        };
        match judged {
            Ok(judged) => judgement.join(judged),
            Err(error) => {
                all = false;
                let text = format!("whether the bits of {against} are acceptable is not known: {error}");
                result.notes.push(Note { code: NOT_COMPARED, text });
            }
        }
    }
    if all && judgement.all_accepted() && !judgement.met.is_empty() {
        let reason = Some("the bits differ, and only in what is accepted".to_owned());
        result.conclusion = Conclusion { verdict: Verdict::Equivalent, level: Level::Built, reason };
    }
    result.judgement = Some(judgement);
}

fn judge(accepted: &Accepted, package: &[u8], divergence: &Divergence) -> Judgement {
    accepted.judge(package, &divergence.comparison, &divergence.causes)
}

/// What was seen of an output.
struct Seen {
    /// The different bits, each once: whose, and what is proven of them.
    different: Vec<(String, NarHash, Vec<Proof>)>,
    /// Whether every round and comparison that was asked for gave bits.
    complete: bool,
}

fn seen(check: &OutputCheck<'_>, result: &OutputResult, ours: NarHash) -> Seen {
    let mut seen = Seen { different: Vec::new(), complete: true };
    for round in check.rounds.iter().flat_map(|all| all.rounds.iter().chain(&all.probes)) {
        match round.built().and_then(|built| built.outputs.get(&result.output)) {
            Some(hash) => {
                seen.add(round.label.clone(), *hash, ours, || of_round(round, &result.finding, check))
            }
            None => seen.complete = false,
        }
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
