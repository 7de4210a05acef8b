//! Two byte strings are identical exactly when they are equal, every difference has a cause, and both can be shown.
//! The first byte says where the input is cut in two; both halves get an ELF header's magic when it is odd.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reprove::{
    diagnose::diagnose,
    diff::{Limits, Pair, compare_files},
    report::diff::{Detail, write},
};

fuzz_target!(|input: &[u8]| {
    let Some((first, rest)) = input.split_first() else { return };
    let at = rest.len() * usize::from(*first) / 255;
    let (a, b) = rest.split_at(at);
    let as_elf = |bytes: &[u8]| if first % 2 == 1 { [b"\x7fELF", bytes].concat() } else { bytes.to_vec() };
    let (a, b) = (as_elf(a), as_elf(b));
    let comparison = compare_files(&a, &b, &Limits::default()).expect("memory can be read");
    assert_eq!(comparison.identical(), a == b);
    let causes = diagnose(&comparison, &[]);
    assert_eq!(causes.is_empty(), a == b);
    write(&mut std::io::sink(), Pair::new("a", "b"), &comparison, &causes, Detail::Full).expect("a sink takes all");
    assert!(compare_files(&a, &a, &Limits::default()).expect("memory can be read").identical());
});
