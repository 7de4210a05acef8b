//! Long runs on a small stack: operations and blocks go on to the next one by a jump, never by a call.

use std::thread;

use reprove_riscv::Stop;

use super::common::Random;
use super::item::{self, Code, Item};
use super::machine::{self, MOST, World};
use super::program::Program;

/// Bytes of the stack. One byte left behind by every instruction of a million would be too many.
const STACK: usize = 256 << 10;
/// Rounds of each loop.
const ROUNDS: u64 = 30_000;

/// Nothing in it makes the machine go back to its outer loop, which would empty the stack.
fn stays_inside(item: &Item) -> bool {
    !item.name.starts_with("csr")
}

/// Runs to the end on a small stack, translated and not; instructions run. A stack that is too small ends the whole test by
/// a signal.
fn run(program: &Program, world: World) -> u64 {
    let counts = [false, true].map(|translates| run_so(program, world, translates));
    assert_eq!(counts[0], counts[1]);
    counts[0]
}

fn run_so(program: &Program, world: World, translates: bool) -> u64 {
    let mut machine = machine::boot(program, world);
    machine.set_translates(translates);
    let run = move || {
        let stop = machine.run(MOST);
        assert!(matches!(stop, Stop::PoweredOff { .. }), "{stop:?} at {:#x}", machine.pc());
        machine.clock().retired()
    };
    let thread = thread::Builder::new().stack_size(STACK).spawn(run).expect("a thread");
    thread.join().expect("the run")
}

/// Each instruction alone in a tight loop, so that whichever goes on by a call is the one that fails.
#[test]
fn every_instruction_in_a_loop_of_its_own() {
    let mut random = Random(20);
    let mut chunks: Vec<(u64, Vec<Item>)> = Vec::new();
    for name in item::names().into_iter().filter(|name| !name.starts_with("csr")) {
        for _ in 0..2 {
            let item = loop {
                let item = item::item(&mut random);
                if item.name == name {
                    break item;
                }
            };
            // A jump has something to jump over.
            let after = Item { name: "c.nop", code: Code::Plain(vec![1]) };
            chunks.push((ROUNDS, vec![item, after]));
        }
    }
    let program = Program::of(&mut random, chunks);
    let count = run(&program, World::Bare);
    assert!(count > 30_000_000, "only {count} instructions");
}

#[test]
fn a_hundred_million_instructions_in_short_blocks() {
    let mut random = Random(21);
    let mut chunks: Vec<(u64, Vec<Item>)> = Vec::new();
    for _ in 0..200 {
        let items = (0..20).map(|_| item::item(&mut random)).filter(stays_inside).collect();
        chunks.push((ROUNDS, items));
    }
    let program = Program::of(&mut random, chunks);
    let count = run(&program, World::Paged);
    assert!(count > 100_000_000, "only {count} instructions");
}
