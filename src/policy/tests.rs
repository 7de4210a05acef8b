use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::*;
use crate::{
    graph::{Graph, What},
    nix::{
        derivation::{Derivation, Output},
        hash::Hash,
        make_path::Method,
    },
};

fn own(rules: &str) -> Result<Policy, PolicyError> {
    let text = format!("[[policy]]\nname = \"own\"\ntitle = \"title\"\nwhy = \"why\"\nat = \"all\"\n{rules}");
    Ok(Policy::parse(&text)?.remove(0))
}

fn rule(rule: &str) -> Policy {
    own(&format!("[[policy.rule]]\n{rule}\n")).unwrap()
}

fn derivation(env: &[(&str, &str)]) -> Derivation {
    let nowhere = StorePath::from_digest(&[7; 20], "nowhere").unwrap();
    Derivation {
        outputs: [("out".to_owned(), Output::InputAddressed { path: nowhere.clone() })].into(),
        input_drvs: BTreeMap::new(),
        input_srcs: BTreeSet::new(),
        system: b"x86_64-linux".to_vec(),
        builder: b"/bin/sh".to_vec(),
        args: vec![b"-c".to_vec(), b"echo one".to_vec()],
        env: env.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect(),
    }
}

/// A tool, a second one, and a program that needs the first; with the paths that they have.
struct Bench {
    all: BTreeMap<StorePath, Arc<Derivation>>,
}

impl Bench {
    fn new() -> Bench {
        Bench { all: BTreeMap::new() }
    }

    /// Adds a derivation under its own path, its output's path in `out`.
    fn add(&mut self, name: &str, mut derivation: Derivation) -> StorePath {
        let forged = StorePath::from_digest(&[1; 20], &format!("{name}.drv")).unwrap();
        if derivation.fixed_output().is_none() {
            let out = StorePath::from_digest(&[2; 20], name).unwrap();
            derivation.outputs = [("out".to_owned(), Output::InputAddressed { path: out.clone() })].into();
            derivation.env.insert(b"out".to_vec(), out.to_string().into_bytes());
        }
        let mut all = self.all.clone();
        all.insert(forged.clone(), derivation.into());
        let graph = Graph::load(std::slice::from_ref(&forged), |path| {
            all.get(path).cloned().ok_or_else(|| path.to_string())
        });
        let repathed = graph.unwrap().repath().unwrap();
        self.all.extend(repathed.derivations.clone());
        repathed.now(&forged).clone()
    }

    fn out(&self, drv: &StorePath) -> StorePath {
        self.all[drv].output_path("out").unwrap().clone()
    }

    /// A program that names an input in its environment.
    fn user(&mut self, name: &str, input: &StorePath, env: &[(&str, &str)]) -> StorePath {
        let path = self.out(input).to_string();
        let env: Vec<(String, String)> =
            env.iter().map(|(n, v)| ((*n).to_owned(), v.replace("TOOL", &path))).collect();
        let env: Vec<(&str, &str)> = env.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let mut user = derivation(&env);
        user.input_drvs.insert(input.clone(), BTreeSet::from(["out".to_owned()]));
        self.add(name, user)
    }

    fn graph(&self, roots: &[StorePath]) -> Graph {
        let graph = Graph::load(roots, |path| self.all.get(path).cloned().ok_or_else(|| path.to_string()));
        let graph = graph.unwrap();
        graph.check_paths().unwrap();
        graph
    }

    fn rewrite(&self, drv: &StorePath, policy: &Policy) -> Result<Rewritten, PolicyError> {
        let mut roots = vec![drv.clone()];
        roots.extend(policy.replacements().cloned());
        rewrite(&self.graph(&roots), std::slice::from_ref(drv), &[(policy, &policy.at)])
    }
}

/// What a rule makes of a derivation with this environment.
fn changed(env: &[(&str, &str)], policy: &Policy) -> Derivation {
    let mut bench = Bench::new();
    let drv = bench.add("one", derivation(env));
    let rewritten = bench.rewrite(&drv, policy).unwrap();
    rewritten.graph.check_paths().unwrap();
    Derivation::clone(&rewritten.graph.nodes()[rewritten.graph.roots()[0]].derivation)
}

fn value(derivation: &Derivation, name: &str) -> Option<String> {
    derivation.env_get(name).map(|value| String::from_utf8(value.to_vec()).unwrap())
}

#[test]
fn what_is_shipped_can_be_read_and_is_called_what_its_file_is() {
    let names: Vec<&str> = shipped().unwrap().iter().map(|policy| policy.name.as_str()).collect();
    assert_eq!(names, SHIPPED.iter().map(|shipped| shipped.name).collect::<Vec<_>>());
    assert!(shipped().unwrap().iter().all(|policy| !policy.fix.is_empty()));
}

#[test]
fn variables_are_set_and_removed() {
    let one = changed(
        &[("a", "1"), ("b", "2")],
        &rule("set = { c = true, d = [\"x\", \"y\"] }\nunset = [\"a\", \"none\"]"),
    );
    assert_eq!(value(&one, "a"), None);
    assert_eq!([value(&one, "b"), value(&one, "c"), value(&one, "d")].map(Option::unwrap), ["2", "1", "x y"]);
    let default = rule("default = { a = \"x\", b = \"y\", c = \"z\" }");
    let one = changed(&[("a", "1"), ("b", "")], &default);
    assert_eq!(["a", "b", "c"].map(|name| value(&one, name).unwrap()), ["1", "y", "z"]);
}

#[test]
fn words_come_and_go_and_the_rest_stays_as_it_is() {
    let add = rule("add-words.flags = [\"-a\", \"-b\"]");
    assert_eq!(value(&changed(&[("flags", "  -b   -c ")], &add), "flags").unwrap(), "  -b   -c  -a");
    assert_eq!(value(&changed(&[], &add), "flags").unwrap(), "-a -b");
    let remove = rule("remove-words.flags = [\"-a\"]");
    assert_eq!(value(&changed(&[("flags", "-a  -b\n-a -c")], &remove), "flags").unwrap(), "-b -c");
    assert_eq!(value(&changed(&[("flags", "-ab   -c")], &remove), "flags").unwrap(), "-ab   -c");
}

#[test]
fn structured_attributes_are_changed_where_they_are() {
    let json = r#"{"env":{"GOFLAGS":"-x"},"list":["a","b"],"n":1.0e3,"text":"t"}"#;
    let policy = rule(
        "set = { n2 = 5, GOFLAGS = \"-y\", text = true }\nadd-words.list = [\"c\"]\nremove-words.list = [\"a\"]\nunset = [\"none\"]",
    );
    let one = changed(&[("__json", json)], &policy);
    let expected = r#"{"env":{"GOFLAGS":"-y"},"list":["b","c"],"n":1.0e3,"n2":5,"text":true}"#;
    assert_eq!(value(&one, "__json").unwrap(), expected);
    assert!(value(&one, "out").is_some());
    let one = changed(&[("__json", json)], &rule("replace = [{ in = \"*\", from = \"a\", to = \"z\" }]"));
    assert!(value(&one, "__json").unwrap().contains(r#""list":["z","b"],"n":1.0e3"#));
}

#[test]
fn variables_that_programs_see_are_below_env_where_there_is_one() {
    let policy = rule(
        "set-variable = { A = 1, B = true, C = [\"x\", \"y\"] }\ndefault-variable.D = \"d\"\nadd-variable-words = { E = [\"e\", \"f\"], F = [\"f\"] }",
    );
    let one = changed(&[("__json", r#"{"B":false,"env":{"D":"","F":"a"}}"#)], &policy);
    let expected = r#"{"B":true,"env":{"A":"1","C":"x y","D":"d","E":"e f","F":"a f"}}"#;
    assert_eq!(value(&one, "__json").unwrap(), expected);
    // Without one they are attributes like any other.
    let one = changed(&[("__json", r#"{"env":"text"}"#)], &policy);
    let expected = r#"{"A":1,"B":true,"C":["x","y"],"D":"d","E":["e","f"],"F":["f"],"env":"text"}"#;
    assert_eq!(value(&one, "__json").unwrap(), expected);
    let one = changed(&[("D", "1")], &policy);
    assert_eq!(
        ["A", "B", "C", "D", "E"].map(|name| value(&one, name).unwrap()),
        ["1", "1", "x y", "1", "e f"]
    );
}

#[test]
fn structured_attributes_that_nix_did_not_write_are_refused() {
    for json in [r#"{"b":1,"a":2}"#, r#"{"a": 1}"#, "[]", "", r#"{"a":1,"a":2}"#] {
        let mut bench = Bench::new();
        let drv = bench.add("one", derivation(&[("__json", json)]));
        let error = bench.rewrite(&drv, &rule("set.x = 1")).unwrap_err();
        assert_eq!(error.code(), crate::code::Code(1102), "{json}: {error}");
    }
}

#[test]
fn text_is_replaced_in_arguments_and_programs_as_well() {
    let policy = rule(
        "replace = [{ in = [\"args\", \"a*\"], from = \"one\", to = \"two\" }, { in = \"builder\", from = \"sh\", to = \"ash\" }]",
    );
    let one = changed(&[("ab", "one one"), ("b", "one")], &policy);
    assert_eq!(one.args[1], b"echo two");
    assert_eq!(one.builder, b"/bin/ash");
    assert_eq!([value(&one, "ab"), value(&one, "b")].map(Option::unwrap), ["two two", "one"]);
}

#[test]
fn what_matches_decides() {
    let env = [("kind", "go"), ("empty", "")];
    let sets = |about: &str| value(&changed(&env, &rule(&format!("{about}\nset.x = 1"))), "x").is_some();
    for about in [
        "match.name = \"on?\"",
        "match.name = [\"two\", \"o*\"]",
        "match.system = \"x86_64-*\"",
        "match.builder = \"/bin/*\"",
        "match.attribute.kind = \"g*\"",
        "match.attribute = { kind = \"*\", empty = \"\" }",
        "match.fixed-output = false",
    ] {
        assert!(sets(about), "{about}");
    }
    for about in [
        "match.name = \"two\"",
        "match.system = \"riscv64-linux\"",
        "match.attribute.empty = \"?*\"",
        "match.attribute.none = \"*\"",
        "match.input = \"*\"",
        "match.fixed-output = true",
        "match.hash = [\"sha256\"]",
        "match = { name = \"one\", system = \"no\" }",
    ] {
        assert!(!sets(about), "{about}");
    }
}

#[test]
fn what_is_forbidden_is_told_with_the_way_to_it() {
    let mut bench = Bench::new();
    let mut source = derivation(&[]);
    let hash = Hash::of(Algorithm::Sha1, b"x");
    let path = crate::nix::make_path::fixed_output_path("source", Method::Flat, &hash).unwrap();
    source.outputs = [("out".to_owned(), Output::Fixed { path, method: Method::Flat, hash })].into();
    let source = bench.add("source", source);
    let tool = bench.user("tool", &source, &[("src", "TOOL")]);
    let user = bench.user("user", &tool, &[("tool", "TOOL")]);
    let graph = bench.graph(std::slice::from_ref(&user));
    let policy =
        shipped().unwrap().iter().find(|policy| policy.name == "fixed-output-hash-strength").unwrap();
    let checked = check(&graph, std::slice::from_ref(&user), policy, &policy.at).unwrap();
    assert_eq!((checked.about, checked.violations.len()), (1, 1));
    let names: Vec<&str> =
        checked.violations[0].way.iter().map(|index| graph.nodes()[*index].name()).collect();
    assert_eq!(names, ["user", "tool", "source"]);
    assert!(checked.violations[0].changes.is_empty());
    assert!(!policy.rewrites());
    assert!(rewrite(&graph, &[user], &[(policy, &policy.at)]).unwrap().paths.is_empty());
}

#[test]
fn an_input_is_dropped_from_lists_and_from_nowhere_else() {
    let mut bench = Bench::new();
    let tool = bench.add("tool", derivation(&[]));
    let user = bench.user("user", &tool, &[("inputs", "/a TOOL/bin /b"), ("other", "x  y")]);
    let policy = rule("match.name = \"user\"\ndrop-input = [\"tool\"]");
    let rewritten = bench.rewrite(&user, &policy).unwrap();
    assert_eq!(rewritten.graph.nodes().len(), 1);
    let changes: Vec<&What> = rewritten.edits[0].changes.iter().map(|change| &change.what).collect();
    assert_eq!(changes, [&What::Variable(b"inputs".to_vec()), &What::Input("tool".to_owned())]);
    let user = bench.user("user", &tool, &[("script", "run TOOL/bin/x --now")]);
    let rewritten = bench.rewrite(&user, &policy).unwrap();
    assert_eq!(value(&rewritten.graph.nodes()[0].derivation, "script").unwrap(), "run --now");
    let mut named = Derivation::clone(&bench.all[&user]);
    named.args.push(value(&named, "script").unwrap().into_bytes());
    let named = bench.add("user", named);
    let error = bench.rewrite(&named, &policy).unwrap_err();
    assert_eq!(error.code(), crate::code::Code(1104), "{error}");
    assert!(error.to_string().contains("argument 3 names it"), "{error}");
}

#[test]
fn another_derivation_stands_in_the_place_of_an_input() {
    let mut bench = Bench::new();
    let tool = bench.add("tool-1", derivation(&[]));
    let other = bench.add("tool-2", derivation(&[("better", "1")]));
    let user = bench.user("user", &tool, &[("script", "run TOOL/bin/x")]);
    let top = bench.user("top", &user, &[("user", "TOOL")]);
    let policy = rule(&format!("swap-input.\"tool-*\" = \"{other}\""));
    let rewritten = bench.rewrite(&top, &policy).unwrap();
    rewritten.graph.check_paths().unwrap();
    let names: Vec<&str> = rewritten.graph.nodes().iter().map(|node| node.name()).collect();
    assert_eq!(names, ["tool-2", "user", "top"]);
    let user = &rewritten.graph.nodes()[1].derivation;
    assert_eq!(value(user, "script").unwrap(), format!("run {}/bin/x", bench.out(&other)));
    // Made to hold again it changes nothing, though its own name matches.
    let now = rewritten.now(&top).clone();
    assert!(rewrite(&rewritten.graph, &[now], &[(&policy, &policy.at)]).unwrap().paths.is_empty());
}

#[test]
fn a_replacement_that_needs_what_it_replaces_is_no_graph() {
    let mut bench = Bench::new();
    let tool = bench.add("tool", derivation(&[]));
    let user = bench.user("user", &tool, &[("tool", "TOOL")]);
    let top = bench.user("top", &user, &[("user", "TOOL")]);
    let policy = rule(&format!("match.name = \"user\"\nswap-input.tool = \"{top}\""));
    let error = bench.rewrite(&top, &policy).unwrap_err();
    assert!(matches!(error, PolicyError::Graph(crate::graph::GraphError::Cycle { .. })), "{error}");
    let missing = StorePath::from_digest(&[9; 20], "gone.drv").unwrap();
    let policy = rule(&format!("swap-input.tool = \"{missing}\""));
    let graph = bench.graph(std::slice::from_ref(&user));
    let error = rewrite(&graph, &[user], &[(&policy, &policy.at)]).unwrap_err();
    assert_eq!(error.code(), crate::code::Code(1105), "{error}");
}

#[test]
fn an_outputs_path_is_not_set() {
    let mut bench = Bench::new();
    let drv = bench.add("one", derivation(&[]));
    for change in
        ["set.out = \"x\"", "unset = [\"out\"]", "add-words.out = [\"x\"]", "remove-words.out = [\"x\"]"]
    {
        let error = bench.rewrite(&drv, &rule(change)).unwrap_err();
        assert_eq!(error.code(), crate::code::Code(1103), "{change}: {error}");
    }
}

#[test]
fn what_cannot_be_meant_is_refused_where_it_stands() {
    let wrong = |rules: &str| own(rules).unwrap_err().to_string();
    for (rules, said) in [
        ("", "`rule`: it has none"),
        ("[[policy.rule]]\n", "rule 1: it demands nothing"),
        ("[[policy.rule]]\nset.x = 1\n[[policy.rule]]\nmatch.name = \"x\"", "rule 2: it demands nothing"),
        ("[[policy.rule]]\nforbid = \" \"", "`forbid`: it does not say why"),
        ("[[policy.rule]]\nforbid = \"x\"\nset.x = 1", "make it two rules"),
        ("[[policy.rule]]\nset.name = \"x\"", "`name` is part of what a derivation is"),
        ("[[policy.rule]]\nunset = [\"__json\"]", "`__json` is part of"),
        ("[[policy.rule]]\nadd-words.x = [\"a b\"]", "`a b` is no word"),
        ("[[policy.rule]]\nmatch.name = \"[\"\nset.x = 1", "rule 1: `match`"),
        ("[[policy.rule]]\nmatch.hash = [\"crc\"]\nset.x = 1", "rule 1: `match`"),
        ("[[policy.rule]]\nswap-input.x = \"/tmp/x\"", "rule 1: `swap-input`"),
        ("[[policy.rule]]\nreplace = [{ in = \"x\", from = \"\", to = \"y\" }]", "`from` is empty"),
        ("[[policy.rule]]\nsets.x = 1", "unknown field"),
        ("[[policy.rule]]\nset.x = 1.5", "cannot be read"),
    ] {
        assert!(wrong(rules).contains(said), "{rules}: {}", wrong(rules));
    }
    let text = "[[policy]]\nname = \"Own\"\ntitle = \"t\"\nwhy = \"w\"\n[[policy.rule]]\nset.x = 1\n";
    assert!(Policy::parse(text).unwrap_err().to_string().contains("lower-case words"));
    let text = text.replace("Own", "own");
    assert!(Policy::parse(&format!("{text}{text}")).unwrap_err().to_string().contains("another policy"));
    assert!(Policy::parse(&text.replace("[[policy.rule]]", "at = \"leaf\"\n[[policy.rule]]")).is_err());
    let many = format!("{text}{}", "[[policy.rule]]\nset.x = 1\n".repeat(2000));
    assert_eq!(Policy::parse(&many).unwrap_err().to_string(), "it has more than 1024 rules");
}

#[test]
fn which_derivations_is_said_in_three_ways() {
    for text in ["root", "all", "/^go-/"] {
        assert_eq!(text.parse::<At>().unwrap().to_string(), text);
    }
    for text in ["", "//", "leaf", "/[/", "/x"] {
        assert!(text.parse::<At>().is_err(), "{text}");
    }
}
