//! A writer of initial file systems: cpio archives in the `newc` form the Linux kernel unpacks at boot.
//!
//! Format: the kernel's `Documentation/driver-api/early-userspace/buffer-format.rst`, and cpio(5). Everything that
//! could differ between two hosts is fixed: owner 0:0, time 0, inode numbers counted from 1, no hard links.

const MAGIC: &[u8] = b"070701";
const TRAILER: &str = "TRAILER!!!";

/// `st_mode` bits of the types of entry.
const DIRECTORY: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;
const LINK: u32 = 0o120_000;
const CHARACTER: u32 = 0o020_000;

/// An archive being written. Directories come before what is in them, as the kernel wants it.
#[derive(Default)]
pub struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    /// A directory of mode 755.
    pub fn directory(&mut self, path: &str) {
        self.entry(path, DIRECTORY | 0o755, (0, 0), &[]);
    }

    /// A regular file of the permissions `mode`.
    pub fn file(&mut self, path: &str, mode: u32, contents: &[u8]) {
        self.entry(path, REGULAR | mode, (0, 0), contents);
    }

    /// A symbolic link.
    pub fn link(&mut self, path: &str, target: &str) {
        self.entry(path, LINK | 0o777, (0, 0), target.as_bytes());
    }

    /// A character device of mode 600.
    pub fn device(&mut self, path: &str, major: u32, minor: u32) {
        self.entry(path, CHARACTER | 0o600, (major, minor), &[]);
    }

    /// The archive, complete.
    pub fn finish(mut self) -> Vec<u8> {
        self.entry(TRAILER, 0, (0, 0), &[]);
        self.bytes
    }

    fn entry(&mut self, path: &str, mode: u32, device: (u32, u32), contents: &[u8]) {
        self.entries += 1;
        let fields = [
            self.entries,
            mode,
            0, // owner
            0, // group
            1, // links
            0, // time
            contents.len() as u32,
            0, // device the file is on
            0,
            device.0,
            device.1,
            path.len() as u32 + 1,
            0, // check sum, unused in this form
        ];
        self.bytes.extend_from_slice(MAGIC);
        for field in fields {
            self.bytes.extend_from_slice(format!("{field:08X}").as_bytes());
        }
        self.bytes.extend_from_slice(path.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(contents);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use super::*;

    fn archive() -> Vec<u8> {
        let mut archive = Archive::default();
        archive.directory("bin");
        archive.file("bin/odd", 0o755, b"five!");
        archive.file("empty", 0o644, b"");
        archive.link("bin/sh", "busybox");
        archive.device("console", 5, 1);
        archive.finish()
    }

    fn cpio(arguments: &[&str], input: &[u8]) -> String {
        let mut child = Command::new("cpio")
            .args(arguments)
            .env("TZ", "UTC")
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("cpio must be installed (Debian: cpio)");
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn cpio_lists_every_entry() {
        let listing = cpio(&["-itv", "--numeric-uid-gid", "--quiet"], &archive());
        let lines: Vec<String> =
            listing.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(
            lines,
            [
                "drwxr-xr-x 1 0 0 0 Jan 1 1970 bin",
                "-rwxr-xr-x 1 0 0 5 Jan 1 1970 bin/odd",
                "-rw-r--r-- 1 0 0 0 Jan 1 1970 empty",
                "lrwxrwxrwx 1 0 0 7 Jan 1 1970 bin/sh -> busybox",
                "crw------- 1 0 0 5, 1 Jan 1 1970 console",
            ]
        );
    }

    #[test]
    fn cpio_gives_back_the_contents() {
        assert_eq!(cpio(&["-i", "--to-stdout", "--quiet", "bin/odd"], &archive()), "five!");
    }
}
