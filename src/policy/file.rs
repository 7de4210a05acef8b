//! The file in which policies are written: TOML, one `[[policy]]` for each; docs/policies.md has every key.

use std::collections::BTreeMap;

use globset::GlobBuilder;
use serde::Deserialize;

use super::{Action, At, Demand, Globs, Match, Policy, PolicyError, Rule, Value};
use crate::nix::{hash::Algorithm, store_path::StorePath};

/// Most policies of a file, and most rules of a policy.
const MOST: usize = 1024;

/// What a derivation is, rather than what it says: Nix makes its outputs and its way of being built from these.
const RESERVED: [&str; 15] = [
    "__contentAddressed",
    "__impure",
    "__json",
    "__structuredAttrs",
    "args",
    "builder",
    "drvPath",
    "name",
    "outputHash",
    "outputHashAlgo",
    "outputHashMode",
    "outputs",
    "system",
    "type",
    "",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    policy: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    title: String,
    why: String,
    #[serde(default)]
    fix: String,
    #[serde(default = "root")]
    at: String,
    #[serde(default = "yes")]
    default: bool,
    #[serde(default)]
    rule: Vec<RuleOf>,
}

fn root() -> String {
    "root".to_owned()
}

fn yes() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RuleOf {
    #[serde(default, rename = "match")]
    about: MatchOf,
    forbid: Option<String>,
    #[serde(default)]
    set: BTreeMap<String, Value>,
    #[serde(default)]
    default: BTreeMap<String, Value>,
    #[serde(default)]
    set_variable: BTreeMap<String, Value>,
    #[serde(default)]
    default_variable: BTreeMap<String, Value>,
    #[serde(default)]
    unset: Vec<String>,
    #[serde(default)]
    add_words: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    add_variable_words: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    remove_words: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    replace: Vec<ReplaceOf>,
    #[serde(default)]
    disallow_references_to: Vec<String>,
    #[serde(default)]
    drop_input: Vec<String>,
    #[serde(default)]
    swap_input: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct MatchOf {
    #[serde(default)]
    name: Patterns,
    #[serde(default)]
    system: Patterns,
    #[serde(default)]
    builder: Patterns,
    #[serde(default)]
    input: Patterns,
    #[serde(default)]
    attribute: BTreeMap<String, Patterns>,
    fixed_output: Option<bool>,
    #[serde(default)]
    hash: Vec<String>,
}

/// One pattern, or several of which one is to match.
#[derive(Deserialize)]
#[serde(untagged)]
enum Patterns {
    One(String),
    Several(Vec<String>),
}

impl Default for Patterns {
    fn default() -> Self {
        Patterns::Several(Vec::new())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReplaceOf {
    r#in: Patterns,
    from: String,
    to: String,
}

impl Policy {
    /// Reads the policies of a file's text.
    ///
    /// # Errors
    /// What is no such file, and the first thing in it that cannot be meant.
    pub fn parse(text: &str) -> Result<Vec<Policy>, PolicyError> {
        let file: File = toml::from_str(text).map_err(|error| PolicyError::Syntax(error.to_string()))?;
        few("policies", file.policy.len())?;
        let policies = file.policy.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
        for (number, policy) in policies.iter().enumerate() {
            if policies[..number].iter().any(|other| other.name == policy.name) {
                return Err(Reader::of(&policy.name).wrong("`name`", "there is another policy of this name"));
            }
        }
        Ok(policies)
    }
}

fn few(what: &'static str, number: usize) -> Result<(), PolicyError> {
    if number > MOST { Err(PolicyError::TooMany { what, most: MOST }) } else { Ok(()) }
}

fn read(entry: Entry) -> Result<Policy, PolicyError> {
    let Entry { name, title, why, fix, at, default, rule } = entry;
    let reader = Reader::of(&name);
    let word =
        |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if !name.split('-').all(word) {
        return Err(reader.wrong("`name`", "it is to be lower-case words joined by dashes"));
    }
    for (key, text) in [("`title`", &title), ("`why`", &why)] {
        if text.trim().is_empty() {
            return Err(reader.wrong(key, "it says nothing"));
        }
    }
    few("rules", rule.len())?;
    if rule.is_empty() {
        return Err(reader.wrong("`rule`", "it has none"));
    }
    let rules = rule.into_iter().enumerate().map(|(number, rule)| reader.rule(number + 1, rule));
    let rules = rules.collect::<Result<_, _>>()?;
    let at: At = at.parse().map_err(|why: String| reader.wrong("`at`", why))?;
    Ok(Policy { name, title, why, fix, at, default, rules })
}

/// Reads one policy, and knows its name for what is wrong in it.
struct Reader {
    policy: String,
}

impl Reader {
    fn of(policy: &str) -> Reader {
        Reader { policy: policy.escape_default().to_string() }
    }

    fn wrong(&self, place: impl Into<String>, why: impl Into<String>) -> PolicyError {
        PolicyError::Key { policy: self.policy.clone(), place: place.into(), why: why.into() }
    }

    fn rule(&self, number: usize, rule: RuleOf) -> Result<Rule, PolicyError> {
        let place = |key: &str| format!("rule {number}: `{key}`");
        let about = self.about(&place("match"), &rule.about)?;
        let actions = self.actions(&place, &rule)?;
        let demand = match (rule.forbid, actions.is_empty()) {
            (Some(why), true) if !why.trim().is_empty() => Demand::Forbidden(why),
            (Some(_), true) => return Err(self.wrong(place("forbid"), "it does not say why")),
            (Some(_), false) => {
                return Err(
                    self.wrong(place("forbid"), "what is forbidden is not changed: make it two rules")
                );
            }
            (None, true) => return Err(self.wrong(format!("rule {number}"), "it demands nothing")),
            (None, false) => Demand::Changes(actions),
        };
        Ok(Rule { about, demand })
    }

    fn about(&self, place: &str, about: &MatchOf) -> Result<Match, PolicyError> {
        let globs = |patterns: &Patterns| self.globs(place, patterns);
        let attributes = about.attribute.iter().map(|(name, patterns)| Ok((name.clone(), globs(patterns)?)));
        let hash = about.hash.iter().map(|name| {
            Algorithm::parse(name.as_bytes()).map_err(|error| self.wrong(place, error.to_string()))
        });
        Ok(Match {
            name: globs(&about.name)?,
            system: globs(&about.system)?,
            builder: globs(&about.builder)?,
            input: globs(&about.input)?,
            attributes: attributes.collect::<Result<_, PolicyError>>()?,
            fixed_output: about.fixed_output,
            hash: hash.collect::<Result<_, _>>()?,
        })
    }

    /// The changes of a rule, in this order.
    fn actions(&self, place: &impl Fn(&str) -> String, rule: &RuleOf) -> Result<Vec<Action>, PolicyError> {
        let mut actions = Vec::new();
        for (from, to) in &rule.swap_input {
            let key = place("swap-input");
            let from = self.globs(&key, &Patterns::One(from.clone()))?;
            let to: StorePath =
                to.parse().map_err(|error| self.wrong(&key, format!("`{}`: {error}", to.escape_debug())))?;
            if !to.is_derivation() {
                return Err(self.wrong(key, format!("{to} is no derivation")));
            }
            actions.push(Action::SwapInput { from, to });
        }
        for replace in &rule.replace {
            let key = place("replace");
            if replace.from.is_empty() {
                return Err(self.wrong(key, "`from` is empty"));
            }
            let within = self.globs(&key, &replace.r#in)?;
            let ReplaceOf { from, to, .. } = replace;
            actions.push(Action::Replace { within, from: from.clone(), to: to.clone() });
        }
        if !rule.drop_input.is_empty() {
            let globs = self.globs(&place("drop-input"), &Patterns::Several(rule.drop_input.clone()))?;
            actions.push(Action::DropInput(globs));
        }
        for name in &rule.unset {
            self.settable(&place("unset"), name)?;
            actions.push(Action::Unset(name.clone()));
        }
        let values = |key: &str, all: &BTreeMap<String, Value>, action: fn(String, Value) -> Action| {
            let actions = all.iter().map(|(name, value)| {
                self.settable(&place(key), name)?;
                Ok(action(name.clone(), value.clone()))
            });
            actions.collect::<Result<Vec<_>, PolicyError>>()
        };
        actions.extend(values("set", &rule.set, Action::Set)?);
        actions.extend(values("default", &rule.default, Action::Default)?);
        actions.extend(values("set-variable", &rule.set_variable, Action::SetVariable)?);
        actions.extend(values("default-variable", &rule.default_variable, Action::DefaultVariable)?);
        let words =
            |key: &str, all: &BTreeMap<String, Vec<String>>, action: fn(String, Vec<String>) -> Action| {
                let actions = all.iter().map(|(name, words)| {
                    self.settable(&place(key), name)?;
                    match words.iter().find(|word| word.is_empty() || word.contains(char::is_whitespace)) {
                        Some(word) => {
                            Err(self.wrong(place(key), format!("`{}` is no word", word.escape_debug())))
                        }
                        None => Ok(action(name.clone(), words.clone())),
                    }
                });
                actions.collect::<Result<Vec<_>, PolicyError>>()
            };
        actions.extend(words("remove-words", &rule.remove_words, Action::RemoveWords)?);
        actions.extend(words("add-words", &rule.add_words, Action::AddWords)?);
        actions.extend(words("add-variable-words", &rule.add_variable_words, Action::AddVariableWords)?);
        if !rule.disallow_references_to.is_empty() {
            let patterns = Patterns::Several(rule.disallow_references_to.clone());
            actions
                .push(Action::DisallowReferencesTo(self.globs(&place("disallow-references-to"), &patterns)?));
        }
        Ok(actions)
    }

    fn settable(&self, place: &str, name: &str) -> Result<(), PolicyError> {
        match RESERVED.contains(&name) {
            true => {
                Err(self.wrong(place, format!("`{name}` is part of what a derivation is and stays as it is")))
            }
            false => Ok(()),
        }
    }

    fn globs(&self, place: &str, patterns: &Patterns) -> Result<Globs, PolicyError> {
        let all = match patterns {
            Patterns::One(pattern) => std::slice::from_ref(pattern),
            Patterns::Several(all) => all.as_slice(),
        };
        let globs = all.iter().map(|pattern| {
            let glob = GlobBuilder::new(pattern).literal_separator(false).backslash_escape(true).build();
            glob.map(|glob| glob.compile_matcher()).map_err(|error| self.wrong(place, error.to_string()))
        });
        Ok(Globs(globs.collect::<Result<_, _>>()?))
    }
}
