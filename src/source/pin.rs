//! How a file of a package archive is named in the `url` of a fixed-output derivation and in lock files.

use std::fmt;
use std::str::FromStr;

use crate::code::Code;

/// A file of a Debian archive.
///
/// - `apt:<suite>/<arch>/<package>=<version>`: a `.deb` file;
/// - `apt:<suite>/<arch>/<package>=<version>#<member>`: a tree with that one file of it, at its path;
/// - `apt:<suite>/source/<package>=<version>/<file>`: a file of a source package.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AptPin {
    /// The suite by its code name: `bookworm`, `trixie`, `sid`.
    pub suite: String,
    /// The package's name.
    pub package: String,
    /// The exact version, epoch included.
    pub version: String,
    /// Which file.
    pub part: AptPart,
}

/// Which file of a package an [`AptPin`] means.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AptPart {
    /// The binary package for an architecture.
    Package {
        /// Debian's name of it: `amd64`, `riscv64`.
        arch: String,
    },
    /// One file of the binary package.
    Member {
        /// Debian's name of the architecture.
        arch: String,
        /// Its path in the package, without a leading slash.
        path: String,
    },
    /// One file of the source package.
    Source {
        /// Its name: `hello_2.10.orig.tar.gz`.
        file: String,
    },
}

/// A file of a Python package index: `pypi:<project>==<version>/<file name>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PypiPin {
    /// The project's name.
    pub project: String,
    /// The exact version.
    pub version: String,
    /// The wheel's or source archive's file name.
    pub file: String,
}

/// A pin that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{pin:?} is not a pin: {problem}; pins are spelled {spelling}")]
pub struct PinError {
    /// The text.
    pub pin: String,
    /// What is wrong with it.
    pub problem: &'static str,
    /// The forms that are right.
    pub spelling: &'static str,
}

impl PinError {
    /// The stable code of the error.
    pub fn code(&self) -> Code {
        Code(423)
    }
}

const APT_SPELLING: &str = "apt:<suite>/<arch>/<package>=<version>, \
    apt:<suite>/<arch>/<package>=<version>#<member> or apt:<suite>/source/<package>=<version>/<file>";
const PYPI_SPELLING: &str = "pypi:<project>==<version>/<file name>";

impl AptPin {
    /// The pin of a binary package.
    pub fn package(suite: &str, arch: &str, package: &str, version: &str) -> Self {
        let part = AptPart::Package { arch: arch.to_owned() };
        AptPin { suite: suite.to_owned(), package: package.to_owned(), version: version.to_owned(), part }
    }
}

impl FromStr for AptPin {
    type Err = PinError;

    fn from_str(pin: &str) -> Result<Self, PinError> {
        let error = |problem| PinError { pin: pin.to_owned(), problem, spelling: APT_SPELLING };
        let rest = pin.strip_prefix("apt:").ok_or_else(|| error("it does not start with apt:"))?;
        let (rest, member) = match rest.split_once('#') {
            Some((rest, member)) => (rest, Some(member)),
            None => (rest, None),
        };
        let mut parts = rest.splitn(4, '/');
        let (Some(suite), Some(arch), Some(package)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(error("it has too few parts"));
        };
        let (package, version) = package.split_once('=').ok_or_else(|| error("it has no version"))?;
        for (name, ok, problem) in [
            (suite, is_name(suite), "its suite is no name"),
            (arch, is_name(arch), "its architecture is no name"),
            (package, is_name(package), "its package is no name"),
            (version, is_version(version), "its version is none"),
        ] {
            if !ok || name.is_empty() {
                return Err(error(problem));
            }
        }
        let arch = arch.to_owned();
        let part = match (arch.as_str(), parts.next(), member) {
            ("source", Some(file), None) if is_file_name(file) => AptPart::Source { file: file.to_owned() },
            ("source", ..) => return Err(error("a source file is needed behind the version")),
            (_, Some(_), _) => return Err(error("only source packages have files behind the version")),
            (_, None, Some(path)) if is_member(path) => AptPart::Member { arch, path: path.to_owned() },
            (_, None, Some(_)) => return Err(error("its member is no relative path")),
            (_, None, None) => AptPart::Package { arch },
        };
        let (package, version) = (package.to_owned(), version.to_owned());
        Ok(AptPin { suite: suite.to_owned(), package, version, part })
    }
}

impl fmt::Display for AptPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AptPin { suite, package, version, part } = self;
        match part {
            AptPart::Package { arch } => write!(f, "apt:{suite}/{arch}/{package}={version}"),
            AptPart::Member { arch, path } => write!(f, "apt:{suite}/{arch}/{package}={version}#{path}"),
            AptPart::Source { file } => write!(f, "apt:{suite}/source/{package}={version}/{file}"),
        }
    }
}

impl FromStr for PypiPin {
    type Err = PinError;

    fn from_str(pin: &str) -> Result<Self, PinError> {
        let error = |problem| PinError { pin: pin.to_owned(), problem, spelling: PYPI_SPELLING };
        let rest = pin.strip_prefix("pypi:").ok_or_else(|| error("it does not start with pypi:"))?;
        let (project, rest) = rest.split_once("==").ok_or_else(|| error("it has no version"))?;
        let (version, file) = rest.split_once('/').ok_or_else(|| error("it has no file name"))?;
        let is_project = project.starts_with(|first: char| first.is_ascii_alphanumeric())
            && project.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
        let is_version = version.starts_with(|first: char| first.is_ascii_alphanumeric())
            && version.chars().all(|c| c.is_ascii_alphanumeric() || "._-+!".contains(c));
        match (is_project, is_version, is_file_name(file)) {
            (false, ..) => Err(error("its project is no name")),
            (_, false, _) => Err(error("its version is none")),
            (.., false) => Err(error("its file name is none")),
            _ => {
                let owned = str::to_owned;
                Ok(PypiPin { project: owned(project), version: owned(version), file: owned(file) })
            }
        }
    }
}

impl fmt::Display for PypiPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pypi:{}=={}/{}", self.project, self.version, self.file)
    }
}

/// Suites, architectures, packages: Debian policy 5.6.7, and what can go safely into a file name, a
/// sources list and an argument.
pub(super) fn is_name(name: &str) -> bool {
    name.len() <= 128
        && name.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "+.-".contains(c))
        && !name.contains("..")
}

/// Debian policy 5.6.12.
fn is_version(version: &str) -> bool {
    version.len() <= 256
        && version.starts_with(|first: char| first.is_ascii_digit())
        && version.chars().all(|c| c.is_ascii_alphanumeric() || ".+-:~".contains(c))
}

fn is_file_name(file: &str) -> bool {
    (1..=255).contains(&file.len())
        && file.starts_with(|first: char| first.is_ascii_alphanumeric())
        && file.chars().all(|c| c.is_ascii_graphic() && c != '/')
}

fn is_member(path: &str) -> bool {
    path.len() <= 4096
        && !path.contains('\0')
        && path.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read_and_written_back() {
        for pin in [
            "apt:bookworm/amd64/gcc-12=12.2.0-14+deb12u1",
            "apt:trixie/riscv64/busybox-static=1:1.37.0-6+b9#usr/bin/busybox",
            "apt:bookworm/source/hello=2.10-3/hello_2.10.orig.tar.gz",
            "apt:sid/all/libstdc++6=14~rc1-2",
        ] {
            assert_eq!(pin.parse::<AptPin>().unwrap().to_string(), pin);
        }
        let pin = "pypi:setuptools==80.9.0/setuptools-80.9.0-py3-none-any.whl";
        assert_eq!(pin.parse::<PypiPin>().unwrap().to_string(), pin);
    }

    #[test]
    fn what_could_leave_its_place_is_no_pin() {
        for pin in [
            "apt:bookworm/amd64/hello",
            "apt:../amd64/hello=1",
            "apt:book worm/amd64/hello=1",
            "apt:bookworm\ndeb/amd64/hello=1",
            "apt:bookworm/amd64/-o=1",
            "apt:bookworm/amd64/hello=-1",
            "apt:bookworm/amd64/hello=1/file",
            "apt:bookworm/amd64/hello=1#/etc/passwd",
            "apt:bookworm/amd64/hello=1#bin/../../x",
            "apt:bookworm/source/hello=1",
            "apt:bookworm/source/hello=1/../x",
            "apt:bookworm/source/hello=1/a/b",
            "apt:bookworm//hello=1",
            "http:bookworm/amd64/hello=1",
        ] {
            assert!(pin.parse::<AptPin>().is_err(), "{pin}");
        }
        for pin in ["pypi:a/b", "pypi:-r==1/x", "pypi:a==1/../x", "pypi:a==1/", "pypi:a==--index/x"] {
            assert!(pin.parse::<PypiPin>().is_err(), "{pin}");
        }
    }
}
