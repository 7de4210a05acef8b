//! How verbs that write a mirror end: with a report, whatever else fails, and never better than what it says.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::SystemTime,
};

use reprove::{
    mirror::claims::Worker,
    nix::secret_key::{self, SecretKey},
    store::PathInfo,
};
use serde_json::Value;

use crate::{
    cosign::{all_by, two},
    fixture::Fixture,
};

/// Runs a verb on the mirror of a fixture, with the key that was made of this seed.
fn mirror(fixture: &Fixture, verb: &str, (name, seed): (&str, u8), more: &[&str]) -> Output {
    let key = fixture.folder(name);
    fs::write(&key, secret_key::spelled(name, &[seed; 32])).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_reprove"));
    command.env_remove("REPROVE_STATE").arg("--state").arg(fixture.folder("other-state"));
    command.args(["mirror", verb]).arg(fixture.folder("mirror")).arg("--key").arg(key).args(more);
    command.stdin(Stdio::null()).output().unwrap()
}

/// Runs a verb that needs no key.
fn mirror_verb(verb: &str, folder: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reprove"));
    command.env_remove("REPROVE_STATE").args(["mirror", verb]).arg(folder);
    command.stdin(Stdio::null()).output().unwrap()
}

/// A verb's document, and how it ended.
pub fn told(fixture: &Fixture, verb: &str, key: (&str, u8), more: &[&str]) -> (Option<i32>, Value, String) {
    let output = mirror(fixture, verb, key, &[&["--json", "-"], more].concat());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let document = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
    crate::support::schema::check(&format!("mirror-{verb}"), &document);
    (output.status.code(), document, said)
}

/// The file of a path's derivation, beside those it needs.
pub fn drv_file(fixture: &Fixture, info: &PathInfo) -> String {
    let folder = fixture.folder("drvs");
    fixture.derivations.write(&folder);
    folder.join(info.deriver.as_ref().unwrap().base_name()).display().to_string()
}

/// Puts something in the place of a page that nobody reads to its end.
fn endless_page(folder: &Path) -> PathBuf {
    let page = folder.join("index.html");
    fs::File::create(&page).unwrap().set_len(reprove::mirror::page::MAX_LEN + 1).unwrap();
    page
}

#[test]
fn a_page_that_cannot_be_made_again_costs_the_exit_code_and_not_the_report() {
    let fixture = Fixture::new();
    fixture.mirror("mirror");
    let (tool, key) = (drv_file(&fixture, &fixture.tool), ("test-1", 1));
    let (code, before, _) = told(&fixture, "populate", key, &[&tool]);
    assert_eq!((code, &before["derivations"][0]["fate"]), (Some(0), &"there".into()));
    let page = endless_page(&fixture.folder("mirror"));
    let (code, document, said) = told(&fixture, "populate", key, &[&tool]);
    assert_eq!((code, &document), (Some(102), &before), "{said}");
    assert!(said.contains("error[RP") && said.contains("index.html"), "{said}");
    let (code, document, said) = told(&fixture, "cosign", key, &[]);
    assert_eq!((code, document["derivations"].as_array().map(Vec::len)), (Some(102), Some(2)), "{said}");
    assert!(said.contains("index.html"), "{said}");
    fs::remove_file(page).unwrap();
    assert_eq!(told(&fixture, "cosign", key, &[]).0, Some(0));
}

#[test]
fn what_was_left_out_and_is_not_in_is_told_and_nothing_is_taken_in_its_place() {
    let fixture = Fixture::new();
    let (_, key) = fixture.mirror("full");
    fixture.init("mirror", "", &key);
    let (tool, key) = (drv_file(&fixture, &fixture.tool), ("test-1", 1));
    let (code, document, said) = told(&fixture, "populate", key, &[&tool, "--only", "^nothing$"]);
    let one = &document["derivations"][0];
    assert_eq!((code, one["fate"].as_str()), (Some(122), Some("not-now")), "{said}");
    assert!(one["why"].as_str().unwrap().contains("left out"), "{document}");
    let output = mirror(&fixture, "populate", key, &[&tool, "--trust-substitutes"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("--trust-substitutes: ") && said.contains("`--seed PATH --why TEXT`"), "{said}");
}

#[test]
fn a_narinfo_that_cannot_be_read_costs_the_exit_code_and_not_the_report() {
    let fixture = Fixture::new();
    fixture.mirror("mirror");
    let name = format!("{}.narinfo", fixture.tool.path.hash_part());
    crate::fixture::replace(&fixture.folder("mirror").join(&name), b"something else");
    let (code, document, said) =
        told(&fixture, "populate", ("test-1", 1), &[&drv_file(&fixture, &fixture.tool)]);
    let one = &document["derivations"][0];
    assert_eq!((code, one["fate"].as_str()), (Some(102), Some("failed")), "{said}");
    assert!(one["why"].as_str().unwrap().contains(&name) && said.contains(&name), "{document} {said}");
}

#[test]
fn who_cosigns_goes_on_behind_what_cannot_be_read() {
    let fixture = Fixture::new();
    fixture.mirror("mirror");
    let fates = |document: &Value| -> Vec<String> {
        let derivations = document["derivations"].as_array().unwrap().iter();
        derivations.map(|one| one["fate"].as_str().unwrap().to_owned()).collect()
    };
    let at = |name: String| fixture.folder("mirror").join(name);
    // A narinfo: what was made of it stands as it did.
    let name = format!("{}.narinfo", fixture.lib.path.hash_part());
    let was = fs::read(at(name.clone())).unwrap();
    crate::fixture::replace(&at(name.clone()), b"something else");
    let (code, document, said) = told(&fixture, "cosign", ("test-1", 1), &[]);
    assert_eq!((code, fates(&document)), (Some(102), vec!["there".to_owned()]), "{said}");
    let [unread] = &document["unread"].as_array().unwrap()[..] else { panic!("{document}") };
    assert_eq!(unread["object"], name.as_str());
    crate::fixture::replace(&at(name), &was);
    // A derivation: it is not tried, and what needs it is not either.
    let drv = fixture.tool.deriver.as_ref().unwrap();
    fs::remove_file(at(format!("derivations/{}", drv.base_name()))).unwrap();
    let (code, document, said) = told(&fixture, "cosign", ("test-1", 1), &[]);
    assert_eq!(code, Some(122), "{said}");
    assert_eq!(fates(&document), ["not-checked", "there"], "{document}");
    assert_eq!(document["unread"], serde_json::json!([]));
}

#[test]
fn who_cosigns_while_somebody_removes_is_told_so() {
    let fixture = Fixture::new();
    let (there, _) = fixture.mirror("mirror");
    let remover = Worker::of(&fixture.store).unwrap();
    there.claim_everything(&remover, SystemTime::now()).unwrap();
    let output = mirror(&fixture, "cosign", ("test-1", 1), &[]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(122), "{said}");
    assert!(said.contains("RP1430"), "{said}");
    there.release_everything(&remover).unwrap();
    assert_eq!(mirror(&fixture, "cosign", ("test-1", 1), &[]).status.code(), Some(0));
}

#[test]
fn who_cosigns_is_told_of_a_seed_that_waits_for_others() {
    let fixture = Fixture::new();
    let [alice, _, bob] = two(&fixture, 2);
    let seed = fixture.seed.path.to_string();
    let publisher_of = |key| {
        let mirror = crate::serve::mirror_at(&fixture.folder("mirror")).seen_by(key).unwrap();
        fixture.take_seed(&reprove::mirror::publish::Publisher::new(&mirror, key, &fixture.store).unwrap());
    };
    publisher_of(&alice);
    // Neither who has signed it nor who has not is told that everything is in.
    for key in [("alice-1", 1), ("bob-1", 3)] {
        let (code, document, said) = told(&fixture, "cosign", key, &[]);
        let [one] = &document["seeds"].as_array().unwrap()[..] else { panic!("{document}") };
        assert_eq!(
            (code, one["path"].as_str(), one["fate"].as_str()),
            (Some(121), Some(&*seed), Some("pending")),
            "{said}"
        );
    }
    publisher_of(&bob);
    let (code, document, said) = told(&fixture, "cosign", ("alice-1", 1), &[]);
    assert_eq!((code, &document["seeds"]), (Some(0), &serde_json::json!([])), "{said}");
}

#[test]
fn what_was_read_is_on_the_page() {
    let fixture = Fixture::new();
    let [alice, ..] = two(&fixture, 1);
    all_by(&fixture, &alice);
    assert!(mirror_verb("page", &fixture.folder("mirror")).status.success());
    let before = fs::read(fixture.folder("mirror").join("index.html")).unwrap();
    let (code, document, said) = told(&fixture, "cosign", ("bob-1", 3), &["--records"]);
    assert_eq!((code, document["derivations"].as_array().map(Vec::len)), (Some(0), Some(3)), "{said}");
    assert!(fs::read(fixture.folder("mirror").join("index.html")).unwrap() != before);
    let report = mirror_verb("verify", &fixture.folder("mirror"));
    assert!(report.status.success(), "{}", String::from_utf8_lossy(&report.stdout));
    endless_page(&fixture.folder("mirror"));
    let (code, document, said) = told(&fixture, "cosign", ("bob-1", 3), &["--records"]);
    assert_eq!((code, document["derivations"].as_array().map(Vec::len)), (Some(102), Some(3)), "{said}");
}

#[test]
fn who_has_to_agree_can_be_said_by_whoever_asks() {
    let fixture = Fixture::new();
    let [alice, _, bob] = two(&fixture, 1);
    all_by(&fixture, &alice);
    let known = |threshold: usize| {
        let file = fixture.folder("signers.toml");
        let person = |key: &SecretKey| {
            format!("[[contributor]]\nname = {:?}\nnix = [\"{}\"]\n", key.name(), key.public())
        };
        let text = format!("threshold = {threshold}\n{}{}", person(&alice), person(&bob));
        fs::write(&file, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_reprove"));
        command.env_remove("REPROVE_STATE").args(["mirror", "verify"]).arg(fixture.folder("mirror"));
        let output = command.arg("--signers").arg(file).args(["--json", "-"]).output().unwrap();
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        crate::support::schema::check("mirror-verify", &document);
        (output.status.code(), document)
    };
    let (code, document) = known(1);
    assert_eq!((code, &document["by_own_keys"]), (Some(0), &false.into()), "{document:#}");
    // Bob stands for the policy, and has signed nothing.
    let (code, document) = known(2);
    let objects = document["findings"].as_array().unwrap().iter().map(|one| &one["object"]);
    assert!(objects.clone().all(|name| name.as_str().unwrap().ends_with(".narinfo")), "{document:#}");
    assert_eq!((code, objects.count()), (Some(121), 3));
    all_by(&fixture, &bob);
    let (code, document) = known(2);
    assert_eq!((code, &document["signed"]), (Some(0), &serde_json::json!({"alice-1": 3, "bob-1": 3})));
}
