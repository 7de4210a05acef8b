//! Processes that are killed, that meet each other, or that run out of space (T106, T107, T109).
//!
//! The other process is this test program again, running [`child`] alone.

use std::{
    collections::BTreeSet,
    env, fs,
    hash::{BuildHasher as _, RandomState},
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::{
    tests::{nar_of, path},
    *,
};

const DIR: &str = "REPROVE_TEST_STATE";
const NAME: &str = "REPROVE_TEST_NAME";
const STEPS: &str = "REPROVE_TEST_STEPS";

/// What the other processes do: a chain of builds, each referring to the one before, from wherever an earlier
/// process with that name came to. A dot on standard output per step.
#[test]
#[ignore = "helper: the other process of the tests in this file, does nothing by itself"]
fn child() {
    let Some(dir) = env::var_os(DIR) else { return };
    let name = env::var(NAME).unwrap();
    let steps: u64 = env::var(STEPS).unwrap().parse().unwrap();
    let result = Store::open(Path::new(&dir)).and_then(|store| {
        print!("#");
        for n in 0..steps {
            step(&store, &name, n)?;
            print!(".");
            std::io::stdout().flush().unwrap();
        }
        Ok(())
    });
    match result {
        Ok(()) => println!("done"),
        Err(StoreError::Full { .. }) => println!("full"),
        Err(error) => panic!("{error:?}"),
    }
}

/// One build: output NAR, run, round, path, in the order in which a real build makes them.
fn step(store: &Store, name: &str, n: u64) -> Result<(), StoreError> {
    let drv = path(&format!("{name}-{n}.drv"));
    let out = path(&format!("{name}-{n}"));
    let _guard = store.lock(&drv, || ())?;
    if store.path(&out)?.is_some() {
        return Ok(());
    }
    let contents = vec![n as u8; (n as usize * 7919) % 200_000];
    let bytes = nar_of(&[name.as_bytes(), &contents].concat());
    let nar = if n.is_multiple_of(2) {
        store.import_nar(bytes.as_slice(), None)?
    } else {
        let mut sink = store.nar_sink()?;
        sink.write_all(&bytes).map_err(|source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::FileTooLarge => {
                StoreError::Full { what: "write to", path: out.to_string().into(), source }
            }
            kind => panic!("{kind:?}"),
        })?;
        sink.finish()?
    };
    let references: BTreeSet<_> =
        n.checked_sub(1).map(|before| path(&format!("{name}-{before}"))).into_iter().collect();
    let run = store.save_run(&drv, &n, &[("console.log", &contents)])?;
    let key = RoundKey {
        derivation: drv.clone(),
        round: "round 1".to_owned(),
        settings: String::new(),
        inputs: String::new(),
        bundle: String::new(),
        engine: String::new(),
        tool: String::new(),
    };
    let output =
        RoundOutput { nar_hash: nar.hash, nar_size: nar.size, references: BTreeSet::clone(&references) };
    store.save_round(&key, &Round { run, outputs: [("out".to_owned(), output)].into() })?;
    let made = PathInfo {
        path: out,
        nar_hash: nar.hash,
        nar_size: nar.size,
        references,
        deriver: Some(drv),
        origin: Origin::Built { run },
    };
    if n.is_multiple_of(3) {
        return store.register(&made).map(drop);
    }
    // With others that wait for the disk together, and that no path is of.
    let batch = store.batch()?;
    for beside in 0..7 {
        batch.import_nar(nar_of(format!("{name} {n} {beside}").as_bytes()).as_slice(), None)?;
    }
    batch.register(&[made])
}

/// The command that runs [`child`]; `before` is put in front of it, a shell script ending in `exec "$@"`.
fn command(dir: &Path, name: &str, steps: u64, before: Option<&str>) -> Command {
    let program = env::current_exe().unwrap();
    let mut command = match before {
        Some(script) => {
            let mut shell = Command::new("sh");
            shell.args(["-c", script, "sh"]).arg(program);
            shell
        }
        None => Command::new(program),
    };
    command
        .args(["store::crash_tests::child", "--exact", "--ignored", "--nocapture", "--test-threads=1"])
        .env(DIR, dir)
        .env(NAME, name)
        .env(STEPS, steps.to_string())
        .stdin(Stdio::null());
    command
}

fn start(dir: &Path, name: &str, steps: u64) -> Child {
    command(dir, name, steps, None).stdout(Stdio::piped()).spawn().unwrap()
}

fn state() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    (dir, state)
}

/// How many paths there are, after making sure that everything is sound and nothing half-done is left.
fn check(dir: &Path) -> u64 {
    let store = Store::open(dir).unwrap();
    let report = store.verify(&mut |_| {}).unwrap();
    assert!(report.is_clean(), "{report:#?}");
    assert_eq!(fs::read_dir(dir.join("tmp")).unwrap().count(), 0);
    for info in store.paths().unwrap() {
        let Origin::Built { run } = info.unwrap().origin else { panic!("all were built") };
        assert!(store.run(run).unwrap().is_some());
    }
    report.paths
}

fn random(below: u64) -> u64 {
    RandomState::new().hash_one(0) % below
}

#[test]
fn t106_killed_at_any_moment_nothing_is_half_registered_and_work_goes_on() {
    let kills = env::var("REPROVE_TEST_KILLS").map_or(30, |kills| kills.parse().unwrap());
    let (_dir, dir) = state();
    let (mut before, mut interrupted) = (0, 0);
    for kill in 0..kills {
        let mut child = start(&dir, "chain", u64::MAX);
        // Into the work, and then some instants further; the first kills hit the making of the store.
        if kill >= 5 {
            // The pipe stays open: the child must die of the kill, in the middle of whatever it does.
            let mut bytes = io::BufReader::new(child.stdout.as_mut().unwrap()).bytes().map(Result::unwrap);
            assert!(bytes.by_ref().any(|byte| byte == b'#'));
            let steps = before + random(6);
            assert_eq!(bytes.take(steps as usize).filter(|byte| *byte == b'.').count() as u64, steps);
        }
        let (instant, wait) = (Instant::now(), Duration::from_micros(random(20_000)));
        while instant.elapsed() < wait {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        interrupted += fs::read_dir(dir.join("tmp")).map_or(0, Iterator::count);
        let paths = check(&dir);
        assert!(paths >= before, "what was registered stays");
        before = paths;
        if kill % 7 == 6 {
            let mut store = Store::open(&dir).unwrap();
            store.gc(&Keep { roots: None, runs: 1 }).unwrap();
            drop(store);
            assert_eq!(check(&dir), paths);
        }
    }
    println!("{before} paths, {interrupted} files or directories were being written when a kill came");
    assert!(before > 0, "no child ever came to register anything");
    assert!(interrupted > 0, "no kill ever came in the middle of a write");
    let output = command(&dir, "chain", before + 3, None).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(check(&dir), before + 3);
}

#[test]
fn t109_processes_at_once_on_the_same_and_on_different_things() {
    let (_dir, dir) = state();
    let children = ["same", "same", "same", "other"].map(|name| start(&dir, name, 25));
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
    assert_eq!(check(&dir), 50);
    let store = Store::open(&dir).unwrap();
    assert_eq!(store.runs().unwrap().len(), 50, "each was built once: the others waited, and found it");
}

#[test]
fn t107_a_write_that_fails_for_want_of_space_leaves_nothing_half_registered() {
    let (_dir, dir) = state();
    let mut before = 0;
    // Blocks of 512 bytes a file may have: none at all, too few for a run's record, for a NAR, …
    for blocks in [0, 1, 2, 3, 8, 16, 32, 64, 128, 256] {
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\"");
        let output = command(&dir, "chain", 100, Some(&script)).output().unwrap();
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && stdout.contains("full\n"), "{blocks} blocks: {stdout}");
        let paths = check(&dir);
        assert!(paths >= before);
        before = paths;
    }
    assert!(before > 10, "only {before} were registered with files of up to 128 KiB");
    let output = command(&dir, "chain", before + 2, None).output().unwrap();
    assert!(output.status.success());
    assert_eq!(check(&dir), before + 2, "with space, work goes on");
}

#[test]
#[ignore = "privileged: mounts a tmpfs in a mount namespace of its own"]
fn t107_a_full_disk_leaves_nothing_half_registered() {
    let (_dir, dir) = state();
    fs::create_dir(&dir).unwrap();
    // In one shell, so that the small disk is still there for the second look.
    let script = format!(
        "mount -t tmpfs -o size=1500k none '{dir}' && \"$@\" && rm -rf '{dir}'/runs/* '{dir}'/rounds/* && \
         {STEPS}=12 {DIR}='{dir}' \"$@\"",
        dir = dir.display()
    );
    let program = env::current_exe().unwrap();
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", &script, "sh"])
        .arg(program)
        .args(["store::crash_tests::child", "--exact", "--ignored", "--nocapture", "--test-threads=1"])
        .envs([(DIR, dir.as_os_str()), (NAME, "chain".as_ref()), (STEPS, "1000".as_ref())])
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(stdout.contains("full\n") && stdout.contains("done\n"), "{stdout}");
}
