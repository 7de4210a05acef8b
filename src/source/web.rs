//! HTTP, as far as this room speaks it itself: only to where the user pointed it.

use std::{
    io::{self, Read},
    time::Duration,
};

use super::steady::Steady;

/// Between two pieces of an answer.
const SILENCE: Duration = Duration::from_secs(60);

/// Until a connection stands.
const CONNECT_TIME: Duration = Duration::from_secs(30);

/// Servers that send on are usual (to a content network), chains are not.
const MAX_REDIRECTS: u32 = 4;

/// A way to ask servers.
#[derive(Clone, Debug)]
pub(super) struct Web {
    agent: ureq::Agent,
}

impl Web {
    /// A whole transfer may take `total`. With `encrypted` no redirect leads to an unencrypted server.
    pub(super) fn new(encrypted: bool, total: Duration) -> Self {
        let config = ureq::Agent::config_builder()
            .https_only(encrypted)
            .max_redirects(MAX_REDIRECTS)
            .http_status_as_error(false)
            // The bytes as they are: hashes are over them, not over what they decompress to.
            .accept_encoding("identity")
            .timeout_global(Some(total))
            .timeout_connect(Some(CONNECT_TIME))
            .timeout_per_read(Some(SILENCE))
            .build();
        Web { agent: config.into() }
    }

    /// Asks for `url`; `None` when the server says that it is not there. Any other answer is an error, not a no. How much is
    /// read is the caller's to bound.
    pub(super) fn get(&self, url: String) -> io::Result<Option<impl Read + use<>>> {
        let response = self.agent.get(url).call().map_err(ureq::Error::into_io)?;
        match response.status().as_u16() {
            200 => {
                let body = response.into_body().into_with_config().limit(u64::MAX).reader();
                Ok(Some(Steady::new(body)))
            }
            404 | 410 => Ok(None),
            status => Err(io::Error::other(format!("the server answered with status {status}"))),
        }
    }
}
