//! Sound archives with bytes changed, cut and repeated: compared, explained and shown without a panic, equal exactly
//! when their bytes are.

use proptest::prelude::*;
use reprove::{
    diagnose::diagnose,
    diff::{Limits, Pair, compare_files},
    report::diff::{Detail, write},
};

use super::writers;

/// A sound file of each format.
fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let text: Vec<u8> = (0..60).flat_map(|n| format!("line {n} of a text\n").into_bytes()).collect();
    let binary: Vec<u8> = (0..700u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
    let files: [(&str, &[u8]); 4] = [("one", &text), ("two", &binary), ("d/three", b"3"), ("empty", b"")];
    let raw: Vec<(&[u8], &[u8])> = files.iter().map(|(name, data)| (name.as_bytes(), *data)).collect();
    let pax = writers::tar_extended(
        b'x',
        b"19 path=a/long/name\n18 mtime=1234.5678\n",
        writers::tar_header(b"s", 5, b'0'),
        b"hello",
    );
    let gnu =
        writers::tar_extended(b'L', b"a/name/that/is/long\0", writers::tar_header(b"s", 5, b'0'), b"hello");
    vec![
        ("tar", writers::tar(&raw)),
        ("tar with a pax header", pax),
        ("tar with a long name", gnu),
        (
            "ar",
            writers::ar(&[
                ("/", &binary[..40]),
                ("//", b"a_long_name_of_a_member/\nanother/\n"),
                ("one/", &text),
                ("/0", &binary),
                ("#1/4", b"bsd!data"),
            ]),
        ),
        ("cpio", [writers::cpio(&files), writers::gzip(&writers::cpio(&files[..1]))].concat()),
        ("zip", writers::zip(&files)),
        ("gzip", [writers::gzip(&text), writers::gzip(&binary)].concat()),
        ("xz", writers::xz(&text)),
        ("zstd", writers::zstd(&text)),
        ("bzip2", writers::bzip2(&text)),
        ("pyc", writers::pyc("/build/source/mod.py", &binary)),
        (
            "nested",
            writers::ar(&[(
                "data.tar.gz/",
                &writers::gzip(&writers::tar(&[
                    (b"x.zip", &writers::zip(&files)),
                    (b"lib.a", &writers::ar(&[("o/", &binary)])),
                ])),
            )]),
        ),
    ]
}

/// A change of some bytes.
#[derive(Clone, Debug)]
enum Change {
    Flip(prop::sample::Index, u8),
    Number(prop::sample::Index, u64, usize),
    Cut(prop::sample::Index, usize),
    Insert(prop::sample::Index, Vec<u8>),
    Repeat(prop::sample::Index, usize),
    /// Makes the checksum of a tar header right again, so that what is behind it is read.
    Checksum(prop::sample::Index),
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<prop::sample::Index>;
    let extreme = prop_oneof![Just(0), Just(u64::MAX), Just(0x7fff_ffff), Just(0xffff_fffe), any::<u64>()];
    prop_oneof![
        (at(), 1u8..).prop_map(|(at, with)| Change::Flip(at, with)),
        (at(), extreme, 1usize..9).prop_map(|(at, number, len)| Change::Number(at, number, len)),
        (at(), 1usize..600).prop_map(|(at, len)| Change::Cut(at, len)),
        (at(), prop::collection::vec(any::<u8>(), 1..40)).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        (at(), 1usize..600).prop_map(|(at, len)| Change::Repeat(at, len)),
        at().prop_map(Change::Checksum),
    ]
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    if bytes.is_empty() {
        return;
    }
    let len = bytes.len();
    match change {
        Change::Flip(at, with) => bytes[at.index(len)] ^= with,
        Change::Number(at, number, size) => {
            let at = at.index(len);
            let end = (at + size).min(len);
            bytes[at..end].copy_from_slice(&number.to_le_bytes()[..end - at]);
        }
        Change::Cut(at, size) => {
            let at = at.index(len);
            bytes.drain(at..(at + size).min(len));
        }
        Change::Insert(at, new) => {
            let at = at.index(len);
            bytes.splice(at..at, new.iter().copied());
        }
        Change::Repeat(at, size) => {
            let at = at.index(len);
            let part = bytes[at..(at + size).min(len)].to_vec();
            bytes.splice(at..at, part);
        }
        Change::Checksum(at) => {
            let at = at.index(len) / 512 * 512;
            if let Some(block) = bytes.get_mut(at..at + 512) {
                writers::tar_checksum(block);
            }
        }
    }
}

fn check(a: &Vec<u8>, b: &Vec<u8>) {
    // Less than anybody would want, so that the caps are met as well.
    let limits = Limits { unpacked: 100 << 10, depth: 4, ranges: 200, ..Limits::default() };
    let comparison = compare_files(a, b, &limits).unwrap();
    assert_eq!(comparison.identical(), a == b);
    let causes = diagnose(&comparison, &[]);
    assert_eq!(causes.is_empty(), a == b);
    write(&mut std::io::sink(), Pair::new("a", "b"), &comparison, &causes, Detail::Full).unwrap();
    serde_json::to_writer(std::io::sink(), &reprove::report::diff::document(&comparison, &causes, None))
        .unwrap();
}

fn mutate(name: &str, cases: u32) {
    let seed = seeds().into_iter().find(|(seed, _)| *seed == name).unwrap().1;
    assert!(compare_files(&seed, &seed, &Limits::default()).unwrap().identical());
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let outcome = runner.run(&prop::collection::vec(change(), 1..6), |changes| {
        let mut other = seed.clone();
        changes.iter().for_each(|change| apply(&mut other, change));
        check(&seed, &other);
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{name}: {error}"));
}

macro_rules! formats {
    ($($test:ident, $many:ident = $name:literal;)*) => {
        $(
            #[test]
            fn $test() {
                mutate($name, 200);
            }

            #[test]
            #[ignore = "slow: 10,000 mutated files"]
            fn $many() {
                mutate($name, 10_000);
            }
        )*

        #[test]
        fn no_format_is_forgotten() {
            let names: Vec<_> = seeds().into_iter().map(|(name, _)| name).collect();
            assert_eq!(names, [$($name),*]);
        }
    };
}

formats! {
    tar, ten_thousand_tar = "tar";
    pax, ten_thousand_pax = "tar with a pax header";
    gnu, ten_thousand_gnu = "tar with a long name";
    ar, ten_thousand_ar = "ar";
    cpio, ten_thousand_cpio = "cpio";
    zip, ten_thousand_zip = "zip";
    gzip, ten_thousand_gzip = "gzip";
    xz, ten_thousand_xz = "xz";
    zstd, ten_thousand_zstd = "zstd";
    bzip2, ten_thousand_bzip2 = "bzip2";
    pyc, ten_thousand_pyc = "pyc";
    nested, ten_thousand_nested = "nested";
}

/// Every seed is read as its format: whatever single byte differs, it is in a place that has a name, or the reader
/// says what is broken.
#[test]
fn every_byte_of_every_format_is_in_a_place_with_a_name() {
    for (name, seed) in seeds() {
        for at in (0..seed.len()).step_by(13) {
            let mut other = seed.clone();
            other[at] ^= 1;
            let comparison = compare_files(&seed, &other, &Limits::default()).unwrap();
            let root = &comparison.differences[0];
            let said = !root.inside.is_empty() || !root.notes.is_empty();
            let nothing = root.notes.iter().any(|note| note.code().to_string() == "RP0911");
            // A header that no longer begins as one makes another kind of file of it.
            assert!(
                (said && !nothing) || at < 16 || at < 512 && name.starts_with("tar"),
                "{name}, byte {at:#x}: {root:#?}"
            );
        }
    }
}
