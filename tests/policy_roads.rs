//! Two roads to one path: a policy as a Nix function or overlay (`nix/policies.nix`), evaluated by `nix`, and as a rewrite of the
//! derivations, give the same derivations, to the byte. On a tree like Nixpkgs (`tests/nixpkgs-like`).

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use reprove::{
    graph::Graph,
    nix::store_path::StorePath,
    policy::{At, Policy, Value, check, rewrite, shipped},
};
use support::nix::Nix;

const PACKAGES: [&str; 17] = [
    "barge",
    "courier",
    "courier-structured",
    "env-vars",
    "ferry",
    "freight",
    "go_1_26",
    "go_1_27",
    "go-bootstrap",
    "hello",
    "lattice",
    "old-md5",
    "openssl",
    "port-list",
    "stamped",
    "zlib",
    "zlib-structured",
];

/// Every package without and with the overlay of the toolchain.
const OVERLAID: &str = "{ go-unpatched = each (name: pair (tree [ ]).${name} (tree [ policies.overlays.go-unpatched ]).${name}); }";

/// Derivations by policy and package, before and after.
type Pairs = BTreeMap<String, BTreeMap<String, [StorePath; 2]>>;

/// Evaluates `pairs`, a function of the tree, the policies and the names of the packages.
fn evaluate(nix: &Nix, pairs: &str) -> Pairs {
    let at = |path: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join(path).display().to_string();
    let expression = format!(
        "let tree = overlays: import {} {{ system = \"x86_64-linux\"; inherit overlays; }};
             policies = import {};
             names = [ {} ];
             each = f: builtins.listToAttrs (map (name: {{ inherit name; value = f name; }}) names);
             pair = before: after: [ before.drvPath after.drvPath ];
         in {pairs}",
        at("tests/nixpkgs-like"),
        at("nix/policies.nix"),
        PACKAGES.map(|name| format!("\"{name}\"")).join(" ")
    );
    let file = nix.scratch("pairs.nix");
    fs::write(&file, expression).unwrap();
    let json = nix.run(
        "nix-instantiate",
        &["--eval", "--strict", "--json", "--read-write-mode", file.to_str().unwrap()],
    );
    serde_json::from_str(&json).unwrap()
}

fn load(nix: &Nix, root: &StorePath) -> Graph {
    Graph::load(std::slice::from_ref(root), |path| Ok::<_, String>(nix.derivation(path))).unwrap()
}

fn policy(name: &str) -> &'static Policy {
    shipped().unwrap().iter().find(|policy| policy.name == name).unwrap()
}

/// Rewrites `before` and holds every derivation of it against what `nix` wrote.
fn compare(nix: &Nix, name: &str, policy: &Policy, at: &At, [before, after]: &[StorePath; 2]) -> bool {
    let graph = load(nix, before);
    let asked = std::slice::from_ref(before);
    let rewritten = rewrite(&graph, asked, &[(policy, at)]).unwrap();
    let now = rewritten.now(before);
    if now != after {
        let text = |derivation: &reprove::nix::derivation::Derivation| {
            String::from_utf8_lossy(&derivation.serialise()).replace("),(", "),\n(")
        };
        let ours = &rewritten.graph.nodes()[rewritten.graph.roots()[0]].derivation;
        let nixes = nix.derivation(after);
        panic!("{} of {name}: {now}, and by Nix {after}\n{}\n\n{}", policy.name, text(ours), text(&nixes));
    }
    for node in rewritten.graph.nodes() {
        assert_eq!(*node.derivation, nix.derivation(&node.drv), "{} of {name}: {}", policy.name, node.drv);
    }
    // Where the policy holds nothing violates it, and making it hold again changes nothing.
    let asked = std::slice::from_ref(after);
    let held = check(&rewritten.graph, asked, policy, at).unwrap();
    assert!(held.violations.is_empty(), "{} of {name}: {held:?}", policy.name);
    assert!(rewrite(&rewritten.graph, asked, &[(policy, at)]).unwrap().paths.is_empty());
    // And what changes is what violated it.
    let violations = check(&graph, std::slice::from_ref(before), policy, at).unwrap().violations;
    assert_eq!(violations.is_empty(), before == after, "{} of {name}", policy.name);
    before != after
}

#[test]
fn each_policy_on_what_is_asked_for() {
    let nix = Nix::new();
    let pairs = evaluate(
        &nix,
        "builtins.mapAttrs (_: policy: each (name: let package = (tree [ ]).${name}; in pair package (policy package))) policies.policies",
    );
    let rewriting = shipped().unwrap().iter().filter(|policy| policy.rewrites());
    assert_eq!(
        pairs.keys().map(String::as_str).collect::<Vec<_>>(),
        {
            let mut names: Vec<&str> = rewriting.map(|policy| policy.name.as_str()).collect();
            names.sort_unstable();
            names
        },
        "both roads know the same policies"
    );
    for (name, packages) in &pairs {
        let changed = packages
            .iter()
            .filter(|(package, pair)| compare(&nix, package, policy(name), &At::Root, pair))
            .count();
        assert!(changed > 0, "{name} changes nothing in any of the packages");
    }
}

#[test]
fn the_toolchain_deep_in_the_graph() {
    let nix = Nix::new();
    let pairs = evaluate(&nix, OVERLAID);
    let policy = policy("go-unpatched");
    let changed: Vec<&str> = pairs["go-unpatched"]
        .iter()
        .filter(|(name, pair)| compare(&nix, name, policy, &policy.at, pair))
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(
        changed,
        [
            "barge",
            "courier",
            "courier-structured",
            "ferry",
            "freight",
            "go_1_26",
            "go_1_27",
            "lattice",
            "port-list"
        ]
    );
}

#[test]
fn several_policies_see_what_the_ones_before_them_did() {
    let nix = Nix::new();
    let names = ["go-release-flags", "go-omit-symbols", "dont-strip", "no-references-to", "single-core"];
    let list = names.map(|name| format!("\"{name}\"")).join(" ");
    let pairs = evaluate(
        &nix,
        &format!(
            "{{ all = each (name: let package = (tree [ ]).${{name}}; in pair package (policies.apply [ {list} ] package)); }}"
        ),
    );
    let chosen: Vec<(&Policy, &At)> = names.iter().map(|name| (policy(name), &At::Root)).collect();
    for (name, [before, after]) in &pairs["all"] {
        let rewritten = rewrite(&load(&nix, before), std::slice::from_ref(before), &chosen).unwrap();
        assert_eq!(rewritten.now(before), after, "{name}");
    }
}

#[test]
fn an_input_that_nothing_names_any_more_is_none() {
    let nix = Nix::new();
    let pairs = evaluate(&nix, OVERLAID);
    let [before, _] = &pairs["go-unpatched"]["courier"];
    let graph = load(&nix, before);
    let has = |graph: &Graph, name: &str| graph.nodes().iter().any(|node| node.name().starts_with(name));
    assert!(has(&graph, "mailcap"), "a patch names it");
    let policy = policy("go-unpatched");
    let rewritten = rewrite(&graph, std::slice::from_ref(before), &[(policy, &policy.at)]).unwrap();
    assert!(!has(&rewritten.graph, "mailcap"));
    let [edit] = &rewritten.edits[..] else { panic!("{:?}", rewritten.edits) };
    assert!(edit.drv.short_name().starts_with("go-1.26"), "{edit:?}");
}

#[test]
fn values_are_those_that_nix_makes_of_them() {
    let nix = Nix::new();
    let values = [
        ("true", Value::Flag(true)),
        ("false", Value::Flag(false)),
        ("-17", Value::Number(-17)),
        ("\"a \\\"b\\\" \\\\ é\\n\\t\"", Value::Text("a \"b\" \\ é\n\t".to_owned())),
        ("[ \"a\" \"\" \"b c\" ]", Value::List(["a", "", "b c"].map(str::to_owned).to_vec())),
        ("[ ]", Value::List(Vec::new())),
    ];
    for (written, value) in values {
        let pairs = evaluate(
            &nix,
            &format!(
                "{{ set = each (name: let package = (tree [ ]).${{name}}; in pair package (package.overrideAttrs (_: {{ zz = {written}; }}))); }}"
            ),
        );
        let toml = match &value {
            Value::Flag(flag) => flag.to_string(),
            Value::Number(number) => number.to_string(),
            Value::Text(text) => toml::Value::from(text.as_str()).to_string(),
            Value::List(words) => toml::Value::from(words.clone()).to_string(),
        };
        let text = format!(
            "[[policy]]\nname = \"own\"\ntitle = \"t\"\nwhy = \"w\"\n[[policy.rule]]\nset.zz = {toml}\n"
        );
        let own = Policy::parse(&text).unwrap();
        for (name, pair) in &pairs["set"] {
            assert!(compare(&nix, name, &own[0], &At::Root, pair), "{name}: {written}");
        }
    }
}

#[test]
fn what_is_applied_is_what_nix_takes() {
    let nix = Nix::new();
    let pairs = evaluate(
        &nix,
        "{ dont-strip = each (name: let package = (tree [ ]).${name}; in pair package (policies.policies.dont-strip package)); }",
    );
    let [before, after] = &pairs["dont-strip"]["freight"];
    let (state, elsewhere) = (nix.scratch("state"), nix.scratch("elsewhere"));
    let drv = nix.root().join("nix/store").join(before.base_name());
    let output = Command::new(env!("CARGO_BIN_EXE_reprove"))
        .args(["policy", "apply", "--policy", "dont-strip", "--quiet", "--state"])
        .arg(&state)
        .arg("--store")
        .arg(&elsewhere)
        .arg(drv)
        .env("HOME", nix.scratch("home"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{after}\n"));
    let needed = nix.run("nix-store", &["--query", "--requisites", &after.to_string()]);
    for store in [state.join("nix"), elsewhere] {
        let store = store.to_str().unwrap();
        assert_eq!(
            nix.run("nix-store", &["--store", store, "--query", "--requisites", &after.to_string()]),
            needed
        );
        nix.run("nix-store", &["--store", store, "--verify", "--check-contents"]);
    }
}
