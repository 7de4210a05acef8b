//! Writers that meet: each other, their own unfinished work, and what is there already.

use std::{fs, sync::Barrier, thread};

use reprove::{
    attest::envelope::Envelope,
    mirror::{
        Mirror, MirrorError,
        check::{Finding, Kind},
        conflict::Conflict,
        layout::{HashPart, Object},
        location::Location,
        policy::Policy,
        publish::{Entry, Published, Publisher},
    },
    nix::hash::NarHash,
};
use sha2::{Digest as _, Sha256};

use crate::fixture::{Fixture, check_at, files, key, object, publish, replace, statements};

#[test]
fn a_path_enters_only_after_what_it_refers_to() {
    let fixture = Fixture::new();
    let key = key("test-1", 1);
    let mirror = fixture.init("mirror", "", &key);
    let publisher = Publisher::new(&mirror, &key, &fixture.store).unwrap();
    let [seed, lib, _] = fixture.entries();
    fixture.keep(&publisher);
    let before = files(&fixture.folder("mirror")).len();
    let statements = statements(lib.0, &lib.1, 2);
    let refused =
        publisher.publish(&Entry { info: lib.0, admission: &lib.1, statements: &statements, log: None });
    assert!(matches!(refused, Err(MirrorError::NotClosed { missing, .. }) if missing == seed.0.path));
    assert_eq!(files(&fixture.folder("mirror")).len(), before, "nothing of it was written");
    assert_eq!(publish(&publisher, seed.0, &seed.1), Published::New);
    assert_eq!(publish(&publisher, lib.0, &lib.1), Published::New);
    assert_eq!(publish(&publisher, lib.0, &lib.1), Published::There);
}

#[test]
fn t53_t56_other_bits_for_an_admitted_path_are_a_conflict_on_record_and_change_nothing() {
    let fixture = Fixture::new();
    let (mirror, key) = fixture.mirror("mirror");
    let before = files(&fixture.folder("mirror"));
    let publisher = Publisher::new(&mirror, &key, &fixture.store).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let store = reprove::store::Store::open(elsewhere.path()).unwrap();
    let lib = (fixture.lib.deriver.clone().unwrap(), fixture.lib.path.clone());
    let other = object(&store, &lib, &[&fixture.seed.path], "another lib");
    let publisher_of_other = Publisher::new(&mirror, &key, &store).unwrap();
    for _ in 0..2 {
        let [_, (_, admission), _] = fixture.entries();
        let published = publish(&publisher_of_other, &other, &admission);
        assert_eq!(published, Published::Conflict { admitted: fixture.lib.nar_hash });
    }
    let mut after = files(&fixture.folder("mirror"));
    let record = Object::Conflict(HashPart::of(&other.path), other.nar_hash).name();
    let bits = Object::OtherNar(HashPart::of(&other.path), other.nar_hash).name();
    let (said, nar) = (after.remove(&record).unwrap(), after.remove(&bits).unwrap());
    assert_eq!(after, before);
    let folder = fixture.folder("mirror");
    let report = check_at(&folder, &[&key], &[]);
    let found = &report.findings;
    assert_eq!(found.iter().map(|one| one.kind).collect::<Vec<_>>(), [Kind::Conflict]);
    for part in [other.nar_hash.to_string(), format!("{} by test-1", fixture.lib.nar_hash)] {
        assert!(found[0].why.contains(&part), "{found:?}");
    }
    assert_eq!(report.left, [""; 0]);
    // Both sides are kept: what the mirror has, as it was signed, and the bits that were found, which nobody signs for Nix.
    let envelope: Envelope = serde_json::from_slice(&said).unwrap();
    let (document, _) = envelope.open(&[key.public()]).unwrap();
    let conflict: Conflict = serde_json::from_slice(&document).unwrap();
    let narinfo = Object::NarInfo(HashPart::of(&other.path)).name();
    assert_eq!(conflict.narinfo.unwrap().as_bytes(), before[&narinfo]);
    let unpacked = zstd::decode_all(&nar[..]).unwrap();
    assert_eq!(NarHash(Sha256::digest(&unpacked).into()), other.nar_hash);
    for file in [&record, &bits] {
        let whole = fs::read(folder.join(file)).unwrap();
        for changed in [whole[..whole.len() - 1].to_vec(), [&whole[..], b"x"].concat(), {
            let mut flipped = whole.clone();
            flipped[whole.len() / 2] ^= 4;
            flipped
        }] {
            replace(&folder.join(file), &changed);
            let found = check_at(&folder, &[&key], &[]).findings;
            let on_it = |one: &Finding| one.object == *file && one.kind != Kind::Conflict;
            assert!(found.iter().any(on_it), "{file}: {found:?}");
        }
        replace(&folder.join(file), &whole);
    }
    fs::remove_file(folder.join(&bits)).unwrap();
    let found = check_at(&folder, &[&key], &[]).findings;
    assert!(found.iter().any(|one| one.object == bits && one.why.contains("missing")), "{found:?}");
    fs::write(folder.join(&bits), nar).unwrap();
    let [_, (info, admission), _] = fixture.entries();
    assert_eq!(publish(&publisher, info, &admission), Published::There);
}

#[test]
fn t59_writers_at_once_make_the_mirror_that_one_makes() {
    let fixture = Fixture::new();
    let (_, key) = fixture.mirror("alone");
    let barrier = Barrier::new(4);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                barrier.wait();
                // Each with the folder open on its own, as processes have; making the mirror is part of it.
                fixture.publish_all(
                    &Publisher::new(&fixture.init("together", "", &key), &key, &fixture.store).unwrap(),
                );
            });
        }
    });
    assert!(files(&fixture.folder("alone")) == files(&fixture.folder("together")));
}

#[test]
fn what_a_writer_left_unfinished_is_gone_on_with_and_other_bits_are_not_taken_for_ones_own() {
    let fixture = Fixture::new();
    let (_, key) = fixture.mirror("whole");
    let whole = files(&fixture.folder("whole"));
    let mirror = fixture.init("mirror", "", &key);
    let folder = fixture.folder("mirror");
    let [seed, ..] = fixture.entries();
    let part = HashPart::of(&seed.0.path);
    // Everything of the seed but its narinfo is there.
    for (name, bytes) in whole.iter().filter(|(name, _)| !name.ends_with(".narinfo")) {
        let file = folder.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, bytes).unwrap();
    }
    let publisher = Publisher::new(&mirror, &key, &fixture.store).unwrap();
    let listing = folder.join(Object::Listing(part).name());
    fs::write(&listing, "{}").unwrap();
    let statements = statements(seed.0, &seed.1, 2);
    let refused =
        publisher.publish(&Entry { info: seed.0, admission: &seed.1, statements: &statements, log: None });
    assert!(matches!(refused, Err(MirrorError::Left { .. })), "{refused:?}");
    fs::remove_file(&listing).unwrap();
    fixture.publish_all(&publisher);
    assert!(files(&folder) == whole);
}

#[test]
fn a_mirror_is_made_once() {
    let fixture = Fixture::new();
    let (ours, other) = (key("a-1", 1), key("b-1", 2));
    fixture.init("mirror", "", &ours);
    fixture.init("mirror", "", &ours);
    let before = files(&fixture.folder("mirror"));
    for (policy, key) in [("rounds = 3\n", &ours), ("", &other)] {
        let policy = Policy::from_toml(policy, key).unwrap();
        let made = Mirror::init(fixture.location("mirror"), policy, key);
        assert!(matches!(made, Err(MirrorError::OtherPolicy { .. })));
    }
    assert_eq!(files(&fixture.folder("mirror")), before);
    assert!(matches!(
        Mirror::open(Location::parse(fixture.dir.path().to_str().unwrap()).unwrap()),
        Err(MirrorError::NotAMirror { .. })
    ));
}
