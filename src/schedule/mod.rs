//! Leaves-first execution over a graph.

mod crew;
mod machines;
mod observer;
mod pool;
mod realise;
mod rounds;
mod slots;
mod store_dir;
mod taker;

pub use crew::{Crew, Member};
pub use machines::{Host, HostError, Machines};
pub use observer::{Ended, Observer, Work};
pub use pool::{OnFailure, Outcome, run};
pub use realise::{EXPLANATIONS, Finished, RealiseError, Realiser};
pub use rounds::RoundOf;
pub use slots::{Slot, Slots};
pub use store_dir::{HOST_STORE, StoreDir, host_store};
pub use taker::{TakeError, Taker};
