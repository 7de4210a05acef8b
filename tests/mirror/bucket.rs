//! A mirror in a bucket, of servers that speak S3 or Azure's protocol and keep the promise that an object is created once.

use std::{process::Command, sync::Barrier, time::Duration};

use reprove::{
    mirror::{
        layout::{FileHash, Object},
        location::{Location, Put},
    },
    store::Store,
};

use crate::{
    fixture::key,
    killed::{LARGE, SIGNER, chain, last, spawn, to_the_end, two_of_three, write},
    service::Service,
    support::nix::Nix,
};

#[test]
#[ignore = "needs a server from pip or npm: scripts/test-buckets"]
fn t59_a_bucket_of_moto_written_by_two_at_once_is_sound_and_stock_nix_takes_from_it() {
    a_bucket_is_sound(&Service::moto());
}

#[test]
#[ignore = "needs a server from pip or npm: scripts/test-buckets"]
fn t59_a_bucket_of_seaweedfs_written_by_two_at_once_is_sound_and_stock_nix_takes_from_it() {
    a_bucket_is_sound(&Service::seaweedfs());
}

#[test]
#[ignore = "needs a server from pip or npm: scripts/test-buckets"]
fn t59_a_bucket_of_azurite_written_by_two_at_once_is_sound_and_stock_nix_takes_from_it() {
    a_bucket_is_sound(&Service::azurite());
}

#[test]
#[ignore = "needs a server from pip or npm: scripts/test-buckets"]
fn in_a_bucket_of_moto_signers_at_once_lose_no_signature() {
    signers_lose_nothing(&Service::moto());
}

#[test]
#[ignore = "needs a server from pip or npm: scripts/test-buckets"]
fn in_a_bucket_of_seaweedfs_signers_at_once_lose_no_signature() {
    signers_lose_nothing(&Service::seaweedfs());
}

#[test]
#[ignore = "needs a server from pip or npm: scripts/test-buckets"]
fn in_a_bucket_of_azurite_signers_at_once_lose_no_signature() {
    signers_lose_nothing(&Service::azurite());
}

fn signers_lose_nothing(service: &Service) {
    let environment = service.environment();
    let environment: Vec<(&str, &str)> =
        environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(at("policy"), two_of_three()).unwrap();
    let mirror = &*service.location("bucket/mirror");
    let reprove = |args: &[&str]| {
        let mut reprove = Command::new(env!("CARGO_BIN_EXE_reprove"));
        reprove.args(args).envs(environment.iter().copied()).output().unwrap()
    };
    for (name, secret) in [("alice-1", 1), ("bob-1", 2)] {
        std::fs::write(at(name), reprove::nix::secret_key::spelled(name, &[secret; 32])).unwrap();
        let made = reprove(&["mirror", "init", mirror, "--key", &at(name), "--policy", &at("policy")]);
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }
    let signers = ["0", "1", "2"].map(|name| {
        let environment = [&environment[..], &[(SIGNER, name)]].concat();
        (spawn(dir.path(), name, mirror, &environment), name)
    });
    signers.into_iter().for_each(|(child, name)| to_the_end(child, name));
    let output = reprove(&["mirror", "verify", mirror, "--json", "-"]);
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &document["findings"]), (Some(0), &serde_json::json!([])));
    assert_eq!((&document["paths"], &document["pending"]), (&serde_json::json!(12), &serde_json::json!(0)));
    assert_eq!(document["signed"], serde_json::json!({"alice": 12, "bob": 12, "carol": 12}));
}

fn a_bucket_is_sound(service: &Service) {
    let environment = service.environment();
    let mut environment: Vec<(&str, &str)> =
        environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    // One path that is sent in parts.
    environment.push((LARGE, "1"));
    let dir = tempfile::tempdir().unwrap();
    let mirror = &*service.location("bucket/a/mirror");
    // Killed once, and then two to the end.
    let mut killed = spawn(dir.path(), "one", mirror, &environment);
    std::thread::sleep(Duration::from_secs(2));
    killed.kill().unwrap();
    killed.wait().unwrap();
    let writers = ["one", "two"].map(|name| (spawn(dir.path(), name, mirror, &environment), name));
    writers.into_iter().for_each(|(child, name)| to_the_end(child, name));
    let verify = |at: &str| {
        let mut reprove = Command::new(env!("CARGO_BIN_EXE_reprove"));
        reprove.args(["mirror", "verify", at, "--json", "-"]).envs(environment.iter().copied());
        reprove.output().unwrap()
    };
    let output = verify(mirror);
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (output.status.code(), &document["findings"], &document["left"]),
        (Some(0), &serde_json::json!([]), &serde_json::json!([]))
    );
    assert_eq!((&document["paths"], &document["seeds"]), (&serde_json::json!(12), &serde_json::json!(1)));
    assert!(document["nar_bytes"].as_u64() > Some(100_000_000), "{}", document["nar_bytes"]);
    // T52: a bucket that is not there, or that one may not read, is no empty mirror.
    assert_ne!(verify(&service.location("nobody/mirror")).status.code(), Some(0));
    let program = Nix::new();
    let path = last().to_string();
    let from = service.served("bucket/a/mirror");
    let mut copy = program.command("nix");
    let trusted = format!("{:?}", key("test-1", 1).public());
    copy.args(["copy", "--from", &from, &path, "--option", "trusted-public-keys", &trusted]);
    let copied = copy.output().unwrap();
    assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));

    let reprove = |args: &[&str]| {
        let mut reprove = Command::new(env!("CARGO_BIN_EXE_reprove"));
        reprove.args(args).arg("--state").arg(dir.path().join("state/one")).envs(environment.iter().copied());
        let output = reprove.output().unwrap();
        (output.status.code(), output.stdout, String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let answered =
        |(code, stdout, stderr): (Option<i32>, Vec<u8>, String), expected: i32| -> serde_json::Value {
            assert_eq!(code, Some(expected), "{stderr}");
            serde_json::from_slice(&stdout).unwrap()
        };
    // Its page is the one that follows from it, and stays that.
    let (code, _, stderr) = reprove(&["mirror", "page", mirror]);
    assert_eq!(code, Some(0), "{stderr}");
    answered(reprove(&["mirror", "verify", mirror, "--json", "-"]), 0);

    // Challenged by a folder of the same chain, whose last path is a small one: all agree but for that.
    let folder = dir.path().join("folder");
    let store = Store::open(&dir.path().join("state/folder")).unwrap();
    write(folder.to_str().unwrap(), &store, &chain(&store));
    let challenge = ["mirror", "challenge", mirror, folder.to_str().unwrap(), "--json", "-"];
    let document = answered(reprove(&challenge), 104);
    let verdicts = document["paths"].as_array().unwrap().iter();
    let disagree = |one: &&serde_json::Value| one["verdict"] != "agree";
    let disagree: Vec<_> = verdicts.filter(disagree).map(|one| one["path"].as_str().unwrap()).collect();
    assert_eq!(disagree, [path.as_str()], "{document:#}");

    // What no root needs goes, and only that.
    std::fs::write(dir.path().join("key"), reprove::nix::secret_key::spelled("test-1", &[1; 32])).unwrap();
    let root = chain(&store)[5].path.to_string();
    let secret = dir.path().join("key");
    let gc = ["mirror", "gc", mirror, "--root", &root, "--key", secret.to_str().unwrap(), "--json", "-"];
    let document = answered(reprove(&gc), 0);
    assert_eq!(
        (document["paths"].as_array().map(Vec::len), &document["kept"]),
        (Some(6), &serde_json::json!(6))
    );
    let document = answered(reprove(&["mirror", "verify", mirror, "--json", "-"]), 0);
    assert_eq!((&document["findings"], &document["paths"]), (&serde_json::json!([]), &serde_json::json!(6)));
}

const AT: &str = "REPROVE_TEST_BUCKET_AT";

/// What the other process does, which finds the bucket by its environment: sends one object several times at once, in parts.
#[test]
#[ignore = "helper: the other process of the tests in this file, does nothing by itself"]
fn senders() {
    const SIZE: u64 = 100_000_000;
    let Some(at) = std::env::var_os(AT) else { return };
    let location = Location::parse(at.to_str().unwrap()).unwrap();
    let name = Object::Nar(FileHash([7; 32])).name();
    let barrier = Barrier::new(4);
    let send = || {
        let mut file = tempfile::tempfile().unwrap();
        file.set_len(SIZE).unwrap();
        barrier.wait();
        location.put_new_file(&name, &mut file).unwrap()
    };
    let sent: Vec<Put> = std::thread::scope(|scope| {
        let senders = [(); 4].map(|()| scope.spawn(send));
        senders.into_iter().map(|sender| sender.join().unwrap()).collect()
    });
    assert!(sent.contains(&Put::New), "{sent:?}");
    assert_eq!(location.open(&name).unwrap().unwrap().size, SIZE);
}

fn who_sends_at_once_succeeds(service: &Service) {
    let mut senders = Command::new(std::env::current_exe().unwrap());
    senders.args(["--exact", "bucket::senders", "--ignored", "--nocapture"]).envs(service.environment());
    let sent = senders.env(AT, service.location("bucket/mirror")).output().unwrap();
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
}

#[test]
#[ignore = "needs a server from pip or npm: scripts/test-buckets"]
fn what_is_sent_to_a_bucket_of_moto_in_parts_at_once_is_there() {
    who_sends_at_once_succeeds(&Service::moto());
}

#[test]
#[ignore = "needs a server from pip or npm: scripts/test-buckets"]
fn what_is_sent_to_a_bucket_of_seaweedfs_in_parts_at_once_is_there() {
    who_sends_at_once_succeeds(&Service::seaweedfs());
}

#[test]
#[ignore = "needs a server from pip or npm: scripts/test-buckets"]
fn what_is_sent_to_a_bucket_of_azurite_in_parts_at_once_is_there() {
    who_sends_at_once_succeeds(&Service::azurite());
}
