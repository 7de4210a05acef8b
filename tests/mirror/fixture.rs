//! A small mirror: a seed, a path that was built from it and refers to it and to itself, and one that was built from both.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    time::SystemTime,
};

use reprove::{
    attest::{
        provenance::{self, Asked, Provenance},
        statement::Statement,
        verdict::{self, MachineRun, VerdictPredicate},
    },
    build::RunRecord,
    graph::Graph,
    mirror::{
        Mirror,
        check::{self, Believing, Report, Request},
        layout::FileHash,
        location::Location,
        policy::Policy,
        publish::{Entry, Published, Publisher},
        statement::{Admission, Ground},
    },
    nix::{
        derivation::{Derivation, Output},
        hash_modulo::{HashModulos, OutputCheck, own_path},
        nar::Writer,
        secret_key,
        secret_key::SecretKey,
        store_path::StorePath,
    },
    store::{Origin, PathInfo, Store},
};

use crate::support::run;

/// The log of everything that was "built".
pub const LOG: &[u8] = b"building\nbuilt\n";

/// Derivations, each made of some that were there before.
#[derive(Default)]
pub struct Derivations {
    modulos: HashModulos,
    all: BTreeMap<StorePath, Derivation>,
}

impl Derivations {
    /// One more, by its name; returns its path and that of its output.
    pub fn add(&mut self, name: &str, inputs: &[&StorePath]) -> (StorePath, StorePath) {
        let with = |path: StorePath| Derivation {
            outputs: [("out".to_owned(), Output::InputAddressed { path })].into(),
            input_drvs: inputs.iter().map(|input| ((*input).clone(), ["out".to_owned()].into())).collect(),
            input_srcs: BTreeSet::new(),
            system: b"riscv64-linux".to_vec(),
            builder: b"/bin/sh".to_vec(),
            args: Vec::new(),
            env: BTreeMap::new(),
        };
        let named = path('0', &format!("{name}.drv"));
        let checked = self.modulos.check_outputs(&named, &with(path('0', name))).unwrap();
        let OutputCheck::Different { computed: out, .. } = checked["out"].clone() else {
            panic!("{checked:?}")
        };
        let derivation = with(out.clone());
        let drv = own_path(&named, &derivation).unwrap();
        self.modulos.insert(&drv, &derivation).unwrap();
        self.all.insert(drv.clone(), derivation);
        (drv, out)
    }

    /// Those that one is made of, and itself.
    pub fn graph(&self, drv: &StorePath) -> (Graph, usize) {
        let graph = self.graph_of(std::slice::from_ref(drv));
        let index = graph.index_of(drv).unwrap();
        (graph, index)
    }

    /// Those that some are made of, and themselves.
    pub fn graph_of(&self, drvs: &[StorePath]) -> Graph {
        let all = |drv: &StorePath| self.all.get(drv).cloned().ok_or(());
        let Ok(graph) = Graph::load(drvs, all) else { panic!("one of {drvs:?} is missing") };
        graph
    }

    /// Writes them where whoever evaluates finds them, each as the file of its name.
    pub fn write(&self, folder: &Path) {
        fs::create_dir_all(folder).unwrap();
        for (drv, derivation) in &self.all {
            fs::write(folder.join(drv.base_name()), derivation.serialise()).unwrap();
        }
    }

    /// One without inputs that states the path of something else, under the name that its own text has.
    pub fn claiming(&self, stated: &StorePath) -> (StorePath, Graph) {
        let mut derivation = self.all.values().find(|one| one.input_drvs.is_empty()).unwrap().clone();
        derivation.outputs = [("out".to_owned(), Output::InputAddressed { path: stated.clone() })].into();
        let drv = own_path(&path('0', &format!("{}.drv", stated.name())), &derivation).unwrap();
        let Ok(graph) = Graph::load(std::slice::from_ref(&drv), |_| Ok::<_, ()>(derivation.clone())) else {
            panic!("it needs nothing")
        };
        (drv, graph)
    }

    /// Keeps one in a mirror.
    pub fn keep(&self, publisher: &Publisher<'_>, drv: &StorePath) {
        let (graph, index) = self.graph(drv);
        publisher.keep(&graph, index).unwrap();
    }
}

/// A store with three paths in it.
pub struct Fixture {
    pub dir: tempfile::TempDir,
    pub store: Store,
    pub derivations: Derivations,
    pub seed: PathInfo,
    pub lib: PathInfo,
    pub tool: PathInfo,
}

pub fn key(name: &str, seed: u8) -> SecretKey {
    secret_key::spelled(name, &[seed; 32]).parse().unwrap()
}

/// A policy with so many signers to agree, of these with these keys.
pub fn policy(threshold: usize, signers: &[(&str, &[&SecretKey])]) -> String {
    let signer = |(name, keys): &(&str, &[&SecretKey])| {
        let keys: Vec<String> = keys.iter().map(|key| format!("\"{:?}\"", key.public())).collect();
        format!("[[signer]]\nname = \"{name}\"\nkeys = [{}]\n", keys.join(", "))
    };
    format!("threshold = {threshold}\n{}", signers.iter().map(signer).collect::<String>())
}

pub fn path(digit: char, name: &str) -> StorePath {
    StorePath::from_base_name(format!("{}-{name}", digit.to_string().repeat(32)).as_bytes()).unwrap()
}

/// A tree with a program, a text and a link in it, of which the NAR is in the store.
pub fn object(
    store: &Store,
    (drv, path): &(StorePath, StorePath),
    references: &[&StorePath],
    text: &str,
) -> PathInfo {
    let mut nar = Writer::new(Vec::new());
    nar.directory().unwrap();
    nar.entry(b"bin").unwrap();
    nar.directory().unwrap();
    nar.entry(b"tool").unwrap();
    let program = format!("#!/bin/sh\necho {text}\n");
    nar.regular(true, program.len() as u64, program.as_bytes()).unwrap();
    nar.leave().unwrap();
    nar.entry(b"refers").unwrap();
    let refers: String = references.iter().map(|path| format!("{path}\n")).collect();
    nar.regular(false, refers.len() as u64, refers.as_bytes()).unwrap();
    nar.entry(b"to").unwrap();
    nar.symlink(b"bin/tool").unwrap();
    nar.leave().unwrap();
    let nar = store.import_nar(nar.finish().unwrap().as_slice(), None).unwrap();
    let references: BTreeSet<StorePath> = references.iter().map(|path| (*path).clone()).collect();
    let info = PathInfo {
        path: path.clone(),
        nar_hash: nar.hash,
        nar_size: nar.size,
        references,
        deriver: Some(drv.clone()),
        origin: Origin::HostStore,
    };
    store.register(&info).unwrap();
    info
}

impl Fixture {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("state")).unwrap();
        let mut derivations = Derivations::default();
        let seed = derivations.add("seed", &[]);
        let lib = derivations.add("lib-1.0", &[&seed.0]);
        let tool = derivations.add("tool-2.0", &[&seed.0, &lib.0]);
        let seed = object(&store, &seed, &[], "seed");
        let lib = object(&store, &lib, &[&seed.path, &lib.1], "lib");
        let tool = object(&store, &tool, &[&lib.path], "tool");
        Fixture { dir, store, derivations, seed, lib, tool }
    }

    pub fn location(&self, name: &str) -> Location {
        Location::parse(self.folder(name).to_str().unwrap()).unwrap()
    }

    pub fn folder(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    pub fn init(&self, name: &str, policy: &str, key: &SecretKey) -> Mirror {
        let policy = Policy::from_toml(policy, key).unwrap();
        Mirror::init(self.location(name), policy, key).unwrap()
    }

    /// A mirror about whose policy all of them agree, as the first one sees it.
    pub fn init_by(&self, name: &str, policy: &str, keys: &[&SecretKey]) -> Mirror {
        let made = keys.iter().map(|key| self.init(name, policy, key));
        made.collect::<Vec<_>>().swap_remove(0)
    }

    /// A mirror of one signer, with everything in it.
    pub fn mirror(&self, name: &str) -> (Mirror, SecretKey) {
        let key = key("test-1", 1);
        let mirror = self.init(name, "", &key);
        self.publish_all(&Publisher::new(&mirror, &key, &self.store).unwrap());
        (mirror, key)
    }

    /// Takes the seed as it is.
    pub fn take_seed(&self, publisher: &Publisher<'_>) {
        let why = "it has to begin somewhere";
        let seeded = publisher.seed(std::slice::from_ref(&self.seed.path), why).unwrap();
        assert!(seeded.iter().all(|(_, published)| !matches!(published, Published::Conflict { .. })));
    }

    /// Keeps the derivations of everything that is built.
    pub fn keep(&self, publisher: &Publisher<'_>) {
        self.derivations.keep(publisher, self.tool.deriver.as_ref().unwrap());
    }

    pub fn publish_all(&self, publisher: &Publisher<'_>) {
        self.take_seed(publisher);
        self.keep(publisher);
        for (info, admission) in self.entries() {
            assert_ne!(publish(publisher, info, &admission), Published::Conflict { admitted: info.nar_hash });
        }
    }

    /// Finds other bits for the library, which is in, and says what comes of admitting them.
    pub fn publish_another_lib(&self, mirror: &Mirror, key: &SecretKey) -> (PathInfo, Published) {
        let elsewhere = tempfile::tempdir().unwrap();
        let store = Store::open(elsewhere.path()).unwrap();
        let lib = (self.lib.deriver.clone().unwrap(), self.lib.path.clone());
        let other = object(&store, &lib, &[&self.seed.path], "another lib");
        let [_, (_, admission), _] = self.entries();
        let published = publish(&Publisher::new(mirror, key, &store).unwrap(), &other, &admission);
        (other, published)
    }

    /// What is to be admitted, in order, and why.
    pub fn entries(&self) -> [(&PathInfo, Admission); 3] {
        let seeds = BTreeSet::from([self.seed.path.clone()]);
        let built = |info: &PathInfo, inputs: &[&PathInfo]| Admission {
            ground: Ground::Built { derivation: info.deriver.clone().unwrap(), output: "out".to_owned() },
            inputs: inputs.iter().map(|info| (info.path.clone(), info.nar_hash)).collect(),
            sources: Default::default(),
            seeds: seeds.clone(),
            log: Some(FileHash::of(LOG).hex()),
        };
        let seed = Admission {
            ground: Ground::Seed { why: "it has to begin somewhere".to_owned() },
            inputs: Default::default(),
            sources: Default::default(),
            seeds: seeds.clone(),
            log: None,
        };
        let (lib, tool) = (built(&self.lib, &[&self.seed]), built(&self.tool, &[&self.seed, &self.lib]));
        [(&self.seed, seed), (&self.lib, lib), (&self.tool, tool)]
    }
}

/// The record of a run that gave the very bits.
fn record(n: u32, derivation: &StorePath) -> RunRecord {
    run::record(format!("{n:064x}"), derivation.to_string(), &"0".repeat(64))
}

/// The verdict on a path that was built, if it was: two rounds, the same bits.
pub fn verdict(info: &PathInfo, admission: &Admission, level: u64) -> Option<VerdictPredicate> {
    let Ground::Built { derivation, output } = &admission.ground else { return None };
    let round = |n: u32| {
        let (record, hash) = (record(n, derivation), info.nar_hash.to_string());
        MachineRun::of(format!("round {n}"), record.run.clone(), Some(hash), record)
    };
    Some(VerdictPredicate {
        derivation: derivation.to_string(),
        output: output.clone(),
        system: None,
        policies: Vec::new(),
        verdict: "reproduced".to_owned(),
        level,
        level_name: "varied".to_owned(),
        outside_contract: false,
        rounds: [1, 2].map(round).into(),
        references: Vec::new(),
        causes: Vec::new(),
        taken_on_trust: Vec::new(),
    })
}

/// What is said of a path beside its admission.
pub fn statements(info: &PathInfo, admission: &Admission, level: u64) -> Vec<Statement> {
    verdict(info, admission, level).map(|verdict| with_verdict(info, admission, &verdict)).unwrap_or_default()
}

/// The same, with a verdict of one's own.
pub fn with_verdict(info: &PathInfo, admission: &Admission, verdict: &VerdictPredicate) -> Vec<Statement> {
    let Ground::Built { derivation, output } = &admission.ground else { return Vec::new() };
    let asked = Asked {
        installable: format!("{derivation}^{output}"),
        derivation: derivation.to_string(),
        output: output.clone(),
    };
    let how = serde_json::to_value(Provenance::of(asked, &record(1, derivation))).unwrap();
    let found = serde_json::to_value(verdict).unwrap();
    let said = [(provenance::TYPE, how), (verdict::TYPE, found)];
    said.into_iter().map(|(kind, said)| Statement::new(&info.path, info.nar_hash, kind, said)).collect()
}

pub fn publish(publisher: &Publisher<'_>, info: &PathInfo, admission: &Admission) -> Published {
    let log = admission.log.as_ref().map(|_| LOG);
    let statements = statements(info, admission, 2);
    publisher.publish(&Entry { info, admission, statements: &statements, log }).unwrap()
}

pub fn check_at(folder: &Path, believed: &[&SecretKey], paths: &[StorePath]) -> Report {
    check_in(&Location::parse(folder.to_str().unwrap()).unwrap(), believed, paths)
}

/// The same, wherever it lies.
pub fn check_in(location: &Location, believed: &[&SecretKey], paths: &[StorePath]) -> Report {
    let believed: Vec<_> = believed.iter().map(|key| key.public()).collect();
    let believing = if believed.is_empty() { Believing::ItsOwn } else { Believing::Keys(&believed) };
    let request = Request { paths, believing, since: &[], now: SystemTime::now(), jobs: 2 };
    check::check(location, &request).unwrap()
}

/// Every file below a folder, by its path in it; not what is being written.
pub fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut left = vec![folder.to_owned()];
    while let Some(at) = left.pop() {
        for entry in fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                found.insert(name, fs::read(path).unwrap());
            }
        }
    }
    found
}

/// Puts bytes in the place of a file that nobody may write.
pub fn replace(file: &Path, bytes: &[u8]) {
    fs::remove_file(file).unwrap();
    fs::write(file, bytes).unwrap();
}
