//! A verification as a report.

use std::collections::BTreeMap;

use super::terminal::varied;
use crate::{
    graph::{Action, Graph, Kind, Plan},
    report::{
        brought,
        count::quantity,
        subject::{Picture, Problem, Report, Seen, Spot, Standing, Subject},
    },
    verify::{
        OutputResult, UnknownInput, Verdict,
        session::{TargetResult, Verification},
    },
};

/// The report on a verification of derivations of `graph`, of which `plan` says what was done about them.
pub fn subjects<'a>(verification: &'a Verification, graph: &Graph, plan: &Plan) -> Report<'a> {
    let mut subjects = Vec::new();
    let mut problems = Vec::new();
    for target in &verification.targets {
        subjects.extend(of_target(target));
        for output in &target.outputs {
            problems.extend(
                output
                    .notes
                    .iter()
                    .map(|note| Problem { code: note.code.to_string(), text: note.text.clone() }),
            );
        }
    }
    problems.extend(
        verification
            .failed_inputs
            .iter()
            .map(|error| Problem { code: error.code().to_string(), text: error.to_string() }),
    );
    problems.extend(verification.unknown_inputs.iter().map(unknown_input));
    Report { verb: "verify", subjects, problems, graph: Some(picture(verification, graph, plan)) }
}

/// That our store cannot say where an input came from.
pub(in crate::report) fn unknown_input(input: &UnknownInput) -> Problem {
    Problem { code: input.error.code().to_string(), text: format!("{}: {}", input.path, input.error) }
}

/// What a verdict means.
pub(in crate::report) fn standing(verdict: Verdict) -> Standing {
    match verdict {
        Verdict::Reproduced => Standing::Good,
        Verdict::Equivalent => Standing::Accepted,
        Verdict::Diverged => Standing::Bad,
        Verdict::NotBuilt | Verdict::NotChecked => Standing::Unknown,
    }
}

/// The subjects of one target: one at least.
fn of_target(target: &TargetResult) -> Vec<Subject<'_>> {
    match &target.outputs[..] {
        [] => vec![nothing(target)],
        outputs => outputs.iter().map(|output| subject(target, output)).collect(),
    }
}

/// A target of which no output came to a verdict: left out, a report on it alone would look as if all were well.
fn nothing<'a>(target: &TargetResult) -> Subject<'a> {
    Subject {
        name: target.target.installable.clone(),
        standing: standing(Verdict::NotChecked),
        word: Verdict::NotChecked.to_string(),
        level: None,
        reason: Some("nothing of it was compared".to_owned()),
        facts: vec![("derivation".to_owned(), target.drv.to_string())],
        seen: Vec::new(),
        judgement: None,
    }
}

fn subject<'a>(target: &'a TargetResult, output: &'a OutputResult) -> Subject<'a> {
    let conclusion = &output.conclusion;
    let mut facts = vec![("derivation".to_owned(), target.drv.to_string())];
    let mut fact = |name: &str, value: String| facts.push((name.to_owned(), value));
    if let Some(path) = &output.path {
        fact("path", path.to_string());
    }
    if let Some(hash) = &output.finding.nar_hash {
        fact("NAR hash", hash.to_string());
    }
    for round in target.rounds.iter().flat_map(|all| all.rounds.iter().chain(&all.probes)) {
        let Some(built) = round.built() else {
            fact(&round.label, "not built".to_owned());
            continue;
        };
        let hash = built
            .outputs
            .get(&output.output)
            .map_or_else(|| "no such output".to_owned(), ToString::to_string);
        let run = built.instructions.map_or_else(String::new, |n| format!(", {} instructions", quantity(n)));
        fact(&round.label, format!("{hash}{run}{}", varied(&round.settings, round)));
    }
    for compared in &output.compared {
        let hash =
            compared.nar_hash.map_or_else(|| "nothing to compare with".to_owned(), |hash| hash.to_string());
        fact(&compared.reference.to_string(), hash);
    }
    for one in &output.brought {
        fact("store path", brought::sentence(one));
    }
    let seen = |divergence: &'a crate::verify::divergence::Divergence| Seen {
        a: "round 1".to_owned(),
        b: divergence.against.clone(),
        comparison: &divergence.comparison,
        causes: &divergence.causes,
    };
    Subject {
        name: target.target.name(&output.output),
        standing: standing(conclusion.verdict),
        word: conclusion.verdict.to_string(),
        level: Some(conclusion.level.to_string()),
        reason: conclusion.reason.clone(),
        facts,
        seen: output.divergences.iter().map(seen).collect(),
        judgement: output.judgement.as_ref(),
    }
}

/// What the targets need, as far as something was done about it, and what is known of it.
fn picture(verification: &Verification, graph: &Graph, plan: &Plan) -> Picture {
    let targets: Vec<usize> = verification.targets.iter().map(|target| target.target.index).collect();
    let mut shown: Vec<usize> = graph.closure(&targets);
    let idle = |index: usize| {
        matches!(plan.steps.get(index).map(|step| &step.action), Some(Action::NotNeeded) | None)
    };
    shown.retain(|index| targets.contains(index) || !idle(*index));
    shown.sort_unstable();
    let places: BTreeMap<usize, usize> = shown.iter().enumerate().map(|(at, index)| (*index, at)).collect();
    // The worst of a target's outputs.
    let verdict = |index: usize| {
        let outputs = verification.targets.iter().filter(|target| target.target.index == index);
        let verdicts = outputs.flat_map(|target| &target.outputs).map(|output| output.conclusion.verdict);
        verdicts.max_by_key(|verdict| match standing(*verdict) {
            Standing::Good => 0,
            Standing::Accepted => 1,
            Standing::Unknown => 2,
            Standing::Bad => 3,
        })
    };
    let nodes = shown.iter().filter_map(|index| {
        let node = graph.nodes().get(*index)?;
        let verdict = verdict(*index);
        let word = match (verdict, plan.steps.get(*index)) {
            (Some(verdict), _) => verdict.to_string(),
            (None, Some(step)) if step.kind == Kind::Fixed => "source, by its hash".to_owned(),
            (None, Some(step)) => match step.action {
                Action::Build => "built".to_owned(),
                Action::Take => "taken on trust".to_owned(),
                Action::Refuse(_) => "cannot be built".to_owned(),
                Action::Present | Action::Provide | Action::NotNeeded => "there".to_owned(),
            },
            (None, None) => String::new(),
        };
        Some(Spot {
            name: node.name().to_owned(),
            depth: node.depth,
            needs: node.inputs.iter().filter_map(|input| places.get(input).copied()).collect(),
            standing: verdict.map(standing),
            word,
        })
    });
    Picture { nodes: nodes.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{report::junit, verify::session::tests::verification};

    #[test]
    fn a_target_without_a_verdict_is_not_left_out() {
        let mut verification = verification();
        verification.targets[0].outputs.clear();
        let subjects = of_target(&verification.targets[0]);
        assert_eq!(subjects.len(), 1);
        assert_eq!(subjects[0].standing, Standing::Unknown);
        let report = Report { verb: "verify", subjects, problems: Vec::new(), graph: None };
        assert!(junit::document(&report).contains("errors=\"1\""));
    }
}
