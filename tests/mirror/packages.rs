//! Real software: the package set of examples/packages, built in machines from nothing but sources. `scripts/test-packages`.

use std::{
    collections::BTreeMap,
    env, fs,
    hash::{BuildHasher as _, Hasher as _, RandomState},
    io::{Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use reprove::mirror::location::Location;
use serde_json::Value;

use crate::{
    fixture::{check_at, files},
    service::Service,
    stock_nix::{nix, text},
    support::nix::Nix,
};

/// What both mirrors admit.
const POLICY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/packages/mirror.toml");

/// How often workers are killed.
const KILLS: usize = 20;

/// Which of the set: `few`, `quick`, or `all`.
const ATTRIBUTE: &str = "REPROVE_TEST_PACKAGES";

fn attribute() -> String {
    env::var(ATTRIBUTE).unwrap_or_else(|_| "few".to_owned())
}

/// A process that fills the mirror at `address`, with a state directory of its own.
fn worker(state: &Path, address: &str, key: &str, jobs: &str, environment: &[(&str, String)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reprove"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).env_remove("REPROVE_STATE");
    command.args(["mirror", "populate", address, &format!("examples/packages#{}", attribute())]);
    command.args(["--system", "riscv64-linux", "--key", key, "--jobs", jobs, "--json", "-", "--state"]);
    command.arg(state).envs(environment.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

/// What a worker says became of every derivation, when it came to the end.
fn fates(worker: Child) -> BTreeMap<String, String> {
    let output = worker.wait_with_output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    crate::support::schema::check("mirror-populate", &document);
    let derivations = document["derivations"].as_array().unwrap().iter();
    let word = |one: &Value, field: &str| one[field].as_str().unwrap().to_owned();
    let fates: BTreeMap<String, String> =
        derivations.map(|one| (word(one, "drv"), word(one, "fate"))).collect();
    assert_eq!(output.status.code(), Some(0), "{fates:?}");
    fates
}

fn random(below: u64) -> u64 {
    RandomState::new().build_hasher().finish() % below
}

/// The bytes of a bucket's object, as any reader gets them.
fn get(service: &Service, path: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(&service.address).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {}\r\n\r\n", service.address).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    assert!(head.contains(" 200 "), "{path}: {head}");
    answer.split_off(end + 4)
}

const AT: &str = "REPROVE_TEST_PACKAGES_AT";

/// What the other process does: lists a location, which is found by the environment.
#[test]
#[ignore = "helper: the other process of the test below, does nothing by itself"]
fn list() {
    let Ok(address) = env::var(AT) else { return };
    for (name, _) in Location::parse(&address).unwrap().list("").unwrap() {
        println!("object {name}");
    }
}

/// The names of a location's objects, sorted.
fn listed(address: &str, environment: &[(&str, String)]) -> Vec<String> {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "packages::list", "--ignored", "--nocapture"]).env(AT, address);
    let output = command.envs(environment.iter().map(|(name, value)| (name, value))).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let lines = String::from_utf8(output.stdout).unwrap();
    let mut names: Vec<String> =
        lines.lines().filter_map(|line| line.strip_prefix("object ")).map(str::to_owned).collect();
    names.sort();
    names
}

#[test]
#[ignore = "slow: builds a package set, twice; scripts/test-packages"]
fn a_package_set_by_two_workers_killed_twenty_times_in_a_folder_and_by_one_in_a_bucket_is_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| -> PathBuf { dir.path().join(name) };
    let (key, folder) = (at("key"), at("folder"));
    let (key, address) = (key.to_str().unwrap(), folder.to_str().unwrap());
    let reprove = |args: &[&str], environment: &[(&str, String)]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_reprove"));
        command.args(args).envs(environment.iter().map(|(name, value)| (name, value)));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", text(&output));
        String::from_utf8(output.stdout).unwrap()
    };

    // Two at once, killed at any moment.
    let public =
        reprove(&["mirror", "init", address, "--key", key, "--policy", POLICY], &[]).trim_end().to_owned();
    let start = |name: &str| worker(&at(name), address, key, "1", &[]).spawn().unwrap();
    let names = ["one", "two"];
    let mut workers = names.map(start);
    for kill in 0..KILLS {
        let which = random(2) as usize;
        std::thread::sleep(Duration::from_millis(random(30_000)));
        workers[which].kill().unwrap();
        workers[which].wait().unwrap();
        assert_eq!(check_at(&folder, &[], &[]).findings, [], "after {} was killed, {kill}", names[which]);
        workers[which] = start(names[which]);
    }
    let fates = workers.map(fates);
    for (drv, fate) in fates.iter().flatten() {
        assert!(fate == "admitted" || fate == "there", "{drv}: {fate}");
    }
    let report = check_at(&folder, &[], &[]);
    assert_eq!((report.findings, report.left, report.seeds), (vec![], vec![], 0));
    let mut expected = files(&folder);
    // What the last one who was killed was writing goes when somebody writes again.
    expected.retain(|name, _| !name.starts_with(".tmp/"));

    // One, never disturbed, in a bucket.
    let service = Service::seaweedfs();
    let environment = service.environment();
    let bucket = &*service.location("bucket/packages");
    reprove(&["mirror", "init", bucket, "--key", key, "--policy", POLICY], &environment);
    let alone = worker(&at("alone"), bucket, key, "2", &environment).spawn().unwrap();
    self::fates(alone);
    let document = reprove(&["mirror", "verify", bucket, "--json", "-"], &environment);
    let document: Value = serde_json::from_str(&document).unwrap();
    assert_eq!((&document["findings"], &document["left"]), (&serde_json::json!([]), &serde_json::json!([])));
    assert_eq!(document["paths"], serde_json::json!(report.paths));
    let names: Vec<String> = expected.keys().cloned().collect();
    assert_eq!(listed(bucket, &environment), names);
    for (name, bytes) in &expected {
        assert!(
            get(&service, &service.path(&format!("bucket/packages/{name}"))) == *bytes,
            "{name} differs in the bucket"
        );
    }

    // And stock Nix takes all of it from either, with signatures demanded.
    let top = format!("-{}.drv", attribute());
    let drv = fates[0].keys().find(|drv| drv.ends_with(&top)).unwrap();
    let program = Nix::new();
    let stated = fs::read(folder.join("derivations").join(&drv["/nix/store/".len()..])).unwrap();
    let stated = reprove::nix::derivation::Derivation::parse(&stated).unwrap();
    let top = stated.output_path("out").unwrap().to_string();
    for from in [format!("file://{address}"), service.served("bucket/packages")] {
        let program_of_its_own = Nix::new();
        let copied = nix(&program_of_its_own, &public, &["copy", "--from", &from, &top]);
        assert!(copied.status.success(), "{from}: {}", text(&copied));
        let verified = nix(&program_of_its_own, &public, &["store", "verify", "--recursive", &top]);
        assert!(verified.status.success(), "{from}: {}", text(&verified));
    }
    let stranger = "stranger-1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let refused = nix(&program, stranger, &["copy", "--from", &format!("file://{address}"), &top]);
    assert!(!refused.status.success() && text(&refused).contains("because it lacks a"), "{}", text(&refused));
}
