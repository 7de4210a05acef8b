//! `reprove release reproduce`, with outputs that our store has as built here: no machine is booted.

use std::{fs, path::Path};

use reprove::store::{Origin, PathInfo, RunId, Store};
use serde_json::Value;

use crate::{reprove, succeed};

/// A derivation of two outputs and no inputs, made by `nix`.
const DRV: &str = "tests/data/drvs/c3vmds0mp3cgnhxizzlgy97jws2cpr9i-sa.drv";
const OUT: &str = "/nix/store/a9hz5wfg0f906m0n2jpf4k4zhz6j9xxn-sa";
const LIB: &str = "/nix/store/7713xf4kzr1jzy5bqwy5im0y98mmsm07-sa-lib";

/// Puts an output into the store that `reprove` works with in `dir`.
fn put(dir: &Path, path: &str, files: &[(&str, &str)], origin: Origin) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let at = folder.path().join(name);
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        fs::write(at, text).unwrap();
    }
    let store = Store::open(&dir.join("state")).unwrap();
    let nar = store.add_tree(folder.path()).unwrap();
    let info = PathInfo {
        path: path.parse().unwrap(),
        nar_hash: nar.hash,
        nar_size: nar.size,
        references: Default::default(),
        deriver: None,
        origin,
    };
    store.register(&info).unwrap();
}

fn built() -> Origin {
    Origin::Built { run: RunId([1; 32]) }
}

/// A release of two files, as somebody published it.
fn published(dir: &Path, program: &str) {
    fs::write(dir.join("tool-linux-amd64"), program).unwrap();
    fs::write(dir.join("libtool.so"), "library").unwrap();
    let options = ["release", "manifest", "--name", "tool", "--version", "v1", "--to", "manifest.json"];
    succeed(dir, &[&options[..], &["tool-linux-amd64", "libtool.so"]].concat());
}

fn reproduce(dir: &Path, more: &[&str]) -> (i32, String, Value) {
    let drv = format!("{}/{DRV}", env!("CARGO_MANIFEST_DIR"));
    let args = [&["release", "reproduce", "manifest.json", &drv, "--json", "said.json"], more].concat();
    let output = reprove(dir, &args);
    let document = fs::read(dir.join("said.json")).ok().and_then(|text| serde_json::from_slice(&text).ok());
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    (output.status.code().unwrap(), said, document.unwrap_or_default())
}

#[test]
fn what_comes_out_the_same_is_reproduced_and_what_does_not_is_explained() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), OUT, &[("bin/tool-linux-amd64", "built in /build/one of it\n")], built());
    put(dir.path(), LIB, &[("lib/libtool.so", "library")], built());
    published(dir.path(), "built in /build/one of it\n");
    let (exit, said, document) = reproduce(dir.path(), &["--objection", "objection.json"]);
    assert_eq!(exit, 0, "{said}");
    assert_eq!(said.matches("reproduced   ").count(), 2, "{said}");
    assert_eq!(document["artefacts"][1]["place"], format!("{OUT}/bin/tool-linux-amd64"));
    assert!(!dir.path().join("objection.json").exists(), "nothing to object to");

    published(dir.path(), "built in /build/two of it\n");
    let (exit, said, document) = reproduce(dir.path(), &["--objection", "objection.json"]);
    assert_eq!(exit, 104, "{said}");
    let line = &document["artefacts"][1];
    assert_eq!((&line["verdict"], &line["note"]), (&"diverged".into(), &Value::Null), "{line}");
    assert!(!line["causes"].as_array().unwrap().is_empty() && said.contains("where"), "{said}");
    assert!(
        said.contains("diverged     tool-linux-amd64") && said.contains("reproduced   libtool.so"),
        "{said}"
    );

    // The objection can be signed, and is about this manifest.
    let objection: Value =
        serde_json::from_slice(&fs::read(dir.path().join("objection.json")).unwrap()).unwrap();
    assert_eq!(objection["manifest"], document["manifest"]);
    assert_eq!(objection["artefacts"][0]["rebuilt"], line["rebuilt"]);

    // Without the published file it differs all the same.
    fs::remove_file(dir.path().join("tool-linux-amd64")).unwrap();
    let (exit, said, _) = reproduce(dir.path(), &[]);
    assert!(exit == 104 && said.contains("why is not known"), "{said}");
}

#[test]
fn what_is_not_among_the_outputs_or_was_not_built_here_is_not_checked() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), OUT, &[("bin/tool-linux-amd64", "program")], built());
    put(dir.path(), LIB, &[], built());
    published(dir.path(), "program");
    let (exit, said, document) = reproduce(dir.path(), &[]);
    assert_eq!((exit, &document["artefacts"][0]["verdict"]), (122, &"not-checked".into()), "{said}");
    let dir = tempfile::tempdir().unwrap();
    published(dir.path(), "program");
    put(dir.path(), OUT, &[("bin/tool-linux-amd64", "program")], built());
    let from = Origin::Substituted { from: "file:///cache".to_owned(), signed_by: None };
    put(dir.path(), LIB, &[("lib/libtool.so", "library")], from);
    let (exit, said, _) = reproduce(dir.path(), &[]);
    assert!(exit == 122 && said.contains("was not built here"), "{said}");
}
