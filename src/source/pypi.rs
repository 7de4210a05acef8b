//! Wheels and source archives of Python packages, through the machine's own pip.
//!
//! pip finds the index (its configuration, its environment), downloads, and checks the hash before it looks
//! into the file; for a source archive it then runs the archive's own metadata step, so that one is only
//! fetched when the hash pins it.

use std::fs::File;

use super::contents::Contents;
use super::pin::PypiPin;
use super::tool::{Tool, ToolError};
use crate::nix::hash::{Algorithm, Hash};
use crate::nix::make_path::Method;

const FIX: &str = "install it (Debian: `apt-get install python3-pip`), or download the file on another machine and \
    add it by hand: `reprove source add FILE`";

/// Why pip did not give the file.
#[derive(Debug, thiserror::Error)]
pub enum PypiError {
    /// pip is missing or failed.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// A source archive: pip would run it.
    #[error(
        "{pin} is a source archive, and pip runs code of those on this host: download it by hand, look at it, and `reprove source add FILE`"
    )]
    SourceArchive {
        /// The pin.
        pin: String,
    },
    /// The file name of a wheel that is none.
    #[error("{file:?} is no wheel's file name: <project>-<version>-<python>-<abi>-<platform>.whl")]
    WheelName {
        /// The file name.
        file: String,
    },
    /// pip fetched another file of the same version.
    #[error("{pin}: pip fetched {got} instead")]
    OtherFile {
        /// The pin.
        pin: String,
        /// What came.
        got: String,
    },
    /// A file could not be read or written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Downloads the file a pin names.
pub(super) fn fetch(pin: &PypiPin, method: Method, hash: &Hash) -> Result<Contents, PypiError> {
    let folder = tempfile::tempdir()?;
    let requirements = folder.path().join("requirements.txt");
    let downloads = folder.path().join("downloads");
    let mut requirement = format!("{}=={}", pin.project, pin.version);
    let pinned = method == Method::Flat && hash.algorithm() == Algorithm::Sha256;
    if pinned {
        requirement.push_str(&format!(" --hash=sha256:{}", hash.to_base16()));
    }
    // The file is pinned: which Python runs pip, or may run the package, has no say in it.
    let mut arguments: Vec<String> = [
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
        "--no-deps",
        "--no-cache-dir",
        "--ignore-requires-python",
    ]
    .map(str::to_owned)
    .into();
    // Whoever wrote the derivation chose the file and its hash: that it is the one named says nothing about what it does.
    if !pin.file.ends_with(".whl") {
        return Err(PypiError::SourceArchive { pin: pin.to_string() });
    }
    arguments.extend(wheel_arguments(&pin.file)?);
    std::fs::write(&requirements, requirement)?;
    Tool::new("pip", FIX)
        .args(arguments)
        .args(["--dest".as_ref(), downloads.as_os_str(), "--requirement".as_ref(), requirements.as_os_str()])
        .run()?;
    match File::open(downloads.join(&pin.file)) {
        Ok(file) => Ok(Contents::read(file)?),
        Err(_) => {
            let names = std::fs::read_dir(&downloads)?.filter_map(Result::ok);
            let names: Vec<_> = names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
            Err(PypiError::OtherFile { pin: pin.to_string(), got: names.join(", ") })
        }
    }
}

/// What makes pip choose this very wheel on whatever machine it runs: the tags in its name,
/// PyPA's "Binary distribution format".
fn wheel_arguments(file: &str) -> Result<Vec<String>, PypiError> {
    let stem = file.strip_suffix(".whl").unwrap_or(file);
    let parts: Vec<&str> = stem.split('-').collect();
    let [_, _, .., python, abi, platform] = parts.as_slice() else {
        return Err(PypiError::WheelName { file: file.to_owned() });
    };
    let mut arguments = vec!["--only-binary".to_owned(), ":all:".to_owned()];
    // A tag can be a set: py2.py3, manylinux_2_17_x86_64.manylinux2014_x86_64.
    for platform in platform.split('.') {
        arguments.extend(["--platform".to_owned(), platform.to_owned()]);
    }
    for abi in abi.split('.') {
        arguments.extend(["--abi".to_owned(), abi.to_owned()]);
    }
    let python = python.split('.').next_back().unwrap_or(python);
    let digits = python.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    let implementation = &python[..python.len() - digits.len()];
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(PypiError::WheelName { file: file.to_owned() });
    }
    arguments.extend(["--implementation".to_owned(), implementation.to_owned()]);
    arguments.extend(["--python-version".to_owned(), digits.to_owned()]);
    Ok(arguments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wheels_tags_become_pips_arguments() {
        let arguments =
            wheel_arguments("numpy-2.0.0-cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64.whl");
        assert_eq!(
            arguments.unwrap().join(" "),
            "--only-binary :all: --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 --abi cp312 \
             --implementation cp --python-version 312"
        );
        assert!(
            wheel_arguments("a-1-py2.py3-none-any.whl")
                .unwrap()
                .ends_with(&["--python-version".to_owned(), "3".to_owned()])
        );
        for file in ["a.whl", "a-1-none-any.whl", "a-1-py-none-any.whl", "a-1-py3;x-none-any.whl"] {
            assert!(wheel_arguments(file).is_err(), "{file}");
        }
    }

    #[test]
    fn a_source_archive_is_never_given_to_pip_which_would_run_it() {
        let pin: PypiPin = "pypi:six==1.16.0/six-1.16.0.tar.gz".parse().unwrap();
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            let hash = Hash::of(algorithm, b"");
            assert!(matches!(fetch(&pin, Method::Flat, &hash), Err(PypiError::SourceArchive { .. })));
        }
    }

    #[test]
    #[ignore = "slow: downloads a small wheel from the package index pip is set to"]
    fn a_wheel_is_downloaded() {
        let (pin, sha256) = (
            "pypi:six==1.16.0/six-1.16.0-py2.py3-none-any.whl",
            "8abb2f1d86890a2dfb989f9a77cfcfd3e47c2a354b01111771326f8aa26e0254",
        );
        let hash = Hash::parse(sha256.as_bytes(), Some(Algorithm::Sha256)).unwrap();
        let contents = fetch(&pin.parse().unwrap(), Method::Flat, &hash).unwrap();
        assert_eq!(contents.hash(Algorithm::Sha256).unwrap(), hash);
        let other = Hash::of(Algorithm::Sha256, b"other");
        let error = fetch(&pin.parse().unwrap(), Method::Flat, &other).unwrap_err();
        let PypiError::Tool(tool) = error else { panic!("{error}") };
        assert_eq!(tool.got(Algorithm::Sha256), Some(hash), "{tool}");
    }
}
