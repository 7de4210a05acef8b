//! Installables, as Nix spells them.
//!
//! Nix manual, "nix", section "Installables": `<flake reference>[#<attribute path>][^<outputs>]`, or the path of a
//! derivation, also with `^<outputs>`. The flake reference and the attribute path are left to `nix`.

use std::{collections::BTreeSet, fmt, path::PathBuf, str::FromStr};

use super::FlakeError;
use crate::nix::store_path::{STORE_DIR, StorePath, check_name};

/// Longest installable; a flake reference is a URL with parameters.
const MAX_LENGTH: usize = 4096;

/// What to build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installable {
    text: String,
    /// What is meant.
    pub target: Target,
    /// Which of its outputs.
    pub outputs: Outputs,
}

/// What an installable names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// An attribute of a flake: the text for `nix`, without `^<outputs>`.
    Flake(String),
    /// A derivation in a store: `/nix/store/….drv`.
    Derivation(StorePath),
    /// A `.drv` file somewhere else, with the derivations it needs beside it.
    File(PathBuf),
}

/// Which outputs are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outputs {
    /// All of them: nothing was said, or `^*`.
    All,
    /// These.
    Named(BTreeSet<String>),
}

impl Outputs {
    /// The names meant among those there are; a name that is not there is given back.
    pub fn select<'a>(&self, there: impl Iterator<Item = &'a String>) -> Result<BTreeSet<String>, String> {
        let there: BTreeSet<String> = there.cloned().collect();
        match self {
            Outputs::All => Ok(there),
            Outputs::Named(names) => match names.iter().find(|name| !there.contains(*name)) {
                None => Ok(names.clone()),
                Some(missing) => Err(missing.clone()),
            },
        }
    }
}

impl FromStr for Installable {
    type Err = FlakeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = |why: String| FlakeError::Installable { text: text.to_owned(), why };
        if text.len() > MAX_LENGTH {
            return Err(wrong(format!("it is longer than {MAX_LENGTH} bytes")));
        }
        if text.contains(|c: char| c.is_control()) {
            return Err(wrong("it has a control character".to_owned()));
        }
        // To `nix` it would be an option, whatever we meant.
        if text.starts_with('-') {
            return Err(wrong("it begins with a dash; write `./-…` for a path".to_owned()));
        }
        let (target, outputs) = match text.rsplit_once('^') {
            None => (text, Outputs::All),
            Some((target, "*")) => (target, Outputs::All),
            Some((target, names)) => (target, Outputs::Named(output_names(names).map_err(wrong)?)),
        };
        if target.is_empty() {
            return Err(wrong("it names nothing; `.` is the flake in this folder".to_owned()));
        }
        let target = parse_target(target).map_err(wrong)?;
        Ok(Installable { text: text.to_owned(), target, outputs })
    }
}

fn output_names(names: &str) -> Result<BTreeSet<String>, String> {
    names
        .split(',')
        .map(|name| match check_name(name.as_bytes()) {
            Ok(name) => Ok(name.to_owned()),
            Err(error) => Err(format!("behind `^` stand output names, with commas, or `*`: {error}")),
        })
        .collect()
}

fn parse_target(target: &str) -> Result<Target, String> {
    if target.contains('#') || !target.ends_with(".drv") || target.contains(':') {
        let beside = target.strip_prefix(STORE_DIR).and_then(|rest| rest.strip_prefix('/'));
        return match beside {
            // A folder in the store may well be a flake; anything without `#` is taken for built by Nix.
            Some(rest) if !target.contains('#') && !rest.contains('/') && !rest.ends_with("-source") => {
                Err("it is a store path but no derivation: name what it is built from".to_owned())
            }
            _ => Ok(Target::Flake(target.to_owned())),
        };
    }
    match target.strip_prefix(STORE_DIR) {
        Some(_) => {
            StorePath::parse(target.as_bytes()).map(Target::Derivation).map_err(|error| error.to_string())
        }
        None => Ok(Target::File(PathBuf::from(target))),
    }
}

impl fmt::Display for Installable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRV: &str = "/nix/store/1zn7mi885s25gqb7kjjijx9lb0j46n0k-two.drv";

    fn parse(text: &str) -> (Target, Outputs) {
        let installable: Installable = text.parse().unwrap();
        assert_eq!(installable.to_string(), text);
        (installable.target, installable.outputs)
    }

    fn named(names: &[&str]) -> Outputs {
        Outputs::Named(names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn flakes() {
        for text in [
            ".",
            ".#hello",
            ".#.packages.x86_64-linux.\"a.b\"",
            "git+file:///a?dir=b#c",
            "path:./a b#c",
            "github:o/r/ref#x",
            "./x#y.drv",
            "/nix/store/1zn7mi885s25gqb7kjjijx9lb0j46n0k-source",
            "/nix/store/1zn7mi885s25gqb7kjjijx9lb0j46n0k-flake#x",
        ] {
            assert_eq!(parse(text), (Target::Flake(text.to_owned()), Outputs::All), "{text}");
            assert_eq!(parse(&format!("{text}^*")), (Target::Flake(text.to_owned()), Outputs::All), "{text}");
        }
        assert_eq!(parse(".#a^dev,out"), (Target::Flake(".#a".to_owned()), named(&["dev", "out"])));
    }

    #[test]
    fn derivations() {
        let path = StorePath::parse(DRV.as_bytes()).unwrap();
        assert_eq!(parse(DRV), (Target::Derivation(path.clone()), Outputs::All));
        assert_eq!(parse(&format!("{DRV}^out")), (Target::Derivation(path.clone()), named(&["out"])));
        assert_eq!(parse(&format!("{DRV}^*")), (Target::Derivation(path), Outputs::All));
        assert_eq!(parse("./drvs/x.drv").0, Target::File("./drvs/x.drv".into()));
    }

    #[test]
    fn what_is_no_installable() {
        for text in [
            "",
            "^out",
            "--option",
            "-",
            ".#a^",
            ".#a^a,",
            ".#a^*,out",
            ".#a^ou t",
            ".#a\n",
            ".#\u{1b}[2J",
            "/nix/store/short-x.drv",
            "/nix/store/1zn7mi885s25gqb7kjjijx9lb0j46n0k-hello",
            "/nix/store/1zn7mi885s25gqb7kjjijx9lb0j46n0k-two.drv/../x.drv",
            &"x".repeat(5000),
        ] {
            assert!(matches!(text.parse::<Installable>(), Err(FlakeError::Installable { .. })), "{text}");
        }
    }

    #[test]
    fn outputs_are_chosen_among_those_there_are() {
        let there = ["dev".to_owned(), "out".to_owned()];
        assert_eq!(Outputs::All.select(there.iter()).unwrap().len(), 2);
        assert_eq!(named(&["dev"]).select(there.iter()).unwrap().len(), 1);
        assert_eq!(named(&["dev", "doc"]).select(there.iter()), Err("doc".to_owned()));
    }
}
