//! The page at the root: made when it is asked for, and kept a while.

use std::sync::Arc;

use bytes::Bytes;

use super::kept::Kept;
use crate::mirror::{Mirror, page};

/// What makes pages, and the one that was made last.
pub(super) struct Pages {
    make: Box<page::Maker>,
    kept: Arc<Kept<Made>>,
}

/// A page that was made.
#[derive(Clone)]
pub(super) struct Made {
    pub(super) html: Bytes,
    pub(super) content_security_policy: Arc<str>,
}

impl Pages {
    pub(super) fn new(make: Box<page::Maker>) -> Self {
        Pages { make, kept: Arc::default() }
    }

    /// The page of `mirror`; `None` when the mirror cannot be read.
    pub(super) async fn get(self: &Arc<Self>, mirror: &Arc<Mirror>) -> Option<Made> {
        let (pages, mirror) = (self.clone(), mirror.clone());
        let make = move || {
            let page::Page { html, content_security_policy } = (pages.make)(&mirror.holdings(1).ok()?);
            Some(Made { html: html.into(), content_security_policy: content_security_policy.into() })
        };
        self.kept.get(make).await
    }
}
