//! Hashed mirrors: `<base>/<algorithm>/<hash in base-16>`, as nixpkgs' `hashedMirrors` are laid out.

use std::io;
use std::time::Duration;

use super::contents::Contents;
use super::web::Web;
use crate::nix::hash::Hash;

/// A whole download, however large.
const TOTAL_TIME: Duration = Duration::from_secs(3600);

/// Why a base is no mirror.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{base:?} is no hashed mirror: it must start with http:// or https:// and have no query or fragment")]
pub struct MirrorError {
    /// What was given.
    pub base: String,
}

/// One mirror.
#[derive(Clone, Debug)]
pub struct Mirror {
    base: String,
    web: Web,
}

impl Mirror {
    /// A mirror at `base`.
    pub fn new(base: &str) -> Result<Self, MirrorError> {
        let encrypted = base.starts_with("https://");
        let plain = base.starts_with("http://");
        if !(encrypted || plain) || base.contains(['?', '#', ' ', '\n', '\r', '\t']) {
            return Err(MirrorError { base: base.to_owned() });
        }
        Ok(Mirror { base: base.trim_end_matches('/').to_owned(), web: Web::new(base, TOTAL_TIME) })
    }

    /// Where it would have a hash.
    pub fn url(&self, hash: &Hash) -> String {
        format!("{}/{}/{}", self.base, hash.algorithm(), hash.to_base16())
    }

    /// Asks for a hash; `None` when the mirror says that it has none. Any other answer is an error, not a no.
    pub(super) fn fetch(&self, hash: &Hash) -> io::Result<Option<Contents>> {
        self.web.get(self.url(hash))?.map(Contents::read).transpose()
    }
}
