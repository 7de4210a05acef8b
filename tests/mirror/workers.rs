//! Several workers on one mirror, and nothing to build: who waits for another one sees that he came to the end.

use std::{
    num::NonZeroUsize,
    path::Path,
    sync::{Mutex, mpsc},
    thread,
    time::SystemTime,
};

use reprove::{
    machine::{Caps, Settings, Watch, embedded::Embedded},
    mirror::{
        claims::{Claimed, Worker},
        populate::{Fate, OnRefused, Populate},
        publish::{Published, Publisher},
    },
    schedule::{Ended, Machines, Observer, Realiser, StoreDir, Work},
    source::{Provider, apt::Apt},
    store::{Origin, Store},
};

use crate::fixture::{Fixture, key};

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

#[test]
fn who_waits_for_another_worker_ends_when_he_has_admitted_everything() {
    let fixture = Fixture::new();
    let key = key("test-1", 1);
    let mirror = fixture.init("mirror", "", &key);
    let publisher = Publisher::new(&mirror, &key, &fixture.store).unwrap();
    let (graph, _) = fixture.derivations.graph(fixture.tool.deriver.as_ref().unwrap());
    let (mine, theirs) = (fixture.dir.path().join("mine"), fixture.dir.path().join("theirs"));
    let (store, other) = (Store::open(&mine).unwrap(), Worker::of(&Store::open(&theirs).unwrap()).unwrap());
    for node in graph.nodes() {
        assert_eq!(mirror.claim(&node.drv, &other, SystemTime::now()).unwrap(), Claimed::Ours);
    }
    let (noted, notes) = mpsc::channel();
    let observer = Notes(Mutex::new(noted));
    let machines = Machines::new(
        &mine,
        Apt::of_machine(Path::new("/nowhere")),
        &[],
        Embedded::new(None),
        NonZeroUsize::MIN,
    );
    let evaluated = StoreDir::new("/nowhere", Origin::HostStore);
    let (settings, caps) = (Settings::default(), Caps::default());
    let realiser = Realiser {
        store: &store,
        sources: Provider::new(&store),
        machines: &machines,
        settings: &settings,
        caps: &caps,
        observer: &observer,
        evaluated: &evaluated,
        takers: &[],
        rehashed: Default::default(),
    };
    let filling = Populate {
        mirror: &mirror,
        publisher: &publisher,
        graph: &graph,
        realiser: &realiser,
        worker: &Worker::of(&store).unwrap(),
        native: None,
        jobs: 2,
        refused: OnRefused::Keep,
    };
    let fates = thread::scope(|scope| {
        let waiting = scope.spawn(|| filling.run().unwrap());
        let said = notes.recv().unwrap();
        assert!(said.contains("waiting for another worker"), "{said}");
        fixture.publish_all(&publisher);
        for node in graph.nodes() {
            mirror.release(&node.drv, &other).unwrap();
        }
        waiting.join().unwrap()
    });
    // Everything that it had looked for is in, also what only something else needs.
    assert_eq!(fates.len(), graph.nodes().len());
    assert!(fates.iter().all(|(_, fate)| matches!(fate, Fate::In(Published::There))), "{fates:?}");
}
