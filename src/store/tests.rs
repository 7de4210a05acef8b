//! The store's promises, one test each. Crashes: `crash_tests`. Trees: `tree_tests`.

use std::{
    collections::BTreeSet,
    fs,
    io::{self, Read as _, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use super::*;
use crate::nix::{base32, hash::NarHash, nar::Writer, store_path::StorePath};

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("state")).unwrap();
    (dir, store)
}

/// A path whose hash part is made from its name.
pub(super) fn path(name: &str) -> StorePath {
    let hash = base32::encode(&NarHash::of(name.as_bytes()).0[..20]);
    StorePath::from_base_name(format!("{hash}-{name}").as_bytes()).unwrap()
}

/// The NAR of a file with these contents.
pub(super) fn nar_of(contents: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    writer.regular(false, contents.len() as u64, contents).unwrap();
    writer.finish().unwrap()
}

fn add(store: &Store, contents: &[u8]) -> Nar {
    let mut sink = store.nar_sink().unwrap();
    sink.write_all(&nar_of(contents)).unwrap();
    sink.finish().unwrap()
}

fn info(path: &StorePath, nar: Nar, references: &[&StorePath]) -> PathInfo {
    PathInfo {
        path: path.clone(),
        nar_hash: nar.hash,
        nar_size: nar.size,
        references: references.iter().copied().cloned().collect(),
        deriver: None,
        origin: Origin::HostStore,
    }
}

fn entries(store: &Store, dir: &str) -> usize {
    fs::read_dir(store.root().join(dir)).unwrap().count()
}

fn verify(store: &Store) -> Report {
    store.verify(&mut |_| {}).unwrap()
}

#[test]
fn a_nar_is_found_by_its_hash() {
    let (_dir, store) = store();
    let nar = add(&store, b"hello");
    assert_eq!(nar.hash, NarHash::of(&nar_of(b"hello")));
    assert_eq!(nar.size, nar_of(b"hello").len() as u64);
    let mut bytes = Vec::new();
    store.nar(&nar.hash).unwrap().unwrap().read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, nar_of(b"hello"));
    assert!(store.nar(&NarHash::of(b"something else")).unwrap().is_none());
    assert_eq!(fs::metadata(store.nar_path(&nar.hash)).unwrap().permissions().mode() & 0o777, 0o444);
}

#[test]
fn a_sink_that_is_dropped_leaves_nothing() {
    let (_dir, store) = store();
    let mut sink = store.nar_sink().unwrap();
    sink.write_all(&[1; 1 << 20]).unwrap();
    assert_eq!(entries(&store, "tmp"), 1);
    drop(sink);
    assert_eq!((entries(&store, "tmp"), entries(&store, "nar")), (0, 0));
}

#[test]
fn import_refuses_what_is_no_nar_and_another_hash() {
    let (_dir, store) = store();
    let good = nar_of(b"contents");
    for cut in 0..good.len() {
        assert!(matches!(store.import_nar(&good[..cut], None), Err(StoreError::NotANar(_))), "cut at {cut}");
    }
    let trailing = [good.as_slice(), b"x"].concat();
    assert!(matches!(store.import_nar(trailing.as_slice(), None), Err(StoreError::NotANar(_))));
    let expected = NarHash::of(b"another");
    let error = store.import_nar(good.as_slice(), Some(expected)).unwrap_err();
    assert!(matches!(error, StoreError::HashMismatch { got, .. } if got == NarHash::of(&good)));
    assert_eq!((entries(&store, "tmp"), entries(&store, "nar")), (0, 0));

    let nar = store.import_nar(good.as_slice(), Some(NarHash::of(&good))).unwrap();
    assert_eq!(fs::read(store.nar_path(&nar.hash)).unwrap(), good);
}

#[test]
fn import_passes_on_what_the_reader_says() {
    struct Broken;
    impl io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the cable was pulled"))
        }
    }
    let (_dir, store) = store();
    let half = nar_of(&[7; 100_000]);
    let error = store.import_nar(half[..50_000].chain(Broken), None).unwrap_err();
    assert!(format!("{:?}", error).contains("the cable was pulled"), "{error:?}");
    assert_eq!((entries(&store, "tmp"), entries(&store, "nar")), (0, 0));
}

#[test]
fn a_path_needs_its_nar() {
    let (_dir, store) = store();
    let absent = Nar { hash: NarHash::of(b"absent"), size: 6 };
    let error = store.register(&info(&path("a"), absent, &[])).unwrap_err();
    assert!(matches!(error, StoreError::NarMissing { .. }));
    let nar = add(&store, b"a");
    let lying = Nar { size: nar.size + 1, ..nar };
    assert!(matches!(store.register(&info(&path("a"), lying, &[])), Err(StoreError::NarMissing { .. })));
    assert_eq!(entries(&store, "paths"), 0);
}

#[test]
fn a_registered_path_is_given_back_and_never_overwritten_by_other_bits() {
    let (_dir, store) = store();
    let (one, other) = (add(&store, b"one"), add(&store, b"other"));
    let a = path("a");
    let mut first = info(&a, one, &[&a, &path("b")]);
    first.deriver = Some(path("a.drv"));
    first.origin = Origin::Source { place: "somewhere \"quoted\"\n".to_owned() };
    assert_eq!(store.path(&a).unwrap(), None);
    assert_eq!(store.register(&first).unwrap(), Registered::New);
    assert_eq!(store.path(&a).unwrap().as_ref(), Some(&first));
    assert_eq!(store.register(&first).unwrap(), Registered::Same);

    let error = store.register(&info(&a, other, &[&a, &path("b")])).unwrap_err();
    assert!(
        matches!(error, StoreError::Conflict { registered, offered, .. } if registered == one.hash && offered == other.hash)
    );
    let error = store.register(&info(&a, one, &[&a, &path("c")])).unwrap_err();
    assert!(error.to_string().ends_with(&format!(
        "no longer {}, now {}",
        path("b").base_name(),
        path("c").base_name()
    )));
    assert_eq!(store.path(&a).unwrap().as_ref(), Some(&first));

    assert!(store.forget(&a).unwrap());
    assert!(!store.forget(&a).unwrap());
    assert_eq!(store.register(&info(&a, other, &[])).unwrap(), Registered::New);
}

#[test]
fn built_by_us_takes_the_place_of_any_other_origin_and_is_not_taken_back() {
    let (_dir, store) = store();
    let nar = add(&store, b"a");
    let taken = info(&path("a"), nar, &[]);
    let built = PathInfo { origin: Origin::Built { run: RunId([7; 32]) }, ..taken.clone() };
    store.register(&taken).unwrap();
    store.register(&built).unwrap();
    assert_eq!(store.path(&built.path).unwrap().as_ref(), Some(&built));
    store.register(&taken).unwrap();
    let again = PathInfo { origin: Origin::Built { run: RunId([8; 32]) }, ..taken };
    store.register(&again).unwrap();
    assert_eq!(store.path(&built.path).unwrap().as_ref(), Some(&built));
}

#[test]
fn a_closure_has_references_before_referrers_and_names_what_is_missing() {
    let (_dir, store) = store();
    let nar = add(&store, b"x");
    let [a, b, c, d] = ["a", "b", "c", "d"].map(path);
    // A diamond, a self reference, and a cycle that only a forger makes.
    store.register(&info(&a, nar, &[&b, &c, &a])).unwrap();
    store.register(&info(&b, nar, &[&d])).unwrap();
    store.register(&info(&c, nar, &[&d])).unwrap();
    let error = store.closure(std::slice::from_ref(&a)).unwrap_err();
    let message = error.to_string();
    assert!(message.starts_with(&format!("{d} is not in the store")), "{message}");
    assert!(matches!(error, StoreError::NotClosed { missing } if missing.len() == 1));

    store.register(&info(&d, nar, &[&b])).unwrap();
    let closure: Vec<_> =
        store.closure(&[a.clone(), d.clone()]).unwrap().into_iter().map(|i| i.path).collect();
    assert_eq!(closure.len(), 4);
    assert_eq!(closure.iter().collect::<BTreeSet<_>>().len(), 4);
    assert_eq!(closure.last(), Some(&a));
    assert_eq!(store.closure(&[]).unwrap(), []);
    assert!(matches!(
        store.closure(&[path("nobody")]),
        Err(StoreError::NotClosed { missing }) if missing == [(path("nobody"), None)]
    ));
}

#[test]
fn a_chain_of_10000_paths_has_a_closure() {
    let (_dir, store) = store();
    let nar = add(&store, b"x");
    // Written past the API: 10,000 fsyncs would test the disk.
    let link = |n: u32| path(&format!("link-{n}"));
    for n in 0..10_000 {
        let info = info(&link(n), nar, &[&link(n + 1)]);
        fs::write(store.path_file(&info.path), serde_json::to_vec(&info).unwrap()).unwrap();
    }
    store.register(&info(&link(10_000), nar, &[])).unwrap();
    let closure = store.closure(&[link(0)]).unwrap();
    assert_eq!(closure.len(), 10_001);
    assert_eq!(closure[0].path, link(10_000));
}

#[test]
fn t48_a_record_under_another_paths_name_is_damage() {
    let (_dir, store) = store();
    let nar = add(&store, b"a");
    store.register(&info(&path("a"), nar, &[])).unwrap();
    fs::copy(store.path_file(&path("a")), store.path_file(&path("b"))).unwrap();
    let error = store.path(&path("b")).unwrap_err();
    assert!(
        matches!(&error, StoreError::Damaged { why, .. } if why.contains(path("a").base_name())),
        "{error}"
    );
    assert_eq!(store.paths().unwrap().filter(Result::is_err).count(), 1);
}

#[test]
fn a_record_that_is_no_record_is_damage_and_never_a_panic() {
    let (_dir, store) = store();
    let nar = add(&store, b"a");
    let a = info(&path("a"), nar, &[]);
    let good = serde_json::to_string(&a).unwrap();
    let unknown = good.replacen('{', "{\"surprise\":1,", 1);
    let twice = good.replacen('{', &format!("{{\"nar_size\":{},", nar.size), 1);
    let foreign = good.replace("/nix/store/", "/etc/");
    for bad in
        ["", "{}", "null", "\u{0}", &good[..good.len() - 1], &unknown, &twice, &foreign, &"[".repeat(100_000)]
    {
        fs::write(store.path_file(&a.path), bad).unwrap();
        assert!(matches!(store.path(&a.path), Err(StoreError::Damaged { .. })), "{bad:.60}");
    }
}

#[test]
fn runs_are_found_by_id_by_derivation_and_by_first_digits() {
    let (_dir, store) = store();
    let (a, b) = (path("a.drv"), path("b.drv"));
    let record = serde_json::json!({ "instructions": 12, "name": "x" });
    let one = store.save_run(&a, &record, &[("console.log", b"hello\xff")]).unwrap();
    let two = store.save_run(&a, &record, &[("console.log", b"hello\xff")]).unwrap();
    let other = store.save_run(&b, &record, &[]).unwrap();
    assert_ne!(one, two, "equal runs are two runs");

    let run = store.run(one).unwrap().unwrap();
    assert_eq!((run.id, &run.derivation), (one, &a));
    assert_eq!(run.record::<serde_json::Value>().unwrap(), record);
    assert!(matches!(run.record::<Vec<u8>>(), Err(StoreError::Record { .. })));
    let mut log = Vec::new();
    run.open("console.log").unwrap().read_to_end(&mut log).unwrap();
    assert_eq!(log, b"hello\xff");
    assert!(matches!(run.open("../../version"), Err(StoreError::NoAttachment { .. })));
    assert!(store.run(RunId([0; 32])).unwrap().is_none());

    let of = |drv| store.runs_of(drv).unwrap().into_iter().map(|run| run.id).collect::<Vec<_>>();
    assert_eq!(of(&b), [other]);
    let (newest, oldest) = (store.run(of(&a)[0]).unwrap().unwrap(), store.run(of(&a)[1]).unwrap().unwrap());
    assert!(newest.saved >= oldest.saved);
    assert_eq!(BTreeSet::from_iter(of(&a)), BTreeSet::from([one, two]));
    assert_eq!(store.runs().unwrap().len(), 3);
    assert_eq!(store.run_ids_starting(&one.to_string()[..12]).unwrap(), [one]);
    assert_eq!(store.run_ids_starting("").unwrap().len(), 3);
    assert_eq!(entries(&store, "tmp"), 0);
}

#[test]
fn attachments_cannot_be_named_out_of_their_directory() {
    let (_dir, store) = store();
    for name in
        ["", ".", "..", "../x", "a/b", "run.json", "record.json", "A", "a\0", ".hidden", &"x".repeat(65)]
    {
        let saved = store.save_run(&path("a.drv"), &(), &[(name, b"")]);
        assert!(matches!(saved, Err(StoreError::AttachmentName { .. })), "{name:?}");
    }
    assert_eq!((entries(&store, "tmp"), entries(&store, "runs")), (0, 0));
}

fn key(round: u32) -> RoundKey {
    RoundKey {
        derivation: path("a.drv"),
        round: format!("round {round}"),
        settings: "s".to_owned(),
        inputs: "i".to_owned(),
        bundle: "b".to_owned(),
        engine: "e".to_owned(),
        tool: "t".to_owned(),
    }
}

fn round(nar: Nar, run: RunId) -> Round {
    let output = RoundOutput { nar_hash: nar.hash, nar_size: nar.size, references: BTreeSet::new() };
    Round { run, outputs: [("out".to_owned(), output)].into() }
}

#[test]
fn a_round_is_found_again_while_its_nar_is_there() {
    let (_dir, store) = store();
    let run = store.save_run(&path("a.drv"), &(), &[]).unwrap();
    let (one, other) = (round(add(&store, b"one"), run), round(add(&store, b"other"), run));
    assert_eq!(store.round(&key(0)).unwrap(), None);
    store.save_round(&key(0), &one).unwrap();
    assert_eq!(store.round(&key(0)).unwrap(), Some(one));
    assert_eq!(store.round(&key(1)).unwrap(), None, "the second round is another round");
    store.save_round(&key(0), &other).unwrap();
    assert_eq!(store.round(&key(0)).unwrap().as_ref(), Some(&other));
    fs::remove_file(store.nar_path(&other.outputs["out"].nar_hash)).unwrap();
    assert_eq!(store.round(&key(0)).unwrap(), None);
    store.forget_round(&key(0)).unwrap();
    store.forget_round(&key(0)).unwrap();
    assert_eq!(entries(&store, "rounds"), 0);
}

#[test]
fn a_round_whose_bits_or_run_are_not_what_they_were_is_not_found() {
    let overwrite = |file: &Path| {
        let mut bytes = fs::read(file).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::remove_file(file).unwrap();
        fs::write(file, bytes).unwrap();
    };
    let (_dir, store) = store();
    let run = store.save_run(&path("a.drv"), &(), &[("console", b"hello")]).unwrap();
    let nar = add(&store, b"one");
    store.save_round(&key(0), &round(nar, run)).unwrap();
    assert!(store.round(&key(0)).unwrap().is_some());
    overwrite(&store.nar_path(&nar.hash));
    assert_eq!(store.round(&key(0)).unwrap(), None, "same length, other bytes");
    add(&store, b"one");
    assert!(store.round(&key(0)).unwrap().is_some());
    overwrite(&store.root().join(format!("runs/{run}/console")));
    assert_eq!(store.round(&key(0)).unwrap(), None, "the run is its evidence");
    let of_another = store.save_run(&path("b.drv"), &(), &[]).unwrap();
    store.save_round(&key(0), &round(nar, of_another)).unwrap();
    assert_eq!(store.round(&key(0)).unwrap(), None, "another derivation's run is none of its");
}

#[test]
fn t109_a_derivation_is_locked_by_one_at_a_time() {
    let (_dir, store) = store();
    let drv = path("a.drv");
    let guard = store.lock(&drv, || panic!("nobody to wait for")).unwrap();
    drop(store.lock(&path("b.drv"), || panic!("another derivation's lock is another lock")).unwrap());
    let (told, is_told) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| store.lock(&drv, move || told.send(()).unwrap()).map(drop));
        is_told.recv().unwrap();
        drop(guard);
        waiter.join().unwrap().unwrap();
    });
    drop(store.lock(&drv, || panic!("the waiter is done")).unwrap());
}

#[test]
fn t110_a_later_layout_is_refused_and_left_alone() {
    let (_dir, store) = store();
    let root = store.root().to_owned();
    drop(store);
    fs::remove_file(root.join("version")).unwrap();
    fs::write(root.join("version"), "2\n").unwrap();
    fs::write(root.join("tmp/of-the-later-one"), "").unwrap();
    let error = Store::open(&root).unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 2, known: 1, .. }), "{error}");
    assert!(root.join("tmp/of-the-later-one").exists());
    for damaged in ["", "one", "0", "-1", "1 1"] {
        fs::write(root.join("version"), damaged).unwrap();
        assert!(matches!(Store::open(&root), Err(StoreError::Damaged { .. })), "{damaged:?}");
    }
}

#[test]
fn a_directory_with_something_else_in_it_is_no_store() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("thesis.tex"), "").unwrap();
    let error = Store::open(dir.path()).unwrap_err();
    assert!(matches!(error, StoreError::NotAStore { entry, .. } if entry == "thesis.tex"));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    // What an interrupted first opening leaves is no stranger's.
    fs::remove_file(dir.path().join("thesis.tex")).unwrap();
    fs::create_dir(dir.path().join("nar")).unwrap();
    Store::open(dir.path()).unwrap();
}

#[test]
fn what_nobody_writes_any_more_goes_and_what_somebody_writes_stays() {
    let (_dir, store) = store();
    let tmp = store.root().join("tmp");
    let mut sink = store.nar_sink().unwrap();
    let scratch = store.scratch().unwrap();
    fs::write(tmp.join("left"), "by a process that was killed").unwrap();
    fs::create_dir_all(tmp.join("left-too/deep")).unwrap();
    fs::write(tmp.join("left-too/deep/file"), "").unwrap();
    fs::set_permissions(tmp.join("left-too/deep"), fs::Permissions::from_mode(0o555)).unwrap();
    assert_eq!(verify(&store).abandoned, 2);

    let second = Store::open(store.root()).unwrap();
    assert_eq!(entries(&second, "tmp"), 2);
    sink.write_all(&nar_of(b"went on")).unwrap();
    let nar = sink.finish().unwrap();
    assert!(second.nar(&nar.hash).unwrap().is_some());
    fs::write(scratch.path().join("drive"), "").unwrap();
    drop(scratch);
    assert_eq!(entries(&second, "tmp"), 0);
}

#[test]
fn repair_forgets_every_path_that_hangs_in_the_air_however_far_up() {
    let (_dir, mut store) = store();
    let nar = add(&store, b"one");
    for (name, references) in [("a", vec!["gone"]), ("b", vec!["a", "b"]), ("c", vec!["b"]), ("d", vec!["d"])]
    {
        let references: Vec<StorePath> = references.into_iter().map(path).collect();
        store.register(&info(&path(name), nar, &references.iter().collect::<Vec<_>>())).unwrap();
    }
    let report = verify(&store);
    assert_eq!(report.dangling, [(path("a"), path("gone"))]);
    let mut forgotten = store.repair(&report).unwrap();
    forgotten.sort_by(|a, b| a.name().cmp(b.name()));
    assert_eq!(forgotten, [path("a"), path("b"), path("c")]);
    assert!(store.path(&path("d")).unwrap().is_some());
    assert!(verify(&store).is_clean());
}

#[test]
fn verify_finds_each_kind_of_damage_and_repair_removes_it() {
    let (_dir, mut store) = store();
    let run = store.save_run(&path("a.drv"), &(), &[("console.log", b"hello")]).unwrap();
    let good = add(&store, b"good");
    let mut whole = info(&path("whole"), good, &[&path("whole")]);
    whole.origin = Origin::Built { run };
    store.register(&whole).unwrap();
    store.save_round(&key(0), &round(good, run)).unwrap();
    let report = verify(&store);
    assert!(report.is_clean(), "{report:?}");
    assert_eq!((report.nars, report.paths, report.runs, report.rounds), (1, 1, 1, 1));
    assert_eq!(report.nar_bytes, good.size);

    let overwrite = |file: PathBuf, bytes: &[u8]| {
        fs::remove_file(&file).unwrap();
        fs::write(&file, bytes).unwrap();
    };
    let bits = add(&store, b"bits");
    let bits_info = info(&path("bits"), bits, &[]);
    store.register(&bits_info).unwrap();
    overwrite(store.nar_path(&bits.hash), &nar_of(b"bitz"));
    let gone = add(&store, b"gone");
    store.register(&info(&path("gone"), gone, &[&path("bits")])).unwrap();
    fs::remove_file(store.nar_path(&gone.hash)).unwrap();
    let log = store.save_run(&path("b.drv"), &(), &[("console.log", b"hello")]).unwrap();
    overwrite(store.run_dir(log).join("console.log"), b"jello");
    let index = store.save_run(&path("b.drv"), &(), &[]).unwrap();
    overwrite(store.run_dir(index).join("run.json"), b"{}");
    fs::write(store.root().join("nar/stranger"), "").unwrap();
    fs::write(store.root().join("paths/stranger"), "{}").unwrap();
    fs::write(store.root().join("rounds/stranger"), "{}").unwrap();
    fs::create_dir(store.root().join("runs/stranger")).unwrap();

    let report = verify(&store);
    let found: BTreeSet<PathBuf> = report.corrupt.iter().map(|finding| finding.file.clone()).collect();
    let root = store.root().to_owned();
    let expected = BTreeSet::from([
        store.nar_path(&bits.hash),
        store.path_file(&path("bits")),
        store.path_file(&path("gone")),
        store.run_dir(log),
        store.run_dir(index),
        root.join("nar/stranger"),
        root.join("paths/stranger"),
        root.join("rounds/stranger"),
        root.join("runs/stranger"),
    ]);
    assert_eq!(found, expected, "{report:#?}");

    store.repair(&report).unwrap();
    let report = verify(&store);
    assert!(report.is_clean(), "{report:?}");
    assert_eq!((report.nars, report.paths, report.runs, report.rounds), (1, 1, 1, 1));
    assert_eq!(store.path(&whole.path).unwrap(), Some(whole));
    // And the damaged one can come again.
    assert_eq!(add(&store, b"bits"), bits);
    assert_eq!(store.register(&bits_info).unwrap(), Registered::New);
}

#[test]
fn importing_again_mends_a_damaged_nar() {
    let (_dir, store) = store();
    let nar = add(&store, b"bits");
    fs::remove_file(store.nar_path(&nar.hash)).unwrap();
    fs::write(store.nar_path(&nar.hash), "rot").unwrap();
    assert!(!verify(&store).is_clean());
    add(&store, b"bits");
    assert!(verify(&store).is_clean());
}

#[test]
fn verify_names_references_to_nothing() {
    let (_dir, store) = store();
    let nar = add(&store, b"a");
    store.register(&info(&path("a"), nar, &[&path("b")])).unwrap();
    let report = verify(&store);
    assert_eq!(report.dangling, [(path("a"), path("b"))]);
    assert!(!report.is_clean());
    assert_eq!(report.corrupt, []);
}

#[test]
fn garbage_is_what_nothing_names() {
    let (_dir, mut store) = store();
    let drv = path("a.drv");
    let runs: Vec<RunId> =
        (0..4).map(|n| store.save_run(&drv, &n, &[("console.log", b"x")]).unwrap()).collect();
    let newest_first: Vec<RunId> = store.runs_of(&drv).unwrap().iter().map(|run| run.id).collect();
    let oldest = *newest_first.last().unwrap();
    assert_eq!(runs.len(), newest_first.len());
    let [a, b, c, loose, of_round] = [b"a", b"b", b"c", b"l", b"r"].map(|contents| add(&store, contents));
    store
        .register(&PathInfo { origin: Origin::Built { run: oldest }, ..info(&path("a"), a, &[&path("b")]) })
        .unwrap();
    store.register(&info(&path("b"), b, &[])).unwrap();
    store.register(&info(&path("c"), c, &[])).unwrap();
    store.save_round(&key(0), &round(of_round, newest_first[0])).unwrap();
    store.save_round(&key(1), &round(of_round, newest_first[1])).unwrap();
    drop(store.lock(&drv, || ()).unwrap());

    let keep = Keep { roots: Some(vec![path("a")]), runs: 1 };
    let would = store.would_free(&keep).unwrap();
    let freed = store.gc(&keep).unwrap();
    assert_eq!(would, freed);
    assert_eq!((freed.nars, freed.paths, freed.runs, freed.rounds), (2, 1, 2, 1));
    assert!(freed.bytes > c.size + loose.size);
    assert!(store.nar(&c.hash).unwrap().is_none() && store.nar(&loose.hash).unwrap().is_none());
    assert_eq!(store.closure(&[path("a")]).unwrap().len(), 2);
    let left: Vec<RunId> = store.runs_of(&drv).unwrap().iter().map(|run| run.id).collect();
    assert_eq!(left, [newest_first[0], oldest]);
    assert!(store.round(&key(0)).unwrap().is_some() && store.round(&key(1)).unwrap().is_none());
    let report = verify(&store);
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(store.gc(&keep).unwrap(), Freed::default());
    assert_eq!(store.gc(&Keep { roots: None, runs: 9 }).unwrap(), Freed::default());
    // A root that is not there is an error before anything is removed.
    let wrong = Keep { roots: Some(vec![path("nobody")]), runs: 0 };
    assert!(matches!(store.gc(&wrong), Err(StoreError::NotClosed { .. })));
    assert_eq!(verify(&store).paths, 2);
}

#[test]
fn states_of_interrupted_runs_are_garbage_when_nothing_runs() {
    let (_dir, mut store) = store();
    let keep = Keep { roots: None, runs: 0 };
    assert_eq!(store.gc(&keep).unwrap(), Freed::default(), "without any");
    let run = store.root().join("checkpoints/00");
    fs::create_dir_all(&run).unwrap();
    fs::write(run.join("state"), [7; 1000]).unwrap();
    let expected = Freed { checkpoints: 1, bytes: 1000, ..Freed::default() };
    assert_eq!(store.would_free(&keep).unwrap(), expected);
    let other = Store::open(store.root()).unwrap();
    assert!(matches!(store.gc(&keep), Err(StoreError::InUse { .. })));
    drop(other);
    assert!(run.exists());
    assert_eq!(store.gc(&keep).unwrap(), expected);
    assert!(!run.exists());
}

#[test]
fn garbage_is_not_collected_under_a_writer() {
    let (_dir, mut store) = store();
    let mut writer = Store::open(store.root()).unwrap();
    let nar = add(&writer, b"not yet registered");
    let keep = Keep { roots: None, runs: 0 };
    assert!(matches!(store.gc(&keep), Err(StoreError::InUse { .. })));
    assert!(matches!(writer.gc(&keep), Err(StoreError::InUse { .. })));
    writer.register(&info(&path("a"), nar, &[])).unwrap();
    drop(writer);
    assert_eq!(store.gc(&keep).unwrap(), Freed::default());
}

#[test]
fn gc_stops_before_anything_is_removed_when_a_record_is_damaged() {
    let (_dir, mut store) = store();
    let nar = add(&store, b"a");
    store.register(&info(&path("a"), nar, &[])).unwrap();
    add(&store, b"loose");
    let file = store.path_file(&path("a"));
    fs::remove_file(&file).unwrap();
    fs::write(&file, "{").unwrap();
    assert!(matches!(store.gc(&Keep { roots: None, runs: 0 }), Err(StoreError::Damaged { .. })));
    assert_eq!(entries(&store, "nar"), 2);
}

#[test]
fn every_error_code_is_explained_once() {
    let codes: Vec<u16> = EXPLANATIONS.iter().map(|explanation| explanation.code.0).collect();
    assert!(codes.is_sorted_by(|a, b| a < b), "{codes:?}");
    assert!(codes.iter().all(|code| (800..900).contains(code)));
    for code in (801..=806).chain(808..=814).chain(820..=825) {
        assert!(codes.contains(&code), "RP{code:04}");
    }
}
