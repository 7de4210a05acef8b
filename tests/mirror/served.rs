//! A mirror that a stranger sees only as it is served: checked path by path, and never written to.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread,
    time::SystemTime,
};

use reprove::{
    mirror::{
        Mirror,
        check::{self, Believing, Kind, Report, Request},
        layout::{HashPart, Object},
        location::Location,
        serve::Limits,
    },
    nix::{secret_key::SecretKey, store_path::StorePath},
};

use crate::{
    fixture::{Fixture, check_at, files, replace},
    serve::Running,
};

/// Checks a path, and what it refers to, of what is served at an address.
fn check(address: &str, key: &SecretKey, path: &StorePath) -> Report {
    let location = Location::parse(address).unwrap();
    let request = Request {
        paths: std::slice::from_ref(path),
        believing: Believing::Keys(&[key.public()]),
        since: &[],
        now: SystemTime::now(),
        jobs: 2,
    };
    check::check(&location, &request).unwrap()
}

/// How a server fails at one object.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    Status(&'static str),
    /// Half of what it said there would be.
    Cut,
    /// Half of it, and no word of how much there is.
    Unmeasured,
}

/// A server of a folder that fails at one object.
fn faulty(folder: &Path, at: &str, fault: Fault) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (folder, at): (PathBuf, String) = (folder.to_owned(), at.to_owned());
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let Some(request) = lines.next() else { continue };
            while lines.next().is_some_and(|line| !line.is_empty()) {}
            let name = request.split(' ').nth(1).unwrap_or_default().trim_start_matches('/');
            let body = fs::read(folder.join(name));
            let (status, len, body) = match body {
                Ok(body) if name == at => match fault {
                    Fault::Status(status) => (status, Some(0), Vec::new()),
                    Fault::Cut => ("200 OK", Some(body.len()), body[..body.len() / 2].to_vec()),
                    Fault::Unmeasured => ("200 OK", None, body[..body.len() / 2].to_vec()),
                },
                Ok(body) => ("200 OK", Some(body.len()), body),
                Err(_) => ("404 Not Found", Some(0), Vec::new()),
            };
            let len = len.map_or(String::new(), |len| format!("Content-Length: {len}\r\n"));
            let _ = write!(stream, "HTTP/1.1 {status}\r\n{len}Connection: close\r\n\r\n");
            let _ = stream.write_all(&body);
        }
    });
    address
}

#[test]
fn a_path_of_a_served_mirror_is_checked_as_that_of_a_copied_one() {
    let fixture = Fixture::new();
    let (_, key) = fixture.mirror("mirror");
    let folder = fixture.folder("mirror");
    let running = Running::of(&folder, Limits::default());
    let address = format!("http://{}", running.address);
    for address in [address.clone(), format!("{address}/")] {
        let served = check(&address, &key, &fixture.tool.path);
        let copied = check_at(&folder, &[&key], std::slice::from_ref(&fixture.tool.path));
        assert_eq!(served.findings, []);
        let counts = |report: &Report| (report.paths, report.seeds, report.nar_bytes, report.file_bytes);
        assert_eq!(counts(&served), counts(&copied));
        assert_eq!((served.paths, served.by_own_keys), (3, false));
        assert!(served.conflicts_unseen && !copied.conflicts_unseen);
    }
    // One that there is not is missing, and no failure.
    let absent = crate::fixture::path('1', "absent");
    let found = check(&address, &key, &absent).findings;
    assert!(!found.is_empty() && found.iter().all(|one| one.kind != Kind::Unread), "{found:?}");
}

#[test]
fn whatever_was_altered_shows_over_http_as_well() {
    let fixture = Fixture::new();
    let (_, key) = fixture.mirror("mirror");
    let folder = fixture.folder("mirror");
    let running = Running::of(&folder, Limits::default());
    let address = format!("http://{}", running.address);
    let mut altered = 0;
    for (name, bytes) in files(&folder) {
        if !(name.ends_with(".narinfo") || name.starts_with("nar/") || name.starts_with("attestations/")) {
            continue;
        }
        let mut changed = bytes.clone();
        changed[bytes.len() / 2] ^= 1;
        replace(&folder.join(&name), &changed);
        assert_ne!(check(&address, &key, &fixture.tool.path).findings, [], "{name}");
        replace(&folder.join(&name), &bytes);
        altered += 1;
    }
    assert!(altered >= 9, "{altered}");
    assert_eq!(check(&address, &key, &fixture.tool.path).findings, []);
}

#[test]
fn what_could_not_be_read_is_never_said_to_be_missing() {
    let fixture = Fixture::new();
    let (_, key) = fixture.mirror("mirror");
    let folder = fixture.folder("mirror");
    let whole = files(&folder);
    let named = |wanted: &str| whole.keys().find(|name| name.contains(wanted)).unwrap().clone();
    let lib = format!("{}.narinfo", fixture.lib.path.hash_part());
    for at in [lib, named("attestations/"), named("nar/"), named(".ls"), named("derivations/")] {
        for fault in
            [Fault::Status("500 Oops"), Fault::Status("403 Forbidden"), Fault::Cut, Fault::Unmeasured]
        {
            let address = faulty(&folder, &at, fault);
            let found = check(&address, &key, &fixture.tool.path).findings;
            assert!(found.iter().any(|one| one.object == at), "{at}, {fault:?}: {found:?}");
            for one in found.iter().filter(|one| one.object == at) {
                assert!(!one.why.contains("missing"), "{at}, {fault:?}: {one:?}");
                assert_eq!(one.kind, Kind::Unread, "{at}, {fault:?}: {one:?}");
            }
        }
    }
    // Nothing at all can be said without the policy.
    for fault in [Fault::Status("500 Oops"), Fault::Cut, Fault::Unmeasured] {
        let location = Location::parse(&faulty(&folder, "mirror.json", fault)).unwrap();
        assert_eq!(Mirror::open(location).map(drop).unwrap_err().code().0, 1401, "{fault:?}");
    }
    let nowhere = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let location = Location::parse(&format!("http://{nowhere}")).unwrap();
    assert_eq!(Mirror::open(location).map(drop).unwrap_err().code().0, 1401);
}

#[test]
fn a_mirror_that_makes_up_paths_without_an_end_is_not_followed() {
    let fixture = Fixture::new();
    let (_, key) = fixture.mirror("mirror");
    let folder = fixture.folder("mirror");
    let name = format!("{}.narinfo", fixture.lib.path.hash_part());
    let text = String::from_utf8(fs::read(folder.join(&name)).unwrap()).unwrap();
    // Nobody has signed that it needs another one.
    let more = crate::fixture::path('7', "more");
    let lied = text.replace("References: ", &format!("References: {} ", more.base_name()));
    replace(&folder.join(&name), lied.as_bytes());
    let found = check_at(&folder, &[&key], std::slice::from_ref(&fixture.lib.path)).findings;
    let asked = Object::NarInfo(HashPart::of(&more)).name();
    assert!(found.iter().any(|one| one.kind == Kind::Unsigned), "{found:?}");
    assert!(found.iter().all(|one| one.object != asked), "{found:?}");
}

/// A proxy that connects whatever it is asked for to this server.
fn proxy(to: std::net::SocketAddr) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let mut head = BufReader::new(client.try_clone().unwrap());
            let mut line = String::new();
            let first = head.read_line(&mut line).map(|_| line.clone()).unwrap_or_default();
            while head.read_line(&mut line).is_ok_and(|read| read > 2) {}
            if !first.starts_with("CONNECT mirror.example:80 ") {
                continue;
            }
            let _ = client.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
            let Ok(mut server) = std::net::TcpStream::connect(to) else { continue };
            let (mut from, mut into) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || std::io::copy(&mut from, &mut into));
            thread::spawn(move || std::io::copy(&mut server, &mut client));
        }
    });
    address
}

#[test]
fn a_proxy_of_this_machine_is_no_redirect() {
    let fixture = Fixture::new();
    fixture.mirror("mirror");
    let running = Running::of(&fixture.folder("mirror"), Limits::default());
    let tool = fixture.tool.path.to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_reprove"));
    command.env_remove("REPROVE_STATE").arg("--state").arg(fixture.folder("other-state"));
    for name in
        ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "no_proxy", "NO_PROXY"]
    {
        command.env_remove(name);
    }
    command.env("ALL_PROXY", proxy(running.address)).args([
        "mirror",
        "verify",
        "http://mirror.example",
        &tool,
    ]);
    let verified = command.stdin(Stdio::null()).output().unwrap();
    assert!(verified.status.success() && said(&verified).contains("nothing is wrong"), "{}", said(&verified));
}

fn reprove(args: &[&str], state: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reprove"));
    command.env_remove("REPROVE_STATE").arg("--state").arg(state).args(args);
    command.stdin(Stdio::null()).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), output.stderr.as_slice()].concat()).into_owned()
}

#[test]
fn on_a_command_line_paths_have_to_be_named_and_nothing_is_written() {
    let fixture = Fixture::new();
    let (_, key) = fixture.mirror("mirror");
    let state = fixture.folder("other-state");
    let before = files(&fixture.folder("mirror"));
    let running = Running::of(&fixture.folder("mirror"), Limits::default());
    let address = format!("http://{}", running.address);
    let file = fixture.folder("key").display().to_string();
    fs::write(&file, reprove::nix::secret_key::spelled(key.name(), &[1; 32])).unwrap();
    let tool = fixture.tool.path.to_string();

    let verified = reprove(&["mirror", "verify", &address, &tool], &state);
    assert!(verified.status.success() && said(&verified).contains("nothing is wrong"), "{}", said(&verified));
    assert!(said(&verified).contains("a copy of the mirror shows them"), "{}", said(&verified));
    let unnamed = reprove(&["mirror", "verify", &address], &state);
    assert_eq!(unnamed.status.code(), Some(1), "{}", said(&unnamed));
    for part in ["RP1404", "have to be named", "hint: reprove mirror verify http://"] {
        assert!(said(&unnamed).contains(part), "{}", said(&unnamed));
    }

    let new = fixture.folder("new-key").display().to_string();
    for args in [
        &["init", &address, "--key", &new][..],
        &["populate", &address, "--key", &file, "--seed", &tool, "--why", "x"],
        &["gc", &address, "--key", &file, "--root", &tool],
        &["gc", &address, "--key", &file, "--root", &tool, "--dry-run"],
        &["cosign", &address, "--key", &file],
        &["page", &address],
        &["page", &address, "--output", "-"],
    ] {
        let refused = reprove(&[&["mirror"], args].concat(), &state);
        assert_eq!(refused.status.code(), Some(1), "{args:?}: {}", said(&refused));
        assert!(said(&refused).contains("RP1404") && said(&refused).contains("can only be read"), "{args:?}");
    }
    assert!(!Path::new(&new).exists(), "a key was made for nothing");
    assert!(files(&fixture.folder("mirror")) == before);
}
