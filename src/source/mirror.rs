//! Hashed mirrors: `<base>/<algorithm>/<hash in base-16>`, as nixpkgs' `hashedMirrors` are laid out.
//!
//! The only place where this room speaks HTTP itself, and only to where the user pointed it.

use std::io;
use std::time::Duration;

use super::contents::{Contents, MAX_INPUT};
use crate::nix::hash::Hash;

/// A whole download, however large.
const TOTAL_TIME: Duration = Duration::from_secs(3600);

/// Between two pieces of one: a server that trickles is as good as none.
const SILENCE: Duration = Duration::from_secs(60);

/// Until a connection stands.
const CONNECT_TIME: Duration = Duration::from_secs(15);

/// Mirrors that send on are usual (to a content network), chains are not.
const MAX_REDIRECTS: u32 = 4;

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
    agent: ureq::Agent,
}

impl Mirror {
    /// A mirror at `base`.
    pub fn new(base: &str) -> Result<Self, MirrorError> {
        let encrypted = base.starts_with("https://");
        let plain = base.starts_with("http://");
        if !(encrypted || plain) || base.contains(['?', '#', ' ', '\n', '\r', '\t']) {
            return Err(MirrorError { base: base.to_owned() });
        }
        let config = ureq::Agent::config_builder()
            // From an encrypted mirror no redirect leads to an unencrypted one.
            .https_only(encrypted)
            .max_redirects(MAX_REDIRECTS)
            .http_status_as_error(false)
            // The bytes as they are: the hash is over them, not over what they decompress to.
            .accept_encoding("identity")
            .timeout_global(Some(TOTAL_TIME))
            .timeout_connect(Some(CONNECT_TIME))
            .timeout_per_read(Some(SILENCE))
            .build();
        Ok(Mirror { base: base.trim_end_matches('/').to_owned(), agent: config.into() })
    }

    /// Where it would have a hash.
    pub fn url(&self, hash: &Hash) -> String {
        format!("{}/{}/{}", self.base, hash.algorithm(), hash.to_base16())
    }

    /// Asks for a hash; `None` when the mirror says that it has none. Any other answer is an error, not a no.
    pub(super) fn fetch(&self, hash: &Hash) -> io::Result<Option<Contents>> {
        let response = self.agent.get(self.url(hash)).call().map_err(ureq::Error::into_io)?;
        match response.status().as_u16() {
            200 => {
                let body = response.into_body().into_with_config().limit(MAX_INPUT).reader();
                Contents::read(body).map(Some)
            }
            404 | 410 => Ok(None),
            status => Err(io::Error::other(format!("the server answered with status {status}"))),
        }
    }
}
