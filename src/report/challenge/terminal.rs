//! A challenge for a person.

use std::io::{self, Write};

use super::{
    subjects::{equivocates, says},
    word,
};
use crate::{
    mirror::challenge::{Challenge, PathResult, Verdict},
    report::{
        diff::{self, Detail},
        escape::escape,
    },
};

/// Writes what was found of each path, and how much of everything.
pub fn write(out: &mut dyn Write, challenge: &Challenge, detail: Detail) -> io::Result<()> {
    for result in &challenge.paths {
        path(out, challenge, result, detail)?;
    }
    for failed in &challenge.unlisted {
        writeln!(out, "{:<12} [{}] {}", "unlisted", failed.code, escape(&failed.why))?;
    }
    let count = |verdict| challenge.paths.iter().filter(|result| result.verdict == verdict).count();
    writeln!(
        out,
        "{} paths in {} caches: {} agree, {} diverged, {} not checked",
        challenge.paths.len(),
        challenge.caches.len(),
        count(Verdict::Agree),
        count(Verdict::Diverged),
        count(Verdict::NotChecked)
    )
}

fn path(out: &mut dyn Write, challenge: &Challenge, result: &PathResult, detail: Detail) -> io::Result<()> {
    let name = |cache: usize| challenge.caches.get(cache).map_or("", String::as_str);
    write!(out, "{:<12} {}", word(result.verdict), result.path)?;
    if let Some(reason) = &result.reason {
        write!(out, "  {}", escape(reason))?;
    }
    writeln!(out)?;
    if result.verdict == Verdict::Agree && detail == Detail::Short {
        return Ok(());
    }
    for group in &result.groups {
        writeln!(out, "  {}", group.nar_hash)?;
        for said in &group.said {
            writeln!(out, "    {}: {}", escape(name(said.cache)), escape(&says(said)))?;
        }
    }
    for cache in &result.lacking {
        writeln!(out, "  {} does not have it", escape(name(*cache)))?;
    }
    for (cache, failed) in &result.failed {
        writeln!(out, "  {} [{}] {}", escape(name(*cache)), failed.code, escape(&failed.why))?;
    }
    for one in &result.equivocations {
        writeln!(out, "  {} {}; --json has the signatures", escape(one.key.name()), equivocates(one))?;
    }
    for one in &result.divergences {
        writeln!(out, "  the first against {}, {}:", one.other, escape(&one.against))?;
        diff::write_differences(out, &one.comparison, &one.causes, detail)?;
    }
    Ok(())
}
