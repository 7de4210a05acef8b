//! A private apt: its own configuration, sources, package lists and caches, for one suite and one
//! architecture. The system's are never read (but for the proxy settings) nor written.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use super::error::at;
use super::{AptError, Archives};
use crate::source::tool::{Tool, ToolError};

const FIX: &str =
    "it belongs to Debian's package apt; without it, add the file by hand: `reprove source add FILE`";

/// Settings taken over from the machine: how to reach a network, and whether this machine's mirror is a
/// frozen one (then its expiry dates are long past). Hooks and everything else stay behind.
const KEPT_SETTINGS: [&str; 9] = [
    "Acquire::http",
    "Acquire::https",
    "Acquire::ftp",
    "Acquire::ForceIPv4",
    "Acquire::ForceIPv6",
    "Acquire::Retries",
    "Acquire::Check-Valid-Until",
    "Acquire::Check-Date",
    "Acquire::Max-FutureTime",
];

/// One private apt, locked against other processes and threads for as long as it lives, and for as long as a program of apt's
/// does that it has begun.
pub(super) struct State {
    folder: PathBuf,
    /// Unlocks when everybody who has it open has closed it.
    lock: File,
}

impl State {
    /// Makes or opens the state for `suite` and `arch` (`source` for source packages) under `root`.
    pub(super) fn open(root: &Path, suite: &str, arch: &str, archives: &Archives) -> Result<Self, AptError> {
        let root = std::path::absolute(root).map_err(at(root))?;
        let folder = root.join(format!("{suite}-{arch}"));
        for below in ["lists/partial", "cache/archives/partial", "log"] {
            let path = folder.join(below);
            std::fs::create_dir_all(&path).map_err(at(&path))?;
        }
        let lock_path = folder.join("lock");
        let mut options = OpenOptions::new();
        let lock = options.read(true).write(true).create(true).truncate(false).open(&lock_path);
        let lock = lock.map_err(at(&lock_path))?;
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive)
            .map_err(|error| at(&lock_path)(error.into()))?;
        let state = State { folder, lock };
        let kind = if arch == "source" { "deb-src" } else { "deb" };
        state.write("sources.list", &archives.sources_list(kind, suite))?;
        // No package is installed, as far as this apt knows.
        state.write("status", "")?;
        state.write("apt.conf", &state.configuration(arch)?)?;
        Ok(state)
    }

    /// Where it lies.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether package lists were ever downloaded.
    pub(super) fn has_lists(&self) -> bool {
        self.folder.join("updated").exists()
    }

    /// Downloads the package lists. What apt complains about is given back: one list of several may be
    /// out of step on a mirror that is being synchronised, while the wanted package stands in another.
    pub(super) fn update(&self) -> Result<Option<String>, AptError> {
        let complaint = match self.tool("apt-get").args(["-qq", "update"]).run() {
            Ok(_) => None,
            Err(ToolError::Failed { stderr, .. }) => Some(stderr),
            Err(other) => return Err(other.into()),
        };
        // apt tells an old cache by the lists' sizes and times in seconds, which can be equal by chance.
        for cache in ["cache/pkgcache.bin", "cache/srcpkgcache.bin"] {
            let path = self.folder.join(cache);
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(at(&path)(error)),
                _ => {}
            }
        }
        let lists = self.folder.join("lists");
        let any = std::fs::read_dir(&lists).map_err(at(&lists))?.any(|entry| {
            let name = entry.map(|entry| entry.file_name()).unwrap_or_default();
            let name = name.to_string_lossy();
            name.ends_with("_Packages") || name.ends_with("_Sources")
        });
        if any {
            self.write("updated", "")?;
        }
        Ok(complaint)
    }

    /// A program of apt's, set to this state. It runs in the state's folder: `apt-get download` says nothing about a
    /// package whose file lies in the folder it is run in, as it may in the user's. It holds the lock, too: apt has locks of its own, on
    /// which nobody waits, and ends long after us when we are killed.
    pub(super) fn tool(&self, program: &str) -> Tool {
        Tool::new(program, FIX)
            .env("APT_CONFIG", self.folder.join("apt.conf"))
            .in_folder(&self.folder)
            .holding(self.lock.try_clone())
    }

    fn write(&self, name: &str, text: &str) -> Result<(), AptError> {
        let path = self.folder.join(name);
        // Written only when it changes: apt rebuilds its cache when a sources list is younger.
        if std::fs::read(&path).is_ok_and(|old| old == text.as_bytes()) {
            return Ok(());
        }
        std::fs::write(&path, text).map_err(at(&path))
    }

    /// apt.conf(5). `APT_CONFIG` is read first, so that it can point apt away from the system's own files.
    fn configuration(&self, arch: &str) -> Result<String, AptError> {
        let folder = self.folder.to_str().filter(|path| !path.contains(['"', '\n', '\\', '%']));
        let folder = folder.ok_or_else(|| {
            let problem = "apt cannot work in a folder with this name; choose another state folder";
            at(&self.folder)(std::io::Error::other(problem))
        })?;
        // Nothing is installed here, so for sources any architecture does.
        let arch = if arch == "source" { "amd64" } else { arch };
        let settings = [
            ("Dir::Etc::main", "/dev/null"),
            ("Dir::Etc::parts", "/dev/null"),
            ("Dir::Etc::sourcelist", &format!("{folder}/sources.list")),
            ("Dir::Etc::sourceparts", "/dev/null"),
            ("Dir::Etc::preferences", "/dev/null"),
            ("Dir::Etc::preferencesparts", "/dev/null"),
            ("Dir::State", folder),
            ("Dir::State::status", &format!("{folder}/status")),
            ("Dir::Cache", &format!("{folder}/cache")),
            ("Dir::Log", &format!("{folder}/log")),
            ("APT::Architecture", arch),
            ("APT::Architectures::", arch),
            // The state may lie where the user `_apt` cannot reach it.
            ("APT::Sandbox::User", "root"),
            ("APT::Install-Recommends", "false"),
            ("APT::Get::Assume-Yes", "true"),
            ("Acquire::Languages", "none"),
            ("Acquire::AllowInsecureRepositories", "false"),
            ("Acquire::AllowWeakRepositories", "false"),
            ("Acquire::AllowDowngradeToInsecureRepositories", "false"),
        ];
        let mut text: String =
            settings.iter().map(|(name, value)| format!("{name} \"{value}\";\n")).collect();
        for line in Tool::new("apt-config", FIX).args(["dump"]).run()?.lines() {
            if KEPT_SETTINGS.iter().any(|kept| is_below(line, kept)) {
                text.push_str(line);
                text.push('\n');
            }
        }
        Ok(text)
    }
}

/// Whether a line of `apt-config dump` sets `name` or something below it.
fn is_below(line: &str, name: &str) -> bool {
    line.strip_prefix(name).is_some_and(|rest| rest.starts_with("::") || rest.starts_with(' '))
}
