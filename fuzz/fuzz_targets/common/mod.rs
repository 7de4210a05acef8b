//! What all targets of `diff` do: two files out of one input, compared, explained and shown.

use reprove::{
    diagnose::diagnose,
    diff::{Limits, Pair, compare_files},
    report::diff::{Detail, document, write},
};

/// Two files. When the first byte is even, the second says where the input is cut in two; when it is odd, three bytes twice
/// say which byte of the second file is another one than in the first: two files that are sound but for that.
pub fn pair(input: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    match input {
        [mode, cut, rest @ ..] if mode % 2 == 0 => {
            let (a, b) = rest.split_at(rest.len() * usize::from(*cut) / 255);
            Some((a.to_vec(), b.to_vec()))
        }
        [_, edits @ ..] => {
            let (edits, file) = edits.split_at_checked(6)?;
            let mut other = file.to_vec();
            for edit in edits.chunks_exact(3) {
                let at = usize::from(u16::from_be_bytes([edit[0], edit[1]])) * file.len() >> 16;
                if let Some(byte) = other.get_mut(at) {
                    *byte ^= edit[2];
                }
            }
            Some((file.to_vec(), other))
        }
        [] => None,
    }
}

/// Identical exactly when equal, explained exactly when not, and shown in every way, within small caps.
pub fn check(a: &[u8], b: &[u8]) {
    let limits = Limits {
        unpacked: 16 << 20,
        unpacked_in_all: 128 << 20,
        depth: 4,
        members: 1000,
        moved_bytes: 1 << 20,
        ..Limits::default()
    };
    let (a, b) = (&a, &b);
    let comparison = compare_files(a, b, &limits).expect("memory can be read");
    assert_eq!(comparison.identical(), a == b);
    let causes = diagnose(&comparison, &[]);
    assert_eq!(causes.is_empty(), a == b);
    write(&mut std::io::sink(), Pair::new("a", "b"), &comparison, &causes, Detail::Full).expect("a sink takes all");
    serde_json::to_writer(std::io::sink(), &document(&comparison, &causes, None)).expect("a sink takes all");
}

/// Makes the checksum of every block right that has the mark of a tar header.
#[allow(dead_code)] // of the targets that have tar archives
pub fn checksums(bytes: &mut [u8]) {
    for block in bytes.chunks_exact_mut(512).filter(|block| block[257..].starts_with(b"ustar")) {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
}
