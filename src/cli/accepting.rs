//! `--accepted FILE`: the differences that a project tolerates.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

use clap::Args;

use super::{Exit, Failure, read};
use crate::diagnose::{
    Accepted, Judgement,
    accepted::{AcceptedError, Date},
};

/// Longest file that is read, in bytes.
const LONGEST: u64 = 4 << 20;

/// Which differences are tolerated.
#[derive(Debug, Args)]
pub struct AcceptedFrom {
    /// Tolerate the differences that FILE lists, each with a place, a cause, a reason, an owner and a last day; what has no
    /// others is `equivalent`, never `reproduced`
    #[arg(long, value_name = "FILE")]
    accepted: Option<PathBuf>,
}

impl AcceptedFrom {
    /// Reads the file, and refuses one of which an entry has expired, before hours of work are done for it.
    pub fn open(&self) -> Result<Option<Accepted>, Failure> {
        let Some(path) = &self.accepted else { return Ok(None) };
        let text = read::text(path, LONGEST)?;
        let accepted = Accepted::parse(&text).map_err(|error| self.failure(&error))?;
        match accepted.expired(today()) {
            Some(error) => Err(self.failure(&error)),
            None => Ok(Some(accepted)),
        }
    }

    /// Says which entries tolerate nothing, now that `compared` were compared and `judged` was found, and what that makes of the
    /// exit code.
    pub fn leftovers<'a>(
        &self,
        accepted: Option<&Accepted>,
        compared: &BTreeSet<Vec<u8>>,
        judged: impl IntoIterator<Item = &'a Judgement>,
    ) -> Exit {
        let met: BTreeSet<usize> =
            judged.into_iter().flat_map(|judgement| &judgement.met).map(|met| met.number).collect();
        let mut exit = Exit::Success;
        for error in accepted.iter().flat_map(|accepted| accepted.unused(compared, &met)) {
            let failure = self.failure(&error);
            failure.print();
            exit = exit.and(failure.exit);
        }
        exit
    }

    fn failure(&self, error: &AcceptedError) -> Failure {
        let exit = match error {
            AcceptedError::Expired { .. } | AcceptedError::Unused { .. } => Exit::Policy,
            _ => Exit::Usage,
        };
        let failure = Failure::new(error.code(), error, exit);
        match &self.accepted {
            Some(path) => failure.about(path.display()),
            None => failure,
        }
    }
}

/// The day by this host's clock, in UTC.
fn today() -> Date {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    Date::of_seconds(i64::try_from(seconds).unwrap_or(i64::MAX))
}
