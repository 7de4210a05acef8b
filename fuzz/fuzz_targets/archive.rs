//! Two files of one format (tar, ar, zip, cpio, gzip, xz, zstd, bzip2, NAR, compiled Python), cut out of the input and
//! given the beginning that makes them one: identical exactly when equal, explained, shown, within small caps.
//! The first byte names the format, the second says where the input is cut in two.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reprove::{
    diagnose::diagnose,
    diff::{Limits, Pair, compare_files},
    report::diff::{Detail, write},
};

const BEGINNINGS: [&[u8]; 11] = [
    b"",
    b"!<arch>\n",
    b"PK\x03\x04",
    b"070701",
    b"\x1f\x8b\x08",
    b"\xfd7zXZ\0",
    b"\x28\xb5\x2f\xfd",
    b"BZh91AY&SY",
    b"\x0d\0\0\0\0\0\0\0nix-archive-1\0\0\0",
    b"\xa7\x0d\r\n\0\0\0\0\0\0\0\0\0\0\0\0\xe3",
    b"!<thin>\n",
];

/// Makes the checksum of every block of tar right that has the mark of one.
fn checksums(bytes: &mut [u8]) {
    for block in bytes.chunks_exact_mut(512).filter(|block| block.starts_with(b"t")) {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
}

fuzz_target!(|input: &[u8]| {
    let [format, cut, rest @ ..] = input else { return };
    let (a, b) = rest.split_at(rest.len() * usize::from(*cut) / 255);
    let beginning = BEGINNINGS[usize::from(*format) % BEGINNINGS.len()];
    let file = |bytes: &[u8]| {
        let mut bytes = [beginning, bytes].concat();
        if beginning.is_empty() {
            checksums(&mut bytes);
        }
        bytes
    };
    let (a, b) = (file(a), file(b));
    let limits = Limits { unpacked: 16 << 20, depth: 4, members: 1000, ..Limits::default() };
    let comparison = compare_files(&a, &b, &limits).expect("memory can be read");
    assert_eq!(comparison.identical(), a == b);
    let causes = diagnose(&comparison, &[]);
    assert_eq!(causes.is_empty(), a == b);
    write(&mut std::io::sink(), Pair::new("a", "b"), &comparison, &causes, Detail::Full)
        .expect("a sink takes all");
});
