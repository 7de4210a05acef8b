//! The `nix` program of this machine.

use std::{
    env,
    ffi::OsStr,
    fmt,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use super::{ChrootStore, FlakeError, process, quote::quote};

/// The oldest version that works: Debian 12's.
pub const OLDEST: Version = Version { major: 2, minor: 8 };

/// A version of Nix; Lix counts on from 2.90.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The first number.
    pub major: u32,
    /// The second number.
    pub minor: u32,
}

impl Version {
    /// Reads what `nix --version` prints: `nix (Nix) 2.8.0`, `nix (Lix, like Nix) 2.91.1`,
    /// `nix (Determinate Nix 3.11.2) 2.31.1`, `nix (Nix) 2.24.0pre20240723_abcdef`. The version is the last word.
    pub fn parse(line: &str) -> Option<Version> {
        let mut parts = line.strip_prefix("nix ")?.split_ascii_whitespace().next_back()?.split('.');
        let major = parts.next()?.parse().ok()?;
        let minor = parts.next()?;
        let digits = minor.len() - minor.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        Some(Version { major, minor: minor[..digits].parse().ok()? })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// A `nix` program that is new enough.
#[derive(Clone, Debug)]
pub struct Nix {
    /// Where it is.
    pub path: PathBuf,
    /// Its version.
    pub version: Version,
    /// What it prints for `--version`, escaped.
    pub described: String,
}

/// Settings of every run, in the manner of `nix.conf`; read after the machine's own, so these hold.
///
/// * no users of a group `nixbld` are needed: builds run as the caller;
/// * no substituters and no registries: nothing is asked of the network but what a flake reference names;
/// * a flake's `nixConfig` is never accepted;
/// * no builds while evaluating (import from derivation), unless asked for with `--option`;
/// * content-addressed derivations may be written, so that it is us who say they are not supported;
/// * nothing of the machine's own runs before, after or instead of a build.
const SETTINGS: &str = "
experimental-features = nix-command flakes ca-derivations
build-users-group =
substituters =
flake-registry =
accept-flake-config = false
allow-import-from-derivation = false
sandbox = true
builders =
pre-build-hook =
post-build-hook =
warn-dirty = true
";

impl Nix {
    /// Looks for `nix` on the search path.
    pub fn find() -> Result<Nix, FlakeError> {
        Self::find_in(env::var_os("PATH").as_deref().unwrap_or_default())
    }

    /// Looks for `nix` in the folders of `search_path`, separated as in `PATH`.
    pub fn find_in(search_path: &OsStr) -> Result<Nix, FlakeError> {
        let path = env::split_paths(search_path)
            .filter(|folder| folder.is_absolute())
            .map(|folder| folder.join("nix"))
            .find(|path| path.is_file())
            .ok_or(FlakeError::NixMissing)?;
        let mut command = Command::new(&path);
        command.arg("--version").env("HOME", env::temp_dir());
        let finished = process::run(&mut command, Duration::from_secs(60), None)
            .map_err(|failure| FlakeError::of_failure("nix --version", failure))?;
        let described = quote(finished.stdout.split(|byte| *byte == b'\n').next().unwrap_or_default());
        let version = Version::parse(&described)
            .ok_or_else(|| FlakeError::NixVersion { path: path.clone(), printed: described.clone() })?;
        if version < OLDEST {
            return Err(FlakeError::NixTooOld { path, version });
        }
        Ok(Nix { path, version, described })
    }

    /// The program under one of its names (`nix`, `nix-store`: which one it is called by is what it does), with our
    /// settings and none of the caller's that lead to another store.
    pub(super) fn command(&self, name: &str, store: &ChrootStore) -> Command {
        let mut command = Command::new(&self.path);
        command.arg0(name);
        for name in [
            "NIX_REMOTE",
            "NIX_STORE",
            "NIX_STORE_DIR",
            "NIX_STATE_DIR",
            "NIX_LOG_DIR",
            "NIX_PATH",
            "NIX_HELD_LOCKS",
        ] {
            command.env_remove(name);
        }
        let mut settings = env::var_os("NIX_CONFIG").unwrap_or_default();
        settings.push(SETTINGS);
        // Git's settings say which folders of other users may be read as repositories; they are found by HOME.
        if env::var_os("GIT_CONFIG_GLOBAL").is_none()
            && let Some(file) = env::var_os("HOME").map(|home| Path::new(&home).join(".gitconfig"))
            && file.is_file()
        {
            command.env("GIT_CONFIG_GLOBAL", file);
        }
        command
            .env("NIX_CONFIG", settings)
            .env("HOME", store.home())
            .env("XDG_CACHE_HOME", store.home().join("cache"))
            .env("XDG_CONFIG_HOME", store.home().join("config"))
            .env("XDG_DATA_HOME", store.home().join("data"))
            .env("XDG_STATE_HOME", store.home().join("state"))
            .env("LC_ALL", "C")
            .env("NO_COLOR", "1");
        command
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn versions_as_they_are_printed() {
        let version = |line| Version::parse(line).map(|version| (version.major, version.minor));
        assert_eq!(version("nix (Nix) 2.8.0"), Some((2, 8)));
        assert_eq!(version("nix (Nix) 2.34.8"), Some((2, 34)));
        assert_eq!(version("nix (Lix, like Nix) 2.91.1"), Some((2, 91)));
        assert_eq!(version("nix (Determinate Nix 3.11.2) 2.31.1"), Some((2, 31)));
        assert_eq!(version("nix (Nix) 2.24.0pre20240723_a1b2c3d"), Some((2, 24)));
        assert_eq!(version("nix (Nix) 2.36pre"), Some((2, 36)));
        assert_eq!(version("nix (Nix) 3"), None);
        assert_eq!(version("sh: 1: 2.8"), None);
        assert_eq!(version("nix"), None);
    }

    fn with_fake(script: &str) -> Result<Nix, FlakeError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nix");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        Nix::find_in(folder.path().as_os_str())
    }

    #[test]
    fn t120_no_nix_an_old_one_or_something_else_of_that_name() {
        assert!(matches!(Nix::find_in(OsStr::new("/nonexistent:relative")), Err(FlakeError::NixMissing)));
        assert!(matches!(with_fake("echo 'nix (Nix) 2.3.16'"), Err(FlakeError::NixTooOld { .. })));
        assert!(matches!(with_fake("echo hello"), Err(FlakeError::NixVersion { .. })));
        assert!(matches!(with_fake("exit 1"), Err(FlakeError::NixVersion { .. })));
        let error = with_fake("echo 'nix (Nix) 2.3.16'").unwrap_err().to_string();
        assert!(error.contains("2.3") && error.contains("2.8"), "{error}");
        assert_eq!(
            with_fake("echo 'nix (Lix, like Nix) 2.93.0'").unwrap().version,
            Version { major: 2, minor: 93 }
        );
    }
}
