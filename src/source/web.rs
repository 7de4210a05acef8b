//! HTTP, as far as this program speaks it itself: only to where the user pointed it, and to where that redirects as far as
//! [`super::reach`] allows.

use std::{
    io::{self, Read},
    time::Duration,
};

use ureq::{
    http::{HeaderMap, header},
    unversioned::transport::DefaultConnector,
};

use super::{reach::Within, steady::Steady};

/// Between two pieces of an answer.
const SILENCE: Duration = Duration::from_secs(60);

/// Until a connection stands.
const CONNECT_TIME: Duration = Duration::from_secs(30);

/// Servers that send on are usual (to a content network), chains are not.
const MAX_REDIRECTS: u32 = 4;

/// A way to ask one server.
#[derive(Clone, Debug)]
pub(crate) struct Web {
    agent: ureq::Agent,
}

/// What a server answered.
pub(crate) struct Answer {
    /// How many bytes the whole has, if it says so: a body of fewer is an error where it ends.
    pub(crate) len: Option<u64>,
    /// The bytes. How many are read is the caller's to bound.
    pub(crate) bytes: Box<dyn Read + Send>,
}

impl Web {
    /// For the server at `base`. A whole transfer may take `total`. From an encrypted server no redirect leads to an unencrypted one,
    /// and from none to one that is nearer to this machine.
    pub(crate) fn new(base: &str, total: Duration) -> Self {
        Web::within(base, total, Within::new(base))
    }

    fn within(base: &str, total: Duration, within: Within) -> Self {
        let config = ureq::Agent::config_builder()
            .https_only(base.starts_with("https://"))
            .max_redirects(MAX_REDIRECTS)
            .http_status_as_error(false)
            // The bytes as they are: hashes are over them, not over what they decompress to.
            .accept_encoding("identity")
            .timeout_global(Some(total))
            .timeout_connect(Some(CONNECT_TIME))
            .timeout_per_read(Some(SILENCE))
            .build();
        // ureq promises no stability for what lies below `unversioned`: Cargo.lock does.
        Web { agent: ureq::Agent::with_parts(config, DefaultConnector::default(), within) }
    }

    /// Asks for `url`; `None` when the server says that it is not there. Any other answer is an error, not a no. How much is
    /// read is the caller's to bound.
    pub(super) fn get(&self, url: String) -> io::Result<Option<impl Read + use<>>> {
        Ok(self.from(&url, 0)?.map(|answer| answer.bytes))
    }

    /// The same, from a byte on, with what is known of its length.
    pub(crate) fn from(&self, url: &str, offset: u64) -> io::Result<Option<Answer>> {
        let mut request = self.agent.get(url);
        if offset > 0 {
            request = request.header(header::RANGE, format!("bytes={offset}-"));
        }
        let response = request.call().map_err(ureq::Error::into_io)?;
        let status = response.status().as_u16();
        match status {
            206 if offset == 0 || starts_at(response.headers()) != Some(offset) => {
                return Err(io::Error::other("the server gives another part than was asked for"));
            }
            200 | 206 => {}
            404 | 410 => return Ok(None),
            status => return Err(io::Error::other(format!("the server answered with status {status}"))),
        }
        let encoded = response.headers().get(header::CONTENT_ENCODING);
        // What was decompressed on the way has another length than the server says.
        let len = if encoded.is_none() { length(response.headers()) } else { None };
        let body = response.into_body().into_with_config().limit(u64::MAX).reader();
        let mut bytes: Box<dyn Read + Send> = Box::new(Steady::new(body));
        if status == 206 {
            return Ok(Some(Answer { len: len.map(|len| len.saturating_add(offset)), bytes }));
        }
        // A server need not know of parts.
        io::copy(&mut (&mut bytes).take(offset), &mut io::sink())?;
        Ok(Some(Answer { len, bytes }))
    }
}

fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The first byte of `Content-Range: bytes FROM-TO/ALL`.
fn starts_at(headers: &HeaderMap) -> Option<u64> {
    let range = headers.get(header::CONTENT_RANGE)?.to_str().ok()?;
    range.strip_prefix("bytes ")?.split_once('-')?.0.parse().ok()
}

#[cfg(test)]
mod tests;
