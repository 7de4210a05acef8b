//! A comparison of two things as a report.

use crate::{
    diagnose::{Cause, Judgement},
    diff::{Comparison, Pair},
    report::subject::{Report, Seen, Standing, Subject},
};

/// The report on the comparison of `names`.
pub fn subjects<'a>(
    names: Pair<&str>,
    comparison: &'a Comparison,
    causes: &'a [Cause],
    judgement: Option<&'a Judgement>,
) -> Report<'a> {
    let (standing, word) = match (comparison.identical(), judgement.map(Judgement::all_accepted)) {
        (true, _) => (Standing::Good, "identical"),
        (false, Some(true)) => (Standing::Accepted, "equivalent"),
        (false, _) => (Standing::Bad, "different"),
    };
    let seen = Seen { a: names.a.to_owned(), b: names.b.to_owned(), comparison, causes };
    let subject = Subject {
        name: format!("{} and {}", names.a, names.b),
        standing,
        word: word.to_owned(),
        level: None,
        reason: None,
        facts: vec![("entries compared".to_owned(), comparison.entries.to_string())],
        judgement,
        seen: if comparison.identical() { Vec::new() } else { vec![seen] },
    };
    Report { verb: "diff", subjects: vec![subject], problems: Vec::new(), graph: None }
}
