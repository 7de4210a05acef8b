//! From what the rounds showed and what the references hold to one verdict.

use super::{Level, Verdict, derivation::Finding};

/// What comparing an output with one reference gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// Equal bits.
    Equal {
        /// How much that shows beside the rounds.
        shows: Level,
    },
    /// Other bits.
    Different,
    /// Equal bits, by a run that was to be the same and was another one.
    Unlike {
        /// In what it is another one.
        why: String,
    },
    /// The comparison was asked for and could not be made.
    Missing {
        /// What stood in the way.
        why: String,
    },
}

impl Comparison {
    /// What it says by itself.
    pub fn verdict(&self) -> Verdict {
        match self {
            Comparison::Equal { .. } => Verdict::Reproduced,
            Comparison::Different => Verdict::Diverged,
            Comparison::Missing { .. } | Comparison::Unlike { .. } => Verdict::NotChecked,
        }
    }
}

/// The verdict on one output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conclusion {
    /// What was found.
    pub verdict: Verdict,
    /// How much it shows.
    pub level: Level,
    /// Why it is neither reproduced nor diverged.
    pub reason: Option<String>,
}

/// Joins the rounds' finding with every comparison that was asked for.
///
/// Never rounded up: one difference is `diverged`; a comparison that was asked for and could not be made is
/// `not-checked`, however well the rounds agree; so is a replay that is another run: then the machine is not what all this
/// stands on.
pub fn conclude(finding: &Finding, comparisons: &[Comparison]) -> Conclusion {
    let found = |verdict, level, reason| Conclusion { verdict, level, reason };
    if finding.verdict == Verdict::NotBuilt || finding.nar_hash.is_none() {
        // Without bits it is one of these two, whatever was said.
        let not_tried = finding.verdict == Verdict::NotChecked;
        let verdict = if not_tried { Verdict::NotChecked } else { Verdict::NotBuilt };
        return found(verdict, Level::Built, finding.reason.clone());
    }
    if finding.verdict == Verdict::Diverged || comparisons.contains(&Comparison::Different) {
        return found(Verdict::Diverged, Level::Built, None);
    }
    let level = comparisons.iter().map(level_of).fold(finding.level, Level::max);
    let missing = comparisons.iter().find_map(|comparison| match comparison {
        Comparison::Missing { why } | Comparison::Unlike { why } => Some(why.clone()),
        _ => None,
    });
    if let Some(why) = missing {
        return found(Verdict::NotChecked, finding.level, Some(why));
    }
    // Equal bits that show nothing of the build itself are no second witness for a single one.
    let witnessed = comparisons.iter().any(|comparison| level_of(comparison) > Level::Built);
    match finding.verdict {
        Verdict::Reproduced => found(Verdict::Reproduced, level, None),
        Verdict::NotChecked if finding.single && witnessed => found(Verdict::Reproduced, level, None),
        other => found(other, finding.level, finding.reason.clone()),
    }
}

fn level_of(comparison: &Comparison) -> Level {
    match comparison {
        Comparison::Equal { shows } => *shows,
        Comparison::Different | Comparison::Unlike { .. } | Comparison::Missing { .. } => Level::Built,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nix::hash::NarHash;

    const INDEPENDENT: Comparison = Comparison::Equal { shows: Level::CrossEngine };

    fn finding(verdict: Verdict, level: Level) -> Finding {
        let nar_hash = (verdict != Verdict::NotBuilt).then_some(NarHash([1; 32]));
        Finding {
            verdict,
            level,
            reason: Some("why".to_owned()),
            nar_hash,
            other: None,
            flipped: Vec::new(),
            single: verdict == Verdict::NotChecked,
            unsteady: false,
        }
    }

    fn missing() -> Comparison {
        Comparison::Missing { why: "no nix".to_owned() }
    }

    #[test]
    fn equal_bits_that_show_no_second_build_are_no_second_witness() {
        let (nothing, across) =
            (Comparison::Equal { shows: Level::Built }, Comparison::Equal { shows: Level::Repeated });
        let single = finding(Verdict::NotChecked, Level::Built);
        assert_eq!(conclude(&single, std::slice::from_ref(&nothing)).verdict, Verdict::NotChecked);
        let conclusion = conclude(&single, &[nothing, across.clone()]);
        assert_eq!((conclusion.verdict, conclusion.level), (Verdict::Reproduced, Level::Repeated));
        let rounds = finding(Verdict::Reproduced, Level::Varied);
        assert_eq!(conclude(&rounds, &[across]).level, Level::Varied);
    }

    #[test]
    fn rounds_and_an_independent_build_are_level_4() {
        let rounds = finding(Verdict::Reproduced, Level::Varied);
        let conclusion = conclude(&rounds, &[INDEPENDENT]);
        assert_eq!((conclusion.verdict, conclusion.level), (Verdict::Reproduced, Level::CrossEngine));
        assert_eq!(conclude(&rounds, &[]).level, Level::Varied);
    }

    #[test]
    fn one_different_reference_outweighs_everything_equal() {
        let rounds = finding(Verdict::Reproduced, Level::Varied);
        assert_eq!(conclude(&rounds, &[INDEPENDENT, Comparison::Different]).verdict, Verdict::Diverged);
        assert_eq!(conclude(&rounds, &[missing(), Comparison::Different]).verdict, Verdict::Diverged);
    }

    #[test]
    fn a_comparison_that_could_not_be_made_is_never_rounded_up() {
        for rounds in
            [finding(Verdict::Reproduced, Level::Varied), finding(Verdict::NotChecked, Level::Built)]
        {
            let conclusion = conclude(&rounds, &[INDEPENDENT, missing()]);
            assert_eq!(
                (conclusion.verdict, conclusion.reason.as_deref()),
                (Verdict::NotChecked, Some("no nix"))
            );
        }
    }

    #[test]
    fn a_replay_that_is_the_same_run_is_level_3_and_one_that_is_not_is_never_rounded_up() {
        let rounds = finding(Verdict::Reproduced, Level::Varied);
        let replayed = Comparison::Equal { shows: Level::Replayed };
        assert_eq!(conclude(&rounds, std::slice::from_ref(&replayed)).level, Level::Replayed);
        assert_eq!(conclude(&rounds, &[replayed, INDEPENDENT]).level, Level::CrossEngine);
        let unlike = Comparison::Unlike { why: "other runs".to_owned() };
        let conclusion = conclude(&rounds, &[INDEPENDENT, unlike.clone()]);
        assert_eq!(
            (conclusion.verdict, conclusion.reason.as_deref()),
            (Verdict::NotChecked, Some("other runs"))
        );
        assert_eq!(conclude(&rounds, &[unlike, Comparison::Different]).verdict, Verdict::Diverged);
    }

    #[test]
    fn one_build_needs_a_reference_to_be_reproduced() {
        let one = finding(Verdict::NotChecked, Level::Built);
        assert_eq!(conclude(&one, &[]).verdict, Verdict::NotChecked);
        let conclusion = conclude(&one, &[Comparison::Equal { shows: Level::Repeated }]);
        assert_eq!((conclusion.verdict, conclusion.level), (Verdict::Reproduced, Level::Repeated));
    }

    #[test]
    fn an_equal_reference_does_not_mend_rounds_that_say_nothing() {
        let broken = Finding { single: false, ..finding(Verdict::NotChecked, Level::Built) };
        assert_eq!(conclude(&broken, &[INDEPENDENT]).verdict, Verdict::NotChecked);
        let equivalent = finding(Verdict::Equivalent, Level::Varied);
        assert_eq!(conclude(&equivalent, &[INDEPENDENT]).verdict, Verdict::Equivalent);
    }

    #[test]
    fn without_bits_nothing_is_said_about_bits() {
        let conclusion = conclude(&finding(Verdict::NotBuilt, Level::Built), &[INDEPENDENT]);
        assert_eq!((conclusion.verdict, conclusion.level), (Verdict::NotBuilt, Level::Built));
        for (said, concluded) in [
            (Verdict::NotChecked, Verdict::NotChecked),
            (Verdict::Reproduced, Verdict::NotBuilt),
            (Verdict::Diverged, Verdict::NotBuilt),
        ] {
            let no_hash = Finding { nar_hash: None, ..finding(said, Level::Built) };
            assert_eq!(conclude(&no_hash, &[INDEPENDENT]).verdict, concluded);
        }
    }
}
