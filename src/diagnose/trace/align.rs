//! Two builds of the same, side by side: the first file that is not the same in both.

use std::collections::{BTreeMap, HashSet, VecDeque};

use super::{Process, Trace, Written};
use crate::diff::Pair;

/// The first difference between two builds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct First {
    /// The file in each of them; only in one when the other has none like it.
    pub sides: Pair<Option<Seen>>,
    /// How many files the first build had written by then, this one included where it has it.
    pub position: usize,
}

/// A file and who closed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The file.
    pub written: Written,
    /// Who closed it; absent when that is not known.
    pub process: Option<Process>,
}

/// What two events must agree in to be of the same step of a build. A name that only one build has, such as that of a
/// temporary file, stands for any other.
type Key<'a> = (Vec<Option<&'a [u8]>>, Vec<Option<&'a [u8]>>);

/// The first file, in the order of `a`, whose contents are known to differ or that has no fellow; and how many could not be
/// compared on the way to it, because the contents of one of the two are not known.
pub fn first_difference(a: &Trace, b: &Trace) -> (Option<First>, usize) {
    let (names_a, names_b) = (Names::of(a), Names::of(b));
    let (keys_a, keys_b) = (keys(a, &names_b), keys(b, &names_a));
    let mut waiting: BTreeMap<&Key<'_>, VecDeque<usize>> = BTreeMap::new();
    for (index, key) in keys_b.iter().enumerate() {
        waiting.entry(key).or_default().push_back(index);
    }
    // For each event of a its fellow in b.
    let fellows: Vec<Option<usize>> =
        keys_a.iter().map(|key| waiting.get_mut(key).and_then(VecDeque::pop_front)).collect();
    let alone_in_b = waiting.into_values().flatten().min();
    // Where it would stand in a: behind everything whose fellow stands before it.
    let alone_in_b = alone_in_b.map(|index| {
        let before = fellows.iter().rposition(|fellow| fellow.is_some_and(|fellow| fellow < index));
        (before.map_or(0, |before| before + 1), index)
    });
    let mut unknown = 0;
    for (index, (written, fellow)) in a.written.iter().zip(&fellows).enumerate() {
        if let Some((_, other)) = alone_in_b.filter(|(before, _)| *before <= index) {
            let sides = Pair::new(None, Some(seen(b, other)));
            return (Some(First { sides, position: index }), unknown);
        }
        let other = fellow.map(|fellow| &b.written[fellow]);
        match (other, written.sha256, other.and_then(|other| other.sha256)) {
            (Some(_), Some(a), Some(b)) if a == b => continue,
            (Some(other), ..) if written.sha256.is_none() || other.sha256.is_none() => unknown += 1,
            _ => {
                let sides = Pair::new(Some(seen(a, index)), fellow.map(|fellow| seen(b, fellow)));
                return (Some(First { sides, position: index + 1 }), unknown);
            }
        }
    }
    let last =
        alone_in_b.map(|(position, other)| First { sides: Pair::new(None, Some(seen(b, other))), position });
    (last, unknown)
}

fn seen(trace: &Trace, index: usize) -> Seen {
    let written = trace.written[index].clone();
    let process = trace.process_of(&written).cloned();
    Seen { written, process }
}

/// Names and words that occur in a build.
struct Names<'a> {
    names: HashSet<&'a [u8]>,
    words: HashSet<&'a [u8]>,
}

impl<'a> Names<'a> {
    fn of(trace: &'a Trace) -> Names<'a> {
        let paths = trace.written.iter().filter_map(|written| written.path.as_deref());
        Names {
            names: paths.flat_map(components).collect(),
            words: trace.processes.iter().flat_map(|process| &process.command).map(Vec::as_slice).collect(),
        }
    }
}

fn components(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/')
}

/// The key of every event of `trace`, with what `other` does not have left out.
fn keys<'a>(trace: &'a Trace, other: &Names<'_>) -> Vec<Key<'a>> {
    let word = |word: &'a Vec<u8>| Some(word.as_slice()).filter(|word| other.words.contains(word));
    let name = |name: &'a [u8]| Some(name).filter(|name| other.names.contains(name));
    let key = |written: &'a Written| {
        let process = trace.process_of(written);
        let command = process.map_or(Vec::new(), |process| process.command.iter().map(word).collect());
        let path = written.path.as_deref().map_or(Vec::new(), |path| components(path).map(name).collect());
        (command, path)
    };
    trace.written.iter().map(key).collect()
}
