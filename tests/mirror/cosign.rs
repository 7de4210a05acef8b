//! Several who have to agree: what is pending, what is admitted when enough have testified, and who does not count.

use std::{collections::BTreeSet, fs, path::Path, sync::Barrier, thread, time::SystemTime};

use reprove::{
    mirror::{
        Mirror, MirrorError,
        check::{self, Believing, Kind, Report, Request},
        layout::{HashPart, KeyId, Object},
        location::Location,
        publish::{Published, Publisher},
        reading::Read,
    },
    nix::{narinfo::NarInfo, secret_key::SecretKey},
    release::signers::{Contributor, Signers},
    store::{PathInfo, Store},
};

use crate::{
    fixture::{Fixture, check_at, files, key, object, policy, publish, replace},
    stock_nix::{nix, text},
    support::nix::Nix,
};

fn kinds(report: &Report) -> BTreeSet<Kind> {
    report.findings.iter().map(|finding| finding.kind).collect()
}

/// A mirror of `alice`, who has two keys, and of `bob`, of whom so many have to agree.
pub fn two(fixture: &Fixture, threshold: usize) -> [SecretKey; 3] {
    let [first, second, bob] = [("alice-1", 1), ("alice-2", 2), ("bob-1", 3)].map(|(name, n)| key(name, n));
    let text = policy(threshold, &[("alice", &[&first, &second]), ("bob", &[&bob])]);
    fixture.init_by("mirror", &text, &[&first, &bob]);
    [first, second, bob]
}

/// The mirror as a signer sees it, opened anew.
fn open(folder: &Path, key: &SecretKey) -> Mirror {
    Mirror::open(Location::parse(folder.to_str().unwrap()).unwrap()).unwrap().seen_by(key).unwrap()
}

/// Everything, by this signer.
pub fn all_by(fixture: &Fixture, key: &SecretKey) {
    let mirror = open(&fixture.folder("mirror"), key);
    fixture.publish_all(&Publisher::new(&mirror, key, &fixture.store).unwrap().cosigning());
}

fn narinfo(fixture: &Fixture, info: &PathInfo) -> std::path::PathBuf {
    fixture.folder("mirror").join(Object::NarInfo(HashPart::of(&info.path)).name())
}

#[test]
fn what_too_few_have_testified_to_is_pending_and_stock_nix_does_not_see_it() {
    let fixture = Fixture::new();
    let [alice, again, bob] = two(&fixture, 2);
    all_by(&fixture, &alice);
    // Another key of the same person is the same person.
    all_by(&fixture, &again);
    let folder = fixture.folder("mirror");
    let report = check_at(&folder, &[], &[]);
    assert_eq!((report.findings, report.left), (vec![], vec![]));
    assert_eq!((report.paths, report.pending), (0, 3));
    assert!(files(&folder).keys().all(|name| !name.ends_with(".narinfo") || name.contains('/')));
    // Its signers build on it, and a stranger does not know of it.
    let path = &fixture.tool.path;
    assert!(open(&folder, &alice).narinfo(path).unwrap().is_some());
    assert!(open(&folder, &bob).narinfo(path).unwrap().is_none());
    assert!(Mirror::open(fixture.location("mirror")).unwrap().narinfo(path).unwrap().is_none());
    let stranger = Mirror::open(fixture.location("mirror")).unwrap().seen_by(&key("eve-1", 9));
    assert!(matches!(stranger.err(), Some(MirrorError::NotASigner { .. })));
    let from = format!("file://{}", folder.display());
    let trusted = [&alice, &bob].map(|key| format!("{:?}", key.public()));
    let copy = ["copy", "--from", &from, &path.to_string()];
    assert!(!nix(&Nix::new(), &trusted[0], &copy).status.success());

    all_by(&fixture, &bob);
    let report = check_at(&folder, &[&alice, &bob], &[]);
    assert_eq!((report.findings, report.left), (vec![], vec![]));
    assert_eq!((report.paths, report.pending), (3, 0));
    assert_eq!(report.signed, [("alice".to_owned(), 3), ("bob".to_owned(), 3)].into());
    let program = Nix::new();
    for key in &trusted {
        let copied = nix(&Nix::new(), key, &copy);
        assert!(copied.status.success(), "{}", text(&copied));
    }
    let all = [&alice, &again, &bob].map(|key| format!("{:?}", key.public())).join(" ");
    let verify = |needed| {
        let args =
            ["store", "verify", "--store", &from, "--recursive", "--sigs-needed", needed, &path.to_string()];
        nix(&program, &all, &args).status.success()
    };
    // Alice's two keys are two to Nix.
    assert!(verify("2") && verify("3") && !verify("4"));
    // Whoever is told to believe one of them only finds too few.
    assert_eq!(kinds(&check_at(&folder, &[&alice], &[])), [Kind::Unsigned].into());
}

#[test]
fn who_comes_first_makes_no_difference_and_a_writer_who_dies_before_the_narinfo_neither() {
    let mirrors = [[0, 2], [2, 0]].map(|order| {
        let fixture = Fixture::new();
        let keys = two(&fixture, 2);
        order.iter().for_each(|n: &usize| all_by(&fixture, &keys[*n]));
        let whole = files(&fixture.folder("mirror"));
        let narinfos: Vec<String> = whole.keys().filter(|name| name.ends_with(".narinfo")).cloned().collect();
        for name in narinfos.iter().filter(|name| !name.contains('/')) {
            fs::remove_file(fixture.folder("mirror").join(name)).unwrap();
        }
        let report = check_at(&fixture.folder("mirror"), &[], &[]);
        assert_eq!((report.findings, report.pending), (vec![], 3));
        // Anybody puts them back, without a key, and what it needs comes first.
        let mirror = Mirror::open(fixture.location("mirror")).unwrap();
        let settle = |info: &PathInfo| mirror.settle(&HashPart::of(&info.path)).unwrap();
        assert_eq!(settle(&fixture.tool), Published::Pending);
        for info in [&fixture.seed, &fixture.lib, &fixture.tool] {
            assert_eq!((settle(info), settle(info)), (Published::New, Published::There));
        }
        assert!(files(&fixture.folder("mirror")) == whole);
        // Whoever takes a seed first has it on record.
        whole.into_iter().filter(|(name, _)| !name.starts_with("seeds/")).collect::<Vec<_>>()
    });
    assert!(mirrors[0] == mirrors[1]);
}

#[test]
fn other_bits_are_a_conflict_on_record_and_never_a_signature() {
    let fixture = Fixture::new();
    let [alice, _, bob] = two(&fixture, 2);
    all_by(&fixture, &alice);
    let mirror = open(&fixture.folder("mirror"), &bob);
    let store = Store::open(&fixture.folder("elsewhere")).unwrap();
    let drv = fixture.seed.deriver.clone().unwrap();
    let other = object(&store, &(drv, fixture.seed.path.clone()), &[], "another seed");
    let publisher = Publisher::new(&mirror, &bob, &store).unwrap().cosigning();
    let before = files(&fixture.folder("mirror"));
    let [(_, admission), ..] = fixture.entries();
    let published = publish(&publisher, &other, &admission);
    assert_eq!(published, Published::Conflict { admitted: fixture.seed.nar_hash });
    // As a seed of one's own, the same.
    let seeded = publisher.seed(std::slice::from_ref(&other.path), "mine").unwrap();
    assert_eq!(seeded, [(other.path.clone(), published)]);
    let mut after = files(&fixture.folder("mirror"));
    let record = Object::Conflict(HashPart::of(&other.path), other.nar_hash).name();
    let bits = Object::OtherNar(HashPart::of(&other.path), other.nar_hash).name();
    assert!(after.remove(&record).is_some() && after.remove(&bits).is_some() && after == before);
    let report = check_at(&fixture.folder("mirror"), &[], &[]);
    assert_eq!((kinds(&report), report.pending), ([Kind::Conflict].into(), 3));
}

#[test]
fn testimonies_that_are_nobodys_or_about_something_else_admit_nothing() {
    let fixture = Fixture::new();
    let [alice, _, bob] = two(&fixture, 2);
    all_by(&fixture, &alice);
    let folder = fixture.folder("mirror");
    let part = HashPart::of(&fixture.seed.path);
    let of = |key: &SecretKey| folder.join(Object::Signature(part.clone(), KeyId::of(&key.public())).name());
    let good = NarInfo::parse(&fs::read(of(&alice)).unwrap()).unwrap();
    let by = |info: &NarInfo, keys: &[&SecretKey]| {
        let signatures = keys.iter().map(|key| key.sign(info.fingerprint().as_bytes())).collect();
        NarInfo { signatures, ..info.clone() }.to_string()
    };
    let mirror = Mirror::open(fixture.location("mirror")).unwrap();
    // A stranger's is nobody's, and stands nowhere.
    let eve = key("eve-1", 9);
    fs::write(of(&eve), by(&good, &[&eve])).unwrap();
    assert_eq!(mirror.settle(&part).unwrap(), Published::Pending);
    let report = check_at(&folder, &[], &[]);
    assert_eq!((report.findings.len(), report.left.len()), (0, 1));
    fs::remove_file(of(&eve)).unwrap();
    // In bob's place, by others.
    for keys in [&[&alice][..], &[&eve], &[], &[&bob, &alice]] {
        fs::write(of(&bob), by(&good, keys)).unwrap();
        assert!(matches!(mirror.settle(&part), Err(MirrorError::Unsigned { .. })));
        assert!(kinds(&check_at(&folder, &[], &[])).contains(&Kind::Unsigned));
        fs::remove_file(of(&bob)).unwrap();
    }
    // By bob, who never said why.
    fs::write(of(&bob), by(&good, &[&bob])).unwrap();
    assert_eq!(mirror.settle(&part).unwrap(), Published::Pending);
    assert!(kinds(&check_at(&folder, &[], &[])).contains(&Kind::Damaged));
    // By bob, about other bits.
    let other = NarInfo { nar_size: good.nar_size + 1, ..good.clone() };
    replace(&of(&bob), by(&other, &[&bob]).as_bytes());
    assert_eq!(mirror.settle(&part).unwrap(), Published::Pending);
    assert!(kinds(&check_at(&folder, &[], &[])).contains(&Kind::Conflict));
    assert!(!narinfo(&fixture, &fixture.seed).exists());
}

#[test]
fn every_file_of_a_mirror_of_two_that_was_altered_or_is_gone_is_caught() {
    let fixture = Fixture::new();
    let [alice, _, bob] = two(&fixture, 2);
    all_by(&fixture, &alice);
    all_by(&fixture, &bob);
    let folder = fixture.folder("mirror");
    let signers = |name: &String| name.ends_with(".narinfo") || name.starts_with("attestations/");
    for (name, bytes) in files(&folder).into_iter().filter(|(name, _)| signers(name)) {
        let file = folder.join(&name);
        for at in (0..bytes.len()).step_by((bytes.len() / 12).max(1)) {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (at % 7);
            replace(&file, &changed);
            assert!(!check_at(&folder, &[], &[]).findings.is_empty(), "{name} at {at}");
        }
        fs::remove_file(&file).unwrap();
        let report = check_at(&folder, &[], &[]);
        assert!(!report.findings.is_empty() || report.pending == 1, "{name} was removed");
        fs::write(&file, &bytes).unwrap();
    }
    assert_eq!(check_at(&folder, &[], &[]).findings, []);
}

#[test]
fn a_signature_that_is_missing_from_a_narinfo_is_told_of_and_put_in() {
    let fixture = Fixture::new();
    let [alice, _, bob] = two(&fixture, 1);
    let mirror = open(&fixture.folder("mirror"), &alice);
    fixture.publish_all(&Publisher::new(&mirror, &alice, &fixture.store).unwrap());
    let file = narinfo(&fixture, &fixture.lib);
    let alone = fs::read(&file).unwrap();
    // Who only fills the mirror finds it admitted; who cosigns adds to it.
    let before = files(&fixture.folder("mirror"));
    let filling = open(&fixture.folder("mirror"), &bob);
    fixture.publish_all(&Publisher::new(&filling, &bob, &fixture.store).unwrap());
    assert!(files(&fixture.folder("mirror")) == before);
    all_by(&fixture, &bob);
    let report = check_at(&fixture.folder("mirror"), &[&alice, &bob], &[]);
    assert_eq!(report.findings, []);
    assert_eq!(report.signed, [("alice".to_owned(), 3), ("bob".to_owned(), 3)].into());
    replace(&file, &alone);
    assert_eq!(kinds(&check_at(&fixture.folder("mirror"), &[], &[])), [Kind::Unlisted].into());
    assert_eq!(mirror.settle(&HashPart::of(&fixture.lib.path)).unwrap(), Published::New);
    assert_eq!(check_at(&fixture.folder("mirror"), &[], &[]).findings, []);
}

#[test]
fn two_who_cosign_at_once_both_end_up_in_every_narinfo() {
    for round in 0..5 {
        let fixture = Fixture::new();
        let keys =
            [("alice-1", 1), ("bob-1", 2), ("carol-1", 3), ("dave-1", 4)].map(|(name, n)| key(name, n));
        let all: Vec<[&SecretKey; 1]> = keys.iter().map(|key| [key]).collect();
        let signers: Vec<(&str, &[&SecretKey])> = all.iter().map(|key| (key[0].name(), &key[..])).collect();
        fixture.init_by("mirror", &policy(1 + round % 2, &signers), &[&keys[0], &keys[3]]);
        all_by(&fixture, &keys[0]);
        let barrier = Barrier::new(3);
        thread::scope(|scope| {
            for key in &keys[1..] {
                let (barrier, fixture) = (&barrier, &fixture);
                scope.spawn(move || {
                    barrier.wait();
                    all_by(fixture, key);
                });
            }
        });
        // Whoever came last has seen what all others left.
        all_by(&fixture, &keys[0]);
        let report = check_at(&fixture.folder("mirror"), &[], &[]);
        assert_eq!((report.findings, report.left, report.pending), (vec![], vec![], 0));
        assert!(report.signed.values().all(|paths| *paths == 3) && report.signed.len() == 4);
    }
}

#[test]
fn what_was_only_read_counts_for_nothing_and_says_so() {
    let fixture = Fixture::new();
    let [alice, _, bob] = two(&fixture, 2);
    all_by(&fixture, &alice);
    let folder = fixture.folder("mirror");
    let mirror = open(&folder, &bob);
    let publisher = Publisher::new(&mirror, &bob, &fixture.store).unwrap().cosigning();
    let read = |publisher: &Publisher<'_>| match publisher.read(2).unwrap() {
        Read::Sound(paths) => paths.len(),
        Read::Faulty(report) => panic!("{:?}", report.findings),
    };
    assert_eq!(read(&publisher), 3);
    let report = check_at(&folder, &[], &[]);
    assert_eq!((report.findings, report.left), (vec![], vec![]));
    assert_eq!((report.paths, report.pending, report.readings), (0, 3, 3));
    let part = HashPart::of(&fixture.seed.path);
    assert_eq!(mirror.settle(&part).unwrap(), Published::Pending);
    // It stands in nobody's way, and stays.
    all_by(&fixture, &bob);
    let report = check_at(&folder, &[], &[]);
    assert_eq!((report.findings.len(), report.paths, report.readings), (0, 3, 3));
    // Each byte of it counts, and so does whose it is.
    let name = Object::Reading(part.clone(), KeyId::of(&bob.public())).name();
    let bytes = fs::read(folder.join(&name)).unwrap();
    for at in (0..bytes.len()).step_by(9) {
        let mut changed = bytes.clone();
        changed[at] ^= 1 << (at % 7);
        replace(&folder.join(&name), &changed);
        assert!(!check_at(&folder, &[], &[]).findings.is_empty(), "at {at}");
    }
    replace(&folder.join(&name), &bytes);
    let of_alice = folder.join(Object::Reading(part.clone(), KeyId::of(&alice.public())).name());
    fs::write(&of_alice, &bytes).unwrap();
    assert_eq!(kinds(&check_at(&folder, &[], &[])), [Kind::Unsigned].into());
    fs::remove_file(of_alice).unwrap();
    // What is faulty is not signed as read.
    let log = folder.join(Object::Log(fixture.lib.deriver.clone().unwrap()).name());
    let was = fs::read(&log).unwrap();
    replace(&log, b"something else");
    assert!(matches!(publisher.read(2).unwrap(), Read::Faulty(_)));
    replace(&log, &was);
    let statements = folder.join(Object::Attestation(part, KeyId::of(&alice.public())).name());
    replace(&statements, b"something else\n");
    assert!(matches!(publisher.read(2).unwrap(), Read::Faulty(_)));
}

/// A policy of `alice` and `bob`, of whom both have to agree, and the mirror that it is of, about which these keys agree.
fn agreed(fixture: &Fixture, by: &[&SecretKey]) -> Mirror {
    let (alice, bob) = (key("alice-1", 1), key("bob-1", 3));
    fixture.init_by("mirror", &policy(2, &[("alice", &[&alice]), ("bob", &[&bob])]), by)
}

#[test]
fn who_has_to_agree_has_to_agree_about_the_policy_first() {
    let fixture = Fixture::new();
    let (alice, bob) = (key("alice-1", 1), key("bob-1", 3));
    let folder = fixture.folder("mirror");
    agreed(&fixture, &[&alice]);
    let report = check_at(&folder, &[], &[]);
    let [one] = &report.findings[..] else { panic!("{:?}", report.findings) };
    assert_eq!((one.kind, one.object.as_str()), (Kind::Unsigned, "mirror.json"));
    assert!(one.why.contains("2 signers have to agree, and it is signed by alice"), "{}", one.why);
    // Each of them brings it, in any order, any number of times; and nobody brings another one.
    let mirror = agreed(&fixture, &[&bob, &alice, &bob]);
    assert_eq!(mirror.stand_for_policy().unwrap(), ["alice", "bob"]);
    assert_eq!(check_at(&folder, &[], &[]).findings, []);
    let both = fs::read(folder.join("mirror.json.sig")).unwrap();
    let weaker = policy(1, &[("alice", &[&alice]), ("bob", &[&bob])]);
    let weaker = reprove::mirror::policy::Policy::from_toml(&weaker, &bob).unwrap();
    assert!(matches!(
        Mirror::init(fixture.location("mirror"), weaker, &bob),
        Err(MirrorError::OtherPolicy { .. })
    ));
    assert_eq!(fs::read(folder.join("mirror.json.sig")).unwrap(), both);
    let other = Fixture::new();
    agreed(&other, &[&bob, &alice]);
    assert_eq!(fs::read(other.folder("mirror").join("mirror.json.sig")).unwrap(), both);
}

#[test]
fn who_signs_at_once_about_the_policy_loses_no_signature() {
    let keys = [1, 2, 3, 4, 5, 6].map(|n| key(&format!("key-{n}"), n));
    let all: Vec<[&SecretKey; 1]> = keys.iter().map(|key| [key]).collect();
    let signers: Vec<(&str, &[&SecretKey])> = all.iter().map(|key| (key[0].name(), &key[..])).collect();
    let text = policy(6, &signers);
    let fixture = Fixture::new();
    let barrier = Barrier::new(keys.len());
    thread::scope(|scope| {
        for key in &keys {
            let (barrier, fixture, text) = (&barrier, &fixture, &text);
            scope.spawn(move || {
                barrier.wait();
                fixture.init("mirror", text, key);
            });
        }
    });
    assert_eq!(check_at(&fixture.folder("mirror"), &[], &[]).findings, []);
}

#[test]
fn who_knows_who_has_to_agree_is_not_told_otherwise_by_one_who_can_write_the_policy() {
    // Alice writes a mirror in which she alone is enough, or is two people, and which has all of it well signed by her.
    let (alice, again, bob) = (key("alice-1", 1), key("alice-2", 2), key("bob-1", 3));
    let person = |name: &str, keys: &[&SecretKey]| Contributor {
        name: name.to_owned(),
        nix: keys.iter().map(|key| key.public()).collect(),
        openpgp: Vec::new(),
    };
    let known = || Signers::new(2, vec![person("Alice", &[&alice, &again]), person("Bob", &[&bob])]).unwrap();
    let found = |fixture: &Fixture, known: &Signers| {
        let location = fixture.location("mirror");
        let believing = Believing::Signers(known);
        let request = Request { paths: &[], believing, since: &[], now: SystemTime::now(), jobs: 2 };
        check::check(&location, &request).unwrap()
    };
    let alone = policy(1, &[("alice", &[&alice])]);
    let as_two = policy(2, &[("alice", &[&alice]), ("bob", &[&again])]);
    let with_bob = policy(1, &[("alice", &[&alice, &again]), ("bob", &[&bob])]);
    for (text, keys) in
        [(alone, &[&alice][..]), (as_two, &[&alice, &again]), (with_bob.clone(), &[&alice, &again])]
    {
        let fixture = Fixture::new();
        fixture.init_by("mirror", &text, keys);
        keys.iter().for_each(|key| all_by(&fixture, key));
        // By keys alone that cannot be seen.
        assert_eq!(check_at(&fixture.folder("mirror"), &[&alice, &again, &bob], &[]).findings, [], "{text}");
        let report = found(&fixture, &known());
        let unsigned = report.findings.iter().filter(|one| one.kind == Kind::Unsigned);
        let unsigned: BTreeSet<&str> = unsigned.map(|one| one.object.as_str()).collect();
        assert!(unsigned.contains("mirror.json") && unsigned.len() == 4, "{text}: {:?}", report.findings);
        assert!(
            report
                .findings
                .iter()
                .all(|one| one.why.contains("2 signers have to agree, and it is signed by Alice"))
        );
    }
    // Bob has agreed, and has signed everything: now it is enough, although the mirror asks for less.
    let fixture = Fixture::new();
    fixture.init_by("mirror", &with_bob, &[&alice, &bob]);
    [&alice, &bob].into_iter().for_each(|key| all_by(&fixture, key));
    let report = found(&fixture, &known());
    assert_eq!((report.findings, report.by_own_keys), (vec![], false));
    assert_eq!(report.signed, [("Alice".to_owned(), 3), ("Bob".to_owned(), 3)].into());
    // Whom the mirror does not name does not count, and whoever is asked for less than the mirror asks for gets that.
    let stranger = key("zed-1", 9);
    let strangers = Signers::new(1, vec![person("Zed", &[&stranger])]).unwrap();
    assert!(!found(&fixture, &strangers).findings.is_empty());
    let fixture = Fixture::new();
    let [alice, _, bob] = two(&fixture, 2);
    [&alice, &bob].into_iter().for_each(|key| all_by(&fixture, key));
    assert_eq!(found(&fixture, &Signers::new(1, known().contributors).unwrap()).findings, []);
    let only = Signers::new(1, vec![person("Bob", &[&bob])]).unwrap();
    assert_eq!(kinds(&found(&fixture, &only)), [Kind::Unsigned].into());
}
