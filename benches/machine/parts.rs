//! What is run: the released guest, programs of our own in C, busybox and gcc's compiler proper from Debian.
//!
//! The compiler is the same release twice, for riscv64 on riscv64 and for riscv64 on the host, so that what it prints can
//! be compared.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use reprove::guest::{Bundle, Cache, Lock, cpio::Archive};
use reprove::machine::Arch;
use reprove::source::apt::{Apt, Candidate};
use reprove::source::deb::Deb;
use reprove::source::pin::{AptPart, AptPin};
use reprove::source::tar::{Kind, Reader};

/// Guest memory in bytes.
pub const MEMORY: u64 = 1 << 30;

/// What the released guest writes when it has booted and waits for its drives.
pub const ATTACH: &[u8] = b"\n@reprove - attach";

/// The suite of the packages: the guest's kernel is of the same.
const SUITE: &str = "trixie";

/// The compiler, and what of its closure it is linked with.
const COMPILER: &str = "cpp-14-riscv64-linux-gnu";
const LIBRARIES: &[&str] = &[
    "libc.so.6",
    "libm.so.6",
    "libgmp.so.10",
    "libisl.so.23",
    "libmpc.so.3",
    "libmpfr.so.6",
    "libz.so.1",
    "libzstd.so.1",
];

/// What the compiler compiles: zlib's deflate.c, which with `Z_SOLO` needs no headers but its own.
const COMPILED: &[&str] = &["deflate.c", "deflate.h", "gzguts.h", "trees.h", "zconf.h", "zlib.h", "zutil.h"];

const WORK: &str = include_str!("work.c");
const TRUE: &str = include_str!("true.c");
const INIT: &str = include_str!("workloads.sh");

/// A file of the guest or of the folder on the host: its path, and its contents.
type Files = BTreeMap<String, Vec<u8>>;

/// Everything the engines run.
pub struct Parts {
    /// The released guest.
    pub guest: Bundle,
    /// The initial file system with the workloads.
    pub initrd: Vec<u8>,
    /// Whether the boot of the released guest is measured.
    pub boot: bool,
    native: Files,
    workloads: Vec<&'static str>,
}

impl Parts {
    /// Fetches and compiles what the workloads need. Packages are kept for the next time.
    pub fn gather(workloads: &[&'static str]) -> Parts {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let apt = Apt::of_machine(&folder.join("apt"));
        eprintln!("guest, programs and packages ...");
        let guest =
            Cache::new(folder.join("guests")).get(Arch::Riscv64, &Lock::released().unwrap(), &apt).unwrap();
        let boot = workloads.contains(&"boot");
        let workloads: Vec<&str> = workloads.iter().filter(|name| **name != "boot").copied().collect();
        let mut common = Files::from([
            ("init".to_owned(), INIT.as_bytes().to_vec()),
            ("bench/workloads".to_owned(), workloads.join("\n").into_bytes()),
        ]);
        if workloads.contains(&"cc1") {
            common.extend(deflate(&apt));
        }
        let files = |arch: &str, compiler: &str, package: &str| {
            let mut files = common.clone();
            files.insert("bench/work".to_owned(), compile(compiler, package, "work", WORK));
            files.insert("bench/true".to_owned(), compile(compiler, package, "true", TRUE));
            files.extend(busybox(&apt, arch));
            if workloads.contains(&"cc1") {
                files.extend(compiler_proper(&apt, arch));
            }
            files
        };
        let host = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        let native = files(host, "cc", "gcc");
        let initrd = pack(&files("riscv64", "riscv64-linux-gnu-gcc", "gcc-riscv64-linux-gnu"));
        Parts { guest, initrd, boot, native, workloads }
    }

    /// Whether there is anything to run but the boot.
    pub fn has_workloads(&self) -> bool {
        !self.workloads.is_empty()
    }

    /// Writes the host's files to `folder`.
    pub fn lay_out_native(&self, folder: &Path) {
        for (path, contents) in &self.native {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, contents).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        std::os::unix::fs::symlink("busybox", folder.join("bin/sh")).unwrap();
    }
}

/// The guest's files as an initial file system.
fn pack(files: &Files) -> Vec<u8> {
    let mut archive = Archive::default();
    for folder in ["bin", "bench", "dev"] {
        archive.directory(folder);
    }
    archive.device("dev/console", 5, 1);
    archive.device("dev/null", 1, 3);
    archive.link("bin/sh", "busybox");
    for (path, contents) in files {
        archive.file(path, 0o755, contents);
    }
    archive.finish()
}

/// A static program.
fn compile(compiler: &str, package: &str, name: &str, source: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("source.c"), folder.path().join(name));
    fs::write(&from, source).unwrap();
    let status = Command::new(compiler).args(["-O2", "-static", "-o"]).arg(&to).arg(&from).status();
    let status = status.unwrap_or_else(|error| {
        panic!("{compiler}: {error}; `scripts/install-deps --bench` installs it (Debian: {package})")
    });
    assert!(status.success(), "{compiler} failed");
    fs::read(to).unwrap()
}

fn busybox(apt: &Apt, arch: &str) -> Files {
    let candidate = apt.candidate(SUITE, arch, "busybox-static").unwrap();
    let package =
        Package::read(apt, arch, &candidate, |folder, name| folder.ends_with("bin") && name == "busybox");
    Files::from([("bin/busybox".to_owned(), package.get("busybox").expect("busybox-static has no busybox"))])
}

/// The compiler proper with its libraries, side by side.
fn compiler_proper(apt: &Apt, arch: &str) -> Files {
    let mut closure = apt.resolve(SUITE, arch, &[COMPILER]).unwrap();
    closure.retain(|one| ["lib", "zlib", COMPILER].iter().any(|start| one.package.starts_with(start)));
    let mut files = Files::new();
    for one in closure {
        let package = Package::read(apt, arch, &one, |folder, name| {
            folder.ends_with("-linux-gnu") && name.contains(".so") || folder.ends_with("/14") && name == "cc1"
        });
        for wanted in LIBRARIES.iter().copied().chain(["cc1"]) {
            if let Some(contents) = package.get(wanted) {
                files.insert(format!("bench/{wanted}"), contents);
            }
        }
        if let Some(name) = package.files.keys().find(|name| name.starts_with("ld-linux-")) {
            files.insert("bench/loader".to_owned(), package.files[name].clone());
        }
    }
    for wanted in LIBRARIES.iter().copied().chain(["cc1", "loader"]) {
        assert!(files.contains_key(&format!("bench/{wanted}")), "no {wanted} for {arch} in {SUITE}");
    }
    files
}

/// zlib's deflate.c and its headers.
fn deflate(apt: &Apt) -> Files {
    let library = apt.candidate(SUITE, "riscv64", "zlib1g").unwrap().version;
    // Without the number of a rebuild, which the source has not.
    let version = library.split("+b").next().unwrap().to_owned();
    let files = apt.source_files(SUITE, "zlib", &version).unwrap();
    let file = files.iter().find(|file| file.name.contains(".orig.tar.")).unwrap();
    let part = AptPart::Source { file: file.name.clone() };
    let pin = AptPin { suite: SUITE.to_owned(), package: "zlib".to_owned(), version, part };
    let path = apt.fetch(&pin, Some(file.sha256)).unwrap().path;
    let archive = File::open(path).unwrap();
    let archive: Box<dyn Read> = match file.name.rsplit('.').next() {
        Some("xz") => Box::new(liblzma::read::XzDecoder::new(archive)),
        Some("gz") => Box::new(flate2::read::GzDecoder::new(archive)),
        _ => panic!("{} is compressed in another way than xz or gzip", file.name),
    };
    let mut reader = Reader::new(archive, Default::default());
    let mut found = Files::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        let path = String::from_utf8(entry.path).unwrap();
        if let Some(name) = path.split_once('/').map(|(_, name)| name).filter(|name| COMPILED.contains(name))
        {
            let mut contents = Vec::new();
            reader.contents().read_to_end(&mut contents).unwrap();
            found.insert(format!("bench/{name}"), contents);
        }
    }
    assert!(found.contains_key("bench/deflate.c"), "{} has no deflate.c", file.name);
    found
}

/// Files of a package by their names without folders, and links to them.
struct Package {
    files: Files,
    links: BTreeMap<String, String>,
}

impl Package {
    /// What of a package `wanted` wants, by folder and name.
    fn read(apt: &Apt, arch: &str, one: &Candidate, wanted: impl Fn(&str, &str) -> bool) -> Package {
        let pin = AptPin::package(SUITE, arch, &one.package, &one.version);
        let file = File::open(apt.fetch(&pin, Some(one.sha256)).unwrap().path).unwrap();
        let mut deb = Deb::open(file).unwrap();
        let mut reader = deb.data().unwrap();
        let mut package = Package { files: Files::new(), links: BTreeMap::new() };
        while let Some(entry) = reader.next_entry().unwrap() {
            let path = String::from_utf8_lossy(&entry.path).into_owned();
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
            if !wanted(folder, name) {
                continue;
            }
            match entry.kind {
                Kind::Regular => {
                    let mut contents = Vec::new();
                    reader.contents().read_to_end(&mut contents).unwrap();
                    package.files.insert(name.to_owned(), contents);
                }
                Kind::Symlink(target) => {
                    package.links.insert(name.to_owned(), String::from_utf8_lossy(&target).into_owned());
                }
                _ => {}
            }
        }
        package
    }

    /// The contents of `name`, or of the file it is a link to.
    fn get(&self, name: &str) -> Option<Vec<u8>> {
        self.files.get(self.links.get(name).map_or(name, String::as_str)).cloned()
    }
}
