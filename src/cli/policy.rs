//! `reprove policy`: which policies a closure violates, and the closure in which they hold.

use std::{io::Write as _, path::PathBuf, time::Duration};

use anstyle::Style;
use clap::{Args, Subcommand};

use super::{
    Context, Exit, Failure,
    document::{JsonTo, Shown},
    evaluation::{Closure, Installables},
    nix_import::Import,
    policies::{PoliciesFrom, shipped, unknown},
};
use crate::{
    graph::{Graph, differences},
    policy::{PolicyError, Rewritten, SHIPPED},
    report::{self, diff::Detail},
    schedule::StoreDir,
    store::Origin,
};

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();

/// How long giving derivations to `nix` may take.
const IMPORT_LIMIT: Duration = Duration::from_secs(600);

/// Which derivations violate a policy, and the derivations that do not.
#[derive(Debug, Args)]
pub struct Policy {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    List(List),
    Show(Show),
    Check(Check),
    Diff(Diff),
    Apply(Apply),
}

/// List the policies there are.
#[derive(Debug, Args)]
struct List {}

/// Print a policy as it is written, to write your own after it.
#[derive(Debug, Args)]
struct Show {
    /// Its name
    name: String,
}

/// Say which derivations violate which policy, where in the closure, and what to do: reads derivations and builds nothing.
#[derive(Debug, Args)]
struct Check {
    #[command(flatten)]
    installables: Installables,
    #[command(flatten)]
    shown: Shown,
    #[command(flatten)]
    json: JsonTo,
    #[command(flatten)]
    policies: PoliciesFrom,
}

/// Show what making policies hold changes.
#[derive(Debug, Args)]
struct Diff {
    #[command(flatten)]
    installables: Installables,
    #[command(flatten)]
    policies: PoliciesFrom,
}

/// Write the derivations in which policies hold into a store, and print their paths.
///
/// Everything that needs a changed derivation gets another path as well, the same that Nix's evaluation of the changed
/// expressions gives. `nix` takes them into a store of our own, from which `build` and `verify` read them.
#[derive(Debug, Args)]
struct Apply {
    #[command(flatten)]
    installables: Installables,
    /// Copy them into the Nix store below DIR as well
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    #[command(flatten)]
    policies: PoliciesFrom,
}

impl Policy {
    /// Runs the verb.
    pub fn run(&self, context: &Context) -> Result<Exit, Failure> {
        match &self.verb {
            Verb::List(list) => list.run(),
            Verb::Show(show) => show.run(),
            Verb::Check(check) => check.run(context),
            Verb::Diff(diff) => diff.run(context),
            Verb::Apply(apply) => apply.run(context),
        }
    }
}

fn print(text: &[u8]) -> Result<(), Failure> {
    anstream::stdout().write_all(text).map_err(|error| Failure::io("standard output", &error))
}

impl List {
    fn run(&self) -> Result<Exit, Failure> {
        let mut text = String::new();
        let width = SHIPPED.iter().map(|shipped| shipped.name.len()).max().unwrap_or_default();
        for policy in shipped()? {
            let kind = if policy.rewrites() { "" } else { ", only checked" };
            let asked = if policy.default { "" } else { ", when it is named" };
            text += &format!(
                "{BOLD}{:width$}{BOLD:#}  {}  {DIM}{}{kind}{asked}{DIM:#}\n",
                policy.name,
                policy.title,
                policy.at.words()
            );
        }
        print(text.as_bytes())?;
        Ok(Exit::Success)
    }
}

impl Show {
    fn run(&self) -> Result<Exit, Failure> {
        let found = SHIPPED.iter().find(|shipped| shipped.name == self.name);
        print(found.ok_or_else(|| unknown(&self.name))?.text.as_bytes())?;
        Ok(Exit::Success)
    }
}

impl Check {
    fn run(&self, context: &Context) -> Result<Exit, Failure> {
        let json = self.json.open()?;
        let policies = self.policies.open_or_default()?;
        let closure = self.installables.evaluate_with(context, &policies.replacements())?;
        let checked = policies.check(&closure)?;
        json.write(&report::policy::document(&closure.graph, &checked))?;
        if !json.is_stdout() {
            let mut text = Vec::new();
            let full = self.shown.detail() == Detail::Full;
            report::policy::write(&mut text, &closure.graph, &checked, full)
                .map_err(|error| Failure::io("standard output", &error))?;
            print(&text)?;
        }
        let violated = checked.iter().any(|checked| !checked.violations.is_empty());
        Ok(if violated { Exit::Policy } else { Exit::Success })
    }
}

/// The closure of the installables, and the one in which the policies hold.
fn rewritten(
    context: &Context,
    installables: &Installables,
    policies: &PoliciesFrom,
) -> Result<(Closure, Rewritten), Failure> {
    let policies = policies.open()?;
    if policies.is_empty() {
        return Err(Failure::usage("no policy is named")
            .hint("name one with `--policy NAME`; `reprove policy list` lists them"));
    }
    let closure = installables.evaluate_with(context, &policies.replacements())?;
    let rewritten = policies.rewrite(&closure)?;
    Ok((closure, rewritten))
}

impl Diff {
    fn run(&self, context: &Context) -> Result<Exit, Failure> {
        let (closure, rewritten) = rewritten(context, &self.installables, &self.policies)?;
        let mut text = Vec::new();
        for asked in &closure.asked {
            let pair = [asked.drv.clone(), rewritten.now(&asked.drv).clone()];
            let both = [&rewritten.graph, &closure.graph];
            let union = Graph::joined(&pair, &both).map_err(PolicyError::Graph)?;
            let [a, b] = [0, 1].map(|side| union.index_of(&pair[side]).unwrap_or_default());
            report::drv_diff::write(&mut text, &differences(&union, a, b), &union, a, b)
                .map_err(|error| Failure::io("standard output", &error))?;
        }
        print(&text)?;
        Ok(Exit::Success)
    }
}

impl Apply {
    fn run(&self, context: &Context) -> Result<Exit, Failure> {
        let store = context.store()?;
        let (closure, rewritten) = rewritten(context, &self.installables, &self.policies)?;
        let mut text = Vec::new();
        report::policy::write_edits(&mut text, &rewritten.edits, rewritten.paths.len())
            .map_err(|error| Failure::io("standard error", &error))?;
        context.progress.line(String::from_utf8_lossy(&text).trim_end());
        let native = closure.evaluator.native()?;
        let evaluated =
            StoreDir::new(closure.folder.path(), Origin::Source { place: "evaluation".to_owned() });
        let import = Import { native: &native, store: &store, evaluated: &evaluated, limit: IMPORT_LIMIT };
        for asked in &closure.asked {
            let now = rewritten.now(&asked.drv);
            import.derivations(&rewritten.graph, now)?;
            if let Some(folder) = &self.store {
                native.copy_derivations(now, folder, IMPORT_LIMIT)?;
            }
        }
        for asked in &closure.asked {
            print(format!("{}\n", rewritten.now(&asked.drv)).as_bytes())?;
        }
        Ok(Exit::Success)
    }
}
