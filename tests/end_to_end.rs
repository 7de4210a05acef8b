//! The main job, end to end: `examples/hello` evaluated by `nix`, built in machines, verified; and builds that misbehave.
//!
//! All tests share one state directory, so that a toolchain is built once; `scripts/test-machines` runs them one by one.

#![allow(clippy::unwrap_used, clippy::panic)] // what is not as expected ends the test

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use serde_json::Value;

mod support;

fn state() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("end-to-end-state")
}

fn reprove(args: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_reprove"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env_remove("REPROVE_STATE")
        .arg("--state")
        .arg(state())
        .args(args)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    // Shown when the test fails: what a person would have seen.
    eprintln!("$ reprove {}", args.join(" "));
    eprint!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    output
}

/// Runs `verify` on an output of the example for a system; the exit code and the document.
fn verify(system: &str, attribute: &str, more: &[&str]) -> (i32, Value) {
    let installable = format!("examples/hello#packages.{system}.{attribute}");
    let args = [&["verify", &installable, "--json", "-"], more].concat();
    let output = reprove(&args);
    let document = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    support::schema::check("verify", &document);
    (output.status.code().unwrap_or(-1), document)
}

fn verdicts(document: &Value) -> Vec<(&str, &str, u64)> {
    let outputs = document["outputs"].as_array().unwrap();
    outputs
        .iter()
        .map(|o| {
            (o["output"].as_str().unwrap(), o["verdict"].as_str().unwrap(), o["level"].as_u64().unwrap())
        })
        .collect()
}

fn flipped(document: &Value) -> Vec<&str> {
    let flipped = document["outputs"][0]["flipped_by"].as_array().unwrap();
    flipped.iter().map(|one| one["setting"].as_str().unwrap()).collect()
}

fn causes(document: &Value) -> Vec<&str> {
    let causes = document["outputs"][0]["causes"].as_array().unwrap();
    causes.iter().map(|cause| cause["id"].as_str().unwrap()).collect()
}

const X86: &str = "x86_64-linux";
const RISCV: &str = "riscv64-linux";

#[test]
#[ignore = "slow: boots machines"]
fn greeting_is_reproduced_on_x86_64_and_equal_to_what_nix_builds() {
    let (exit, document) = verify(X86, "greeting", &["--against", "nix"]);
    assert_eq!(exit, 0);
    assert_eq!(document["schema"], "reprove.verify/1");
    assert_eq!(verdicts(&document), [("out", "reproduced", 4)]);
    let output = &document["outputs"][0];
    let references = output["references"].as_array().unwrap();
    assert!(references.iter().any(|one| one["reference"] == "nix"));
    assert!(references.iter().all(|one| one["nar_hash"] == output["nar_hash"]));
    assert_eq!(output["rounds"].as_array().unwrap().len(), 2);
    for round in output["rounds"].as_array().unwrap() {
        assert_eq!(round["nar_hash"], output["nar_hash"]);
        assert!(round["instructions"].as_u64().unwrap() > 100_000_000);
    }
}

#[test]
#[ignore = "slow: boots machines"]
fn greeting_is_reproduced_on_riscv64_in_the_machine_of_our_own_and_in_qemu() {
    let (exit, document) = verify(RISCV, "greeting", &["--machine", "embedded,qemu"]);
    assert_eq!((exit, verdicts(&document)), (0, vec![("out", "reproduced", 4)]));
    let output = &document["outputs"][0];
    let references = output["references"].as_array().unwrap();
    let qemu = references.iter().find(|one| one["reference"] == "machine qemu").unwrap();
    assert_eq!(qemu["nar_hash"], output["nar_hash"]);
}

#[test]
#[ignore = "slow: boots machines"]
fn a_replay_is_the_same_run_where_a_machine_can_tell_and_not_checked_elsewhere() {
    let (exit, document) = verify(RISCV, "greeting", &["--replay", "--state-root-every", "28"]);
    assert_eq!((exit, verdicts(&document)), (0, vec![("out", "reproduced", 3)]));
    let output = &document["outputs"][0];
    let references = output["references"].as_array().unwrap();
    let replay = references.iter().find(|one| one["reference"] == "replay").unwrap();
    let record = |run: &Value| -> Value {
        let record = reprove(&["log", "--record", run.as_str().unwrap()]);
        serde_json::from_slice(&record.stdout).unwrap()
    };
    let [first, again] = [record(&output["rounds"][0]["run"]), record(&replay["run"])];
    assert_ne!(output["rounds"][0]["run"], replay["run"], "two runs");
    assert_eq!(first, again);
    assert!(first["state"]["along"].as_array().unwrap().len() > 3, "{first:#}");
    let (exit, document) = verify(X86, "greeting", &["--replay"]);
    assert_eq!((exit, verdicts(&document)), (122, vec![("out", "not-checked", 2)]));
    let reason = document["outputs"][0]["reason"].as_str().unwrap();
    assert!(reason.starts_with("replay: qemu") && reason.contains("no roots"), "{reason}");
}

#[test]
#[ignore = "slow: boots machines"]
fn a_comparison_that_cannot_be_made_is_not_checked() {
    let (exit, document) = verify(RISCV, "greeting", &["--rounds", "1", "--against", "nix"]);
    assert_eq!((exit, verdicts(&document)), (122, vec![("out", "not-checked", 0)]));
    let references = document["outputs"][0]["references"].as_array().unwrap();
    let nix = references.iter().find(|one| one["reference"] == "nix").unwrap();
    assert_eq!(nix["verdict"], "not-checked");
}

#[test]
#[ignore = "slow: boots machines"]
fn a_date_is_found_with_its_section_its_offset_and_both_values() {
    let (exit, document) = verify(X86, "dated", &[]);
    assert_eq!((exit, verdicts(&document)), (104, vec![("out", "diverged", 0)]));
    assert!(flipped(&document).contains(&"clock"), "{:?}", flipped(&document));
    assert_eq!(causes(&document)[0], "embedded-build-time");
    let cause = &document["outputs"][0]["causes"][0];
    assert_eq!(cause["setting"], "clock");
    let evidence = cause["evidence"].as_array().unwrap();
    let date = evidence.iter().find(|e| e["a"]["text"].as_str().is_some_and(|t| t.contains("Jan  1 2030")));
    let date = date.unwrap_or_else(|| panic!("no evidence names the date: {evidence:#?}"));
    assert_eq!((date["path"].as_str(), date["part"].as_str()), (Some("bin/dated"), Some(".rodata")));
    assert!(date["a"]["offset"].as_u64().is_some() && date["b"]["text"].as_str().unwrap().contains("2031"));
}

#[test]
#[ignore = "slow: boots machines"]
fn the_setting_that_flips_the_bits_is_named() {
    let (exit, document) = verify(X86, "seeded", &[]);
    assert_eq!((exit, flipped(&document)), (104, vec!["seed"]));
    assert_eq!(causes(&document)[0], "random-seed");
    let (exit, document) = verify(X86, "cores", &[]);
    assert_eq!((exit, flipped(&document)), (104, vec!["cores"]));
    assert_eq!(causes(&document)[0], "parallelism");
}

#[test]
#[ignore = "slow: boots machines"]
fn what_the_contract_fixes_is_varied_only_when_asked_and_then_said() {
    let (exit, document) = verify(X86, "hostnamed", &[]);
    assert_eq!((exit, verdicts(&document)), (0, vec![("out", "reproduced", 2)]));
    let (exit, document) = verify(X86, "hostnamed", &["--vary", "hostname"]);
    assert_eq!((exit, flipped(&document)), (104, vec!["hostname"]));
    assert_eq!(document["outputs"][0]["outside_contract"], true);
    assert_eq!(causes(&document)[0], "build-user-or-host");
}

#[test]
#[ignore = "slow: boots machines"]
fn every_output_of_several_is_compared() {
    let (exit, document) = verify(X86, "multi", &["--against", "nix"]);
    let all = ["dev", "doc", "out"].map(|output| (output, "reproduced", 4));
    assert_eq!((exit, verdicts(&document)), (0, all.to_vec()));
    let (exit, document) = verify(X86, "diamond", &["--against", "nix"]);
    assert_eq!((exit, verdicts(&document)), (0, vec![("out", "reproduced", 4)]));
}

/// What `diagnose` says of an output of the example: the exit code and the output's part of the document.
fn diagnose(system: &str, attribute: &str, more: &[&str]) -> (i32, Value) {
    let installable = format!("examples/hello#packages.{system}.{attribute}");
    let output = reprove(&[&["diagnose", &installable, "--json", "-"], more].concat());
    let document: Value = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    support::schema::check("diagnose", &document);
    (output.status.code().unwrap_or(-1), document["outputs"][0].clone())
}

/// The settings of each set that flips the bits.
fn sets(output: &Value) -> Vec<Vec<&str>> {
    let sets = output["flipped_by"].as_array().unwrap().iter();
    sets.map(|set| {
        set["settings"].as_array().unwrap().iter().map(|one| one["setting"].as_str().unwrap()).collect()
    })
    .collect()
}

#[test]
#[ignore = "slow: boots machines"]
fn diagnose_proves_the_one_setting_that_an_output_depends_on_and_names_the_place() {
    let (exit, output) = diagnose(RISCV, "dated", &[]);
    assert_eq!((exit, sets(&output)), (104, vec![vec!["clock"]]));
    let flipped = &output["flipped_by"][0];
    assert_eq!(flipped["files"][0]["path"], "bin/dated");
    assert!(flipped["files"][0]["parts"][0].as_str().unwrap().ends_with("in .rodata"));
    assert_eq!(flipped["causes"][0]["id"], "embedded-build-time");
    assert_eq!(output["outside_contract"], false);
    // Each alone, the same once more, and what flips nothing alone together.
    assert_eq!(output["builds"].as_array().unwrap().len(), 9);
    // The compiler proper is the first process whose file differs, the linker wrote the program.
    let origin = &flipped["origin"];
    for side in ["a", "b"] {
        let command = origin["first"][side]["process"]["command"].as_array().unwrap();
        assert!(command[0].as_str().unwrap().ends_with("/cc1"), "{origin:#}");
        assert!(command.iter().any(|word| word.as_str().unwrap().ends_with("-dated.c")), "{origin:#}");
        assert!(origin["first"][side]["path"].as_str().unwrap().ends_with(".s"), "{origin:#}");
    }
    let linker = &origin["writers"][0];
    assert_eq!(linker["path"], "bin/dated");
    assert!(linker["process"]["command"][0].as_str().unwrap().ends_with("/ld"), "{origin:#}");
}

#[test]
#[ignore = "slow: boots machines"]
fn diagnose_tells_what_only_the_host_name_flips_from_what_nothing_does() {
    let (exit, output) = diagnose(RISCV, "hostnamed", &[]);
    assert_eq!((exit, sets(&output)), (104, vec![vec!["hostname"]]));
    assert_eq!(output["outside_contract"], true);
    // The host name is in a word of the command line, which is another one in each build.
    let first = &output["flipped_by"][0]["origin"]["first"];
    for (side, value) in [("a", "localhost"), ("b", "varied1")] {
        let command = first[side]["process"]["command"].as_array().unwrap();
        assert!(command.iter().any(|word| word.as_str().unwrap().contains(value)), "{first:#}");
    }
    let (exit, output) = diagnose(RISCV, "greeting", &[]);
    assert_eq!((exit, sets(&output), output["verdict"].as_str()), (0, vec![], Some("reproduced")));
}

#[test]
#[ignore = "slow: boots machines"]
fn diagnose_tells_where_in_the_graph_bits_begin_to_differ_from_who_passes_them_on() {
    let installable = format!("examples/hello#packages.{RISCV}.stamped");
    // What it is built with, taken from the store as it is.
    reprove(&["build", &format!("examples/hello#packages.{RISCV}.toolchain")]);
    let only = ["--only", "^stamp", "--no-processes", "--json", "-"];
    let output = reprove(&[&["diagnose", &installable, "--closure"][..], &only].concat());
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    support::schema::check("diagnose", &document);
    assert_eq!(output.status.code(), Some(104));
    let roles: Vec<(&str, &str)> = document["closure"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| (step["drv"].as_str().unwrap(), step["role"].as_str().unwrap()))
        .map(|(drv, role)| (drv.trim_end_matches(".drv").split_at("/nix/store/".len() + 33).1, role))
        .collect();
    let expected = [
        ("stamp", "source"),
        ("stamp-copied", "passes on"),
        ("stamp-lines", "ends here"),
        ("stamped", "passes on"),
    ];
    assert_eq!(roles, expected);
    // Only the source is looked at closer.
    let outputs = document["outputs"].as_array().unwrap();
    assert_eq!(outputs.len(), 1);
    assert_eq!(sets(&outputs[0]), [["clock"]]);
}

/// Each with the code of its error and the exit code of Nix.
const MISBEHAVIOUR: [(&str, &str, i32); 16] = [
    ("fails", "RP0710", 100),
    ("endless", "RP0711", 101),
    ("sleeps", "RP0711", 101),
    ("prints", "RP0713", 100),
    ("forks", "RP0714", 100),
    ("eats-memory", "RP0715", 100),
    ("fills-disk", "RP0716", 100),
    ("fills-inodes", "RP0716", 100),
    ("no-output", "RP0720", 100),
    ("one-of-two", "RP0720", 100),
    ("fifo", "RP0721", 100),
    ("socket", "RP0721", 100),
    ("content-addressed", "RP0701", 122),
    ("missing-source", "RP0450", 122),
    ("wrong-source", "RP0451", 102),
    ("wrong-hash", "RP0450", 122),
];

#[test]
#[ignore = "slow: boots machines"]
fn builds_that_misbehave_are_told_apart_and_leave_nothing() {
    let caps = ["--guest-seconds", "6", "--memory", "512", "--log-size", "1", "--processes", "128"];
    let mut wrong = Vec::new();
    for (name, code, exit) in MISBEHAVIOUR {
        let installable = format!("examples/hello#legacyPackages.{X86}.hostile.{name}");
        let output = reprove(&[&["build", &installable], caps.as_slice()].concat());
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.code() != Some(exit) || !stderr.contains(&format!("error[{code}]")) {
            wrong.push(format!("{name}: {:?}, wanted {exit} and {code}:\n{stderr}", output.status.code()));
        }
        let held = reprove(&["store", "ls"]);
        if String::from_utf8_lossy(&held.stdout).lines().any(|line| line.contains(&format!("-{name}  "))) {
            wrong.push(format!("{name} is in the store"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(orphans(), Vec::<String>::new());
    assert_eq!(reprove(&["store", "verify"]).status.code(), Some(0));
}

#[test]
#[ignore = "slow: boots machines"]
fn what_cannot_be_built_is_not_checked_by_verify_either() {
    for (name, exit) in [("content-addressed", 122), ("missing-source", 122), ("wrong-source", 102)] {
        let installable = format!("examples/hello#legacyPackages.{X86}.hostile.{name}");
        let output = reprove(&["verify", &installable, "--json", "-"]);
        assert_eq!(output.status.code(), Some(exit), "{name}");
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        let verdict = document["outputs"][0]["verdict"].as_str().unwrap();
        assert!(["not-built", "not-checked"].contains(&verdict), "{name}: {verdict}");
    }
}

#[test]
#[ignore = "slow: boots machines"]
fn a_verification_that_was_killed_takes_up_the_rounds_it_had_finished_once() {
    // A derivation that no other test verifies at the same time, on the toolchain that all share.
    let folder = tempfile::tempdir().unwrap();
    let copied = Command::new("cp").args(["-r", "examples/hello/."]).arg(folder.path()).status().unwrap();
    assert!(copied.success());
    let packages = fs::read_to_string(folder.path().join("packages.nix")).unwrap();
    let renamed = packages.replace("program \"greeting\"", "program \"interrupted\"");
    assert_ne!(packages, renamed);
    fs::write(folder.path().join("packages.nix"), renamed).unwrap();
    let installable = format!("path:{}#packages.{X86}.greeting", folder.path().display());
    let on_record = || {
        let rounds = fs::read_dir(state().join("rounds")).unwrap().flatten();
        let texts = rounds.filter_map(|entry| fs::read_to_string(entry.path()).ok());
        texts.filter(|text| text.contains("-interrupted.drv")).count()
    };
    let verify = |more: &[&str]| {
        let output = reprove(&[&["verify", &installable, "--json", "-"], more].concat());
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        let rounds = document["outputs"][0]["rounds"].as_array().unwrap().iter();
        let kept: Vec<bool> =
            rounds.map(|round| round["kept_from_an_earlier_run"].as_bool().unwrap()).collect();
        assert_eq!((output.status.code(), verdicts(&document)), (Some(0), vec![("out", "reproduced", 2)]));
        kept
    };
    let start = || {
        Command::new(env!("CARGO_BIN_EXE_reprove"))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args(["--state", state().to_str().unwrap(), "verify", &installable, "--jobs", "1"])
            .stdin(Stdio::null())
            .spawn()
            .unwrap()
    };
    assert_eq!(verify(&["--fresh"]), [false, false]);
    assert_eq!(on_record(), 0, "what was verified to its end is built again by the next verification");
    let mut child = start();
    while on_record() == 0 {
        assert!(child.try_wait().unwrap().is_none(), "it ended before a round was kept");
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(verify(&[]), [true, false]);
    assert_eq!(on_record(), 0);
}

#[test]
#[ignore = "slow: boots machines"]
fn bits_of_two_systems_are_compared_and_a_difference_is_explained() {
    let across = format!("{X86}=nix,{RISCV}");
    let installables = ["examples/hello#note", "examples/hello#greeting"];
    let options = ["--across", &across, "--rounds", "1", "--json", "-"];
    let output = reprove(&[&["verify"], &installables[..], &options].concat());
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    support::schema::check("verify", &document);
    // One build on each of two hosts: two that gave the same bits, and two that did not.
    assert_eq!(verdicts(&document), [("out", "reproduced", 1), ("out", "diverged", 0)]);
    assert_eq!(output.status.code(), Some(104));
    for output in document["outputs"].as_array().unwrap() {
        assert_eq!(output["system"], RISCV);
        // Beside what an earlier run left in our store.
        let references = output["references"].as_array().unwrap();
        let other = references.iter().find(|one| one["reference"] == X86).unwrap();
        assert_eq!(other["nar_hash"] == output["nar_hash"], output["verdict"] == "reproduced");
    }
}

#[test]
#[ignore = "slow: boots machines"]
fn a_release_is_built_again_and_what_was_published_otherwise_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let published = |text: &str| {
        fs::write(at("note.txt"), text).unwrap();
        let (to, note) = (at("manifest.json"), at("note.txt"));
        let output =
            reprove(&["release", "manifest", "--name", "note", "--version", "1", "--to", &to, &note]);
        assert!(output.status.success());
        let installable = format!("examples/hello#packages.{RISCV}.note");
        let output = reprove(&["release", "reproduce", &to, &installable, "--json", "-"]);
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        support::schema::check("release-reproduce", &document);
        assert_eq!(document["taken_on_trust"], serde_json::json!([]));
        let line = &document["artefacts"][0];
        assert_eq!(line["file"], "note.txt");
        (output.status.code(), line["verdict"].as_str().unwrap().to_owned())
    };
    assert_eq!(published("the same everywhere\n"), (Some(0), "reproduced".to_owned()));
    assert_eq!(published("the same somewhere\n"), (Some(104), "diverged".to_owned()));
}

#[test]
#[ignore = "slow: boots machines"]
fn a_missing_source_is_named_with_where_it_was_looked_for_and_how_to_add_it() {
    let installable = format!("examples/hello#legacyPackages.{X86}.hostile.missing-source");
    let output = reprove(&["build", "--offline", &installable]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    for part in ["nowhere.tar.gz.drv", "sha256-", "file folder", "file:///nonexistent", "reprove source add"]
    {
        assert!(stderr.contains(part), "{part} is missing in:\n{stderr}");
    }
}

#[test]
#[ignore = "slow: boots machines"]
fn t106_a_build_killed_at_any_moment_leaves_a_sound_store_and_goes_on() {
    // Three outputs that refer to each other.
    let installable = format!("examples/hello#packages.{X86}.multi");
    let build = ["build", installable.as_str()];
    // Everything it needs is there, so that the kills hit the build itself.
    assert_eq!(reprove(&build).status.code(), Some(0));
    let forget = || {
        let held = reprove(&["store", "ls"]);
        for line in String::from_utf8_lossy(&held.stdout).lines().filter(|line| line.contains("-multi")) {
            reprove(&["store", "forget", line.split_whitespace().next().unwrap()]);
        }
    };
    // No clock and no randomness of the host: a sequence that is spread over the seconds a build takes.
    let mut moment = 12_345u64;
    for _ in 0..20 {
        forget();
        moment = moment.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut child = Command::new(env!("CARGO_BIN_EXE_reprove"))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .arg("--state")
            .arg(state())
            .args(build)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis((moment >> 33) % 12_000));
        child.kill().unwrap();
        child.wait().unwrap();
        let check = reprove(&["store", "verify"]);
        assert_eq!(check.status.code(), Some(0));
    }
    assert_eq!(orphans(), Vec::<String>::new());
    assert_eq!(reprove(&build).status.code(), Some(0));
    assert_eq!(reprove(&["store", "verify"]).status.code(), Some(0));
}

#[test]
#[ignore = "slow: boots machines"]
fn a_build_killed_in_its_middle_goes_on_and_leaves_the_record_of_one_that_was_not() {
    let installable = format!("examples/hello#packages.{RISCV}.greeting");
    let verify = ["verify", &installable, "--rounds", "1", "--json", "-", "--checkpoint-every"];
    // Everything a run leaves: record and console.
    let left = |more: &[&str]| {
        let output = reprove(&[&verify[..], more].concat());
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        let run = document["outputs"][0]["rounds"][0]["run"].as_str().unwrap().to_owned();
        let record = serde_json::from_slice::<Value>(&reprove(&["log", "--record", &run]).stdout).unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        (record, reprove(&["log", "--console", &run]).stdout, stderr)
    };
    let (record, console, said) = left(&["off", "--fresh"]);
    assert!(record["state"]["last"].is_string() && !said.contains("goes on"), "{record:#}");
    let checkpoints = state().join("checkpoints");
    let _ = fs::remove_dir_all(&checkpoints);
    let mut before = None;
    for _ in 0..3 {
        let mut child = Command::new(env!("CARGO_BIN_EXE_reprove"))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .arg("--state")
            .arg(state())
            .args(verify)
            .arg("26")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Killed as soon as it has kept a state that was not there before.
        let kept = loop {
            let kept = newest_state(&checkpoints);
            if kept.is_some() && kept != before {
                break kept;
            }
            assert_eq!(child.try_wait().unwrap(), None, "it ended before it could be killed");
            std::thread::sleep(Duration::from_millis(2));
        };
        child.kill().unwrap();
        child.wait().unwrap();
        before = kept;
    }
    let (again, log, said) = left(&["26"]);
    assert!(said.contains("goes on where it was interrupted"), "{said}");
    assert_eq!(again, record);
    assert!(log == console, "the console differs");
    assert_eq!(newest_state(&checkpoints), None, "nothing is left of a run that ended");
}

/// When the only state of a run was kept.
fn newest_state(checkpoints: &Path) -> Option<std::time::SystemTime> {
    let run = fs::read_dir(checkpoints).ok()?.next()?.ok()?;
    fs::metadata(run.path().join("state")).ok()?.modified().ok()
}

/// Machines whose parent is gone, and that are not gone themselves soon after: giving gigabytes back takes a moment.
fn orphans() -> Vec<String> {
    for _ in 0..300 {
        if orphans_now().is_empty() {
            return Vec::new();
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    orphans_now()
}

fn orphans_now() -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Ok(status) = fs::read_to_string(entry.path().join("status")) else { continue };
        if status.starts_with("Name:\tqemu-system") && status.contains("\nPPid:\t1\n") {
            found.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    found
}

#[test]
#[ignore = "slow: boots machines"]
fn the_same_run_on_a_busy_host_is_the_same_to_the_instruction() {
    let installable = format!("examples/hello#packages.{X86}.greeting");
    // Two at once, each the other's load; equal settings in both rounds.
    let record = || {
        let output = reprove(&["verify", &installable, "--rounds", "1", "--fresh", "--json", "-"]);
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        let run = document["outputs"][0]["rounds"][0]["run"].as_str().unwrap().to_owned();
        let record = reprove(&["log", "--record", &run]);
        let mut record: Value = serde_json::from_slice(&record.stdout).unwrap();
        let console = reprove(&["log", "--console", &run]).stdout;
        (record.take(), console)
    };
    let (alone, console) = record();
    let busy = std::thread::scope(|scope| {
        let other = scope.spawn(record);
        let one = record();
        [one, other.join().unwrap()]
    });
    for (again, log) in busy {
        for field in ["instructions", "console", "output_drive", "input", "run", "outputs"] {
            assert!(!alone[field].is_null(), "{field}");
            assert_eq!(alone[field], again[field], "{field}");
        }
        assert!(console == log, "the console differs");
    }
}

#[test]
#[ignore = "slow: builds GNU hello four times, half an hour"]
fn gnu_hello_is_reproduced_on_both_systems_and_equal_to_what_nix_builds() {
    let (exit, document) = verify(X86, "hello", &["--against", "nix"]);
    assert_eq!((exit, verdicts(&document)), (0, vec![("out", "reproduced", 4)]));
    let (exit, document) = verify(RISCV, "hello", &[]);
    assert_eq!((exit, verdicts(&document)), (0, vec![("out", "reproduced", 2)]));
}
