use std::collections::{BTreeMap, BTreeSet, HashMap};

use regex_lite::Regex;

use super::*;
use crate::nix::{
    derivation::{Derivation, Output},
    drv_check::PathFault,
    hash::{Algorithm, Hash},
    make_path::{Method, output_path_name},
};

/// A store path that no hash stands behind: graphs do not look, until their paths are checked.
pub(super) fn forged(digest: u64, name: &str) -> StorePath {
    let mut bytes = [0; 20];
    bytes[..8].copy_from_slice(&digest.to_le_bytes());
    StorePath::from_digest(&bytes, name).unwrap()
}

pub(super) fn drv(name: &str) -> StorePath {
    forged(name.bytes().fold(7, |sum, byte| sum * 131 + u64::from(byte)), &format!("{name}.drv"))
}

pub(super) fn out(name: &str, output: &str) -> StorePath {
    forged(name.bytes().fold(1, |sum, byte| sum * 137 + u64::from(byte)), &output_path_name(name, output))
}

pub(super) fn derivation(name: &str, inputs: &[&str]) -> Derivation {
    let output = |output: &str| (output.to_owned(), Output::InputAddressed { path: out(name, output) });
    Derivation {
        outputs: [output("out"), output("dev")].into(),
        input_drvs: inputs.iter().map(|input| (drv(input), BTreeSet::from(["out".to_owned()]))).collect(),
        input_srcs: BTreeSet::new(),
        system: b"x86_64-linux".to_vec(),
        builder: b"/bin/sh".to_vec(),
        args: Vec::new(),
        env: BTreeMap::new(),
    }
}

fn fixed(name: &str, builder: &[u8]) -> Derivation {
    let output = Output::Fixed {
        path: out(name, "out"),
        method: Method::Flat,
        hash: Hash::of(Algorithm::Sha256, name.as_bytes()),
    };
    Derivation {
        outputs: [("out".to_owned(), output)].into(),
        system: b"builtin".to_vec(),
        builder: builder.to_vec(),
        ..derivation(name, &[])
    }
}

pub(super) fn load(derivations: &[(&str, Derivation)], roots: &[&str]) -> Result<Graph, LoadError<String>> {
    let all: HashMap<StorePath, &Derivation> =
        derivations.iter().map(|(name, derivation)| (drv(name), derivation)).collect();
    let roots: Vec<StorePath> = roots.iter().map(|name| drv(name)).collect();
    Graph::load(&roots, |path| all.get(path).map(|d| (*d).clone()).ok_or(format!("{path} is missing")))
}

fn graph(edges: &[(&str, &[&str])], roots: &[&str]) -> Graph {
    let derivations: Vec<_> = edges.iter().map(|(name, inputs)| (*name, derivation(name, inputs))).collect();
    load(&derivations, roots).unwrap()
}

fn diamond() -> Graph {
    graph(&[("join", &["left", "right"]), ("left", &["tip"]), ("right", &["tip"]), ("tip", &[])], &["join"])
}

fn names(graph: &Graph) -> Vec<&str> {
    graph.nodes().iter().map(Node::name).collect()
}

fn actions<'a>(graph: &'a Graph, plan: &Plan) -> Vec<(&'a str, Action)> {
    graph.nodes().iter().zip(&plan.steps).map(|(node, step)| (node.name(), step.action.clone())).collect()
}

fn runs(system: &[u8]) -> bool {
    system == b"x86_64-linux"
}

fn plan_with(graph: &Graph, rule: &Rule, present: &[StorePath], available: &[StorePath]) -> Plan {
    let has = |set: &[StorePath]| set.iter().cloned().collect::<BTreeSet<_>>();
    let (present, available) = (has(present), has(available));
    plan(graph, &frontier(graph, rule), runs, |path| present.contains(path), |path| available.contains(path))
}

#[test]
fn leaves_come_first_and_the_order_is_by_depth_and_name() {
    let edges: [(&str, &[&str]); 5] =
        [("z", &["b", "a"]), ("a", &["c"]), ("b", &[]), ("c", &[]), ("y", &["a"])];
    let forward = graph(&edges, &["z", "y"]);
    assert_eq!(names(&forward), ["b", "c", "a", "y", "z"]);
    assert_eq!(names(&graph(&edges, &["y", "z", "y"])), names(&forward), "whatever the order of the roots");
    assert_eq!(forward.roots(), [3, 4]);
    assert!(forward.nodes().iter().enumerate().all(|(index, node)| node.inputs.iter().all(|i| *i < index)));
    assert_eq!(forward.closure(&[3]), [1, 2, 3]);
}

#[test]
fn t10_a_cycle_is_named() {
    let edges: [(&str, &[&str]); 5] =
        [("top", &["a"]), ("a", &["b", "leaf"]), ("b", &["c"]), ("c", &["a"]), ("leaf", &[])];
    let derivations = edges.map(|(name, inputs)| (name, derivation(name, inputs)));
    let Err(LoadError::Graph(GraphError::Cycle { cycle })) = load(&derivations, &["top"]) else {
        panic!("no cycle found");
    };
    assert_eq!(cycle.len(), 4, "top and leaf are not in it: {cycle:?}");
    assert_eq!(cycle.first(), cycle.last());
    for pair in cycle.windows(2) {
        let needs = derivations.iter().find(|(name, _)| drv(name) == pair[0]).unwrap();
        assert!(needs.1.input_drvs.contains_key(&pair[1]), "{cycle:?}");
    }
}

#[test]
fn t10_a_derivation_that_needs_itself() {
    let result = load(&[("me", derivation("me", &["me"]))], &["me"]);
    let Err(LoadError::Graph(GraphError::Cycle { cycle })) = result else { panic!("{result:?}") };
    assert_eq!(cycle, [drv("me"), drv("me")]);
}

#[test]
fn t11_a_chain_of_100_000() {
    let count = 100_000;
    let name = |n: u64| format!("n{n}");
    let path = |n: u64| forged(n, &format!("{}.drv", name(n)));
    let link = |at: &StorePath| {
        let n: u64 = at.name()[1..].strip_suffix(".drv").unwrap().parse().unwrap();
        let mut derivation = derivation(&name(n), &[]);
        if n > 0 {
            derivation.input_drvs.insert(path(n - 1), BTreeSet::from(["out".to_owned()]));
        }
        Ok::<_, String>(derivation)
    };
    let graph = Graph::load(&[path(count - 1)], link).unwrap();
    assert_eq!(graph.nodes().len() as u64, count);
    assert_eq!(graph.nodes()[count as usize - 1].depth as u64, count - 1);
    let plan = plan_with(&graph, &Rule::default(), &[], &[]);
    assert_eq!(plan.work().count() as u64, count);

    // The same bent into a circle.
    let bent = |at: &StorePath| {
        let mut derivation = link(at)?;
        if *at == path(0) {
            derivation.input_drvs.insert(path(count - 1), BTreeSet::from(["out".to_owned()]));
        }
        Ok::<_, String>(derivation)
    };
    let Err(LoadError::Graph(GraphError::Cycle { cycle })) = Graph::load(&[path(0)], bent) else {
        panic!("no cycle found")
    };
    assert_eq!(cycle.len() as u64, count + 1);
}

#[test]
fn t11_a_diamond_of_2_to_the_40_paths_is_read_once() {
    let edges: Vec<(String, Vec<String>)> = (0..40)
        .flat_map(|level| {
            let below = match level {
                0 => vec![],
                _ => vec![format!("a{}", level - 1), format!("b{}", level - 1)],
            };
            [(format!("a{level}"), below.clone()), (format!("b{level}"), below)]
        })
        .chain([("top".to_owned(), vec!["a39".to_owned(), "b39".to_owned()])])
        .collect();
    let all: HashMap<StorePath, Derivation> = edges
        .iter()
        .map(|(name, inputs)| {
            let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
            (drv(name), derivation(name, &inputs))
        })
        .collect();
    let mut asked = 0;
    let graph = Graph::load(&[drv("top")], |path| {
        asked += 1;
        all.get(path).cloned().ok_or(())
    })
    .unwrap();
    assert_eq!((asked, graph.nodes().len()), (81, 81));
    assert_eq!(plan_with(&graph, &Rule::default(), &[], &[]).work().count(), 81);
}

#[test]
fn a_missing_derivation_is_the_resolvers_error() {
    let result = load(&[("top", derivation("top", &["gone"]))], &["top"]);
    assert!(matches!(result, Err(LoadError::Resolve(error)) if error.contains("gone.drv")));
}

#[test]
fn an_output_that_an_input_does_not_have() {
    let mut top = derivation("top", &[]);
    top.input_drvs.insert(drv("leaf"), BTreeSet::from(["doc".to_owned()]));
    let result = load(&[("top", top), ("leaf", derivation("leaf", &[]))], &["top"]);
    assert!(
        matches!(&result, Err(LoadError::Graph(GraphError::NoSuchOutput { output, .. })) if output == "doc"),
        "{result:?}"
    );
}

#[test]
fn t09_a_derivation_under_a_wrong_path_is_refused() {
    let graph = graph(&[("me", &[])], &["me"]);
    let result = graph.check_paths();
    assert!(
        matches!(
            &result,
            Err(GraphError::WrongPath { fault: PathFault::Derivation { computed }, .. }) if *computed != drv("me")
        ),
        "{result:?}"
    );
}

#[test]
fn t08_an_output_path_that_does_not_follow_is_refused() {
    let forged = derivation("me", &[]);
    let path = crate::nix::hash_modulo::own_path(&drv("me"), &forged).unwrap();
    let graph = Graph::load(&[path], |_| Ok::<_, ()>(forged.clone())).unwrap();
    let result = graph.check_paths();
    assert!(
        matches!(&result, Err(GraphError::WrongPath { fault: PathFault::Output { .. }, .. })),
        "{result:?}"
    );
}

#[test]
fn what_is_there_needs_none_of_what_it_was_built_from() {
    let graph = diamond();
    let step = |rule: &Rule, present: &[StorePath]| actions(&graph, &plan_with(&graph, rule, present, &[]));
    use Action::{Build, NotNeeded, Present};
    let all = Rule::default();
    assert_eq!(step(&all, &[]), [("tip", Build), ("left", Build), ("right", Build), ("join", Build)]);
    let tip_and_left = [out("left", "out")];
    assert_eq!(
        step(&all, &tip_and_left),
        [("tip", Build), ("left", Present), ("right", Build), ("join", Build)]
    );
    let both = [out("left", "out"), out("right", "out")];
    assert_eq!(
        step(&all, &both),
        [("tip", NotNeeded), ("left", Present), ("right", Present), ("join", Build)]
    );
    let joined = [out("join", "out"), out("join", "dev")];
    assert_eq!(
        step(&all, &joined),
        [("tip", NotNeeded), ("left", NotNeeded), ("right", NotNeeded), ("join", Present)]
    );
    // Of what was asked for every output counts.
    assert_eq!(step(&all, &joined[..1])[3], ("join", Build));
}

#[test]
fn the_frontier_by_name() {
    let graph = diamond();
    let rule = Rule { only: Some(Regex::new("^left$").unwrap()), ..Rule::default() };
    let frontier = frontier(&graph, &rule);
    assert_eq!(frontier.choices, [Choice::Take, Choice::Build, Choice::Take, Choice::Take]);
    assert_eq!(frontier.targets, [1, 3], "what matches is wanted even if all above it is taken");
    use Action::{Build, NotNeeded, Take};
    assert_eq!(
        actions(&graph, &plan_with(&graph, &rule, &[], &[])),
        [("tip", Take), ("left", Build), ("right", NotNeeded), ("join", Take)]
    );
}

#[test]
fn the_frontier_by_depth() {
    let graph = diamond();
    let step = |depth| {
        actions(&graph, &plan_with(&graph, &Rule { depth: Some(depth), ..Rule::default() }, &[], &[]))
    };
    use Action::{Build, NotNeeded, Take};
    assert_eq!(step(0), [("tip", NotNeeded), ("left", Take), ("right", Take), ("join", Build)]);
    assert_eq!(step(1), [("tip", Take), ("left", Build), ("right", Build), ("join", Build)]);
    assert_eq!(step(2)[0], ("tip", Build));
}

#[test]
fn trusted_substitutes_are_taken_where_there_are_any_but_never_for_what_was_asked() {
    let graph = diamond();
    let rule = Rule { trust_substitutes: true, ..Rule::default() };
    let available = [out("left", "out"), out("join", "out"), out("join", "dev")];
    use Action::{Build, Take};
    assert_eq!(
        actions(&graph, &plan_with(&graph, &rule, &[], &available)),
        [("tip", Build), ("left", Take), ("right", Build), ("join", Build)]
    );
}

#[test]
fn t14_only_known_builtins_are_accepted() {
    let kinds = |name: &str, leaf: Derivation| {
        let graph = load(&[("top", derivation("top", &[name])), (name, leaf)], &["top"]).unwrap();
        let plan = plan_with(&graph, &Rule::default(), &[], &[]);
        (plan.steps[0].kind.clone(), plan.steps[0].action.clone())
    };
    assert_eq!(kinds("src", fixed("src", b"builtin:fetchurl")), (Kind::Fixed, Action::Provide));
    assert_eq!(kinds("src", fixed("src", b"/bin/curl")), (Kind::Fixed, Action::Provide));
    for builder in ["builtin:unpack-channel", "builtin:buildenv", "builtin:\u{1b}[2J"] {
        let unfixed = Derivation { builder: builder.into(), ..derivation("src", &[]) };
        for leaf in [fixed("src", builder.as_bytes()), unfixed] {
            let (kind, action) = kinds("src", leaf);
            assert!(matches!(&kind, Kind::Unsupported(Unsupported::Builtin(name)) if !name.contains('\x1b')));
            assert!(matches!(action, Action::Refuse(_)), "{builder}");
        }
    }
    // What is fetched by a part of Nix but has no known contents could be anything.
    let open = Derivation { builder: b"builtin:fetchurl".to_vec(), ..derivation("src", &[]) };
    assert!(matches!(kinds("src", open).1, Action::Refuse(Unsupported::Builtin(_))));
}

#[test]
fn what_cannot_be_built_is_refused_only_where_it_is_needed() {
    let floating = Output::Floating { method: Method::Recursive, algorithm: Algorithm::Sha256 };
    let unsupported = [
        (
            "floating",
            Derivation { outputs: [("out".to_owned(), floating)].into(), ..derivation("floating", &[]) },
        ),
        ("mac", Derivation { system: b"aarch64-darwin".to_vec(), ..derivation("mac", &[]) }),
        (
            "open",
            Derivation { env: [(b"__noChroot".to_vec(), b"1".to_vec())].into(), ..derivation("open", &[]) },
        ),
    ];
    for (name, leaf) in unsupported {
        let graph = load(&[("top", derivation("top", &[name])), (name, leaf)], &["top"]).unwrap();
        let step =
            |present: &[StorePath]| plan_with(&graph, &Rule::default(), present, &[]).steps[0].action.clone();
        assert!(matches!(step(&[]), Action::Refuse(_)), "{name}");
        assert_eq!(step(&[out("top", "out"), out("top", "dev")]), Action::NotNeeded, "{name}");
    }
}

#[test]
fn the_inputs_of_one_build() {
    let mut top = derivation("top", &["leaf"]);
    top.input_drvs.insert(drv("leaf"), BTreeSet::from(["dev".to_owned(), "out".to_owned()]));
    top.input_srcs.insert(forged(9, "builder.sh"));
    let graph = load(
        &[("top", top), ("leaf", derivation("leaf", &["deep"])), ("deep", derivation("deep", &[]))],
        &["top"],
    )
    .unwrap();
    let top = graph.index_of(&drv("top")).unwrap();
    let expected = BTreeSet::from([forged(9, "builder.sh"), out("leaf", "dev"), out("leaf", "out")]);
    assert_eq!(graph.input_paths(top).unwrap(), expected);
}
