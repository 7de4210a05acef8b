//! What signers saw of a mirror, held against what is there: an old copy, one in which something was left out, and parts of two.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, SystemTime},
};

use reprove::{
    mirror::{
        Mirror, MirrorError,
        check::{self, Believing, Finding, Kind, Report, Request},
        claims::Worker,
        gc::{Gc, Mode, OnBusy},
        layout::{HashPart, KeyId, Object},
        location::Location,
        publish::Publisher,
        serve::Limits,
        snapshot::{Making, Snapshot},
    },
    nix::{secret_key::SecretKey, store_path::StorePath},
};

use crate::{
    cosign::{all_by, two},
    fixture::{Fixture, check_at, files, key, replace},
    serve::Running,
};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn snapshot(mirror: &Mirror, key: &SecretKey) -> Result<Snapshot, MirrorError> {
    at(mirror, key, SystemTime::now())
}

fn at(mirror: &Mirror, key: &SecretKey, now: SystemTime) -> Result<Snapshot, MirrorError> {
    mirror.snapshot(&Making { key, days: 30, now, jobs: 2 })
}

/// The file of a signer's snapshot.
fn file(folder: &Path, key: &SecretKey) -> std::path::PathBuf {
    folder.join(Object::Snapshot(KeyId::of(&key.public())).name())
}

fn since(address: &str, key: &SecretKey, paths: &[StorePath], kept: &[Vec<u8>]) -> Report {
    let location = Location::parse(address).unwrap();
    let believed = [key.public()];
    let believing = Believing::Keys(&believed);
    let request = Request { paths, believing, since: kept, now: SystemTime::now(), jobs: 2 };
    check::check(&location, &request).unwrap()
}

fn kinds(found: &[Finding]) -> Vec<Kind> {
    found.iter().map(|one| one.kind).collect()
}

/// Somebody comes with other bits for the lib.
fn other_bits(fixture: &Fixture, mirror: &Mirror, key: &SecretKey) -> [String; 2] {
    let (other, _) = fixture.publish_another_lib(mirror, key);
    let part = HashPart::of(&other.path);
    [Object::Conflict(part.clone(), other.nar_hash).name(), Object::OtherNar(part, other.nar_hash).name()]
}

/// Removes what this path does not need.
fn collect(fixture: &Fixture, mirror: &Mirror, key: &SecretKey, root: &StorePath) {
    let worker = Worker::of(&fixture.store).unwrap();
    let (roots, mode, busy) = (std::slice::from_ref(root), Mode::Remove, OnBusy::Refuse);
    Gc { mirror, key, worker: &worker, roots, mode, busy, leftovers: None, jobs: 2 }.run().unwrap();
}

#[test]
fn a_snapshot_lists_what_is_there_and_the_next_one_goes_on_from_it() {
    let fixture = Fixture::new();
    let (mirror, key) = fixture.mirror("mirror");
    let folder = fixture.folder("mirror");
    let first = snapshot(&mirror, &key).unwrap();
    assert_eq!((first.number, first.before.as_ref(), first.listed.paths.len()), (1, None, 3));
    assert_eq!(first.listed.records.len(), 1, "the seed");
    assert_eq!(first.listed.paths[&fixture.lib.path].nar_hash, fixture.lib.nar_hash);
    let kept = fs::read(file(&folder, &key)).unwrap();
    assert_eq!(Snapshot::read(&kept, &key.public()).unwrap(), first);
    let second = snapshot(&mirror, &key).unwrap();
    assert_eq!((second.number, second.listed == first.listed), (2, true));
    assert_eq!(second.before, first.hash());
    let report = check_at(&folder, &[&key], &[]);
    assert_eq!(report.findings, []);
    let [seen] = &report.snapshots[..] else { panic!("{:?}", report.snapshots) };
    assert_eq!(
        (seen.by.as_str(), seen.number, seen.made, seen.until),
        ("test-1", 2, second.made, second.expires)
    );
    assert!(matches!(snapshot(&mirror, &crate::fixture::key("x-1", 7)), Err(MirrorError::NotASigner { .. })));

    // Every byte of it counts.
    let name = Object::Snapshot(KeyId::of(&key.public())).name();
    let whole = fs::read(file(&folder, &key)).unwrap();
    for at in (0..whole.len()).step_by(whole.len() / 80) {
        let mut changed = whole.clone();
        changed[at] ^= 1 << (at % 7);
        replace(&file(&folder, &key), &changed);
        let found = check_at(&folder, &[&key], &[]).findings;
        assert!(
            found.iter().any(|one| one.object == name && one.kind == Kind::Damaged),
            "byte {at}: {found:?}"
        );
        // And nothing is made in the place of what cannot be read.
        assert_eq!(snapshot(&mirror, &key).unwrap_err().code().0, 1423);
    }
}

#[test]
fn t54_a_mirror_that_is_frozen_is_stale() {
    let fixture = Fixture::new();
    let key = key("test-1", 1);
    let mirror = fixture.init("mirror", "snapshot_days = 7\n", &key);
    fixture.publish_all(&Publisher::new(&mirror, &key, &fixture.store).unwrap());
    let folder = fixture.folder("mirror");
    // Who asks for snapshots is not content without any: that is how an old copy would come.
    let found = check_at(&folder, &[&key], &[]).findings;
    assert_eq!((kinds(&found), found[0].why.contains("0 have")), (vec![Kind::Stale], true), "{found:?}");
    let now = SystemTime::now();
    for (made, holds, why) in [
        (now - 6 * DAY, true, ""),
        // The signer says 30 days, and the policy 7.
        (now - 8 * DAY, false, "it held until"),
        (now - 40 * DAY, false, "it held until"),
        (now + 12 * 3600 * Duration::from_secs(1), true, ""),
        (now + 10 * 365 * DAY, false, "still to come"),
    ] {
        let _ = fs::remove_file(file(&folder, &key));
        at(&mirror, &key, made).unwrap();
        for paths in [&[][..], std::slice::from_ref(&fixture.tool.path)] {
            let found = check_at(&folder, &[&key], paths).findings;
            assert_eq!(found.is_empty(), holds, "{found:?}");
            assert!(found.iter().all(|one| one.kind == Kind::Stale), "{found:?}");
            assert!(holds || found.iter().any(|one| one.why.contains(why)), "{found:?}");
        }
    }
    // Where nobody asks for any, one that is there and is over is told of all the same.
    let (mirror, key) = fixture.mirror("other");
    at(&mirror, &key, now - 31 * DAY).unwrap();
    assert_eq!(kinds(&check_at(&fixture.folder("other"), &[&key], &[]).findings), [Kind::Stale]);
}

#[test]
fn t54_what_was_left_out_of_a_mirror_is_missed() {
    let fixture = Fixture::new();
    let (mirror, key) = fixture.mirror("mirror");
    let folder = fixture.folder("mirror");
    let [record, nar] = other_bits(&fixture, &mirror, &key);
    snapshot(&mirror, &key).unwrap();
    let whole = files(&folder);
    assert_eq!(kinds(&check_at(&folder, &[&key], &[]).findings), [Kind::Conflict]);
    // That somebody came with other bits, hidden.
    for name in [&record, &nar] {
        fs::remove_file(folder.join(name)).unwrap();
    }
    for paths in [&[][..], std::slice::from_ref(&fixture.lib.path)] {
        let found = check_at(&folder, &[&key], paths).findings;
        assert!(found.iter().any(|one| one.object == record && one.kind == Kind::Gone), "{found:?}");
    }
    // Nobody signs a list from which it is missing.
    let error = snapshot(&mirror, &key).unwrap_err();
    assert!(matches!(&error, MirrorError::Lost { object, .. } if object.ends_with(&record)), "{error}");
    for name in [&record, &nar] {
        fs::write(folder.join(name), &whole[name]).unwrap();
    }
    // A path with everything that was ever said of it.
    let part = fixture.tool.path.hash_part();
    for name in whole.keys().filter(|name| name.contains(part)) {
        fs::remove_file(folder.join(name)).unwrap();
    }
    let found = check_at(&folder, &[&key], &[]).findings;
    let narinfo = Object::NarInfo(HashPart::of(&fixture.tool.path)).name();
    assert!(found.iter().any(|one| one.object == narinfo && one.kind == Kind::Gone), "{found:?}");
    // What nobody asks for is not missed.
    let found = check_at(&folder, &[&key], std::slice::from_ref(&fixture.seed.path)).findings;
    assert_eq!(found, []);
}

#[test]
fn what_was_removed_on_record_is_not_missed() {
    let fixture = Fixture::new();
    let (mirror, key) = fixture.mirror("mirror");
    snapshot(&mirror, &key).unwrap();
    collect(&fixture, &mirror, &key, &fixture.lib.path);
    let folder = fixture.folder("mirror");
    assert_eq!(check_at(&folder, &[&key], &[]).findings, []);
    let next = snapshot(&mirror, &key).unwrap();
    assert_eq!((next.number, next.listed.paths.len()), (2, 2));
    // It comes in again, and is listed again.
    fixture.publish_all(&Publisher::new(&mirror, &key, &fixture.store).unwrap());
    assert_eq!(check_at(&folder, &[&key], &[]).findings, []);
    assert_eq!(snapshot(&mirror, &key).unwrap().listed.paths.len(), 3);
}

#[test]
fn t53_a_record_of_a_removal_that_was_put_back_excuses_nothing() {
    let fixture = Fixture::new();
    let (mirror, key) = fixture.mirror("mirror");
    let folder = fixture.folder("mirror");
    snapshot(&mirror, &key).unwrap();
    collect(&fixture, &mirror, &key, &fixture.lib.path);
    let name = Object::Removed(HashPart::of(&fixture.tool.path)).name();
    let removed = fs::read(folder.join(&name)).unwrap();
    fixture.publish_all(&Publisher::new(&mirror, &key, &fixture.store).unwrap());
    assert!(!folder.join(&name).exists());
    snapshot(&mirror, &key).unwrap();
    // Who serves the mirror takes the path away and puts the old record back, which is well signed.
    fs::write(folder.join(&name), removed).unwrap();
    let narinfo = Object::NarInfo(HashPart::of(&fixture.tool.path)).name();
    fs::remove_file(folder.join(&narinfo)).unwrap();
    let found = check_at(&folder, &[&key], &[]).findings;
    assert!(found.iter().any(|one| one.object == narinfo && one.kind == Kind::Gone), "{found:?}");
    let found = check_at(&folder, &[&key], std::slice::from_ref(&fixture.tool.path)).findings;
    assert!(found.iter().any(|one| one.object == narinfo && one.kind == Kind::Gone), "{found:?}");
    assert!(matches!(snapshot(&mirror, &key), Err(MirrorError::Lost { .. })));
    // Nor does one that nobody has signed.
    fs::write(folder.join(&name), b"{}").unwrap();
    let found = check_at(&folder, &[&key], std::slice::from_ref(&fixture.tool.path)).findings;
    assert!(found.iter().any(|one| one.object == narinfo && one.kind == Kind::Gone), "{found:?}");
}

#[test]
fn what_comes_in_again_has_the_signatures_that_it_had() {
    for threshold in [1, 2] {
        let fixture = Fixture::new();
        let [alice, _, bob] = two(&fixture, threshold);
        all_by(&fixture, &alice);
        all_by(&fixture, &bob);
        let folder = fixture.folder("mirror");
        let mirror = Mirror::open(fixture.location("mirror")).unwrap();
        let before = files(&folder);
        snapshot(&mirror, &alice).unwrap();
        collect(&fixture, &mirror, &alice, &fixture.seed.path);
        assert_eq!(check_at(&folder, &[], &[]).findings, []);
        // Alice alone has it again, and Bob has said what he said.
        all_by(&fixture, &alice);
        let report = check_at(&folder, &[], &[]);
        assert_eq!((report.findings, report.pending), (vec![], 0), "threshold {threshold}");
        fs::remove_dir_all(folder.join("snapshots")).unwrap();
        assert!(files(&folder) == before, "threshold {threshold}: the mirror that it was, to the last byte");
    }
}

#[test]
fn a_path_that_waits_again_though_it_was_admitted_is_no_secret() {
    let fixture = Fixture::new();
    let [alice, _, bob] = two(&fixture, 2);
    all_by(&fixture, &alice);
    all_by(&fixture, &bob);
    let folder = fixture.folder("mirror");
    snapshot(&Mirror::open(fixture.location("mirror")).unwrap(), &bob).unwrap();
    fs::remove_file(folder.join(Object::NarInfo(HashPart::of(&fixture.tool.path)).name())).unwrap();
    let found = check_at(&folder, &[], &[]).findings;
    assert_eq!(kinds(&found), [Kind::Unsigned], "{found:?}");
}

#[test]
fn a_signer_who_has_gone_does_not_make_a_mirror_stale_that_others_look_after() {
    let fixture = Fixture::new();
    let [alice, again, bob] = two(&fixture, 1);
    all_by(&fixture, &alice);
    let mirror = Mirror::open(fixture.location("mirror")).unwrap();
    let folder = fixture.folder("mirror");
    let now = SystemTime::now();
    at(&mirror, &alice, now - 50 * DAY).unwrap();
    at(&mirror, &bob, now - 40 * DAY).unwrap();
    let found = check_at(&folder, &[], &[]).findings;
    assert_eq!(kinds(&found), [Kind::Stale, Kind::Stale], "{found:?}");
    // Alice's other key.
    at(&mirror, &again, now).unwrap();
    let report = check_at(&folder, &[], &[]);
    assert_eq!(report.findings, []);
    assert_eq!(report.snapshots.iter().filter(|one| one.holds).count(), 1);
    // One of hers from the future takes nothing from it.
    at(&mirror, &alice, now).unwrap();
    at(&mirror, &again, now + 400 * DAY).unwrap();
    assert_eq!(check_at(&folder, &[], &[]).findings, []);
    // To who believes Bob alone it is old.
    assert_eq!(kinds(&check_at(&folder, &[&bob], &[]).findings).last(), Some(&Kind::Stale));
}

#[test]
fn a_signature_that_was_taken_from_a_path_is_missed() {
    let fixture = Fixture::new();
    let [alice, _, bob] = two(&fixture, 1);
    all_by(&fixture, &alice);
    let folder = fixture.folder("mirror");
    let alone = files(&folder);
    all_by(&fixture, &bob);
    let mirror = Mirror::open(fixture.location("mirror")).unwrap();
    snapshot(&mirror, &alice).unwrap();
    assert_eq!(check_at(&folder, &[], &[]).findings, []);
    let own = files(&folder);
    for (name, bytes) in &own {
        match alone.get(name) {
            Some(was) => replace(&folder.join(name), was),
            None if name.starts_with("snapshots/") => replace(&folder.join(name), bytes),
            None => fs::remove_file(folder.join(name)).unwrap(),
        }
    }
    let found = check_at(&folder, &[], &[]).findings;
    assert_eq!(kinds(&found), [Kind::Gone; 3], "{found:?}");
    assert!(found.iter().all(|one| one.why.contains("signature")), "{found:?}");
}

#[test]
fn t55_a_snapshot_of_another_mirror_is_none_of_this_one() {
    let fixture = Fixture::new();
    let (_, key) = fixture.mirror("mirror");
    let other = fixture.init("other", "rounds = 3\n", &key);
    fixture.publish_all(&Publisher::new(&other, &key, &fixture.store).unwrap());
    snapshot(&other, &key).unwrap();
    let folder = fixture.folder("mirror");
    fs::create_dir(folder.join("snapshots")).unwrap();
    fs::copy(file(&fixture.folder("other"), &key), file(&folder, &key)).unwrap();
    let found = check_at(&folder, &[&key], &[]).findings;
    assert_eq!(kinds(&found), [Kind::Damaged]);
    assert!(found[0].why.contains("another policy"), "{found:?}");
    // Nor is one that another signer made.
    let fixture = Fixture::new();
    let [alice, _, bob] = two(&fixture, 1);
    all_by(&fixture, &alice);
    let folder = fixture.folder("mirror");
    snapshot(&Mirror::open(fixture.location("mirror")).unwrap(), &alice).unwrap();
    fs::rename(file(&folder, &alice), file(&folder, &bob)).unwrap();
    assert_eq!(kinds(&check_at(&folder, &[], &[]).findings), [Kind::Damaged]);
}

#[test]
fn an_old_copy_does_not_pass_for_whoever_has_kept_a_snapshot() {
    let fixture = Fixture::new();
    let (mirror, key) = fixture.mirror("mirror");
    let folder = fixture.folder("mirror");
    let address = folder.display().to_string();
    snapshot(&mirror, &key).unwrap();
    let (first, old) = (fs::read(file(&folder, &key)).unwrap(), files(&folder));
    let names = other_bits(&fixture, &mirror, &key);
    snapshot(&mirror, &key).unwrap();
    let second = fs::read(file(&folder, &key)).unwrap();
    // From what was seen before the mirror has gone on. How the envelope is written accuses nobody.
    let spaced = [second.clone(), b"\n".to_vec()].concat();
    for kept in [&first, &second, &spaced] {
        assert_eq!(kinds(&since(&address, &key, &[], std::slice::from_ref(kept)).findings), [Kind::Conflict]);
    }
    // The copy from before the conflict: all that is in it is well signed, and its snapshot still holds.
    names.iter().for_each(|name| fs::remove_file(folder.join(name)).unwrap());
    replace(&file(&folder, &key), &first);
    assert!(files(&folder) == old);
    assert_eq!(check_at(&folder, &[&key], &[]).findings, []);
    let found = since(&address, &key, &[], std::slice::from_ref(&second)).findings;
    assert_eq!(kinds(&found), [Kind::Gone, Kind::Gone], "{found:?}");
    assert!(found.iter().any(|one| one.why.contains("number 1, and number 2")), "{found:?}");
    // Without any snapshot at all.
    fs::remove_file(file(&folder, &key)).unwrap();
    let found = since(&address, &key, &[], &[second]).findings;
    assert!(found.iter().any(|one| one.why.contains("number 2 was seen before")), "{found:?}");
    // A signer who tells one this and another that.
    at(&mirror, &key, SystemTime::now() - DAY).unwrap();
    let found = since(&address, &key, &[], std::slice::from_ref(&first)).findings;
    assert_eq!(kinds(&found), [Kind::Conflict], "{found:?}");
    assert!(found[0].why.contains("another number 1"), "{found:?}");
    // And goes on from that.
    at(&mirror, &key, SystemTime::now()).unwrap();
    let found = since(&address, &key, &[], std::slice::from_ref(&first)).findings;
    assert_eq!(kinds(&found), [Kind::Conflict], "{found:?}");
    // What is kept has to be of somebody who is believed.
    let found = since(&address, &key, &[], &[b"{}".to_vec()]).findings;
    assert_eq!(kinds(&found), [Kind::Unsigned]);
    // And of this mirror.
    let other = fixture.init("other", "rounds = 3\n", &key);
    snapshot(&other, &key).unwrap();
    let kept = fs::read(file(&fixture.folder("other"), &key)).unwrap();
    let found = since(&address, &key, &[], &[kept]).findings;
    assert_eq!((kinds(&found), found[0].object.as_str()), (vec![Kind::Damaged], "mirror.json"), "{found:?}");
    // What cannot be read is not said to be missing.
    replace(&file(&folder, &key), b"{}");
    let found = since(&address, &key, &[], &[first]).findings;
    assert_eq!(kinds(&found), [Kind::Damaged], "{found:?}");
}

#[test]
fn over_http_a_snapshot_tells_of_other_bits_and_of_what_is_hidden() {
    let fixture = Fixture::new();
    let (mirror, key) = fixture.mirror("mirror");
    let folder = fixture.folder("mirror");
    let [record, _] = other_bits(&fixture, &mirror, &key);
    let running = Running::of(&folder, Limits::default());
    let address = format!("http://{}", running.address);
    let ask = |path: &StorePath| since(&address, &key, std::slice::from_ref(path), &[]);
    let blind = ask(&fixture.lib.path);
    assert_eq!((blind.findings, blind.conflicts_unseen), (vec![], true));
    snapshot(&mirror, &key).unwrap();
    // One that holds no more, or is of somebody who is not believed, is no reason to say that nothing was hidden.
    let seen = ask(&fixture.lib.path);
    assert_eq!((kinds(&seen.findings), seen.conflicts_unseen), (vec![Kind::Conflict], false));
    assert_eq!((seen.findings[0].object.as_str(), seen.snapshots.len()), (record.as_str(), 1));
    // It is about the lib, and a path that is not made from it has nothing to do with it.
    assert_eq!(ask(&fixture.seed.path).findings, []);
    fs::remove_file(folder.join(&record)).unwrap();
    let found = ask(&fixture.tool.path).findings;
    assert!(found.iter().any(|one| one.object == record && one.kind == Kind::Gone), "{found:?}");
}

#[test]
fn what_cannot_be_read_is_not_said_to_be_gone() {
    let fixture = Fixture::new();
    let (mirror, key) = fixture.mirror("mirror");
    snapshot(&mirror, &key).unwrap();
    let folder = fixture.folder("mirror");
    let narinfo = folder.join(Object::NarInfo(HashPart::of(&fixture.tool.path)).name());
    fs::remove_file(&narinfo).unwrap();
    // A folder in its place: there, and not to be read.
    fs::create_dir(&narinfo).unwrap();
    let found = check_at(&folder, &[&key], std::slice::from_ref(&fixture.tool.path)).findings;
    assert!(!found.is_empty() && found.iter().all(|one| one.kind != Kind::Gone), "{found:?}");
}

fn reprove(fixture: &Fixture, args: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reprove"));
    command.env_remove("REPROVE_STATE").arg("--state").arg(fixture.folder("state")).args(args);
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn on_a_command_line_a_snapshot_is_made_kept_and_asked_for() {
    let fixture = Fixture::new();
    let key = key("test-1", 1);
    let mirror = fixture.init("mirror", "snapshot_days = 7\n", &key);
    fixture.publish_all(&Publisher::new(&mirror, &key, &fixture.store).unwrap());
    let path = |name: &str| fixture.folder(name).display().to_string();
    let (folder, keyfile, kept, json) = (path("mirror"), path("key"), path("kept"), path("json"));
    fs::write(&keyfile, reprove::nix::secret_key::spelled(key.name(), &[1; 32])).unwrap();
    let verify = || reprove(&fixture, &["mirror", "verify", &folder]);
    let (exit, said) = verify();
    assert!(exit == Some(122) && said.contains("stale"), "{exit:?}: {said}");

    let made = reprove(&fixture, &["mirror", "snapshot", &folder, "--key", &keyfile, "--json", &json]);
    assert!(
        made.0 == Some(0) && made.1.starts_with("snapshot 1 of 3 paths and 1 record; it holds until 2"),
        "{made:?}"
    );
    let document: serde_json::Value = serde_json::from_slice(&fs::read(&json).unwrap()).unwrap();
    crate::support::schema::check("mirror-snapshot", &document);
    let object = fixture.folder("mirror").join(document["object"].as_str().unwrap());
    let snapshot: Snapshot = Snapshot::read(&fs::read(&object).unwrap(), &key.public()).unwrap();
    crate::support::schema::check("mirror-snapshot-object", &serde_json::to_value(&snapshot).unwrap());
    let (exit, said) = verify();
    assert!(exit == Some(0) && said.contains("by test-1 holds until 2"), "{exit:?}: {said}");

    // Who changes the mirror makes the next one.
    fs::copy(&object, &kept).unwrap();
    let root = fixture.lib.path.to_string();
    let (exit, said) = reprove(&fixture, &["mirror", "gc", &folder, "--key", &keyfile, "--root", &root]);
    assert_eq!(exit, Some(0), "{said}");
    let since = || reprove(&fixture, &["mirror", "verify", &folder, "--since", &kept]);
    let (exit, said) = since();
    assert!(exit == Some(0) && said.contains("snapshot 2 of "), "{exit:?}: {said}");
    fs::remove_file(&object).unwrap();
    let (exit, said) = since();
    assert!(exit == Some(102) && said.contains("number 1 was seen before"), "{exit:?}: {said}");

    // What is lost is told, and no snapshot hides it; what was done is told all the same.
    fs::copy(&kept, &object).unwrap();
    let seed = Object::Seed(HashPart::of(&fixture.seed.path)).name();
    fs::remove_file(fixture.folder("mirror").join(&seed)).unwrap();
    let (exit, said) = reprove(&fixture, &["mirror", "gc", &folder, "--key", &keyfile, "--root", &root]);
    assert!(
        exit == Some(102) && said.contains("RP1428") && said.contains("2 paths stay"),
        "{exit:?}: {said}"
    );
}
