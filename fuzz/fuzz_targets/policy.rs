//! A file of policies: read, looked for in a closure, and made to hold in it.
#![no_main]

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use libfuzzer_sys::fuzz_target;
use reprove::{
    graph::Graph,
    nix::{derivation::Derivation, store_path::StorePath},
    policy::{At, Policy, check, rewrite},
};

/// A tool that needs a library and a compiler, with honest paths; the library keeps structured attributes.
const CLOSURE: [(&str, &str); 3] = [
    ("cc-1", r#"Derive([("out","/nix/store/00000000000000000000000000000001-cc-1","","")],[],[],"x86_64-linux","/bin/sh",["-c","mkdir $out"],[("name","cc-1"),("out","/nix/store/00000000000000000000000000000001-cc-1"),("patches","a.patch b.patch")])"#),
    ("lib-1", r#"Derive([("out","/nix/store/00000000000000000000000000000002-lib-1","","")],[("/nix/store/00000000000000000000000000000001-cc-1.drv",["out"])],[],"x86_64-linux","/nix/store/00000000000000000000000000000001-cc-1/bin/sh",["-e"],[("__json","{\"buildInputs\":[\"/nix/store/00000000000000000000000000000001-cc-1\"],\"env\":{\"GOFLAGS\":\"-x\"},\"name\":\"lib-1\",\"strip\":true}"),("out","/nix/store/00000000000000000000000000000002-lib-1")])"#),
    ("tool-1", r#"Derive([("doc","/nix/store/00000000000000000000000000000003-tool-1-doc","",""),("out","/nix/store/00000000000000000000000000000003-tool-1","","")],[("/nix/store/00000000000000000000000000000001-cc-1.drv",["out"]),("/nix/store/00000000000000000000000000000002-lib-1.drv",["out"])],[],"x86_64-linux","/nix/store/00000000000000000000000000000001-cc-1/bin/sh",["-e"],[("buildInputs","/nix/store/00000000000000000000000000000002-lib-1"),("doc","/nix/store/00000000000000000000000000000003-tool-1-doc"),("dontStrip",""),("out","/nix/store/00000000000000000000000000000003-tool-1")])"#),
];

fn path(name: &str, number: usize) -> StorePath {
    format!("/nix/store/{number:032}-{name}.drv").parse().expect("a store path")
}

/// The closure, with the paths that its texts have, and its root.
static GRAPH: LazyLock<(Graph, StorePath)> = LazyLock::new(|| {
    let forged: BTreeMap<StorePath, Derivation> = CLOSURE
        .iter()
        .zip(1..)
        .map(|((name, text), number)| {
            (path(name, number), Derivation::parse(text.as_bytes()).expect("a derivation"))
        })
        .collect();
    let root = path("tool-1", 3);
    let graph = Graph::load(std::slice::from_ref(&root), |path| forged.get(path).cloned().ok_or(()))
        .expect("a closure");
    let repathed = graph.repath().expect("paths");
    let honest: BTreeMap<StorePath, Arc<Derivation>> = repathed.derivations.iter().cloned().collect();
    let root = repathed.now(&root).clone();
    let graph = Graph::load(std::slice::from_ref(&root), |path| honest.get(path).cloned().ok_or(()))
        .expect("the same closure");
    graph.check_paths().expect("honest paths");
    (graph, root)
});

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let policies = match Policy::parse(text) {
        Ok(policies) => policies,
        Err(error) => {
            let _ = (error.to_string(), error.code());
            return;
        }
    };
    let (graph, root) = &*GRAPH;
    let asked = std::slice::from_ref(root);
    for policy in policies.iter().take(4) {
        for at in [&policy.at, &At::All] {
            let violations = match check(graph, asked, policy, at) {
                Ok(checked) => checked.violations,
                Err(_) => continue,
            };
            let Ok(rewritten) = rewrite(graph, asked, &[(policy, at)]) else { continue };
            rewritten.graph.check_paths().expect("what is written anew is sound");
            // A check says what a rewrite would change, and the other way round; what is not needed any more is not told.
            let changing = violations.iter().filter(|violation| !violation.changes.is_empty()).count();
            assert!(rewritten.edits.len() <= changing);
            assert_eq!(changing == 0, rewritten.now(root) == root && rewritten.edits.is_empty());
        }
    }
});
