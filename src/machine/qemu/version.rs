//! Which QEMU is there.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::{env, fmt};

use crate::machine::MachineError;

/// The oldest release that was measured deterministic (see `docs/machine.md`).
const OLDEST: [u32; 2] = [7, 2];

/// A release of QEMU: `7.2.22`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version(Vec<u32>);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<String> = self.0.iter().map(u32::to_string).collect();
        f.write_str(&numbers.join("."))
    }
}

impl Version {
    /// Reads `QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)`.
    fn parse(text: &str) -> Option<Version> {
        let text = text.lines().next()?.strip_prefix("QEMU emulator version ")?;
        let number = text.split(|c: char| c != '.' && !c.is_ascii_digit()).next()?;
        let numbers = number.split('.').map(str::parse).collect::<Result<Vec<u32>, _>>().ok()?;
        (numbers.len() >= 2).then_some(Version(numbers))
    }
}

/// The program called `name` on `PATH`, and its version.
pub fn find(name: &str) -> Result<(PathBuf, Version), MachineError> {
    let path = env::var_os("PATH").unwrap_or_default();
    let program = env::split_paths(&path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
        .ok_or_else(|| MachineError::EngineMissing { program: name.to_owned() })?;
    let answer = Command::new(&program).arg("--version").stdin(Stdio::null()).output();
    let answer = answer.map_err(|source| MachineError::Io {
        what: format!("asking {} for its version", program.display()),
        source,
    })?;
    let text = String::from_utf8_lossy(&answer.stdout);
    let version = Version::parse(&text).ok_or_else(|| MachineError::EngineUnknown {
        program: program.display().to_string(),
        answer: text.lines().next().unwrap_or_default().escape_debug().to_string(),
    })?;
    if version.0[..2] < OLDEST[..] {
        return Err(MachineError::EngineTooOld {
            program: program.display().to_string(),
            version: version.to_string(),
        });
    }
    Ok((program, version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_distributions_and_of_a_development_tree() {
        let read = |text: &str| Version::parse(text).map(|version| version.to_string());
        assert_eq!(read("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)\nCopyright").unwrap(), "7.2.22");
        assert_eq!(read("QEMU emulator version 10.0.2\n").unwrap(), "10.0.2");
        assert_eq!(read("QEMU emulator version 11.0.50 (v11.0.0-1-g0)").unwrap(), "11.0.50");
        assert_eq!(read("QEMU emulator version new"), None);
        assert_eq!(read("bash 5.2"), None);
    }

    #[test]
    fn a_missing_engine_is_named() {
        let error = find("qemu-system-of-no-architecture").unwrap_err();
        assert!(error.to_string().contains("qemu-system-of-no-architecture"), "{error}");
    }
}
