//! What can be varied about a run, and where a run is stopped.

use std::time::Duration;

/// Whether Nix's build contract leaves a setting open or fixes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contract {
    /// Two honest hosts may differ in it: an output must not depend on it.
    Open,
    /// Nix gives every builder the same value: an output may depend on it.
    Fixed,
}

/// One thing that can be varied.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Setting {
    /// The wall clock when the build starts.
    Clock,
    /// The seed of the guest's random numbers.
    Seed,
    /// How many instructions a guest second has.
    Rate,
    /// Guest memory.
    Memory,
    /// `NIX_BUILD_CORES`.
    Cores,
    /// The host name.
    Hostname,
    /// The build directory.
    BuildDir,
    /// The builder's user and group id.
    User,
}

impl Setting {
    /// Every setting, in the order they are printed.
    pub const ALL: [Setting; 8] = [
        Setting::Clock,
        Setting::Seed,
        Setting::Rate,
        Setting::Memory,
        Setting::Cores,
        Setting::Hostname,
        Setting::BuildDir,
        Setting::User,
    ];

    /// The name as it is typed and printed: `clock`, `build-dir`.
    pub fn name(self) -> &'static str {
        match self {
            Setting::Clock => "clock",
            Setting::Seed => "seed",
            Setting::Rate => "rate",
            Setting::Memory => "memory",
            Setting::Cores => "cores",
            Setting::Hostname => "hostname",
            Setting::BuildDir => "build-dir",
            Setting::User => "user",
        }
    }

    /// Whether Nix's contract fixes it (notes on the sandbox: host name, build directory and uid are the same in
    /// every sandboxed build; clock, entropy, speed, memory and core count are not).
    pub fn contract(self) -> Contract {
        match self {
            Setting::Clock | Setting::Seed | Setting::Rate | Setting::Memory | Setting::Cores => {
                Contract::Open
            }
            Setting::Hostname | Setting::BuildDir | Setting::User => Contract::Fixed,
        }
    }
}

/// The settings of one run. The output of a build is a pure function of derivation, inputs and these.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Settings {
    /// Seconds since 1970 on the guest's wall clock when the build starts.
    pub clock: u64,
    /// Seed of the guest's random number generator.
    pub seed: u64,
    /// Guest nanoseconds an instruction takes, as a power of two: 0 is 1 ns, 1 is 2 ns.
    pub rate: u8,
    /// Guest memory in bytes, drives not counted; a multiple of 128 MiB.
    pub memory: u64,
    /// `NIX_BUILD_CORES`. The machine itself has one core.
    pub cores: u32,
    /// The host name; Nix's is `localhost`.
    pub hostname: String,
    /// The build directory; Nix's is `/build`.
    pub build_dir: String,
    /// The builder's user id; Nix's is 1000.
    pub uid: u32,
    /// The builder's group id; Nix's is 100.
    pub gid: u32,
}

impl Default for Settings {
    /// The settings of a build nobody asked to vary.
    fn default() -> Self {
        Settings {
            // 2030-01-01T00:00:00Z: later than the files of any source that is built. `make` believes that what is
            // newer than the clock is never up to date, and builds it again and again.
            clock: 1_893_456_000,
            seed: 1,
            rate: 0,
            memory: 3 << 30,
            cores: 1,
            hostname: "localhost".to_owned(),
            build_dir: "/build".to_owned(),
            uid: 1000,
            gid: 100,
        }
    }
}

impl Settings {
    /// These settings with `which` at its `n`-th other value (`n` from 1): what round `n` of a verification uses.
    #[must_use]
    pub fn varied(&self, which: Setting, n: u32) -> Settings {
        let mut other = self.clone();
        let step = u64::from(n);
        match which {
            // Another year, month, weekday, hour and minute, and never a whole multiple of a day. Five of them, in
            // turn: the sixth would lie behind 2038, where times of 32 bits end.
            Setting::Clock => other.clock += (1 + (step - 1) % 5) * 43_210_987,
            Setting::Seed => other.seed = self.seed.wrapping_add(step * 0x9e37_79b9),
            // One of the two other rates, in turn.
            Setting::Rate => other.rate = (self.rate + 1 + ((n.max(1) - 1) % 2) as u8) % 3,
            Setting::Memory => other.memory += (1 + (step - 1) % 4) * (256 << 20),
            Setting::Cores => other.cores = self.cores + 1 + n,
            Setting::Hostname => other.hostname = format!("varied{n}"),
            Setting::BuildDir => other.build_dir = format!("/varied/build-{n}"),
            Setting::User => {
                other.uid = self.uid + 1 + n;
                other.gid = self.gid + 1 + n;
            }
        }
        other
    }

    /// The settings in which `self` and `other` differ.
    pub fn differences(&self, other: &Settings) -> Vec<Setting> {
        Setting::ALL.into_iter().filter(|s| self.value(*s) != other.value(*s)).collect()
    }

    /// The value of `which`, as printed.
    pub fn value(&self, which: Setting) -> String {
        match which {
            Setting::Clock => self.clock.to_string(),
            Setting::Seed => self.seed.to_string(),
            Setting::Rate => format!("{} ns", 1u32 << self.rate),
            Setting::Memory => format!("{} MiB", self.memory >> 20),
            Setting::Cores => self.cores.to_string(),
            Setting::Hostname => self.hostname.clone(),
            Setting::BuildDir => self.build_dir.clone(),
            Setting::User => format!("{}:{}", self.uid, self.gid),
        }
    }
}

/// Where a run is stopped. Reaching a cap is never a verdict about the bits, always `not-built`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Guest time the builder may take, in seconds of the guest's own clock: deterministic, enforced inside.
    pub guest_seconds: u64,
    /// Wall-clock time the whole run may take.
    pub wall: Duration,
    /// How long the console may stay silent, in wall-clock time.
    pub silence: Duration,
    /// Bytes of the input closure, as NARs: it is copied into the machine's memory. Looked at before anything is.
    pub input_bytes: u64,
    /// Size of the output drive in bytes: what the outputs may take as a tar stream.
    pub output_bytes: u64,
    /// Bytes of build log, enforced inside; the engine allows a little more console on top for the kernel.
    pub log_bytes: u64,
    /// Processes the builder may have at once.
    pub processes: u32,
}

impl Default for Caps {
    fn default() -> Self {
        Caps {
            guest_seconds: 24 * 3600,
            wall: Duration::from_secs(24 * 3600),
            silence: Duration::from_secs(3600),
            input_bytes: 8 << 30,
            output_bytes: 1 << 30,
            log_bytes: 64 << 20,
            processes: 8192,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_clock_is_later_than_sources_and_fits_into_32_bits() {
        let base = Settings::default();
        let clocks: Vec<u64> = (1..20).map(|n| base.varied(Setting::Clock, n).clock).collect();
        assert!(
            clocks.iter().all(|clock| base.clock < *clock && i32::try_from(*clock).is_ok()),
            "{clocks:?}"
        );
        let others: std::collections::BTreeSet<u64> = clocks.into_iter().collect();
        assert_eq!(others.len(), 5);
    }

    #[test]
    fn a_setting_varied_is_another_one_and_no_other_changes() {
        let base = Settings::default();
        for which in Setting::ALL {
            for n in 1..20 {
                assert_eq!(base.differences(&base.varied(which, n)), [which], "{n}");
            }
        }
    }
}
