//! Checkpoints of the embedded machine: a run that was interrupted goes on and comes to the same end, to the last bit. With a
//! guest of a few hundred instructions, so that it takes no package and no time.

#![allow(clippy::unwrap_used, clippy::panic)] // what is not as expected ends the test

#[allow(dead_code)]
#[path = "../riscv/tests/common/asm.rs"]
mod asm;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use asm::{A0, A7, Asm, Cond, S2, S3, S4, T0, T1, T2, ZERO};
use reprove::guest::Bundle;
use reprove::machine::embedded::{Checkpoints, Embedded};
use reprove::machine::{Arch, Caps, Drive, End, Job, Machine, News, Run, Settings, StateRoots, Watch};

/// Characters the guest writes after its mark, one every 4 million instructions.
const DOTS: u32 = 30;

/// Roots are taken every so many steps, as a power of two.
const ROOTS: u8 = 23;

/// Where a kernel begins, memory that it may have, and the drives.
const KERNEL: u64 = 0x8020_0000;
const SPARE: u64 = 0x8400_0000;
const INPUT: u64 = 0x8000_0000 + (1 << 30);
const OUTPUT: u64 = INPUT + (256 << 20);

/// A kernel that says it waits for its drives, then computes from the input, writes all over its memory and to the output, says
/// something now and then, and switches the machine off.
fn kernel() -> Vec<u8> {
    let mut asm = Asm::at(KERNEL);
    let say = |asm: &mut Asm, text: &str| {
        for byte in text.bytes() {
            asm.li(A0, u64::from(byte)).li(A7, 1).put(asm::ecall());
        }
    };
    say(&mut asm, "booted\n@reprove - attach\n");
    asm.li(T0, INPUT).put(asm::ld(S2, T0, 0)); // what is computed
    asm.li(S3, u64::from(DOTS)).li(S4, SPARE).label("dot").li(T2, 700_000).label("next");
    // xorshift
    for shift in [asm::slli(T1, S2, 13), asm::srli(T1, S2, 7), asm::slli(T1, S2, 17)] {
        asm.put(shift).put(asm::xor(S2, S2, T1));
    }
    asm.put(asm::addi(T2, T2, -1)).branch(Cond::Ne, T2, ZERO, "next");
    asm.put(asm::sd(S2, S4, 0)).li(T0, 4096).put(asm::add(S4, S4, T0));
    asm.li(T0, OUTPUT).put(asm::sd(S2, T0, 0)).li(T0, SPARE).put(asm::sd(S2, T0, 0));
    say(&mut asm, ".");
    asm.put(asm::addi(S3, S3, -1)).branch(Cond::Ne, S3, ZERO, "dot");
    asm.li(A7, 8).put(asm::ecall());
    asm.finish()
}

/// What the run is of.
struct Place {
    folder: tempfile::TempDir,
    bundle: Bundle,
}

/// What is left of a run, and whether it was taken up.
#[derive(Clone, Debug, PartialEq)]
struct Left {
    end: End,
    instructions: Option<u64>,
    console: String,
    output: Vec<u8>,
    state: Option<StateRoots>,
}

/// Cancels after so many dots, and notes whether the run was taken up.
struct Watcher {
    dots: usize,
    heard: usize,
    taken_up: Option<u64>,
}

impl Watch for Watcher {
    fn console(&mut self, bytes: &[u8]) {
        self.heard += bytes.iter().filter(|byte| **byte == b'.').count();
    }

    fn news(&mut self, news: &News) {
        match news {
            News::TakenUp { instructions } => self.taken_up = Some(*instructions),
            News::NotKept { why } => unreachable!("{why}"),
        }
    }

    fn cancelled(&self) -> bool {
        self.heard >= self.dots
    }
}

impl Place {
    fn new() -> Place {
        let bundle = Bundle::new(Arch::Riscv64, kernel(), Vec::new(), None);
        Place { folder: tempfile::tempdir().unwrap(), bundle }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("checkpoints")
    }

    /// Folders of runs.
    fn kept(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(self.path()) else { return Vec::new() };
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    fn machine(&self) -> Embedded {
        let checkpoints = Checkpoints::new(self.path(), Checkpoints::LEAST);
        Embedded::new(None).with_state_roots(ROOTS).with_checkpoints(checkpoints)
    }

    /// Runs with `input` on the drive, as the run called `round`, until `dots` dots were written; what is left, and the instructions
    /// after which it was taken up.
    fn run(&self, machine: &Embedded, input: u64, round: &str, dots: usize) -> (Left, Option<u64>) {
        let file = self.folder.path().join("input");
        fs::write(&file, input.to_le_bytes()).unwrap();
        let input = Drive { file: File::open(file).unwrap(), len: 8, sha256: [0; 32] };
        let settings = Settings { memory: 256 << 20, ..Settings::default() };
        let caps = Caps { output_bytes: 1 << 20, ..Caps::default() };
        let job = Job { bundle: &self.bundle, settings: &settings, caps: &caps, input: &input, round };
        let mut watch = Watcher { dots, heard: 0, taken_up: None };
        let Run { end, instructions, console, output, state, .. } = machine.run(&job, &mut watch).unwrap();
        let mut bytes = vec![0; output.len() as usize];
        output.read_exact_at(&mut bytes, 0).unwrap();
        let console = String::from_utf8(console).unwrap();
        (Left { end, instructions, console, output: bytes, state }, watch.taken_up)
    }

    /// Interrupts a run in its middle.
    fn interrupt(&self, input: u64, round: &str) {
        let (left, taken_up) = self.run(&self.machine(), input, round, DOTS as usize / 2);
        assert_eq!((left.end, taken_up), (End::Cancelled, None));
    }

    /// Runs to the end; with nothing kept, whatever there was.
    fn finish(&self, input: u64, round: &str) -> (Left, Option<u64>) {
        self.run(&self.machine(), input, round, usize::MAX)
    }

    /// The run that nothing interrupts and of which nothing is kept.
    fn whole(&self, input: u64) -> Left {
        let machine = Embedded::new(None).with_state_roots(ROOTS);
        let (left, taken_up) = self.run(&machine, input, "", usize::MAX);
        assert_eq!((left.end, taken_up), (End::PoweredOff, None));
        assert!(left.console.ends_with(&".".repeat(DOTS as usize)), "{}", left.console);
        assert!(left.output.iter().any(|byte| *byte != 0));
        left
    }
}

#[test]
fn an_interrupted_run_goes_on_and_comes_to_the_same_end() {
    let place = Place::new();
    let whole = place.whole(77);
    let (straight, taken_up) = place.finish(77, "");
    assert_eq!((&straight, taken_up), (&whole, None), "to keep states changes nothing");
    assert_eq!(place.kept(), Vec::<PathBuf>::new(), "nothing is left of a run that ended");
    place.interrupt(77, "");
    assert_eq!(place.kept().len(), 1);
    // Once more, from the middle to a little later.
    let (left, first) = place.run(&place.machine(), 77, "", DOTS as usize * 3 / 4);
    assert_eq!(left.end, End::Cancelled);
    let (left, second) = place.finish(77, "");
    assert_eq!(left, whole);
    let half = whole.instructions.unwrap() / 2;
    assert!(first > Some(half - (1 << 25)) && first < Some(half + (1 << 23)), "{first:?} of {whole:?}");
    assert!(second > first, "{second:?}");
    assert_eq!(place.kept(), Vec::<PathBuf>::new());
}

#[test]
fn roots_along_a_run_are_taken_at_every_multiple_and_change_nothing() {
    let place = Place::new();
    let whole = place.whole(77).state.unwrap();
    let without = place.run(&Embedded::new(None), 77, "", usize::MAX).0.state.unwrap();
    assert_eq!((without.first, without.last, without.along.len()), (whole.first, whole.last, 0));
    let steps: Vec<u64> = whole.along.iter().map(|at| at.step).collect();
    assert_eq!(steps, (1..=steps.len() as u64).map(|n| n << ROOTS).collect::<Vec<_>>());
    assert!(steps.len() > 10);
    let rarer = place.run(&Embedded::new(None).with_state_roots(25), 77, "", usize::MAX).0.state.unwrap();
    let expected: Vec<_> = whole.along.iter().filter(|at| at.step % (1 << 25) == 0).copied().collect();
    assert_eq!(rarer.along, expected);
    let mut roots: Vec<_> = whole.along.iter().map(|at| at.root).collect();
    roots.sort_unstable();
    roots.dedup();
    assert_eq!(roots.len(), steps.len(), "each is another state");
}

#[test]
fn only_the_very_same_run_goes_on() {
    let place = Place::new();
    place.interrupt(77, "round 1");
    assert_eq!(place.finish(77, "round 2").1, None, "another round");
    assert_eq!(place.finish(78, "round 1").1, None, "another drive");
    let roots = place.machine().with_state_roots(24);
    assert_eq!(place.run(&roots, 77, "round 1", usize::MAX).1, None, "other roots");
    assert_eq!(place.kept().len(), 1);
    let again = place.run(&place.machine().anew(), 77, "round 1", usize::MAX);
    assert_eq!(again, (place.whole(77), None), "not when it is to begin again");
    assert_eq!(place.kept(), Vec::<PathBuf>::new());
}

#[test]
fn what_was_damaged_is_not_used() {
    let place = Place::new();
    let whole = place.whole(77);
    let damage = |how: &dyn Fn(&Path)| {
        place.interrupt(77, "");
        how(&place.kept()[0].join("state"));
        assert_eq!(place.finish(77, ""), (whole.clone(), None));
        assert_eq!(place.kept(), Vec::<PathBuf>::new());
    };
    let flip = |at: fn(usize) -> usize| {
        move |file: &Path| {
            let mut bytes = fs::read(file).unwrap();
            let at = at(bytes.len());
            bytes[at] ^= 4;
            fs::write(file, bytes).unwrap();
        }
    };
    damage(&flip(|len| len / 2));
    damage(&flip(|len| len - 1));
    damage(&flip(|_| 30));
    damage(&|file| fs::write(file, b"").unwrap());
    damage(&|file| fs::remove_file(file).unwrap());
    // Whole, but of something else: bytes of the console changed and compressed again.
    damage(&|file| {
        let mut bytes = zstd::decode_all(File::open(file).unwrap()).unwrap();
        let dot = bytes.iter().position(|byte| *byte == b'.').unwrap();
        bytes[dot] = b'!';
        fs::write(file, zstd::encode_all(&bytes[..], 1).unwrap()).unwrap();
    });
}

#[test]
fn a_run_whose_folder_another_process_has_goes_its_own_way() {
    let place = Place::new();
    place.interrupt(77, "");
    let folder = place.kept().remove(0);
    let lock = File::open(&folder).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let state = fs::read(folder.join("state")).unwrap();
    assert_eq!(place.finish(77, ""), (place.whole(77), None));
    assert!(fs::read(folder.join("state")).unwrap() == state, "it was left alone");
}

#[test]
fn runs_that_nobody_goes_on_with_do_not_pile_up() {
    let place = Place::new();
    fs::create_dir(place.path()).unwrap();
    for n in 0..40 {
        let folder = place.path().join(format!("{n:064}"));
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("state"), b"x").unwrap();
    }
    place.interrupt(77, "");
    assert_eq!(place.kept().len(), 16);
}
