//! What the short view folds: places that only follow from others, and members of an archive that all differ alike.

use crate::{
    diagnose::Evidence,
    diff::{Difference, Finding, Pair, Place, Step, Value},
};

/// Names of members that differ alike that are shown; the others are counted.
const NAMES: usize = 3;

/// Places that are shown as one.
pub(super) struct Fold<'p, 'a> {
    /// The first of them.
    pub first: &'p Place<'a>,
    /// Names of more that differ in the same way.
    pub others: Vec<&'a Step>,
    /// How many more there are.
    pub more: u64,
}

/// The places worth a look, folded, and how many were left out because they only follow from others. Where all do,
/// none is left out.
pub(super) fn places<'p, 'a>(places: &'p [Place<'a>]) -> (Vec<Fold<'p, 'a>>, u64) {
    let mut own: Vec<&Place<'_>> = places.iter().filter(|place| !follows(place)).collect();
    if own.iter().all(|place| place.difference.found.is_empty() && place.difference.notes.is_empty()) {
        own = places.iter().collect();
    }
    let left_out = places.iter().filter(|place| follows(place) && !place.difference.found.is_empty()).count();
    let left_out = if own.len() == places.len() { 0 } else { left_out as u64 };
    let mut folds: Vec<Fold<'_, '_>> = Vec::new();
    for place in own {
        match folds.last_mut().filter(|fold| alike(fold.first, place)) {
            Some(fold) if fold.others.len() + 1 < NAMES => fold.others.push(&place.difference.at),
            Some(fold) => fold.more += 1,
            None => folds.push(Fold { first: place, others: Vec::new(), more: 0 }),
        }
    }
    (folds, left_out)
}

/// Whether all that was found at a place, and below it, follows from what was found elsewhere.
fn follows(place: &Place<'_>) -> bool {
    place.steps.iter().any(|step| matches!(step, Step::Index)) || is_consequence(place.difference)
}

/// Only what archives say of their members: in executables, where things lie says how they were made.
fn is_consequence(difference: &Difference) -> bool {
    // As deep as containers are looked into: bounded.
    matches!(difference.at, Step::Member(_) | Step::Table("archive" | "gzip header"))
        && difference.notes.is_empty()
        && difference.found.iter().all(|finding| matches!(finding, Finding::Field { derived: true, .. }))
        && difference.inside.iter().all(|inside| matches!(inside.at, Step::Index) || is_consequence(inside))
}

/// Whether two members of one archive differ in the same fields by the same values, and in nothing else.
fn alike(a: &Place<'_>, b: &Place<'_>) -> bool {
    let siblings =
        a.steps.len() == b.steps.len() && a.steps[..a.steps.len() - 1] == b.steps[..b.steps.len() - 1];
    let is_member = |place: &Place<'_>| matches!(place.difference.at, Step::Member(_));
    let plain = |place: &Place<'_>| {
        place.difference.notes.is_empty()
            && place.difference.inside.is_empty()
            && place.difference.found.iter().all(|finding| matches!(finding, Finding::Field { .. }))
    };
    let (pair, said) = (Pair::new(a, b), Pair::new(said(a), said(b)));
    siblings && is_member(pair.a) && is_member(pair.b) && plain(a) && plain(b) && said.a == said.b
}

/// The fields of a place that do not follow from others, and their values.
fn said<'a>(place: &Place<'a>) -> Vec<(&'static str, &'a Pair<Value>)> {
    let fields = place.difference.found.iter().filter_map(|finding| match finding {
        Finding::Field { name, values, derived: false, .. } => Some((*name, values)),
        _ => None,
    });
    fields.collect()
}

/// Evidence that says the same of several members, as one: the first, and how many more.
pub(super) fn evidence(list: &[Evidence]) -> Vec<(&Evidence, u64)> {
    let mut folded: Vec<(&Evidence, u64)> = Vec::new();
    for evidence in list {
        let like = |(first, _): &&mut (&Evidence, u64)| {
            let text = |evidence: &Evidence| {
                let text =
                    |quote: &Option<crate::diagnose::Quote>| quote.as_ref().map(|quote| quote.text.clone());
                (text(&evidence.a), text(&evidence.b))
            };
            let around =
                |evidence: &Evidence| evidence.inside.split_last().map(|(_, around)| around.to_vec());
            !evidence.inside.is_empty()
                && (&first.path, &first.part) == (&evidence.path, &evidence.part)
                && around(first) == around(evidence)
                && text(first) == text(evidence)
        };
        match folded.iter_mut().find(like) {
            Some((_, more)) => *more += 1,
            None => folded.push((evidence, 0)),
        }
    }
    folded
}
