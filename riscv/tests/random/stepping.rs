//! The machine against itself: however a run is cut into pieces, the state is the same.

use std::io::Cursor;

use reprove_riscv::{Firmware, Machine, Stop};

use super::common::Random;
use super::machine::{self, MOST, World};
use super::program::{END, Program};
use reprove_riscv::memory::BASE;

/// Runs a program to its end, `step` by `step`, and gives every root at `marks`, and the last.
fn roots(
    program: &Program,
    world: World,
    marks: &[u64],
    mut step: impl FnMut(&mut Machine) -> u64,
) -> Vec<[u8; 32]> {
    let mut machine = machine::boot(program, world);
    let mut roots = Vec::new();
    let mut marks = marks.iter().copied().chain([MOST]).peekable();
    loop {
        let mark = marks.peek().copied().unwrap_or(MOST);
        let until = (machine.clock().now() + step(&mut machine)).min(mark);
        let stop = machine.run(until);
        if stop == Stop::Reached && machine.clock().now() == mark {
            roots.push(machine.state_root());
            marks.next();
        }
        if stop != Stop::Reached {
            assert!(matches!(stop, Stop::PoweredOff { .. }), "{stop:?}");
            roots.push(machine.state_root());
            return roots;
        }
    }
}

#[test]
fn a_run_in_pieces_of_any_size_is_the_same_run() {
    for world in [World::Bare, World::Paged] {
        let program = Program::new(7, 3000);
        let mut random = Random(7);
        let (_, length) = machine::run(&program, world);
        let mut marks: Vec<u64> = (0..8).map(|_| random.below(length)).collect();
        marks.sort_unstable();
        let whole = roots(&program, world, &marks, |_| MOST);
        assert_eq!(whole.len(), marks.len() + 1);
        assert_eq!(roots(&program, world, &marks, |_| 1), whole, "{world:?}: one by one");
        for bound in [3, 17, 100, 5000] {
            let pieces = roots(&program, world, &marks, |_| 1 + random.below(bound));
            assert_eq!(pieces, whole, "{world:?}: pieces of up to {bound}");
        }
    }
}

#[test]
fn a_run_of_translated_code_is_the_same_run() {
    for seed in 0..12 {
        let world = if seed % 2 == 0 { World::Bare } else { World::Paged };
        let program = Program::new(3000 + seed, 10_000);
        let mut random = Random(seed);
        let (_, length) = machine::run(&program, world);
        let mut marks: Vec<u64> = (0..20).map(|_| random.below(length)).collect();
        marks.sort_unstable();
        let by_operations = roots(&program, world, &marks, |machine| {
            machine.set_translates(false);
            MOST
        });
        assert_eq!(roots(&program, world, &marks, |_| MOST), by_operations, "seed {seed}, {world:?}");
        // Now so, now so.
        let both = roots(&program, world, &marks, |machine| {
            machine.set_translates(random.below(2) == 0);
            1 + random.below(50_000)
        });
        assert_eq!(both, by_operations, "seed {seed}, {world:?}, in turns");
    }
}

#[test]
fn a_run_that_is_stored_and_taken_up_again_is_the_same_run() {
    for world in [World::Bare, World::Paged] {
        let program = Program::new(8, 3000);
        let mut random = Random(8);
        let whole = roots(&program, world, &[], |_| MOST);
        let again = roots(&program, world, &[], |machine| {
            let mut stored = Vec::new();
            let root = machine.save(&mut stored).expect("to memory");
            *machine = Machine::new(END - BASE, 1, Firmware::Machine).expect("a little memory");
            assert_eq!(machine.load(&mut Cursor::new(&stored)).expect("what was stored"), root);
            1 + random.below(20_000)
        });
        assert_eq!(again, whole, "{world:?}");
    }
}

#[test]
fn a_run_that_is_stored_as_what_it_has_beyond_its_beginning_is_the_same_run() {
    for world in [World::Bare, World::Paged] {
        let program = Program::new(8, 3000);
        let mut random = Random(8);
        let whole = roots(&program, world, &[], |_| MOST);
        let beginning = || {
            let mut machine = machine::boot(&program, world);
            machine.set_base();
            machine
        };
        let mut begun = false;
        let again = roots(&program, world, &[], |machine| {
            if !std::mem::replace(&mut begun, true) {
                *machine = beginning();
            }
            let mut stored = Vec::new();
            let root = machine.save_delta(&mut stored).expect("to memory");
            *machine = beginning();
            assert_eq!(machine.load_delta(&mut Cursor::new(&stored)).expect("what was stored"), root);
            1 + random.below(20_000)
        });
        assert_eq!(again, whole, "{world:?}");
    }
}
