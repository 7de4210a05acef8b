//! Writers that are killed, again and again, alone and two at once: the mirror that comes out is the one of a writer whom nobody
//! disturbed, byte for byte.
//!
//! The other process is this test program again, running [`child`] alone.

use std::{
    env, fs,
    hash::{BuildHasher as _, Hasher as _, RandomState},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use reprove::{
    mirror::{
        Mirror,
        check::Kind,
        location::Location,
        policy::Policy,
        publish::Publisher,
        statement::{Admission, Ground},
    },
    nix::{secret_key::SecretKey, store_path::StorePath},
    store::{PathInfo, Store},
};

use crate::fixture::{Derivations, check_at, files, key, object, publish};

const DIR: &str = "REPROVE_TEST_MIRROR";
/// Which of several signers writes; without, one alone makes the mirror and fills it.
pub const SIGNER: &str = "REPROVE_TEST_MIRROR_SIGNER";
const NAME: &str = "REPROVE_TEST_MIRROR_NAME";
const AT: &str = "REPROVE_TEST_MIRROR_AT";
/// Whether the last path is as large as what buckets take in parts.
pub const LARGE: &str = "REPROVE_TEST_MIRROR_LARGE";

/// How many paths each writer admits, each referring to the one before.
const PATHS: usize = 12;

/// The derivations of the chain, and their paths and outputs in order.
fn derivations() -> (Derivations, Vec<(StorePath, StorePath)>) {
    let (mut all, mut links) = (Derivations::default(), Vec::<(StorePath, StorePath)>::new());
    for n in 0..PATHS {
        let before: Vec<&StorePath> = links.last().map(|(drv, _)| drv).into_iter().collect();
        let link = all.add(&format!("link-{n}"), &before);
        links.push(link);
    }
    (all, links)
}

/// The last path of the chain.
pub fn last() -> StorePath {
    derivations().1.pop().unwrap().1
}

/// A chain of paths, some of them of hundreds of kilobytes that do not compress.
pub fn chain(store: &Store) -> Vec<PathInfo> {
    let mut infos: Vec<PathInfo> = Vec::new();
    for (n, link) in derivations().1.iter().enumerate() {
        let before: Vec<StorePath> = infos.last().map(|info| info.path.clone()).into_iter().collect();
        let mut state = n as u64 + 1;
        let large = n + 1 == PATHS && env::var_os(LARGE).is_some();
        // A character of it has six bits that do not compress.
        let noise: String = (0..if large { 100_000_000 } else { n * 20_000 })
            .map(|_| {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                char::from(b' ' + (state >> 58) as u8)
            })
            .collect();
        infos.push(object(store, link, &before.iter().collect::<Vec<_>>(), &noise));
    }
    infos
}

/// What the other processes do: make the mirror if there is none, take the first path as a seed, and admit the others.
#[test]
#[ignore = "helper: the other process of the tests in this file, does nothing by itself"]
fn child() {
    let Some(dir) = env::var_os(DIR) else { return };
    let name = env::var(NAME).unwrap();
    let store = Store::open(&Path::new(&dir).join("state").join(&name)).unwrap();
    let infos = chain(&store);
    let address = env::var(AT).unwrap();
    let Ok(signer) = env::var(SIGNER) else { return write(&address, &store, &infos) };
    let key = &signers()[signer.parse::<usize>().unwrap()];
    let mirror = Mirror::open(Location::parse(&address).unwrap()).unwrap().seen_by(key).unwrap();
    admit(&Publisher::new(&mirror, key, &store).unwrap().cosigning(), &infos);
}

/// Three who sign.
pub fn signers() -> [SecretKey; 3] {
    [("alice-1", 1), ("bob-1", 2), ("carol-1", 3)].map(|(name, n)| key(name, n))
}

/// A policy by which two of them have to agree.
pub fn two_of_three() -> String {
    let signers = signers();
    let [alice, bob, carol] = [0, 1, 2].map(|n| [&signers[n]]);
    crate::fixture::policy(2, &[("alice", &alice), ("bob", &bob), ("carol", &carol)])
}

pub fn write(address: &str, store: &Store, infos: &[PathInfo]) {
    let key = key("test-1", 1);
    let location = Location::parse(address).unwrap();
    let mirror = Mirror::init(location, Policy::from_toml("", &key).unwrap(), &key).unwrap();
    admit(&Publisher::new(&mirror, &key, store).unwrap(), infos);
}

fn admit(publisher: &Publisher<'_>, infos: &[PathInfo]) {
    let (derivations, _) = derivations();
    let seed = &infos[0].path;
    publisher.seed(std::slice::from_ref(seed), "the first").unwrap();
    for pair in infos.windows(2) {
        let [before, info] = pair else { unreachable!() };
        let admission = Admission {
            ground: Ground::Built { derivation: info.deriver.clone().unwrap(), output: "out".to_owned() },
            inputs: [(before.path.clone(), before.nar_hash)].into(),
            sources: Default::default(),
            seeds: [seed.clone()].into(),
            log: Some(reprove::mirror::layout::FileHash::of(crate::fixture::LOG).hex()),
        };
        derivations.keep(publisher, info.deriver.as_ref().unwrap());
        publish(publisher, info, &admission);
    }
}

/// A process of its own that writes the mirror at `address`, with a state directory of this name below `dir`.
pub fn spawn(dir: &Path, name: &str, address: &str, environment: &[(&str, &str)]) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", "killed::child", "--ignored", "--nocapture"])
        .envs(environment.iter().copied())
        .env(DIR, dir)
        .env(NAME, name)
        .env(AT, address)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// A moment within the time that one undisturbed run takes.
fn moment(whole: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish();
    whole.mul_f64((random % 1000) as f64 / 1000.0)
}

pub fn to_the_end(child: Child, name: &str) {
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn t59_writers_killed_at_twenty_moments_and_two_at_once_leave_the_mirror_of_one_undisturbed() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("state/alone")).unwrap();
    let infos = chain(&store);
    let started = std::time::Instant::now();
    write(dir.path().join("alone").to_str().unwrap(), &store, &infos);
    let whole = started.elapsed() * 2;
    let expected = files(&dir.path().join("alone"));
    for names in [&["one"][..], &["one", "two"]] {
        let at = dir.path().join(names.join("-and-"));
        fs::create_dir(&at).unwrap();
        let mirror = at.join("mirror");
        let spawn = |name: &str| spawn(&at, name, mirror.to_str().unwrap(), &[]);
        for _ in 0..10 {
            let mut children: Vec<Child> = names.iter().map(|name| spawn(name)).collect();
            std::thread::sleep(moment(whole));
            for child in &mut children {
                child.kill().unwrap();
                child.wait().unwrap();
            }
            // Nothing that was admitted is wrong, at any moment; a mirror may not be made yet.
            if at.join("mirror/mirror.json.sig").exists() && at.join("mirror/nix-cache-info").exists() {
                let report = check_at(&at.join("mirror"), &[], &[]);
                assert_eq!(report.findings, []);
            }
        }
        let children: Vec<(Child, &str)> = names.iter().map(|name| (spawn(name), *name)).collect();
        children.into_iter().for_each(|(child, name)| to_the_end(child, name));
        let made = files(&at.join("mirror"));
        let differ: Vec<&String> = made
            .iter()
            .filter(|(name, bytes)| expected.get(*name) != Some(bytes))
            .map(|(name, _)| name)
            .collect();
        assert!(made == expected, "{differ:?}");
    }
    let report = check_at(&dir.path().join("alone"), &[], &[]);
    assert_eq!((report.findings.len(), report.paths, report.left.len()), (0, PATHS as u64, 0));
}

#[test]
fn t59_signers_killed_at_any_moment_and_all_at_once_lose_no_signature() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("mirror");
    let address = at.to_str().unwrap();
    for key in &signers() {
        let policy = Policy::from_toml(&two_of_three(), key).unwrap();
        Mirror::init(Location::parse(address).unwrap(), policy, key).unwrap();
    }
    let names = ["0", "1", "2"];
    let spawn = |name: &str| spawn(dir.path(), name, address, &[(SIGNER, name)]);
    let started = std::time::Instant::now();
    to_the_end(spawn("0"), "alice alone");
    let whole = started.elapsed() * 2;
    assert_eq!(check_at(&at, &[], &[]).pending, PATHS as u64);
    for _ in 0..6 {
        let mut children: Vec<Child> = names.iter().map(|name| spawn(name)).collect();
        std::thread::sleep(moment(whole));
        for child in &mut children {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        // What a killed one left out is told of, and nothing else is wrong.
        let report = check_at(&at, &[], &[]);
        assert!(report.findings.iter().all(|one| one.kind == Kind::Unlisted), "{:?}", report.findings);
    }
    let children: Vec<(Child, &str)> = names.iter().map(|name| (spawn(name), *name)).collect();
    children.into_iter().for_each(|(child, name)| to_the_end(child, name));
    let report = check_at(&at, &[], &[]);
    assert_eq!((report.findings, report.left, report.pending), (vec![], vec![], 0));
    let all = ["alice", "bob", "carol"].map(|name| (name.to_owned(), PATHS as u64));
    assert_eq!((report.paths, report.signed), (PATHS as u64, all.into()));
}
