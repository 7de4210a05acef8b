//! The file of accepted differences: read, and held against differences.
#![no_main]

use std::{collections::BTreeSet, sync::LazyLock};

use libfuzzer_sys::fuzz_target;
use reprove::{
    diagnose::{Accepted, Cause, accepted::Date, diagnose},
    diff::{Comparison, Limits, compare_files},
};

/// Two files that differ in a date, and why.
static DATES: LazyLock<(Comparison, Vec<Cause>)> = LazyLock::new(|| {
    let (a, b) = (b"made Nov 21 2026\n".to_vec(), b"made Jan  1 2020\n".to_vec());
    let comparison = compare_files(&a, &b, &Limits::default()).expect("bytes in memory");
    let causes = diagnose(&comparison, &[]);
    (comparison, causes)
});

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let accepted = match Accepted::parse(text) {
        Ok(accepted) => accepted,
        Err(error) => {
            let _ = (error.to_string(), error.code());
            return;
        }
    };
    let (comparison, causes) = &*DATES;
    for package in [&b"hello-2.12"[..], b""] {
        let judgement = accepted.judge(package, comparison, causes);
        let met: BTreeSet<usize> = judgement.met.iter().map(|met| met.number).collect();
        assert!(met.iter().all(|number| (1..=accepted.entries().len()).contains(number)));
        // Whatever the file says: each cause that follows from no other is accepted by an entry of that cause, or nothing is.
        let is_met = |cause: &Cause| judgement.met.iter().any(|met| met.cause.id == cause.entry.id);
        let all = causes.iter().filter(|cause| !cause.derived).all(is_met);
        assert!(!judgement.all_accepted() || all);
        // An entry that was met tolerates something.
        let idle = accepted.unused(&[package.to_vec()].into(), &met).count();
        assert!(idle + met.len() <= accepted.entries().len());
    }
    let before_any = Date::new(-1, 1, 1);
    assert!(accepted.expired(before_any).is_none());
});
