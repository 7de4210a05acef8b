//! What nobody needs is removed, and that is said: what stays, what comes again, who took something away, and removals that are killed.

use std::{
    collections::BTreeSet,
    env, fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, SystemTime},
};

use reprove::{
    mirror::{
        Mirror,
        check::Kind,
        claims::{Claimed, Worker},
        gc::{Gc, GcError, Gone, Mode, OnBusy},
        layout::{HashPart, Object},
        location::Location,
        publish::{Published, Publisher},
    },
    nix::{secret_key::SecretKey, store_path::StorePath},
    store::Store,
};

use crate::{
    cosign::{all_by, two},
    fixture::{Fixture, check_at, files, key, object, publish, replace},
    killed::{chain, last, to_the_end, write},
    serve::mirror_at,
    watched::dying,
};

/// Removes what these do not need, or says what would be, while nobody is at work.
pub fn collect(mirror: &Mirror, store: &Store, roots: &[StorePath], mode: Mode) -> Result<Gone, GcError> {
    with(mirror, store, roots, mode, OnBusy::Refuse, None)
}

fn with(
    mirror: &Mirror,
    store: &Store,
    roots: &[StorePath],
    mode: Mode,
    busy: OnBusy,
    leftovers: Option<Duration>,
) -> Result<Gone, GcError> {
    let (key, worker) = (key("test-1", 1), Worker::of(store).unwrap());
    Gc { mirror, key: &key, worker: &worker, roots, mode, busy, leftovers, jobs: 2 }.run()
}

fn names(folder: &Path) -> BTreeSet<String> {
    files(folder).into_keys().collect()
}

#[test]
fn what_no_root_needs_goes_and_what_was_said_of_it_stays() {
    let fixture = Fixture::new();
    let (mirror, key) = fixture.mirror("mirror");
    let folder = fixture.folder("mirror");
    let before = files(&folder);
    let roots = std::slice::from_ref(&fixture.lib.path);
    let said = collect(&mirror, &fixture.store, roots, Mode::DryRun).unwrap();
    assert!(files(&folder) == before, "nothing was removed");
    let gone = collect(&mirror, &fixture.store, roots, Mode::Remove).unwrap();
    assert_eq!(gone, said);
    assert_eq!((gone.paths.clone(), gone.kept), (vec![fixture.tool.path.clone()], 2));
    let part = HashPart::of(&fixture.tool.path);
    let drv = fixture.tool.deriver.clone().unwrap();
    for object in [
        Object::NarInfo(part.clone()),
        Object::Listing(part.clone()),
        Object::Log(drv.clone()),
        Object::Derivation(drv),
    ] {
        assert_eq!(
            gone.objects.get(&object.name()),
            Some(&(before[&object.name()].len() as u64)),
            "{object}"
        );
    }
    assert_eq!(gone.objects.keys().filter(|name| name.starts_with("nar/")).count(), 1);
    // Exactly what was said is gone, and the record has come.
    let record = Object::Removed(part).name();
    let expected: BTreeSet<String> =
        before.keys().filter(|name| !gone.objects.contains_key(*name)).cloned().collect();
    assert_eq!(names(&folder), expected.into_iter().chain([record.clone()]).collect());
    let report = check_at(&folder, &[&key], &[]);
    assert_eq!((report.findings, report.left, report.paths, report.removed), (vec![], vec![], 2, 1));
    assert_eq!(collect(&mirror, &fixture.store, roots, Mode::Remove).unwrap().objects.len(), 0);
    // Somebody else's record is none.
    let mut forged = fs::read(folder.join(&record)).unwrap();
    let at = forged.len() / 2;
    forged[at] ^= 1;
    replace(&folder.join(&record), &forged);
    assert!(!check_at(&folder, &[&key], &[]).findings.is_empty());
}

#[test]
fn what_comes_again_has_the_same_bits_or_is_a_conflict() {
    let fixture = Fixture::new();
    let (mirror, key) = fixture.mirror("mirror");
    let folder = fixture.folder("mirror");
    let before = files(&folder);
    let roots = std::slice::from_ref(&fixture.seed.path);
    let gone = collect(&mirror, &fixture.store, roots, Mode::Remove).unwrap();
    // What needs others before those.
    assert_eq!(gone.paths, [fixture.tool.path.clone(), fixture.lib.path.clone()]);
    let elsewhere = tempfile::tempdir().unwrap();
    let store = Store::open(elsewhere.path()).unwrap();
    let lib = (fixture.lib.deriver.clone().unwrap(), fixture.lib.path.clone());
    let other = object(&store, &lib, &[&fixture.seed.path], "other bits");
    let [_, (_, admission), _] = fixture.entries();
    let others = Publisher::new(&mirror, &key, &store).unwrap();
    fixture.keep(&others);
    let published = publish(&others, &other, &admission);
    assert_eq!(published, Published::Conflict { admitted: fixture.lib.nar_hash });
    fs::remove_dir_all(folder.join("conflicts")).unwrap();
    fixture.publish_all(&Publisher::new(&mirror, &key, &fixture.store).unwrap());
    assert!(files(&folder) == before, "the mirror that it was, to the last byte");
}

#[test]
fn a_path_that_somebody_took_away_is_an_alarm() {
    let fixture = Fixture::new();
    let (mirror, key) = fixture.mirror("mirror");
    let folder = fixture.folder("mirror");
    let name = |object: Object| folder.join(object.name());
    let part = HashPart::of(&fixture.tool.path);
    let narinfo = fs::read(name(Object::NarInfo(part.clone()))).unwrap();
    fs::remove_file(name(Object::NarInfo(part.clone()))).unwrap();
    let found = check_at(&folder, &[&key], &[]).findings;
    assert_eq!(found.iter().map(|one| one.kind).collect::<Vec<_>>(), [Kind::Gone]);
    assert!(found[0].why.contains(&fixture.tool.path.to_string()), "{found:?}");
    // A killed writer's: it is in, and nobody has said so yet. No fault, and the next one says it.
    fs::write(name(Object::NarInfo(part.clone())), narinfo).unwrap();
    let admitted = fs::read(name(Object::Admitted(part.clone()))).unwrap();
    fs::remove_file(name(Object::Admitted(part.clone()))).unwrap();
    let report = check_at(&folder, &[&key], &[]);
    assert_eq!(
        (report.findings.len(), report.unremembered),
        (0, vec![Object::Admitted(part.clone()).name()])
    );
    mirror.remember_all().unwrap();
    assert_eq!(fs::read(name(Object::Admitted(part.clone()))).unwrap(), admitted);
    // A record of a removal of other bits excuses nothing.
    let lib = HashPart::of(&fixture.lib.path);
    let text = String::from_utf8(fs::read(name(Object::Admitted(lib))).unwrap()).unwrap();
    replace(&name(Object::Admitted(part)), text.as_bytes());
    assert!(check_at(&folder, &[&key], &[]).findings.iter().any(|one| one.kind == Kind::Damaged));
}

#[test]
fn roots_have_to_be_there_and_nobody_may_be_at_work() {
    let fixture = Fixture::new();
    let (mirror, _) = fixture.mirror("mirror");
    let before = files(&fixture.folder("mirror"));
    let run = |roots: &[StorePath], busy| {
        with(&mirror, &fixture.store, roots, Mode::Remove, busy, None).map_err(|error| error.code().0)
    };
    let elsewhere = StorePath::from_base_name(format!("{}-x", "7".repeat(32)).as_bytes()).unwrap();
    assert_eq!(run(&[], OnBusy::GoOn), Err(1450));
    assert_eq!(run(&[elsewhere], OnBusy::GoOn), Err(1450));
    let dir = tempfile::tempdir().unwrap();
    let other = Worker::of(&Store::open(dir.path()).unwrap()).unwrap();
    let drv = fixture.tool.deriver.clone().unwrap();
    let now = SystemTime::now();
    assert_eq!(mirror.claim(&drv, &other, now).unwrap(), Claimed::Ours);
    let roots = std::slice::from_ref(&fixture.tool.path);
    assert_eq!(run(roots, OnBusy::Refuse), Err(1451));
    mirror.release(&drv, &other).unwrap();
    assert!(files(&fixture.folder("mirror")) == before);
    // A stranger's key signs nothing here.
    let (stranger, worker) = (key("stranger-1", 9), Worker::of(&fixture.store).unwrap());
    let (mode, busy) = (Mode::Remove, OnBusy::GoOn);
    let gc =
        Gc { mirror: &mirror, key: &stranger, worker: &worker, roots, mode, busy, leftovers: None, jobs: 1 };
    assert!(matches!(gc.run(), Err(GcError::Mirror(_))));
    // While one removes, nobody begins anything; and it begins nothing while another one removes.
    mirror.claim_everything(&other, now).unwrap();
    assert_eq!(mirror.claim(&drv, &worker, now).unwrap(), Claimed::Theirs);
    assert_eq!(mirror.claim(&drv, &other, now).unwrap(), Claimed::Theirs);
    assert_eq!(run(roots, OnBusy::Refuse), Err(1451));
    mirror.release_everything(&other).unwrap();
    assert_eq!(mirror.claim(&drv, &worker, now).unwrap(), Claimed::Ours);
    assert_eq!(run(roots, OnBusy::GoOn).unwrap().paths, []);
}

#[test]
fn what_somebody_has_begun_keeps_what_it_is_made_from() {
    let fixture = Fixture::new();
    let (mirror, _) = fixture.mirror("mirror");
    let folder = fixture.folder("mirror");
    // The tool is not in yet: its statements are, and its narinfo will be.
    let tool = HashPart::of(&fixture.tool.path);
    fs::remove_file(folder.join(Object::NarInfo(tool.clone()).name())).unwrap();
    let roots = std::slice::from_ref(&fixture.seed.path);
    let gone = collect(&mirror, &fixture.store, roots, Mode::Remove).unwrap();
    assert_eq!((gone.paths.len(), gone.objects.len()), (0, 0), "{gone:?}");
    // What is too old to be somebody's work keeps nothing, and goes.
    three_hours_pass(&folder);
    let sweep = |hours| with(&mirror, &fixture.store, roots, Mode::Remove, OnBusy::Refuse, hours).unwrap();
    assert_eq!(sweep(hours(4)).objects.len(), 0);
    let gone = sweep(hours(2));
    assert_eq!(gone.paths, std::slice::from_ref(&fixture.lib.path));
    assert!(gone.leftovers.contains(&Object::Listing(tool).name()), "{gone:?}");
    assert_eq!(gone.leftovers.iter().filter(|name| name.starts_with("nar/")).count(), 1);
    assert!(names(&folder).iter().filter(|name| name.starts_with("nar/")).count() == 1, "the seed's");
}

#[test]
fn what_waits_for_another_signer_keeps_what_it_is_made_from_however_old_it_is() {
    let fixture = Fixture::new();
    let [alice, _, bob] = two(&fixture, 2);
    all_by(&fixture, &alice);
    // Bob has come as far as the library.
    let mirror = mirror_at(&fixture.folder("mirror")).seen_by(&bob).unwrap();
    let publisher = Publisher::new(&mirror, &bob, &fixture.store).unwrap();
    fixture.take_seed(&publisher);
    let [_, (lib, admission), _] = fixture.entries();
    assert_eq!(publish(&publisher, lib, &admission), Published::New);
    let folder = fixture.folder("mirror");
    let before = files(&folder);
    three_hours_pass(&folder);
    let worker = Worker::of(&fixture.store).unwrap();
    let gc = Gc {
        mirror: &mirror,
        key: &bob,
        worker: &worker,
        roots: std::slice::from_ref(&fixture.seed.path),
        mode: Mode::Remove,
        busy: OnBusy::Refuse,
        leftovers: hours(2),
        jobs: 1,
    };
    let gone = gc.run().unwrap();
    assert_eq!((gone.paths.len(), gone.objects.len(), gone.kept), (0, 0, 2), "{gone:?}");
    assert!(files(&folder) == before);
    all_by(&fixture, &bob);
    let report = check_at(&folder, &[], &[]);
    assert_eq!((report.findings, report.paths, report.pending), (vec![], 3, 0));
}

/// Everything in a folder becomes so old.
fn three_hours_pass(folder: &Path) {
    for (name, _) in files(folder) {
        let file = fs::File::open(folder.join(name)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(3 * 3600)).unwrap();
    }
}

fn hours(hours: u64) -> Option<Duration> {
    Some(Duration::from_secs(hours * 3600))
}

const DIR: &str = "REPROVE_TEST_GC";

/// What the other process does: removes everything but the first path of the chain.
#[test]
#[ignore = "helper: the other process of the test below, does nothing by itself"]
fn child() {
    let Some(dir) = env::var_os(DIR) else { return };
    remove(Path::new(&dir));
}

fn remove(dir: &Path) -> Gone {
    let store = Store::open(&dir.join("state")).unwrap();
    let mirror = Mirror::open(Location::parse(dir.join("mirror").to_str().unwrap()).unwrap()).unwrap();
    let root = chain(&store).swap_remove(2).path;
    with(&mirror, &store, &[root], Mode::Remove, OnBusy::GoOn, None).unwrap()
}

fn spawn(dir: &Path) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", "gc::child", "--ignored", "--nocapture"])
        .env(DIR, dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn a_removal_killed_at_many_moments_ends_as_one_that_nobody_disturbed() {
    let dir = tempfile::tempdir().unwrap();
    let [quiet, killed] = ["quiet", "killed"].map(|name| dir.path().join(name));
    for at in [&quiet, &killed] {
        let store = Store::open(&at.join("state")).unwrap();
        write(at.join("mirror").to_str().unwrap(), &store, &chain(&store));
    }
    let whole = names(&killed.join("mirror"));
    let began = SystemTime::now();
    to_the_end(spawn(&quiet), "undisturbed");
    let took = began.elapsed().unwrap();
    assert_eq!(check_at(&quiet.join("mirror"), &[], &[]).paths, 3);
    assert!(!quiet.join("mirror").join(Object::NarInfo(HashPart::of(&last())).name()).exists());
    for n in 1..=12 {
        let mut child = spawn(&killed);
        std::thread::sleep(took.mul_f64(f64::from(n) / 13.0));
        child.kill().unwrap();
        child.wait().unwrap();
        let report = check_at(&killed.join("mirror"), &[], &[]);
        assert_eq!(report.findings, []);
    }
    to_the_end(spawn(&killed), "the last");
    assert!(whole.len() > names(&killed.join("mirror")).len());
    let (made, expected) = (files(&killed.join("mirror")), files(&quiet.join("mirror")));
    let differ: Vec<&String> =
        made.keys().chain(expected.keys()).filter(|name| made.get(*name) != expected.get(*name)).collect();
    assert!(made == expected, "{differ:?}");
    let report = check_at(&killed.join("mirror"), &[], &[]);
    assert_eq!((report.findings, report.left, report.paths), (vec![], vec![], 3));
}

#[test]
fn a_removal_killed_between_records_and_objects_is_undone_for_what_is_needed_again() {
    let fixture = Fixture::new();
    let (mirror, key) = fixture.mirror("mirror");
    let folder = fixture.folder("mirror");
    let before = files(&folder);
    let lib = HashPart::of(&fixture.lib.path);
    let narinfo = folder.join(Object::NarInfo(lib.clone()).name());
    // Taken out, with its NAR still there: as a removal leaves it that was killed.
    let text = fs::read(&narinfo).unwrap();
    collect(&mirror, &fixture.store, std::slice::from_ref(&fixture.seed.path), Mode::Remove).unwrap();
    for (name, bytes) in &before {
        let file = folder.join(name);
        if !file.exists() && file != narinfo {
            fs::write(file, bytes).unwrap();
        }
    }
    let tool = HashPart::of(&fixture.tool.path);
    fs::remove_file(folder.join(Object::Removed(tool).name())).unwrap();
    assert!(!narinfo.exists());
    let gone =
        collect(&mirror, &fixture.store, std::slice::from_ref(&fixture.tool.path), Mode::Remove).unwrap();
    assert_eq!(gone.put_back, std::slice::from_ref(&fixture.lib.path));
    assert_eq!(fs::read(&narinfo).unwrap(), text);
    assert!(files(&folder) == before);
    assert_eq!(check_at(&folder, &[&key], &[]).findings, []);
}

fn copy(from: &Path, to: &Path) {
    for (name, bytes) in files(from) {
        let file = to.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, bytes).unwrap();
    }
}

/// Removes everything but the seed from a copy of a mirror, killed after each write in turn, and again to the end. Then a copy that a
/// removal was killed in is filled again. Says how many writes there are.
fn killed_at_each_write(fixture: &Fixture, whole: &Path, key: &SecretKey, fill: impl Fn(&Path)) -> usize {
    let worker = Worker::of(&fixture.store).unwrap();
    let roots = std::slice::from_ref(&fixture.seed.path);
    let (mode, busy) = (Mode::Remove, OnBusy::Refuse);
    let gc = |mirror: &Mirror| {
        Gc { mirror, key, worker: &worker, roots, mode, busy, leftovers: None, jobs: 1 }.run()
    };
    let quiet = fixture.folder("quiet");
    copy(whole, &quiet);
    gc(&mirror_at(&quiet)).unwrap();
    let expected = files(&quiet);
    let report = check_at(&quiet, &[], &[]);
    assert_eq!((report.findings, report.left, report.paths), (vec![], vec![], 1));
    assert_eq!((report.removed, report.pending), (2, 0));
    for writes in 0.. {
        let at = fixture.folder(&format!("killed-{writes}"));
        copy(whole, &at);
        let ended = gc(&Mirror::open(dying(&at, writes)).unwrap()).is_ok();
        assert_eq!(check_at(&at, &[], &[]).findings, [], "after {writes} writes");
        if ended {
            return writes;
        }
        gc(&mirror_at(&at)).unwrap();
        assert!(files(&at) == expected, "after {writes} writes");
        // One that was killed, and then what it took out is needed after all.
        let other = fixture.folder(&format!("needed-{writes}"));
        copy(whole, &other);
        let _ = gc(&Mirror::open(dying(&other, writes)).unwrap());
        mirror_at(&other).release_everything(&Worker::of(&fixture.store).unwrap()).unwrap();
        fill(&other);
        let (made, whole) = (files(&other), files(whole));
        let names = made.keys().chain(whole.keys());
        let differ: BTreeSet<&String> = names.filter(|name| made.get(*name) != whole.get(*name)).collect();
        assert!(differ.is_empty(), "after {writes} writes: {differ:?}");
    }
    unreachable!("it ends")
}

#[test]
fn a_removal_that_ends_after_any_of_its_writes_leaves_nothing_wrong_and_is_gone_on_with() {
    let fixture = Fixture::new();
    let (_, key) = fixture.mirror("mirror");
    let fill = |at: &Path| {
        fixture.publish_all(&Publisher::new(&mirror_at(at), &key, &fixture.store).unwrap());
    };
    let writes = killed_at_each_write(&fixture, &fixture.folder("mirror"), &key, fill);
    assert!(writes > 15, "{writes}");
}

#[test]
fn so_does_one_in_a_mirror_where_two_have_to_sign() {
    let fixture = Fixture::new();
    let [alice, _, bob] = two(&fixture, 2);
    all_by(&fixture, &alice);
    all_by(&fixture, &bob);
    let fill = |at: &Path| {
        for key in [&alice, &bob] {
            let mirror = mirror_at(at).seen_by(key).unwrap();
            fixture.publish_all(&Publisher::new(&mirror, key, &fixture.store).unwrap().cosigning());
        }
    };
    let writes = killed_at_each_write(&fixture, &fixture.folder("mirror"), &alice, fill);
    assert!(writes > 19, "{writes}");
}

#[test]
fn a_writer_that_ends_after_any_of_its_writes_leaves_nothing_wrong_and_is_gone_on_with() {
    let fixture = Fixture::new();
    let (_, key) = fixture.mirror("mirror");
    let expected = files(&fixture.folder("mirror"));
    let mut writes = 0;
    loop {
        let name = format!("killed-{writes}");
        fixture.init(&name, "", &key);
        let at = fixture.folder(&name);
        let dying = Mirror::open(dying(&at, writes)).unwrap();
        let publisher = Publisher::new(&dying, &key, &fixture.store).unwrap();
        let ended =
            publisher.seed(std::slice::from_ref(&fixture.seed.path), "it has to begin somewhere").is_ok();
        assert_eq!(check_at(&at, &[&key], &[]).findings, [], "after {writes} writes");
        let mirror = Mirror::open(Location::parse(at.to_str().unwrap()).unwrap()).unwrap();
        fixture.publish_all(&Publisher::new(&mirror, &key, &fixture.store).unwrap());
        assert!(files(&at) == expected, "after {writes} writes");
        if ended {
            break;
        }
        writes += 1;
    }
    assert!(writes > 4, "{writes}");
}
