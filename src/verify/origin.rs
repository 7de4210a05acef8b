//! Where in a build its bits begin to differ: builds that differ are run once more and looked at while they run.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    derivation::Round, diagnosis::OutputDiagnosis, divergence::Divergence, isolate::Isolation,
    rounds::Outputs,
};
use crate::{
    diagnose::trace::{First, Process, Trace, first_difference},
    diff::Pair,
    graph::Graph,
    machine::Settings,
    schedule::{self, OnFailure, Outcome, RealiseError, Realiser},
};

/// Files of an output whose last writer is looked for.
const FILES: usize = 64;

/// What was seen of the two builds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The first file that differs; none when every file that was closed after writing has a fellow with equal contents.
    pub first: Option<First>,
    /// How many files came before it whose contents are not known on one side.
    pub not_compared: usize,
    /// How many files were written in each build.
    pub files: Pair<usize>,
    /// For files of the output that differ: who wrote them last, as far as they were not brought there under another name.
    pub writers: Vec<Writer>,
}

/// Who wrote a file of an output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Writer {
    /// Its path in the output; empty when the output is the file.
    pub path: Vec<u8>,
    /// The process in the first build; absent when it is not known.
    pub process: Option<Process>,
}

/// The builds that were looked at, by what they are called: round 1 is in it too.
pub(super) struct Observed {
    traces: BTreeMap<String, Result<(Trace, Outputs), String>>,
}

impl Observed {
    /// Runs round 1 and every build that shows something of `outputs` once more, at most `jobs` at once.
    pub(super) fn of(
        isolation: &Isolation<RealiseError>,
        outputs: &[String],
        (graph, index): (&Graph, usize),
        realiser: &Realiser<'_>,
        jobs: usize,
    ) -> Observed {
        let mut labels = BTreeSet::new();
        let witnesses = outputs.iter().flat_map(|output| isolation.witnesses(output));
        let mut wanted: Vec<(&str, &Settings)> = witnesses
            .filter(|round| labels.insert(&round.label))
            .map(|round| (round.label.as_str(), &round.settings))
            .collect();
        if !wanted.is_empty() {
            wanted.extend(isolation.rounds.first().map(|first| (first.label.as_str(), &first.settings)));
        }
        let independent = vec![Vec::new(); wanted.len()];
        let outcomes = schedule::run(&independent, jobs, OnFailure::KeepGoing, |n| {
            let (label, settings) = wanted[n];
            observe(realiser, graph, index, settings, &format!("{label}, observed"))
        });
        let traces = wanted.iter().zip(outcomes).map(|((label, _), outcome)| {
            let seen = match outcome {
                Outcome::Done(seen) => Ok(seen),
                Outcome::Failed(why) => Err(why),
                Outcome::Skipped(_) | Outcome::Stopped => Err("it was not run".to_owned()),
            };
            ((*label).to_owned(), seen)
        });
        Observed { traces: traces.collect() }
    }

    /// Where the bits of `divergence` begin to differ.
    pub(super) fn origin(
        &self,
        isolation: &Isolation<RealiseError>,
        output: &OutputDiagnosis,
        divergence: &Divergence,
    ) -> Result<Origin, String> {
        let find = |label: &str| isolation.rounds.iter().find(|round| round.label == label);
        let rounds = isolation.rounds.first().zip(find(&divergence.against));
        let (first, other) = rounds.ok_or("there is no such build")?;
        let (a, b) = (self.trace(first, &output.output)?, self.trace(other, &output.output)?);
        let (found, not_compared) = first_difference(a, b);
        let base = output.path.as_ref().map(ToString::to_string).unwrap_or_default();
        let mut paths: Vec<&[u8]> =
            divergence.comparison.places().iter().map(|place| place.path()).collect::<Vec<_>>();
        paths.dedup();
        let writer = |path: &&[u8]| {
            let inside = if path.is_empty() { Vec::new() } else { [b"/", *path].concat() };
            let written = a.last_written(&[base.as_bytes(), &inside].concat())?;
            Some(Writer { path: path.to_vec(), process: a.process_of(written).cloned() })
        };
        Ok(Origin {
            first: found,
            not_compared,
            files: Pair::new(a.written.len(), b.written.len()),
            writers: paths.iter().take(FILES).filter_map(writer).collect(),
        })
    }

    /// What was seen of a build, when it made the bits that it made when nobody looked.
    fn trace(&self, round: &Round<RealiseError>, output: &str) -> Result<&Trace, String> {
        let seen = self.traces.get(&round.label).ok_or("it was not looked at")?;
        let (trace, outputs) = seen.as_ref().map_err(|why| format!("{}: {why}", round.label))?;
        let before = round.built().and_then(|built| built.outputs.get(output));
        match outputs.get(output) == before {
            true => Ok(trace),
            false => Err(format!("{}, looked at while it runs, gave other bits", round.label)),
        }
    }
}

fn observe(
    realiser: &Realiser<'_>,
    graph: &Graph,
    index: usize,
    settings: &Settings,
    label: &str,
) -> Result<(Trace, Outputs), String> {
    let (finished, observation) =
        realiser.observe(graph, index, settings, label).map_err(|error| error.to_string())?;
    let observation = observation.map_err(|error| error.to_string())?;
    let trace =
        Trace::parse(&observation.processes, &observation.files).map_err(|error| error.to_string())?;
    let outputs = finished.outputs.into_iter().map(|(name, output)| (name, output.nar_hash)).collect();
    Ok((trace, outputs))
}
