//! Downloads that must get on: a server that sends a byte a minute would otherwise hold a build for ever.

use std::{
    io::{self, Read},
    time::{Duration, Instant},
};

/// How long a download is watched before it is judged.
const WINDOW: Duration = Duration::from_secs(60);
/// What must have come in that time: a kilobyte a second.
const LEAST: u64 = 60 << 10;

/// A reader that fails when too little comes for too long.
pub(super) struct Steady<R> {
    from: R,
    window: Duration,
    least: u64,
    since: Instant,
    bytes: u64,
}

impl<R: Read> Steady<R> {
    pub(super) fn new(from: R) -> Self {
        Steady::within(from, WINDOW, LEAST)
    }

    fn within(from: R, window: Duration, least: u64) -> Self {
        Steady { from, window, least, since: Instant::now(), bytes: 0 }
    }
}

impl<R: Read> Read for Steady<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.from.read(buffer)?;
        self.bytes += n as u64;
        if n > 0 && self.since.elapsed() >= self.window {
            if self.bytes < self.least {
                let problem = format!("only {} bytes came in {:?}", self.bytes, self.since.elapsed());
                return Err(io::Error::new(io::ErrorKind::TimedOut, problem));
            }
            (self.since, self.bytes) = (Instant::now(), 0);
        }
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_download_that_trickles_is_given_up_and_one_that_flows_is_not() {
        let mut read = Vec::new();
        let trickle = Steady::within([0; 10].as_slice(), Duration::ZERO, 11).read_to_end(&mut read);
        assert_eq!(trickle.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(
            Steady::within([0; 10].as_slice(), Duration::ZERO, 10).read_to_end(&mut read).unwrap(),
            10
        );
        assert_eq!(Steady::new([0; 10].as_slice()).read_to_end(&mut read).unwrap(), 10);
    }
}
