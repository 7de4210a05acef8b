//! Policies: named rules over derivations, each with a check and, where it makes sense, a rewrite (pure).
//!
//! A rule says which derivations it is about and what is to hold of them: attributes that have a value, words that a list has,
//! inputs that are not there. A derivation *violates* a rule when making it hold would change the derivation, or when the rule
//! forbids what it matches. So check and rewrite are one thing: [`check`] tells the changes, [`rewrite`] makes them and writes
//! everything that needs the changed derivations anew ([`Graph::repath`]).
//!
//! Policies of the program and of its users are the same TOML ([`Policy::parse`]); those of the program are in `shipped/`.
//!
//! [`Graph::repath`]: crate::graph::Graph::repath

mod attributes;
mod change;
mod check;
mod error;
mod file;
mod matching;
mod rewrite;
mod shipped;
#[cfg(test)]
mod tests;

pub use attributes::Value;
pub use check::{Checked, Violation, check};
pub use error::{EXPLANATIONS, PolicyError, VIOLATED};
pub use rewrite::{Edit, Rewritten, rewrite};
pub use shipped::{SHIPPED, Shipped, shipped};

use std::{collections::BTreeMap, fmt, str::FromStr};

use globset::GlobMatcher;
use regex_lite::Regex;

use crate::nix::{hash::Algorithm, store_path::StorePath};

/// A named rule, or several under one name.
#[derive(Clone, Debug)]
pub struct Policy {
    /// What it is called: lower-case words joined by dashes.
    pub name: String,
    /// What it demands, in one line.
    pub title: String,
    /// Why.
    pub why: String,
    /// What to write in Nix so that it holds.
    pub fix: String,
    /// Which derivations of a closure it looks at unless told otherwise.
    pub at: At,
    /// Whether it is among those that are checked when none is named.
    pub default: bool,
    /// What it demands.
    pub rules: Vec<Rule>,
}

impl Policy {
    /// Whether it can change a derivation, or only say what is wrong.
    pub fn rewrites(&self) -> bool {
        self.rules.iter().any(|rule| matches!(rule.demand, Demand::Changes(_)))
    }

    /// The derivations that it puts in the place of others: they have to be in the closure that is rewritten.
    pub fn replacements(&self) -> impl Iterator<Item = &StorePath> {
        let actions = self.rules.iter().flat_map(|rule| match &rule.demand {
            Demand::Changes(actions) => actions.as_slice(),
            Demand::Forbidden(_) => &[],
        });
        actions.filter_map(|action| match action {
            Action::SwapInput { to, .. } => Some(to),
            _ => None,
        })
    }
}

/// Which derivations of a closure a policy looks at.
#[derive(Clone, Debug)]
pub enum At {
    /// What was asked for.
    Root,
    /// Every one.
    All,
    /// Those whose name, without hash and `.drv`, matches.
    Name(Regex),
}

impl FromStr for At {
    type Err = String;

    fn from_str(text: &str) -> Result<At, String> {
        match (text, text.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'))) {
            ("root", _) => Ok(At::Root),
            ("all", _) => Ok(At::All),
            (_, Some(pattern)) if !pattern.is_empty() => {
                Regex::new(pattern).map(At::Name).map_err(|error| format!("no regular expression: {error}"))
            }
            _ => Err("neither `root`, nor `all`, nor a regular expression between slashes".to_owned()),
        }
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            At::Root => f.write_str("root"),
            At::All => f.write_str("all"),
            At::Name(pattern) => write!(f, "/{pattern}/"),
        }
    }
}

impl At {
    /// Which derivations these are, in words.
    pub fn words(&self) -> String {
        match self {
            At::Root => "what was asked for".to_owned(),
            At::All => "the whole closure".to_owned(),
            At::Name(pattern) => format!("what is called /{pattern}/"),
        }
    }
}

/// What is demanded of the derivations that match.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Which they are.
    about: Match,
    /// What.
    demand: Demand,
}

/// What a [`Rule`] demands.
#[derive(Clone, Debug)]
enum Demand {
    /// That these change nothing.
    Changes(Vec<Action>),
    /// That there is no such derivation; why.
    Forbidden(String),
}

/// Which derivations a rule is about: those for which everything that is given holds.
#[derive(Clone, Debug, Default)]
struct Match {
    /// Its name, without hash and `.drv`.
    name: Globs,
    system: Globs,
    builder: Globs,
    /// The name of one of its direct inputs.
    input: Globs,
    /// Attributes that are there, with what their texts match.
    attributes: BTreeMap<String, Globs>,
    /// Whether its contents are known beforehand by their hash.
    fixed_output: Option<bool>,
    /// The algorithm of that hash.
    hash: Vec<Algorithm>,
}

/// Patterns of which one is to match; none at all means anything.
#[derive(Clone, Debug, Default)]
struct Globs(Vec<GlobMatcher>);

/// One change to a derivation. Making it twice is making it once.
#[derive(Clone, Debug)]
enum Action {
    /// The attribute has this value.
    Set(String, Value),
    /// The variable that the builder and its programs find has this value.
    SetVariable(String, Value),
    /// The same where it would be missing or empty.
    DefaultVariable(String, Value),
    /// The attribute has this value where it would be missing or empty.
    Default(String, Value),
    /// There is no such attribute.
    Unset(String),
    /// A list, or a text of words, has these words; those that are missing go to its end.
    AddWords(String, Vec<String>),
    /// The same for a variable of words.
    AddVariableWords(String, Vec<String>),
    /// It does not have these.
    RemoveWords(String, Vec<String>),
    /// A piece of text is another, in the attributes that match; `args` and `builder` count as such.
    Replace { within: Globs, from: String, to: String },
    /// The outputs of direct inputs that match must not be referred to by what is built.
    DisallowReferencesTo(Globs),
    /// No direct input matches.
    DropInput(Globs),
    /// This derivation stands in the place of direct inputs that match.
    SwapInput { from: Globs, to: StorePath },
}

impl Action {
    /// The one attribute that it is about, which an output's path must not be.
    fn attribute(&self) -> Option<&str> {
        match self {
            Action::Set(name, _)
            | Action::SetVariable(name, _)
            | Action::DefaultVariable(name, _)
            | Action::Default(name, _)
            | Action::Unset(name)
            | Action::AddWords(name, _)
            | Action::AddVariableWords(name, _)
            | Action::RemoveWords(name, _) => Some(name),
            Action::Replace { .. }
            | Action::DisallowReferencesTo(_)
            | Action::DropInput(_)
            | Action::SwapInput { .. } => None,
        }
    }
}
