//! What happens to a mirror while somebody else looks at it, or is at work on it.

use std::{fs, path::Path};

use reprove::{
    mirror::{
        Mirror,
        gc::Mode,
        layout::{HashPart, Object},
        publish::{Published, Publisher},
        reading::Read,
    },
    nix::store_path::StorePath,
    store::{PathInfo, Store},
};

use crate::{
    cosign::{all_by, two},
    fixture::{Fixture, check_at, check_in, key, object},
    gc::collect,
    serve::mirror_at,
    watched::{Doing, meanwhile},
};

/// The file of a path's narinfo.
fn narinfo(folder: &Path, info: &PathInfo) -> std::path::PathBuf {
    folder.join(Object::NarInfo(HashPart::of(&info.path)).name())
}

#[test]
fn what_is_admitted_while_the_mirror_is_listed_is_no_fault() {
    let fixture = Fixture::new();
    let (_, key) = fixture.mirror("mirror");
    let folder = fixture.folder("mirror");
    // The list has passed the library, which comes in, and then the tool, which is listed.
    let (late, aside) = (narinfo(&folder, &fixture.lib), fixture.folder("aside"));
    fs::rename(&late, &aside).unwrap();
    fs::remove_file(folder.join(Object::Admitted(HashPart::of(&fixture.lib.path)).name())).unwrap();
    assert_eq!(check_at(&folder, &[&key], &[]).findings.len(), 2, "it refers to it, and was made from it");
    // The first object that is read after the list.
    let reads_it = |doing: &Doing<'_>| matches!(doing, Doing::Reading(name) if name.ends_with(".narinfo"));
    let location = meanwhile(&folder, reads_it, move || fs::rename(aside, late).unwrap());
    let report = check_in(&location, &[&key], &[]);
    assert_eq!((report.findings, report.paths), (vec![], 3));
}

#[test]
fn what_is_removed_on_record_while_the_mirror_is_read_is_no_fault() {
    for object in ["narinfo", "nar", "log", "derivation"] {
        let fixture = Fixture::new();
        let (_, key) = fixture.mirror("mirror");
        let folder = fixture.folder("mirror");
        let is_it = move |name: &str| match Object::parse(name) {
            Some(Object::NarInfo(_)) => object == "narinfo",
            Some(Object::Nar(_)) => object == "nar",
            Some(Object::Log(_)) => object == "log",
            Some(Object::Derivation(_)) => object == "derivation",
            _ => false,
        };
        let (state, at, root) = (fixture.folder("gc"), folder.clone(), fixture.seed.path.clone());
        let removes = move || {
            let (mirror, store) = (mirror_at(&at), Store::open(&state).unwrap());
            let gone = collect(&mirror, &store, std::slice::from_ref(&root), Mode::Remove).unwrap();
            assert_eq!(gone.paths.len(), 2);
        };
        let reads_it = move |doing: &Doing<'_>| matches!(doing, Doing::Reading(name) if is_it(name));
        let report = check_in(&meanwhile(&folder, reads_it, removes), &[&key], &[]);
        assert_eq!((report.findings, report.paths, report.removed), (vec![], 1, 2), "{object}");
    }
}

#[test]
fn what_is_admitted_while_the_others_are_read_is_not_signed_as_read() {
    let fixture = Fixture::new();
    let [alice, _, bob] = two(&fixture, 1);
    let folder = fixture.folder("mirror");
    all_by(&fixture, &alice);
    // The tool comes in when the check has begun.
    let (late, aside) = (narinfo(&folder, &fixture.tool), fixture.folder("aside"));
    fs::rename(&late, &aside).unwrap();
    fs::remove_file(folder.join(Object::Admitted(HashPart::of(&fixture.tool.path)).name())).unwrap();
    let statements = folder.join(format!("attestations/{}", fixture.tool.path.hash_part()));
    let hidden = fixture.folder("hidden");
    fs::rename(&statements, &hidden).unwrap();
    let reads_it = |doing: &Doing<'_>| matches!(doing, Doing::Reading("nix-cache-info"));
    let comes = move || {
        fs::rename(hidden, statements).unwrap();
        fs::rename(aside, late).unwrap();
    };
    let mirror = Mirror::open(meanwhile(&folder, reads_it, comes)).unwrap().seen_by(&bob).unwrap();
    let publisher = Publisher::new(&mirror, &bob, &fixture.store).unwrap().cosigning();
    let Read::Sound(read) = publisher.read(2).unwrap() else { panic!("something is wrong") };
    assert_eq!(read, [fixture.seed.path.clone(), fixture.lib.path.clone()]);
    let report = check_at(&folder, &[], &[]);
    assert_eq!((report.findings.len(), report.paths, report.readings), (0, 3, 2));
}

#[test]
fn a_seed_of_which_somebody_has_recorded_other_bits_is_told_of_and_not_admitted() {
    let fixture = Fixture::new();
    let key = key("test-1", 1);
    let mirror = fixture.init("mirror", "", &key);
    // Who found other bits was killed when those were on record, and before anything was admitted.
    let elsewhere = Store::open(&fixture.folder("elsewhere")).unwrap();
    object(
        &elsewhere,
        &(fixture.seed.deriver.clone().unwrap(), fixture.seed.path.clone()),
        &[],
        "other bits",
    );
    let theirs = fixture.init("theirs", "", &key);
    let seed = std::slice::from_ref(&fixture.seed.path);
    Publisher::new(&theirs, &key, &elsewhere).unwrap().seed(seed, "it was there").unwrap();
    let name = Object::Seed(HashPart::of(&fixture.seed.path)).name();
    let record = fixture.folder("mirror").join(&name);
    fs::create_dir_all(record.parent().unwrap()).unwrap();
    fs::copy(fixture.folder("theirs").join(&name), &record).unwrap();
    let publisher = Publisher::new(&mirror, &key, &fixture.store).unwrap();
    let error = publisher.seed(seed, "it has to begin somewhere").unwrap_err();
    assert_eq!(error.code().0, 1425, "{error}");
    assert!(error.to_string().contains(&name), "{error}");
    let report = check_at(&fixture.folder("mirror"), &[&key], &[]);
    assert_eq!((report.findings, report.paths, report.left), (vec![], 0, vec![name]));
    // The same bits for another reason: the first one's stays.
    fs::remove_file(&record).unwrap();
    publisher.seed(seed, "it has to begin somewhere").unwrap();
    fs::remove_file(narinfo(&fixture.folder("mirror"), &fixture.seed)).unwrap();
    publisher.seed(seed, "it has to begin somewhere").unwrap();
    assert_eq!(check_at(&fixture.folder("mirror"), &[&key], &[]).findings, []);
}

#[test]
fn other_bits_of_a_seed_that_was_removed_are_a_conflict() {
    let fixture = Fixture::new();
    let key = key("test-1", 1);
    let mirror = fixture.init("mirror", "", &key);
    let publisher = Publisher::new(&mirror, &key, &fixture.store).unwrap();
    let stays = StorePath::from_base_name(format!("{}-stays", "7".repeat(32)).as_bytes()).unwrap();
    let drv = fixture.seed.deriver.clone().unwrap();
    let stays = object(&fixture.store, &(drv.clone(), stays), &[], "stays").path;
    publisher.seed(&[fixture.seed.path.clone(), stays.clone()], "to begin with").unwrap();
    let gone = collect(&mirror, &fixture.store, &[stays], Mode::Remove).unwrap();
    assert_eq!(gone.paths, std::slice::from_ref(&fixture.seed.path));
    let elsewhere = Store::open(&fixture.folder("elsewhere")).unwrap();
    object(&elsewhere, &(drv, fixture.seed.path.clone()), &[], "other bits");
    let others = Publisher::new(&mirror, &key, &elsewhere).unwrap();
    let seeded = others.seed(std::slice::from_ref(&fixture.seed.path), "it was there").unwrap();
    let admitted = fixture.seed.nar_hash;
    assert_eq!(seeded, [(fixture.seed.path.clone(), Published::Conflict { admitted })]);
}
