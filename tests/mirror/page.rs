//! The page at a mirror's root: what stands on it, that it is the one that follows, and how a browser shows it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

use reprove::{
    mirror::{
        Mirror,
        holdings::{Held, Holdings, Shown, Testimony, Totals},
        layout::{HashPart, KeyId, Object},
        page::{Maker, Standing},
        publish::Publisher,
        reading::Read,
        serve::{Limits, Server},
        snapshot::Making,
        statement::Ground,
    },
    nix::{hash::NarHash, secret_key::SecretKey, store_path::StorePath},
    report::mirror::{Address, page},
};

use crate::{
    cosign::all_by,
    fixture::{Fixture, check_at, files, key, policy, replace},
    serve::{Running, mirror_at},
    support::browser,
};

fn maker() -> Box<Maker> {
    Box::new(|holdings| page(holdings, Address::parse("https://mirror.example").as_ref()))
}

/// A page without its style, which changes more often than what it says.
fn without_style(html: &str) -> String {
    let (before, rest) = html.split_once("<style>").unwrap();
    let (_, after) = rest.split_once("</style>").unwrap();
    let (policy, rest) = before.split_once("'sha256-").unwrap();
    let (_, rest) = rest.split_once('\'').unwrap();
    format!("{policy}'sha256-…'{rest}<style>…</style>{after}")
}

#[test]
fn everything_that_a_small_mirror_holds_is_on_its_page() {
    let fixture = Fixture::new();
    let (mirror, key) = fixture.mirror("mirror");
    fixture.publish_another_lib(&mirror, &key);
    mirror.write_page(&maker(), 2).unwrap();
    let html = fs::read_to_string(fixture.folder("mirror").join("index.html")).unwrap();
    insta::assert_snapshot!(without_style(&html));
    // Where it lies is no part of it.
    fixture.mirror("elsewhere");
    assert!(!html.contains(fixture.dir.path().to_str().unwrap()));
}

#[test]
fn when_a_signer_last_said_what_is_in_is_on_the_page() {
    let fixture = Fixture::new();
    let (mirror, key) = fixture.mirror("mirror");
    assert!(!page(&mirror.holdings(2).unwrap(), None).html.contains("Said last what is in"));
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    mirror.snapshot(&Making { key: &key, days: 30, now, jobs: 2 }).unwrap();
    let html = page(&mirror.holdings(2).unwrap(), None).html;
    let said = "2027-01-15T08:00:00Z</a>, number 1: 3 packages; holds until 2027-02-14T08:00:00Z</td>";
    assert!(html.contains(said), "{html}");
    // One that cannot be believed is told of.
    let name = Object::Snapshot(KeyId::of(&key.public())).name();
    replace(&fixture.folder("mirror").join(&name), b"something else");
    let holdings = mirror.holdings(2).unwrap();
    assert_eq!((holdings.snapshots.len(), &holdings.unread[0].object), (0, &name));
}

#[test]
fn where_snapshots_are_asked_for_the_page_says_who_never_made_one() {
    let fixture = Fixture::new();
    let mirror = fixture.init("mirror", "snapshot_days = 7\n", &key("test-1", 1));
    let html = page(&mirror.holdings(2).unwrap(), None).html;
    assert!(html.contains("Said last what is in") && html.contains("<td>never</td>"), "{html}");
}

#[test]
fn what_waits_for_signers_and_what_was_only_read_is_on_the_page_until_it_was_built() {
    let fixture = Fixture::new();
    let keys = [("alice-1", 1), ("bob-1", 3), ("carol-1", 5)].map(|(name, n)| key(name, n));
    let [alice, bob, carol] = &keys;
    let text = policy(2, &[("alice", &[alice]), ("bob", &[bob]), ("carol", &[carol])]);
    fixture.init_by("mirror", &text, &[alice, carol]);
    let folder = fixture.folder("mirror");
    all_by(&fixture, alice);
    let mirror = mirror_at(&folder);
    let holdings = mirror.holdings(2).unwrap();
    assert_eq!((holdings.totals.paths, holdings.totals.pending, holdings.totals.unread), (0, 3, 0));
    assert!(holdings.pending.iter().all(|one| one.signed == ["alice"]), "{:?}", holdings.pending);
    let html = page(&holdings, None).html;
    assert!(html.contains("Waiting for signers") && html.contains("<td>alice</td>"), "{html}");

    let read = |key: &SecretKey| {
        let seen = mirror_at(&folder).seen_by(key).unwrap();
        let publisher = Publisher::new(&seen, key, &fixture.store).unwrap().cosigning();
        assert!(matches!(publisher.read(2).unwrap(), Read::Sound(_)));
    };
    read(bob);
    all_by(&fixture, bob);
    read(carol);
    let holdings = mirror.holdings(2).unwrap();
    let totals = &holdings.totals;
    assert_eq!((totals.paths, totals.pending, totals.read, totals.unread), (3, 0, 3, 0));
    for held in &holdings.paths {
        let readers: Vec<&str> = held.read.iter().map(|one| one.by.as_str()).collect();
        assert_eq!(readers, ["carol"], "bob has built it since");
    }
    let html = page(&holdings, None).html;
    assert!(!html.contains("Waiting for signers") && html.contains("Read, and not built, by"), "{html}");
    // A reading about other bits counts for nothing, and is told of.
    let part = HashPart::of(&fixture.seed.path);
    let name = |path: &StorePath| Object::Reading(HashPart::of(path), KeyId::of(&carol.public())).name();
    let other = fs::read(folder.join(name(&fixture.tool.path))).unwrap();
    replace(&folder.join(name(&fixture.seed.path)), &other);
    let holdings = mirror.holdings(2).unwrap();
    assert_eq!((holdings.totals.read, holdings.totals.unread), (2, 1));
    assert!(holdings.unread[0].object.contains(&part.to_string()), "{:?}", holdings.unread);
}

#[test]
fn the_page_is_the_one_object_that_is_replaced_and_follows_from_the_others() {
    let fixture = Fixture::new();
    let key = crate::fixture::key("test-1", 1);
    let mirror = fixture.init("mirror", "", &key);
    let (make, folder) = (maker(), fixture.folder("mirror"));
    let standing = || mirror.page_standing(&make, 1).unwrap();
    assert_eq!(standing(), Standing::None);
    mirror.write_page(&make, 1).unwrap();
    let empty = fs::read(folder.join("index.html")).unwrap();
    assert_eq!(standing(), Standing::Current);
    fixture.publish_all(&Publisher::new(&mirror, &key, &fixture.store).unwrap());
    assert_eq!(standing(), Standing::Other);
    // It never counts as an object that nobody refers to.
    assert_eq!(check_at(&folder, &[&key], &[]).left, [""; 0]);
    mirror.write_page(&make, 1).unwrap();
    assert_eq!(standing(), Standing::Current);
    // A mirror that was filled by somebody else in another way ends with the same bytes.
    let (again, _) = fixture.mirror("again");
    again.write_page(&make, 2).unwrap();
    assert!(files(&folder) == files(&fixture.folder("again")));
    for altered in [&empty[..], b"", b"<p>trust me"] {
        crate::fixture::replace(&folder.join("index.html"), altered);
        assert_eq!(standing(), Standing::Other);
    }
}

#[test]
fn a_path_that_cannot_be_believed_is_an_alarm_and_no_package() {
    let fixture = Fixture::new();
    let (mirror, _) = fixture.mirror("mirror");
    let folder = fixture.folder("mirror");
    let at = |path: &StorePath| folder.join(format!("{}.narinfo", path.hash_part()));
    let text = fs::read_to_string(at(&fixture.tool.path)).unwrap();
    let unsigned: String =
        text.lines().filter(|line| !line.starts_with("Sig:")).map(|line| format!("{line}\n")).collect();
    crate::fixture::replace(&at(&fixture.tool.path), unsigned.as_bytes());
    crate::fixture::replace(&at(&fixture.lib.path), b"nonsense");
    let holdings = mirror.holdings(2).unwrap();
    assert_eq!((holdings.totals.paths, holdings.totals.unread), (1, 2));
    let html = page(&holdings, None).html;
    assert!(html.contains("2 objects cannot be read or believed"));
    assert!(!html.contains(fixture.dir.path().to_str().unwrap()), "where it lies is no part of it");
}

#[test]
fn a_server_makes_the_page_itself_and_not_for_each_who_asks() {
    let fixture = Fixture::new();
    fixture.mirror("mirror");
    let folder = fixture.folder("mirror");
    fs::write(folder.join("index.html"), "<p>somebody's").unwrap();
    let made = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let (counted, make) = (made.clone(), maker());
    let make: Box<Maker> = Box::new(move |holdings| {
        counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        make(holdings)
    });
    let running = Running::serving(Server::new(mirror_at(&folder)).making_pages(make), Limits::default());
    let expected =
        page(&mirror_at(&folder).holdings(1).unwrap(), Address::parse("https://mirror.example").as_ref());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for target in ["/", "/index.html"] {
                    let got = running.get(target);
                    assert_eq!((got.status, got.body.as_slice()), (200, expected.html.as_bytes()));
                    assert_eq!(got.header("content-security-policy"), expected.content_security_policy);
                }
            });
        }
    });
    assert_eq!(made.load(std::sync::atomic::Ordering::SeqCst), 1);
    assert!(!expected.content_security_policy.contains("unsafe"));
}

/// A mirror of `number` packages, as real ones are: a toolchain that nearly everything is made from, libraries, and programs.
fn holdings(number: usize, mirror: &Mirror) -> Holdings {
    const NAMES: [&str; 20] = [
        "toolchain-12.2",
        "zlib-1.3.1",
        "bzip2-1.0.8",
        "xz-5.4.1",
        "lz4-1.9.4",
        "zstd-1.5.4",
        "ncurses-6.4",
        "readline-8.2",
        "lua-5.4.4",
        "sqlite-3.40.1",
        "hello-2.12",
        "sed-4.9",
        "grep-3.8",
        "make-4.3",
        "gawk-5.2.1",
        "libpng-1.6.39",
        "a-library-with-a-very-long-name-2024.11.22-unstable",
        "curl-7.88.1",
        "git-2.39.5",
        "openssl-3.0.15",
    ];
    let path = |at: usize| {
        let name = if at < NAMES.len() { NAMES[at].to_owned() } else { format!("package-{at}-1.{}", at % 7) };
        StorePath::from_base_name(format!("{at:032}-{name}").as_bytes()).unwrap()
    };
    let mut totals = Totals {
        paths: number,
        seeds: 1,
        built: number - 1,
        kept_sources: (number, 1 << 27),
        ..Totals::default()
    };
    let paths: Vec<Held> = (0..number)
        .map(|at| {
            let mut inputs = BTreeSet::new();
            if at > 0 {
                inputs.insert(path(0));
            }
            // Some need one or two of those that are early in the list; most of a large mirror need nothing but the toolchain.
            if at > 5 && (at < 40 || at % 3 == 0) {
                inputs.insert(path(1 + at * 7 % (at.min(30) - 1)));
                inputs.insert(path(1 + at * 5 % at.min(12)));
            }
            inputs.remove(&path(at));
            inputs.retain(|input| *input < path(at));
            let level = 2 + (at as u64 / 3) % 3;
            let name = ["varied", "replayed", "cross-engine"][level as usize - 2];
            if at > 0 {
                *totals.levels.entry(level).or_default() += 1;
                *totals.resting_on.entry(path(0)).or_default() += 1;
            }
            totals.nar_bytes += 3_000_000 + at as u64 * 77_777;
            totals.file_bytes += 1_000_000 + at as u64 * 22_222;
            *totals.signed.entry("test-1".to_owned()).or_default() += 1;
            let ground = if at == 0 {
                Ground::Seed {
                    why: "Debian's gcc, binutils and busybox, unpacked: not built from source yet".to_owned(),
                }
            } else {
                let drv =
                    StorePath::from_base_name(format!("{}.drv", path(at).base_name()).as_bytes()).unwrap();
                Ground::Built { derivation: drv, output: "out".to_owned() }
            };
            let shown = Shown {
                verdict: "reproduced".to_owned(),
                level,
                level_name: name.to_owned(),
                rounds: BTreeMap::from([("embedded 1.2".to_owned(), 2)]),
                references: Vec::new(),
            };
            Held {
                path: path(at),
                nar_hash: NarHash([at as u8; 32]),
                nar_size: 3_000_000 + at as u64 * 77_777,
                file_size: Some(1_000_000 + at as u64 * 22_222),
                references: BTreeSet::new(),
                signed: vec!["test-1".to_owned()],
                said: vec![Testimony {
                    by: "test-1".to_owned(),
                    object: format!("attestations/{}/x.jsonl", path(at).hash_part()),
                    shown: (at > 0).then_some(shown),
                    ground,
                    inputs,
                    seeds: BTreeSet::from([path(0)]),
                    sources: 1,
                    log: at > 0,
                }],
                read: Vec::new(),
            }
        })
        .collect();
    let mut holdings = mirror.holdings(1).unwrap();
    holdings.paths = paths;
    holdings.totals = totals;
    holdings
}

#[test]
fn a_browser_shows_it_wide_and_narrow_light_and_dark_and_complains_of_nothing() {
    let fixture = Fixture::new();
    let key = crate::fixture::key("test-1", 1);
    let policy = "[[trusted]]\nwhat = \"the guest's kernel\"\nwhy = \"Debian's, by its hash\"\n";
    let mirror = fixture.init("mirror", policy, &key);
    // They stay, to be looked at.
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mirror-pages");
    fs::create_dir_all(&folder).unwrap();
    for number in [0, 5, 200, 2000] {
        let held = if number == 0 { mirror.holdings(1).unwrap() } else { holdings(number, &mirror) };
        let file = folder.join(format!("{number}.html"));
        let html = page(&held, Address::parse("https://mirror.example").as_ref()).html;
        fs::write(&file, &html).unwrap();
        let (dom, said) = browser::chromium(&file, &["--dump-dom"]);
        let complaints: Vec<&str> = said.lines().filter(|line| line.contains(":CONSOLE")).collect();
        assert!(complaints.is_empty(), "{complaints:?}");
        assert_eq!(dom.contains("class=\"graph\""), number > 0, "{number}");
        assert_eq!(dom.matches("id=\"p-").count(), number);
        // A few megabytes of the largest one.
        assert!(html.len() < 8_000_000, "{}", html.len());
        if number == 2000 {
            continue;
        }
        for (width, scheme) in [(1400, "light"), (1400, "dark"), (400, "light"), (400, "dark")] {
            let picture = folder.join(format!("{number}-{width}-{scheme}.png"));
            let (shot, size) =
                (format!("--screenshot={}", picture.display()), format!("--window-size={width},2400"));
            let mut args = vec![shot.as_str(), size.as_str(), "--hide-scrollbars"];
            if scheme == "dark" {
                args.push("--blink-settings=preferredColorScheme=0");
            }
            browser::chromium(&file, &args);
            let picture = fs::read(picture).unwrap();
            assert_eq!(browser::size_of_png(&picture), (width, 2400));
            assert!(picture.len() > 20_000, "{}", picture.len());
        }
    }
}
