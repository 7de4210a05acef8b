//! A mirror that is copied to somebody who has nothing but machines, and proved there again.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use reprove::{
    mirror::{
        Mirror,
        check::Kind,
        layout::{HashPart, Object},
        location::Location,
        publish::Publisher,
        serve::Limits,
    },
    nix::{secret_key::SecretKey, store_path::StorePath},
    store::Store,
};
use serde_json::Value;

use crate::{
    fixture::{check_at, files, object, publish},
    populate::{HELLO, reprove, text},
    serve::Running,
};

/// Why the toolchain is taken as it is.
const WHY: &str = "a toolchain of elsewhere";

/// A state directory that knows nothing but how to boot: its guests are those of the other tests.
fn newcomer(dir: &Path) -> PathBuf {
    let state = dir.join("newcomer");
    Store::open(&state).unwrap();
    let others = Path::new(env!("CARGO_TARGET_TMPDIR")).join("end-to-end-state");
    for shared in ["guests", "boots"] {
        symlink(others.join(shared), state.join(shared)).unwrap();
    }
    state
}

fn copy(from: &Path, to: &Path) {
    for (name, bytes) in files(from) {
        let file = to.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, bytes).unwrap();
    }
}

/// What a rebuild by somebody with this state directory says: exit code, and verdict and reason for each derivation by its name.
fn rebuild(state: &Path, args: &[&str]) -> (Option<i32>, BTreeMap<String, (String, String)>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reprove"));
    command.env_remove("REPROVE_STATE").arg("--state").arg(state).args(["mirror", "verify"]);
    let output = command.args(args).args(["--rebuild", "--json", "-"]).stdin(Stdio::null()).output().unwrap();
    eprint!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    crate::support::schema::check("mirror-verify", &document);
    let rebuilt = document["rebuilt"].as_array().unwrap().iter();
    let of = |one: &Value, field: &str| one[field].as_str().unwrap_or_default().to_owned();
    let rebuilt = rebuilt.map(|one| (of(one, "drv")[44..].to_owned(), (of(one, "verdict"), of(one, "why"))));
    (output.status.code(), rebuilt.collect())
}

#[test]
#[ignore = "slow: boots machines"]
fn a_copied_mirror_is_proved_again_from_itself_alone_and_a_well_signed_lie_is_found_out() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let [key, mirror] = ["key", "mirror"].map(|name| at(name).to_str().unwrap().to_owned());
    let toolchain = text(&reprove(&["build", &format!("{HELLO}.toolchain")]));
    reprove(&["mirror", "init", &mirror, "--key", &key]);
    let [diamond, multi] = ["diamond", "multi"].map(|name| format!("{HELLO}.{name}"));
    let args =
        ["mirror", "populate", &mirror, "--key", &key, "--seed", &toolchain, "--why", WHY, &diamond, &multi];
    assert_eq!(reprove(&args).status.code(), Some(0));

    let state = newcomer(dir.path());
    copy(Path::new(&mirror), &at("copy"));
    let copied = at("copy").to_str().unwrap().to_owned();
    let (exit, rebuilt) = rebuild(&state, &[&copied]);
    let reproduced = ("reproduced".to_owned(), String::new());
    let names = ["diamond-left.drv", "diamond-right.drv", "diamond-tip.drv", "diamond.drv", "multi.drv"];
    let expected: BTreeMap<_, _> = names.map(|name| (name.to_owned(), reproduced.clone())).into();
    assert_eq!((exit, rebuilt), (Some(0), expected));
    assert!(files(Path::new(&mirror)) == files(&at("copy")), "whoever proves it writes nothing into it");

    // One who sees it only as it is served names the paths, and proves them all the same.
    let served = Running::of(&at("copy"), Limits::default());
    let address = format!("http://{}", served.address);
    let tip = path_of(&at("copy"), "-diamond-tip");
    let (exit, rebuilt) = rebuild(&state, &[&address, &tip]);
    assert_eq!((exit, rebuilt), (Some(0), [("diamond-tip.drv".to_owned(), reproduced.clone())].into()));

    // A limit on the build says nothing about the bits, and seeds cannot be built.
    let tip = StorePath::parse(path_of(&at("copy"), "-diamond-tip").as_bytes()).unwrap();
    let (exit, rebuilt) = rebuild(&state, &[&copied, &tip.to_string(), &toolchain, "--processes", "1"]);
    assert_eq!(exit, Some(122));
    assert!(
        rebuilt.values().all(|(verdict, _)| verdict == "not-checked") && rebuilt.len() == 2,
        "{rebuilt:?}"
    );

    // What its key-holder says of other bits is well signed, and everything in the mirror agrees with it.
    let secret: SecretKey = fs::read_to_string(&key).unwrap().trim_end().parse().unwrap();
    let open = |name: &str| Mirror::open(Location::parse(at(name).to_str().unwrap()).unwrap()).unwrap();
    let admission = open("copy").admission(&tip).unwrap();
    let drv = admission.deriver().unwrap().clone();
    copy(&at("copy"), &at("lie"));
    for subject in
        open("copy").subjects(&[]).unwrap().built.iter().filter(|one| one.drv.name().contains("diamond"))
    {
        for info in subject.outputs.values() {
            let part = HashPart::of(&info.store_path);
            // Nor does it remember what it admitted.
            for object in
                [Object::NarInfo, Object::Listing, Object::Admitted].map(|object| object(part.clone()))
            {
                fs::remove_file(at("lie").join(object.name())).unwrap();
            }
            fs::remove_dir_all(at("lie").join(format!("attestations/{part}"))).unwrap();
        }
    }
    let liar = open("lie");
    let store = Store::open(&at("liar")).unwrap();
    let evil = object(&store, &(drv, tip.clone()), &[], "evil");
    let log = Object::Log(admission.deriver().unwrap().clone()).name();
    fs::write(at("lie").join(&log), crate::fixture::LOG).unwrap();
    let admission = reprove::mirror::statement::Admission {
        log: Some(reprove::mirror::layout::FileHash::of(crate::fixture::LOG).hex()),
        ..admission
    };
    publish(&Publisher::new(&liar, &secret, &store).unwrap(), &evil, &admission);
    assert_eq!(check_at(&at("lie"), &[&secret], &[]).findings, []);
    let lie = at("lie").to_str().unwrap().to_owned();
    let (exit, rebuilt) = rebuild(&state, &[&lie, &tip.to_string()]);
    assert_eq!((exit, rebuilt["diamond-tip.drv"].0.as_str()), (Some(104), "diverged"));
    assert!(rebuilt["diamond-tip.drv"].1.contains(&evil.nar_hash.to_string()));

    // Without its derivation nothing is shown.
    let drv = at("copy").join(Object::Derivation(admission.deriver().unwrap().clone()).name());
    fs::remove_file(&drv).unwrap();
    let (exit, rebuilt) = rebuild(&state, &[&copied, &tip.to_string()]);
    assert_eq!((exit, rebuilt["diamond-tip.drv"].0.as_str()), (Some(122), "not-checked"));
}

/// The path in a mirror whose name ends so.
fn path_of(mirror: &Path, ending: &str) -> String {
    let narinfos = files(mirror).into_iter().filter(|(name, _)| name.ends_with(".narinfo"));
    let path = |text: Vec<u8>| {
        let text = String::from_utf8(text).unwrap();
        text.lines().next().unwrap().strip_prefix("StorePath: ").unwrap().to_owned()
    };
    narinfos.map(|(_, text)| path(text)).find(|path| path.ends_with(ending)).unwrap()
}

#[test]
#[ignore = "slow: boots machines"]
fn a_second_signer_builds_what_is_pending_again_and_signs_it_and_refuses_other_bits() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let toolchain = text(&reprove(&["build", &format!("{HELLO}.toolchain")]));
    let publics = ["alice", "bob", "eve"].map(|name| {
        let init = ["mirror", "init", &at(&format!("of-{name}")), "--key", &at(name)];
        text(&reprove(&[&init[..], &["--key-name", &format!("{name}-1")]].concat()))
    });
    let signer = |name: &str, key: &str| format!("[[signer]]\nname = \"{name}\"\nkeys = [\"{key}\"]\n");
    let policy = format!("threshold = 2\n{}{}", signer("alice", &publics[0]), signer("bob", &publics[1]));
    fs::write(at("policy.toml"), policy).unwrap();
    let mirror = at("mirror");
    for (mirror, name) in
        [&mirror, &at("lie")].into_iter().flat_map(|mirror| [(mirror, "alice"), (mirror, "bob")])
    {
        let init = ["mirror", "init", mirror, "--key", &at(name), "--policy", &at("policy.toml")];
        assert_eq!(reprove(&init).status.code(), Some(0));
    }
    let diamond = format!("{HELLO}.diamond");
    let populate = [
        "mirror",
        "populate",
        &mirror,
        "--key",
        &at("alice"),
        "--seed",
        &toolchain,
        "--why",
        WHY,
        "--json",
        "-",
        &diamond,
    ];
    let fates = |output: &Output| -> BTreeMap<String, String> {
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        let of = |one: &Value, field: &str| one[field].as_str().unwrap_or_default().to_owned();
        let path = |one: &Value| of(one, if one["path"].is_null() { "drv" } else { "path" })[44..].to_owned();
        let all = document["derivations"].as_array().unwrap().iter();
        all.map(|one| (path(one), of(one, "fate"))).collect()
    };
    let all = |fate: &str| -> BTreeMap<String, String> {
        let names = ["diamond-left.drv", "diamond-right.drv", "diamond-tip.drv", "diamond.drv"];
        names.map(|name| (name.to_owned(), fate.to_owned())).into()
    };
    let output = reprove(&populate);
    assert_eq!((output.status.code(), fates(&output)), (Some(121), all("pending")));
    // Again: nothing is built, and it still waits.
    let output = reprove(&populate);
    assert_eq!((output.status.code(), fates(&output)["diamond.drv"].as_str()), (Some(121), "pending"));
    let report = check_at(Path::new(&mirror), &[], &[]);
    assert_eq!((report.findings, report.left, report.paths, report.pending), (vec![], vec![], 0, 5));

    let cosign = |state: &Path, mirror: &str, key: &str, more: &[&str]| -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_reprove"));
        command.env_remove("REPROVE_STATE").arg("--state").arg(state).stdin(Stdio::null());
        command.args(["mirror", "cosign", mirror, "--key", &at(key), "--json", "-"]).args(more);
        let output = command.output().unwrap();
        eprint!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        output
    };
    let newcomer = newcomer(dir.path());
    let ours = Path::new(env!("CARGO_TARGET_TMPDIR")).join("end-to-end-state");
    let before = files(Path::new(&mirror));
    let refused = cosign(&newcomer, &mirror, "eve", &[]);
    assert_eq!(refused.status.code(), Some(121));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("RP1422"));
    // Who does not have the seed has nothing to build from, and does not sign it on another's word.
    let without = cosign(&newcomer, &mirror, "bob", &[]);
    let expected = [("diamond-tip.drv", "not-checked"), ("diamond.drv", "blocked")];
    // It waits for signers, which outweighs that the rest could not be built.
    assert_eq!(without.status.code(), Some(121));
    assert!(expected.iter().all(|(name, fate)| fates(&without)[*name] == *fate));
    assert!(files(Path::new(&mirror)) == before);

    let signed = cosign(&ours, &mirror, "bob", &["--seed", &toolchain, "--why", WHY]);
    crate::support::schema::check("mirror-cosign", &serde_json::from_slice(&signed.stdout).unwrap());
    assert_eq!((signed.status.code(), fates(&signed)), (Some(0), all("signed")));
    let report = check_at(Path::new(&mirror), &[], &[]);
    assert_eq!((report.findings, report.left, report.paths, report.pending), (vec![], vec![], 5, 0));
    assert_eq!(report.signed, [("alice".to_owned(), 5), ("bob".to_owned(), 5)].into());
    let after = files(Path::new(&mirror));
    assert_eq!(fates(&cosign(&ours, &mirror, "bob", &["--seed", &toolchain, "--why", WHY])), all("there"));
    assert_eq!(fates(&reprove(&populate)), [("diamond.drv".to_owned(), "there".to_owned())].into());
    assert!(files(Path::new(&mirror)) == after);
    let from = format!("file://{mirror}");
    let path = path_of(Path::new(&mirror), "-diamond");
    let verify = ["store", "verify", "--store", &from, "--recursive", "--sigs-needed", "2", &path];
    let verified = crate::stock_nix::nix(&crate::support::nix::Nix::new(), &publics[..2].join(" "), &verify);
    assert!(verified.status.success(), "{}", crate::stock_nix::text(&verified));

    // Alice says that other bits came out.
    let open = |name: &str| Mirror::open(Location::parse(&at(name)).unwrap()).unwrap();
    let tip = StorePath::parse(path_of(Path::new(&mirror), "-diamond-tip").as_bytes()).unwrap();
    let admission = open("mirror").admission(&tip).unwrap();
    let drv = admission.deriver().unwrap().clone();
    let secret: SecretKey = fs::read_to_string(at("alice")).unwrap().trim_end().parse().unwrap();
    let lie = open("lie").seen_by(&secret).unwrap();
    let store = Store::open(&ours).unwrap();
    let honest = Publisher::new(&lie, &secret, &store).unwrap();
    honest.seed(&[toolchain.parse().unwrap()], WHY).unwrap();
    let graph = open("mirror").graph(std::slice::from_ref(&drv)).unwrap();
    honest.keep(&graph, graph.index_of(&drv).unwrap()).unwrap();
    for (name, bytes) in files(Path::new(&mirror)).iter().filter(|(name, _)| name.starts_with("sources/")) {
        lie.location().put_new(name, bytes).unwrap();
    }
    let liars = Store::open(Path::new(&at("liar"))).unwrap();
    let evil = object(&liars, &(drv.clone(), tip.clone()), &[], "evil");
    let admission = reprove::mirror::statement::Admission { log: None, ..admission };
    publish(&Publisher::new(&lie, &secret, &liars).unwrap(), &evil, &admission);
    let caught = cosign(&ours, &at("lie"), "bob", &["--seed", &toolchain, "--why", WHY]);
    assert_eq!((caught.status.code(), fates(&caught)["diamond-tip.drv"].as_str()), (Some(104), "refused"));
    let report = check_at(Path::new(&at("lie")), &[], &[]);
    let kinds: Vec<Kind> = report.findings.iter().map(|one| one.kind).collect();
    assert_eq!((kinds, report.paths, report.pending, report.refused), (vec![Kind::Conflict], 1, 1, 1));
}
