use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;

use super::*;
use crate::nix::derivation::Derivation;
use crate::nix::nar::Writer;
use crate::nix::store_path::StorePath;
use crate::source::apt::tests::LocalArchive;
use crate::source::fixed_output::tests::derivation;
use crate::source::{Added, Natively};

const HELLO: &[u8] = b"hello\n";

struct Fixture {
    folder: tempfile::TempDir,
    store: Store,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("state")).unwrap();
        Fixture { folder, store }
    }

    fn provider(&self) -> Provider<'_> {
        Provider::new(&self.store)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn add(&self, path: &Path) -> Added {
        Files::of(&self.store).add(path).unwrap()
    }

    /// The NAR in the store for `provided`.
    fn nar(&self, provided: &Provided) -> Vec<u8> {
        use std::io::Read as _;
        let mut nar = Vec::new();
        self.store.nar(&provided.info.nar_hash).unwrap().unwrap().read_to_end(&mut nar).unwrap();
        nar
    }
}

fn nar_of_file(executable: bool, bytes: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    writer.regular(executable, bytes.len() as u64, bytes).unwrap();
    writer.finish().unwrap()
}

fn flat(algorithm: Algorithm, bytes: &[u8], env: &[(&str, &str)]) -> FixedOutput {
    derivation("hello.txt", Method::Flat, &Hash::of(algorithm, bytes), env)
}

fn recursive(nar: &[u8], env: &[(&str, &str)]) -> FixedOutput {
    derivation("hello", Method::Recursive, &Hash::of(Algorithm::Sha256, nar), env)
}

/// Answers every request on loopback with what `answer` makes of its path, until the test ends.
fn serve(answer: impl Fn(&str) -> Vec<u8> + Send + 'static) -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}/mirror", listener.local_addr().unwrap());
    let (seen, requests) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let first = lines.next().unwrap().unwrap();
            while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
            let path = first.split(' ').nth(1).unwrap().to_owned();
            let _ = stream.write_all(&answer(&path));
            let _ = seen.send(path);
        }
    });
    (base, requests)
}

fn ok(body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn status(line: &str, headers: &str) -> Vec<u8> {
    format!("HTTP/1.1 {line}\r\nContent-Length: 0\r\nConnection: close\r\n{headers}\r\n").into_bytes()
}

#[test]
fn a_file_added_by_hand_is_found_by_every_hash() {
    let fixture = Fixture::new();
    fixture.add(&fixture.write("whatever it is called", HELLO));
    for algorithm in Algorithm::ALL {
        let provided = fixture.provider().provide(&flat(algorithm, HELLO, &[])).unwrap();
        assert_eq!(provided.place, "file folder");
        assert_eq!(fixture.nar(&provided), nar_of_file(false, HELLO));
    }
    for executable in [false, true] {
        let nar = nar_of_file(executable, HELLO);
        let provided = fixture.provider().provide(&recursive(&nar, &[])).unwrap();
        assert_eq!(fixture.nar(&provided), nar);
    }
}

#[test]
fn what_is_in_the_store_is_not_looked_for() {
    let fixture = Fixture::new();
    fixture.add(&fixture.write("hello", HELLO));
    let fixed = flat(Algorithm::Sha256, HELLO, &[]);
    let first = fixture.provider().provide(&fixed).unwrap();
    std::fs::remove_dir_all(fixture.store.files_dir().join("objects")).unwrap();
    let second = fixture.provider().provide(&fixed).unwrap();
    assert_eq!((second.info, second.place.as_str()), (first.info, "store"));
}

#[test]
fn a_folder_and_a_nar_are_found_by_their_nar_hash() {
    let fixture = Fixture::new();
    let tree = fixture.folder.path().join("tree");
    std::fs::create_dir(&tree).unwrap();
    std::fs::write(tree.join("file"), HELLO).unwrap();
    let mut nar = Writer::new(Vec::new());
    nar.directory().unwrap();
    nar.entry(b"file").unwrap();
    nar.regular(false, HELLO.len() as u64, HELLO).unwrap();
    nar.leave().unwrap();
    let nar = nar.finish().unwrap();
    let fixed = recursive(&nar, &[]);
    assert_eq!(fixture.add(&tree), Added { flat: None, recursive: fixed.hash.clone() });
    assert_eq!(fixture.nar(&fixture.provider().provide(&fixed).unwrap()), nar);

    let other = Fixture::new();
    other.add(&other.write("tree.nar", &nar));
    assert_eq!(other.nar(&other.provider().provide(&fixed).unwrap()), nar);
}

#[test]
fn a_damaged_file_of_the_folder_is_never_used() {
    let fixture = Fixture::new();
    let path = fixture.write("hello", HELLO);
    fixture.add(&path);
    let objects = fixture.store.files_dir().join("objects");
    let object = std::fs::read_dir(objects).unwrap().next().unwrap().unwrap().path();
    std::fs::remove_file(&object).unwrap();
    std::fs::write(&object, b"jello\n").unwrap();
    let fixed = flat(Algorithm::Sha256, HELLO, &[]);
    let error = fixture.provider().provide(&fixed).unwrap_err();
    assert!(error.is_hash_mismatch(), "{error}");
    assert_eq!(fixture.store.paths().unwrap().count(), 0);
    // Adding it again mends it.
    fixture.add(&path);
    fixture.provider().provide(&fixed).unwrap();
}

#[test]
fn an_index_that_points_elsewhere_is_not_followed() {
    let fixture = Fixture::new();
    fixture.add(&fixture.write("hello", HELLO));
    let fixed = flat(Algorithm::Sha256, HELLO, &[]);
    let index =
        fixture.store.files_dir().join("index").join(format!("sha256-{}.flat", fixed.hash.to_base16()));
    for text in [r#"{"object":"../../../etc/passwd","form":"file","name":"x"}"#, "{}", "", "\0"] {
        std::fs::remove_file(&index).unwrap();
        std::fs::write(&index, text).unwrap();
        let error = fixture.provider().provide(&fixed).unwrap_err().to_string();
        assert!(error.contains("is damaged"), "{error}");
    }
}

#[test]
fn a_mirror_is_asked_by_algorithm_and_hash() {
    let fixture = Fixture::new();
    let (base, requests) = serve(|_| ok(HELLO));
    let fixed = flat(Algorithm::Sha512, HELLO, &[]);
    let provider = fixture.provider().with_mirror(Mirror::new(&base).unwrap());
    let provided = provider.provide(&fixed).unwrap();
    let path = requests.recv().unwrap();
    assert_eq!(path, format!("/mirror/sha512/{}", fixed.hash.to_base16()));
    assert!(provided.place.starts_with(&base), "{}", provided.place);
    assert!(matches!(&provided.info.origin, Origin::Source { place } if *place == provided.place));
}

#[test]
fn wrong_bytes_are_remembered_and_the_next_place_is_asked() {
    let fixture = Fixture::new();
    let (lying, _requests) = serve(|_| ok(b"other bytes\n"));
    let (honest, _more) = serve(|_| ok(HELLO));
    let fixed = flat(Algorithm::Sha256, HELLO, &[]);
    let only_lying = fixture.provider().with_mirror(Mirror::new(&lying).unwrap());
    let error = only_lying.provide(&fixed).unwrap_err();
    assert!(error.is_hash_mismatch());
    let got = Hash::of(Algorithm::Sha256, b"other bytes\n");
    for part in [fixed.hash.to_sri(), got.to_sri(), lying.clone(), fixed.drv.to_string()] {
        assert!(error.to_string().contains(&part), "{error}");
    }
    assert_eq!(fixture.store.paths().unwrap().count(), 0);
    let both = only_lying.with_mirror(Mirror::new(&honest).unwrap());
    assert!(both.provide(&fixed).unwrap().place.starts_with(&honest));
}

#[test]
fn t47_a_body_that_is_cut_off_is_an_error() {
    let fixture = Fixture::new();
    let (base, _requests) = serve(|_| b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhel".to_vec());
    let fixed = flat(Algorithm::Sha256, HELLO, &[]);
    let error = fixture.provider().with_mirror(Mirror::new(&base).unwrap()).provide(&fixed).unwrap_err();
    assert!(
        matches!(&error, SourceError::Missing(found) if matches!(found.tried[1].answer, Answer::Failed(_))),
        "{error}"
    );
}

#[test]
fn t52_a_refusal_or_failure_is_not_an_absence() {
    let fixture = Fixture::new();
    let fixed = flat(Algorithm::Sha256, HELLO, &[]);
    for (line, absent) in
        [("404 Not Found", true), ("403 Forbidden", false), ("500 Oops", false), ("204 No Content", false)]
    {
        let (base, _requests) = serve(move |_| status(line, ""));
        let error = fixture.provider().with_mirror(Mirror::new(&base).unwrap()).provide(&fixed).unwrap_err();
        let SourceError::Missing(found) = &error else { panic!("{error}") };
        assert_eq!(found.tried[1].answer == Answer::NotThere, absent, "{error}");
    }
}

#[test]
fn t43_redirects_lead_to_no_other_scheme_and_not_in_circles() {
    let fixture = Fixture::new();
    let file = fixture.write("hello", HELLO);
    let fixed = flat(Algorithm::Sha256, HELLO, &[]);
    for target in [format!("file://{}", file.display()), "/mirror/again".to_owned()] {
        let (base, _requests) = serve(move |_| status("302 Found", &format!("Location: {target}\r\n")));
        let error = fixture.provider().with_mirror(Mirror::new(&base).unwrap()).provide(&fixed).unwrap_err();
        assert!(matches!(error, SourceError::Missing(_)), "{error}");
    }
    for base in ["file:///etc", "ftp://x/", "http://x/?y", "http://x/\r\nHost: y", ""] {
        assert!(Mirror::new(base).is_err(), "{base}");
    }
}

#[test]
fn a_missing_source_says_what_where_and_how() {
    let fixture = Fixture::new();
    let env = [("urls", "mirror://gnu/hello/hello-2.10.tar.gz apt:sid/source/hello=2.10-3/x")];
    let fixed = flat(Algorithm::Sha256, HELLO, &env);
    let error = fixture.provider().provide(&fixed).unwrap_err();
    assert!(!error.is_hash_mismatch());
    let text = error.to_string();
    for part in [
        fixed.drv.to_string().as_str(),
        &fixed.hash.to_sri(),
        "file folder: not there",
        "mirror://gnu/hello/hello-2.10.tar.gz: not asked",
        "apt:sid/source/hello=2.10-3/x: not asked",
        "nix program: not asked",
        "reprove source add hello-2.10.tar.gz",
    ] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
}

#[test]
fn a_hostile_name_does_not_become_shell_syntax() {
    let fixed = flat(Algorithm::Sha256, HELLO, &[("urls", "http://x/$(reboot);'.tar")]);
    let text = SourceError::not_found(&fixed, Vec::new()).to_string();
    assert!(text.ends_with(r"reprove source add './$(reboot);'\''.tar'"), "{text}");
}

#[test]
fn file_urls_are_read_when_they_name_a_regular_file() {
    let fixture = Fixture::new();
    let path = fixture.write("hello there", HELLO);
    let url = format!("file://{}", path.display()).replace(' ', "%20");
    let provided = fixture.provider().provide(&flat(Algorithm::Sha256, HELLO, &[("url", &url)])).unwrap();
    assert_eq!(provided.place, url);
    for url in
        ["file:///dev/zero", "file:///", "file://host/x", "file:///%", "file:///%00", "file:///nowhere"]
    {
        let fixed = flat(Algorithm::Sha256, b"another", &[("url", url)]);
        let error = fixture.provider().provide(&fixed).unwrap_err();
        assert!(matches!(error, SourceError::Missing(_)), "{url}: {error}");
    }
}

#[test]
fn a_derivation_that_lies_about_its_path_is_refused() {
    let fixture = Fixture::new();
    fixture.add(&fixture.write("hello", HELLO));
    let mut fixed = flat(Algorithm::Sha256, HELLO, &[]);
    fixed.path = flat(Algorithm::Sha256, b"another", &[]).path;
    assert!(matches!(fixture.provider().provide(&fixed), Err(SourceError::PathMismatch { .. })));
}

#[test]
fn bytes_with_the_right_hash_that_are_no_nar_are_not_taken_for_a_tree() {
    let fixture = Fixture::new();
    let (base, _requests) = serve(|_| ok(HELLO));
    // The hash over the "NAR" is one over something else.
    let fixed = recursive(HELLO, &[]);
    let error = fixture.provider().with_mirror(Mirror::new(&base).unwrap()).provide(&fixed).unwrap_err();
    assert!(matches!(error, SourceError::Missing(_)), "{error}");
    assert_eq!(fixture.store.paths().unwrap().count(), 0);
}

/// Has nix write the derivation of an expression into the store below `root`.
fn instantiate(root: &Path, expression: &str) -> (StorePath, Derivation) {
    let output = Command::new("nix-instantiate")
        .env("NIX_CONFIG", "substituters =")
        .args(["--store".as_ref(), root.as_os_str(), "--expr".as_ref(), expression.as_ref()])
        .output()
        .expect("nix is needed: install the package nix-bin");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let drv = String::from_utf8(output.stdout).unwrap();
    let drv = StorePath::parse(drv.trim().as_bytes()).unwrap();
    let text = std::fs::read(root.join("nix/store").join(drv.base_name())).unwrap();
    (drv, Derivation::parse(&text).unwrap())
}

#[test]
fn the_nix_program_fetches_and_is_checked() {
    let fixture = Fixture::new();
    let (base, requests) = serve(|_| ok(HELLO));
    let expression = format!(
        r#"derivation {{ name = "hello.txt"; system = "builtin"; builder = "builtin:fetchurl"; url = "{base}/x";
           outputHashMode = "flat"; outputHashAlgo = "sha256"; outputHash = "{}"; preferLocalBuild = true; }}"#,
        Hash::of(Algorithm::Sha256, HELLO).to_base16()
    );
    let root = fixture.store.nix_dir();
    let (drv, parsed) = instantiate(&root, &expression);
    let fixed = FixedOutput::of(&drv, &parsed).unwrap();
    assert!(fixed.is_builtin);

    let provider = fixture.provider().with_nix(NixProgram::new(&root, Natively::Builtins));
    let provided = provider.provide(&fixed).unwrap();
    assert_eq!(provided.place, "nix program");
    assert_eq!(requests.recv().unwrap(), "/mirror/x");
    // The oracle's own answer: the hash of the NAR of what it put into its store.
    let hash = Command::new("nix-hash")
        .args(["--type", "sha256", "--base32"])
        .arg(root.join("nix/store").join(fixed.path.base_name()))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(hash.stdout).unwrap().trim(), provided.info.nar_hash.to_base32());

    // What the program gets with another hash than stated counts as wrong, and not as a failure.
    let expression = expression.replace(&fixed.hash.to_base16(), &"0".repeat(64));
    let (drv, parsed) = instantiate(&root, &expression);
    let lying = FixedOutput::of(&drv, &parsed).unwrap();
    let error = provider.provide(&lying).unwrap_err();
    assert!(error.is_hash_mismatch() && error.to_string().contains(&fixed.hash.to_sri()), "{error}");

    // With inputs to build first, it is only asked when it may build anything.
    let with_inputs = FixedOutput { is_builtin: false, ..fixed };
    assert!(!NixProgram::new(&root, Natively::Builtins).takes(&with_inputs));
    assert!(NixProgram::new(&root, Natively::Anything).takes(&with_inputs));
}

#[test]
fn one_member_of_a_package_becomes_a_tree() {
    let fixture = Fixture::new();
    let script = b"#!/bin/sh\necho tool\n";
    let contents = tree_of_one("bin/tool", true, script).unwrap();
    let tree = fixture.folder.path().join("tree/bin");
    std::fs::create_dir_all(&tree).unwrap();
    std::fs::write(tree.join("tool"), script).unwrap();
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(tree.join("tool"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let nar = Command::new("nix-store")
        .arg("--dump")
        .arg(fixture.folder.path().join("tree"))
        .output()
        .expect("nix is needed: install the package nix-bin")
        .stdout;
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut contents.bytes().unwrap(), &mut bytes).unwrap();
    assert_eq!(bytes, nar);
}

#[test]
fn a_package_and_one_member_of_it_are_provided_through_apt() {
    let fixture = Fixture::new();
    let archive = LocalArchive::new();
    let package = std::fs::read(archive.add("first", "1:1.0-1")).unwrap();
    archive.publish("");
    let apt = archive.apt(&fixture.store.files_dir().join("apt"), "trusted=yes");
    let provider = fixture.provider().with_packages(apt);

    let url = "apt:sid/amd64/first=1:1.0-1";
    // By any algorithm: only for SHA-256 does the index know the hash beforehand.
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        let provided = provider.provide(&flat(algorithm, &package, &[("url", url)])).unwrap();
        assert_eq!(provided.place, url);
        assert_eq!(fixture.nar(&provided), nar_of_file(false, &package));
    }

    let mut tree = Vec::new();
    let contents = tree_of_one("bin/tool", true, b"#!/bin/sh\necho tool\n").unwrap();
    std::io::Read::read_to_end(&mut contents.bytes().unwrap(), &mut tree).unwrap();
    let member = format!("{url}#bin/tool");
    let provided = provider.provide(&recursive(&tree, &[("url", &member)])).unwrap();
    assert_eq!(fixture.nar(&provided), tree);

    for (url, wrong) in [(url, true), ("apt:sid/amd64/first=2", false), ("apt:sid/amd64/first", false)] {
        let error = provider.provide(&flat(Algorithm::Sha256, b"another", &[("url", url)])).unwrap_err();
        assert_eq!(error.is_hash_mismatch(), wrong, "{error}");
    }
    let missing = format!("{url}#bin/nothing");
    let error = provider.provide(&recursive(b"another", &[("url", &missing)])).unwrap_err();
    assert!(error.to_string().contains("no member \"bin/nothing\""), "{error}");
}

#[test]
#[ignore = "slow: downloads package lists and a package from the machine's mirror"]
fn a_pinned_member_is_provided_through_apt() {
    let fixture = Fixture::new();
    let apt = Apt::of_machine(&fixture.store.files_dir().join("apt"));
    let candidate = apt.candidate("bookworm", "amd64", "busybox-static").unwrap();
    let deb =
        apt.fetch(&AptPin::package("bookworm", "amd64", "busybox-static", &candidate.version), None).unwrap();
    let busybox = Deb::open(File::open(deb.path).unwrap()).unwrap().member(b"bin/busybox").unwrap();
    let mut nar = Vec::new();
    let tree = tree_of_one("bin/busybox", true, &busybox.bytes).unwrap();
    std::io::Read::read_to_end(&mut tree.bytes().unwrap(), &mut nar).unwrap();
    let url = format!("apt:bookworm/amd64/busybox-static={}#bin/busybox", candidate.version);
    let fixed = recursive(&nar, &[("url", &url)]);
    let provided = fixture.provider().with_packages(apt).provide(&fixed).unwrap();
    assert_eq!((provided.place, provided.info.nar_size), (url, nar.len() as u64));
}

#[test]
fn a_source_that_was_taken_on_trust_is_hashed_again() {
    for (method, right) in [(Method::Flat, HELLO), (Method::Recursive, HELLO), (Method::Flat, b"other\n")] {
        let fixture = Fixture::new();
        let nar = nar_of_file(false, right);
        let over = if method == Method::Flat { HELLO.to_vec() } else { nar_of_file(false, HELLO) };
        let fixed = derivation("hello.txt", method, &Hash::of(Algorithm::Sha1, &over), &[]);
        let taken = fixture.store.import_nar(nar.as_slice(), None).unwrap();
        let from = "http://cache.invalid".to_owned();
        let info = PathInfo {
            path: fixed.path.clone(),
            nar_hash: taken.hash,
            nar_size: taken.size,
            references: BTreeSet::new(),
            deriver: None,
            origin: Origin::Substituted { from, signed_by: Some("cache-1".to_owned()) },
        };
        fixture.store.register(&info).unwrap();
        match fixture.provider().provide(&fixed) {
            Ok(provided) => assert!(right == HELLO && provided.info == info),
            Err(error) => {
                assert!(right != HELLO && error.is_hash_mismatch(), "{error}");
                assert!(error.to_string().contains("store forget"), "{error}");
            }
        }
    }
}

/// A shelf with one file under every name.
struct OneFile(&'static [u8]);

impl Shelf for OneFile {
    fn place(&self, _fixed: &FixedOutput) -> String {
        "shelf".to_owned()
    }

    fn find(&self, _fixed: &FixedOutput) -> io::Result<Option<Box<dyn Read + Send>>> {
        Ok(Some(Box::new(self.0)))
    }
}

#[test]
fn a_shelf_is_asked_before_any_network_and_believed_no_more_than_one() {
    let fixture = Fixture::new();
    let (base, requests) = serve(|_| ok(HELLO));
    let mirror = || Mirror::new(&base).unwrap();
    let wanted = flat(Algorithm::Sha256, HELLO, &[]);
    let full = OneFile(HELLO);
    let provided = fixture.provider().with_shelf(&full).with_mirror(mirror()).provide(&wanted).unwrap();
    assert_eq!((provided.place.as_str(), requests.try_recv().is_err()), ("shelf", true));
    let other = flat(Algorithm::Sha512, HELLO, &[]);
    let wrong = OneFile(b"evil");
    let provided = fixture.provider().with_shelf(&wrong).with_mirror(mirror()).provide(&other).unwrap();
    assert!(provided.place.starts_with(&base), "{}", provided.place);
    let error = Fixture::new().provider().with_shelf(&wrong).provide(&other).unwrap_err();
    assert!(error.is_hash_mismatch(), "{error}");
}
