//! The command line as a person sees it: whole outputs, help included.

#![allow(clippy::unwrap_used)] // what is not as expected ends the test

use std::{
    path::Path,
    process::{Command, Stdio},
};

/// Everything the program printed, and its exit code. Paths of this machine are taken out.
fn reprove(state: &Path, args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_reprove"))
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data"))
        .env_remove("NO_COLOR")
        .env_remove("CLICOLOR_FORCE")
        .env("REPROVE_STATE", state)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = format!(
        "exit {}\n--- stdout\n{}--- stderr\n{}",
        output.status.code().unwrap_or(-1),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    text.replace(&*state.to_string_lossy(), "STATE")
}

fn plain(args: &[&str]) -> String {
    let state = tempfile::tempdir().unwrap();
    reprove(state.path(), args)
}

/// The verbs that a help lists.
fn verbs(help: &str) -> Vec<String> {
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let listed = listed.take_while(|line| !line.is_empty());
    let named = listed.filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')));
    let names = named.filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

/// The help of a verb, and of those below it.
fn help_of(path: &[&str]) {
    let help = plain(&[path, &["--help"]].concat());
    for verb in verbs(&help) {
        help_of(&[path, &[&verb]].concat());
    }
    let name = [&["help"], path].concat().join("_");
    insta::assert_snapshot!(name, help);
}

#[test]
fn help() {
    help_of(&[]);
}

#[test]
fn explanations() {
    insta::assert_snapshot!("explain_all", plain(&["explain"]));
    insta::assert_snapshot!("explain_code", plain(&["explain", "rp0122"]));
    insta::assert_snapshot!("explain_cause", plain(&["explain", "embedded-build-time"]));
    insta::assert_snapshot!("explain_nothing", plain(&["explain", "RP9999"]));
}

#[test]
fn the_readme_has_every_cause() {
    let readme = include_str!("../README.md");
    for entry in reprove::diagnose::CATALOGUE {
        assert!(readme.contains(&format!("| `{}` | {} |", entry.id, entry.title)), "{}", entry.id);
    }
}

#[test]
fn usage_errors() {
    insta::assert_snapshot!("no_verb", plain(&[]));
    insta::assert_snapshot!("unknown_reference", plain(&["verify", ".#x", "--against", "s3://bucket"]));
    insta::assert_snapshot!("unknown_setting", plain(&["verify", ".#x", "--vary", "phase-of-moon"]));
    insta::assert_snapshot!("memory", plain(&["build", ".#x", "--memory", "1000"]));
    insta::assert_snapshot!("no_run", plain(&["log", "00000000"]));
    insta::assert_snapshot!("no_drv", plain(&["drv", "check", "."]));
    insta::assert_snapshot!(
        "not_in_store",
        plain(&["store", "export", "/nix/store/00000000000000000000000000000000-x", "y"])
    );
}

#[test]
fn one_derivation_is_not_compared_with_itself() {
    // What names its system is one derivation for every system, and its bits are equal to themselves.
    let sa = "drvs/c3vmds0mp3cgnhxizzlgy97jws2cpr9i-sa.drv";
    insta::assert_snapshot!(
        "across_one_derivation",
        plain(&["verify", sa, "--across", "x86_64-linux,riscv64-linux"])
    );
}

#[test]
fn derivations() {
    insta::assert_snapshot!("drv_check", plain(&["drv", "check", "drvs"]));
    insta::assert_snapshot!("drv_check_json", plain(&["drv", "check", "drvs", "--json", "-"]));
}

#[test]
fn a_store_and_sources() {
    let state = tempfile::tempdir().unwrap();
    insta::assert_snapshot!("source_add", reprove(state.path(), &["source", "add", "drvs"]));
    insta::assert_snapshot!("store_verify", reprove(state.path(), &["store", "verify"]));
    insta::assert_snapshot!("guest_show_lines", reprove(state.path(), &["guest", "show"]).lines().count());
}

#[test]
fn a_document_that_cannot_be_written_is_refused_before_the_work() {
    for verb in ["plan", "build", "verify"] {
        let said = plain(&[verb, "/nowhere#x", "--json", "/nonexistent/folder/out.json"]);
        assert!(
            said.starts_with("exit 1") && said.contains("/nonexistent/folder/out.json"),
            "{verb}: {said}"
        );
        let said = plain(&[verb, "/nowhere#x", "--json", "."]);
        assert!(said.contains("error[") && said.contains(" .: "), "{verb}: {said}");
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("out.json");
    std::fs::write(&file, "before").unwrap();
    plain(&["plan", "/nowhere#x", "--json", file.to_str().unwrap()]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "before", "a failure leaves what was there");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

/// A state directory that holds the runs and paths of `fill`.
fn state_with(fill: impl Fn(&reprove::store::Store)) -> tempfile::TempDir {
    let state = tempfile::tempdir().unwrap();
    fill(&reprove::store::Store::open(state.path()).unwrap());
    state
}

fn store_path(name: &str) -> reprove::nix::store_path::StorePath {
    format!("/nix/store/{}-{name}", "0".repeat(32)).parse().unwrap()
}

#[test]
fn an_ambiguous_run_lists_the_candidates() {
    let state = state_with(|store| {
        // Seventeen ids: two begin with the same digit.
        for n in 0..17 {
            store.save_run(&store_path("a.drv"), &n, &[("log", b"said")]).unwrap();
        }
    });
    let ids: Vec<String> = std::fs::read_dir(state.path().join("runs"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let digit =
        ids.iter().map(|id| &id[..1]).find(|one| ids.iter().filter(|id| id.starts_with(one)).count() > 1);
    let digit = digit.unwrap();
    let said = reprove(state.path(), &["log", digit]);
    assert!(said.starts_with("exit 1"), "{said}");
    for id in &ids {
        assert_eq!(said.contains(id.as_str()), id.starts_with(digit), "{said}");
    }
    assert!(reprove(state.path(), &["log", &ids[0]]).starts_with("exit 0\n--- stdout\nsaid"));
    assert_eq!(reprove(state.path(), &["log", "", "--list"]).matches("a.drv").count(), 17);
}

#[test]
fn diff_knows_the_paths_of_our_store() {
    let state = state_with(|store| {
        for name in ["one", "two"] {
            let file = store.root().join("tmp").join(name);
            std::fs::write(&file, format!("this is {name}\n")).unwrap();
            let nar = store.add_tree(&file).unwrap();
            let info = reprove::store::PathInfo {
                path: store_path(name),
                nar_hash: nar.hash,
                nar_size: nar.size,
                references: Default::default(),
                deriver: None,
                origin: reprove::store::Origin::Source { place: "test".to_owned() },
            };
            store.register(&info).unwrap();
        }
    });
    let [one, two] = ["one", "two"].map(|name| store_path(name).to_string());
    let said = reprove(state.path(), &["diff", &one, &two]);
    assert!(said.starts_with("exit 104") && said.contains("one") && said.contains("two"), "{said}");
    assert!(reprove(state.path(), &["diff", &one, &one]).starts_with("exit 0"));
    assert!(reprove(state.path(), &["diff", &one, &store_path("absent").to_string()]).starts_with("exit 1"));
}

#[test]
fn an_apt_mirror_can_be_given() {
    let said = plain(&["build", "/nowhere#x", "--apt-mirror", "no mirror"]);
    assert!(said.starts_with("exit 1") && said.contains("no mirror of the Debian archive"), "{said}");
}

#[test]
fn a_cache_without_a_trusted_key_is_refused() {
    let said = plain(&["plan", "/nowhere#x", "--substituter", "https://cache.invalid"]);
    assert!(said.starts_with("exit 1") && said.contains("--trusted-public-keys"), "{said}");
    let keys = plain(&["plan", "/nowhere#x", "--trusted-public-keys", "no-key"]);
    assert!(keys.starts_with("exit 1") && keys.contains("is no public key"), "{keys}");
}

#[test]
fn every_code_is_explained_once() {
    let listed = plain(&["explain"]);
    let codes: Vec<&str> =
        listed.lines().filter_map(|l| l.get(..6)).filter(|c| c.starts_with("RP")).collect();
    let mut unique = codes.clone();
    unique.dedup();
    assert_eq!(codes, unique);
    assert!(codes.len() > 60, "{codes:?}");
}

#[test]
fn completions_name_every_verb() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = plain(&["completions", shell]);
        assert!(script.starts_with("exit 0") && script.contains("verify"), "{shell}");
    }
}

#[test]
fn accepted_differences() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path.to_string_lossy().into_owned()
    };
    for (side, date) in [("a", "Nov 21 2026"), ("b", "Jan  1 2020")] {
        write(&format!("{side}/share/manual.txt"), &format!("made {date} here\n"));
        write(&format!("{side}/share/other.txt"), &format!("on {side}\n"));
    }
    let (a, b) = (folder.path().join("a"), folder.path().join("b"));
    let entry = |path: &str, cause: &str, expires: &str| {
        format!(
            "[[accepted]]\npath = \"{path}\"\ncause = \"{cause}\"\nreason = \"upstream issue 12\"\n\
             owner = \"release@example.org\"\nexpires = {expires}\n"
        )
    };
    let date = entry("share/manual.txt", "embedded-build-time", "9999-01-01");
    let rest = entry("share/*", "unexplained", "9999-01-01");
    let run = |name: &str, text: &str| {
        let file = write(name, text);
        let text = plain(&["diff", &a.to_string_lossy(), &b.to_string_lossy(), "--accepted", &file]);
        text.replace(&*folder.path().to_string_lossy(), "FOLDER")
    };
    insta::assert_snapshot!("accepted_all", run("all.toml", &(date.clone() + &rest)));
    insta::assert_snapshot!("accepted_some", run("some.toml", &date));
    let idle = entry("bin/*", "build-path", "9999-01-01");
    insta::assert_snapshot!("accepted_unused", run("unused.toml", &(date.clone() + &rest + &idle)));
    insta::assert_snapshot!(
        "accepted_expired",
        run("expired.toml", &(date + &entry("*", "build-path", "2020-01-31")))
    );
}

#[test]
fn policies() {
    insta::assert_snapshot!("policy_list", plain(&["policy", "list"]));
    insta::assert_snapshot!("policy_show", plain(&["policy", "show", "dont-strip"]));
    let state = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| reprove(state.path(), args);
    let sa = "drvs/c3vmds0mp3cgnhxizzlgy97jws2cpr9i-sa.drv";
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("own.toml");
    std::fs::write(
        &own,
        "[[policy]]\nname = \"own\"\ntitle = \"no\\u001b[31m colours\"\nwhy = \"it shows\"\n\
         [[policy.rule]]\nmatch.attribute.foo = \"*\"\nforbid = \"foo \\u001b[0m is not wanted\"\n",
    )
    .unwrap();
    let own = own.to_str().unwrap();
    insta::assert_snapshot!("policy_check", run(&["policy", "check", sa]));
    insta::assert_snapshot!(
        "policy_check_json",
        run(&["policy", "check", sa, "--policy", "dont-strip", "--json", "-"])
    );
    insta::assert_snapshot!("policy_check_own", run(&["policy", "check", sa, "--policy-file", own]));
    insta::assert_snapshot!(
        "policy_diff",
        run(&[
            "policy",
            "diff",
            sa,
            "--policy",
            "dont-strip",
            "--policy",
            "source-date-epoch",
            "--at",
            "all"
        ])
    );
    insta::assert_snapshot!("policy_plan", run(&["plan", sa, "--policy", "single-core"]));
    insta::assert_snapshot!("policy_forbidden", run(&["plan", sa, "--policy-file", own]));
    insta::assert_snapshot!("policy_unknown", run(&["policy", "diff", sa, "--policy", "strip"]));
    insta::assert_snapshot!("policy_none", run(&["policy", "diff", sa]));
    insta::assert_snapshot!("policy_at_nothing", run(&["policy", "check", sa, "--at", "leaf"]));
    insta::assert_snapshot!("policy_changes_nothing", run(&["plan", sa, "--policy", "go-unpatched"]));
}
