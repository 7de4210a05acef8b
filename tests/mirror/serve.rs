//! A mirror over HTTP: what is answered, what is not, and who is cut off.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    path::Path,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use reprove::mirror::{
    Mirror,
    layout::{HashPart, KeyId, Object},
    location::Location,
    serve::{Limits, Server, metrics::Metrics},
};
use tokio::sync::oneshot;

use crate::{
    cosign::{all_by, two},
    fixture::{Fixture, files, replace},
};

/// A server that ends when this is dropped.
pub struct Running {
    pub address: SocketAddr,
    metrics: Arc<Metrics>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    pub fn of(folder: &Path, limits: Limits) -> Running {
        Running::serving(Server::new(mirror_at(folder)), limits)
    }

    pub fn serving(server: Server, limits: Limits) -> Running {
        let server = Arc::new(server);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, metrics) = (listener.local_addr().unwrap(), server.metrics().clone());
        let (stop, stopped) = oneshot::channel();
        let stop_signal = move || -> std::io::Result<reprove::mirror::serve::StopSignal> {
            Ok(Box::pin(async {
                let _ = stopped.await;
            }))
        };
        let thread = thread::spawn(move || server.run(listener, limits, stop_signal).unwrap());
        Running { address, metrics, stop: Some(stop), thread: Some(thread) }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        // A server that answers nothing fails the test instead of stopping it.
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream
    }

    /// One request on a connection of its own.
    fn ask(&self, method: &str, target: &str, headers: &[&str]) -> Answer {
        let mut stream = self.connect();
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        write!(stream, "{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n")
            .unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        Answer::read(&bytes)
    }

    pub fn get(&self, target: &str) -> Answer {
        self.ask("GET", target, &[])
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.stop.take().unwrap().send(());
        let ended = self.thread.take().unwrap().join();
        assert!(ended.is_ok() || thread::panicking());
    }
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Answer {
    fn read(bytes: &[u8]) -> Answer {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("an answer");
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.map(|line| line.split_once(": ").unwrap());
        let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
        Answer { status, headers, body: bytes[end + 4..].to_vec() }
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

pub fn mirror_at(folder: &Path) -> Mirror {
    Mirror::open(Location::parse(folder.to_str().unwrap()).unwrap()).unwrap()
}

/// The name and bytes of the largest NAR of a mirror.
fn nar(folder: &Path) -> (String, Vec<u8>) {
    files(folder)
        .into_iter()
        .filter(|(name, _)| name.starts_with("nar/"))
        .max_by_key(|(_, bytes)| bytes.len())
        .unwrap()
}

/// The size of a NAR that is more than the buffers of two sockets hold.
const LARGE: usize = 64 << 20;

/// Puts a file of that size in the place of a NAR, and gives its name.
fn large_nar(folder: &Path) -> String {
    let (name, _) = nar(folder);
    replace(&folder.join(&name), &vec![7; LARGE]);
    name
}

#[test]
fn every_object_is_served_as_it_is() {
    let fixture = Fixture::new();
    fixture.mirror("mirror");
    let folder = fixture.folder("mirror");
    fs::write(folder.join("index.html"), "<p>page").unwrap();
    let running = Running::of(&folder, Limits::default());
    let objects = files(&folder);
    assert!(objects.len() > 10);
    for (name, bytes) in &objects {
        let got = running.get(&format!("/{name}"));
        assert_eq!((got.status, &got.body), (200, bytes), "{name}");
        assert_eq!(got.header("content-length"), bytes.len().to_string(), "{name}");
        assert_eq!(got.header("x-content-type-options"), "nosniff");
        let is_derivation = name.starts_with("derivations/");
        let expected = match name.rsplit_once('.').map_or(name.as_str(), |(_, ending)| ending) {
            "nix-cache-info" => "text/x-nix-cache-info",
            "narinfo" => "text/x-nix-narinfo",
            "zst" => "application/x-nix-nar",
            "html" => "text/html; charset=utf-8",
            "jsonl" => "application/jsonl",
            "json" | "ls" => "application/json",
            "drv" if is_derivation => "application/octet-stream",
            _ => "text/plain; charset=utf-8",
        };
        assert_eq!(got.header("content-type"), expected, "{name}");
        let head = running.ask("HEAD", &format!("/{name}"), &[]);
        assert_eq!((head.status, head.body.len()), (200, 0), "{name}");
        assert_eq!(head.header("content-length"), bytes.len().to_string(), "{name}");
    }
    assert_eq!(running.get("/").body, b"<p>page");
    assert!(running.get("/").header("content-security-policy").starts_with("default-src 'none'"));
    assert_eq!(running.get("/healthz").body, b"ok\n");
    let metrics = String::from_utf8(running.get("/metrics").body).unwrap();
    assert!(metrics.contains("reprove_mirror_answers_total{kind=\"narinfo\",status=\"2xx\"} 6"), "{metrics}");
}

#[test]
fn what_somebody_should_look_at_is_counted_where_it_can_be_listed() {
    let fixture = Fixture::new();
    let (mirror, key) = fixture.mirror("mirror");
    fixture.publish_another_lib(&mirror, &key);
    let counted = |running: &Running, [conflicts, refused, pending]: [u32; 3]| {
        let metrics = String::from_utf8(running.get("/metrics").body).unwrap();
        for (name, value) in [("conflicts", conflicts), ("refused", refused), ("pending", pending)] {
            let line = format!("reprove_mirror_{name} {value}");
            assert!(metrics.lines().any(|found| found == line), "{line} is not in:\n{metrics}");
        }
    };
    let folder = fixture.folder("mirror");
    let running = Running::of(&folder, Limits::default());
    counted(&running, [1, 0, 0]);
    let refused =
        Object::Refused(HashPart::of(fixture.tool.deriver.as_ref().unwrap()), KeyId::of(&key.public()));
    let file = folder.join(refused.name());
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, "{}").unwrap();
    // Not looked for again at once.
    counted(&running, [1, 0, 0]);
    counted(&Running::of(&folder, Limits::default()), [1, 1, 0]);

    // What cannot be listed has no such numbers, which is not the same as none.
    let served = Mirror::open(Location::parse(&format!("http://{}", running.address)).unwrap()).unwrap();
    let metrics = Running::serving(Server::new(served), Limits::default()).get("/metrics");
    let metrics = (metrics.status, String::from_utf8(metrics.body).unwrap());
    assert!(metrics.0 == 200 && metrics.1.contains("reprove_mirror_connections 1"), "{metrics:?}");
    assert!(!metrics.1.contains("reprove_mirror_conflicts"), "{metrics:?}");

    let of_two = Fixture::new();
    let [alice, _, bob] = two(&of_two, 2);
    all_by(&of_two, &alice);
    let folder = of_two.folder("mirror");
    counted(&Running::of(&folder, Limits::default()), [0, 0, 3]);
    all_by(&of_two, &bob);
    counted(&Running::of(&folder, Limits::default()), [0, 0, 0]);
}

#[test]
fn parts_of_what_never_changes_and_nothing_of_what_is_known() {
    let fixture = Fixture::new();
    fixture.mirror("mirror");
    let folder = fixture.folder("mirror");
    let running = Running::of(&folder, Limits::default());
    let (name, bytes) = nar(&folder);
    let (target, tag) = (format!("/{name}"), format!("\"{name}\""));
    let ask = |headers: &[&str]| running.ask("GET", &target, headers);
    let part = ask(&["Range: bytes=5-9"]);
    assert_eq!((part.status, part.body.as_slice()), (206, &bytes[5..10]));
    assert_eq!(part.header("content-range"), format!("bytes 5-9/{}", bytes.len()));
    assert_eq!(ask(&["Range: bytes=-4"]).body, bytes[bytes.len() - 4..]);
    let beyond = ask(&[&format!("Range: bytes={}-", bytes.len())]);
    assert_eq!(
        (beyond.status, beyond.header("content-range")),
        (416, format!("bytes */{}", bytes.len()).as_str())
    );
    assert_eq!(ask(&["Range: bytes=0-1,4-5"]).body, bytes);
    assert_eq!(ask(&["Range: bytes=5-9", &format!("If-Range: {tag}")]).status, 206);
    assert_eq!(ask(&["Range: bytes=5-9", "If-Range: \"other\""]).body, bytes);
    let known = ask(&[&format!("If-None-Match: \"x\", {tag}")]);
    assert_eq!((known.status, known.body.len(), known.header("etag")), (304, 0, tag.as_str()));
    assert!(known.header("cache-control").contains("immutable"));
    // A narinfo may be signed once more.
    let info =
        running.ask("GET", &format!("/{}.narinfo", fixture.tool.path.hash_part()), &["Range: bytes=0-1"]);
    assert_eq!(info.status, 200);
    assert!(!info.header("cache-control").contains("immutable"));
}

#[test]
fn t60_what_is_no_object_is_not_found_and_nothing_can_be_changed() {
    let fixture = Fixture::new();
    fixture.mirror("mirror");
    let folder = fixture.folder("mirror");
    fs::write(fixture.dir.path().join("secret"), "secret").unwrap();
    fs::write(folder.join("stray"), "stray").unwrap();
    let running = Running::of(&folder, Limits::default());
    let missing = format!("/{}.narinfo", "0".repeat(32));
    for target in [
        "/../secret",
        "/%2e%2e%2fsecret",
        "/%2e%2e/secret",
        "/nar/%2e%2e%2f%2e%2e%2fsecret",
        "/nar/../../secret",
        "//etc/passwd",
        "/log/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "/stray",
        "/.tmp",
        "/nar",
        "/nar/",
        "/%00",
        "/%zz",
        "/claims/x/1",
        "/%3Cscript%3Ealert(1)%3C/script%3E",
        missing.as_str(),
    ] {
        let got = running.get(target);
        assert_eq!((got.status, got.header("cache-control")), (404, "no-store"), "{target}");
        // Nothing of what was asked for comes back.
        assert_eq!(got.body, b"there is no such object\n", "{target}");
    }
    let before = files(&folder);
    for method in ["PUT", "POST", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"] {
        let got = running.ask(method, "/nix-cache-info", &["Content-Length: 0"]);
        assert_eq!((got.status, got.header("allow")), (405, "GET, HEAD"), "{method}");
    }
    assert_eq!(files(&folder), before);
    // A mirror that is gone is not a mirror that lacks a path.
    assert_eq!(running.get("/healthz").status, 200);
    fs::remove_dir_all(&folder).unwrap();
    assert_eq!(running.get("/healthz").status, 503);
}

#[test]
fn a_link_in_a_folder_is_not_followed() {
    let fixture = Fixture::new();
    fixture.mirror("mirror");
    let folder = fixture.folder("mirror");
    fs::write(fixture.dir.path().join("secret"), "secret").unwrap();
    let name = format!("{}.ls", "0".repeat(32));
    std::os::unix::fs::symlink("../secret", folder.join(&name)).unwrap();
    let running = Running::of(&folder, Limits::default());
    let got = running.get(&format!("/{name}"));
    assert!(got.status >= 400 && !got.body.windows(6).any(|six| six == b"secret"), "{got:?}");
}

#[test]
fn who_asks_for_nothing_or_takes_nothing_is_cut_off() {
    let fixture = Fixture::new();
    fixture.mirror("mirror");
    let folder = fixture.folder("mirror");
    let name = large_nar(&folder);
    let limits = Limits { patience: Duration::from_millis(200), ..Limits::default() };
    let running = Running::of(&folder, limits);
    let is_closed = |mut stream: TcpStream| {
        let mut bytes = Vec::new();
        // Either is an end: data that nobody read makes it a reset.
        let _ = stream.read_to_end(&mut bytes);
        bytes.len()
    };
    let silent = running.connect();
    let mut idle = running.connect();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut slow = running.connect();
    slow.write_all(b"GET /nix-cache-info HTTP/1.1\r\nHost: x\r\nX-Slow: ").unwrap();
    let mut greedy = running.connect();
    write!(greedy, "GET /{name} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    assert_eq!(is_closed(silent), 0);
    is_closed(slow);
    assert!(is_closed(idle) > 0, "it got its answer");
    // It reads nothing until it is cut off.
    while running.metrics.open_connections() > 0 {
        thread::yield_now();
    }
    assert!(is_closed(greedy) < LARGE);
    // Who takes it gets it.
    let patient = Running::of(&folder, Limits::default());
    assert_eq!(patient.get(&format!("/{name}")).body.len(), LARGE);
}

#[test]
fn a_file_that_ends_too_early_does_not_look_whole() {
    let fixture = Fixture::new();
    fixture.mirror("mirror");
    let folder = fixture.folder("mirror");
    let name = large_nar(&folder);
    let running = Running::of(&folder, Limits::default());
    let mut stream = running.connect();
    write!(stream, "GET /{name} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    // It is being sent, and shortened.
    let mut first = [0; 1024];
    stream.read_exact(&mut first).unwrap();
    fs::OpenOptions::new().write(true).open(folder.join(&name)).unwrap().set_len(LARGE as u64 / 2).unwrap();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    assert!(rest.len() + first.len() < LARGE, "all of {LARGE} bytes were sent of a file of half of them");
}

#[test]
fn one_connection_more_than_there_may_be_waits() {
    let fixture = Fixture::new();
    fixture.mirror("mirror");
    let running = Running::of(&fixture.folder("mirror"), Limits { connections: 1, ..Limits::default() });
    let request = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    let answered = |stream: &mut TcpStream| {
        let mut bytes = [0; 12];
        stream.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"HTTP/1.1 200");
    };
    let (mut first, mut second) = (running.connect(), running.connect());
    first.write_all(request).unwrap();
    answered(&mut first);
    second.write_all(request).unwrap();
    assert_eq!(running.metrics.open_connections(), 1);
    first.shutdown(Shutdown::Both).unwrap();
    answered(&mut second);
}
