//! What whoever writes a mirror does at the end. That some of it fails is told after the report, which it never costs.

use super::{page, snapshot};
use crate::{
    cli::{Exit, Failure},
    mirror::{Mirror, MirrorError},
    nix::secret_key::SecretKey,
};

/// What failed of it.
#[must_use]
pub(super) struct Ending(Vec<Failure>);

impl Ending {
    /// Remembers what was admitted, signs what is in if that is asked for, and makes the page again if there is one: each whatever
    /// becomes of the others.
    pub(super) fn of(mirror: &Mirror, key: &SecretKey) -> Self {
        let done =
            [mirror.remember_all().map_err(Failure::from), snapshot::renew(mirror, key), page::renew(mirror)];
        Ending(done.into_iter().filter_map(Result::err).collect())
    }

    /// The same, with what was done besides.
    pub(super) fn and(mut self, done: Result<(), MirrorError>) -> Self {
        self.0.extend(done.err().map(Failure::from));
        self
    }

    /// Prints what failed, and says what that comes to.
    pub(super) fn tell(self) -> Exit {
        self.0.into_iter().fold(Exit::Success, |exit, failure| {
            failure.print();
            exit.and(failure.exit)
        })
    }
}
