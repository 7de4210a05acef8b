//! A mirror that is copied to somebody who has nothing but machines, and proved there again.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use reprove::{
    mirror::{
        Mirror,
        layout::{HashPart, Object},
        location::Location,
        publish::Publisher,
    },
    nix::{secret_key::SecretKey, store_path::StorePath},
    store::Store,
};
use serde_json::Value;

use crate::{
    fixture::{check_at, files, object, publish},
    populate::{HELLO, reprove, text},
};

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
    let args = ["mirror", "populate", &mirror, "--key", &key, "--seed", &toolchain, &diamond, &multi];
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
        open("copy").subjects(&[]).unwrap().0.iter().filter(|one| one.drv.name().contains("diamond"))
    {
        for info in subject.outputs.values() {
            let part = HashPart::of(&info.store_path);
            for object in [Object::NarInfo(part.clone()), Object::Listing(part.clone())] {
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
