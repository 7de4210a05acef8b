//! Pairs of files that ought to be equal, made by real tools: every one is compared and diagnosed.
//!
//! The samples are not part of the repository: they are large, and other people's work. Whoever has them runs
//! `REPROVE_PAIRS=FOLDER/pairs.tar.xz cargo nextest run --test pairs --run-ignored all`; elsewhere the test counts as skipped.
//! `tests/catalogue.rs` makes a pair for every cause by itself.

#![allow(clippy::unwrap_used)]

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use reprove::{
    diagnose::{Cause, diagnose},
    diff::{Comparison, Limits, NarTree, Pair, compare_trees},
    report::diff::{Detail, write},
    store::{FileContent, pack},
};

fn compare(a: &Path, b: &Path) -> (Comparison, Vec<Cause>) {
    let tree = |path: &Path| {
        let (node, file) = pack(path).unwrap();
        NarTree::new(FileContent::new(file).unwrap(), &node)
    };
    let comparison = compare_trees(&tree(a), &tree(b), &Limits::default()).unwrap();
    let causes = diagnose(&comparison, &[]);
    (comparison, causes)
}

/// The samples, unpacked.
fn samples() -> (tempfile::TempDir, Vec<PathBuf>) {
    let archive = std::env::var_os("REPROVE_PAIRS").expect("REPROVE_PAIRS: the archive of the samples");
    let folder = tempfile::tempdir().unwrap();
    let tar = Command::new("tar").arg("-xJf").arg(&archive).arg("-C").arg(folder.path()).status();
    assert!(tar.expect("tar is missing: install tar and xz-utils").success());
    let mut cases: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    (folder, cases)
}

/// The cause that must come first, where a rule for it exists; elsewhere anything honest will do.
fn expected(case: &str) -> Option<&'static str> {
    Some(match case {
        "go-storepath-amd64" => "go-toolchain-patched",
        "go-strip-386" => "stripped-after-link",
        "strip-vs-not" => "debug-info-kept",
        "link-order" => "link-order",
        "debuglink-crc" => "debug-link",
        "c-date-time" | "text-build-date" => "embedded-build-time",
        "elf-build-id" => "build-id-random",
        "dwarf-comp-dir" | "rust-panic-path" => "build-path",
        "host-user-uname" => "build-user-or-host",
        "rpath-store" | "interp-store" => "interpreter-or-rpath",
        "locale-sort" => "locale-order",
        "json-unordered" => "unordered-output",
        "symlink-target-store" => "symlink-target",
        "exec-bit" => "file-mode",
        "tar-mtime" | "ar-mtime" => "archive-member-mtime",
        "tar-owner" => "archive-member-owner",
        "tar-mode-umask" => "archive-member-mode",
        "tar-order-readdir" | "ar-member-order" => "archive-member-order",
        "zip-mtime" => "archive-member-mtime",
        "zip-order" => "archive-member-order",
        "pyc-mtime" => "pyc-mtime",
        "gzip-mtime" => "gzip-header",
        _ => return None,
    })
}

#[test]
#[ignore = "needs samples that are not in the repository: set REPROVE_PAIRS"]
fn every_sample_is_explained_or_honestly_not() {
    let (_folder, cases) = samples();
    assert!(!cases.is_empty());
    let mut wrong = Vec::new();
    for case in cases {
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        let (comparison, causes) = compare(&case.join("a"), &case.join("b"));
        assert!(!comparison.identical(), "{name}");
        assert!(!causes.is_empty(), "{name}");
        assert!(compare(&case.join("a"), &case.join("a")).0.identical(), "{name}");
        for detail in [Detail::Short, Detail::Full] {
            let mut out = Vec::new();
            write(&mut out, Pair::new("a", "b"), &comparison, &causes, detail).unwrap();
            if std::env::var_os("SHOW").is_some_and(|show| show == *name) && detail == Detail::Short {
                std::io::Write::write_all(&mut std::io::stderr(), &out).unwrap();
            }
        }
        let ids: Vec<_> = causes.iter().map(|cause| (cause.entry.id, cause.bytes)).collect();
        eprintln!("{name}: {ids:?}");
        if expected(&name).is_some_and(|id| id != causes[0].entry.id) {
            wrong.push(format!("{name}: {ids:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
