//! A diagnosis as a report.

use super::{closure, headline, origins};
use crate::{
    report::{
        brought,
        subject::{Problem, Report, Seen, Standing, Subject},
        verify::{standing, unknown_input, varied},
    },
    verify::diagnosis::{Diagnosis, OutputDiagnosis, TargetDiagnosis},
};

/// The report on a diagnosis.
pub fn subjects(diagnosis: &Diagnosis) -> Report<'_> {
    let mut subjects = Vec::new();
    let mut problems: Vec<Problem> = diagnosis
        .failed_inputs
        .iter()
        .map(|error| Problem { code: error.code().to_string(), text: error.to_string() })
        .collect();
    problems.extend(diagnosis.unknown_inputs().map(unknown_input));
    for target in &diagnosis.targets {
        subjects.extend(target.outputs.iter().map(|output| subject(target, output)));
        let notes = target.outputs.iter().flat_map(|output| &output.notes);
        problems.extend(notes.map(|note| Problem { code: note.code.to_string(), text: note.text.clone() }));
    }
    if let Some(walk) = &diagnosis.walk {
        subjects.extend(closure::subjects(walk));
    }
    Report { verb: "diagnose", subjects, problems, graph: None }
}

fn subject<'a>(target: &'a TargetDiagnosis, output: &'a OutputDiagnosis) -> Subject<'a> {
    let mut facts = vec![("derivation".to_owned(), target.drv.to_string())];
    facts.extend(output.path.iter().map(|path| ("path".to_owned(), path.to_string())));
    for round in target.isolation.iter().flat_map(|isolation| &isolation.rounds) {
        let bits = match round.built() {
            None => "not built".to_owned(),
            Some(built) => {
                built.outputs.get(&output.output).map_or("no such output".to_owned(), ToString::to_string)
            }
        };
        facts.push((round.label.clone(), format!("{bits}{}", varied(&round.settings, round))));
    }
    for (against, origin) in &output.origins {
        facts.push((format!("{against}: first process"), origins::sentence(origin)));
    }
    facts.extend(output.brought.iter().map(|one| ("store path".to_owned(), brought::sentence(one))));
    let standing: Standing = standing(output.conclusion.verdict);
    Subject {
        name: target.target.name(&output.output),
        standing,
        word: headline(output),
        level: None,
        judgement: output.judgement.as_ref(),
        reason: output.conclusion.reason.clone(),
        facts,
        seen: output
            .divergences
            .iter()
            .map(|divergence| Seen {
                a: "round 1".to_owned(),
                b: divergence.against.clone(),
                comparison: &divergence.comparison,
                causes: &divergence.causes,
            })
            .collect(),
    }
}
