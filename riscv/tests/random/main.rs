//! Random programs of every instruction of RV64GC, in the machine and in `qemu-riscv64`: the same registers after every
//! few dozen instructions, and the same memory in the end. And in the machine alone, stopped in all kinds of places.

#![allow(clippy::panic)]

#[path = "../common/mod.rs"]
mod common;
mod compressed;
mod depth;
mod item;
mod machine;
mod program;
mod qemu;
mod stepping;
mod values;

use std::collections::BTreeMap;

use machine::World;
use program::{Program, RECORD, word_name};

/// The first difference between the two: the chunk after which it shows, and what it is.
fn difference(program: &Program, world: World, name: &str) -> (Option<(usize, String)>, u64) {
    let expected = qemu::run(program, name);
    let (got, instructions) = machine::run(program, world);
    let words = |bytes: &[u8]| -> Vec<u64> {
        bytes.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word)).collect()
    };
    let (got_words, expected_words) = (words(&got.records), words(&expected.records));
    let each = (RECORD / 8) as usize;
    if let Some(at) = (0..got_words.len()).find(|at| got_words[*at] != expected_words[*at]) {
        let (chunk, word) = (at / each, word_name(at % each));
        let what = format!("{word} is {:#x}, should be {:#x}", got_words[at], expected_words[at]);
        return (Some((chunk, what)), instructions);
    }
    let (got, expected) = (words(&got.data), words(&expected.data));
    let wrong = (0..got.len()).find(|at| got[*at] != expected[*at]).map(|at| {
        let what = format!("data[{}] is {:#x}, should be {:#x}", 8 * at, got[at], expected[at]);
        (program.chunks.len() - 1, what)
    });
    (wrong, instructions)
}

/// Leaves out of the chunk what the difference does not need, and says what is left of it.
fn explain(program: &Program, world: World, name: &str, chunk: usize) -> String {
    let differs = |rounds: u64, items: &[item::Item]| {
        difference(&program.cut(chunk, rounds, items), world, name).0.map(|(_, what)| what)
    };
    let whole = &program.chunks[chunk];
    let mut items = whole.items.clone();
    let Some(rounds) = (1..=whole.rounds).find(|rounds| differs(*rounds, &items).is_some()) else {
        return "only the whole program differs: memory that no later instruction has read".to_owned();
    };
    for at in (0..items.len()).rev() {
        let mut fewer = items.clone();
        fewer.remove(at);
        if differs(rounds, &fewer).is_some() {
            items = fewer;
        }
    }
    let what = differs(rounds, &items).unwrap_or_default();
    let items: Vec<String> = items.iter().map(|item| format!("  {} {:x?}", item.name, item.code)).collect();
    format!("in round {rounds} of these alone {what}:\n{}", items.join("\n"))
}

/// Compares the programs of some seeds. Instructions compared, and how often each is in a program.
fn compare(seeds: std::ops::Range<u64>, items: usize, world: World) -> (u64, BTreeMap<&'static str, u64>) {
    let mut compared = 0;
    let mut names = BTreeMap::new();
    for seed in seeds {
        let program = Program::new(seed, items);
        let name = format!("{world:?}-{seed}");
        let (wrong, instructions) = difference(&program, world, &name);
        if let Some((chunk, what)) = wrong {
            panic!(
                "seed {seed}, {items} items, {world:?}: after chunk {chunk} {what}\n{}",
                explain(&program, world, &name, chunk)
            );
        }
        compared += instructions - program.overhead();
        program.items().for_each(|item| *names.entry(item.name).or_default() += 1);
    }
    (compared, names)
}

/// Instructions of a program.
const ITEMS: usize = 30_000;

#[test]
fn a_million_instructions_in_supervisor_mode_as_in_qemu() {
    let (compared, names) = compare(0..8, ITEMS, World::Bare);
    println!("{compared} instructions compared");
    assert!(compared > 1_000_000, "only {compared} instructions");
    for name in item::names() {
        assert!(names.get(name).is_some_and(|count| *count > 40), "{name} {:?}", names.get(name));
    }
}

#[test]
fn a_million_instructions_behind_page_tables_as_in_qemu() {
    let (compared, _) = compare(100..108, ITEMS, World::Paged);
    println!("{compared} instructions compared");
    assert!(compared > 1_000_000, "only {compared} instructions");
}

#[test]
#[ignore = "slow: a hundred million instructions"]
fn a_hundred_million_instructions_as_in_qemu() {
    let mut compared = 0;
    let mut seed = 1000;
    while compared < 100_000_000 {
        let world = if seed % 2 == 0 { World::Bare } else { World::Paged };
        compared += compare(seed..seed + 1, ITEMS, world).0;
        seed += 1;
    }
}
