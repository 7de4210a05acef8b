//! What is made when somebody asks for it, kept a while, and made by one thread at a time, whoever asks.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use tokio::{sync::Mutex, task::spawn_blocking};

/// How long it is kept, at least.
const AT_LEAST: Duration = Duration::from_secs(10);

/// It is kept so many times as long as it took to make it: of a large mirror one core is busy with it one twentieth of the time at
/// most.
const TIMES: u32 = 20;

/// What was made last, and until when that is kept.
pub(super) struct Kept<T> {
    last: RwLock<Option<(T, Instant)>>,
    making: Arc<Mutex<()>>,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Kept { last: RwLock::default(), making: Arc::default() }
    }
}

impl<T: Clone + Send + Sync + 'static> Kept<T> {
    fn last(&self) -> Option<(T, Instant)> {
        self.last.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn fresh(&self) -> Option<T> {
        self.last().filter(|(_, until)| *until > Instant::now()).map(|(made, _)| made)
    }

    /// A fresh one, or while that is being made for somebody else the last one. `None` when it cannot be made. To be called where
    /// tokio runs; `make` may wait for the disk or the network.
    pub(super) async fn get(
        self: &Arc<Self>,
        make: impl FnOnce() -> Option<T> + Send + 'static,
    ) -> Option<T> {
        if let Some(fresh) = self.fresh() {
            return Some(fresh);
        }
        let making = match (self.making.clone().try_lock_owned(), self.last()) {
            (Ok(making), _) => making,
            (Err(_), Some((last, _))) => return Some(last),
            (Err(_), None) => self.making.clone().lock_owned().await,
        };
        let kept = self.clone();
        // Whoever asked may go away; it is made to its end, and by nobody else meanwhile.
        let made = spawn_blocking(move || {
            let _making = making;
            kept.fresh().or_else(|| kept.make(make))
        });
        made.await.ok()?
    }

    fn make(&self, make: impl FnOnce() -> Option<T>) -> Option<T> {
        let began = Instant::now();
        let made = make()?;
        let until = Instant::now() + AT_LEAST.max(began.elapsed() * TIMES);
        *self.last.write().unwrap_or_else(PoisonError::into_inner) = Some((made.clone(), until));
        Some(made)
    }
}
