//! Brings outputs into the store: sources by hash, everything else built in a machine, leaves first.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet, btree_map::Entry},
    io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::{
    Ended, Host, HostError, Machines, Observer, OnFailure, Outcome, RoundOf, StoreDir, TakeError, Taker,
    Work, pool,
};
use crate::{
    build::{self, Evidence, InputObject, Inputs, NotObserved, Observation, Observe, Request},
    code::{Code, Explanation},
    graph::{Action, Graph, GraphError, Node, Plan, Step, Unsupported},
    machine::{Arch, Caps, Engine, Region, Settings},
    nix::{derivation::Derivation, hash::NarHash, store_path::StorePath},
    source::{FixedOutput, Provider, SourceError},
    store::{Guard, NarSink, Origin, PathInfo, RunId, Store, StoreError},
};

/// Everything a realisation works with.
pub struct Realiser<'a> {
    /// Where outputs go and inputs come from.
    pub store: &'a Store,
    /// Where sources are looked for.
    pub sources: Provider<'a>,
    /// What builds.
    pub machines: &'a Machines,
    /// The settings of a build that is not varied.
    pub settings: &'a Settings,
    /// Where a build is stopped.
    pub caps: &'a Caps,
    /// Who is told.
    pub observer: &'a dyn Observer,
    /// The store directory of the evaluator, with the files it copied, e.g. builder scripts.
    pub evaluated: &'a StoreDir,
    /// Who has what is not built.
    pub takers: &'a [Taker],
    /// The NARs taken on trust that were hashed again.
    pub rehashed: Mutex<HashSet<NarHash>>,
}

/// Why an output is not in the store.
#[derive(Debug, thiserror::Error)]
pub enum RealiseError {
    /// Its build failed or could not be tried.
    #[error("{drv}: {}", .failure.error)]
    Build {
        /// The derivation.
        drv: StorePath,
        /// Why, and what was seen.
        failure: Box<build::Failure>,
        /// The run record, when a machine ran.
        run: Option<RunId>,
    },
    /// A source was not found.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// There is no machine for it.
    #[error("{drv}: {source}")]
    Host {
        /// The derivation.
        drv: StorePath,
        /// Why.
        source: HostError,
    },
    /// The graph does not hold together.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// Our store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Somebody who has it could not give it.
    #[error(transparent)]
    Take(#[from] TakeError),
    /// It was to be taken by hash, and nobody here has it.
    #[error("{drv} is outside of what is to be built, and none of our places has its output {output}")]
    NotTaken {
        /// The derivation.
        drv: StorePath,
        /// The output.
        output: StorePath,
    },
    /// It cannot be built here.
    #[error("{drv}: {why}")]
    Unsupported {
        /// The derivation.
        drv: StorePath,
        /// Why.
        why: Unsupported,
    },
    /// A file of the host's could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
}

impl RealiseError {
    /// The code of what is behind it.
    pub fn code(&self) -> Code {
        match self {
            RealiseError::Build { failure, .. } => failure.error.code(),
            RealiseError::Source(error) => error.code(),
            RealiseError::Host { source, .. } => source.code(),
            RealiseError::Graph(error) => error.code(),
            RealiseError::Store(error) | RealiseError::Take(TakeError::Store(error)) => error.code(),
            RealiseError::Take(TakeError::Cache(error)) => error.code(),
            RealiseError::NotTaken { .. } => NOT_TAKEN,
            RealiseError::Unsupported { .. } => UNSUPPORTED,
            RealiseError::Io { .. } => HOST_FILE,
        }
    }
}

const NOT_TAKEN: Code = Code(1010);
const UNSUPPORTED: Code = Code(701);
const HOST_FILE: Code = Code(1011);

/// What the codes of this room mean.
pub const EXPLANATIONS: &[Explanation] = &[
    Explanation {
        code: NOT_TAKEN,
        title: "an output outside of the frontier was found nowhere",
        text: "With --only, --depth or --trust-substitutes some outputs are not built but taken by hash from those who \
               have them: the host's own store, and caches named with --substituter. Nobody has this one. Build it \
               (widen --only or --depth), or name a cache that has it.",
    },
    Explanation {
        code: HOST_FILE,
        title: "a temporary file could not be made",
        text: "The input drive of a machine is written to an unnamed file in the state directory. Check the space there, \
               or choose another one with --state.",
    },
];

/// A finished build that is not registered: its NARs are in the store, its paths are not.
#[derive(Debug)]
pub struct Finished {
    /// The outputs by name.
    pub outputs: BTreeMap<String, build::Output>,
    /// The run record.
    pub run: RunId,
    /// Retired instructions.
    pub instructions: Option<u64>,
    /// Wall-clock time; none for a round that an earlier run built.
    pub wall: Option<Duration>,
}

impl Realiser<'_> {
    /// Does what `plan` says for every derivation but those of `leave`, at most `jobs` at once, and says how each
    /// that was to be done ended.
    pub fn realise(
        &self,
        graph: &Graph,
        plan: &Plan,
        leave: &BTreeSet<usize>,
        jobs: usize,
        on_failure: OnFailure,
    ) -> Vec<(usize, Outcome<(), RealiseError>)> {
        let tasks: Vec<(usize, &Step)> = plan.work().filter(|(index, _)| !leave.contains(index)).collect();
        let place = |index: &usize| tasks.binary_search_by_key(index, |(task, _)| *task).ok();
        let needs: Vec<Vec<usize>> = tasks
            .iter()
            .map(|(index, _)| graph.nodes()[*index].inputs.iter().filter_map(place).collect())
            .collect();
        let outcomes = pool::run(&needs, jobs, on_failure, |task| {
            let (index, step) = tasks[task];
            self.act(graph, index, step)
        });
        let name = |outcome| match outcome {
            Outcome::Skipped(task) => Outcome::Skipped(tasks[task].0),
            other => other,
        };
        tasks.iter().zip(outcomes).map(|((index, _), outcome)| (*index, name(outcome))).collect()
    }

    fn act(&self, graph: &Graph, index: usize, step: &Step) -> Result<(), RealiseError> {
        let node = &graph.nodes()[index];
        match &step.action {
            Action::Present | Action::NotNeeded => Ok(()),
            Action::Provide => self.provide(&node.drv, &node.derivation),
            Action::Take => self.take(&node.drv, &node.derivation, &step.outputs),
            Action::Build => {
                let _alone = self.lock(&node.drv)?;
                if self.is_there(&node.derivation)? {
                    return Ok(()); // another process was faster
                }
                let finished = self.build(graph, index, self.settings, "")?;
                self.register(&node.drv, &finished)
            }
            Action::Refuse(why) => Err(RealiseError::Unsupported { drv: node.drv.clone(), why: why.clone() }),
        }
    }

    /// Builds one derivation whose inputs are in the store. The outputs' NARs are in the store afterwards, and a record
    /// of the run; the paths are not registered.
    pub fn build(
        &self,
        graph: &Graph,
        index: usize,
        settings: &Settings,
        round: &str,
    ) -> Result<Finished, RealiseError> {
        self.build_in(&self.host(graph, index)?, graph, index, settings, round)
    }

    /// The same, in a machine that need not be the one that is usual for the derivation.
    pub fn build_in(
        &self,
        host: &Host,
        graph: &Graph,
        index: usize,
        settings: &Settings,
        round: &str,
    ) -> Result<Finished, RealiseError> {
        let _slot = self.machines.slot();
        let inputs = self.inputs(graph, index)?;
        let round = RoundOf { graph, index, settings, label: round };
        Ok(self.run(host, round, &inputs, Observe::Result)?.0)
    }

    /// Builds one derivation as [`Realiser::build`] does, and looks at its processes and at the files they write. It is another
    /// run for that: whether its outputs are the same is to be looked at.
    pub fn observe(
        &self,
        graph: &Graph,
        index: usize,
        settings: &Settings,
        label: &str,
    ) -> Result<(Finished, Result<Observation, NotObserved>), RealiseError> {
        let host = self.host(graph, index)?;
        let _slot = self.machines.slot();
        let inputs = self.inputs(graph, index)?;
        let round = RoundOf { graph, index, settings, label };
        let (finished, observation) = self.run(&host, round, &inputs, Observe::Processes)?;
        Ok((finished, observation.unwrap_or(Err(NotObserved::NoRecord))))
    }

    /// Builds one derivation with other bits in the place of some store paths. Says which of its inputs those are; nothing is
    /// built when there are none.
    pub fn build_with(
        &self,
        round: RoundOf<'_>,
        replaced: &BTreeMap<StorePath, build::Output>,
    ) -> Result<(Vec<StorePath>, Option<Finished>), RealiseError> {
        let mut inputs = self.inputs(round.graph, round.index)?;
        let others: Vec<&build::Output> = inputs.keys().filter_map(|path| replaced.get(path)).collect();
        if others.is_empty() {
            return Ok((Vec::new(), None));
        }
        // The other bits can refer to more, which can have other bits again.
        let referred: Vec<StorePath> =
            others.iter().flat_map(|output| output.references.iter().cloned()).collect();
        for info in self.store.closure(&referred)? {
            if let Entry::Vacant(slot) = inputs.entry(info.path.clone()) {
                slot.insert(self.object(&info.path, info.nar_hash, info.nar_size, info.references)?);
            }
        }
        let from: Vec<StorePath> =
            inputs.keys().filter(|path| replaced.contains_key(*path)).cloned().collect();
        for output in from.iter().filter_map(|path| replaced.get(path)) {
            let build::Output { path, nar_hash, nar_size, references } = output.clone();
            let object = self.object(&path, nar_hash, nar_size, references)?;
            inputs.insert(path, object);
        }
        let host = self.host(round.graph, round.index)?;
        let _slot = self.machines.slot();
        let (finished, _) = self.run(&host, round, &inputs, Observe::Result)?;
        Ok((from, Some(finished)))
    }

    /// Bits of our store as what a build is given at a path.
    fn object(
        &self,
        path: &StorePath,
        nar_hash: NarHash,
        nar_size: u64,
        references: BTreeSet<StorePath>,
    ) -> Result<InputObject, StoreError> {
        let missing = || StoreError::NarMissing { path: path.clone(), nar_hash, nar_size };
        let nar = self.store.nar(&nar_hash)?.ok_or_else(missing)?;
        Ok(InputObject { nar: Region::new(Arc::new(nar), 0, nar_size), nar_hash, references })
    }

    /// Runs a machine, for which there has to be a slot. Inputs are open files: whoever waits for a slot should have none yet.
    fn run(
        &self,
        host: &Host,
        round: RoundOf<'_>,
        inputs: &Inputs,
        observe: Observe,
    ) -> Result<(Finished, Option<Result<Observation, NotObserved>>), RealiseError> {
        let RoundOf { graph, index, settings, label: round } = round;
        let node = &graph.nodes()[index];
        let request = Request {
            derivation: &node.derivation,
            drv_path: &node.drv,
            inputs,
            bundle: &host.bundle,
            settings,
            caps: self.caps,
            round,
            observe,
        };
        let scratch = self.store.root().join("tmp");
        let scratch =
            tempfile::tempfile_in(&scratch).map_err(|source| RealiseError::Io { path: scratch, source })?;
        let work = Work {
            drv: node.drv.clone(),
            arch: host.machine.arch(),
            round: round.to_owned(),
            rate: settings.rate,
        };
        let mut watch = self.observer.begin(&work);
        let started = Instant::now();
        let result = build::build(&request, &*host.machine, scratch, &StoreSink(self.store), watch.as_mut());
        drop(watch);
        let wall = started.elapsed();
        let evidence = match &result {
            Ok(built) => Some(&built.evidence),
            Err(failure) => failure.evidence.as_ref(),
        };
        let instructions = evidence.and_then(|evidence| evidence.record.instructions);
        let run = evidence.map(|evidence| self.save(&node.drv, evidence)).transpose()?;
        let failure = result.as_ref().err().map(|failure| failure.error.to_string());
        self.observer.end(&work, &Ended { failure, instructions, wall });
        match (result, run) {
            (Ok(built), Some(run)) => {
                let finished = Finished { outputs: built.outputs, run, instructions, wall: Some(wall) };
                Ok((finished, built.evidence.observation))
            }
            (Err(failure), run) => Err(RealiseError::Build { drv: node.drv.clone(), failure, run }),
            (Ok(_), None) => unreachable!("a build that succeeded has evidence, and evidence is saved"),
        }
    }

    fn save(&self, drv: &StorePath, evidence: &Evidence) -> Result<RunId, StoreError> {
        let mut attachments: Vec<(&str, &[u8])> =
            vec![("console", &evidence.console), ("log", &evidence.log)];
        if let Some(Ok(observation)) = &evidence.observation {
            attachments.push(("processes", &observation.processes));
            attachments.push(("files", &observation.files));
        }
        self.store.save_run(drv, &evidence.record, &attachments)
    }

    /// Makes the outputs of a build what their paths mean.
    pub fn register(&self, drv: &StorePath, finished: &Finished) -> Result<(), RealiseError> {
        let record = |output: &build::Output| PathInfo {
            path: output.path.clone(),
            nar_hash: output.nar_hash,
            nar_size: output.nar_size,
            references: output.references.clone(),
            deriver: Some(drv.clone()),
            origin: Origin::Built { run: finished.run },
        };
        Ok(self.store.register_closed(finished.outputs.values().map(record).collect())?)
    }
}

/// What a build needs, and how it gets there.
impl Realiser<'_> {
    /// The machine for a derivation.
    pub(super) fn host(&self, graph: &Graph, index: usize) -> Result<Host, RealiseError> {
        self.host_by(&graph.nodes()[index], |arch| self.machines.host(arch))
    }

    /// The machine of a kind for a derivation.
    pub fn host_in(&self, engine: Engine, graph: &Graph, index: usize) -> Result<Host, RealiseError> {
        self.host_by(&graph.nodes()[index], |arch| self.machines.host_in(engine, arch))
    }

    fn host_by(
        &self,
        node: &Node,
        find: impl FnOnce(Arch) -> Result<Host, HostError>,
    ) -> Result<Host, RealiseError> {
        let arch = Arch::of_system(&node.derivation.system).unwrap_or(Arch::X86_64);
        find(arch).map_err(|source| RealiseError::Host { drv: node.drv.clone(), source })
    }

    /// The whole input closure of a derivation. Sources of the evaluation are taken into the store on the way.
    pub(super) fn inputs(&self, graph: &Graph, index: usize) -> Result<Inputs, RealiseError> {
        for source in &graph.nodes()[index].derivation.input_srcs {
            self.evaluated.import(source, self.store)?;
        }
        let roots: Vec<StorePath> = graph.input_paths(index)?.into_iter().collect();
        let mut inputs = Inputs::new();
        for info in self.store.closure(&roots)? {
            if info.origin.is_on_trust() {
                self.rehash(&info)?;
            }
            let object = self.object(&info.path, info.nar_hash, info.nar_size, info.references)?;
            inputs.insert(info.path, object);
        }
        Ok(inputs)
    }

    /// Hashes what was taken on trust again, once: it must at least be what was taken.
    fn rehash(&self, info: &PathInfo) -> Result<(), StoreError> {
        let done = || self.rehashed.lock().unwrap_or_else(PoisonError::into_inner);
        if done().contains(&info.nar_hash) {
            return Ok(());
        }
        if !self.store.nar_is_sound(&info.nar_hash, info.nar_size) {
            let why =
                format!("it is not the NAR of {} that was taken; `reprove store verify --repair`", info.path);
            return Err(StoreError::Damaged { file: self.store.nar_path(&info.nar_hash), why });
        }
        done().insert(info.nar_hash);
        Ok(())
    }

    /// Every source in the closure of `drv`, found and in the store.
    pub fn sources_of(&self, graph: &Graph, drv: &StorePath) -> Result<Vec<PathInfo>, RealiseError> {
        let mut sources = Vec::new();
        let root: Vec<usize> = graph.index_of(drv).into_iter().collect();
        for index in graph.closure(&root) {
            let node = &graph.nodes()[index];
            if let Some(wanted) = FixedOutput::of(&node.drv, &node.derivation) {
                sources.push(self.sources.provide(&wanted)?.info);
            }
        }
        Ok(sources)
    }

    fn provide(&self, drv: &StorePath, derivation: &Derivation) -> Result<(), RealiseError> {
        let Some(wanted) = FixedOutput::of(drv, derivation) else { return Ok(()) };
        let provided = self.sources.provide(&wanted)?;
        self.observer.note(&format!("{} from {}", wanted.path.name(), provided.place));
        Ok(())
    }

    /// Takes outputs that are outside of what is built from those who have them.
    fn take(
        &self,
        drv: &StorePath,
        derivation: &Derivation,
        outputs: &BTreeSet<String>,
    ) -> Result<(), RealiseError> {
        for output in outputs.iter().filter_map(|output| derivation.output_path(output)) {
            if self.store.path(output)?.is_none() {
                self.take_one(drv, output)?;
            }
        }
        Ok(())
    }

    /// Asks one after the other; somebody who fails is passed over, and only told of when nobody else has it.
    fn take_one(&self, drv: &StorePath, output: &StorePath) -> Result<(), RealiseError> {
        let mut failed = None;
        for taker in self.takers {
            match taker.take(output, self.store) {
                Ok(true) => {
                    self.observer.note(&format!("{} from {taker}", output.name()));
                    return Ok(());
                }
                Ok(false) => {}
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        match failed {
            Some(error) => Err(error.into()),
            None => Err(RealiseError::NotTaken { drv: drv.clone(), output: output.clone() }),
        }
    }

    fn is_there(&self, derivation: &Derivation) -> Result<bool, StoreError> {
        for output in derivation.outputs.values() {
            match output.path() {
                Some(path) if self.store.path(path)?.is_some() => {}
                _ => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Keeps other processes from building the same derivation meanwhile.
    fn lock(&self, drv: &StorePath) -> Result<Guard, StoreError> {
        self.store.lock(drv, || {
            self.observer.note(&format!("waiting for another process that builds {}", drv.name()))
        })
    }
}

/// Our store as the place where a build leaves its outputs.
struct StoreSink<'a>(&'a Store);

struct StorePlace<'a>(NarSink<'a>);

impl build::Sink for StoreSink<'_> {
    fn place(&self) -> io::Result<Box<dyn build::Place + '_>> {
        Ok(Box::new(StorePlace(self.0.nar_sink().map_err(io::Error::other)?)))
    }
}

impl io::Write for StorePlace<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl build::Place for StorePlace<'_> {
    fn keep(self: Box<Self>) -> io::Result<()> {
        self.0.finish().map(drop).map_err(io::Error::other)
    }
}
