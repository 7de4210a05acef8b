//! Serving: requests for narinfo files, NARs, and connections that are held.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use reprove::mirror::{
    Mirror,
    location::Location,
    serve::{Limits, Server, StopSignal, allow_open_files},
};

use crate::objects;

/// Connections that ask at once.
const CLIENTS: usize = 16;
/// How long each measurement takes.
const TIME: Duration = Duration::from_secs(3);
/// Connections that are held.
const HELD: usize = 2000;
/// The NAR that is fetched, in bytes.
const LARGE: usize = 256 << 20;

/// Measures a server of the mirror in `folder`, on threads of this process, against one that answers everything with one file.
pub fn measure(folder: &Path) {
    allow_open_files();
    let infos = objects(folder, ".narinfo");
    let large = format!("nar/{}.nar.zst", "0".repeat(52));
    fs::write(folder.join(&large), vec![7; LARGE]).unwrap();
    let mirror = Mirror::open(Location::parse(folder.to_str().unwrap()).unwrap()).unwrap();
    let server = Arc::new(Server::new(mirror));
    let (address, metrics) = start(server.clone());
    let answer = fs::read(folder.join(&infos[0])).unwrap();
    let bare = bare(answer);

    let ours = requests(address, &infos);
    let theirs = requests(bare, &infos);
    println!("\n| | per second | against | per second | ratio |\n|---|---|---|---|---|");
    println!("| narinfo | {ours:.0} | a loop that writes one answer | {theirs:.0} | {:.2} |", ours / theirs);
    let ours = transfer(address, &large);
    let theirs = loopback();
    println!("| a NAR, MB | {ours:.0} | the loopback, from memory | {theirs:.0} | {:.2} |", ours / theirs);

    let before = resident();
    let mut held: Vec<TcpStream> = (0..HELD).map(|_| TcpStream::connect(address).unwrap()).collect();
    held.iter_mut().enumerate().for_each(|(number, stream)| ask(stream, &infos[number % infos.len()]));
    // Each has its answer, so each is open.
    assert!(metrics.open_connections() >= HELD as u64);
    println!(
        "\n{HELD} connections held, each with an answer: {} KiB each, both ends",
        (resident() - before) / HELD as u64
    );
}

fn start(server: Arc<Server>) -> (SocketAddr, Arc<reprove::mirror::serve::metrics::Metrics>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, metrics) = (listener.local_addr().unwrap(), server.metrics().clone());
    let never = || -> std::io::Result<StopSignal> { Ok(Box::pin(std::future::pending())) };
    thread::spawn(move || server.run(listener, Limits::default(), never).unwrap());
    (address, metrics)
}

/// A server that reads requests and writes one answer.
fn bare(body: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answer =
        [format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes(), body].concat();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let answer = answer.clone();
            stream.set_nodelay(true).unwrap();
            thread::spawn(move || {
                let mut request = [0; 4096];
                // A client asks once it has its answer, so that one reading is one request.
                while stream.read(&mut request).is_ok_and(|read| read > 0)
                    && stream.write_all(&answer).is_ok()
                {}
            });
        }
    });
    address
}

/// One request, and all of its answer.
fn ask(stream: &mut TcpStream, name: &str) {
    // In one piece: `write!` would send each part of it on its own.
    stream.write_all(format!("GET /{name} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).unwrap();
    let mut buffer = Vec::with_capacity(4096);
    let mut piece = [0; 4096];
    loop {
        let read = stream.read(&mut piece).unwrap();
        assert!(read > 0, "the connection was closed");
        buffer.extend_from_slice(&piece[..read]);
        let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = std::str::from_utf8(&buffer[..end]).unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().unwrap())
        });
        if buffer.len() == end + 4 + length.unwrap() {
            return;
        }
    }
}

/// Answers in a second, to all clients together.
fn requests(address: SocketAddr, names: &[String]) -> f64 {
    let begin = Instant::now();
    let client = |client: usize| {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut done = 0_usize;
        while begin.elapsed() < TIME {
            ask(&mut stream, &names[(client + done) % names.len()]);
            done += 1;
        }
        done
    };
    let client = &client;
    let done: usize = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|number| scope.spawn(move || client(number))).collect();
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    });
    done as f64 / begin.elapsed().as_secs_f64()
}

/// Megabytes in a second of one large object.
fn transfer(address: SocketAddr, name: &str) -> f64 {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET /{name} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    drain(stream)
}

/// The same of bytes that are there already.
fn loopback() -> f64 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let piece = vec![7; 64 << 10];
        (0..LARGE / piece.len()).for_each(|_| stream.write_all(&piece).unwrap());
    });
    drain(TcpStream::connect(address).unwrap())
}

fn drain(mut stream: TcpStream) -> f64 {
    let begin = Instant::now();
    let (mut piece, mut bytes) = (vec![0; 256 << 10], 0);
    loop {
        match stream.read(&mut piece).unwrap() {
            0 => break,
            read => bytes += read,
        }
    }
    assert!(bytes >= LARGE, "{bytes}");
    bytes as f64 / 1e6 / begin.elapsed().as_secs_f64()
}

/// What this process has in memory, in KiB.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
