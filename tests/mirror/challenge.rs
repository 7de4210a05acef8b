//! Caches that are challenged: honest ones, and each that lies in its own way.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    path::Path,
    thread,
};

use reprove::{
    mirror::{
        challenge::{Bits, Cache, Challenge, Given, PathResult, Request, Verdict, challenge},
        publish::Publisher,
        serve::Limits,
    },
    nix::{narinfo::NarInfo, secret_key::SecretKey, store_path::StorePath},
    store::Store,
};

use crate::{
    fixture::{Fixture, key, object, publish, replace},
    serve::Running,
};

/// A store for what is fetched.
fn scratch() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    (dir, store)
}

fn ask(caches: &[&str], paths: &[StorePath], bits: Bits) -> Challenge {
    let caches: Vec<Cache> = caches.iter().map(|address| Cache::parse(address).unwrap()).collect();
    of(&caches, paths, bits)
}

fn of(caches: &[Cache], paths: &[StorePath], bits: Bits) -> Challenge {
    let (_dir, store) = scratch();
    challenge(&Request { caches, paths, closure: false, keys: &[], bits, most: 10, jobs: 2, store: &store })
        .unwrap()
}

fn one(found: &Challenge) -> &PathResult {
    assert_eq!(found.paths.len(), 1);
    &found.paths[0]
}

/// A mirror with another lib in it than the fixture's, and the same seed; its own key.
fn other_mirror(fixture: &Fixture, name: &str) {
    other_mirror_by(fixture, name, &key("other-1", 2));
}

fn other_mirror_by(fixture: &Fixture, name: &str, key: &SecretKey) {
    let state = fixture.dir.path().join(format!("{name}-state"));
    let store = Store::open(&state).unwrap();
    let mirror = fixture.init(name, "", key);
    let lib = (fixture.lib.deriver.clone().unwrap(), fixture.lib.path.clone());
    // Its seed is the very same.
    let seed = fixture.store.nar(&fixture.seed.nar_hash).unwrap().unwrap();
    store.import_nar(seed, Some(fixture.seed.nar_hash)).unwrap();
    store.register(&fixture.seed).unwrap();
    let publisher = Publisher::new(&mirror, key, &store).unwrap();
    fixture.keep(&publisher);
    fixture.take_seed(&publisher);
    let other = object(&store, &lib, &[&fixture.seed.path, &fixture.lib.path], "made on a Tuesday");
    let [_, (_, admission), _] = fixture.entries();
    publish(&publisher, &other, &admission);
}

fn narinfo(folder: &Path, path: &StorePath) -> (std::path::PathBuf, NarInfo) {
    let file = folder.join(format!("{}.narinfo", path.hash_part()));
    let info = NarInfo::parse(&fs::read(&file).unwrap()).unwrap();
    (file, info)
}

/// A server that answers whatever it was given for each name, and nothing else.
fn server(answers: BTreeMap<String, Vec<u8>>, endless: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let answers = answers.clone();
            thread::spawn(move || {
                let mut request = Vec::new();
                let mut byte = [0];
                while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|n| n == 1) {
                    request.push(byte[0]);
                }
                let text = String::from_utf8_lossy(&request);
                let name = text.split(' ').nth(1).unwrap_or_default().trim_start_matches('/');
                let Some(answer) = answers.get(name) else {
                    let _ = stream.write_all(
                        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                    );
                    return;
                };
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
                let mut sent = stream.write_all(answer);
                while endless && sent.is_ok() {
                    sent = stream.write_all(&[b'x'; 1 << 16]);
                }
            });
        }
    });
    address
}

#[test]
fn caches_that_say_the_same_agree_and_a_path_that_one_only_has_is_not_checked() {
    let fixture = Fixture::new();
    fixture.mirror("one");
    other_mirror(&fixture, "other");
    let folder = |name: &str| fixture.folder(name).display().to_string();
    let running = Running::of(&fixture.folder("one"), Limits::default());
    let web = format!("http://{}", running.address);
    // The first one's paths are asked for.
    let found = ask(&[&folder("one"), &web, &format!("file://{}", folder("other"))], &[], Bits::Disagreeing);
    let verdicts: BTreeMap<&str, Verdict> =
        found.paths.iter().map(|result| (result.path.name(), result.verdict)).collect();
    let expected = [("lib-1.0", Verdict::Diverged), ("seed", Verdict::Agree), ("tool-2.0", Verdict::Agree)];
    assert_eq!(verdicts, expected.into());
    let only = ask(&[&folder("one"), &folder("other")], std::slice::from_ref(&fixture.tool.path), Bits::All);
    assert_eq!((one(&only).verdict, one(&only).lacking.clone()), (Verdict::NotChecked, vec![1]));
    assert_eq!(one(&only).reason.as_deref(), Some("one cache only has it"));
    let nobody =
        ask(&[&folder("other"), &folder("other")], std::slice::from_ref(&fixture.tool.path), Bits::All);
    assert_eq!(one(&nobody).verdict, Verdict::NotChecked);
    // One that cannot be asked: whatever the others say, not all agree.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let failed = ask(
        &[&folder("one"), &web, &format!("http://{closed}")],
        std::slice::from_ref(&fixture.seed.path),
        Bits::All,
    );
    assert_eq!((one(&failed).verdict, one(&failed).failed.len()), (Verdict::NotChecked, 1));
    assert_eq!(one(&failed).groups[0].said.len(), 2);
}

#[test]
fn what_disagrees_is_fetched_compared_and_explained_and_signatures_are_told_apart() {
    let fixture = Fixture::new();
    fixture.mirror("one");
    other_mirror(&fixture, "other");
    let folder = |name: &str| fixture.folder(name).display().to_string();
    // The second one over HTTP, where nobody says whose keys count.
    let running = Running::of(&fixture.folder("other"), Limits::default());
    let found = ask(
        &[&folder("one"), &format!("http://{}", running.address)],
        std::slice::from_ref(&fixture.lib.path),
        Bits::Disagreeing,
    );
    let result = one(&found);
    assert_eq!(result.verdict, Verdict::Diverged);
    let said: Vec<_> = result.groups.iter().flat_map(|group| &group.said).collect();
    assert!(said.iter().all(|said| matches!(said.given, Given::Shown)));
    assert_eq!(said[0].claim.signatures.valid, ["test-1"]);
    assert_eq!(said[1].claim.signatures.unknown, ["other-1"]);
    let [divergence] = &result.divergences[..] else { panic!("{result:?}") };
    assert_eq!(divergence.other, said[1].claim.nar_hash);
    let mut text = Vec::new();
    reprove::report::challenge::write(&mut text, &found, reprove::report::diff::Detail::Short).unwrap();
    let text = String::from_utf8(anstream::adapter::strip_bytes(&text).into_vec()).unwrap();
    assert!(text.contains("bin/tool") && text.contains("Tuesday"), "{text}");
    let document = serde_json::to_value(reprove::report::challenge::document(&found)).unwrap();
    crate::support::schema::check("mirror-challenge", &document);
    assert_eq!(document["paths"][0]["verdict"], "diverged");
    // Its key, under another's name.
    let spoofed = key("test-1", 9);
    let (file, info) = narinfo(&fixture.folder("one"), &fixture.lib.path);
    let forged = NarInfo { signatures: vec![spoofed.sign(info.fingerprint().as_bytes())], ..info };
    replace(&file, forged.to_string().as_bytes());
    let found = ask(&[&folder("one"), &folder("one")], std::slice::from_ref(&fixture.lib.path), Bits::None);
    assert_eq!(one(&found).groups[0].said[0].claim.signatures.wrong, ["test-1"]);
}

#[test]
fn t56_a_key_that_has_signed_two_things_of_one_path_is_told_of_with_both_signatures() {
    let fixture = Fixture::new();
    let (_, ours) = fixture.mirror("one");
    other_mirror_by(&fixture, "other", &ours);
    let folder = |name: &str| fixture.folder(name).display().to_string();
    let caches = [folder("one"), folder("other"), folder("one")];
    let caches: Vec<&str> = caches.iter().map(String::as_str).collect();
    let found = ask(&caches, std::slice::from_ref(&fixture.lib.path), Bits::None);
    let [equivocation] = &one(&found).equivocations[..] else { panic!("{:?}", one(&found)) };
    assert_eq!((&equivocation.key, equivocation.signed.len()), (&ours.public(), 2));
    // What is told is all that it takes to check it.
    for (signed, group) in equivocation.signed.iter().zip(&one(&found).groups) {
        assert!(signed.fingerprint.contains(&group.nar_hash.to_base32()), "{signed:?}");
        assert!(ours.public().has_signed_message(signed.fingerprint.as_bytes(), &signed.signature));
    }
    let mut text = Vec::new();
    reprove::report::challenge::write(&mut text, &found, reprove::report::diff::Detail::Short).unwrap();
    let text = String::from_utf8(anstream::adapter::strip_bytes(&text).into_vec()).unwrap();
    assert!(text.contains("test-1 has signed each of sha256-"), "{text}");
    let document = serde_json::to_value(reprove::report::challenge::document(&found)).unwrap();
    crate::support::schema::check("mirror-challenge", &document);
    assert_eq!(document["paths"][0]["equivocations"][0]["signed"].as_array().unwrap().len(), 2);

    // Nobody is accused of what they did not sign: another key of that name, a path that all say the same of, a key nobody knows.
    let spoofed = key("test-1", 9);
    let (file, info) = narinfo(&fixture.folder("other"), &fixture.lib.path);
    let good = info.to_string();
    let forged = NarInfo { signatures: vec![spoofed.sign(info.fingerprint().as_bytes())], ..info };
    replace(&file, forged.to_string().as_bytes());
    assert_eq!(one(&ask(&caches, std::slice::from_ref(&fixture.lib.path), Bits::None)).equivocations, []);
    replace(&file, good.as_bytes());
    assert_eq!(one(&ask(&caches, std::slice::from_ref(&fixture.seed.path), Bits::None)).equivocations, []);
    let running = ["one", "other"].map(|name| Running::of(&fixture.folder(name), Limits::default()));
    let web = running.each_ref().map(|running| format!("http://{}", running.address));
    let web: Vec<&str> = web.iter().map(String::as_str).collect();
    assert_eq!(one(&ask(&web, std::slice::from_ref(&fixture.lib.path), Bits::None)).equivocations, []);
}

#[test]
fn a_cache_that_gives_other_bits_than_it_says_is_a_liar_and_proves_nothing() {
    let fixture = Fixture::new();
    fixture.mirror("honest");
    fixture.mirror("liar");
    let folder = |name: &str| fixture.folder(name).display().to_string();
    let (_, honest) = narinfo(&fixture.folder("honest"), &fixture.lib.path);
    let (file, info) = narinfo(&fixture.folder("liar"), &fixture.lib.path);
    let path = std::slice::from_ref(&fixture.lib.path);
    // Other bits behind the same words: found only by looking at the bits.
    let tool = fixture.folder("liar").join(narinfo(&fixture.folder("liar"), &fixture.tool.path).1.url);
    let nar = fs::read(fixture.folder("liar").join(&info.url)).unwrap();
    replace(&fixture.folder("liar").join(&info.url), &fs::read(tool).unwrap());
    let unseen = ask(&[&folder("honest"), &folder("liar")], path, Bits::Disagreeing);
    assert_eq!(one(&unseen).verdict, Verdict::Agree);
    let seen = ask(&[&folder("honest"), &folder("liar")], path, Bits::All);
    assert_eq!(one(&seen).verdict, Verdict::NotChecked);
    assert!(!matches!(one(&seen).groups[0].said[1].given, Given::Shown | Given::NotAsked));
    // The right bits behind other words: they say something else, and cannot show it.
    replace(&fixture.folder("liar").join(&info.url), &nar);
    let lie = NarInfo { nar_hash: fixture.tool.nar_hash, ..info.clone() };
    replace(&file, lie.to_string().as_bytes());
    let found = ask(&[&folder("honest"), &folder("liar")], path, Bits::Disagreeing);
    let result = one(&found);
    assert_eq!((result.verdict, result.divergences.len()), (Verdict::NotChecked, 0));
    let Given::Lie(why) = &result.groups[1].said[0].given else { panic!("{result:?}") };
    assert!(why.contains(&honest.nar_hash.to_string()), "{why}");
    // A size or references of its own, for the same hash.
    for lie in [
        NarInfo { nar_size: info.nar_size + 1, ..info.clone() },
        NarInfo { references: Default::default(), ..info.clone() },
    ] {
        replace(&file, lie.to_string().as_bytes());
        let found = ask(&[&folder("honest"), &folder("liar")], path, Bits::None);
        assert_eq!(one(&found).verdict, Verdict::Diverged);
        assert!(one(&found).reason.as_deref().unwrap().contains("other sizes or references"));
    }
    // A size that is not that of the bits, said by all.
    let lie = NarInfo { nar_size: info.nar_size + 1, ..info };
    let (honest, _) = narinfo(&fixture.folder("honest"), &fixture.lib.path);
    replace(&honest, lie.to_string().as_bytes());
    replace(&file, lie.to_string().as_bytes());
    let found = ask(&[&folder("honest"), &folder("liar")], path, Bits::All);
    assert!(found.paths[0].groups[0].said.iter().all(|said| matches!(said.given, Given::Lie(_))));
    assert_eq!(one(&found).verdict, Verdict::NotChecked);
}

#[test]
fn a_cache_that_answers_for_another_path_or_without_end_cannot_be_asked() {
    let fixture = Fixture::new();
    fixture.mirror("honest");
    let honest = fixture.folder("honest").display().to_string();
    let path = std::slice::from_ref(&fixture.lib.path);
    let name = format!("{}.narinfo", fixture.lib.path.hash_part());
    let text = |path: &StorePath| fs::read(narinfo(&fixture.folder("honest"), path).0).unwrap();
    let nonsense = b"StorePath: /etc/passwd\nURL: ../../x\n".to_vec();
    for (answer, endless) in [(text(&fixture.tool.path), false), (nonsense, false), (Vec::new(), true)] {
        let address = server([(name.clone(), answer)].into(), endless);
        let found = ask(&[&honest, &format!("http://{address}")], path, Bits::All);
        let result = one(&found);
        assert_eq!((result.verdict, result.failed.len()), (Verdict::NotChecked, 1), "{result:?}");
    }
    // A NAR that is not there, or is said to have a terabyte.
    let (_, info) = narinfo(&fixture.folder("honest"), &fixture.lib.path);
    let other = |nar_hash, nar_size| NarInfo { nar_hash, nar_size, ..info.clone() }.to_string().into_bytes();
    for (text, url) in [
        (other(info.nar_hash, info.nar_size), info.url.clone()),
        (other(fixture.tool.nar_hash, info.nar_size), info.url.clone()),
        (other(fixture.tool.nar_hash, 1 << 40), info.url.clone()),
    ] {
        let narinfo = server([(name.clone(), text), (url, Vec::new())].into(), false);
        let found = ask(&[&honest, &format!("http://{narinfo}")], path, Bits::All);
        assert_eq!(one(&found).verdict, Verdict::NotChecked);
    }
    // Words end, and bits do not.
    let text = String::from_utf8(other(info.nar_hash, info.nar_size)).unwrap();
    let text = text.replace("Compression: zstd", "Compression: none");
    let address = half_endless(name, text.into_bytes());
    let found = ask(&[&honest, &format!("http://{address}")], path, Bits::All);
    let result = one(&found);
    assert_eq!(result.verdict, Verdict::NotChecked, "{result:?}");
    assert!(!matches!(result.groups[0].said[1].given, Given::Shown));
}

/// A server whose narinfo ends, and whose NAR does not.
fn half_endless(name: String, narinfo: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut request = Vec::new();
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|n| n == 1) {
                request.push(byte[0]);
            }
            let request = String::from_utf8_lossy(&request);
            if request.contains("nix-cache-info") {
                let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n");
                continue;
            }
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
            if request.contains(&name) {
                let _ = stream.write_all(&narinfo);
                continue;
            }
            while stream.write_all(&[b'x'; 1 << 16]).is_ok() {}
        }
    });
    address
}

#[test]
fn a_hosts_store_is_held_against_a_cache_by_its_bits() {
    let fixture = Fixture::new();
    fixture.mirror("mirror");
    let host = fixture.dir.path().join("store");
    let nar = fixture.store.nar(&fixture.lib.nar_hash).unwrap().unwrap();
    fs::create_dir(&host).unwrap();
    reprove::store::unpack(std::io::BufReader::new(nar), &host.join(fixture.lib.path.base_name())).unwrap();
    let folder = fixture.folder("mirror").display().to_string();
    let caches = [Cache::parse(&folder).unwrap(), Cache::host(&host)];
    let path = std::slice::from_ref(&fixture.lib.path);
    assert_eq!(one(&of(&caches, path, Bits::All)).verdict, Verdict::Agree);
    let missing = of(&caches, std::slice::from_ref(&fixture.tool.path), Bits::All);
    assert_eq!((one(&missing).verdict, one(&missing).lacking.clone()), (Verdict::NotChecked, vec![1]));
    let program = host.join(fixture.lib.path.base_name()).join("bin/tool");
    replace(&program, b"#!/bin/sh\necho lib, and more\n");
    let found = of(&caches, path, Bits::Disagreeing);
    assert_eq!((one(&found).verdict, one(&found).divergences.len()), (Verdict::Diverged, 1));
}

#[test]
fn there_have_to_be_two_caches_and_paths() {
    let fixture = Fixture::new();
    fixture.mirror("mirror");
    let (_dir, store) = scratch();
    let folder = fixture.folder("mirror").display().to_string();
    let ask = |addresses: &[&str]| {
        let caches: Vec<Cache> = addresses.iter().map(|address| Cache::parse(address).unwrap()).collect();
        let request = Request {
            caches: &caches,
            paths: &[],
            closure: false,
            keys: &[],
            bits: Bits::None,
            most: 1,
            jobs: 1,
            store: &store,
        };
        challenge(&request).map_err(|error| error.code().0)
    };
    assert_eq!(ask(&[&folder]).unwrap_err(), 1440);
    assert_eq!(ask(&["http://127.0.0.1:1", &folder]).unwrap_err(), 1440);
    assert_eq!(ask(&[&folder, &folder]).unwrap().paths.len(), 3);
    // Whoever wants every cache to give its bits knows nothing of those that were not fetched.
    let caches = [&folder, &folder].map(|address| Cache::parse(address).unwrap());
    let all = |bits| {
        let (caches, store) = (&caches, &store);
        let request =
            Request { caches, paths: &[], closure: false, keys: &[], bits, most: 1, jobs: 1, store };
        let paths = challenge(&request).unwrap().paths;
        paths.iter().map(|path| (path.verdict, path.reason.is_some())).collect::<Vec<_>>()
    };
    let (agree, unknown) = ((Verdict::Agree, false), (Verdict::NotChecked, true));
    assert_eq!(all(Bits::All), [agree, unknown, unknown]);
    assert_eq!(all(Bits::Disagreeing), [agree; 3]);
    for bad in ["ftp://x", "http://a b", ""] {
        assert!(Cache::parse(bad).is_err(), "{bad}");
    }
}
