//! From a store path to what brought it: through which derivations, and by which of their attributes, it comes into a build.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bstr::ByteSlice as _;
use serde_json::Value;

use super::{Graph, Node};
use crate::nix::store_path::StorePath;

/// Letters of the hash in a store path (Nix manual, "Store path").
const HASH: usize = 32;
/// The variable that holds structured attributes, as JSON.
pub(super) const STRUCTURED: &[u8] = b"__json";
/// Places in structured attributes that are named.
const PLACES: usize = 16;

/// How a store path came into a build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brought {
    /// The store path.
    pub path: StorePath,
    /// What it is.
    pub kind: BroughtKind,
    /// The derivations it came through: the one that is built first, the one that makes or names the path last. There is no
    /// shorter way.
    pub way: Vec<Link>,
}

/// What a store path that was brought is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BroughtKind {
    /// An output, by name, of the last derivation on the way.
    Output(String),
    /// A source of the last derivation on the way.
    Source,
    /// The last derivation on the way itself.
    Derivation,
}

/// A derivation on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its path.
    pub drv: StorePath,
    /// Which of its attributes name what comes next on the way, or the path; none for the derivation whose output it is, and where
    /// only its list of inputs does.
    pub by: Vec<Attribute>,
}

/// A part of a derivation that can name a store path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attribute {
    /// The program that builds.
    Builder,
    /// An argument, by its number from 1.
    Argument(usize),
    /// A variable of the environment.
    Variable(Vec<u8>),
    /// A structured attribute, as a JSON pointer (RFC 6901).
    Structured(String),
}

/// How the store path whose hash part is `hash` came into the build of the derivation at `index`; none when nothing that it is
/// built from has such a path. Its own outputs count: then the way is only itself.
pub fn brought(graph: &Graph, index: usize, hash: &[u8]) -> Option<Brought> {
    if hash.len() != HASH {
        return None;
    }
    // Breadth first: the nearest who has it, and the shortest way there.
    let mut from: BTreeMap<usize, Option<usize>> = BTreeMap::from([(index, None)]);
    let mut todo = VecDeque::from([index]);
    while let Some(at) = todo.pop_front() {
        let node = &graph.nodes()[at];
        if let Some((path, kind)) = made_or_named(node, hash) {
            let mut way = vec![at];
            while let Some(Some(above)) = way.last().and_then(|last| from.get(last)) {
                way.push(*above);
            }
            way.reverse();
            return Some(Brought { path, way: links(graph, &way, hash, &kind), kind });
        }
        for input in &node.inputs {
            from.entry(*input).or_insert_with(|| {
                todo.push_back(*input);
                Some(at)
            });
        }
    }
    None
}

/// The path with this hash that a derivation makes, is, or has as a source.
fn made_or_named(node: &Node, hash: &[u8]) -> Option<(StorePath, BroughtKind)> {
    let has = |path: &StorePath| path.base_name().as_bytes().starts_with(hash);
    let output = node.derivation.outputs.iter().find_map(|(name, output)| {
        let path = output.path().filter(|path| has(path))?;
        Some((path.clone(), BroughtKind::Output(name.clone())))
    });
    let source = || node.derivation.input_srcs.iter().find(|path| has(path));
    let itself = || has(&node.drv).then(|| (node.drv.clone(), BroughtKind::Derivation));
    output.or_else(|| source().map(|path| (path.clone(), BroughtKind::Source))).or_else(itself)
}

/// The attributes in which a derivation names another one of the graph: one of its outputs, or itself.
pub fn named_by(graph: &Graph, index: usize, other: usize) -> Vec<Attribute> {
    naming(&graph.nodes()[index], &hashes_of(&graph.nodes()[other]))
}

/// The attributes in which a derivation names a store path.
pub(super) fn naming_path(node: &Node, path: &StorePath) -> Vec<Attribute> {
    naming(node, &path.base_name().as_bytes().get(..HASH).map(<[u8]>::to_vec).into_iter().collect())
}

fn links(graph: &Graph, way: &[usize], hash: &[u8], kind: &BroughtKind) -> Vec<Link> {
    let link = |(number, index): (usize, &usize)| {
        let node = &graph.nodes()[*index];
        let names: BTreeSet<Vec<u8>> = match way.get(number + 1).map(|next| &graph.nodes()[*next]) {
            // The last but one names the path itself, those before any output of who comes next.
            Some(_) if number + 2 == way.len() && matches!(kind, BroughtKind::Output(_)) => {
                BTreeSet::from([hash.to_vec()])
            }
            Some(next) => hashes_of(next),
            None if *kind == BroughtKind::Source => BTreeSet::from([hash.to_vec()]),
            None => BTreeSet::new(),
        };
        Link { drv: node.drv.clone(), by: naming(node, &names) }
    };
    way.iter().enumerate().map(link).collect()
}

pub(super) fn hashes_of(node: &Node) -> BTreeSet<Vec<u8>> {
    let paths = node.derivation.outputs.values().filter_map(|output| output.path()).chain([&node.drv]);
    paths.filter_map(|path| path.base_name().as_bytes().get(..HASH)).map(<[u8]>::to_vec).collect()
}

/// The attributes of a derivation in which one of some hashes occurs.
pub(super) fn naming(node: &Node, hashes: &BTreeSet<Vec<u8>>) -> Vec<Attribute> {
    let has = |text: &[u8]| hashes.iter().any(|hash| text.contains_str(hash));
    let derivation = &node.derivation;
    let mut by = Vec::new();
    if has(&derivation.builder) {
        by.push(Attribute::Builder);
    }
    let arguments = derivation.args.iter().enumerate().filter(|(_, text)| has(text));
    by.extend(arguments.map(|(number, _)| Attribute::Argument(number + 1)));
    for (name, value) in derivation.env.iter().filter(|(_, value)| has(value)) {
        match serde_json::from_slice::<Value>(value).ok().filter(|_| name == STRUCTURED) {
            Some(attributes) => by.extend(places(&attributes, &has).into_iter().map(Attribute::Structured)),
            None => by.push(Attribute::Variable(name.clone())),
        }
    }
    by
}

/// Where in a JSON value there are strings that `has` finds something in, the first ones. Names of members count as well.
fn places(value: &Value, has: &impl Fn(&[u8]) -> bool) -> Vec<String> {
    let escaped = |name: &str| name.replace('~', "~0").replace('/', "~1");
    let mut places = Vec::new();
    let mut todo = vec![(String::new(), value)];
    while let Some((at, value)) = todo.pop() {
        match value {
            Value::String(text) if has(text.as_bytes()) => places.push(at),
            Value::Array(items) => {
                todo.extend(items.iter().enumerate().rev().map(|(n, item)| (format!("{at}/{n}"), item)));
            }
            Value::Object(members) => {
                let member = |name: &String| format!("{at}/{}", escaped(name));
                places.extend(members.keys().filter(|name| has(name.as_bytes())).map(member));
                todo.extend(members.iter().rev().map(|(name, item)| (member(name), item)));
            }
            _ => {}
        }
        if places.len() >= PLACES {
            places.truncate(PLACES);
            break;
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{derivation, drv, forged, load, out},
        *,
    };
    use crate::nix::derivation::Derivation;

    fn hash(path: &StorePath) -> Vec<u8> {
        path.base_name().as_bytes()[..HASH].to_vec()
    }

    fn with(id: &str, inputs: &[&str], env: &[(&str, String)]) -> Derivation {
        let mut derivation = derivation(id, inputs);
        // The forged paths of a derivation's outputs have one hash.
        derivation.outputs.remove("dev");
        for (name, value) in env {
            derivation.env.insert(name.as_bytes().to_vec(), value.clone().into_bytes());
        }
        derivation
    }

    fn variable(name: &str) -> Attribute {
        Attribute::Variable(name.as_bytes().to_vec())
    }

    /// `hello` has `go` in a structured attribute and an argument, `go` has `tzdata` in its environment.
    fn graph() -> Graph {
        let go = format!("{}/bin", out("go", "out"));
        let json = format!(r#"{{"env":{{"PATH":["/x","{go}"]}},"a/b":"{go}"}}"#);
        let mut hello = with("hello", &["go", "zlib"], &[("__json", json)]);
        hello.args = vec![b"-e".to_vec(), go.into_bytes()];
        hello.input_srcs.insert(forged(3, "builder.sh"));
        hello.builder = forged(3, "builder.sh").to_string().into_bytes();
        let tzdata = out("tzdata", "out").to_string();
        load(
            &[
                ("tzdata", with("tzdata", &[], &[])),
                ("zlib", with("zlib", &[], &[])),
                ("go", with("go", &["tzdata"], &[("patches", tzdata), ("other", "x".to_owned())])),
                ("hello", hello),
            ],
            &["hello"],
        )
        .unwrap()
    }

    fn find(hash: &[u8]) -> Option<Brought> {
        let graph = graph();
        brought(&graph, graph.index_of(&drv("hello")).unwrap(), hash)
    }

    #[test]
    fn a_path_is_traced_through_every_derivation_and_the_attributes_that_name_the_next() {
        let found = find(&hash(&out("tzdata", "out"))).unwrap();
        assert_eq!(
            (&found.path, &found.kind),
            (&out("tzdata", "out"), &BroughtKind::Output("out".to_owned()))
        );
        let structured = |place: &str| Attribute::Structured(place.to_owned());
        let expected = [
            (drv("hello"), vec![Attribute::Argument(2), structured("/a~1b"), structured("/env/PATH/1")]),
            (drv("go"), vec![variable("patches")]),
            (drv("tzdata"), vec![]),
        ];
        assert_eq!(found.way, expected.map(|(drv, by)| Link { drv, by }));
    }

    #[test]
    fn a_source_and_an_output_of_its_own_are_found_at_the_derivation_itself() {
        let found = find(&hash(&forged(3, "builder.sh"))).unwrap();
        assert_eq!(found.kind, BroughtKind::Source);
        assert_eq!(found.way, [Link { drv: drv("hello"), by: vec![Attribute::Builder] }]);
        let own = find(&hash(&out("hello", "out"))).unwrap();
        assert_eq!((own.way.len(), own.kind), (1, BroughtKind::Output("out".to_owned())));
    }

    #[test]
    fn an_input_that_no_attribute_names_comes_by_the_list_of_inputs_alone() {
        let found = find(&hash(&out("zlib", "out"))).unwrap();
        assert_eq!(found.way[0], Link { drv: drv("hello"), by: vec![] });
    }

    #[test]
    fn a_path_of_nothing_it_was_built_from_is_not_guessed() {
        assert_eq!(find(&[b'0'; HASH]), None);
        assert_eq!(find(b"short"), None);
    }
}
