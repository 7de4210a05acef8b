//! Why two derivations are not the same: what they say differently, through all of their inputs.
//!
//! Every pair of derivations that belong together is looked at once. A store path in a derivation differs whenever
//! anything below it does; such differences follow from another pair's and are not told again: the paths of a
//! derivation's own outputs, of inputs and of sources are compared by what they belong to.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, VecDeque},
};

use serde_json::value::RawValue;

use super::{
    Attribute, Graph, Node,
    brought::{STRUCTURED, hashes_of, naming, naming_path},
};
use crate::nix::{derivation::Output, store_path::StorePath};

/// Where Nix's own store is; paths in derivations are of no other (Nix manual, "Store path").
const STORE: &[u8] = b"/nix/store/";
/// Letters of the hash in a store path.
const HASH: usize = 32;

/// One pair of derivations that say different things.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Index of the first in the graph.
    pub a: usize,
    /// Index of the second.
    pub b: usize,
    /// The pair that needs this one, as an index into [`Differences::pairs`]; none for what was asked for.
    pub needed_by: Option<usize>,
    /// What they say differently of themselves. Nothing when all that differs follows from their inputs.
    pub changes: Vec<Change>,
}

/// Something that one derivation says otherwise than the other, or that only one of them says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What it is about.
    pub what: What,
    /// What the first says; nothing where it says nothing about it.
    pub a: Option<Vec<u8>>,
    /// What the second says.
    pub b: Option<Vec<u8>>,
    /// For an input or a source: what of the derivation names it; of the first, unless only the second has it.
    pub by: Vec<Attribute>,
}

/// What a [`Change`] is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// What can build it.
    System,
    /// The program.
    Builder,
    /// An argument, by its number from 1.
    Argument(usize),
    /// A variable of the environment.
    Variable(Vec<u8>),
    /// An output: its kind, and its hash when it is fixed.
    Output(String),
    /// An input that only one side has, or of which they need other outputs.
    Input(String),
    /// A source, by name.
    Source(String),
}

/// How two derivations of a graph differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Differences {
    /// All pairs that differ, what was asked for first, then by distance from there.
    pub pairs: Vec<Pair>,
}

impl Differences {
    /// The pairs that differ by themselves, nearest to the leaves first.
    pub fn sources(&self, graph: &Graph) -> Vec<&Pair> {
        let mut sources: Vec<&Pair> = self.pairs.iter().filter(|pair| !pair.changes.is_empty()).collect();
        sources.sort_by_key(|pair| graph.nodes()[pair.a].depth);
        sources
    }

    /// The pairs from `pair` up to what was asked for.
    pub fn way<'a>(&'a self, pair: &'a Pair) -> Vec<&'a Pair> {
        let mut way = vec![pair];
        while let Some(next) = way.last().and_then(|pair| pair.needed_by).and_then(|at| self.pairs.get(at)) {
            way.push(next);
        }
        way
    }
}

/// Compares two derivations of `graph`, by index, and whatever they need.
pub fn differences(graph: &Graph, a: usize, b: usize) -> Differences {
    let mut pairs: Vec<Pair> = Vec::new();
    let mut seen = BTreeSet::from([(a, b)]);
    let mut todo = VecDeque::from([(a, b, None)]);
    while let Some((a, b, needed_by)) = todo.pop_front() {
        if a == b {
            continue;
        }
        let (first, second) = (&graph.nodes()[a], &graph.nodes()[b]);
        let inputs = matched(graph, first, second);
        let labels = [labels(graph, first, &inputs, 0), labels(graph, second, &inputs, 1)];
        let mut changes = said(first, second, &labels);
        changes.extend(inputs.iter().filter_map(|input| input.change(graph, first, second)));
        let number = pairs.len();
        pairs.push(Pair { a, b, needed_by, changes });
        for input in inputs {
            if let [Some(a), Some(b)] = input.sides
                && a != b
                && seen.insert((a, b))
            {
                todo.push_back((a, b, Some(number)));
            }
        }
    }
    Differences { pairs }
}

/// An input of both, or of one.
struct Input {
    sides: [Option<usize>; 2],
}

impl Input {
    /// What differs about the input itself: that it is there, and which of its outputs are needed.
    fn change(&self, graph: &Graph, a: &Node, b: &Node) -> Option<Change> {
        let outputs = |node: &Node, side: usize| {
            let drv = &graph.nodes()[self.sides[side]?].drv;
            let outputs: Vec<&str> =
                node.derivation.input_drvs.get(drv)?.iter().map(String::as_str).collect();
            Some(outputs.join(",").into_bytes())
        };
        let (of_a, of_b) = (outputs(a, 0), outputs(b, 1));
        if of_a == of_b {
            return None;
        }
        let [first, second] = self.sides;
        let (node, input) = first.map(|index| (a, index)).or(second.map(|index| (b, index)))?;
        let by = naming(node, &hashes_of(&graph.nodes()[input]));
        let what = What::Input(graph.nodes()[input].name().to_owned());
        Some(Change { what, a: of_a, b: of_b, by })
    }
}

/// A derivation's name without its version, as Nix takes names apart (`builtins.parseDrvName`): up to the first dash
/// that no letter follows.
fn package(name: &str) -> &str {
    let bytes = name.as_bytes();
    let dash = bytes.windows(2).position(|two| two[0] == b'-' && !two[1].is_ascii_alphabetic());
    &name[..dash.unwrap_or(name.len())]
}

/// The inputs of two derivations, side by side: the same one, else one of the same name, else of the same package.
fn matched(graph: &Graph, a: &Node, b: &Node) -> Vec<Input> {
    let mut inputs = Vec::new();
    let (of_a, of_b): (BTreeSet<usize>, BTreeSet<usize>) =
        (a.inputs.iter().copied().collect(), b.inputs.iter().copied().collect());
    inputs.extend(of_a.intersection(&of_b).map(|both| Input { sides: [Some(*both); 2] }));
    let mut left = [
        of_a.difference(&of_b).copied().collect::<Vec<_>>(),
        of_b.difference(&of_a).copied().collect::<Vec<_>>(),
    ];
    let by: [fn(&Node) -> &str; 2] = [Node::name, |node| package(node.name())];
    for key in by {
        let mut groups: BTreeMap<&str, [VecDeque<usize>; 2]> = BTreeMap::new();
        for (side, left) in left.iter_mut().enumerate() {
            for index in std::mem::take(left) {
                groups.entry(key(&graph.nodes()[index])).or_default()[side].push_back(index);
            }
        }
        for [mut of_a, mut of_b] in groups.into_values() {
            while let (Some(a), Some(b)) = (of_a.front(), of_b.front()) {
                inputs.push(Input { sides: [Some(*a), Some(*b)] });
                of_a.pop_front();
                of_b.pop_front();
            }
            left[0].extend(of_a);
            left[1].extend(of_b);
        }
    }
    let [of_a, of_b] = left;
    inputs.extend(of_a.into_iter().map(|a| Input { sides: [Some(a), None] }));
    inputs.extend(of_b.into_iter().map(|b| Input { sides: [None, Some(b)] }));
    inputs
}

/// What the store paths in a derivation belong to, by their hash; with the rest of the path's last part, name and all.
type Labels = BTreeMap<Vec<u8>, (Vec<u8>, Vec<u8>)>;

fn labels(graph: &Graph, node: &Node, inputs: &[Input], side: usize) -> Labels {
    let mut labels = Labels::new();
    let mut add = |path: &StorePath, label: String| {
        let text = path.to_string();
        if let Some((hash, rest)) =
            text.as_bytes().get(STORE.len()..).and_then(|base| base.split_at_checked(HASH))
        {
            labels.insert(hash.to_vec(), (rest.to_vec(), label.into_bytes()));
        }
    };
    for (number, input) in inputs.iter().enumerate() {
        let [Some(_), Some(_)] = input.sides else { continue };
        let Some(input) = input.sides[side].map(|index| &graph.nodes()[index]) else { continue };
        add(&input.drv, format!("<input {number}>"));
        for (name, output) in &input.derivation.outputs {
            if let Some(path) = output.path() {
                add(path, format!("<input {number}^{name}>"));
            }
        }
    }
    for source in &node.derivation.input_srcs {
        add(source, format!("<source {}>", source.name()));
    }
    for (name, output) in &node.derivation.outputs {
        if let Some(path) = output.path() {
            add(path, format!("<{name}>"));
        }
    }
    labels
}

/// `text` with every store path that has a label replaced by it. A name alone says nothing: the pair it belongs to does.
fn labelled(text: &[u8], labels: &Labels) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = bstr::ByteSlice::find(rest, STORE) {
        let (before, after) = rest.split_at(at + STORE.len());
        out.extend_from_slice(before);
        rest = after;
        if let Some((name, label)) = after.get(..HASH).and_then(|hash| labels.get(hash)) {
            out.extend_from_slice(label);
            rest = &after[HASH..];
            rest = rest.strip_prefix(name.as_slice()).unwrap_or(rest);
        }
    }
    out.extend_from_slice(rest);
    out
}

/// What two derivations say differently, besides which inputs they have.
fn said(a: &Node, b: &Node, labels: &[Labels; 2]) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut compare = |what: What, a: Option<&[u8]>, b: Option<&[u8]>| {
        let same = a.map(|text| labelled(text, &labels[0])) == b.map(|text| labelled(text, &labels[1]));
        if !same {
            let (a, b) = (a.map(<[u8]>::to_vec), b.map(<[u8]>::to_vec));
            changes.push(Change { what, a, b, by: Vec::new() });
        }
    };
    let nodes = (a, b);
    let (a, b) = (&a.derivation, &b.derivation);
    compare(What::System, Some(&a.system), Some(&b.system));
    compare(What::Builder, Some(&a.builder), Some(&b.builder));
    for number in 0..a.args.len().max(b.args.len()) {
        let argument = |args: &'_ [Vec<u8>]| args.get(number).cloned();
        let (a, b) = (argument(&a.args), argument(&b.args));
        compare(What::Argument(number + 1), a.as_deref(), b.as_deref());
    }
    let (of_a, of_b) = match (with_members(&a.env), with_members(&b.env)) {
        (Some(of_a), Some(of_b)) => (Cow::Owned(of_a), Cow::Owned(of_b)),
        _ => (Cow::Borrowed(&a.env), Cow::Borrowed(&b.env)),
    };
    let names: BTreeSet<&Vec<u8>> = of_a.keys().chain(of_b.keys()).collect();
    for name in names {
        let value = |env: &'_ Environment| env.get(name).cloned();
        compare(What::Variable(name.clone()), value(&of_a).as_deref(), value(&of_b).as_deref());
    }
    let outputs: BTreeSet<&String> = a.outputs.keys().chain(b.outputs.keys()).collect();
    for name in outputs {
        let (a, b) = (a.outputs.get(name).map(describe), b.outputs.get(name).map(describe));
        compare(What::Output(name.clone()), a.as_deref(), b.as_deref());
    }
    sources(nodes.0, nodes.1, &mut changes);
    changes
}

/// Variables by name.
type Environment = BTreeMap<Vec<u8>, Vec<u8>>;

/// The variables, with each structured attribute as one: `__json/name`. None when there are no structured attributes.
fn with_members(env: &Environment) -> Option<Environment> {
    let members: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(env.get(STRUCTURED)?).ok()?;
    let variables = env.iter().filter(|(name, _)| *name != STRUCTURED);
    let variables = variables.map(|(name, value)| (name.clone(), value.clone()));
    let member = |(name, value): (String, Box<RawValue>)| {
        ([STRUCTURED, b"/", name.as_bytes()].concat(), value.get().as_bytes().to_vec())
    };
    Some(variables.chain(members.into_iter().map(member)).collect())
}

/// An output's kind, and the hash that is promised.
fn describe(output: &Output) -> Vec<u8> {
    match output {
        Output::Fixed { method, hash, .. } => {
            format!("fixed, {}{}", method.prefix(), hash.to_sri()).into_bytes()
        }
        other => other.kind().as_bytes().to_vec(),
    }
}

/// Sources with the same name belong together.
fn sources(a: &Node, b: &Node, changes: &mut Vec<Change>) {
    let mut by_name: BTreeMap<&str, [VecDeque<&StorePath>; 2]> = BTreeMap::new();
    let of = [&a.derivation.input_srcs, &b.derivation.input_srcs];
    for (side, (own, other)) in [(of[0], of[1]), (of[1], of[0])].into_iter().enumerate() {
        for source in own.difference(other) {
            by_name.entry(source.name()).or_default()[side].push_back(source);
        }
    }
    for (name, [mut of_a, mut of_b]) in by_name {
        while !of_a.is_empty() || !of_b.is_empty() {
            let text = |source: Option<&StorePath>| source.map(|source| source.to_string().into_bytes());
            let (of_a, of_b) = (of_a.pop_front(), of_b.pop_front());
            let named = of_a.map(|path| (a, path)).or(of_b.map(|path| (b, path)));
            let by = named.map(|(node, path)| naming_path(node, path)).unwrap_or_default();
            changes.push(Change { what: What::Source(name.to_owned()), a: text(of_a), b: text(of_b), by });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{derivation, drv, forged, load, out},
        *,
    };
    use crate::nix::derivation::Derivation;

    /// The derivation called `name` of a file called `id`, with the paths of its inputs in its environment.
    fn made(id: &str, inputs: &[&str], env: &[(&str, &str)]) -> (String, Derivation) {
        let mut derivation = derivation(id, inputs);
        let mut set = |name: &str, value: String| {
            derivation.env.insert(name.as_bytes().to_vec(), value.into_bytes());
        };
        set("out", out(id, "out").to_string());
        set(
            "PATH",
            inputs.iter().map(|input| format!("{}/bin", out(input, "out"))).collect::<Vec<_>>().join(":"),
        );
        env.iter().for_each(|(name, value)| set(name, (*value).to_owned()));
        (id.to_owned(), derivation)
    }

    fn compare(derivations: &[(String, Derivation)], a: &str, b: &str) -> (Graph, Differences) {
        let named: Vec<(&str, Derivation)> =
            derivations.iter().map(|(name, derivation)| (name.as_str(), derivation.clone())).collect();
        let graph = load(&named, &[a, b]).unwrap();
        let index = |name| graph.index_of(&drv(name)).unwrap();
        let differences = differences(&graph, index(a), index(b));
        (graph, differences)
    }

    fn names<'a>(graph: &'a Graph, pairs: &[&Pair]) -> Vec<&'a str> {
        pairs.iter().map(|pair| graph.nodes()[pair.a].name()).collect()
    }

    #[test]
    fn a_change_deep_down_is_told_once_and_what_is_above_only_passes_it_on() {
        let (graph, differences) = compare(
            &[
                made("zlib-1.2", &[], &[("CFLAGS", "-O2")]),
                made("zlib-1.3", &[], &[("CFLAGS", "-O3")]),
                made("curl-8", &["zlib-1.2"], &[]),
                made("curl-9", &["zlib-1.3"], &[]),
                made("tool-1", &["curl-8", "zlib-1.2"], &[]),
                made("tool-2", &["curl-9", "zlib-1.3"], &[]),
            ],
            "tool-1",
            "tool-2",
        );
        assert_eq!(differences.pairs.len(), 3, "each pair once");
        let sources = differences.sources(&graph);
        assert_eq!(names(&graph, &sources), ["zlib-1.2"]);
        let change = Change {
            what: What::Variable(b"CFLAGS".to_vec()),
            a: Some(b"-O2".to_vec()),
            b: Some(b"-O3".to_vec()),
            by: Vec::new(),
        };
        assert_eq!(sources[0].changes, [change]);
        let way = differences.way(sources[0]);
        assert_eq!(names(&graph, &way), ["zlib-1.2", "tool-1"]);
        let by = super::super::named_by(&graph, way[1].a, way[0].a);
        assert_eq!(by, [Attribute::Variable(b"PATH".to_vec())]);
    }

    #[test]
    fn an_input_that_one_side_lacks_and_a_path_to_nothing_of_its_own_are_changes() {
        let (graph, differences) = compare(
            &[
                made("gcc-1", &[], &[]),
                made("a-1", &["gcc-1"], &[("x", "/nix/store/00000000000000000000000000000000-y")]),
                made("a-2", &[], &[("x", "/nix/store/11111111111111111111111111111111-y")]),
            ],
            "a-1",
            "a-2",
        );
        let [pair] = &differences.pairs[..] else { panic!("{differences:?}") };
        let what: Vec<&What> = pair.changes.iter().map(|change| &change.what).collect();
        let variable = |name: &str| What::Variable(name.as_bytes().to_vec());
        assert_eq!(what, [&variable("PATH"), &variable("x"), &What::Input("gcc-1".to_owned())]);
        assert_eq!(pair.changes[2].by, [Attribute::Variable(b"PATH".to_vec())]);
        assert_eq!(differences.sources(&graph).len(), 1);
    }

    #[test]
    fn sources_of_one_name_are_told_with_both_paths_and_their_mention_is_not_told_again() {
        let mut derivations = [made("a-1", &[], &[]), made("a-2", &[], &[])];
        let sources = [forged(1, "fix.patch"), forged(2, "fix.patch")];
        for ((_, derivation), source) in derivations.iter_mut().zip(&sources) {
            derivation.env.insert(b"patches".to_vec(), source.to_string().into_bytes());
            derivation.input_srcs.insert(source.clone());
        }
        let (_, differences) = compare(&derivations, "a-1", "a-2");
        let [change] = &differences.pairs[0].changes[..] else { panic!("{differences:?}") };
        assert_eq!(change.what, What::Source("fix.patch".to_owned()));
        assert_eq!(change.a, Some(sources[0].to_string().into_bytes()));
        assert_eq!(change.by, [Attribute::Variable(b"patches".to_vec())]);
    }

    #[test]
    fn the_same_derivation_has_no_differences() {
        let (_, differences) = compare(&[made("a-1", &[], &[])], "a-1", "a-1");
        assert!(differences.pairs.is_empty());
    }

    #[test]
    fn packages_are_names_without_versions() {
        let names = ["zlib-1.2.3", "gcc-wrapper-12", "hello", "a-", "x-y"];
        assert_eq!(names.map(package), ["zlib", "gcc-wrapper", "hello", "a-", "x-y"]);
    }
}
