//! A mirror's speed, in ratios of one run: publishing and fetching against `nix copy`, checking against bare SHA-256, serving against
//! a loopback server that does nothing else. `cargo bench --bench mirror`; docs/mirror.md has the numbers.

#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "../../tests/mirror/fixture.rs"]
#[allow(dead_code)]
mod fixture;
mod serving;
#[path = "../../tests/support/mod.rs"]
mod support;

use std::{
    path::Path,
    thread,
    time::{Duration, Instant, SystemTime},
};

use fixture::{Derivations, statements};
use reprove::{
    mirror::{
        Mirror,
        check::{Believing, Request, check},
        layout::FileHash,
        location::Location,
        policy::Policy,
        publish::{Entry, Publisher},
        statement::{Admission, Ground},
    },
    store::{PathInfo, Store},
};
use sha2::{Digest as _, Sha256};
use support::nix;

/// Paths of the closure, and bytes of each: some hundred megabytes, as a small system has.
const PATHS: usize = 300;
const BYTES: usize = 1 << 20;
/// Times that what takes less than a second is done.
const TIMES: usize = 5;

fn main() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let store = Store::open(&at("state")).unwrap();
    let (derivations, infos) = closure(&store);
    let key = fixture::key("bench-1", 1);
    let location = |name: &str| Location::parse(at(name).to_str().unwrap()).unwrap();
    let policy = Policy::from_toml("", &key).unwrap();
    let mirror = Mirror::init(location("mirror"), policy, &key).unwrap();
    let publisher = Publisher::new(&mirror, &key, &store).unwrap();

    let megabytes = (PATHS * BYTES) / 1_000_000;
    println!("{PATHS} paths, {megabytes} MB; how many times as fast as what it is held against");
    println!("| | ms | against | ms | ratio |");
    println!("|---|---|---|---|---|");
    let publishing = timed(|| admit(&publisher, &derivations, &infos));
    let top = &infos[PATHS - 1].path;
    let theirs = |name: &str, settings: &str| format!("file://{}{settings}", at(name).display());
    // Nix leaves what it copied to the system's memory; ours is on the disk.
    let synchronise = || timed(|| rustix::fs::syncfs(std::fs::File::open(dir.path()).unwrap()).unwrap());
    let copy = |program: &nix::Nix, direction: &str, address: &str| {
        let (key, path) = (key.public().to_string(), top.to_string());
        let keys = ["--option", "trusted-public-keys", &key];
        timed(|| _ = program.run("nix", &[&["copy", direction, address, &path], &keys[..]].concat()))
    };
    // The last one has everything, to publish it.
    let mut program = nix::Nix::new();
    let (mut fetching, mut copying, mut synchronised) = (Duration::MAX, Duration::MAX, Duration::MAX);
    for time in 0..TIMES {
        synchronise();
        let other = Store::open(&at(&format!("other-{time}"))).unwrap();
        fetching = fetching.min(timed(|| mirror.bring(top, &other).unwrap()));
        synchronise();
        program = nix::Nix::new();
        let copied = copy(&program, "--from", &theirs("mirror", ""));
        copying = copying.min(copied);
        synchronised = synchronised.min(copied + synchronise());
    }
    row("fetch", fetching, "`nix copy --from`", copying);
    row("fetch", fetching, "that, and synchronising the disk, as ours does", synchronised);
    let listed = "write-nar-listing=true";
    row(
        "publish",
        publishing,
        "`nix copy --to`",
        copy(&program, "--to", &theirs("xz", &format!("?{listed}"))),
    );
    let zstd = copy(&program, "--to", &theirs("zstd", &format!("?compression=zstd&{listed}")));
    row("publish", publishing, "the same with zstd's level 3 (ours is 9)", zstd);

    let cores = thread::available_parallelism().unwrap().get();
    let at_mirror = location("mirror");
    let believed = [key.public()];
    let believing = Believing::Keys(&believed);
    let request = Request { paths: &[], believing, since: &[], now: SystemTime::now(), jobs: cores };
    let report = check(&at_mirror, &request).unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    let bytes = report.nar_bytes + report.file_bytes;
    let checking = quickest(|| _ = check(&at_mirror, &request).unwrap());
    let hashing = quickest(|| hash(bytes, cores));
    row("verify", checking, "SHA-256 of as many bytes on all cores", hashing);
    let reading = quickest(|| read(&at("mirror"), cores));
    row("verify", checking, "that, and zstd", reading);

    serving::measure(&at("mirror"));
}

/// A seed and what was built of it, each path from the one before: half of the bytes of each are like nothing else, half are text.
fn closure(store: &Store) -> (Derivations, Vec<PathInfo>) {
    let (mut derivations, mut infos) = (Derivations::default(), Vec::<PathInfo>::new());
    let mut noise: u64 = 0x9e37_79b9_7f4a_7c15;
    for number in 0..PATHS {
        let before = infos.last();
        let inputs: Vec<_> = before.and_then(|info| info.deriver.as_ref()).into_iter().collect();
        let made = derivations.add(&format!("link-{number}"), &inputs);
        let mut text = String::with_capacity(BYTES);
        while text.len() < BYTES / 2 {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // Characters of six bits that do not compress.
            text.extend((0..10).map(|at| char::from(b' ' + (noise >> (at * 6)) as u8 % 64)));
        }
        while text.len() < BYTES {
            text.push_str(&format!("line {} of path {number}\n", text.len()));
        }
        let references: Vec<_> = before.map(|info| &info.path).into_iter().collect();
        let info = fixture::object(store, &made, &references, &text);
        infos.push(info);
    }
    (derivations, infos)
}

/// The first as a seed, and everything else as built.
fn admit(publisher: &Publisher<'_>, derivations: &Derivations, infos: &[PathInfo]) {
    let seed = &infos[0].path;
    publisher.seed(std::slice::from_ref(seed), "a bench").unwrap();
    derivations.keep(publisher, infos[PATHS - 1].deriver.as_ref().unwrap());
    let built = infos.windows(2).map(|pair| {
        let [before, info] = pair else { unreachable!() };
        let admission = Admission {
            ground: Ground::Built { derivation: info.deriver.clone().unwrap(), output: "out".to_owned() },
            inputs: [(before.path.clone(), before.nar_hash)].into(),
            sources: Default::default(),
            seeds: [seed.clone()].into(),
            log: Some(FileHash::of(fixture::LOG).hex()),
        };
        (info, statements(info, &admission, 2), admission)
    });
    let built: Vec<_> = built.collect();
    let entry =
        |(info, statements, admission)| Entry { info, admission, statements, log: Some(fixture::LOG) };
    let entries: Vec<Entry<'_>> = built
        .iter()
        .map(|(info, statements, admission)| entry((*info, statements.as_slice(), admission)))
        .collect();
    publisher.publish_all(&entries).unwrap();
}

/// Reads, unpacks and hashes all NARs of a mirror on all cores, and does nothing else.
fn read(mirror: &Path, cores: usize) {
    let files = objects(&mirror.join("nar"), ".zst");
    let next = std::sync::atomic::AtomicUsize::new(0);
    let one = |name: &String| {
        let packed = std::fs::read(mirror.join("nar").join(name)).unwrap();
        std::hint::black_box(Sha256::digest(&packed));
        let mut hash = Sha256::new();
        std::io::copy(&mut zstd::Decoder::new(packed.as_slice()).unwrap(), &mut hash).unwrap();
        std::hint::black_box(hash.finalize());
    };
    thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while let Some(name) = files.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
                    one(name);
                }
            });
        }
    });
}

/// Hashes `bytes` in memory, on all cores, and does nothing else.
fn hash(bytes: u64, cores: usize) {
    let block = vec![7; 1 << 20];
    thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                let mut hash = Sha256::new();
                for _ in 0..bytes / cores as u64 / block.len() as u64 {
                    hash.update(&block);
                }
                std::hint::black_box(hash.finalize());
            });
        }
    });
}

/// The quickest of a few times: what else goes on takes time, and never gives any.
fn quickest(work: impl Fn()) -> Duration {
    (0..TIMES).map(|_| timed(&work)).min().unwrap()
}

fn timed(work: impl FnOnce()) -> Duration {
    let begin = Instant::now();
    work();
    begin.elapsed()
}

fn row(what: &str, ours: Duration, against: &str, theirs: Duration) {
    let ratio = theirs.as_secs_f64() / ours.as_secs_f64();
    println!("| {what} | {} | {against} | {} | {ratio:.2} |", ours.as_millis(), theirs.as_millis());
}

/// What a mirror has of the kind that ends so, by its path below it.
fn objects(folder: &Path, ending: &str) -> Vec<String> {
    let mut found: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(ending))
        .collect();
    found.sort();
    found
}
