//! Whether what a verification showed is enough for a mirror: pure.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{policy::Policy, statement::Admission, testimony::causes};
use crate::{
    nix::{hash::NarHash, store_path::StorePath},
    verify::{Verdict, session::TargetResult},
};

/// The type that signatures of a refusal name.
pub const REFUSAL_KIND: &str = "application/vnd.reprove.refusal+json";

/// The schema of [`Refusal`].
pub const REFUSAL_SCHEMA: &str = "reprove.refusal/1";

/// What is to be done with a derivation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Every output of it is admitted.
    Admit,
    /// Its bits differ from build to build: none of it is, and that is said for good.
    Refuse(Refusal),
    /// It is not known whether they do: none of it is, for now.
    NotNow(String),
}

/// "I could not reproduce this": a signed statement that stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// [`REFUSAL_SCHEMA`].
    pub schema: String,
    /// The derivation.
    pub derivation: StorePath,
    /// Its outputs that diverged.
    pub outputs: Vec<RefusedOutput>,
}

/// An output that diverged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RefusedOutput {
    /// Its name.
    pub output: String,
    /// Its path.
    pub path: Option<StorePath>,
    /// The different bits that were seen, those of the first build first.
    pub nar_hashes: Vec<NarHash>,
    /// Ids of the causes, the surest first.
    pub causes: Vec<String>,
}

/// Decides about a derivation of which every output was verified.
pub fn decide(policy: &Policy, target: &TargetResult) -> Decision {
    let diverged = target.outputs.iter().filter(|result| result.conclusion.verdict == Verdict::Diverged);
    let diverged = diverged.map(|result| {
        let first = result.finding.nar_hash;
        let others = result.finding.other.map(|(_, hash)| hash).into_iter();
        let others = others.chain(result.divergences.iter().map(|divergence| divergence.other));
        let mut nar_hashes: Vec<NarHash> = Vec::new();
        for hash in first.into_iter().chain(others) {
            if !nar_hashes.contains(&hash) {
                nar_hashes.push(hash);
            }
        }
        RefusedOutput {
            output: result.output.clone(),
            path: result.path.clone(),
            nar_hashes,
            causes: causes(result),
        }
    });
    let outputs: Vec<RefusedOutput> = diverged.collect();
    if !outputs.is_empty() {
        return Decision::Refuse(Refusal {
            schema: REFUSAL_SCHEMA.to_owned(),
            derivation: target.drv.clone(),
            outputs,
        });
    }
    for result in &target.outputs {
        let conclusion = &result.conclusion;
        if conclusion.verdict != Verdict::Reproduced {
            let reason = conclusion.reason.clone().unwrap_or_default();
            return Decision::NotNow(format!("{} is {}: {reason}", result.output, conclusion.verdict));
        }
        if (conclusion.level as u8) < policy.level {
            let shown = conclusion.level;
            return Decision::NotNow(format!("{} was shown at {shown} only", result.output));
        }
    }
    if target.outputs.is_empty() { Decision::NotNow("it has no output".to_owned()) } else { Decision::Admit }
}

/// How many signers say the same of a path, at the most: on the same ground, made from the same, resting on the same seeds. Each
/// signer counts once, whatever keys they have; who takes something as it is does not confirm who has built it.
pub fn agreeing(said: &[(&str, &Admission)]) -> usize {
    let with = |one: &Admission| {
        let same = said.iter().filter(|(_, other)| one.same_ground(other)).map(|(signer, _)| *signer);
        same.collect::<BTreeSet<&str>>().len()
    };
    said.iter().map(|(_, one)| with(one)).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mirror::statement::Ground;

    fn seed(why: &str) -> Admission {
        Admission {
            ground: Ground::Seed { why: why.to_owned() },
            inputs: Default::default(),
            sources: Default::default(),
            seeds: Default::default(),
            log: None,
        }
    }

    fn built(output: &str) -> Admission {
        let derivation = StorePath::from_base_name(format!("{}-x.drv", "1".repeat(32)).as_bytes()).unwrap();
        Admission { ground: Ground::Built { derivation, output: output.to_owned() }, ..seed("") }
    }

    #[test]
    fn a_signer_counts_once_whatever_keys_they_have() {
        let said = built("out");
        assert_eq!(agreeing(&[]), 0);
        assert_eq!(agreeing(&[("a", &said), ("a", &said)]), 1);
        assert_eq!(agreeing(&[("a", &said), ("b", &said), ("a", &said)]), 2);
    }

    #[test]
    fn who_takes_it_as_it_is_does_not_confirm_who_has_built_it() {
        let (out, dev, taken) = (built("out"), built("dev"), seed("I like it"));
        assert_eq!(agreeing(&[("a", &out), ("b", &taken)]), 1);
        assert_eq!(agreeing(&[("a", &out), ("b", &dev)]), 1);
        assert_eq!(agreeing(&[("a", &out), ("b", &taken), ("c", &out)]), 2);
        // Why somebody takes a seed is their own.
        assert_eq!(agreeing(&[("a", &seed("mine")), ("b", &seed("mine as well"))]), 2);
        let on_another =
            Admission { seeds: [crate::verify::session::tests::path("s")].into(), ..built("out") };
        assert_eq!(agreeing(&[("a", &out), ("b", &on_another)]), 1);
    }
}
