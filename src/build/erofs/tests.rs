//! The oracles are erofs-utils: `fsck.erofs --extract` reads every image back.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::{
        ffi::{OsStrExt as _, OsStringExt as _},
        fs::MetadataExt as _,
    },
    path::Path,
    process::Command,
    sync::Arc,
};

use proptest::prelude::*;

use super::*;
use crate::build::drive::write_drive;

/// What an entry is, to compare: mode with type, owner, group, time, then data (a link's target).
type Seen = BTreeMap<Vec<u8>, (u32, u32, u32, i64, Option<Vec<u8>>)>;

fn image_file(image: &Image) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    let drive = write_drive(image, file.reopen().unwrap()).unwrap();
    assert_eq!(drive.len, file.as_file().metadata().unwrap().len());
    assert_eq!(drive.len % BLOCK, 0);
    let digest: [u8; 32] = sha2::Digest::finalize(sha2::Digest::chain_update(
        <sha2::Sha256 as sha2::Digest>::new(),
        fs::read(file.path()).unwrap(),
    ))
    .into();
    assert_eq!(digest, drive.sha256);
    file
}

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}; install the Debian package erofs-utils"));
    let text = format!("{}{}", output.stdout.escape_ascii(), output.stderr.escape_ascii());
    assert!(output.status.success(), "{program} {arguments:?}: {text}");
    text
}

fn extract(image: &Image) -> Seen {
    let file = image_file(image);
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("x");
    run("fsck.erofs", &[&format!("--extract={}", target.display()), file.path().to_str().unwrap()]);
    let mut seen = Seen::new();
    look(&target, &target, &mut seen);
    seen
}

fn look(root: &Path, path: &Path, seen: &mut Seen) {
    let meta = fs::symlink_metadata(path).unwrap();
    let data = if meta.is_symlink() {
        Some(fs::read_link(path).unwrap().into_os_string().into_vec())
    } else if meta.is_file() {
        Some(fs::read(path).unwrap())
    } else {
        for entry in fs::read_dir(path).unwrap() {
            look(root, &entry.unwrap().path(), seen);
        }
        None
    };
    let name = path.strip_prefix(root).unwrap().as_os_str().as_bytes().to_vec();
    // fsck.erofs does not set the times of links.
    let time = if meta.is_symlink() { 0 } else { meta.mtime() };
    seen.insert(name, (meta.mode(), meta.uid(), meta.gid(), time, data));
}

/// A tree to write: what is at which path; directories before what is in them.
fn image_of(tree: &Seen) -> Image {
    let meta =
        |mode: u32, uid, gid, time: i64| Meta { mode: mode as u16 & 0o7777, uid, gid, mtime: time as u64 };
    let (mode, uid, gid, time, _) = tree[b"".as_slice()].clone();
    let mut image = Image::new(meta(mode, uid, gid, time));
    let mut directories = BTreeMap::from([(Vec::new(), Image::ROOT)]);
    for (path, (mode, uid, gid, time, data)) in tree.iter().filter(|(path, _)| !path.is_empty()) {
        let slash = path.iter().rposition(|b| *b == b'/');
        let parent = directories[&path[..slash.unwrap_or(0)]];
        let name = &path[slash.map_or(0, |s| s + 1)..];
        let meta = meta(*mode, *uid, *gid, *time);
        match data {
            None => {
                directories.insert(path.clone(), image.directory(parent, name, meta).unwrap());
            }
            Some(target) if mode >> 12 == 0o12 => image.symlink(parent, name, meta, target).unwrap(),
            Some(bytes) => image.file(parent, name, meta, Data::Memory(bytes.clone())).unwrap(),
        }
    }
    image
}

fn check(tree: &Seen) {
    assert_eq!(&extract(&image_of(tree)), tree);
}

fn root() -> Seen {
    Seen::from([(Vec::new(), (0o40755, 0, 0, 1, None))])
}

#[test]
fn an_empty_image() {
    check(&root());
}

#[test]
fn files_around_the_block_size() {
    let mut tree = root();
    for size in
        [0, 1, 1023, 1024, 1025, 2880, 3967, 3968, 4031, 4032, 4033, 4095, 4096, 4097, 8191, 8192, 12289]
    {
        let data: Vec<u8> = (0..size).map(|i: u32| (i * 7 + size) as u8).collect();
        tree.insert(format!("f{size}").into_bytes(), (0o100_444, 0, 0, 1, Some(data)));
    }
    check(&tree);
}

#[test]
fn a_directory_of_five_thousand_entries() {
    let mut tree = root();
    tree.insert(b"d".to_vec(), (0o40555, 0, 0, 1, None));
    for n in 0..5000u32 {
        let name = format!("d/{:0width$}", n, width = 4 + n as usize % 40);
        tree.insert(name.into_bytes(), (0o100_444, 0, 0, 1, Some(n.to_le_bytes().to_vec())));
    }
    check(&tree);
}

#[test]
fn names_before_and_after_the_dots_and_of_any_bytes() {
    let mut tree = root();
    for name in [b"!".as_slice(), b"-", b".", b"..", b"...", b".a", b"/", b"0", b"\xff\xfe", b"a\nb", b"\x01"]
    {
        if ![b".".as_slice(), b"..", b"/"].contains(&name) {
            tree.insert(name.to_vec(), (0o100_644, 5, 7, 99, Some(name.to_vec())));
        }
    }
    let long = vec![b'n'; NAME_MAX];
    tree.insert(long, (0o120_777, 0, 0, 0, Some(vec![b't'; TARGET_MAX])));
    check(&tree);
}

#[test]
fn a_deep_tree_needs_no_deep_stack() {
    let mut image = Image::new(Meta::stored(0o755));
    let mut directory = Image::ROOT;
    for _ in 0..200_000 {
        directory = image.directory(directory, b"d", Meta::stored(0o555)).unwrap();
    }
    assert!(super::write(&image, &mut io::sink()).unwrap() > 200_000 * 64);
}

#[test]
fn the_order_of_adding_does_not_matter() {
    let build = |names: &[&str]| {
        let mut image = Image::new(Meta::stored(0o755));
        for name in names {
            let data = Data::Memory(name.as_bytes().to_vec());
            image.file(Image::ROOT, name.as_bytes(), Meta::stored(0o444), data).unwrap();
        }
        let mut out = Vec::new();
        super::write(&image, &mut out).unwrap();
        out
    };
    assert_eq!(build(&["a", "b", "c"]), build(&["c", "a", "b"]));
}

#[test]
fn store_objects_stream_from_their_nar() {
    let file = tempfile::tempfile().unwrap();
    let bytes: Vec<u8> = (0..100_000u32).map(|i| (i % 251) as u8).collect();
    io::Write::write_all(&mut &file, &bytes).unwrap();
    let region = Region::new(Arc::new(file), 100, 99_900);
    let tree = Node::Directory {
        entries: BTreeMap::from([
            (
                b"bin".to_vec(),
                Node::Directory {
                    entries: BTreeMap::from([(
                        b"x".to_vec(),
                        Node::Regular { executable: true, contents: Contents { offset: 17, size: 70_001 } },
                    )]),
                },
            ),
            (b"l".to_vec(), Node::Symlink { target: b"bin/x".to_vec() }),
            (
                b"t".to_vec(),
                Node::Regular { executable: false, contents: Contents { offset: 99_890, size: 10 } },
            ),
        ]),
    };
    let mut image = Image::new(Meta::stored(0o755));
    image.store_object(Image::ROOT, b"obj", &tree, &region).unwrap();
    let seen = extract(&image);
    assert_eq!(seen[b"obj/bin/x".as_slice()], (0o100_555, 0, 0, 1, Some(bytes[117..70_118].to_vec())));
    assert_eq!(seen[b"obj/t".as_slice()], (0o100_444, 0, 0, 1, Some(bytes[99_990..].to_vec())));
    assert_eq!(seen[b"obj/l".as_slice()].4.as_deref(), Some(b"bin/x".as_slice()));
    assert_eq!(seen[b"obj".as_slice()].0, 0o40555);
}

#[test]
fn a_file_shorter_than_its_size_is_an_error() {
    let region = Region::new(Arc::new(tempfile::tempfile().unwrap()), 0, 5000);
    let mut image = Image::new(Meta::stored(0o755));
    let data = Data::File(region, Contents { offset: 0, size: 5000 });
    image.file(Image::ROOT, b"f", Meta::stored(0o444), data).unwrap();
    let error = super::write(&image, &mut io::sink()).unwrap_err();
    assert!(matches!(&error, ErofsError::Read { name, .. } if name == "\"f\""), "{error}");
}

#[test]
fn a_file_over_four_gibibytes() {
    // A hole on disk, and the image goes nowhere: only the superblock and the inode are looked at.
    struct Head(Vec<u8>, u64);
    impl io::Write for Head {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.0.len() < 4096 {
                self.0.extend_from_slice(bytes);
            }
            self.1 += bytes.len() as u64;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let size = (4u64 << 30) + 5;
    let file = tempfile::tempfile().unwrap();
    file.set_len(size).unwrap();
    let mut image = Image::new(Meta::stored(0o755));
    let data = Data::File(Region::new(Arc::new(file), 0, size), Contents { offset: 0, size });
    image.file(Image::ROOT, b"big", Meta::stored(0o444), data).unwrap();
    let mut head = Head(Vec::new(), 0);
    let len = super::write(&image, &mut head).unwrap();
    assert_eq!((len, head.1), ((4 << 30) + 4096, (4 << 30) + 4096));
    // Root inode at 1152 with its three names behind it, then the file's.
    let inode = 1152 + 64 + 64;
    assert_eq!(head.0[inode + 8..inode + 16], size.to_le_bytes());
}

#[test]
fn names_and_targets_no_file_system_takes_are_refused() {
    let mut image = Image::new(Meta::stored(0o755));
    let long = vec![b'a'; 256];
    for name in [b"".as_slice(), b".", b"..", b"a/b", b"a\0b", &long] {
        let added = image.directory(Image::ROOT, name, Meta::stored(0o755));
        assert!(matches!(added, Err(ErofsError::Name(_))), "{}", name.escape_ascii());
    }
    for target in [b"".as_slice(), b"a\0", &[b'a'; 4096]] {
        let added = image.symlink(Image::ROOT, b"l", Meta::stored(0o777), target);
        assert!(matches!(added, Err(ErofsError::Target { .. })));
    }
    image.directory(Image::ROOT, b"twice", Meta::stored(0o755)).unwrap();
    image.directory(Image::ROOT, b"twice", Meta::stored(0o755)).unwrap();
    assert!(matches!(super::write(&image, &mut io::sink()), Err(ErofsError::Duplicate(_))));
}

#[test]
fn dump_erofs_reads_the_superblock() {
    let file = image_file(&image_of(&root()));
    let text = run("dump.erofs", &["-s", file.path().to_str().unwrap()]);
    assert!(text.contains("0xE0F5E1E2") && text.contains("root nid"), "{text}");
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select(b"ab.-\xff\n0".to_vec()), 1..5)
        .prop_filter("a name", |name| name != b"." && name != b"..")
}

fn trees() -> impl Strategy<Value = Seen> {
    let entry = (prop::collection::vec(name(), 1..5), 0..3u8, any::<u16>(), 0..6000usize);
    prop::collection::vec(entry, 0..60).prop_map(|entries| {
        let mut tree = root();
        for (path, kind, bits, size) in entries {
            let mut prefix = Vec::new();
            // Every part but the last becomes a directory, unless something else is there already.
            let (last, parents) = path.split_last().unwrap();
            let mut free = true;
            for part in parents {
                prefix = [prefix.as_slice(), if prefix.is_empty() { b"" } else { b"/" }, part].concat();
                let there = tree.entry(prefix.clone()).or_insert((0o40755, 1, 2, 3, None));
                free = there.4.is_none();
                if !free {
                    break;
                }
            }
            let whole = [prefix.as_slice(), if prefix.is_empty() { b"" } else { b"/" }, last].concat();
            if !free {
                continue;
            }
            let owner = (u32::from(bits), u32::from(bits) * 3);
            let mode = u32::from(bits) & 0o777;
            tree.entry(whole).or_insert(match kind {
                0 => (0o40000 | mode, owner.0, owner.1, 1, None),
                1 => (0o120_777, owner.0, owner.1, 0, Some(vec![b't'; 1 + size % 4095])),
                _ => (0o100_000 | mode, owner.0, owner.1, i64::from(bits), Some(vec![bits as u8; size])),
            });
        }
        tree
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn random_trees_come_back(tree in trees()) {
        prop_assert_eq!(extract(&image_of(&tree)), tree);
    }
}
