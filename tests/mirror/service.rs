//! Servers that speak S3, each of its own, on the loopback; `scripts/test-buckets` has them.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::Duration,
};

/// Who may do what in SeaweedFS: one user everything, and everybody read, as with a public mirror.
const SEAWEEDFS_USERS: &str = r#"{"identities": [
    {"name": "anonymous", "actions": ["Read"]},
    {"name": "test", "credentials": [{"accessKey": "test", "secretKey": "test"}], "actions": ["Admin", "Read", "Write", "List"]}
]}"#;

/// A server of its own with one bucket, `bucket`; gone when dropped.
pub struct Service {
    child: Child,
    /// Address and port.
    pub address: String,
    /// Who Nix says it is, in front of the address: not every server lets everybody read.
    pub reader: &'static str,
    _dir: tempfile::TempDir,
}

impl Service {
    /// moto's, which keeps everything in memory.
    pub fn moto() -> Self {
        let [port] = ports();
        let mut command = Command::new("moto_server");
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        let service = Service::start(command, tempfile::tempdir().unwrap(), port, "test:test@");
        let request =
            format!("PUT /bucket HTTP/1.0\r\nHost: {}\r\nContent-Length: 0\r\n\r\n", service.address);
        let answer = service.ask(&request).unwrap();
        assert!(answer.contains(" 200 "), "{answer}");
        service
    }

    /// SeaweedFS, which keeps it in files and is used for the real thing.
    pub fn seaweedfs() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let users = dir.path().join("users.json");
        std::fs::write(&users, SEAWEEDFS_USERS).unwrap();
        let ports: [u16; 8] = ports();
        let mut command = Command::new("weed");
        command.args(["server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3"]);
        command.args([
            "-volume.max=8",
            "-master.volumeSizeLimitMB=128",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
        ]);
        command.arg(format!("-dir={}", dir.path().display()));
        command.arg(format!("-s3.config={}", users.display()));
        let servers = ["master", "volume", "filer", "s3"];
        for (server, ports) in servers.into_iter().zip(ports.chunks(2)) {
            command.arg(format!("-{server}.port={}", ports[0]));
            command.arg(format!("-{server}.port.grpc={}", ports[1]));
        }
        let service = Service::start(command, dir, ports[6], "");
        let mut shell = Command::new("weed");
        shell.args(["shell", &format!("-master=127.0.0.1:{}.{}", ports[0], ports[1])]);
        shell.arg(format!("-filer=127.0.0.1:{}.{}", ports[4], ports[5]));
        let mut shell = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        shell.stdin.take().unwrap().write_all(b"s3.bucket.create -name bucket\n").unwrap();
        let said = shell.wait_with_output().unwrap();
        assert!(String::from_utf8_lossy(&said.stdout).contains("created bucket bucket"), "{said:?}");
        service
    }

    /// Starts it, and waits until it answers.
    fn start(mut command: Command, dir: tempfile::TempDir, port: u16, reader: &'static str) -> Self {
        command.current_dir(dir.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("a server that speaks S3: scripts/test-buckets installs them");
        let service = Service { child, address: format!("127.0.0.1:{port}"), reader, _dir: dir };
        for _ in 0..600 {
            if service.ask(&format!("GET / HTTP/1.0\r\nHost: {}\r\n\r\n", service.address)).is_ok() {
                return service;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("{command:?} does not answer");
    }

    fn ask(&self, request: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    /// What a program that speaks S3 finds it by.
    pub fn environment(&self) -> [(&'static str, String); 5] {
        [
            ("AWS_ENDPOINT_URL", format!("http://{}", self.address)),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
            ("AWS_ACCESS_KEY_ID", "test".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
        ]
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Ports that nobody listens at.
fn ports<const N: usize>() -> [u16; N] {
    let listeners = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}
