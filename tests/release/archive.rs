//! `reprove release archive`, with GNU tar, gzip, zstd and Info-ZIP as oracles.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{
        ffi::OsStrExt as _,
        fs::{PermissionsExt as _, symlink},
    },
    path::Path,
};

use crate::{fail, reprove, run, succeed};

/// Everything that archives are known to disagree about.
fn tree(dir: &Path) {
    let at = |path: &str| dir.join("hello-1.0").join(path);
    for folder in ["bin", "empty", "a", "a-b", "a.b/c", "setgid"] {
        fs::create_dir_all(at(folder)).unwrap();
    }
    fs::write(at("bin/hello"), [0x7f, b'E', b'L', b'F'].repeat(5000)).unwrap();
    fs::write(at("bin/group-only"), "x").unwrap();
    fs::write(at("setuid"), "x").unwrap();
    for (path, mode) in [
        ("bin/hello", 0o775),
        ("bin/group-only", 0o610),
        ("setuid", 0o4755),
        ("setgid", 0o2700),
        ("a", 0o1777),
    ] {
        fs::set_permissions(at(path), fs::Permissions::from_mode(mode)).unwrap();
    }
    fs::write(at("private"), "secret").unwrap();
    fs::set_permissions(at("private"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::hard_link(at("private"), at("same-as-private")).unwrap();
    // A folder's name is sorted without the slash: `a` is before `a-b` is before `a.b`.
    for path in ["a/z", "a-b/z", "a.b/c/z", "a0", "A", "\u{e9}"] {
        fs::write(at(path), path).unwrap();
    }
    for size in [0, 1, 511, 512, 513, 10_240] {
        fs::write(at(&format!("of-{size}")), vec![b'n'; size]).unwrap();
    }
    fs::write(at("").join(OsStr::from_bytes(b"latin-\xe9")), "not UTF-8").unwrap();
    fs::write(at("new\nline"), "").unwrap();
    let inside = "hello-1.0/".len();
    for length in [98, 99, 100, 101, 102, 200, 255] {
        // Paths of these lengths in the archive, as files, folders, links, and as their targets.
        let name = |kind: &str| format!("{kind}{}", "x".repeat(length - inside - 1));
        fs::write(at(&name("f")), "").unwrap();
        fs::create_dir(at(&name("d"))).unwrap();
        symlink("t".repeat(length), at(&name("l"))).unwrap();
        symlink("t".repeat(length), at(&format!("l{length}"))).unwrap();
    }
    let mut deep = at("deep");
    for n in 0..40 {
        deep.push(format!("folder-{n}"));
    }
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("file"), "far down").unwrap();
    symlink("bin/hello", at("link")).unwrap();
    symlink("nowhere", at("dangling")).unwrap();
    symlink("/etc", at("to-a-folder")).unwrap();
}

const FLAGS: [&str; 7] = [
    "--sort=name",
    "--owner=0",
    "--group=0",
    "--numeric-owner",
    "--hard-dereference",
    "--format=gnu",
    "--mode=go=rX,u+rw,a-s",
];

fn gnu_tar(dir: &Path, mtime: u64) -> Vec<u8> {
    let mtime = format!("--mtime=@{mtime}");
    run(dir, "tar", &[&FLAGS[..], &[&mtime, "-cf", "-", "hello-1.0"]].concat())
}

#[test]
fn a_tar_archive_is_what_gnu_tar_writes() {
    let dir = tempfile::tempdir().unwrap();
    tree(dir.path());
    for mtime in [1, 0, 1_672_531_200, 8_589_934_591] {
        let text = mtime.to_string();
        succeed(dir.path(), &["release", "archive", "hello-1.0", "--to", "ours.tar", "--mtime", &text]);
        let (ours, gnu) = (fs::read(dir.path().join("ours.tar")).unwrap(), gnu_tar(dir.path(), mtime));
        let first = ours.iter().zip(&gnu).position(|(ours, gnu)| ours != gnu);
        assert_eq!((first, ours.len()), (None, gnu.len()), "mtime {mtime}: first difference, length");
    }
}

#[test]
fn compressed_archives_hold_the_same_tar_archive() {
    let dir = tempfile::tempdir().unwrap();
    tree(dir.path());
    let tar = gnu_tar(dir.path(), 1);
    fs::write(dir.path().join("gnu.tar"), &tar).unwrap();
    let inner = String::from_utf8(run(dir.path(), "sha256sum", &["gnu.tar"])).unwrap()[..64].to_owned();
    for (name, program, compressor) in [
        ("x.tar.gz", "gzip", "miniz_oxide"),
        ("x.tgz", "gzip", "miniz_oxide"),
        ("x.tar.zst", "zstd", "libzstd"),
    ] {
        let said = succeed(dir.path(), &["release", "archive", "hello-1.0", "--to", name, "--json", "-"]);
        let said: serde_json::Value = serde_json::from_str(&said).unwrap();
        assert_eq!(said["tar"]["sha256"], inner, "{name}");
        assert!(said["compressor"].as_str().unwrap().starts_with(compressor), "{said}");
        assert_eq!(said["sha256"], String::from_utf8(run(dir.path(), "sha256sum", &[name])).unwrap()[..64]);
        assert!(run(dir.path(), program, &["-dc", name]) == tar, "{name}");
    }
    // The header is that of `gzip -9n`.
    run(dir.path(), "gzip", &["-9nk", "gnu.tar"]);
    let header = |name| fs::read(dir.path().join(name)).unwrap()[..10].to_vec();
    assert_eq!(header("x.tar.gz"), header("gnu.tar.gz"));
}

#[test]
fn a_zip_file_unpacks_to_the_folder_it_was_made_of() {
    let dir = tempfile::tempdir().unwrap();
    tree(dir.path());
    fs::remove_file(dir.path().join("hello-1.0").join(OsStr::from_bytes(b"latin-\xe9"))).unwrap();
    let said = succeed(dir.path(), &["release", "archive", "hello-1.0", "--to", "x.zip"]);
    assert!(said.starts_with("sha256  "), "{said}");
    let python = "import zipfile; z = zipfile.ZipFile('x.zip'); assert z.testzip() is None\n\
                  for i in z.infolist():\n  \
                  assert i.date_time == (1980, 1, 1, 0, 0, 0) and not i.extra and not i.comment, i\n  \
                  print(oct(i.external_attr >> 16), i.file_size, ascii(i.filename))";
    let listed = String::from_utf8(run(dir.path(), "python3", &["-c", python])).unwrap();
    for line in [
        "0o40755 0 'hello-1.0/'",
        "0o100755 20000 'hello-1.0/bin/hello'",
        "0o100644 6 'hello-1.0/private'",
        "0o100644 0 'hello-1.0/of-0'",
        "0o120755 9 'hello-1.0/link'",
        "0o100644 2 'hello-1.0/\\xe9'",
    ] {
        assert!(listed.lines().any(|listed| listed == line), "{line}:\n{listed}");
    }
    // Info-ZIP unpacks it to the same tree, links included.
    fs::create_dir(dir.path().join("out")).unwrap();
    run(&dir.path().join("out"), "unzip", &["-q", "-^", "../x.zip"]);
    run(dir.path(), "diff", &["--recursive", "--no-dereference", "hello-1.0", "out/hello-1.0"]);
}

#[test]
fn nothing_of_the_host_gets_into_an_archive() {
    let dir = tempfile::tempdir().unwrap();
    let copy = tempfile::tempdir().unwrap();
    for (place, umask, order) in [(&dir, 0o022, [1, 2, 3]), (&copy, 0o077, [3, 1, 2])] {
        let at = |path: String| place.path().join("x").join(path);
        fs::create_dir(place.path().join("x")).unwrap();
        for n in order {
            fs::write(at(format!("f{n}")), n.to_string()).unwrap();
            fs::set_permissions(at(format!("f{n}")), fs::Permissions::from_mode(0o666 & !umask)).unwrap();
        }
        fs::set_permissions(place.path().join("x"), fs::Permissions::from_mode(0o777 & !umask)).unwrap();
    }
    for name in ["x.tar", "x.tar.gz", "x.tar.zst", "x.zip"] {
        let made = [&dir, &copy].map(|place| {
            succeed(place.path(), &["release", "archive", "x", "--to", name]);
            fs::read(place.path().join(name)).unwrap()
        });
        assert!(made[0] == made[1], "{name}");
    }
}

#[test]
fn the_time_is_that_of_the_option_or_of_the_environment() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("x")).unwrap();
    let archive = |environment: Option<&str>, args: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_reprove"));
        command.current_dir(dir.path()).env_remove("SOURCE_DATE_EPOCH");
        command.envs(environment.map(|time| ("SOURCE_DATE_EPOCH", time)));
        command.args(["release", "archive", "x", "--to", "x.tar", "--json", "-"]).args(args);
        let output = command.output().unwrap();
        serde_json::from_slice::<serde_json::Value>(&output.stdout).map(|said| said["mtime"].clone()).ok()
    };
    assert_eq!(archive(None, &[]), Some(1.into()));
    assert_eq!(archive(Some("7"), &[]), Some(7.into()));
    assert_eq!(archive(Some("7"), &["--mtime", "8"]), Some(8.into()));
    assert_eq!(archive(Some("yesterday"), &[]), None);
}

#[test]
fn what_cannot_be_archived_is_named_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("x")).unwrap();
    let archive = |to: &str, more: &[&str]| {
        fail(dir.path(), 1, &[&["release", "archive", "x", "--to", to], more].concat())
    };
    assert!(archive("x/x.tar", &[]).contains("in the folder that is archived"));
    assert!(archive("x.rar", &[]).contains("--format"));
    for root in ["", "..", "a/b"] {
        assert!(archive("x.tar", &["--root", root]).contains("RP1206"), "{root}");
    }
    assert!(archive("x.tar", &["--mtime", "8589934592"]).contains("RP1206"));
    fs::write(dir.path().join("x").join(OsStr::from_bytes(b"latin-\xe9")), "").unwrap();
    assert!(archive("x.zip", &[]).contains("RP1205"));
    run(dir.path(), "mkfifo", &["x/pipe"]);
    for format in ["tar", "tar.gz", "tar.zst", "zip"] {
        let said = archive("x.out", &["--format", format]);
        assert!(said.contains("RP1202") || format == "zip", "{said}");
    }
    let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["x"]);
    assert!(!reprove(dir.path(), &["release", "archive", "nowhere", "--to", "x.tar"]).status.success());
}
