//! `--across`: the same installables for several systems.

use std::str::FromStr;

use clap::Args;

use super::{
    Context, Failure,
    evaluation::{Asked, Closure, Installables},
    host_nix::this_system,
    policies::Policies,
};
use crate::verify::across::{Counterpart, CounterpartBy};

/// Which systems.
#[derive(Debug, Default, Args)]
pub struct Across {
    /// Verify for each of these systems, and compare the bits across them, each system's with the first one's; `SYSTEM=nix` is built by
    /// this host's own `nix` instead of in a machine, only to be compared with
    #[arg(long, value_name = "SYSTEM", value_delimiter = ',', conflicts_with = "system")]
    across: Vec<System>,
}

/// A system, and who builds for it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct System {
    name: String,
    by_nix: bool,
}

impl FromStr for System {
    type Err = String;

    fn from_str(text: &str) -> Result<System, String> {
        let (name, by) = text.split_once('=').map_or((text, None), |(name, by)| (name, Some(by)));
        let named = |name: &str| name.split('-').count() == 2 && name.split('-').all(|word| !word.is_empty());
        match by {
            _ if !named(name) => Err("a system is called like `x86_64-linux`".to_owned()),
            None => Ok(System { name: name.to_owned(), by_nix: false }),
            Some("nix") => Ok(System { name: name.to_owned(), by_nix: true }),
            Some(_) => Err("behind `=` there is only `nix`".to_owned()),
        }
    }
}

/// What was evaluated.
pub struct Evaluated {
    /// What is built in machines.
    pub closure: Closure,
    /// What `nix` builds, to compare with.
    pub by_nix: Option<Closure>,
}

impl Across {
    /// Evaluates the installables for every system, or for the one there is.
    pub fn evaluate(
        &self,
        context: &Context,
        installables: &Installables,
        policies: &Policies,
    ) -> Result<Evaluated, Failure> {
        self.check()?;
        let also = policies.replacements();
        if self.across.is_empty() {
            let closure = policies.hold_in(context, installables.evaluate_with(context, &also)?)?;
            return Ok(Evaluated { closure, by_nix: None });
        }
        let (mut closure, mut by_nix) = (None::<Closure>, None);
        for system in &self.across {
            let of_system = installables.evaluate_for(context, Some(&system.name), &also)?;
            is_for(&of_system, &system.name)?;
            let of_system = policies.hold_in(context, of_system)?;
            if system.by_nix {
                by_nix = Some(of_system);
            } else {
                closure = Some(match closure {
                    Some(before) => before.join(of_system)?,
                    None => of_system,
                });
            }
        }
        let closure = closure.ok_or_else(|| Failure::usage("--across: no system is built in a machine"))?;
        Ok(Evaluated { closure, by_nix })
    }

    fn check(&self) -> Result<(), Failure> {
        let by_nix: Vec<&System> = self.across.iter().filter(|system| system.by_nix).collect();
        let twice = |(number, system): (usize, &System)| {
            self.across[..number].iter().any(|other| other.name == system.name)
        };
        if self.across.len() == 1 {
            return Err(Failure::usage(
                "--across: one system has no other to compare with; `--system` chooses it",
            ));
        }
        if self.across.iter().enumerate().any(twice) {
            return Err(Failure::usage("--across: a system is named twice"));
        }
        match by_nix[..] {
            [] => Ok(()),
            [system] if system.name == this_system() => Ok(()),
            [system] => Err(Failure::usage(format!(
                "--across: this host is {} and its `nix` cannot build for {}",
                this_system(),
                system.name
            ))),
            _ => Err(Failure::usage("--across: one host has one `nix`")),
        }
    }

    /// What each of the derivations of `built` is compared with: the first system's, or what `nix` builds.
    pub fn counterparts(
        &self,
        built: &Closure,
        by_nix: Option<&Closure>,
    ) -> Result<Vec<Option<Counterpart>>, Failure> {
        let Some(first) = self.across.iter().find(|system| system.by_nix).or(self.across.first()) else {
            return Ok(vec![None; built.asked.len()]);
        };
        let closure = by_nix.unwrap_or(built);
        let is_first = |asked: &&Asked| asked.system.as_ref() == Some(&first.name);
        let measure: Vec<&Asked> = closure.asked.iter().filter(is_first).collect();
        // Every system has the same installables, in the order they were typed.
        let counterpart = |(asked, other): (&Asked, &&Asked)| {
            if is_first(&asked) {
                return Ok(None);
            }
            let index = closure.graph.index_of(&other.drv);
            let index = index.ok_or_else(|| Failure::usage(format!("{} is in no closure", other.drv)))?;
            let by = match by_nix {
                Some(closure) => CounterpartBy::Nix(Box::new(closure.graph.nodes()[index].clone())),
                None => CounterpartBy::Target(index),
            };
            Ok(Some(Counterpart { system: first.name.clone(), by }))
        };
        built.asked.iter().zip(measure.iter().cycle()).map(counterpart).collect()
    }
}

/// Refuses what would be called the build of a system and is that of another: an attribute that names its system is the same
/// derivation for each of them, and equal to itself.
fn is_for(closure: &Closure, system: &str) -> Result<(), Failure> {
    for asked in &closure.asked {
        let node = closure.graph.index_of(&asked.drv).map(|index| &closure.graph.nodes()[index]);
        let found = node.map(|node| String::from_utf8_lossy(&node.derivation.system).into_owned());
        if found.as_deref() != Some(system) {
            let found = found.unwrap_or_else(|| "no system".to_owned());
            let message = format!("--across: {} is for {found}, not for {system}", asked.installable);
            return Err(Failure::usage(message)
                .hint("name the attribute without a system: `.#app`, not `.#packages.SYSTEM.app`"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn across(systems: &[&str]) -> Across {
        Across { across: systems.iter().map(|system| system.parse().unwrap()).collect() }
    }

    #[test]
    fn systems_are_spelled_as_nix_does() {
        let system = |name: &str, by_nix| System { name: name.to_owned(), by_nix };
        assert_eq!("x86_64-linux".parse(), Ok(system("x86_64-linux", false)));
        assert_eq!("x86_64-linux=nix".parse(), Ok(system("x86_64-linux", true)));
        for wrong in ["", "x86_64", "x86_64-", "a-b-c", "=nix", "x86_64-linux=", "x86_64-linux=qemu"] {
            assert!(wrong.parse::<System>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_cannot_be_compared_is_refused_before_anything_is_built() {
        let this = format!("{}=nix", this_system());
        assert!(across(&[]).check().is_ok());
        assert!(across(&[&this, "riscv64-linux"]).check().is_ok());
        let why = |systems: &[&str]| across(systems).check().unwrap_err().message;
        assert!(why(&["riscv64-linux"]).contains("no other to compare with"));
        assert!(why(&["a-linux", "riscv64-linux", "a-linux"]).contains("named twice"));
        assert!(why(&["a-linux=nix", "riscv64-linux"]).contains("cannot build for a-linux"));
    }
}
