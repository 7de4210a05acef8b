//! Caches and mirrors that say things nobody signs: of which store they are, what made a path, what a derivation became.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
};

use reprove::{
    mirror::{
        challenge::{Bits, Cache, Request, Verdict, challenge},
        check::Kind,
        publish::Publisher,
        serve::Limits,
    },
    schedule::{TakeError, Taker},
    source::binary_cache::{BinaryCache, Trust},
    store::{Origin, PathInfo, Store},
};

use crate::{
    endings::{drv_file, told},
    fixture::{Fixture, check_at, files, object, replace},
    serve::{Running, mirror_at},
};

/// Serves a folder, and tells what was asked for.
fn serve(folder: PathBuf) -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (seen, asked) = mpsc::channel();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let Some(request) = lines.next() else { continue };
            while lines.next().is_some_and(|line| !line.is_empty()) {}
            let name = request.split(' ').nth(1).unwrap_or_default().trim_start_matches('/').to_owned();
            let (status, body) =
                fs::read(folder.join(&name)).map_or(("404 Not Found", Vec::new()), |body| ("200 OK", body));
            let _ = seen.send(name);
            let head =
                format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let _ = stream.write_all(&[head.as_bytes(), &body].concat());
        }
    });
    (address, asked)
}

/// Puts one text in the place of another in a file.
fn edit(file: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains(from), "{text}");
    replace(file, text.replace(from, to).as_bytes());
}

fn scratch() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    (dir, store)
}

#[test]
fn t50_what_a_cache_says_made_a_path_is_no_evidence() {
    let fixture = Fixture::new();
    let (_, key) = fixture.mirror("mirror");
    let folder = fixture.folder("mirror");
    let narinfo = folder.join(format!("{}.narinfo", fixture.lib.path.hash_part()));
    let truth = fixture.lib.deriver.clone().unwrap();
    let lie = fixture.tool.deriver.clone().unwrap();
    edit(&narinfo, &format!("Deriver: {}", truth.base_name()), &format!("Deriver: {}", lie.base_name()));
    // The signature does not cover it, so that it is still a good one: nothing may be made of what it says.
    let cache = BinaryCache::new(&format!("file://{}", folder.display())).unwrap();
    let taker = Taker::Cache(cache, Trust::Signed(vec![key.public()]));
    let (_dir, store) = scratch();
    assert!(taker.take(&fixture.lib.path, &store).unwrap());
    let taken = store.path(&fixture.lib.path).unwrap().unwrap();
    assert_eq!(taken.deriver, None);
    assert!(matches!(taken.origin, Origin::Substituted { signed_by: Some(name), .. } if name == "test-1"));
    let (_dir, store) = scratch();
    mirror_at(&folder).bring(&fixture.lib.path, &store).unwrap();
    assert_eq!(store.path(&fixture.lib.path).unwrap().unwrap().deriver, None);
    // In a mirror what made a path is signed elsewhere, and has to be the same.
    let found = check_at(&folder, &[&key], &[]).findings;
    assert!(found.iter().any(|one| one.kind == Kind::Damaged), "{found:?}");
}

#[test]
fn t51_a_cache_of_another_store_has_nothing_of_ours() {
    let fixture = Fixture::new();
    let (_, key) = fixture.mirror("one");
    fixture.mirror("other");
    let folder = |name: &str| fixture.folder(name).display().to_string();
    let info = fixture.folder("other").join("nix-cache-info");
    let of = |caches: &[&str]| {
        let caches: Vec<Cache> = caches.iter().map(|address| Cache::parse(address).unwrap()).collect();
        let (_dir, store) = scratch();
        let paths = std::slice::from_ref(&fixture.seed.path);
        let (bits, keys) = (Bits::None, &[][..]);
        let request =
            Request { caches: &caches, paths, closure: false, keys, bits, most: 1, jobs: 1, store: &store };
        let mut found = challenge(&request).unwrap().paths;
        let result = found.pop().unwrap();
        assert!(result.lacking.is_empty(), "{result:?}");
        let why: Vec<String> = result.failed.iter().map(|(_, failed)| failed.why.clone()).collect();
        (result.verdict, why.join(" "))
    };
    let (served, _asked) = serve(fixture.folder("other"));
    assert_eq!(of(&[&folder("one"), &folder("other")]).0, Verdict::Agree);
    let whole = fs::read_to_string(&info).unwrap();
    edit(&info, "StoreDir: /nix/store", "StoreDir: /gnu/store");
    for address in [folder("other"), served.clone()] {
        let (verdict, why) = of(&[&folder("one"), &address]);
        assert_eq!(verdict, Verdict::NotChecked, "{address}");
        assert!(why.contains("it is of the store /gnu/store"), "{why}");
    }
    let found = check_at(&fixture.folder("other"), &[&key], &[]).findings;
    assert!(found.iter().any(|one| one.object == "nix-cache-info" && one.kind == Kind::Damaged), "{found:?}");
    // One that says more than anybody reads, and one that is not there.
    replace(&info, &[whole.as_bytes(), &vec![b'\n'; 1 << 20]].concat());
    for address in [folder("other"), served.clone()] {
        assert!(of(&[&folder("one"), &address]).1.contains("longer than"), "{address}");
    }
    fs::remove_file(&info).unwrap();
    assert!(of(&[&folder("one"), &folder("other")]).1.contains("this is no binary cache"));
    let found = check_at(&fixture.folder("other"), &[&key], &[]).findings;
    assert!(
        found.iter().any(|one| one.object == "nix-cache-info" && one.why == "it is missing"),
        "{found:?}"
    );
    // Over HTTP a cache that answers for paths is one.
    assert_eq!(of(&[&folder("one"), &served]).0, Verdict::Agree);
    // Whatever it says of itself, a path outside of our store is none.
    let narinfo = fixture.folder("other").join(format!("{}.narinfo", fixture.seed.path.hash_part()));
    edit(&narinfo, "StorePath: /nix/store", "StorePath: /gnu/store");
    let cache = BinaryCache::new(&served).unwrap();
    let (_dir, store) = scratch();
    let taken = Taker::Cache(cache, Trust::Unsigned).take(&fixture.seed.path, &store);
    assert!(matches!(taken, Err(TakeError::Cache(_))), "{taken:?}");
}

#[test]
fn t53_an_older_nar_that_is_validly_signed_is_on_record_with_both_hashes_and_never_taken() {
    let fixture = Fixture::new();
    let (_, key) = fixture.mirror("mirror");
    // Once the same key signed other bits: in a cache that still serves them.
    let store = Store::open(&fixture.folder("older-state")).unwrap();
    let made = |info: &PathInfo| (info.deriver.clone().unwrap(), info.path.clone());
    object(&store, &made(&fixture.seed), &[], "seed");
    let older = object(&store, &made(&fixture.lib), &[&fixture.seed.path], "an older lib");
    let mirror = fixture.init("older", "", &key);
    let publisher = Publisher::new(&mirror, &key, &store).unwrap();
    publisher.seed(std::slice::from_ref(&older.path), "it was the one").unwrap();
    assert_eq!(check_at(&fixture.folder("older"), &[&key], &[]).findings, []);
    let (address, _asked) = serve(fixture.folder("older"));
    let lib = older.path.to_string();
    let hashes = [fixture.lib.nar_hash, older.nar_hash].map(|hash| hash.to_string());
    let both = |text: &str| hashes.iter().all(|hash| text.contains(hash));

    // As a seed: what was admitted stays, and the other bits are told of.
    let before = files(&fixture.folder("mirror"));
    let (public, tool) = (format!("{:?}", key.public()), drv_file(&fixture, &fixture.tool));
    let from = ["--substituter", &address, "--trusted-public-keys", &public, "--seed", &lib, "--why", "x"];
    let (code, document, said) = told(&fixture, "populate", ("test-1", 1), &[&from[..], &[&tool]].concat());
    assert_eq!(code, Some(104), "{said}");
    let seeds = document["seeds"].as_array().unwrap();
    let one = seeds.iter().find(|one| one["path"] == lib.as_str()).unwrap();
    assert!(one["fate"] == "conflict" && both(one["why"].as_str().unwrap()), "{document}");
    assert!(seeds.iter().all(|other| other == one || other["fate"] == "there"), "{document}");
    assert_eq!(document["derivations"][0]["fate"], "there");
    let mut after = files(&fixture.folder("mirror"));
    after.retain(|name, _| !name.starts_with("conflicts/"));
    assert!(after == before);
    let found = check_at(&fixture.folder("mirror"), &[&key], &[]).findings;
    let [one] = &found[..] else { panic!("{found:?}") };
    assert!(one.kind == Kind::Conflict && both(&one.why), "{found:?}");

    // Asked for what both have: neither is right because it is signed.
    let folder = fixture.folder("mirror").display().to_string();
    let caches = [folder, address].map(|address| Cache::parse(&address).unwrap());
    let (_dir, store) = scratch();
    let (paths, keys) = (std::slice::from_ref(&older.path), &[key.public()][..]);
    let (bits, closure) = (Bits::Disagreeing, false);
    let request = Request { caches: &caches, paths, closure, keys, bits, most: 1, jobs: 1, store: &store };
    let found = challenge(&request).unwrap().paths;
    let [one] = &found[..] else { panic!("{found:?}") };
    let said: Vec<String> = one.groups.iter().map(|group| group.nar_hash.to_string()).collect();
    assert!(one.verdict == Verdict::Diverged && both(&said.join(" ")), "{found:?}");
}

#[test]
fn a_folder_that_is_not_there_could_not_be_asked() {
    let fixture = Fixture::new();
    fixture.mirror("one");
    let folder = |name: &str| fixture.folder(name).display().to_string();
    let caches = [folder("one"), folder("one"), folder("no-such")];
    let caches: Vec<Cache> = caches.iter().map(|address| Cache::parse(address).unwrap()).collect();
    let (_dir, store) = scratch();
    let ask = |caches: &[Cache], paths| {
        let (bits, keys) = (Bits::None, &[][..]);
        challenge(&Request { caches, paths, closure: false, keys, bits, most: 1, jobs: 1, store: &store })
            .unwrap()
    };
    let found = ask(&caches, std::slice::from_ref(&fixture.seed.path));
    let [result] = &found.paths[..] else { panic!("{found:?}") };
    // Two that agree are not all.
    assert_eq!(result.verdict, Verdict::NotChecked);
    assert_eq!((result.lacking.len(), result.failed.len(), result.failed[0].0), (0, 1, 2));
    assert!(result.failed[0].1.why.contains("no-such/nix-cache-info: it is not there"), "{result:?}");
    // Nor is it one that has nothing.
    let caches = [Cache::parse(&folder("no-such")).unwrap(), Cache::parse(&folder("one")).unwrap()];
    let found = ask(&caches, &[]);
    assert_eq!((found.paths.len(), found.unlisted.len()), (0, 1));
}

#[test]
fn t58_what_a_derivation_became_is_neither_served_nor_asked_for() {
    let fixture = Fixture::new();
    let (_, key) = fixture.mirror("mirror");
    let folder = fixture.folder("mirror");
    let names = [
        format!("realisations/sha256:{}!out.doi", "0".repeat(64)),
        format!("build-trace-v2/{}/out.doi", fixture.lib.deriver.as_ref().unwrap().base_name()),
    ];
    let running = Running::of(&folder, Limits::default());
    for name in &names {
        let file = folder.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, format!("{{\"outPath\": \"{}\", \"signatures\": []}}", fixture.tool.path)).unwrap();
        assert_eq!(running.get(&format!("/{name}")).status, 404, "{name}");
    }
    // It is nobody's, and changes nothing of what is.
    let report = check_at(&folder, &[&key], &[]);
    assert_eq!(report.findings, []);
    assert!(names.iter().all(|name| report.left.contains(name)), "{:?}", report.left);
    let (address, asked) = serve(folder);
    let taker = Taker::Cache(BinaryCache::new(&address).unwrap(), Trust::Signed(vec![key.public()]));
    let (_dir, store) = scratch();
    assert!(taker.take(&fixture.tool.path, &store).unwrap());
    let asked: Vec<String> = asked.try_iter().collect();
    let paths = [&fixture.seed, &fixture.lib, &fixture.tool].len();
    assert_eq!(asked.len(), 2 * paths, "{asked:?}");
    assert!(asked.iter().all(|name| name.ends_with(".narinfo") || name.starts_with("nar/")), "{asked:?}");
}
