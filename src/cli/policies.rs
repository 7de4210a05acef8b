//! Policies on a command line, and a closure in which they hold.

use std::path::PathBuf;

use clap::Args;

use super::{Context, Exit, Failure, evaluation::Closure, read};
use crate::{
    nix::store_path::StorePath,
    policy::{self, At, Checked, Policy, PolicyError, Rewritten},
};

/// Longest file of policies that is read, in bytes.
const LONGEST: u64 = 4 << 20;

/// Which policies, and which derivations they look at.
#[derive(Debug, Args)]
#[command(next_help_heading = "Policies")]
pub struct PoliciesFrom {
    /// A policy, one of `reprove policy list` or of --policy-file; of several each sees what the ones before it changed
    #[arg(long = "policy", value_name = "NAME")]
    names: Vec<String>,
    /// Read policies from FILE; without --policy all of them are meant
    #[arg(long = "policy-file", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Look at what was asked for (`root`), at everything it needs as well (`all`), or at derivations whose name matches
    /// (`/REGEX/`) [default: what each policy says]
    #[arg(long, value_name = "WHICH")]
    at: Option<At>,
}

/// Policies that were chosen.
#[derive(Debug, Default)]
pub struct Policies {
    chosen: Vec<(Policy, At)>,
}

impl PoliciesFrom {
    /// Reads them. None when none were named.
    pub fn open(&self) -> Result<Policies, Failure> {
        let own = self.own()?;
        let chosen = match &self.names[..] {
            [] => own,
            names => names.iter().map(|name| find(&own, name)).collect::<Result<_, _>>()?,
        };
        Ok(self.at(chosen))
    }

    /// Reads them; those that are checked as a matter of course when none were named.
    pub fn open_or_default(&self) -> Result<Policies, Failure> {
        let policies = self.open()?;
        if !policies.is_empty() {
            return Ok(policies);
        }
        Ok(self.at(shipped()?.iter().filter(|policy| policy.default).cloned().collect()))
    }

    fn at(&self, policies: Vec<Policy>) -> Policies {
        let at = |policy: &Policy| self.at.clone().unwrap_or_else(|| policy.at.clone());
        let chosen = policies.into_iter().map(|policy| {
            let at = at(&policy);
            (policy, at)
        });
        Policies { chosen: chosen.collect() }
    }

    fn own(&self) -> Result<Vec<Policy>, Failure> {
        let mut own: Vec<Policy> = Vec::new();
        for path in &self.files {
            let text = read::text(path, LONGEST)?;
            let read = Policy::parse(&text).map_err(|error| Failure::from(error).about(path.display()))?;
            if let Some(twice) = read.iter().find(|policy| own.iter().any(|other| other.name == policy.name))
            {
                let message =
                    format!("{}: another file has a policy `{}` already", path.display(), twice.name);
                return Err(Failure::usage(message));
            }
            own.extend(read);
        }
        Ok(own)
    }
}

/// The policies of the program.
pub fn shipped() -> Result<&'static [Policy], Failure> {
    policy::shipped().map_err(|error| Failure::new(error.code(), error, Exit::Internal))
}

/// A policy by name: of the user's first.
fn find(own: &[Policy], name: &str) -> Result<Policy, Failure> {
    let found = own.iter().chain(shipped()?).find(|policy| policy.name == name);
    found.cloned().ok_or_else(|| unknown(name))
}

/// There is no policy of this name.
pub fn unknown(name: &str) -> Failure {
    Failure::usage(format!("there is no policy `{}`", name.escape_debug()))
        .hint("`reprove policy list` lists those there are; your own come with `--policy-file FILE`")
}

impl From<PolicyError> for Failure {
    fn from(error: PolicyError) -> Self {
        Failure::new(error.code(), &error, Exit::Usage)
    }
}

impl Policies {
    /// Whether none were chosen.
    pub fn is_empty(&self) -> bool {
        self.chosen.is_empty()
    }

    /// Derivations that have to be loaded besides what was asked for.
    pub fn replacements(&self) -> Vec<StorePath> {
        self.chosen.iter().flat_map(|(policy, _)| policy.replacements().cloned()).collect()
    }

    /// Looks for violations of each.
    pub fn check(&self, closure: &Closure) -> Result<Vec<Checked<'_>>, Failure> {
        let asked = closure.drvs();
        let check = |(policy, at)| Ok(policy::check(&closure.graph, &asked, policy, at)?);
        self.chosen.iter().map(|(policy, at)| (policy, at)).map(check).collect()
    }

    /// The closure in which they hold.
    pub fn rewrite(&self, closure: &Closure) -> Result<Rewritten, Failure> {
        let policies: Vec<(&Policy, &At)> = self.chosen.iter().map(|(policy, at)| (policy, at)).collect();
        Ok(policy::rewrite(&closure.graph, &closure.drvs(), &policies)?)
    }

    /// Their names, each with what it looked at, for who reads a verdict.
    fn names(&self) -> Vec<String> {
        self.chosen.iter().map(|(policy, at)| format!("{} ({at})", policy.name)).collect()
    }

    /// Makes them hold in `closure`, and refuses what they forbid.
    pub fn hold_in(&self, context: &Context, closure: Closure) -> Result<Closure, Failure> {
        if self.is_empty() {
            return Ok(closure);
        }
        let Rewritten { graph, paths, edits } = self.rewrite(&closure)?;
        let mut closure = Closure { graph, policies: self.names(), ..closure };
        for asked in &mut closure.asked {
            if let Some(now) = paths.get(&asked.drv) {
                asked.drv = now.clone();
            }
        }
        for checked in self.check(&closure)? {
            if let Some(violation) = checked.violations.first() {
                let name = closure.graph.nodes()[violation.index].name();
                let message = format!("{name} violates the policy `{}`", checked.policy.name);
                let mut failure = Failure::new(policy::VIOLATED, &Violated(message), Exit::Policy);
                failure.notes.extend(violation.forbidden.iter().cloned());
                return Err(failure.hint("`reprove policy check` lists every violation"));
            }
        }
        for (policy, _) in self.chosen.iter().filter(|(policy, _)| policy.rewrites()) {
            if !edits.iter().any(|edit| edit.policies.contains(&policy.name)) {
                context.progress.line(&format!("the policy {} changes nothing here", policy.name));
            }
        }
        Ok(closure)
    }
}

/// A closure that is not built because of what is in it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Violated(String);
