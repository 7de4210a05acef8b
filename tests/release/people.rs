//! A release, and people with keys: made anew for each test by `nix key` and `gpg`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{run, succeed};

/// A folder with a release in it, and a home for gpg.
pub struct Project {
    dir: tempfile::TempDir,
    gpg: tempfile::TempDir,
}

impl Project {
    /// Three files for two platforms, and their manifest `manifest.json`.
    pub fn new() -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let project = Project { dir: tempfile::tempdir().unwrap(), gpg: tempfile::tempdir().unwrap() };
        fs::set_permissions(project.gpg.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let dir = project.dir();
        fs::create_dir_all(dir.join("tool-1.0/doc")).unwrap();
        fs::write(dir.join("tool-1.0/doc/README"), "read me").unwrap();
        fs::write(dir.join("tool-linux-amd64"), "for amd64").unwrap();
        fs::write(dir.join("tool-linux-arm64"), "for arm64").unwrap();
        succeed(dir, &["release", "archive", "tool-1.0", "--to", "tool-source.tar.gz"]);
        project.write_manifest("v1.0", "manifest.json");
        project
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn write_manifest(&self, version: &str, to: &str) {
        let files = ["tool-linux-arm64", "tool-linux-amd64", "tool-source.tar.gz"];
        let options = ["release", "manifest", "--name", "tool", "--version", version, "--to", to];
        succeed(self.dir(), &[&options[..], &files].concat());
    }

    /// An ed25519 key by `nix`: the public one, and the secret one in `NAME.key`.
    pub fn nix_key(&self, name: &str) -> String {
        let nix = |args: &[&str]| {
            let options = ["--extra-experimental-features", "nix-command", "--offline", "key"];
            run(self.dir(), "nix", &[&options[..], args].concat())
        };
        let secret = nix(&["generate-secret", "--key-name", name]);
        let file = self.dir().join(format!("{name}.key"));
        fs::write(&file, secret).unwrap();
        let mut convert = Command::new("nix");
        convert.args(["--extra-experimental-features", "nix-command", "key", "convert-secret-to-public"]);
        let output = convert.stdin(fs::File::open(&file).unwrap()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Runs gpg at a time, e.g. `20210601T120000`, with `input` for what it asks.
    pub fn gpg_asked(&self, time: Option<&str>, args: &[&str], input: &str) -> Vec<u8> {
        let mut command = Command::new("gpg");
        command.env("GNUPGHOME", self.gpg.path()).env("LC_ALL", "C").current_dir(self.dir());
        command.args(["--no-tty", "--yes", "--pinentry-mode", "loopback", "--passphrase", ""]);
        command.args(if input.is_empty() { &["--batch"][..] } else { &["--command-fd", "0"] });
        command.args(time.map(|time| format!("--faked-system-time={time}!")));
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn();
        let mut child = child.unwrap_or_else(|error| panic!("gpg: {error}; `scripts/install-deps --tests`"));
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "gpg {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    pub fn gpg(&self, time: Option<&str>, args: &[&str]) -> Vec<u8> {
        self.gpg_asked(time, args, "")
    }

    /// Makes an OpenPGP key; its fingerprint.
    pub fn gpg_key(&self, time: Option<&str>, user: &str, algorithm: &str, usage: &str) -> String {
        self.gpg(time, &["--quick-generate-key", user, algorithm, usage, "never"]);
        let listed = self.gpg(None, &["--with-colons", "--list-keys", user]);
        let listed = String::from_utf8(listed).unwrap();
        let fingerprint = listed.lines().find_map(|line| line.strip_prefix("fpr:")).unwrap();
        fingerprint.trim_matches(':').to_owned()
    }

    /// Writes the public key of `user` to `USER.pub.asc`.
    pub fn export(&self, user: &str) -> String {
        let file = format!("{user}.pub.asc");
        fs::write(self.dir().join(&file), self.gpg(None, &["--armor", "--export", user])).unwrap();
        file
    }

    /// Signs the manifest as gpg alone does, into `manifest.json.NAME.asc`.
    pub fn gpg_sign(&self, time: Option<&str>, key: &str, name: &str, more: &[&str]) -> PathBuf {
        let file = format!("manifest.json.{name}.asc");
        let options = ["--armor", "--local-user", key, "--output", &file];
        self.gpg(time, &[&options[..], more, &["--detach-sign", "manifest.json"]].concat());
        self.dir().join(file)
    }

    /// Lets `reprove` sign, with gpg's home where it is.
    pub fn sign(&self, args: &[&str]) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_reprove"));
        command.current_dir(self.dir()).env("GNUPGHOME", self.gpg.path()).env("REPROVE_STATE", "state");
        let output = command.args(["release", "sign"]).args(args).stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Writes `signers.toml`: each contributor with ed25519 keys and files of OpenPGP keys.
    pub fn signers(&self, threshold: usize, contributors: &[(&str, &[&str], &[&str])]) {
        let mut text = format!("threshold = {threshold}\n");
        for (name, nix, openpgp) in contributors {
            text += &format!("[[contributor]]\nname = \"{name}\"\nnix = {nix:?}\nopenpgp = {openpgp:?}\n");
        }
        fs::write(self.dir().join("signers.toml"), text).unwrap();
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        // The agent of this home would outlive it.
        let _ = Command::new("gpgconf").env("GNUPGHOME", self.gpg.path()).args(["--kill", "all"]).output();
    }
}
