//! Servers of buckets, each of its own, on the loopback; `scripts/test-buckets` has them.

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

/// Who may do everything in Azurite's one account, whose key is public: an account SAS (version 2019-02-02, service `b`, all types of
/// resources, `rwdlac`, until 2100), signed with that key.
const AZURITE_TOKEN: &str = "sv=2019-02-02&ss=b&srt=sco&sp=rwdlac&se=2100-01-01T00%3A00%3A00Z&spr=https%2Chttp\
                             &sig=AO3gkqc6Ggf8aWgtS0Yowo369mbJ06dYaTiDHYqk3TA%3D";

/// What a server speaks.
#[derive(Clone, Copy)]
enum Protocol {
    S3,
    Azure,
}

/// A server of its own with one bucket, `bucket`; gone when dropped.
pub struct Service {
    child: Child,
    protocol: Protocol,
    /// Address and port.
    pub address: String,
    /// Who Nix says it is, in front of the address: not every server lets everybody read.
    reader: &'static str,
    _dir: tempfile::TempDir,
}

impl Service {
    /// moto's, which keeps everything in memory.
    pub fn moto() -> Self {
        let [port] = ports();
        let mut command = Command::new("moto_server");
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        let dir = tempfile::tempdir().unwrap();
        let service = Service::start(command, Protocol::S3, dir, port, "test:test@");
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
        let service = Service::start(command, Protocol::S3, dir, ports[6], "");
        let mut shell = Command::new("weed");
        shell.args(["shell", &format!("-master=127.0.0.1:{}.{}", ports[0], ports[1])]);
        shell.arg(format!("-filer=127.0.0.1:{}.{}", ports[4], ports[5]));
        let mut shell = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        shell.stdin.take().unwrap().write_all(b"s3.bucket.create -name bucket\n").unwrap();
        let said = shell.wait_with_output().unwrap();
        assert!(String::from_utf8_lossy(&said.stdout).contains("created bucket bucket"), "{said:?}");
        service
    }

    /// Azurite, which keeps everything in memory.
    pub fn azurite() -> Self {
        let [port] = ports();
        let mut command = Command::new("azurite-blob");
        command.args(["--blobHost", "127.0.0.1", "--blobPort", &port.to_string()]);
        command.args(["--inMemoryPersistence", "--silent", "--disableTelemetry"]);
        let service = Service::start(command, Protocol::Azure, tempfile::tempdir().unwrap(), port, "");
        let request = format!(
            "PUT /devstoreaccount1/bucket?restype=container&{AZURITE_TOKEN} HTTP/1.0\r\nHost: {}\r\n\
             x-ms-blob-public-access: blob\r\nContent-Length: 0\r\n\r\n",
            service.address
        );
        let answer = service.ask(&request).unwrap();
        assert!(answer.contains(" 201 "), "{answer}");
        service
    }

    /// Starts it, and waits until it answers.
    fn start(
        mut command: Command,
        protocol: Protocol,
        dir: tempfile::TempDir,
        port: u16,
        reader: &'static str,
    ) -> Self {
        command.current_dir(dir.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("a server of buckets: scripts/test-buckets installs them");
        let service = Service { child, protocol, address: format!("127.0.0.1:{port}"), reader, _dir: dir };
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

    /// What this program calls a place in a bucket of it.
    pub fn location(&self, place: &str) -> String {
        match self.protocol {
            Protocol::S3 => format!("s3://{place}"),
            Protocol::Azure => format!("az://{place}"),
        }
    }

    /// Where whoever reads over HTTP finds the same.
    pub fn served(&self, place: &str) -> String {
        format!("http://{}{}{}", self.reader, self.address, self.path(place))
    }

    /// The path of the same in a request.
    pub fn path(&self, place: &str) -> String {
        match self.protocol {
            Protocol::S3 => format!("/{place}"),
            Protocol::Azure => format!("/devstoreaccount1/{place}"),
        }
    }

    /// What a program that speaks with it finds it by.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let url = format!("http://{}", self.address);
        let environment: &[(&str, &str)] = match self.protocol {
            Protocol::S3 => &[
                ("AWS_ENDPOINT_URL", &url),
                ("AWS_ALLOW_HTTP", "true"),
                ("AWS_ACCESS_KEY_ID", "test"),
                ("AWS_SECRET_ACCESS_KEY", "test"),
                ("AWS_REGION", "us-east-1"),
            ],
            Protocol::Azure => &[("AZURE_STORAGE_USE_EMULATOR", "true"), ("AZURITE_BLOB_STORAGE_URL", &url)],
        };
        environment.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
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
