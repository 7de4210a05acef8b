//! Several workers on one mirror, and nothing to build: who waits for another one sees how far he came, and what cannot
//! be read costs no more than that.

use std::{
    fs,
    num::NonZeroUsize,
    path::Path,
    sync::{Mutex, mpsc},
    thread,
    time::SystemTime,
};

use reprove::{
    graph::Graph,
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

use crate::fixture::{Fixture, key, policy, replace};

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
        let (native, jobs, refused) = (None, 2, OnRefused::Keep);
        let filling =
            Populate { mirror, publisher, graph, realiser: &realiser, worker, native, jobs, refused };
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
