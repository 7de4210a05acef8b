//! Differences that a project has looked at and tolerates.
//!
//! An entry names a place, a cause, a reason, who answers for it, and until when. A comparison is *equivalent* when every cause
//! that was found is accepted in every part of every file it shows in. What only follows from others (build ids, checksums,
//! where things lie) is accepted with them, in the files that an accepted cause shows in. What nothing explains is the cause
//! `unexplained`, and accepted only by that name.

mod file;

use std::{collections::BTreeSet, fmt};

use bstr::ByteSlice as _;
use globset::GlobMatcher;

use super::{Cause, Entry, Site};
use crate::{
    code::{Code, Explanation},
    diff::{self, Comparison},
};

/// The accepted differences of a project.
#[derive(Debug, Default)]
pub struct Accepted {
    entries: Vec<Acceptance>,
}

/// One accepted difference.
#[derive(Debug)]
pub struct Acceptance {
    /// Which of the file's entries it is, from 1.
    pub number: usize,
    /// The pattern for paths, as written.
    pub path: String,
    /// The cause.
    pub cause: &'static Entry,
    /// Why it is tolerated.
    pub reason: String,
    /// Who answers for it.
    pub owner: String,
    /// The last day on which it holds.
    pub expires: Date,
    patterns: Patterns,
}

/// Where an accepted difference may show; what has no pattern may be anything.
#[derive(Debug)]
struct Patterns {
    package: Option<GlobMatcher>,
    path: GlobMatcher,
    member: Option<GlobMatcher>,
    section: Option<GlobMatcher>,
}

/// A day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    year: i64,
    month: u8,
    day: u8,
}

impl Date {
    /// A day of the Gregorian calendar; whether there is such a day is the caller's to know.
    pub fn new(year: i64, month: u8, day: u8) -> Date {
        Date { year, month, day }
    }

    /// The day, in UTC, of a number of seconds since 1970.
    pub fn of_seconds(seconds: i64) -> Date {
        let (year, month, day) = diff::date(seconds);
        // Months and days are far below 256.
        Date::new(year, month as u8, day as u8)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

/// Why a file of accepted differences does not hold.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AcceptedError {
    /// It is no TOML, or has keys that mean nothing.
    #[error("it cannot be read: {0}")]
    Syntax(String),
    /// More entries than anybody looks at.
    #[error("it has more than {most} entries")]
    TooMany {
        /// How many there may be.
        most: usize,
    },
    /// An entry that cannot be meant.
    #[error("entry {number}: `{what}`: {why}")]
    Entry {
        /// Which, from 1.
        number: usize,
        /// Its key.
        what: &'static str,
        /// What is wrong.
        why: String,
    },
    /// An entry whose time is over.
    #[error(
        "entry {number} (`{cause}` in `{path}`) expired on {expires}: mend its cause, or ask {owner} to look again"
    )]
    Expired {
        /// Which, from 1.
        number: usize,
        /// Its cause.
        cause: &'static str,
        /// Its pattern for paths.
        path: String,
        /// The last day on which it held.
        expires: Date,
        /// Who answers for it.
        owner: String,
    },
    /// An entry for something that does not differ any more.
    #[error("entry {number} (`{cause}` in `{path}`) tolerates nothing that differs: remove it")]
    Unused {
        /// Which, from 1.
        number: usize,
        /// Its cause.
        cause: &'static str,
        /// Its pattern for paths.
        path: String,
    },
}

impl AcceptedError {
    /// The stable code.
    pub fn code(&self) -> Code {
        match self {
            AcceptedError::Syntax(_) | AcceptedError::TooMany { .. } | AcceptedError::Entry { .. } => {
                Code(951)
            }
            AcceptedError::Expired { .. } => Code(952),
            AcceptedError::Unused { .. } => Code(953),
        }
    }
}

/// What to do about each of [`AcceptedError`].
pub const EXPLANATIONS: &[Explanation] = &[
    Explanation {
        code: Code(951),
        title: "a file of accepted differences cannot be read",
        text: "It is TOML with one `[[accepted]]` for each difference: `path`, `cause`, `reason`, `owner` and `expires`, and, where\n\
               it is to hold for less, `package`, `member` and `section`. The message names the entry and the key.",
    },
    Explanation {
        code: Code(952),
        title: "an accepted difference has expired",
        text: "Whoever accepted it did so until a day that is over. Mend the cause (`reprove explain CAUSE` says how), or have its\n\
               owner look again and set another day. Nothing is built while an entry has expired.",
    },
    Explanation {
        code: Code(953),
        title: "an accepted difference tolerates nothing",
        text: "All that it is for was compared, and nothing that it would tolerate differs: the cause was mended, or the pattern\n\
               matches nothing. An entry that stays would tolerate a later difference that nobody looked at. Remove it.",
    },
];

/// What was said of a comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// The accepted differences that were met, by their place in the file, with how much each covers.
    pub met: Vec<Met>,
    /// What nothing accepts, in the order of the causes.
    pub open: Vec<Open>,
}

impl Judgement {
    /// Whether everything that differs is accepted.
    pub fn all_accepted(&self) -> bool {
        self.open.is_empty()
    }

    /// Adds what was said of other bits of the same thing: an entry covers as much as it does where it covers most.
    pub fn join(&mut self, other: Judgement) {
        for met in other.met {
            match self.met.iter_mut().find(|known| known.number == met.number) {
                Some(known) => {
                    known.places = known.places.max(met.places);
                    known.bytes = known.bytes.max(met.bytes);
                }
                None => self.met.push(met),
            }
        }
        for open in other.open {
            if !self.open.contains(&open) {
                self.open.push(open);
            }
        }
        self.met.sort_by_key(|met| met.number);
    }
}

/// How much one entry covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Met {
    /// The entry's number, from 1.
    pub number: usize,
    /// Its cause.
    pub cause: &'static Entry,
    /// Its pattern for paths.
    pub path: String,
    /// Why it is tolerated.
    pub reason: String,
    /// Who answers for it.
    pub owner: String,
    /// The last day on which it holds.
    pub expires: Date,
    /// In how many places.
    pub places: u64,
    /// How many differing bytes.
    pub bytes: u64,
}

/// Something that differs and is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// The cause's id; none for a file in which everything only follows from something else.
    pub cause: Option<&'static str>,
    /// Path of the entry; empty for the root.
    pub path: Vec<u8>,
    /// The members of archives on the way, from the outermost.
    pub inside: Vec<Vec<u8>>,
    /// The part of the file.
    pub part: Option<String>,
}

impl Accepted {
    /// The entries, in the file's order.
    pub fn entries(&self) -> &[Acceptance] {
        &self.entries
    }

    /// The first entry that does not hold on `today` any more.
    pub fn expired(&self, today: Date) -> Option<AcceptedError> {
        let entry = self.entries.iter().find(|entry| entry.expires < today)?;
        let (number, cause, path) = (entry.number, entry.cause.id, entry.path.clone());
        Some(AcceptedError::Expired {
            number,
            cause,
            path,
            expires: entry.expires,
            owner: entry.owner.clone(),
        })
    }

    /// The entries that were for one of the `compared` packages and in none of `met`.
    pub fn unused<'a>(
        &'a self,
        compared: &'a BTreeSet<Vec<u8>>,
        met: &'a BTreeSet<usize>,
    ) -> impl Iterator<Item = AcceptedError> + 'a {
        let idle = self.entries.iter().filter(|entry| {
            !met.contains(&entry.number) && compared.iter().any(|package| entry.is_for(package))
        });
        idle.map(|entry| AcceptedError::Unused {
            number: entry.number,
            cause: entry.cause.id,
            path: entry.path.clone(),
        })
    }

    /// Holds what was found in a comparison of `package` against the entries.
    pub fn judge(&self, package: &[u8], comparison: &Comparison, causes: &[Cause]) -> Judgement {
        let mut judgement = Judgement::default();
        let mut met: Vec<Met> = self.entries.iter().map(Acceptance::unmet).collect();
        let mut files = BTreeSet::new();
        let sites = |derived: bool| {
            let causes = causes.iter().filter(move |cause| cause.derived == derived);
            causes.flat_map(|cause| cause.sites.iter().map(move |site| (cause.entry, site)))
        };
        let accepts = |cause: &Entry, site: &Site| {
            self.entries.iter().position(|entry| entry.accepts(package, cause, site))
        };
        for derived in [false, true] {
            for (cause, site) in sites(derived) {
                if let Some(index) = accepts(cause, site) {
                    met[index].places += site.places;
                    met[index].bytes += site.bytes;
                    files.insert(site.path.as_slice());
                } else if !derived || !files.contains(site.path.as_slice()) {
                    judgement.open.push(Open::new(Some(cause.id), site));
                }
            }
        }
        // Whatever the causes say: every file that differs has to be in one of these.
        let named: BTreeSet<Vec<u8>> = judgement.open.iter().map(|open| open.path.clone()).collect();
        for place in comparison.places().iter().filter(|place| place.steps.len() == 1) {
            if !files.contains(place.path()) && !named.contains(place.path()) {
                let (path, inside) = (place.path().to_vec(), Vec::new());
                judgement.open.push(Open { cause: None, path, inside, part: None });
            }
        }
        judgement.met = met.into_iter().filter(|met| met.places > 0 || met.bytes > 0).collect();
        judgement
    }
}

impl Acceptance {
    /// Whether it is for the package of this name.
    pub fn is_for(&self, package: &[u8]) -> bool {
        matches(self.patterns.package.as_ref(), package)
    }

    fn unmet(&self) -> Met {
        let Acceptance { number, path, cause, reason, owner, expires, .. } = self;
        let (path, reason, owner) = (path.clone(), reason.clone(), owner.clone());
        Met { number: *number, cause, path, reason, owner, expires: *expires, places: 0, bytes: 0 }
    }

    fn accepts(&self, package: &[u8], cause: &Entry, site: &Site) -> bool {
        let path: &[u8] = if site.path.is_empty() { b"." } else { &site.path };
        let Patterns { path: paths, member, section, .. } = &self.patterns;
        self.cause == cause
            && self.is_for(package)
            && matches(Some(paths), path)
            && matches(member.as_ref(), &bstr::join("!", &site.inside))
            && matches(section.as_ref(), site.part.as_deref().unwrap_or_default().as_bytes())
    }
}

impl Open {
    fn new(cause: Option<&'static str>, site: &Site) -> Open {
        let Site { path, inside, part, .. } = site.clone();
        Open { cause, path, inside, part }
    }
}

fn matches(pattern: Option<&GlobMatcher>, text: &[u8]) -> bool {
    pattern.is_none_or(|pattern| pattern.is_match(text.to_path_lossy()))
}

#[cfg(test)]
mod tests;
