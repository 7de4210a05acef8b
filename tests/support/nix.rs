//! The real `nix` program, with a private store below a temporary directory; nothing in /nix is touched.

use std::{
    ffi::OsStr,
    fs,
    io::Write as _,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use reprove::nix::{derivation::Derivation, store_path::StorePath};

/// A `nix` with a home and a store of its own.
pub struct Nix {
    dir: tempfile::TempDir,
    /// Where its programs are; otherwise they are found as any program is.
    programs: Option<PathBuf>,
}

impl Nix {
    /// A new one, with nothing in it.
    pub fn new() -> Self {
        Nix::with(None)
    }

    /// The same, by the `nix` of another release of Debian, which is put into a folder that stays.
    pub fn of_debian(suite: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("nix-{suite}"));
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/other-nix");
        let status = Command::new(script).arg(suite).arg(&folder).status();
        assert!(status.expect("bash").success(), "scripts/other-nix {suite}");
        Nix::with(Some(folder.join("bin")))
    }

    fn with(programs: Option<PathBuf>) -> Self {
        Nix { dir: tempfile::tempdir().expect("temporary directory"), programs }
    }

    /// Where its store is, for `--store`.
    pub fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    /// A place of its own for a file.
    pub fn scratch(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A program of Nix, set up to use it.
    pub fn command(&self, program: &str) -> Command {
        let mut command = match &self.programs {
            Some(folder) => Command::new(folder.join(program)),
            None => Command::new(program),
        };
        command
            .env("HOME", self.dir.path())
            .env("XDG_CACHE_HOME", self.dir.path())
            .env("NIX_REMOTE", self.root())
            .env(
                "NIX_CONFIG",
                "experimental-features = nix-command flakes ca-derivations impure-derivations\n\
                 build-users-group =\nsubstituters =\nflake-registry =\n",
            )
            .env_remove("NIX_PATH")
            .stdin(Stdio::null());
        command
    }

    /// What a run of such a program did.
    pub fn output(&self, program: &str, args: &[&OsStr]) -> Output {
        let output = self.command(program).args(args).output();
        output.expect("the programs of Nix: apt-get install nix-bin")
    }

    /// What a successful run prints, without the last newline.
    pub fn run(&self, program: &str, args: &[&str]) -> String {
        let args: Vec<&OsStr> = args.iter().map(OsStr::new).collect();
        let output = self.output(program, &args);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {args:?}: {stderr}");
        String::from_utf8(output.stdout).expect("text").trim_end_matches('\n').to_owned()
    }

    /// What a successful run prints when it reads `input`.
    pub fn output_with_input(&self, program: &str, args: &[&str], input: &[u8]) -> String {
        let mut child = self.command(program);
        let child = child.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.expect("the programs of Nix: apt-get install nix-bin");
        child.stdin.take().expect("a pipe").write_all(input).expect("it reads");
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success());
        String::from_utf8(output.stdout).expect("text")
    }

    /// The NAR of what lies somewhere.
    pub fn dump(&self, path: &Path) -> Vec<u8> {
        let output = self.output("nix-store", &[OsStr::new("--dump"), path.as_os_str()]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// Evaluates an expression; all its derivations land in the store.
    pub fn instantiate(&self, expression: &[u8]) -> Vec<StorePath> {
        let file = self.scratch("expression.nix");
        fs::write(&file, expression).expect("writable");
        let printed = self.run("nix-instantiate", &[file.to_str().expect("text")]);
        // Behind an exclamation mark: the output, when it is not `out`.
        let paths = printed.lines().map(|line| line.split('!').next().unwrap_or_default());
        paths.map(|path| path.parse().expect("a store path")).collect()
    }

    /// Every file of the store whose name ends in `.drv`.
    pub fn derivations(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let entries = fs::read_dir(self.root().join("nix/store")).expect("a store");
        entries
            .map(|entry| entry.expect("readable entry"))
            .filter(|entry| entry.file_name().as_bytes().ends_with(b".drv"))
            .map(|entry| (entry.file_name().as_bytes().to_vec(), fs::read(entry.path()).expect("readable")))
            .collect()
    }

    /// A derivation of the store.
    pub fn derivation(&self, path: &StorePath) -> Derivation {
        let file = self.root().join("nix/store").join(path.base_name());
        Derivation::parse(&fs::read(file).expect("readable")).expect("a derivation made by Nix")
    }
}

impl Drop for Nix {
    fn drop(&mut self) {
        // Nix takes away the right to write, and with it, from all but root, the right to remove.
        let _ = Command::new("chmod").arg("-R").arg("u+w").arg(self.dir.path()).status();
    }
}
