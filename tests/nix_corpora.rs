//! Real derivations: every one must come back byte for byte, lie where its text says, and state its own output paths.

use std::{fs, path::Path, process::Command, time::Instant};

use reprove::nix::drv_check;

fn drv_files(dir: &Path) -> Vec<(Vec<u8>, Vec<u8>)> {
    let entries = fs::read_dir(dir).expect("readable directory").map(|entry| entry.expect("readable entry"));
    let mut files: Vec<_> = entries
        .map(|entry| (entry.file_name().into_encoded_bytes(), fs::read(entry.path()).expect("readable file")))
        .filter(|(name, _)| name.ends_with(b".drv"))
        .collect();
    files.sort();
    files
}

fn assert_all_right(name: &str, files: Vec<(Vec<u8>, Vec<u8>)>) {
    assert!(!files.is_empty(), "{name} holds no derivations");
    let start = Instant::now();
    let count = files.len();
    let found = drv_check::check(files);
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{name}: {count} derivations, {} output paths ({} not computable) in {seconds:.3} s: {:.0} per second",
        found.output_paths,
        found.output_paths_not_computable,
        count as f64 / seconds
    );
    assert!(found.is_right(), "{name}: {found:#?}");
    assert_eq!(found.derivations, count);
}

#[test]
fn the_committed_sample() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/drvs");
    assert_all_right("tests/data/drvs", drv_files(&dir));
}

/// The derivations of whole package sets, which are too large for the repository: a folder of `*.drvs.tar.xz`.
#[test]
#[ignore = "needs derivations that are not in the repository: set REPROVE_CORPORA"]
fn the_corpora() {
    let dir = std::env::var_os("REPROVE_CORPORA").expect("REPROVE_CORPORA: the folder of the archives");
    let dir = Path::new(&dir);
    let entries = fs::read_dir(dir).expect("readable folder");
    let mut archives = 0;
    for entry in entries {
        let archive = entry.expect("readable entry").path();
        if !archive.to_string_lossy().ends_with(".drvs.tar.xz") {
            continue;
        }
        archives += 1;
        let unpacked = tempfile::tempdir().expect("temporary directory");
        let status = Command::new("tar").arg("-xJf").arg(&archive).arg("-C").arg(unpacked.path()).status();
        assert!(status.expect("the programs `tar` and `xz`: apt-get install tar xz-utils").success());
        assert_all_right(&archive.display().to_string(), drv_files(unpacked.path()));
    }
    assert!(archives > 0, "{} holds no *.drvs.tar.xz", dir.display());
}
