//! Debian packages through the machine's own apt, from any suite and for any architecture, without
//! touching the system's apt state.
//!
//! apt finds the mirror, verifies the archive's signatures and downloads; which bytes are right is decided
//! here, by the pinned hash. Package lists are kept and refreshed when a pin is not found in them.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};

mod error;
mod hint;
mod index;
mod mirrors;
mod state;

pub use error::AptError;
pub use mirrors::Archives;

use super::pin::{AptPart, AptPin, PinError, is_name};
use super::tool::ToolError;
use error::at;
use index::{Download, Listed};
use state::State;

/// A package as the archive has it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The package's name.
    pub package: String,
    /// The version, epoch included.
    pub version: String,
    /// SHA-256 of the `.deb` file.
    pub sha256: [u8; 32],
    /// Its path in the archive.
    pub filename: String,
    /// Its size in bytes.
    pub size: u64,
}

/// A file of a source package as the archive has it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// The file's name.
    pub name: String,
    /// SHA-256 of it.
    pub sha256: [u8; 32],
    /// Its size in bytes.
    pub size: u64,
}

/// A file that was fetched, or was there already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Where it lies; the file is ours and stays.
    pub path: PathBuf,
    /// SHA-256 of its bytes, checked just now.
    pub sha256: [u8; 32],
}

/// The machine's package client, with a private state under one folder.
pub struct Apt {
    root: PathBuf,
    /// Looked up in the machine's configuration when first needed, unless given.
    archives: OnceLock<Archives>,
    /// States whose lists were refreshed by this process: once is enough.
    refreshed: Mutex<BTreeSet<(String, String)>>,
}

impl Apt {
    /// Keeps package lists and downloaded files under `root`.
    pub fn new(root: &Path, archives: Archives) -> Self {
        Apt { root: root.to_owned(), archives: archives.into(), refreshed: Mutex::default() }
    }

    /// The same with the archives that this machine is configured for.
    pub fn of_machine(root: &Path) -> Self {
        Apt { root: root.to_owned(), archives: OnceLock::new(), refreshed: Mutex::default() }
    }

    /// The newest version of a package, for pinning it.
    pub fn candidate(&self, suite: &str, arch: &str, package: &str) -> Result<Candidate, AptError> {
        self.check_names([suite, arch, package])?;
        let state = self.state(suite, arch)?;
        let show = |state: &State| show(state, &["--no-all-versions", "show", package]);
        let found = show(&state)?.into_iter().next();
        let (found, note) = match found {
            Some(found) => (Some(found), String::new()),
            None => {
                let note = self.refresh(&state, suite, arch)?;
                (show(&state)?.into_iter().next(), note)
            }
        };
        found.map(Listed::into_candidate).transpose()?.ok_or_else(|| unknown(suite, arch, package, note))
    }

    /// The packages named and everything they depend on (not what they recommend), by apt's own solver,
    /// as if nothing were installed; sorted by name.
    pub fn resolve(&self, suite: &str, arch: &str, packages: &[&str]) -> Result<Vec<Candidate>, AptError> {
        self.check_names([suite, arch].into_iter().chain(packages.iter().copied()))?;
        let state = self.state(suite, arch)?;
        let printed = state.tool("apt-get").args(["-qq", "--print-uris", "install"]).args(packages).run()?;
        let mut found = Vec::new();
        for line in printed.lines().filter(|line| line.starts_with('\'')) {
            let download = Download::parse(line)?;
            let (package, version) = download.package_and_version()?;
            let listed = show(&state, &["show", &format!("{package}={version}")])?;
            let listed = listed.into_iter().next();
            found
                .push(listed.ok_or_else(|| unknown(suite, arch, &package, String::new()))?.into_candidate()?);
        }
        found.sort_by(|a: &Candidate, b| a.package.cmp(&b.package));
        Ok(found)
    }

    /// The files of a source package, of exactly this version.
    pub fn source_files(
        &self,
        suite: &str,
        package: &str,
        version: &str,
    ) -> Result<Vec<SourceFile>, AptError> {
        let pin = AptPin {
            suite: suite.to_owned(),
            package: package.to_owned(),
            version: version.to_owned(),
            part: AptPart::Source { file: "any".to_owned() },
        };
        let pin: AptPin = pin.to_string().parse()?;
        let state = self.state(suite, "source")?;
        let downloads = self.source_downloads(&state, &pin)?;
        downloads
            .into_iter()
            .map(|file| Ok(SourceFile { sha256: file.sha256()?, size: file.size, name: file.name }))
            .collect()
    }

    /// Fetches the file a pin names: for a member, the whole package. With `sha256`, only those bytes
    /// are accepted, and no network is needed when they were fetched before. Without, the caller holds what it takes out of them
    /// against a hash: where apt has no lists, nobody else stands for them.
    pub fn fetch(&self, pin: &AptPin, sha256: Option<[u8; 32]>) -> Result<Fetched, AptError> {
        if let Some(sha256) = sha256
            && let Some(fetched) = self.in_pool(sha256)?
        {
            return Ok(fetched);
        }
        let arch = match &pin.part {
            AptPart::Package { arch } | AptPart::Member { arch, .. } => arch.as_str(),
            AptPart::Source { .. } => "source",
        };
        self.check_names([pin.suite.as_str(), arch, pin.package.as_str()])?;
        let state = match self.state(&pin.suite, arch) {
            Ok(state) => state,
            Err(error) => return self.by_hint(pin, arch, sha256, error),
        };
        let download = match &pin.part {
            AptPart::Source { file } => {
                let all = self.source_downloads(&state, pin)?;
                let available = all.iter().map(|one| one.name.as_str()).collect::<Vec<_>>().join(", ");
                let found = all.into_iter().find(|one| one.name == *file);
                found.ok_or_else(|| AptError::NoSourceFile { pin: pin.to_string(), available })?
            }
            _ => self.package_download(&state, arch, pin)?,
        };
        let listed = download.sha256()?;
        if let Some(expected) = sha256
            && expected != listed
        {
            return Err(mismatch(pin, expected, listed));
        }
        match self.in_pool(listed)? {
            Some(fetched) => Ok(fetched),
            None => self.download(&state, pin, &download, listed),
        }
    }

    /// Fetches a package, whose bytes or what is in them have a known hash, although apt could get no lists.
    fn by_hint(
        &self,
        pin: &AptPin,
        arch: &str,
        sha256: Option<[u8; 32]>,
        error: AptError,
    ) -> Result<Fetched, AptError> {
        let (AptError::Update { .. }, Some(archives)) = (&error, self.archives.get()) else {
            return Err(error);
        };
        if matches!(pin.part, AptPart::Source { .. }) {
            return Err(error);
        }
        let state = State::open(&self.root, &pin.suite, arch, archives)?;
        let Some(download) = hint::find(&state, &archives.main, arch, pin) else { return Err(error) };
        let expected = sha256.map_or_else(|| download.sha256(), Ok)?;
        match self.in_pool(expected)? {
            Some(fetched) => Ok(fetched),
            None => self.download(&state, pin, &download, expected),
        }
    }

    fn check_names<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Result<(), AptError> {
        match names.into_iter().find(|name| !is_name(name)) {
            None => Ok(()),
            Some(name) => Err(AptError::Pin(PinError {
                pin: name.to_owned(),
                problem: "a suite, architecture or package has lower-case letters, digits, `+`, `.` and `-`",
                spelling: "apt:<suite>/<arch>/<package>=<version>",
            })),
        }
    }

    fn state(&self, suite: &str, arch: &str) -> Result<State, AptError> {
        let archives = match self.archives.get() {
            Some(archives) => archives.clone(),
            None => Archives::of_machine()?,
        };
        let state = State::open(&self.root, suite, arch, self.archives.get_or_init(|| archives))?;
        if !state.has_lists() {
            let said = self.refresh(&state, suite, arch)?;
            if !state.has_lists() {
                let (suite, arch) = (suite.to_owned(), arch.to_owned());
                return Err(AptError::Update { suite, arch, said });
            }
        }
        Ok(state)
    }

    /// Downloads the package lists unless this process already did; what apt complained about.
    fn refresh(&self, state: &State, suite: &str, arch: &str) -> Result<String, AptError> {
        let key = (suite.to_owned(), arch.to_owned());
        let mut refreshed = self.refreshed.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if refreshed.contains(&key) {
            return Ok(String::new());
        }
        let complaint = state.update()?;
        refreshed.insert(key);
        Ok(complaint
            .map(|said| format!("\nnote: apt complained about the package lists:\n{said}"))
            .unwrap_or_default())
    }

    fn package_download(&self, state: &State, arch: &str, pin: &AptPin) -> Result<Download, AptError> {
        let versions = || show(state, &["show", &pin.package]);
        let has = |listed: &[Listed]| listed.iter().any(|one| one.version == pin.version);
        let mut listed = versions()?;
        let mut note = String::new();
        if !has(&listed) {
            note = self.refresh(state, &pin.suite, arch)?;
            listed = versions()?;
        }
        if listed.is_empty() {
            return Err(unknown(&pin.suite, arch, &pin.package, note));
        }
        if !has(&listed) {
            return Err(gone(pin, &listed, note));
        }
        let wanted = format!("{}={}", pin.package, pin.version);
        let printed = state.tool("apt-get").args(["-qq", "--print-uris", "download", &wanted]).run()?;
        let line = printed.lines().find(|line| line.starts_with('\''));
        Download::parse(line.unwrap_or(&printed))
    }

    fn source_downloads(&self, state: &State, pin: &AptPin) -> Result<Vec<Download>, AptError> {
        let versions = || show(state, &["--only-source", "showsrc", &pin.package]);
        let has = |listed: &[Listed]| listed.iter().any(|one| one.version == pin.version);
        let mut listed = versions()?;
        let mut note = String::new();
        if !has(&listed) {
            note = self.refresh(state, &pin.suite, "source")?;
            listed = versions()?;
        }
        if listed.is_empty() {
            return Err(unknown(&pin.suite, "source", &pin.package, note));
        }
        if !has(&listed) {
            return Err(gone(pin, &listed, note));
        }
        let wanted = format!("{}={}", pin.package, pin.version);
        let arguments = ["-qq", "--print-uris", "--only-source", "--download-only", "source", &wanted];
        let printed = state.tool("apt-get").args(arguments).run()?;
        printed.lines().filter(|line| line.starts_with('\'')).map(Download::parse).collect()
    }

    /// The file with this hash, when it was fetched before; a damaged one is fetched again.
    fn in_pool(&self, sha256: [u8; 32]) -> Result<Option<Fetched>, AptError> {
        let path = self.pool().join(hex(&sha256));
        match File::open(&path) {
            Ok(file) => {
                let found = sha256_of(file).map_err(at(&path))?;
                Ok((found == sha256).then_some(Fetched { path, sha256 }))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(at(&path)(error)),
        }
    }

    fn pool(&self) -> PathBuf {
        self.root.join("pool")
    }

    /// Downloads next to the pool and moves into it under the hash, so that a file there is whole.
    fn download(
        &self,
        state: &State,
        pin: &AptPin,
        download: &Download,
        expected: [u8; 32],
    ) -> Result<Fetched, AptError> {
        let pool = self.pool();
        std::fs::create_dir_all(&pool).map_err(at(&pool))?;
        let folder = tempfile::tempdir_in(&self.root).map_err(at(&self.root))?;
        let target = folder.path().join("file");
        let hash = format!("SHA256:{}", hex(&expected));
        state
            .tool("/usr/lib/apt/apt-helper")
            .args(["-qq", "download-file", &download.uri])
            .args([target.as_os_str(), hash.as_ref()])
            .run()?;
        // From an archive on this machine apt makes a link instead of a file.
        let whole = folder.path().join("whole");
        std::fs::copy(&target, &whole).map_err(at(&target))?;
        let got = File::open(&whole).and_then(sha256_of).map_err(at(&whole))?;
        if got != expected {
            return Err(mismatch(pin, expected, got));
        }
        let path = pool.join(hex(&expected));
        std::fs::rename(&whole, &path).map_err(at(&path))?;
        Ok(Fetched { path, sha256: got })
    }
}

/// What `apt-cache` lists; nothing when it knows no such package.
fn show(state: &State, arguments: &[&str]) -> Result<Vec<Listed>, AptError> {
    match state.tool("apt-cache").args(arguments).run() {
        Ok(printed) => index::parse(&printed),
        Err(ToolError::Failed { stderr, .. })
            if ["No packages found", "Unable to locate package", "Unable to find a source package"]
                .iter()
                .any(|message| stderr.contains(message)) =>
        {
            Ok(Vec::new())
        }
        Err(other) => Err(other.into()),
    }
}

fn unknown(suite: &str, arch: &str, package: &str, note: String) -> AptError {
    let owned = str::to_owned;
    AptError::UnknownPackage { suite: owned(suite), arch: owned(arch), package: owned(package), note }
}

fn gone(pin: &AptPin, listed: &[Listed], note: String) -> AptError {
    let versions: Vec<&str> = listed.iter().map(|one| one.version.as_str()).collect();
    AptError::VersionGone {
        pin: pin.to_string(),
        package: pin.package.clone(),
        pinned: pin.version.clone(),
        available: versions.join(", "),
        note,
    }
}

fn mismatch(pin: &AptPin, expected: [u8; 32], got: [u8; 32]) -> AptError {
    AptError::HashMismatch { pin: pin.to_string(), expected: hex(&expected), got: hex(&got) }
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

fn sha256_of(mut file: File) -> std::io::Result<[u8; 32]> {
    use sha2::Digest as _;
    let mut hasher = sha2::Sha256::new();
    std::io::copy(&mut file, &mut hasher)?;
    Ok(hasher.finalize().into())
}

#[cfg(test)]
pub(super) mod tests;
