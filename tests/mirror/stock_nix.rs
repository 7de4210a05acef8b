//! The `nix` program as the reader of a mirror: over a folder and over HTTP.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::Output,
    thread,
};

use reprove::mirror::serve::Limits;

use crate::{
    fixture::{Fixture, LOG, files, key, replace},
    serve::Running,
    support::nix::Nix,
};

/// `nix` with a store that demands signatures by `key`.
pub fn nix(nix: &Nix, key: &str, args: &[&str]) -> Output {
    let mut command = nix.command("nix");
    command.args(args).args(["--option", "trusted-public-keys", key, "--option", "require-sigs", "true"]);
    command.output().expect("apt-get install nix-bin")
}

pub fn text(output: &Output) -> String {
    let all = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8_lossy(&all).into_owned()
}

/// Serves a folder to whoever connects, as the simplest of servers does: whole files, or 404.
fn serve(folder: PathBuf) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let folder = folder.clone();
            thread::spawn(move || answer(stream, &folder));
        }
    });
    address
}

fn answer(mut stream: TcpStream, folder: &std::path::Path) -> Option<()> {
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
    loop {
        let request = lines.next()?.ok()?;
        while !lines.next()?.ok()?.is_empty() {}
        let mut words = request.split(' ');
        let (method, name) = (words.next()?, words.next()?.trim_start_matches('/'));
        let (status, body) = match fs::read(folder.join(name)) {
            Ok(body) => ("200 OK", body),
            Err(_) => ("404 Not Found", Vec::new()),
        };
        write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len()).ok()?;
        if method != "HEAD" {
            stream.write_all(&body).ok()?;
        }
    }
}

#[test]
fn stock_nix_copies_verifies_and_lists_what_is_in_a_mirror() {
    reads_a_mirror(Nix::new);
}

/// The same by other versions of `nix`, those of two other releases of Debian.
#[test]
#[ignore = "slow: fetches packages"]
fn other_versions_of_nix_read_it_too() {
    for suite in ["trixie", "sid"] {
        let version = Nix::of_debian(suite).run("nix", &["--version"]);
        assert!(!version.contains("2.8.0"), "{version} is this machine's");
        reads_a_mirror(|| Nix::of_debian(suite));
    }
}

fn reads_a_mirror(new: impl Fn() -> Nix) {
    let fixture = Fixture::new();
    let (_, secret) = fixture.mirror("mirror");
    let trusted = format!("{:?}", secret.public());
    let folder = format!("file://{}", fixture.folder("mirror").display());
    let tool = fixture.tool.path.to_string();
    let running = Running::of(&fixture.folder("mirror"), Limits::default());
    let served = format!("http://{}", running.address);
    // Any server of files will do, and ours.
    for address in [folder, serve(fixture.folder("mirror")), served] {
        let program = new();
        let copied = nix(&program, &trusted, &["copy", "--from", &address, &tool]);
        assert!(copied.status.success(), "{address}: {}", text(&copied));
        let at = program.root().join("nix/store").join(fixture.tool.path.base_name());
        assert_eq!(fs::read_to_string(at.join("to")).unwrap(), "#!/bin/sh\necho tool\n");
        // What was copied is what was published: the hashes of Nix's own.
        for info in [&fixture.seed, &fixture.lib, &fixture.tool] {
            let at = program.root().join("nix/store").join(info.path.base_name());
            let nar = program.dump(&at);
            assert_eq!(reprove::nix::hash::NarHash::of(&nar), info.nar_hash);
        }
        let verified =
            nix(&program, &trusted, &["store", "verify", "--recursive", "--sigs-needed", "1", &tool]);
        assert!(verified.status.success(), "{}", text(&verified));
        let of_mirror = ["store", "verify", "--store", &address, "--recursive", "--sigs-needed", "1", &tool];
        let verified = nix(&program, &trusted, &of_mirror);
        assert!(verified.status.success(), "{}", text(&verified));
        let size = nix(&program, &trusted, &["path-info", "--store", &address, "--closure-size", &tool]);
        let closure = fixture.seed.nar_size + fixture.lib.nar_size + fixture.tool.nar_size;
        assert!(text(&size).contains(&closure.to_string()), "{}", text(&size));
        let listed =
            nix(&program, &trusted, &["store", "ls", "--store", &address, "--recursive", "-l", &tool]);
        assert!(listed.status.success() && text(&listed).contains("-r-xr-xr-x"), "{}", text(&listed));
        // Nobody else's key will do.
        let other = new();
        let refused =
            nix(&other, &format!("{:?}", key("test-1", 2).public()), &["copy", "--from", &address, &tool]);
        assert!(
            // "a valid signature" of 2.8, "a signature by a trusted key" of others.
            !refused.status.success() && text(&refused).contains("because it lacks a"),
            "{}",
            text(&refused)
        );
    }
}

#[test]
fn stock_nix_substitutes_from_a_mirror_and_shows_its_logs() {
    let fixture = Fixture::new();
    let (_, secret) = fixture.mirror("mirror");
    let trusted = format!("{:?}", secret.public());
    let tool = fixture.tool.path.to_string();
    let running = Running::of(&fixture.folder("mirror"), Limits::default());
    for address in
        [format!("file://{}", fixture.folder("mirror").display()), format!("http://{}", running.address)]
    {
        let with = |program: &Nix, name: &str, args: &[&str], key: &str| {
            let mut command = program.command(name);
            command.args(args).args([
                "--option",
                "substituters",
                &address,
                "--option",
                "require-sigs",
                "true",
            ]);
            command.args(["--option", "trusted-public-keys", key]).output().expect("apt-get install nix-bin")
        };
        for (name, args) in
            [("nix-store", &["--realise", &tool][..]), ("nix", &["build", "--no-link", &tool])]
        {
            let program = Nix::new();
            let taken = with(&program, name, args, &trusted);
            assert!(taken.status.success(), "{name} from {address}: {}", text(&taken));
            for info in [&fixture.seed, &fixture.lib, &fixture.tool] {
                let nar = program.dump(&program.root().join("nix/store").join(info.path.base_name()));
                assert_eq!(reprove::nix::hash::NarHash::of(&nar), info.nar_hash, "{name} from {address}");
            }
            // Of nobody whom it trusts it takes nothing.
            let other = Nix::new();
            let refused = with(&other, name, args, &format!("{:?}", key("test-1", 2).public()));
            assert!(!refused.status.success(), "{name} from {address}: {}", text(&refused));
            assert!(!other.root().join("nix/store").join(fixture.tool.path.base_name()).exists());
        }
        let logged = nix(&Nix::new(), &trusted, &["log", "--store", &address, &tool]);
        assert!(logged.status.success(), "{address}: {}", text(&logged));
        assert_eq!(String::from_utf8_lossy(&logged.stdout), String::from_utf8_lossy(LOG), "{address}");
    }
}

#[test]
fn a_listing_is_byte_for_byte_what_nix_writes() {
    let fixture = Fixture::new();
    let (_, secret) = fixture.mirror("mirror");
    let trusted = format!("{:?}", secret.public());
    let program = Nix::new();
    let from = format!("file://{}", fixture.folder("mirror").display());
    let tool = fixture.tool.path.to_string();
    let copied = nix(&program, &trusted, &["copy", "--from", &from, &tool]);
    assert!(copied.status.success(), "{}", text(&copied));
    let to = format!("file://{}?write-nar-listing=true", fixture.folder("theirs").display());
    let copied = nix(&program, &trusted, &["copy", "--to", &to, &tool]);
    assert!(copied.status.success(), "{}", text(&copied));
    for info in [&fixture.seed, &fixture.lib, &fixture.tool] {
        let name = format!("{}.ls", info.path.hash_part());
        let [ours, theirs] =
            ["mirror", "theirs"].map(|at| fs::read_to_string(fixture.folder(at).join(&name)).unwrap());
        assert_eq!(ours, theirs, "{}", info.path);
    }
}

#[test]
fn where_nix_can_see_that_a_file_was_altered_it_refuses() {
    let fixture = Fixture::new();
    let (_, secret) = fixture.mirror("mirror");
    let trusted = format!("{:?}", secret.public());
    let folder = fixture.folder("mirror");
    let from = format!("file://{}", folder.display());
    for (name, bytes) in files(&folder) {
        let seen_by_nix = name.ends_with(".narinfo") || name.starts_with("nar/");
        if !seen_by_nix {
            continue;
        }
        let mut changed = bytes.clone();
        // The NAR's hash in a narinfo, the middle of a NAR.
        let at = match changed.windows(16).position(|text| text == b"NarHash: sha256:") {
            Some(at) => at + 20,
            None => changed.len() / 2,
        };
        changed[at] = if changed[at] == b'0' { b'1' } else { b'0' };
        replace(&folder.join(&name), &changed);
        let program = Nix::new();
        let copied = nix(&program, &trusted, &["copy", "--from", &from, &fixture.tool.path.to_string()]);
        assert!(!copied.status.success(), "{name} was altered, and nix took it");
        replace(&folder.join(&name), &bytes);
    }
}
