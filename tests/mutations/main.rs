//! Sound files of every format with bytes changed, cut and repeated: compared, explained and shown without a panic,
//! called equal exactly when their bytes are, within bounds on memory and on how often a byte is read.
//!
//! A hundred of each as a matter of course, ten thousand of each by `scripts/test-mutations`.

#![allow(clippy::unwrap_used, clippy::panic)]

mod change;
#[path = "../archives/layouts.rs"]
#[allow(dead_code)]
mod layouts;
mod seeds;
#[path = "../archives/writers.rs"]
mod writers;

use std::{
    io,
    process::Command,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use proptest::prelude::*;
use reprove::{
    diagnose::diagnose,
    diff::{Content, Limits, Pair, compare_files},
    report::diff::{Detail, document, write},
};

/// What a comparison of files as small as these may take of memory, all of the process' own included, in KiB.
const MEMORY: u64 = 512 << 10;

/// How often each byte of a file is read at most, on average: told apart, trimmed, compared, searched for what moved.
const READS: u64 = 150;
/// Bytes read besides, whatever the size: heads, tails, small tables.
const READ: u64 = 8 << 20;

/// Bytes that are counted when they are read, and in no slice, so that none is read without.
struct Counted<'a> {
    bytes: &'a [u8],
    read: AtomicU64,
}

impl Content for Counted<'_> {
    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.read.fetch_add(buffer.len() as u64, Relaxed);
        self.bytes.read_exact_at(offset, buffer)
    }
}

/// Less than anybody would want, so that the caps are met as well.
const LIMITS: fn() -> Limits = || Limits {
    unpacked: 400 << 10,
    unpacked_in_all: 16 << 20,
    depth: 4,
    ranges: 200,
    members: 60,
    ..Limits::default()
};

fn check(a: &[u8], b: &[u8], counted: bool) {
    let comparison = if counted {
        let [of_a, of_b] = [a, b].map(|bytes| Counted { bytes, read: AtomicU64::new(0) });
        let comparison = compare_files(&of_a, &of_b, &LIMITS()).unwrap();
        let most = READ + READS * (a.len() + b.len()) as u64;
        let read = of_a.read.into_inner() + of_b.read.into_inner();
        assert!(read <= most, "{read} bytes read of {} and {}", a.len(), b.len());
        comparison
    } else {
        compare_files(&a, &b, &LIMITS()).unwrap()
    };
    assert_eq!(comparison.identical(), a == b);
    let causes = diagnose(&comparison, &[]);
    assert_eq!(causes.is_empty(), a == b);
    write(&mut io::sink(), Pair::new("a", "b"), &comparison, &causes, Detail::Full).unwrap();
    serde_json::to_writer(io::sink(), &document(&comparison, &causes, None)).unwrap();
}

/// Runs itself once more, in a process that gets no more memory.
fn bounded(test: &str, seed: fn() -> Vec<u8>, cases: u32) {
    const INSIDE: &str = "REPROVE_TEST_BOUNDED";
    if std::env::var_os(INSIDE).is_some() {
        return mutate(&seed(), cases);
    }
    let itself = std::env::current_exe().unwrap();
    let script = format!("ulimit -v {MEMORY} && exec \"$0\" --exact --include-ignored --nocapture {test}");
    let output = Command::new("sh").args(["-c", &script]).arg(itself).env(INSIDE, "1").output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}\n{}", text(&output.stdout), text(&output.stderr));
    assert!(text(&output.stdout).contains("1 passed"), "{}", text(&output.stdout));
}

fn mutate(seed: &[u8], cases: u32) {
    assert!(compare_files(&seed, &seed, &LIMITS()).unwrap().identical());
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let strategy = (prop::collection::vec(change::change(), 1..6), any::<bool>());
    let outcome = runner.run(&strategy, |(changes, counted)| {
        let mut other = seed.to_vec();
        changes.iter().for_each(|change| change.apply(&mut other));
        check(seed, &other, counted);
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

macro_rules! formats {
    ($($format:ident)*) => {
        mod hundred {
            $(
                #[test]
                fn $format() {
                    super::bounded(concat!("hundred::", stringify!($format)), super::seeds::$format, 100);
                }
            )*
        }

        mod ten_thousand {
            $(
                #[test]
                #[ignore = "slow: 10,000 mutated files"]
                fn $format() {
                    super::bounded(concat!("ten_thousand::", stringify!($format)), super::seeds::$format, 10_000);
                }
            )*
        }

        /// The seeds are what they are called: each is read by its structure, which a single byte is enough to show.
        #[test]
        fn every_seed_is_read_by_its_structure() {
            $(by_structure(stringify!($format), &seeds::$format());)*
        }
    };
}

formats! {
    tar tar_pax tar_gnu ar deb cpio zip jar nar gzip xz zstd bzip2 pyc nested
    squashfs_gzip squashfs_xz squashfs_lz4 squashfs_zstd oci docker png zipapp makeself
    elf elf_32 elf_big_endian elf_32_big_endian elf_object elf_compressed go pe macho universal wasm gcov
    json text
}

/// Of single bytes all over a file, most are in a place with a name, or their reader says what they broke.
fn by_structure(name: &str, seed: &[u8]) {
    if matches!(name, "text" | "json") {
        return;
    }
    let (mut told, mut of) = (0, 0);
    for at in (0..seed.len()).step_by((seed.len() / 40).max(1)) {
        let mut other = seed.to_vec();
        other[at] ^= 1;
        let comparison = compare_files(&seed, &other, &Limits::default()).unwrap();
        let root = &comparison.differences[0];
        let nothing = root.notes.iter().any(|note| note.code().to_string() == "RP0911");
        told += usize::from(!nothing && (!root.inside.is_empty() || !root.notes.is_empty()));
        of += 1;
    }
    assert!(told * 10 >= of * 7, "{name}: {told} of {of}");
}
