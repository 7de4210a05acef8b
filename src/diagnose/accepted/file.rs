//! The file in which a project keeps the differences it tolerates.
//!
//! TOML, one table for each:
//!
//! ```toml
//! [[accepted]]
//! package = "hello-*"           # optional: name of the store path, else every one
//! path    = "share/doc/**"      # of the file in the output; `.` for an output that is a file
//! member  = "*.html"            # optional: in an archive; of several within each other the names joined by `!`
//! section = ".rodata"           # optional: the part of the file as `reprove diff` prints it
//! cause   = "embedded-build-time"
//! reason  = "the manual prints the day it was made; upstream issue 12"
//! owner   = "release@example.org"
//! expires = 2027-01-31
//! ```
//!
//! In `path`, `*` and `?` stop at `/` and `**` does not; in the other patterns they do not.

use globset::{GlobBuilder, GlobMatcher};
use serde::Deserialize;

use super::{Acceptance, Accepted, AcceptedError, Date, Patterns};
use crate::diagnose::find;

/// Most entries of a file: whoever needs more accepts everything.
const ENTRIES_MAX: usize = 4096;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    accepted: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    package: Option<String>,
    path: String,
    member: Option<String>,
    section: Option<String>,
    cause: String,
    reason: String,
    owner: String,
    expires: toml::value::Datetime,
}

impl Accepted {
    /// Reads the file's text.
    ///
    /// # Errors
    /// What is no such file, and the first entry that cannot be meant, by its number from 1.
    pub fn parse(text: &str) -> Result<Accepted, AcceptedError> {
        let file: File = toml::from_str(text).map_err(|error| AcceptedError::Syntax(error.to_string()))?;
        if file.accepted.len() > ENTRIES_MAX {
            return Err(AcceptedError::TooMany { most: ENTRIES_MAX });
        }
        let entries = file.accepted.into_iter().enumerate().map(|(index, entry)| read(index + 1, entry));
        Ok(Accepted { entries: entries.collect::<Result<_, _>>()? })
    }
}

fn read(number: usize, entry: Entry) -> Result<Acceptance, AcceptedError> {
    let wrong = |what: &'static str, why: String| AcceptedError::Entry { number, what, why };
    for (what, text) in [("reason", &entry.reason), ("owner", &entry.owner)] {
        if text.trim().is_empty() {
            return Err(wrong(what, "it says nothing".to_owned()));
        }
    }
    let cause = find(&entry.cause).ok_or_else(|| {
        wrong("cause", format!("there is no cause `{}`; `reprove explain` lists them", entry.cause))
    })?;
    let expires = match (entry.expires.date, entry.expires.time) {
        (Some(date), None) => Date::new(i64::from(date.year), date.month, date.day),
        _ => return Err(wrong("expires", "it is to be a day, such as 2027-01-31".to_owned())),
    };
    let glob = |what: &'static str, pattern: &str, stops_at_slash: bool| {
        let glob = GlobBuilder::new(pattern).literal_separator(stops_at_slash).build();
        glob.map(|glob| glob.compile_matcher()).map_err(|error| wrong(what, error.to_string()))
    };
    let maybe =
        |what: &'static str, pattern: &Option<String>| -> Result<Option<GlobMatcher>, AcceptedError> {
            pattern.as_ref().map(|pattern| glob(what, pattern, false)).transpose()
        };
    let patterns = Patterns {
        package: maybe("package", &entry.package)?,
        path: glob("path", &entry.path, true)?,
        member: maybe("member", &entry.member)?,
        section: maybe("section", &entry.section)?,
    };
    let Entry { path, reason, owner, .. } = entry;
    Ok(Acceptance { number, path, cause, reason, owner, expires, patterns })
}
