//! A mirror in a bucket of a server that speaks S3: moto's, which keeps the promise that an object is created once.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::Duration,
};

use crate::{
    fixture::key,
    killed::{last, spawn, to_the_end},
    support::nix::Nix,
};

/// A server of its own, gone when dropped.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new("moto_server")
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("moto_server: pip install 'moto[server]'");
        let server = Server { child, address: format!("127.0.0.1:{port}") };
        for _ in 0..600 {
            if TcpStream::connect(&server.address).is_ok() {
                return server;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("moto_server does not answer");
    }

    fn make_bucket(&self, name: &str) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let request = format!("PUT /{name} HTTP/1.0\r\nHost: {}\r\nContent-Length: 0\r\n\r\n", self.address);
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.contains(" 200 "), "{answer}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
#[ignore = "slow: needs moto's server, from pip"]
fn t59_a_bucket_written_by_two_at_once_is_sound_and_stock_nix_takes_from_it() {
    let server = Server::start();
    server.make_bucket("bucket");
    let endpoint = format!("http://{}", server.address);
    let environment = [
        ("AWS_ENDPOINT_URL", endpoint.as_str()),
        ("AWS_ALLOW_HTTP", "true"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_REGION", "us-east-1"),
    ];
    let dir = tempfile::tempdir().unwrap();
    let mirror = "s3://bucket/a/mirror";
    // Killed once, and then two to the end.
    let mut killed = spawn(dir.path(), "one", mirror, &environment);
    std::thread::sleep(Duration::from_secs(2));
    killed.kill().unwrap();
    killed.wait().unwrap();
    let writers = ["one", "two"].map(|name| (spawn(dir.path(), name, mirror, &environment), name));
    writers.into_iter().for_each(|(child, name)| to_the_end(child, name));
    let verify = |at: &str| {
        let mut reprove = Command::new(env!("CARGO_BIN_EXE_reprove"));
        reprove.args(["mirror", "verify", at, "--json", "-"]).envs(environment.iter().copied());
        reprove.output().unwrap()
    };
    let output = verify(mirror);
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (output.status.code(), &document["findings"], &document["left"]),
        (Some(0), &serde_json::json!([]), &serde_json::json!([]))
    );
    assert_eq!((&document["paths"], &document["seeds"]), (&serde_json::json!(12), &serde_json::json!(1)));
    // T52: a bucket that is not there, or that one may not read, is no empty mirror.
    assert_ne!(verify("s3://nobody/mirror").status.code(), Some(0));
    let program = Nix::new();
    let path = last().to_string();
    // moto lets those read who say who they are, whoever that is.
    let from = format!("http://test:test@{}/bucket/a/mirror", server.address);
    let mut copy = program.command("nix");
    let trusted = format!("{:?}", key("test-1", 1).public());
    copy.args(["copy", "--from", &from, &path, "--option", "trusted-public-keys", &trusted]);
    let copied = copy.output().unwrap();
    assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
}
