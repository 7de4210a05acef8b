//! `mirror init` from outside: what can never work is refused before anything is made.

use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
};

use reprove::nix::secret_key;

fn init(dir: &Path, policy: &str, more: &[&str]) -> Output {
    fs::write(dir.join("policy.toml"), policy).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_reprove"));
    command.args(["mirror", "init", "mirror", "--key", "key", "--policy", "policy.toml"]);
    command.args(more).current_dir(dir).stdin(Stdio::null()).output().unwrap()
}

#[test]
fn what_can_never_work_is_refused_and_nothing_is_made() {
    let key = format!("{:?}", crate::fixture::key("alice-1", 1).public());
    let other = format!("[[signer]]\nname = \"alice\"\nkeys = [\"{key}\"]\n");
    let in_vain = |policy: &str, more: &[&str], code, expected: &str| {
        let dir = tempfile::tempdir().unwrap();
        let refused = init(dir.path(), policy, more);
        let stderr = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(code), "{policy} {more:?}: {stderr}");
        assert!(stderr.contains(expected), "{policy} {more:?}: {stderr}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "{policy} {more:?}: something was made");
    };
    in_vain(&other, &[], 121, "RP1422]: the key mirror-1 is of none of the signers");
    for (policy, more, expected) in [
        ("policies = [\"no-such\"]\n", &[][..], "RP1411]: the mirror's policy cannot be kept: policies: "),
        ("[systems]\naarch64-linux = [\"qemu\"]\n", &[], "systems.aarch64-linux: "),
        ("[systems]\nx86_64-linux = [\"embedded\"]\n", &[], "systems.x86_64-linux: "),
        ("level = 3\n[systems]\nriscv64-linux = [\"qemu\"]\n", &[], "level: 3 "),
        ("rounds = 1\n", &[], "RP1411"),
        ("colour = \"red\"\n", &[], "RP1410"),
        ("", &["--key-name", "a b"], "is no name for a key"),
        ("", &["--key-name", "a:b"], "is no name for a key"),
        ("", &["--key-name", ""], "is no name for a key"),
    ] {
        in_vain(policy, more, 1, expected);
    }
}

#[test]
fn the_page_tells_of_whoever_stands_for_the_policy_last() {
    let dir = tempfile::tempdir().unwrap();
    let signers = [("alice", 1), ("bob", 2)].map(|(name, seed)| {
        let key = format!("{name}-1");
        fs::write(dir.path().join(name), secret_key::spelled(&key, &[seed; 32])).unwrap();
        format!(
            "[[signer]]\nname = \"{name}\"\nkeys = [\"{:?}\"]\n",
            crate::fixture::key(&key, seed).public()
        )
    });
    let policy = format!("threshold = 2\n{}", signers.concat());
    let reprove = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_reprove"));
        let output =
            command.arg("mirror").args(args).current_dir(dir.path()).stdin(Stdio::null()).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    fs::write(dir.path().join("policy.toml"), policy).unwrap();
    let init = |key| reprove(&["init", "mirror", "--policy", "policy.toml", "--key", key]).0;
    assert_eq!(init("alice"), Some(0));
    assert_eq!(reprove(&["page", "mirror"]).0, Some(0));
    assert_eq!(init("bob"), Some(0));
    let (code, said) = reprove(&["verify", "mirror"]);
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn it_prints_keys_and_says_what_comes_next() {
    let dir = tempfile::tempdir().unwrap();
    let made =
        init(dir.path(), "level = 3\npolicies = [\"dont-strip\"]\n", &["--key-name", "cache.example-1"]);
    let [stdout, stderr] =
        [&made.stdout, &made.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    assert!(made.status.success(), "{stderr}");
    assert!(stdout.starts_with("cache.example-1:") && stdout.lines().count() == 1, "{stdout}");
    assert!(stderr.contains("reprove mirror populate mirror INSTALLABLE --key key"), "{stderr}");
    // Again, with the key that is there now.
    let again = init(dir.path(), "level = 3\npolicies = [\"dont-strip\"]\n", &[]);
    assert_eq!(String::from_utf8_lossy(&again.stdout), stdout);
}
