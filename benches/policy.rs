//! How long making a policy hold takes: one derivation at the bottom of a closure is changed, and everything above it written anew.
//! `cargo bench --bench policy`; the same closures are read and checked in the same run, for a ratio.

#![allow(clippy::unwrap_used)]

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use reprove::{
    graph::Graph,
    nix::{
        derivation::{Derivation, Output},
        hash_modulo::{HashModulos, OutputCheck, own_path},
        store_path::StorePath,
    },
    policy::{Policy, rewrite},
};

/// Runs of each; the fastest counts.
const RUNS: usize = 5;

fn main() {
    println!("| derivations | bytes of text | read and checked, ms | rewritten, ms | ratio | new paths |");
    println!("|---|---|---|---|---|---|");
    for (layers, width) in [(20, 10), (200, 50)] {
        measure(layers, width);
    }
}

fn measure(layers: usize, width: usize) {
    let (all, root) = lattice(layers, width);
    let texts: BTreeMap<&StorePath, Vec<u8>> =
        all.iter().map(|(path, derivation)| (path, derivation.serialise())).collect();
    let policy = Policy::parse(
        "[[policy]]\nname = \"one\"\ntitle = \"t\"\nwhy = \"w\"\nat = \"/^layer-0-0$/\"\n[[policy.rule]]\nset.dontStrip = true\n",
    )
    .unwrap();
    let asked = std::slice::from_ref(&root);
    let load = || {
        let graph = Graph::load(asked, |path| Derivation::parse(&texts[path])).unwrap();
        graph.check_paths().unwrap();
        graph
    };
    let (reading, graph) = fastest(load);
    let (rewriting, rewritten) = fastest(|| rewrite(&graph, asked, &[(&policy[0], &policy[0].at)]).unwrap());
    let bytes: usize = texts.values().map(Vec::len).sum();
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    println!(
        "| {} | {bytes} | {:.1} | {:.1} | {:.2} | {} |",
        graph.nodes().len(),
        milliseconds(reading),
        milliseconds(rewriting),
        rewriting.as_secs_f64() / reading.as_secs_f64(),
        rewritten.paths.len()
    );
}

fn fastest<T>(work: impl Fn() -> T) -> (Duration, T) {
    let timed = |_| {
        let begin = Instant::now();
        let made = work();
        (begin.elapsed(), made)
    };
    (0..RUNS).map(timed).min_by_key(|(time, _)| *time).unwrap()
}

/// A closure in layers: each derivation needs three of the layer below, and says as much as one of Nixpkgs does (3 KB).
fn lattice(layers: usize, width: usize) -> (BTreeMap<StorePath, Derivation>, StorePath) {
    let mut all: BTreeMap<StorePath, Derivation> = BTreeMap::new();
    let mut modulos = HashModulos::new();
    let mut below: Vec<StorePath> = Vec::new();
    for layer in 0..layers {
        let inputs = |place: usize| -> Vec<StorePath> {
            let some = (0..3).filter(|_| !below.is_empty()).map(|step| (place + step) % below.len().max(1));
            some.map(|place| below[place].clone()).collect()
        };
        let names: Vec<String> = (0..width).map(|place| format!("layer-{layer}-{place}")).collect();
        let made: Vec<(StorePath, Derivation)> = names
            .iter()
            .enumerate()
            .map(|(place, name)| add(&mut modulos, &all, name, &inputs(place)))
            .collect();
        below = made.iter().map(|(path, _)| path.clone()).collect();
        all.extend(made);
    }
    let (root, top) = add(&mut modulos, &all, "top", &below);
    all.insert(root.clone(), top);
    (all, root)
}

/// A derivation under the path that it has.
fn add(
    modulos: &mut HashModulos,
    all: &BTreeMap<StorePath, Derivation>,
    name: &str,
    inputs: &[StorePath],
) -> (StorePath, Derivation) {
    let forged = |name: &str| StorePath::from_digest(&[1; 20], name).unwrap();
    let (drv, out) = (forged(&format!("{name}.drv")), forged(name));
    let paths: Vec<String> =
        inputs.iter().map(|input| all[input].output_path("out").unwrap().to_string()).collect();
    let filler = |number: usize| {
        (
            format!("attribute{number}").into_bytes(),
            format!("{name} says this and that, {number} times over").repeat(2).into_bytes(),
        )
    };
    let mut env: BTreeMap<Vec<u8>, Vec<u8>> = (0..24).map(filler).collect();
    env.insert(b"buildInputs".to_vec(), paths.join(" ").into_bytes());
    env.insert(b"out".to_vec(), out.to_string().into_bytes());
    let mut derivation = Derivation {
        outputs: [("out".to_owned(), Output::InputAddressed { path: out })].into(),
        input_drvs: inputs.iter().map(|input| (input.clone(), BTreeSet::from(["out".to_owned()]))).collect(),
        input_srcs: BTreeSet::new(),
        system: b"x86_64-linux".to_vec(),
        builder: b"/bin/sh".to_vec(),
        args: Vec::new(),
        env,
    };
    for (output, check) in modulos.check_outputs(&drv, &derivation).unwrap() {
        if let OutputCheck::Different { computed, .. } = check {
            derivation.env.insert(output.clone().into_bytes(), computed.to_string().into_bytes());
            derivation.outputs.insert(output, Output::InputAddressed { path: computed });
        }
    }
    let drv = own_path(&drv, &derivation).unwrap();
    modulos.insert(&drv, &derivation).unwrap();
    (drv, derivation)
}
