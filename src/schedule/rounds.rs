//! Rounds of a verification: built, or taken up where an interrupted run had finished them.

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use super::{Finished, Host, RealiseError, Realiser};
use crate::{
    build::{self, Inputs, RunRecord},
    graph::Graph,
    machine::{Caps, Setting, Settings},
    nix::store_path::StorePath,
    store::{Round, RoundKey, RoundOutput, StoreError},
};

/// One build of a verification.
#[derive(Clone, Copy)]
pub struct RoundOf<'a> {
    /// The derivations.
    pub graph: &'a Graph,
    /// The derivation's place among them.
    pub index: usize,
    /// The settings.
    pub settings: &'a Settings,
    /// Which round it is: `round 2`, `probe clock`.
    pub label: &'a str,
}

impl Realiser<'_> {
    /// What a round is kept under: whatever could give it other bits is in it.
    pub fn round_key(&self, round: RoundOf<'_>) -> Result<RoundKey, RealiseError> {
        let host = self.host(round.graph, round.index)?;
        let inputs = self.inputs(round.graph, round.index)?;
        let drv = &round.graph.nodes()[round.index].drv;
        Ok(round_key(drv, round.label, round.settings, self.caps, &host, &inputs))
    }

    /// The result of a round that an earlier run finished and whose bits are still in our store, hashed again just now.
    /// A record that cannot be read is none.
    pub fn kept(&self, key: &RoundKey, round: RoundOf<'_>) -> Result<Option<Finished>, RealiseError> {
        let kept = match self.store.round(key) {
            Ok(Some(kept)) => kept,
            Ok(None) | Err(StoreError::Damaged { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let Some(run) = self.store.run(kept.run)? else { return Ok(None) };
        let Ok(record) = run.record::<RunRecord>() else { return Ok(None) };
        let derivation = &round.graph.nodes()[round.index].derivation;
        let whole = derivation.outputs.keys().eq(kept.outputs.keys());
        let outputs = kept.outputs.into_iter().filter_map(|(name, output)| {
            let RoundOutput { nar_hash, nar_size, references } = output;
            let path = derivation.output_path(&name)?.clone();
            Some((name, build::Output { path, nar_hash, nar_size, references }))
        });
        let (instructions, wall) = (record.instructions, None);
        let finished = Finished { outputs: outputs.collect(), run: kept.run, instructions, wall };
        Ok((whole && finished.outputs.len() == derivation.outputs.len()).then_some(finished))
    }

    /// What is on record about the run with this id.
    pub fn record(&self, run: &str) -> Result<RunRecord, StoreError> {
        let gone = || StoreError::Damaged {
            file: self.store.root().join("runs").join(run),
            why: "it is gone".to_owned(),
        };
        let id = run.parse().map_err(|_| gone())?;
        self.store.run(id)?.ok_or_else(gone)?.record()
    }

    /// Keeps the result of a round for a run after this one, should this one be interrupted.
    pub fn keep(&self, key: &RoundKey, finished: &Finished) -> Result<(), RealiseError> {
        let outputs = finished.outputs.iter().map(|(name, output)| {
            let build::Output { nar_hash, nar_size, references, .. } = output.clone();
            (name.clone(), RoundOutput { nar_hash, nar_size, references })
        });
        Ok(self.store.save_round(key, &Round { run: finished.run, outputs: outputs.collect() })?)
    }
}

fn round_key(
    drv: &StorePath,
    label: &str,
    settings: &Settings,
    caps: &Caps,
    host: &Host,
    inputs: &Inputs,
) -> RoundKey {
    let each = Setting::ALL.map(|which| format!("{}={}", which.name(), settings.value(which)));
    // The caps that the guest can see; how long a run may take on the host's clock, and how large its inputs may be, changes no bit.
    let Caps { guest_seconds, log_bytes, processes, output_bytes, input_bytes: _, wall: _, silence: _ } =
        caps;
    let caps =
        format!("guest-seconds={guest_seconds} log={log_bytes} processes={processes} output={output_bytes}");
    let mut digest = Sha256::new();
    for (path, object) in inputs {
        digest.update(format!("{path} {}\n", object.nar_hash.to_nix()));
        for reference in &object.references {
            digest.update(format!("  {reference}\n"));
        }
    }
    RoundKey {
        derivation: drv.clone(),
        round: label.to_owned(),
        settings: format!("{} {caps}", each.join(" ")),
        inputs: HEXLOWER.encode(&digest.finalize()),
        bundle: HEXLOWER.encode(&host.bundle.id),
        engine: host.machine.engine(),
        tool: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, sync::Arc, time::Duration};

    use super::*;
    use crate::{
        build::InputObject,
        guest::Bundle,
        machine::{Arch, Job, Machine, MachineError, Region, Run, Watch},
        nix::hash::NarHash,
    };

    /// An engine that has a name and nothing else.
    struct Named(&'static str);

    impl Machine for Named {
        fn engine(&self) -> String {
            self.0.to_owned()
        }
        fn arch(&self) -> Arch {
            Arch::X86_64
        }
        fn run(&self, _job: &Job<'_>, _watch: &mut dyn Watch) -> Result<Run, MachineError> {
            unreachable!("nothing is run")
        }
    }

    fn path(name: &str) -> StorePath {
        StorePath::from_base_name(format!("{}-{name}", "0".repeat(32)).as_bytes()).unwrap()
    }

    fn host(engine: &'static str, kernel: &[u8]) -> Host {
        let bundle = Bundle::new(Arch::X86_64, kernel.to_vec(), Vec::new(), None);
        Host { machine: Arc::new(Named(engine)), bundle: Arc::new(bundle) }
    }

    fn input(name: &str, bits: u8, references: &[&str]) -> (StorePath, InputObject) {
        let references: BTreeSet<StorePath> = references.iter().map(|name| path(name)).collect();
        let nar = Region::new(Arc::new(tempfile::tempfile().unwrap()), 0, 0);
        (path(name), InputObject { nar, nar_hash: NarHash([bits; 32]), references })
    }

    #[test]
    fn whatever_could_change_the_bits_makes_another_round_and_the_hosts_clock_does_not() {
        let (settings, caps) = (Settings::default(), Caps::default());
        let key = |drv: &str, label: &str, settings: &Settings, caps: &Caps, host: &Host, inputs: &Inputs| {
            round_key(&path(drv), label, settings, caps, host, inputs)
        };
        let (qemu, inputs) = (host("qemu 7.2", b"k"), Inputs::from([input("in", 1, &[])]));
        let base = key("a.drv", "round 1", &settings, &caps, &qemu, &inputs);
        assert_eq!(base, key("a.drv", "round 1", &settings, &caps, &qemu, &inputs));
        let mut others = vec![
            key("b.drv", "round 1", &settings, &caps, &qemu, &inputs),
            key("a.drv", "probe none", &settings, &caps, &qemu, &inputs),
            key("a.drv", "round 1", &settings, &caps, &host("qemu 9.0", b"k"), &inputs),
            key("a.drv", "round 1", &settings, &caps, &host("qemu 7.2", b"other"), &inputs),
            key("a.drv", "round 1", &settings, &caps, &qemu, &Inputs::from([input("in", 2, &[])])),
            key("a.drv", "round 1", &settings, &caps, &qemu, &Inputs::from([input("in", 1, &["in"])])),
            key("a.drv", "round 1", &settings, &caps, &qemu, &Inputs::new()),
        ];
        for which in Setting::ALL {
            others.push(key("a.drv", "round 1", &settings.varied(which, 1), &caps, &qemu, &inputs));
        }
        for caps in [
            Caps { guest_seconds: 1, ..caps.clone() },
            Caps { log_bytes: 1, ..caps.clone() },
            Caps { processes: 1, ..caps.clone() },
            Caps { output_bytes: 1, ..caps.clone() },
        ] {
            others.push(key("a.drv", "round 1", &settings, &caps, &qemu, &inputs));
        }
        for (n, other) in others.iter().enumerate() {
            assert!(*other != base && !others[..n].contains(other), "{n}: {other:?}");
        }
        let patient =
            Caps { input_bytes: 1, wall: Duration::from_secs(1), silence: Duration::from_secs(1), ..caps };
        assert_eq!(base, key("a.drv", "round 1", &settings, &patient, &qemu, &inputs));
    }
}
