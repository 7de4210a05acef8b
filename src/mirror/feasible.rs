//! Whether a mirror of a policy could ever admit something: asked before there is one. A policy cannot be changed afterwards, and one
//! that nothing meets shows it only after the first long build.
//!
//! Mirrors that exist are opened whatever this says: machines and policies may come and go with versions of the program.

use std::{collections::BTreeSet, str::FromStr as _};

use super::policy::{Policy, PolicyError};
use crate::{
    machine::{Arch, Engine},
    policy,
    verify::Level,
};

impl Policy {
    /// Whether this program can do what it asks.
    ///
    /// # Errors
    /// [`PolicyError::Impossible`] when it cannot, with the field that asks for it.
    pub fn check_feasible(&self) -> Result<(), PolicyError> {
        let impossible = |why: String| Err(PolicyError::Impossible { why });
        let shipped = policy::shipped().unwrap_or_default();
        if let Some(unknown) =
            self.policies.iter().find(|name| !shipped.iter().any(|policy| policy.name == **name))
        {
            return impossible(format!(
                "policies: there is no policy `{}`; `reprove policy list` lists those there are",
                unknown.escape_debug()
            ));
        }
        if self.systems.is_empty() {
            return impossible("systems: without any, nothing can ever be built".to_owned());
        }
        for (system, machines) in &self.systems {
            let field = format!("systems.{}", system.escape_debug());
            let Some(arch) = Arch::of_system(system.as_bytes()) else {
                let known = Arch::ALL.map(Arch::system).join(", ");
                return impossible(format!(
                    "{field}: no machine runs that system; there are machines for {known}"
                ));
            };
            let mut named = BTreeSet::new();
            // Names of none were refused when the policy was read.
            let machines: Vec<Engine> =
                machines.iter().filter_map(|name| Engine::from_str(name).ok()).collect();
            for machine in &machines {
                if !machine.runs(arch) {
                    return impossible(format!(
                        "{field}: the machine `{}` does not run {arch}",
                        machine.name()
                    ));
                }
                if !named.insert(machine) {
                    return impossible(format!("{field}: the machine `{}` is named twice", machine.name()));
                }
            }
            if self.rounds < 2 && machines.len() < 2 {
                return impossible(format!(
                    "rounds: one round in one kind of machine is compared with nothing, for {system}: ask for 2, or name another \
                     machine"
                ));
            }
            // The first one does the rounds, and the whole run that is repeated.
            if self.level == Level::Replayed as u8 && machines.first() != Some(&Engine::Embedded) {
                return impossible(format!(
                    "level: {} is shown by the state of a machine, which of the machines for {system} `embedded` alone \
                     gives: name it first, or ask for another level",
                    self.level
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mirror::policy::tests::key;

    #[test]
    fn what_can_never_work_is_found_by_field() {
        for (text, expected) in [
            ("policies = [\"no-such\"]\n", "policies: there is no policy `no-such`"),
            ("[systems]\n", "systems: without any"),
            ("[systems]\naarch64-linux = [\"qemu\"]\n", "systems.aarch64-linux: no machine runs"),
            (
                "[systems]\nx86_64-linux = [\"embedded\"]\n",
                "systems.x86_64-linux: the machine `embedded` does not",
            ),
            ("level = 4\n[systems]\nx86_64-linux = [\"qemu\", \"embedded\"]\n", "does not run x86_64"),
            (
                "level = 4\n[systems]\nriscv64-linux = [\"qemu\", \"qemu\"]\n",
                "systems.riscv64-linux: the machine `qemu` is",
            ),
            ("rounds = 1\nlevel = 0\n", "rounds: one round in one kind of machine"),
            ("level = 3\n[systems]\nx86_64-linux = [\"qemu\"]\n", "level: 3 is shown by"),
            ("level = 3\n[systems]\nriscv64-linux = [\"qemu\", \"embedded\"]\n", "level: 3 is shown by"),
        ] {
            let policy = Policy::from_toml(text, &key("a-1", 1)).unwrap();
            let error = policy.check_feasible().unwrap_err();
            assert!(error.code().0 == 1411 && error.to_string().contains(expected), "{text}: {error}");
            // The same of a mirror that there is can be read.
            Policy::from_json(&policy.to_json()).unwrap();
        }
        for text in [
            "",
            "policies = [\"dont-strip\", \"no-impure\"]\n",
            "level = 3\n",
            "level = 3\n[systems]\nriscv64-linux = [\"embedded\", \"qemu\"]\n",
            "level = 4\n[systems]\nriscv64-linux = [\"qemu\", \"embedded\"]\n",
            "rounds = 1\nlevel = 4\n[systems]\nriscv64-linux = [\"qemu\", \"embedded\"]\n",
            "[systems]\nx86_64-linux = [\"qemu\"]\nriscv64-linux = [\"embedded\"]\n",
        ] {
            Policy::from_toml(text, &key("a-1", 1)).unwrap().check_feasible().unwrap();
        }
    }
}
