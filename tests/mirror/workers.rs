//! Several workers on one mirror, and nothing to build: who waits for another one sees how far he came, and what cannot
//! be read costs no more than that.

use std::{
    fs,
    num::NonZeroUsize,
    path::Path,
    sync::{Mutex, mpsc},
    thread,
    time::{Duration, SystemTime},
};

use reprove::{
    graph::{self, Graph, Rule},
    machine::{Caps, Settings, Watch, embedded::Embedded},
    mirror::{
        Mirror, MirrorError,
        claims::{Claimed, Worker},
        layout::{HashPart, Object},
        populate::{Fate, OnRefused, Populate},
        publish::{Published, Publisher},
    },
    nix::{secret_key::SecretKey, store_path::StorePath},
    schedule::{Ended, Machines, Observer, Realiser, StoreDir, Work},
    source::{Provider, apt::Apt},
    store::{Origin, PathInfo, Store},
};

use crate::fixture::{Fixture, files, key, policy, replace};

/// Passes on what is noted.
struct Notes(Mutex<mpsc::Sender<String>>);

impl Observer for Notes {
    fn begin(&self, work: &Work) -> Box<dyn Watch + '_> {
        panic!("{} is built, and it was another worker's", work.label())
    }

    fn end(&self, _: &Work, _: &Ended) {}

    fn note(&self, line: &str) {
        self.0.lock().unwrap().send(line.to_owned()).unwrap();
    }
}

/// Fills a mirror, with nobody who could build anything: what that needs lives as long as this.
struct Filling {
    store: Store,
    machines: Machines,
    settings: Settings,
    caps: Caps,
    evaluated: StoreDir,
    observer: Notes,
}

impl Filling {
    /// With its own state directory; also gives what is noted.
    fn in_dir(dir: &Path) -> (Self, mpsc::Receiver<String>) {
        let (noted, notes) = mpsc::channel();
        let (apt, embedded) = (Apt::of_machine(Path::new("/nowhere")), Embedded::new(None));
        let filling = Filling {
            store: Store::open(dir).unwrap(),
            machines: Machines::new(dir, apt, &[], embedded, NonZeroUsize::MIN),
            settings: Settings::default(),
            caps: Caps::default(),
            evaluated: StoreDir::new("/nowhere", Origin::HostStore),
            observer: Notes(Mutex::new(noted)),
        };
        (filling, notes)
    }

    /// What became of each derivation, by its place in the graph.
    fn run(&self, mirror: &Mirror, publisher: &Publisher<'_>, graph: &Graph) -> Vec<(usize, Fate)> {
        self.run_within(&Rule::default(), mirror, publisher, graph)
    }

    /// The same, when not all of them may be built.
    fn run_within(
        &self,
        rule: &Rule,
        mirror: &Mirror,
        publisher: &Publisher<'_>,
        graph: &Graph,
    ) -> Vec<(usize, Fate)> {
        let realiser = Realiser {
            store: &self.store,
            sources: Provider::new(&self.store),
            machines: &self.machines,
            settings: &self.settings,
            caps: &self.caps,
            observer: &self.observer,
            evaluated: &self.evaluated,
            takers: &[],
            rehashed: Default::default(),
        };
        let worker = &Worker::of(&self.store).unwrap();
        let filling = Populate {
            mirror,
            publisher,
            graph,
            frontier: &graph::frontier(graph, rule),
            realiser: &realiser,
            worker,
            native: None,
            jobs: 2,
            refused: OnRefused::Keep,
            patience: Duration::from_millis(1),
        };
        let fates = filling.run();
        filling.tidy_claims().unwrap();
        fates
    }
}

/// What becomes of everything that another worker with the same key is at, who admits it, or testifies to it, meanwhile.
fn admitted_meanwhile(policy: &str, key: &SecretKey) -> Vec<Fate> {
    let fixture = Fixture::new();
    let mirror = fixture.init("mirror", policy, key).seen_by(key).unwrap();
    let publisher = Publisher::new(&mirror, key, &fixture.store).unwrap();
    let (graph, _) = fixture.derivations.graph(fixture.tool.deriver.as_ref().unwrap());
    let theirs = Store::open(&fixture.dir.path().join("theirs")).unwrap();
    let other = Worker::of(&theirs).unwrap();
    for node in graph.nodes() {
        assert_eq!(mirror.claim(&node.drv, &other, SystemTime::now()).unwrap(), Claimed::Ours);
    }
    let (filling, notes) = Filling::in_dir(&fixture.dir.path().join("mine"));
    let fates = thread::scope(|scope| {
        let waiting = scope.spawn(|| filling.run(&mirror, &publisher, &graph));
        let said = notes.recv().unwrap();
        assert!(said.contains("waiting for another worker"), "{said}");
        fixture.publish_all(&publisher);
        for node in graph.nodes() {
            mirror.release(&node.drv, &other).unwrap();
        }
        waiting.join().unwrap()
    });
    // Everything that it had looked for, also what only something else needs.
    assert_eq!(fates.len(), graph.nodes().len());
    fates.into_iter().map(|(_, fate)| fate).collect()
}

#[test]
fn who_waits_for_another_worker_ends_when_he_has_admitted_everything() {
    let fates = admitted_meanwhile("", &key("test-1", 1));
    assert!(fates.iter().all(|fate| matches!(fate, Fate::In(Published::There))), "{fates:?}");
}

#[test]
fn what_another_worker_has_testified_to_and_too_few_others_is_pending() {
    let (alice, bob) = (key("alice-1", 1), key("bob-1", 2));
    let fates = admitted_meanwhile(&policy(2, &[("alice", &[&alice]), ("bob", &[&bob])]), &alice);
    assert!(fates.iter().all(|fate| matches!(fate, Fate::In(Published::Pending))), "{fates:?}");
}

#[test]
fn what_is_left_out_is_there_or_is_missed_and_nobody_builds_it() {
    let fixture = Fixture::new();
    let (full, key) = fixture.mirror("mirror");
    let empty = fixture.init("empty", "", &key).seen_by(&key).unwrap();
    let (filling, _notes) = Filling::in_dir(&fixture.dir.path().join("mine"));
    let (graph, _) = fixture.derivations.graph(fixture.tool.deriver.as_ref().unwrap());
    let fates = |mirror: &Mirror, rule: &Rule| -> Vec<(String, String)> {
        let publisher = Publisher::new(mirror, &key, &fixture.store).unwrap();
        let fates = filling.run_within(rule, mirror, &publisher, &graph);
        let name = |index: usize| graph.nodes()[index].name().to_owned();
        fates.into_iter().map(|(index, fate)| (name(index), format!("{fate:?}"))).collect()
    };
    let own = |told: &[(&str, &str)]| -> Vec<(String, String)> {
        told.iter().map(|(name, fate)| ((*name).to_owned(), (*fate).to_owned())).collect()
    };
    let only = |name: &str| Rule { only: Some(name.parse().unwrap()), ..Rule::default() };
    let nearest = Rule { depth: Some(0), ..Rule::default() };
    let left_out = r#"NotNow("it was left out, and the mirror does not hold it")"#;
    let paths = [&fixture.seed, &fixture.lib, &fixture.tool];
    let [seed_at, lib_at, tool_at] =
        paths.map(|info| graph.index_of(info.deriver.as_ref().unwrap()).unwrap());
    let [seed, lib, tool] = [seed_at, lib_at, tool_at].map(|index| graph.nodes()[index].name());
    assert_eq!(fates(&empty, &only("^nothing$")), own(&[(tool, left_out)]));
    let blocked = format!("Blocked({seed_at})");
    assert_eq!(fates(&empty, &nearest), own(&[(seed, left_out), (lib, left_out), (tool, &blocked)]));
    for rule in [only("^nothing$"), nearest] {
        assert_eq!(fates(&full, &rule), own(&[(tool, "In(There)")]));
    }
    // What matches is to be there in the end as well, whoever needs it.
    let both = fates(&full, &only(&format!("^{lib}$")));
    assert_eq!(both, own(&[(lib, "In(There)"), (tool, "In(There)")]));
}

#[test]
fn for_what_the_policy_does_not_admit_nothing_is_kept() {
    let fixture = Fixture::new();
    let key = key("test-1", 1);
    let (graph, index) = fixture.derivations.graph(fixture.seed.deriver.as_ref().unwrap());
    for (policy, expected) in [
        ("[systems]\nx86_64-linux = [\"qemu\"]\n", "the mirror's policy admits nothing for riscv64-linux"),
        ("[systems]\nriscv64-linux = [\"qemu\"]\n", "wants riscv64-linux builds in the machine qemu"),
    ] {
        let mirror = fixture.init(&expected.replace(' ', "-"), policy, &key).seen_by(&key).unwrap();
        let folder = fixture.dir.path().join(expected.replace(' ', "-"));
        let before = files(&folder);
        let (filling, _notes) = Filling::in_dir(&fixture.dir.path().join("mine"));
        let publisher = Publisher::new(&mirror, &key, &fixture.store).unwrap();
        let fates = filling.run(&mirror, &publisher, &graph);
        let [(one, Fate::NotNow(why))] = &fates[..] else { panic!("{fates:?}") };
        assert!(*one == index && why.contains(expected), "{why}");
        assert!(files(&folder) == before);
    }
}

#[test]
fn a_narinfo_that_cannot_be_read_costs_what_it_is_about_and_what_needs_that() {
    let fixture = Fixture::new();
    let (mirror, key) = fixture.mirror("mirror");
    let publisher = Publisher::new(&mirror, &key, &fixture.store).unwrap();
    let asked = [&fixture.seed, &fixture.lib, &fixture.tool].map(|info| info.deriver.clone().unwrap());
    let graph = fixture.derivations.graph_of(&asked);
    let narinfo =
        |info: &PathInfo| fixture.folder("mirror").join(Object::NarInfo(HashPart::of(&info.path)).name());
    replace(&narinfo(&fixture.lib), b"something else");
    fs::remove_file(narinfo(&fixture.tool)).unwrap();
    let (filling, _notes) = Filling::in_dir(&fixture.dir.path().join("mine"));
    let fates = filling.run(&mirror, &publisher, &graph);
    let of = |drv: &StorePath| {
        let index = graph.index_of(drv).unwrap();
        &fates.iter().find(|(one, _)| *one == index).unwrap().1
    };
    assert!(matches!(of(&asked[0]), Fate::In(Published::There)), "{fates:?}");
    assert!(matches!(of(&asked[1]), Fate::Failed(MirrorError::Document { .. })), "{fates:?}");
    assert!(matches!(of(&asked[2]), Fate::Blocked(by) if graph.nodes()[*by].drv == asked[1]), "{fates:?}");
}
