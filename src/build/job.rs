//! `/job`: settings for `init`, as shell assignments; and the id of a run.

use sha2::{Digest as _, Sha256};

use super::{error::ContractError, inputs::Inputs};
use crate::{
    guest::Bundle,
    machine::{Caps, Settings},
    nix::store_path::StorePath,
    nix::text::shown,
};

/// Identifies a run by what goes into it; the result record repeats it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RunId(pub [u8; 32]);

impl RunId {
    /// 64 hex digits.
    pub fn hex(&self) -> String {
        data_encoding::HEXLOWER.encode(&self.0)
    }

    /// The id of a run: a hash over derivation, guest, settings, caps that the guest sees, and inputs.
    pub fn of(
        drv_path: &StorePath,
        bundle: &Bundle,
        settings: &Settings,
        caps: &Caps,
        inputs: &Inputs,
        observe: Observe,
    ) -> RunId {
        let mut hash = Sha256::new();
        hash.update(format!("reprove-run/1\n{drv_path}\n"));
        hash.update(bundle.id);
        for which in crate::machine::Setting::ALL {
            hash.update(format!("{}={}\n", which.name(), settings.value(which)));
        }
        // The size of the output drive decides how much memory the guest has left for its tables of it.
        let Caps { guest_seconds, log_bytes, processes, output_bytes, .. } = caps;
        hash.update(format!("{guest_seconds} {log_bytes} {processes} {output_bytes}\n"));
        if observe == Observe::Processes {
            hash.update("observed\n");
        }
        for (path, object) in inputs {
            hash.update(format!("{path} {}\n", object.nar_hash.to_nix()));
        }
        RunId(hash.finalize().into())
    }
}

/// Memory that is never part of the build root, in all but the smallest machines.
const OUTSIDE: u64 = 320 << 20;

/// Guest memory for each process a builder may have: less than that, and a builder that forks without end would run out
/// of memory before it meets its limit. A process of busybox takes some 100 KiB of the kernel's and its own.
const PER_PROCESS: u64 = 512 << 10;
/// Fewer than the numbers the kernel has for processes, 32768, some of which are taken.
const MOST_PROCESSES: u64 = 30_000;

/// What is written down about a build while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observe {
    /// What it leaves.
    Result,
    /// Besides, its processes, and the files they wrote. Its run is another one then.
    Processes,
}

/// Room for what is written down, in a machine with `memory`: some 300,000 files and processes.
fn limit_observed(memory: u64) -> u64 {
    (memory / 8).min(256 << 20)
}

/// What `init` is told.
pub struct Job<'a> {
    /// The run.
    pub run: RunId,
    /// Clock and host name are among them.
    pub settings: &'a Settings,
    /// The limits enforced inside.
    pub caps: &'a Caps,
    /// Store paths of the outputs.
    pub outputs: Vec<&'a StorePath>,
    /// What is written down.
    pub observe: Observe,
}

impl Job<'_> {
    /// The text: `name='value'` lines. No value can hold a single quote: see [`check_settings`].
    pub fn text(&self) -> String {
        let outputs: Vec<String> = self.outputs.iter().map(ToString::to_string).collect();
        // What the kernel, `init` and the builder's processes need stays outside of the build root: a full disk is then seen
        // before memory runs out, however small the machine.
        let memory = self.settings.memory;
        let processes = u64::from(self.caps.processes).min(memory / PER_PROCESS).min(MOST_PROCESSES);
        let (observe, limit_observed) = match self.observe {
            Observe::Result => ("0", 0),
            Observe::Processes => ("1", limit_observed(memory)),
        };
        let root_bytes = memory.saturating_sub((memory / 4).max(OUTSIDE)).max(memory / 4);
        [
            ("protocol", "2".to_owned()),
            ("run", self.run.hex()),
            ("clock", self.settings.clock.to_string()),
            ("hostname", self.settings.hostname.clone()),
            ("root_bytes", root_bytes.to_string()),
            ("limit_seconds", self.caps.guest_seconds.to_string()),
            ("limit_log", self.caps.log_bytes.to_string()),
            ("limit_processes", processes.to_string()),
            ("outputs", outputs.join(" ")),
            ("observe", observe.to_owned()),
            ("limit_observed", limit_observed.to_string()),
        ]
        .map(|(name, value)| format!("{name}='{value}'\n"))
        .concat()
    }
}

/// Refuses settings that cannot be: a host name that is none, a build directory that is not an absolute plain path or
/// would hide a part of the root.
pub fn check_settings(settings: &Settings) -> Result<(), ContractError> {
    let plain = |text: &str, more: &[u8]| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
    };
    let hostname = &settings.hostname;
    if !plain(hostname, b"-.") || hostname.len() > 64 {
        return Err(ContractError::Setting { value: shown(hostname.as_bytes()), why: "is no host name" });
    }
    let parts = settings.build_dir.strip_prefix('/').unwrap_or_default().split('/');
    let taken = ["nix", "etc", "dev", "proc", "bin", "sys"];
    let good = parts.clone().all(|part| plain(part, b"-._+") && part != "." && part != "..");
    if !good || parts.clone().next().is_some_and(|first| taken.contains(&first)) {
        let value = shown(settings.build_dir.as_bytes());
        return Err(ContractError::Setting { value, why: "cannot be the build directory" });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_would_break_out_of_the_job_are_refused() {
        let with = |hostname: &str, build_dir: &str| {
            let (hostname, build_dir) = (hostname.to_owned(), build_dir.to_owned());
            check_settings(&Settings { hostname, build_dir, ..Settings::default() }).is_ok()
        };
        assert!(with("localhost", "/build"));
        assert!(with("a-1.example", "/varied/build-1"));
        for hostname in ["", "a'b", "a b", "$(id)", "a\n"] {
            assert!(!with(hostname, "/build"), "{hostname}");
        }
        for build_dir in ["", "/", "build", "/a/../b", "/a//b", "/nix/x", "/etc", "/a'b", "/a b", "/."] {
            assert!(!with("localhost", build_dir), "{build_dir}");
        }
        for n in 1..4 {
            for which in crate::machine::Setting::ALL {
                assert!(check_settings(&Settings::default().varied(which, n)).is_ok());
            }
        }
    }
}
