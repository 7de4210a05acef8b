use std::process::Command;

use super::mirrors::Archive;
use super::*;
use crate::source::deb::tests::build_package;

/// An archive in a folder, with one suite `sid` (a rolling one, so that it stands alone).
pub(crate) struct LocalArchive {
    folder: tempfile::TempDir,
}

impl LocalArchive {
    pub(crate) fn new() -> Self {
        let archive = LocalArchive { folder: tempfile::tempdir().unwrap() };
        std::fs::create_dir_all(archive.folder.path().join("pool")).unwrap();
        archive
    }

    pub(crate) fn add(&self, name: &str, version: &str) -> PathBuf {
        build_package(&self.folder.path().join("pool"), name, version, &[])
    }

    /// Writes the lists for whatever lies in the pool: `depends` is put into the first package's paragraph.
    pub(crate) fn publish(&self, depends: &str) {
        let mut packages = String::new();
        for entry in sorted(&self.folder.path().join("pool")) {
            let bytes = std::fs::read(&entry).unwrap();
            let deb = crate::source::deb::Deb::open(File::open(&entry).unwrap()).unwrap();
            let depends = if deb.name() == "first" { depends } else { "" };
            packages.push_str(&format!(
                "Package: {}\nVersion: {}\nArchitecture: amd64\nMaintainer: Nobody\n{depends}Filename: pool/{}\nSize: {}\nSHA256: {}\nDescription: test\n\n",
                deb.name(), deb.version(), entry.file_name().unwrap().to_str().unwrap(), bytes.len(), digest(&bytes),
            ));
        }
        let source = b"the source\n";
        std::fs::write(self.folder.path().join("pool/first_1.orig.tar.gz"), source).unwrap();
        let sources = format!(
            "Package: first\nBinary: first\nVersion: 1\nMaintainer: Nobody\nArchitecture: any\nFormat: 1.0\nDirectory: pool\n\
             Files:\n {} {size} first_1.orig.tar.gz\nChecksums-Sha256:\n {} {size} first_1.orig.tar.gz\n\n",
            "0".repeat(32),
            digest(source),
            size = source.len(),
        );
        let suite = self.folder.path().join("dists/sid");
        let mut release = "Suite: sid\nCodename: sid\nArchitectures: amd64\nComponents: main\nDate: Sat, 21 Nov 2026 00:00:00 UTC\nSHA256:\n".to_owned();
        for (path, text) in [("main/binary-amd64/Packages", packages), ("main/source/Sources", sources)] {
            let file = suite.join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, &text).unwrap();
            release.push_str(&format!(" {} {} {path}\n", digest(text.as_bytes()), text.len()));
        }
        std::fs::write(suite.join("Release"), release).unwrap();
    }

    /// Through apt's `copy:`, which fetches as a network does; `file:` only links to the archive.
    pub(crate) fn apt(&self, root: &Path, options: &str) -> Apt {
        let uri = format!("copy:{}", self.folder.path().display());
        Apt::new(root, Archives { main: Archive { uri, options: options.to_owned() }, security: None })
    }
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "deb"));
    files.sort();
    files
}

fn digest(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    hex(&sha2::Sha256::digest(bytes))
}

fn pin(text: &str) -> AptPin {
    text.parse().unwrap()
}

#[test]
fn a_package_is_found_fetched_and_checked() {
    let archive = LocalArchive::new();
    let package = archive.add("first", "1:1.0-1");
    archive.publish("");
    let root = tempfile::tempdir().unwrap();
    let apt = archive.apt(root.path(), "trusted=yes");
    let candidate = apt.candidate("sid", "amd64", "first").unwrap();
    let bytes = std::fs::read(&package).unwrap();
    assert_eq!((candidate.version.as_str(), candidate.size), ("1:1.0-1", bytes.len() as u64));
    assert_eq!(hex(&candidate.sha256), digest(&bytes));

    let pinned = pin("apt:sid/amd64/first=1:1.0-1");
    let fetched = apt.fetch(&pinned, Some(candidate.sha256)).unwrap();
    assert_eq!(std::fs::read(&fetched.path).unwrap(), bytes);

    // Fetched once, it is there without any archive, by hash.
    let gone = LocalArchive::new().apt(root.path(), "trusted=yes");
    assert_eq!(gone.fetch(&pinned, Some(candidate.sha256)).unwrap(), fetched);
    // And when the kept file was damaged, it is not taken.
    std::fs::write(&fetched.path, b"damaged").unwrap();
    assert_eq!(apt.fetch(&pinned, Some(candidate.sha256)).unwrap(), fetched);
    assert_eq!(std::fs::read(&fetched.path).unwrap(), bytes);

    // Another pinned hash is refused, whatever the archive says.
    let error = apt.fetch(&pinned, Some([7; 32])).unwrap_err();
    assert!(matches!(error, AptError::HashMismatch { .. }), "{error}");
}

#[test]
fn an_archive_that_lies_about_a_hash_is_caught() {
    let archive = LocalArchive::new();
    let package = archive.add("first", "1");
    archive.publish("");
    let mut bytes = std::fs::read(&package).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&package, bytes).unwrap();
    let root = tempfile::tempdir().unwrap();
    let apt = archive.apt(root.path(), "trusted=yes");
    assert!(apt.fetch(&pin("apt:sid/amd64/first=1"), None).is_err());
    assert!(sorted(root.path()).is_empty());
    assert!(
        !root.path().join("pool").exists()
            || std::fs::read_dir(root.path().join("pool")).unwrap().count() == 0
    );
}

#[test]
fn a_newer_version_is_found_by_refreshing_and_a_vanished_one_is_told() {
    let archive = LocalArchive::new();
    let old = archive.add("first", "1");
    archive.publish("");
    let root = tempfile::tempdir().unwrap();
    assert_eq!(
        archive.apt(root.path(), "trusted=yes").candidate("sid", "amd64", "first").unwrap().version,
        "1"
    );
    std::fs::remove_file(old).unwrap();
    archive.add("first", "2");
    archive.publish("");

    // Another run of the program finds the new one although its lists are old.
    let apt = archive.apt(root.path(), "trusted=yes");
    apt.fetch(&pin("apt:sid/amd64/first=2"), None).unwrap();
    let error = apt.fetch(&pin("apt:sid/amd64/first=1"), None).unwrap_err().to_string();
    for part in ["version 1 of first", "available: 2", "reprove source add", "reprove guest update"] {
        assert!(error.contains(part), "{error}");
    }
    let error = apt.fetch(&pin("apt:sid/amd64/second=1"), None).unwrap_err();
    assert!(matches!(error, AptError::UnknownPackage { .. }), "{error}");
    let error = apt.candidate("sid", "amd64", "second").unwrap_err();
    assert!(matches!(error, AptError::UnknownPackage { .. }), "{error}");
}

#[test]
fn dependencies_are_resolved_as_if_nothing_were_installed() {
    let archive = LocalArchive::new();
    archive.add("first", "1");
    archive.add("libc6", "1:9");
    archive.add("unrelated", "1");
    archive.publish("Depends: libc6 (>= 1:2)\n");
    let root = tempfile::tempdir().unwrap();
    let all = archive.apt(root.path(), "trusted=yes").resolve("sid", "amd64", &["first"]).unwrap();
    let all: Vec<_> = all.iter().map(|one| (one.package.as_str(), one.version.as_str())).collect();
    assert_eq!(all, [("first", "1"), ("libc6", "1:9")]);
}

#[test]
fn a_source_file_is_fetched() {
    let archive = LocalArchive::new();
    archive.add("first", "1");
    archive.publish("");
    let root = tempfile::tempdir().unwrap();
    let apt = archive.apt(root.path(), "trusted=yes");
    let files = apt.source_files("sid", "first", "1").unwrap();
    assert_eq!(files.len(), 1);
    let wanted = pin("apt:sid/source/first=1/first_1.orig.tar.gz");
    let fetched = apt.fetch(&wanted, Some(files[0].sha256)).unwrap();
    assert_eq!(std::fs::read(fetched.path).unwrap(), b"the source\n");
    let error = apt.fetch(&pin("apt:sid/source/first=1/first_1.debian.tar.xz"), None).unwrap_err();
    assert!(error.to_string().contains("first_1.orig.tar.gz"), "{error}");
    assert!(matches!(apt.fetch(&pin("apt:sid/source/first=2/x"), None), Err(AptError::VersionGone { .. })));
}

#[test]
fn an_archive_nobody_signed_is_refused() {
    let archive = LocalArchive::new();
    archive.add("first", "1");
    archive.publish("");
    let root = tempfile::tempdir().unwrap();
    let error = archive.apt(root.path(), "lang=none").candidate("sid", "amd64", "first").unwrap_err();
    assert!(matches!(&error, AptError::Update { said, .. } if said.contains("not signed")), "{error}");
}

#[test]
fn the_systems_apt_is_not_touched() {
    let archive = LocalArchive::new();
    archive.add("first", "1");
    archive.publish("");
    let root = tempfile::tempdir().unwrap();
    archive.apt(root.path(), "trusted=yes").candidate("sid", "amd64", "first").unwrap();
    let conf = root.path().join("sid-amd64/apt.conf");
    let dump = Command::new("apt-config").env("APT_CONFIG", conf).arg("dump").output().unwrap();
    let dump = String::from_utf8(dump.stdout).unwrap();
    // Hooks of the system could do anything, and every folder that apt writes must be ours.
    assert!(!dump.contains("Invoke"), "{dump}");
    let ours = root.path().to_str().unwrap();
    for name in ["Dir::State", "Dir::Cache", "Dir::Log", "Dir::State::status", "Dir::Etc::sourcelist"] {
        let line = dump.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap();
        assert!(line.contains(ours), "{line}");
    }
}

#[test]
fn what_apt_began_holds_the_lock_until_it_ends() {
    let root = tempfile::tempdir().unwrap();
    let main = Archive { uri: "copy:/nowhere".to_owned(), options: String::new() };
    let archives = Archives { main, security: None };
    let state = state::State::open(root.path(), "sid", "amd64", &archives).unwrap();
    // Whose standard input it is keeps it when we are gone.
    let held = state.tool("readlink").args(["/proc/self/fd/0"]).run().unwrap();
    assert_eq!(Path::new(held.trim_end()), root.path().join("sid-amd64/lock"));
}

#[test]
fn names_that_are_none_never_reach_apt() {
    let root = tempfile::tempdir().unwrap();
    let apt = LocalArchive::new().apt(root.path(), "trusted=yes");
    for (suite, arch, package) in
        [("../x", "amd64", "a"), ("sid", "amd64\n", "a"), ("sid", "amd64", "-o"), ("sid", "", "a")]
    {
        assert!(matches!(apt.candidate(suite, arch, package), Err(AptError::Pin(_))));
    }
    assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0);
}

#[test]
#[ignore = "slow: downloads package lists of three suites from the machine's mirror"]
fn the_machines_mirror_serves_other_suites_and_architectures() {
    let root = tempfile::tempdir().unwrap();
    let apt = Apt::of_machine(root.path());
    for (suite, arch, member) in [
        ("bookworm", "amd64", b"bin/busybox".as_slice()),
        ("trixie", "riscv64", b"usr/bin/busybox".as_slice()),
    ] {
        let candidate = apt.candidate(suite, arch, "busybox-static").unwrap();
        let pinned = AptPin::package(suite, arch, "busybox-static", &candidate.version);
        let fetched = apt.fetch(&pinned, Some(candidate.sha256)).unwrap();
        let mut deb = crate::source::deb::Deb::open(File::open(&fetched.path).unwrap()).unwrap();
        assert_eq!((deb.version(), deb.architecture()), (candidate.version.as_str(), arch));
        let busybox = deb.member(member).unwrap();
        assert!(busybox.executable && busybox.bytes.starts_with(b"\x7fELF"));
        let closure = apt.resolve(suite, arch, &["gcc"]).unwrap();
        assert!(closure.iter().any(|one| one.package == "libc6"));
    }
    // GNU hello 2.10, whose hash stands in many places.
    let wanted = pin("apt:bookworm/source/hello=2.10-3/hello_2.10.orig.tar.gz");
    let fetched = apt.fetch(&wanted, None).unwrap();
    assert_eq!(hex(&fetched.sha256), "31e066137a962676e89f69d1b65382de95a7ef7d914b8cb956f41ea72e0f516b");
}

#[test]
fn lists_of_another_moment_than_the_release_file_still_tell_where_a_package_of_known_bytes_lies() {
    let archive = LocalArchive::new();
    let bytes = std::fs::read(archive.add("first", "1")).unwrap();
    archive.publish("");
    // The mirror has a newer Release file, and not yet the lists that it names.
    let release = archive.folder.path().join("dists/sid/Release");
    let text = std::fs::read_to_string(&release).unwrap();
    let (of_packages, hash) = text
        .lines()
        .find_map(|line| {
            line.ends_with("Packages")
                .then(|| (line.to_owned(), line.split_whitespace().next().unwrap().to_owned()))
        })
        .unwrap();
    let newer = of_packages.replace(&hash, &"0".repeat(64));
    std::fs::write(&release, text.replace(&of_packages, &newer)).unwrap();
    let root = tempfile::tempdir().unwrap();
    let apt = archive.apt(root.path(), "trusted=yes");
    let wanted = pin("apt:sid/amd64/first=1");
    // Of what is not fetched, but pinned, nobody is believed.
    assert!(matches!(apt.candidate("sid", "amd64", "first"), Err(AptError::Update { .. })));
    // Whoever takes a member out of it holds that against a hash.
    let fetched = apt.fetch(&wanted, None).unwrap();
    assert_eq!(std::fs::read(&fetched.path).unwrap(), bytes);
    std::fs::remove_file(&fetched.path).unwrap();
    let expected: [u8; 32] =
        data_encoding::HEXLOWER.decode(digest(&bytes).as_bytes()).unwrap().try_into().unwrap();
    for _ in 0..2 {
        let fetched = apt.fetch(&wanted, Some(expected)).unwrap();
        assert_eq!(std::fs::read(&fetched.path).unwrap(), bytes);
        std::fs::remove_file(&fetched.path).unwrap();
    }
    // Lists that were fetched before and are cut off, or are something else, are fetched again.
    for damaged in [&b"Package: fir"[..], &[0xff; 64]] {
        for form in ["Packages.xz", "Packages.gz", "Packages"] {
            std::fs::write(root.path().join("sid-amd64").join(format!("hint-{form}")), damaged).unwrap();
        }
        let fetched = apt.fetch(&wanted, Some(expected)).unwrap();
        assert_eq!(std::fs::read(&fetched.path).unwrap(), bytes);
        std::fs::remove_file(&fetched.path).unwrap();
    }
    // Other bytes, and what the lists do not know, are errors as before.
    assert!(apt.fetch(&wanted, Some([7; 32])).is_err());
    assert!(matches!(apt.fetch(&pin("apt:sid/amd64/first=2"), Some(expected)), Err(AptError::Update { .. })));
}

#[test]
fn a_path_that_leads_out_of_the_archive_is_none() {
    for path in
        ["../x.deb", "pool/../../x.deb", "/etc/x.deb", "pool//x.deb", "pool/x y.deb", "pool/.x.deb", ""]
    {
        let text = format!("Package: a\nVersion: 1\nFilename: {path}\nSize: 1\nSHA256: 00\n");
        let listed = index::parse(&text).unwrap().pop().unwrap();
        assert_eq!(listed.in_archive("http://archive"), None, "{path}");
    }
}
