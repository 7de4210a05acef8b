//! Packing and unpacking, with `nix-store` as the oracle.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs, io,
    os::{
        fd::AsFd as _,
        unix::{
            ffi::OsStrExt as _, fs as unix, fs::MetadataExt as _, fs::PermissionsExt as _, net::UnixListener,
        },
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use proptest::{collection, prelude::*, sample};

use super::{
    tests::nar_of,
    unpack::{remove_tree, restore},
    *,
};
use crate::nix::nar::{MAX_DEPTH, NarErrorKind, NarHasher, Node, Writer};

/// A tree to be made on the disk.
#[derive(Clone, Debug)]
enum Tree {
    File { contents: Vec<u8>, mode: u32 },
    Link(Vec<u8>),
    Dir { entries: BTreeMap<Vec<u8>, Tree>, mode: u32 },
}

impl Tree {
    fn make(&self, at: &Path) {
        match self {
            Tree::File { contents, mode } => {
                fs::write(at, contents).unwrap();
                fs::set_permissions(at, fs::Permissions::from_mode(*mode)).unwrap();
            }
            Tree::Link(target) => unix::symlink(OsStr::from_bytes(target), at).unwrap(),
            Tree::Dir { entries, mode } => {
                fs::create_dir(at).unwrap();
                for (name, tree) in entries {
                    tree.make(&at.join(OsStr::from_bytes(name)));
                }
                fs::set_permissions(at, fs::Permissions::from_mode(*mode)).unwrap();
            }
        }
    }
}

/// Any name a file can have: often not UTF-8, sometimes as long as can be, sometimes one that means something.
fn names() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![1..=b'.', b'0'..=u8::MAX];
    let special = ["~nix~case~hack~1", "Foo", "foo", "...", " ", "-rf", "\u{e9}", "e\u{301}"];
    prop_oneof![
        8 => collection::vec(byte, 1..12),
        1 => Just(vec![b'n'; 255]),
        2 => sample::select(special.map(|name| name.as_bytes().to_vec()).to_vec()),
    ]
    .prop_filter("means a directory", |name| name != b"." && name != b"..")
}

fn trees() -> impl Strategy<Value = Tree> {
    // The owner must be able to read what is packed, for those who test as somebody else than root.
    let file_mode =
        sample::select(vec![0o644, 0o755, 0o610, 0o710, 0o400, 0o500, 0o4755, 0o655, 0o677, 0o411]);
    let contents = prop_oneof![
        collection::vec(any::<u8>(), 0..40),
        (0usize..70_000).prop_map(|len| (0..len).map(|n| (n * 7) as u8).collect()),
    ];
    let leaf = prop_oneof![
        3 => (contents, file_mode).prop_map(|(contents, mode)| Tree::File { contents, mode }),
        1 => collection::vec(1..=u8::MAX, 1..60).prop_map(Tree::Link),
        1 => sample::select(vec!["/etc/passwd", "..", "/", "self"]).prop_map(|to| Tree::Link(to.into())),
    ];
    leaf.prop_recursive(5, 40, 8, |inner| {
        (collection::btree_map(names(), inner, 0..8), sample::select(vec![0o755, 0o700, 0o777, 0o555]))
            .prop_map(|(entries, mode)| Tree::Dir { entries, mode })
    })
}

/// Runs `nix-store`; `input` is its standard input.
fn nix_store(arguments: &[&OsStr], input: Stdio) -> Vec<u8> {
    let output = Command::new("nix-store")
        .args(arguments)
        .stdin(input)
        .output()
        .expect("`nix-store` is the oracle of this test: install nix (Debian: nix-bin)");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn dump(path: &Path) -> Vec<u8> {
    write_nar(path, Vec::new()).unwrap()
}

/// Removes what `tempfile` cannot, as somebody else than root, because its directories are read-only.
struct Workplace(Option<tempfile::TempDir>);

impl Workplace {
    fn new() -> Self {
        Workplace(Some(tempfile::tempdir().unwrap()))
    }

    fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.as_ref().unwrap().path().join(name)
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        remove_tree(&self.0.take().unwrap().keep()).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn t34_packing_and_unpacking_agree_with_nix_store(tree in trees()) {
        let dir = Workplace::new();
        let (ours, theirs, nar_file) = (dir.join("ours"), dir.join("theirs"), dir.join("nar"));
        let original = dir.join("original");
        tree.make(&original);

        let nar = dump(&original);
        let oracle = nix_store(&["--dump".as_ref(), original.as_os_str()], Stdio::null());
        prop_assert!(nar == oracle, "our NAR of {tree:?} is not the one of nix-store");

        unpack(nar.as_slice(), &ours).unwrap();
        prop_assert!(dump(&ours) == nar, "restored and dumped again, {tree:?} is another tree");
        fs::write(&nar_file, &nar).unwrap();
        let input = Stdio::from(fs::File::open(&nar_file).unwrap());
        nix_store(&["--restore".as_ref(), theirs.as_os_str()], input);
        prop_assert!(dump(&theirs) == nar, "nix-store restored another tree from our NAR of {tree:?}");

        let (node, packed) = pack(&original).unwrap();
        let again = node.write(
            |contents| {
                let mut bytes = vec![0; contents.size as usize];
                std::os::unix::fs::FileExt::read_exact_at(&packed, &mut bytes, contents.offset)?;
                Ok(io::Cursor::new(bytes))
            },
            Vec::new(),
        );
        prop_assert!(again.unwrap() == nar);
    }
}

#[test]
fn what_is_unpacked_has_canonical_modes_and_times() {
    let dir = Workplace::new();
    let tree = Tree::Dir {
        mode: 0o700,
        entries: BTreeMap::from([
            (b"file".to_vec(), Tree::File { contents: b"x".to_vec(), mode: 0o4610 }),
            (b"program".to_vec(), Tree::File { contents: b"x".to_vec(), mode: 0o6710 }),
            (b"link".to_vec(), Tree::Link(b"nowhere".to_vec())),
            (b"sub".to_vec(), Tree::Dir { entries: BTreeMap::new(), mode: 0o777 }),
        ]),
    };
    tree.make(&dir.join("tree"));
    unpack(dump(&dir.join("tree")).as_slice(), &dir.join("out")).unwrap();
    for (name, mode) in [("", 0o555), ("file", 0o444), ("program", 0o555), ("sub", 0o555)] {
        let metadata = fs::symlink_metadata(dir.join("out").join(name)).unwrap();
        assert_eq!(metadata.mode() & 0o7777, mode, "{name:?}");
        assert_eq!((metadata.mtime(), metadata.mtime_nsec()), (1, 0), "{name:?}");
    }
    assert_eq!(fs::symlink_metadata(dir.join("out/link")).unwrap().mtime(), 1);
    assert_eq!(fs::read_dir(dir.join("")).unwrap().count(), 2, "nothing but the tree and what was unpacked");
}

#[test]
fn files_that_no_nar_holds_are_refused_by_name() {
    let dir = Workplace::new();
    fs::create_dir_all(dir.join("tree/sub")).unwrap();
    let pipe = dir.join("tree/sub/pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let error = write_nar(&dir.join("tree"), io::sink()).unwrap_err();
    assert!(matches!(error, TreeError::Special { path, kind: "named pipe" } if path == pipe));
    fs::remove_file(&pipe).unwrap();
    let _socket = UnixListener::bind(dir.join("tree/socket")).unwrap();
    let error = write_nar(&dir.join("tree"), io::sink()).unwrap_err();
    assert!(matches!(error, TreeError::Special { kind: "socket", .. }));
    let error = write_nar(Path::new("/dev/null"), io::sink()).unwrap_err();
    assert!(matches!(error, TreeError::Special { kind: "character device", .. }));
    let error = write_nar(&dir.join("nothing"), io::sink()).unwrap_err();
    assert!(matches!(error, TreeError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound));
}

#[test]
fn a_file_that_is_longer_than_it_says_has_changed() {
    // Files of /proc say that they are empty, and are not.
    let error = write_nar(Path::new("/proc/self/status"), io::sink()).unwrap_err();
    assert!(matches!(error, TreeError::Changed { .. }), "{error:?}");
}

#[test]
fn a_nar_that_cannot_be_written_is_told_from_a_tree_that_cannot_be_read() {
    let dir = Workplace::new();
    fs::write(dir.join("file"), vec![7; 1 << 20]).unwrap();
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let error = write_nar(&dir.join("file"), full).unwrap_err();
    assert!(matches!(error, TreeError::Output(error) if error.kind() == io::ErrorKind::StorageFull));
}

#[test]
fn t23_trees_as_deep_as_a_nar_can_be_and_one_deeper() {
    let dir = Workplace::new();
    // The root counts, and so does the file at the bottom.
    let mut at = dir.join("tree");
    for _ in 0..MAX_DEPTH - 1 {
        at.push("d");
    }
    fs::create_dir_all(at.parent().unwrap()).unwrap();
    fs::write(&at, "bottom").unwrap();
    let nar = dump(&dir.join("tree"));
    unpack(nar.as_slice(), &dir.join("out")).unwrap();
    assert_eq!(dump(&dir.join("out")), nar);

    fs::remove_file(&at).unwrap();
    fs::create_dir(&at).unwrap();
    fs::write(at.join("d"), "too deep").unwrap();
    let error = write_nar(&dir.join("tree"), io::sink()).unwrap_err();
    assert!(
        matches!(&error, TreeError::Unrepresentable { path, what: NarErrorKind::Depth } if *path == at.join("d")),
        "{error:?}"
    );
}

/// A NAR of a directory in a writer's hands: whatever the writer lets through, and what it does not.
fn directory(fill: impl FnOnce(&mut Writer<Vec<u8>>)) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    writer.directory().unwrap();
    fill(&mut writer);
    writer.leave().unwrap();
    writer.finish().unwrap()
}

#[test]
fn t30_nothing_is_made_through_a_link_of_the_archive() {
    let dir = Workplace::new();
    fs::create_dir(dir.join("outside")).unwrap();
    fs::write(dir.join("outside/passwd"), "untouched").unwrap();
    let outside = dir.join("outside");

    // `a` twice, as link and as directory: no NAR, whichever way round.
    let link = |writer: &mut Writer<Vec<u8>>, name: &[u8]| {
        writer.entry(name).unwrap();
        writer.symlink(outside.as_os_str().as_bytes()).unwrap();
    };
    let into = |writer: &mut Writer<Vec<u8>>, name: &[u8]| {
        writer.entry(name).unwrap();
        writer.directory().unwrap();
        writer.entry(b"passwd").unwrap();
        writer.regular(false, 4, b"evil".as_slice()).unwrap();
        writer.leave().unwrap();
    };
    // Written as `a` and `b`, then `b` renamed to `a` in the bytes.
    let forged = |nar: Vec<u8>| {
        let name = b"\x04\0\0\0\0\0\0\0name\0\0\0\0\x01\0\0\0\0\0\0\0b";
        let at = nar.windows(name.len()).position(|window| window == name).unwrap();
        let mut nar = nar;
        nar[at + name.len() - 1] = b'a';
        nar
    };
    for nar in [
        forged(directory(|writer| {
            link(writer, b"a");
            into(writer, b"b");
        })),
        forged(directory(|writer| {
            into(writer, b"a");
            link(writer, b"b");
        })),
    ] {
        let error = unpack(nar.as_slice(), &dir.join("out")).unwrap_err();
        assert!(matches!(error, TreeError::NotANar(_)), "{error:?}");
    }

    // And were the names to slip through, the file system would stop it: the link is there already.
    fs::create_dir(dir.join("jail")).unwrap();
    let jail = fs::File::open(dir.join("jail")).unwrap();
    unix::symlink(&outside, dir.join("jail/a")).unwrap();
    let nar = directory(|writer| {
        writer.entry(b"passwd").unwrap();
        writer.regular(false, 4, b"evil".as_slice()).unwrap();
    });
    let error = restore(nar.as_slice(), jail.as_fd(), OsStr::new("a"), Path::new("a")).unwrap_err();
    assert!(matches!(error, TreeError::Collision { .. }), "{error:?}");
    unix::symlink(outside.join("passwd"), dir.join("jail/f")).unwrap();
    let error =
        restore(nar_of(b"evil").as_slice(), jail.as_fd(), OsStr::new("f"), Path::new("f")).unwrap_err();
    assert!(matches!(error, TreeError::Collision { .. }), "{error:?}");

    assert_eq!(fs::read(dir.join("outside/passwd")).unwrap(), b"untouched");
    assert_eq!(fs::read_dir(dir.join("")).unwrap().count(), 2, "only `outside` and `jail` are left");
}

#[test]
fn t29_links_are_made_as_they_are_and_lead_nobody() {
    let dir = Workplace::new();
    let targets: [&[u8]; 5] = [b"/etc/shadow", b"../../etc", b"self", b"\xff\x1b[31m", &[b'x'; 4095]];
    let nar = directory(|writer| {
        for (n, target) in targets.into_iter().enumerate() {
            writer.entry(format!("{n}").as_bytes()).unwrap();
            writer.symlink(target).unwrap();
        }
    });
    unpack(nar.as_slice(), &dir.join("out")).unwrap();
    for (n, target) in targets.into_iter().enumerate() {
        assert_eq!(fs::read_link(dir.join(format!("out/{n}"))).unwrap().as_os_str().as_bytes(), target);
    }
    assert_eq!(dump(&dir.join("out")), nar);
}

#[test]
fn t31_the_destination_must_be_new_and_a_name() {
    let dir = Workplace::new();
    let nar = nar_of(b"new");
    fs::write(dir.join("file"), "old").unwrap();
    fs::create_dir(dir.join("dir")).unwrap();
    unix::symlink("nowhere", dir.join("dangling")).unwrap();
    unix::symlink("dir", dir.join("link")).unwrap();
    for name in ["file", "dir", "dangling", "link"] {
        let error = unpack(nar.as_slice(), &dir.join(name)).unwrap_err();
        assert!(matches!(error, TreeError::Exists { .. }), "{name}: {error:?}");
    }
    for name in ["dir/.", "dir/..", "dir/", "new/", "new/.", "link/", "..", "new//"] {
        let to = dir.join("").into_os_string().into_string().unwrap() + name;
        let error = unpack(nar.as_slice(), Path::new(&to)).unwrap_err();
        assert!(matches!(error, TreeError::Destination { .. }), "{name}: {error:?}");
    }
    for to in ["", ".", "..", "/", "//", "/."] {
        let error = unpack(nar.as_slice(), Path::new(to)).unwrap_err();
        assert!(matches!(error, TreeError::Destination { .. }), "{to:?}: {error:?}");
    }
    let error = unpack(nar.as_slice(), &dir.join("missing/out")).unwrap_err();
    assert!(matches!(error, TreeError::Io { .. }), "{error:?}");
    assert_eq!(fs::read(dir.join("file")).unwrap(), b"old");
    assert_eq!(fs::read_dir(dir.join("dir")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(dir.join("")).unwrap().count(), 4);
    // Through a link to a directory is the user's own wish.
    unpack(nar.as_slice(), &dir.join("link/new")).unwrap();
    assert_eq!(fs::read(dir.join("dir/new")).unwrap(), b"new");
}

#[test]
fn t26_a_nar_that_ends_early_leaves_nothing() {
    let dir = Workplace::new();
    let nar = directory(|writer| {
        writer.entry(b"a").unwrap();
        writer.directory().unwrap();
        writer.entry(b"b").unwrap();
        writer.regular(true, 5, b"hello".as_slice()).unwrap();
        writer.leave().unwrap();
    });
    for cut in 0..nar.len() {
        let error = unpack(&nar[..cut], &dir.join("out")).unwrap_err();
        assert!(matches!(error, TreeError::NotANar(_)), "cut at {cut}: {error:?}");
        assert_eq!(fs::read_dir(dir.join("")).unwrap().count(), 0, "cut at {cut}");
    }
}

#[test]
fn t22_names_that_the_file_system_takes_for_one_are_refused() {
    // Linux tells names apart, so the other name is there already, as on a file system that does not.
    let dir = Workplace::new();
    fs::create_dir(dir.join("taken")).unwrap();
    let parent = fs::File::open(dir.join("taken")).unwrap();
    for (name, nar) in [
        ("file", nar_of(b"x")),
        ("dir", directory(|_| ())),
        ("link", {
            let mut writer = Writer::new(Vec::new());
            writer.symlink(b"x").unwrap();
            writer.finish().unwrap()
        }),
    ] {
        fs::write(dir.join("taken").join(name), "").unwrap();
        let shown = Path::new("tree").join(name);
        let error = restore(nar.as_slice(), parent.as_fd(), OsStr::new(name), &shown).unwrap_err();
        assert!(matches!(&error, TreeError::Collision { path } if *path == shown), "{error:?}");
    }
    // And where they are told apart, both are there, under their own names.
    let nar = directory(|writer| {
        for name in ["Foo", "e\u{301}", "foo", "foo~nix~case~hack~1", "\u{e9}"] {
            writer.entry(name.as_bytes()).unwrap();
            writer.regular(false, 0, io::empty()).unwrap();
        }
    });
    unpack(nar.as_slice(), &dir.join("out")).unwrap();
    assert_eq!(dump(&dir.join("out")), nar);
}

#[test]
fn removing_a_tree_follows_no_link_and_minds_no_mode() {
    let dir = Workplace::new();
    fs::create_dir_all(dir.join("precious")).unwrap();
    fs::write(dir.join("precious/file"), "").unwrap();
    fs::create_dir_all(dir.join("tree/sub/empty")).unwrap();
    unix::symlink(dir.join("precious"), dir.join("tree/sub/link")).unwrap();
    unix::symlink(dir.join("tree"), dir.join("tree/loop")).unwrap();
    for sub in ["tree/sub", "tree"] {
        fs::set_permissions(dir.join(sub), fs::Permissions::from_mode(0o555)).unwrap();
    }
    remove_tree(&dir.join("tree")).unwrap();
    assert!(!dir.join("tree").exists());
    unix::symlink(dir.join("precious"), dir.join("link")).unwrap();
    remove_tree(&dir.join("link")).unwrap();
    assert!(dir.join("precious/file").exists());
    assert_eq!(remove_tree(&dir.join("nothing")).unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[test]
fn a_tree_added_to_the_store_is_what_nix_store_dumps() {
    let dir = Workplace::new();
    let store = Store::open(&dir.join("state")).unwrap();
    let tree = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store");
    let nar = store.add_tree(&tree).unwrap();
    let oracle = nix_store(&["--dump".as_ref(), tree.as_os_str()], Stdio::null());
    assert_eq!(fs::read(store.nar_path(&nar.hash)).unwrap(), oracle);
    let listed = Node::read(store.nar(&nar.hash).unwrap().unwrap()).unwrap();
    assert!(matches!(listed.lookup(b"mod.rs"), Some(Node::Regular { executable: false, .. })));
}

/// Not a test of anything but speed: prints figures.
#[test]
#[ignore = "benchmark: 512 MiB, prints MB/s"]
fn bench_pack_and_hash() {
    let dir = Workplace::new();
    let tree = dir.join("tree");
    fs::create_dir_all(tree.join("small")).unwrap();
    let block: Vec<u8> = (0..64u32 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for n in 0..7 {
        fs::write(tree.join(format!("big-{n}")), &block).unwrap();
    }
    for n in 0..8192 {
        fs::write(tree.join(format!("small/{n}")), &block[n..n + 8192]).unwrap();
    }
    let rate = |what: &str, bytes: u64, start: std::time::Instant| {
        let seconds = start.elapsed().as_secs_f64();
        println!("{what}: {:.0} MB/s ({seconds:.2} s)", bytes as f64 / 1e6 / seconds);
    };
    dump(&tree); // into the page cache
    for _ in 0..2 {
        let start = std::time::Instant::now();
        let (hash, size) = write_nar(&tree, NarHasher::default()).unwrap().finish();
        rate("pack and hash", size, start);

        let start = std::time::Instant::now();
        let script = format!("nix-store --dump {} | sha256sum", tree.display());
        let output = Command::new("sh").arg("-c").arg(script).output().unwrap();
        rate("nix-store --dump | sha256sum", size, start);
        let hex = data_encoding::HEXLOWER.encode(&hash.0);
        assert!(output.stdout.starts_with(hex.as_bytes()), "another hash");

        let store = Store::open(&dir.join("state")).unwrap();
        let start = std::time::Instant::now();
        let nar = store.add_tree(&tree).unwrap();
        rate("pack, hash, write durably", nar.size, start);
        let start = std::time::Instant::now();
        store.verify(&mut |_| {}).unwrap();
        rate("verify", nar.size, start);
        let start = std::time::Instant::now();
        unpack(store.nar(&nar.hash).unwrap().unwrap(), &dir.join("out")).unwrap();
        rate("unpack", nar.size, start);
        remove_tree(&dir.join("out")).unwrap();
    }
}
