//! A mirror that was altered: every file of it in turn is caught, and so is everything that hides behind good signatures.

use std::{collections::BTreeSet, fs, path::Path};

use reprove::{
    mirror::{
        MirrorError,
        check::{Believing, Kind, Report},
        layout::{FileHash, HashPart, KeyId, Object},
        location::Location,
        policy::Policy,
        publish::{Entry, Publisher},
        statement::{Admission, Ground},
    },
    nix::{narinfo::NarInfo, store_path::StorePath},
};

use crate::{
    cosign::{all_by, two},
    fixture::{Fixture, check_at, files, key, path, policy, publish, replace, statements},
};

/// What a check says of a mirror with one file altered. That nothing can be said of it is as good as a finding.
fn faults(
    folder: &Path,
    believed: &[&reprove::nix::secret_key::SecretKey],
) -> Result<Vec<String>, MirrorError> {
    let location = Location::parse(folder.to_str().unwrap()).unwrap();
    let believed: Vec<_> = believed.iter().map(|key| key.public()).collect();
    let request = reprove::mirror::check::Request {
        paths: &[],
        believing: if believed.is_empty() { Believing::ItsOwn } else { Believing::Keys(&believed) },
        since: &[],
        now: std::time::SystemTime::now(),
        jobs: 2,
    };
    let report = reprove::mirror::check::check(&location, &request)?;
    Ok(report.findings.iter().map(|one| format!("{} {}: {}", one.kind, one.object, one.why)).collect())
}

fn kinds(report: &Report) -> BTreeSet<Kind> {
    report.findings.iter().map(|finding| finding.kind).collect()
}

#[test]
fn a_mirror_that_nobody_touched_has_no_fault() {
    let fixture = Fixture::new();
    let (_, key) = fixture.mirror("mirror");
    let folder = fixture.folder("mirror");
    let report = check_at(&folder, &[&key], &[]);
    assert_eq!(report.findings, []);
    assert_eq!((report.paths, report.seeds, report.left.len()), (3, 1, 0));
    assert_eq!(report.signed, [("test-1".to_owned(), 3)].into());
    assert_eq!(report.nar_bytes, fixture.seed.nar_size + fixture.lib.nar_size + fixture.tool.nar_size);
    let one = check_at(&folder, &[&key], std::slice::from_ref(&fixture.lib.path));
    assert_eq!((one.paths, one.findings.len()), (2, 0));
}

#[test]
fn every_file_that_was_altered_in_any_byte_is_caught() {
    let fixture = Fixture::new();
    let (_, key) = fixture.mirror("mirror");
    let folder = fixture.folder("mirror");
    for (name, bytes) in files(&folder) {
        let file = folder.join(&name);
        // Of long files not every byte: each costs a check of the whole mirror.
        let step = (bytes.len() / 60).max(1);
        let flipped = (0..bytes.len()).step_by(step).chain(bytes.len().checked_sub(1)).map(|at| {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (at % 7);
            changed
        });
        let more = [bytes.clone(), b"\n".to_vec()].concat();
        let cut = bytes[..bytes.len() - 1].to_vec();
        for changed in flipped.chain([more, cut, Vec::new()]) {
            replace(&file, &changed);
            let told = faults(&folder, &[&key]);
            assert!(!matches!(&told, Ok(faults) if faults.is_empty()), "{name}: nothing was found");
        }
        fs::remove_file(&file).unwrap();
        // A path that nothing refers to is simply not in any more; what was its own is nobody's then.
        let told = faults(&folder, &[&key]);
        let caught = !matches!(&told, Ok(faults) if faults.is_empty());
        let shows = || {
            let report = check_at(&folder, &[&key], &[]);
            !report.left.is_empty() || !report.unremembered.is_empty()
        };
        assert!(caught || shows(), "{name} was removed");
        fs::write(&file, &bytes).unwrap();
    }
    assert_eq!(faults(&folder, &[&key]).unwrap(), [""; 0]);
}

#[test]
fn t41_t42_signatures_that_are_missing_untrusted_or_twice_do_not_count() {
    let fixture = Fixture::new();
    let (ours, other, spoofed) = (key("a-1", 1), key("b-1", 2), key("a-1", 3));
    let mirror =
        fixture.init_by("mirror", &policy(2, &[("a", &[&ours]), ("b", &[&other])]), &[&ours, &other]);
    let publisher = Publisher::new(&mirror, &ours, &fixture.store).unwrap();
    assert!(matches!(Publisher::new(&mirror, &spoofed, &fixture.store), Err(MirrorError::NotASigner { .. })));
    let info = &fixture.seed;
    fixture.take_seed(&publisher);
    let folder = fixture.folder("mirror");
    let report = check_at(&folder, &[], &[]);
    assert_eq!((kinds(&report), report.paths, report.pending), (BTreeSet::new(), 0, 1));
    let file = folder.join(format!("{}.narinfo", info.path.hash_part()));
    assert!(!file.exists());
    let own = Object::Signature(HashPart::of(&info.path), KeyId::of(&ours.public()));
    let good = NarInfo::parse(&fs::read(folder.join(own.name())).unwrap()).unwrap();
    let signature = |key: &reprove::nix::secret_key::SecretKey| key.sign(good.fingerprint().as_bytes());
    let with = |signatures: Vec<String>| NarInfo { signatures, ..good.clone() }.to_string();
    fs::write(&file, "").unwrap();
    for signatures in [
        vec![],
        vec![signature(&spoofed)],
        vec![signature(&ours)],
        vec![signature(&ours), signature(&spoofed)],
    ] {
        replace(&file, with(signatures).as_bytes());
        assert!(kinds(&check_at(&folder, &[], &[])).contains(&Kind::Unsigned));
        // Never the same as that the path is not there, and nothing is added to it.
        assert!(matches!(mirror.narinfo(&info.path), Err(MirrorError::Unsigned { .. })));
        assert!(matches!(mirror.settle(&HashPart::of(&info.path)), Err(MirrorError::Unsigned { .. })));
    }
    // The second one signed and did not say why.
    replace(&file, with(vec![signature(&ours), signature(&other)]).as_bytes());
    let found = check_at(&folder, &[], &[]).findings;
    assert!(found.iter().any(|one| one.why.contains("say why")), "{found:?}");
}

#[test]
fn who_makes_the_mirror_again_with_other_keys_is_caught_by_naming_ones_own() {
    let fixture = Fixture::new();
    let (_, theirs) = fixture.mirror("mirror");
    let folder = fixture.folder("mirror");
    let report = check_at(&folder, &[], &[]);
    assert!(report.findings.is_empty() && report.by_own_keys);
    let report = check_at(&folder, &[&key("honest-1", 9)], &[]);
    assert!(kinds(&report).contains(&Kind::Unsigned) && report.signed.is_empty() && !report.by_own_keys);
    assert!(check_at(&folder, &[&theirs, &key("honest-1", 9)], &[]).findings.is_empty());
}

/// Publishes the tool with another admission than the true one; everything is well signed.
fn lie(change: impl FnOnce(&mut Admission), level: u64) -> Report {
    let mut fixture = Fixture::new();
    let other = fixture.derivations.add("other", &[]);
    let key = key("test-1", 1);
    let mirror = fixture.init("mirror", "", &key);
    let publisher = Publisher::new(&mirror, &key, &fixture.store).unwrap();
    let [_, lib, (info, mut admission)] = fixture.entries();
    fixture.take_seed(&publisher);
    fixture.keep(&publisher);
    fixture.derivations.keep(&publisher, &other.0);
    publish(&publisher, lib.0, &lib.1);
    let statements = statements(info, &admission, level);
    change(&mut admission);
    let log = Some(crate::fixture::LOG);
    publisher.publish(&Entry { info, admission: &admission, statements: &statements, log }).unwrap();
    check_at(&fixture.folder("mirror"), &[&key], &[])
}

#[test]
fn well_signed_lies_that_contradict_the_mirror_are_caught() {
    assert!(lie(|_| {}, 2).findings.is_empty());
    assert_eq!(kinds(&lie(|_| {}, 1)), [Kind::BelowPolicy].into());
    assert_eq!(kinds(&lie(|admission| admission.seeds.clear(), 2)), [Kind::Damaged].into());
    assert_eq!(
        kinds(&lie(|admission| admission.inputs.values_mut().for_each(|hash| hash.0[0] ^= 1), 2)),
        [Kind::Damaged].into()
    );
    let unknown = |admission: &mut Admission| {
        let hash = *admission.inputs.values().next().unwrap();
        admission.inputs.insert(crate::fixture::path('9', "unknown"), hash);
    };
    assert_eq!(kinds(&lie(unknown, 2)), [Kind::Damaged, Kind::NotClosed].into());
    let (other, _) = Fixture::new().derivations.add("other", &[]);
    let other = |admission: &mut Admission| {
        admission.ground = Ground::Built { derivation: other, output: "out".to_owned() };
    };
    assert_eq!(kinds(&lie(other, 2)), [Kind::Damaged].into());
}

#[test]
fn a_path_is_only_what_the_derivation_it_is_said_to_be_built_by_makes_from_what_it_is_said_to_be_made_from() {
    let mut fixture = Fixture::new();
    let (drv, out) = fixture.derivations.add("other", &[fixture.seed.deriver.as_ref().unwrap()]);
    let key = key("test-1", 1);
    let folder = fixture.folder("mirror");
    let other = crate::fixture::object(&fixture.store, &(drv, out), &[], "other");
    let seeds = BTreeSet::from([fixture.seed.path.clone()]);
    let true_one = Admission {
        ground: Ground::Built { derivation: other.deriver.clone().unwrap(), output: "out".to_owned() },
        inputs: [(fixture.seed.path.clone(), fixture.seed.nar_hash)].into(),
        sources: Default::default(),
        seeds: seeds.clone(),
        log: None,
    };
    let with = |info: &reprove::store::PathInfo, admission: &Admission| {
        let _ = fs::remove_dir_all(&folder);
        let mirror = fixture.init("mirror", "", &key);
        let publisher = Publisher::new(&mirror, &key, &fixture.store).unwrap();
        fixture.take_seed(&publisher);
        fixture.derivations.keep(&publisher, admission.deriver().unwrap());
        publish(&publisher, info, admission);
        let found = check_at(&folder, &[&key], &[]).findings;
        // Without a list of what there is it shows as well.
        let asked = check_at(&folder, &[&key], std::slice::from_ref(&info.path)).findings;
        assert_eq!(asked, found);
        found.into_iter().map(|one| one.why).collect::<Vec<_>>().join("; ")
    };
    assert_eq!(with(&other, &true_one), "");
    // A signed word for another path.
    let drv = other.deriver.clone().unwrap();
    let another = crate::fixture::object(&fixture.store, &(drv, crate::fixture::path('7', "x")), &[], "x");
    assert!(with(&another, &true_one).contains("makes another path"));
    let without_inputs = Admission { inputs: Default::default(), ..true_one };
    assert!(with(&other, &without_inputs).contains("the inputs it names are not those"));
}

#[test]
fn a_derivation_that_states_another_output_than_follows_from_it_is_caught() {
    let fixture = Fixture::new();
    let (mirror, key) = fixture.mirror("mirror");
    let publisher = Publisher::new(&mirror, &key, &fixture.store).unwrap();
    // It is the tool's as far as what it is built by, and claims the path of something that all the world takes.
    let claimed = crate::fixture::path('7', "glibc-2.40");
    let (drv, graph) = fixture.derivations.claiming(&claimed);
    publisher.keep(&graph, graph.index_of(&drv).unwrap()).unwrap();
    assert_eq!(mirror.graph(std::slice::from_ref(&drv)).unwrap_err().code().0, 122);
    let info = crate::fixture::object(&fixture.store, &(drv.clone(), claimed), &[], "evil");
    let admission = Admission {
        ground: Ground::Built { derivation: drv, output: "out".to_owned() },
        inputs: Default::default(),
        sources: Default::default(),
        seeds: Default::default(),
        log: None,
    };
    publish(&publisher, &info, &admission);
    let found = check_at(&fixture.folder("mirror"), &[&key], &[]).findings;
    assert!(found.len() == 1 && found[0].why.contains("does not follow from it"), "{found:?}");
}

#[test]
fn a_path_whose_derivation_is_not_kept_is_not_admitted() {
    let fixture = Fixture::new();
    let key = key("test-1", 1);
    let mirror = fixture.init("mirror", "", &key);
    let publisher = Publisher::new(&mirror, &key, &fixture.store).unwrap();
    fixture.take_seed(&publisher);
    let [_, (info, admission), _] = fixture.entries();
    let statements = statements(info, &admission, 2);
    let log = Some(crate::fixture::LOG);
    let entry = Entry { info, admission: &admission, statements: &statements, log };
    let refused = publisher.publish(&entry);
    assert!(matches!(refused, Err(MirrorError::NotClosed { missing, .. }) if missing.is_derivation()));
    // Leaves come first: what is there is there with everything it needs.
    fixture.keep(&publisher);
    publisher.publish(&entry).unwrap();
    let name = reprove::mirror::layout::Object::Derivation(fixture.seed.deriver.clone().unwrap()).name();
    fs::remove_file(fixture.folder("mirror").join(&name)).unwrap();
    let found = check_at(&fixture.folder("mirror"), &[&key], &[]).findings;
    assert!(found.len() == 1 && found[0].kind == Kind::NotClosed && found[0].object == name, "{found:?}");
}

#[test]
fn t40_t43_t45_t51_narinfos_that_nix_would_read_otherwise_are_refused() {
    let fixture = Fixture::new();
    let (mirror, key) = fixture.mirror("mirror");
    let folder = fixture.folder("mirror");
    let file = folder.join(format!("{}.narinfo", fixture.tool.path.hash_part()));
    let good = String::from_utf8(fs::read(&file).unwrap()).unwrap();
    let url = good.lines().find(|line| line.starts_with("URL")).unwrap();
    for changed in [
        good.replace(url, "URL: ../../x"),
        good.replace(url, "URL: http://evil/x"),
        good.replace(url, "URL: file:///etc/shadow"),
        good.replace(url, &format!("{url}\n{url}")),
        good.replace("Compression: zstd", "Compression: none"),
        good.replace("Compression: zstd", "Compression: br"),
        good.replace('\n', "\r\n"),
        good.replace("NarSize: ", "NarSize: -"),
        good.replace("StorePath", "storepath"),
        format!("{good}CA: fixed:r:sha256:{}\n", "0".repeat(52)),
        format!("{good}Provenance: https://evil\n"),
        format!("{good}{}", "Sig: x\n".repeat(10_000)),
        "x".repeat(5 << 20),
    ] {
        replace(&file, changed.as_bytes());
        assert!(!check_at(&folder, &[&key], &[]).findings.is_empty(), "{:.200}", changed);
    }
    // T48: another path's narinfo under this one's name.
    let other = fs::read(folder.join(format!("{}.narinfo", fixture.lib.path.hash_part()))).unwrap();
    replace(&file, &other);
    assert!(kinds(&check_at(&folder, &[&key], &[])).contains(&Kind::Damaged));
    assert!(matches!(mirror.narinfo(&fixture.tool.path), Err(MirrorError::Document { .. })));
}

#[test]
fn t44_t46_nars_that_are_bombs_or_not_what_both_hashes_say_are_refused() {
    let fixture = Fixture::new();
    let (_, key) = fixture.mirror("mirror");
    let folder = fixture.folder("mirror");
    let file = folder.join(format!("{}.narinfo", fixture.tool.path.hash_part()));
    let good = NarInfo::parse(&fs::read(&file).unwrap()).unwrap();
    let with = |compressed: &[u8]| {
        let hash = reprove::mirror::layout::FileHash::of(compressed);
        let info = NarInfo {
            url: reprove::mirror::layout::Object::Nar(hash).name(),
            file_hash: reprove::nix::hash::Hash::new(reprove::nix::hash::Algorithm::Sha256, &hash.0),
            file_size: Some(compressed.len() as u64),
            ..good.clone()
        };
        fs::write(folder.join(&info.url), compressed).unwrap();
        replace(&file, info.to_string().as_bytes());
        check_at(&folder, &[&key], &[])
    };
    // The file is what its hash says, and holds something else: another NAR, no NAR, and 4 GiB of nothing.
    let other = fixture.store.nar(&fixture.lib.nar_hash).unwrap().unwrap();
    let bomb = zstd::encode_all(std::io::Read::take(std::io::repeat(0), 1 << 30), 1).unwrap();
    let nar = fs::read(fixture.store.nar_path(&fixture.tool.nar_hash)).unwrap();
    let after = [zstd::encode_all(nar.as_slice(), 1).unwrap(), bomb.clone()].concat();
    let mut window = zstd::Encoder::new(Vec::new(), 1).unwrap();
    window.long_distance_matching(true).unwrap();
    window.window_log(30).unwrap();
    std::io::copy(&mut nar.as_slice(), &mut window).unwrap();
    for compressed in [
        zstd::encode_all(other, 1).unwrap(),
        zstd::encode_all(&b"no NAR"[..], 1).unwrap(),
        bomb,
        after,
        nar,
        window.finish().unwrap(),
    ] {
        let report = with(&compressed);
        assert!(kinds(&report).contains(&Kind::Damaged), "{:?}", report.findings);
    }
}

#[test]
fn a_mirror_that_is_none_or_whose_policy_was_swapped_is_refused() {
    let fixture = Fixture::new();
    let (_, key) = fixture.mirror("mirror");
    let folder = fixture.folder("mirror");
    assert!(matches!(faults(&fixture.folder("nothing"), &[]), Err(MirrorError::NotAMirror { .. })));
    let weaker = Policy::from_toml("level = 0\nrounds = 1\n", &key).unwrap();
    replace(&folder.join("mirror.json"), &weaker.to_json());
    let location = Location::parse(folder.to_str().unwrap()).unwrap();
    assert!(matches!(reprove::mirror::Mirror::open(location), Err(MirrorError::Unsigned { .. })));
    assert!(kinds(&check_at(&folder, &[], &[])).contains(&Kind::Unsigned));
}

#[test]
fn t57_a_source_is_one_only_under_the_path_that_follows_from_its_bits() {
    use reprove::nix::{
        hash::{Algorithm, Hash},
        make_path::{Method, fixed_output_path, source_path, text_path},
        nar::Writer,
    };
    let fixture = Fixture::new();
    let key = key("test-1", 1);
    let contents = b"echo hello\n";
    let mut nar = Writer::new(Vec::new());
    nar.regular(false, contents.len() as u64, &contents[..]).unwrap();
    let nar = nar.finish().unwrap();
    let sha1 = |bytes: &[u8]| Hash::of(Algorithm::Sha1, bytes);
    let true_ones = [
        text_path("builder.sh", contents, []).unwrap(),
        source_path("source", &reprove::nix::hash::NarHash::of(&nar).0, []).unwrap(),
        fixed_output_path("flat", Method::Flat, &sha1(contents)).unwrap(),
        fixed_output_path("tree", Method::Recursive, &sha1(&nar)).unwrap(),
    ];
    let false_ones = [
        text_path("builder.sh", b"echo evil\n", []).unwrap(),
        fixed_output_path("flat", Method::Flat, &sha1(&nar)).unwrap(),
        fixed_output_path("renamed", Method::Flat, &sha1(b"")).unwrap(),
    ];
    let all = true_ones.iter().map(|path| (path, true)).chain(false_ones.iter().map(|path| (path, false)));
    for (n, (path, is_source)) in all.enumerate() {
        let mirror = fixture.init(&format!("mirror-{n}"), "", &key);
        let publisher = Publisher::new(&mirror, &key, &fixture.store).unwrap();
        let stored = fixture.store.import_nar(nar.as_slice(), None).unwrap();
        let info = reprove::store::PathInfo {
            path: path.clone(),
            nar_hash: stored.hash,
            nar_size: stored.size,
            references: BTreeSet::new(),
            deriver: None,
            origin: reprove::store::Origin::Source { place: "a test".to_owned() },
        };
        let admission = Admission {
            ground: Ground::Source,
            inputs: Default::default(),
            sources: Default::default(),
            seeds: Default::default(),
            log: None,
        };
        publish(&publisher, &info, &admission);
        let found = check_at(&fixture.folder(&format!("mirror-{n}")), &[&key], &[]).findings;
        assert_eq!(found.is_empty(), is_source, "{path}: {found:?}");
    }
}

#[test]
fn a_path_that_is_asked_for_by_name_is_well_only_if_it_is_there_and_all_that_is_said_of_it_is_well() {
    let fixture = Fixture::new();
    let (mirror, key) = fixture.mirror("mirror");
    let folder = fixture.folder("mirror");
    let ask = |path: &StorePath| kinds(&check_at(&folder, &[&key], std::slice::from_ref(path)));
    assert_eq!(ask(&fixture.tool.path), [].into());
    // One that nobody ever had, and one that only has the hash of another.
    assert_eq!(ask(&path('7', "nowhere")), [Kind::NotClosed].into());
    let renamed = StorePath::from_base_name(format!("{}-other", fixture.tool.path.hash_part()).as_bytes());
    assert_eq!(ask(&renamed.unwrap()), [Kind::NotClosed].into());

    // Other bits on record for it, or for something that it needs.
    fixture.publish_another_lib(&mirror, &key);
    assert_eq!(ask(&fixture.tool.path), [Kind::Conflict].into());
    assert_eq!(ask(&fixture.seed.path), [].into());
    fs::remove_dir_all(folder.join("conflicts")).unwrap();

    // A source that it was made from.
    let made = fixture.init("of-source", "", &key);
    let publisher = Publisher::new(&made, &key, &fixture.store).unwrap();
    fixture.take_seed(&publisher);
    fixture.keep(&publisher);
    let source = FileHash::of(b"a source");
    publisher.put_bytes(&Object::Source(source).name(), b"a source").unwrap();
    for (info, mut admission) in fixture.entries().into_iter().skip(1) {
        admission.sources.insert(path('8', "source.tar"), source.hex());
        publish(&publisher, info, &admission);
    }
    let of_source = fixture.folder("of-source");
    let ask_there = || kinds(&check_at(&of_source, &[&key], std::slice::from_ref(&fixture.tool.path)));
    assert_eq!(ask_there(), [].into());
    replace(&of_source.join(Object::Source(source).name()), b"a sauce");
    assert_eq!(ask_there(), [Kind::Damaged].into());

    // One that was taken away, and one that went on record.
    let narinfo = folder.join(Object::NarInfo(HashPart::of(&fixture.tool.path)).name());
    let bytes = fs::read(&narinfo).unwrap();
    fs::remove_file(&narinfo).unwrap();
    assert_eq!(ask(&fixture.tool.path), [Kind::Gone].into());
    fs::write(&narinfo, bytes).unwrap();
    let worker = reprove::mirror::claims::Worker::of(&fixture.store).unwrap();
    let gc = reprove::mirror::gc::Gc {
        mirror: &mirror,
        key: &key,
        worker: &worker,
        roots: std::slice::from_ref(&fixture.lib.path),
        mode: reprove::mirror::gc::Mode::Remove,
        busy: reprove::mirror::gc::OnBusy::Refuse,
        leftovers: None,
        jobs: 1,
    };
    assert_eq!(gc.run().unwrap().paths, std::slice::from_ref(&fixture.tool.path));
    assert_eq!(ask(&fixture.tool.path), [Kind::NotClosed].into());

    // One that too few have signed.
    let alice = &two(&Fixture::new(), 2)[0];
    let pending = Fixture::new();
    two(&pending, 2);
    all_by(&pending, alice);
    let report = check_at(&pending.folder("mirror"), &[alice], std::slice::from_ref(&pending.tool.path));
    assert!(kinds(&report).contains(&Kind::Unsigned), "{:?}", report.findings);
}
