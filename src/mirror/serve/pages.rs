//! The page at the root: made when it is asked for, kept a while, and made by one thread at a time, whoever asks.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::{sync::Mutex, task::spawn_blocking};

use crate::mirror::{Mirror, MirrorError, page};

/// How long a page is kept, at least.
const KEPT: Duration = Duration::from_secs(10);

/// A page is kept so many times as long as it took to make it: of a large mirror one core is busy with it one twentieth of the time
/// at most.
const TIMES: u32 = 20;

/// What makes pages, and the one that was made last.
pub(super) struct Pages {
    make: Box<page::Maker>,
    kept: RwLock<Option<Kept>>,
    making: Arc<Mutex<()>>,
}

/// A page that was made.
#[derive(Clone)]
pub(super) struct Kept {
    pub(super) html: Bytes,
    pub(super) content_security_policy: Arc<str>,
    until: Instant,
}

impl Pages {
    pub(super) fn new(make: Box<page::Maker>) -> Self {
        Pages { make, kept: RwLock::default(), making: Arc::default() }
    }

    fn kept(&self) -> Option<Kept> {
        self.kept.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn fresh(&self) -> Option<Kept> {
        self.kept().filter(|kept| kept.until > Instant::now())
    }

    /// The page of `mirror`: a fresh one, or while that is being made for somebody else the last one. `None` when the mirror
    /// cannot be read.
    pub(super) async fn get(self: &Arc<Self>, mirror: &Arc<Mirror>) -> Option<Kept> {
        if let Some(kept) = self.fresh() {
            return Some(kept);
        }
        let making = match (self.making.clone().try_lock_owned(), self.kept()) {
            (Ok(making), _) => making,
            (Err(_), Some(kept)) => return Some(kept),
            (Err(_), None) => self.making.clone().lock_owned().await,
        };
        let (pages, mirror) = (self.clone(), mirror.clone());
        // Whoever asked may go away; the page is made to its end, and by nobody else meanwhile.
        let made = spawn_blocking(move || {
            let _making = making;
            pages.fresh().map_or_else(|| pages.make(&mirror), Ok)
        });
        made.await.ok()?.ok()
    }

    fn make(&self, mirror: &Mirror) -> Result<Kept, MirrorError> {
        let began = Instant::now();
        let page::Page { html, content_security_policy } = (self.make)(&mirror.holdings(1)?);
        let kept = Kept {
            html: html.into(),
            content_security_policy: content_security_policy.into(),
            until: Instant::now() + KEPT.max(began.elapsed() * TIMES),
        };
        *self.kept.write().unwrap_or_else(PoisonError::into_inner) = Some(kept.clone());
        Ok(kept)
    }
}
