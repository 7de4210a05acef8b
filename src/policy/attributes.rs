//! The attributes of a derivation, wherever it keeps them: in its environment, or as JSON in the variable `__json`.
//!
//! Nix manual, "Advanced attributes" (`__structuredAttrs`); how values become texts: "String conversion" of `derivation`.

use std::{borrow::Cow, collections::BTreeMap};

use bstr::ByteSlice as _;
use serde_json::{Value as Json, value::RawValue};

use crate::nix::derivation::Derivation;

/// The variable that holds structured attributes.
const STRUCTURED: &[u8] = b"__json";

/// A value, as a policy writes it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// `true` is `1` in an environment, `false` is empty.
    Flag(bool),
    /// Decimal in an environment.
    Number(i64),
    /// As it is.
    Text(String),
    /// Joined by spaces in an environment.
    List(Vec<String>),
}

impl Value {
    /// What Nix makes of it for an environment.
    fn text(&self) -> String {
        match self {
            Value::Flag(flag) => if *flag { "1" } else { "" }.to_owned(),
            Value::Number(number) => number.to_string(),
            Value::Text(text) => text.clone(),
            Value::List(words) => words.join(" "),
        }
    }

    fn json(&self) -> Json {
        match self {
            Value::Flag(flag) => (*flag).into(),
            Value::Number(number) => (*number).into(),
            Value::Text(text) => text.as_str().into(),
            Value::List(words) => words.as_slice().into(),
        }
    }
}

/// The environment of a derivation.
type Environment = BTreeMap<Vec<u8>, Vec<u8>>;
/// Members of a JSON object, each as it was written. Nix writes them sorted by name.
type Members = BTreeMap<String, Box<RawValue>>;

/// The attributes of one derivation.
#[derive(Clone, Debug)]
pub(super) struct Attributes<'a> {
    env: Cow<'a, Environment>,
    structured: Option<Structured>,
}

/// Structured attributes. Nixpkgs keeps those that are to be variables one level down, in the member `env`; they are
/// attributes all the same, and what is there stays there.
#[derive(Clone, Debug)]
struct Structured {
    members: Members,
    variables: Option<Members>,
}

/// The member that Nixpkgs keeps variables in.
const VARIABLES: &str = "env";

impl Structured {
    fn read(text: &[u8]) -> Result<Structured, String> {
        let members = members(text)?;
        let variables = members.get(VARIABLES).map(|value| value.get().as_bytes());
        // What is no object is an attribute like any other.
        let variables = variables.filter(|text| text.starts_with(b"{")).map(self::members).transpose()?;
        Ok(Structured { members, variables })
    }

    fn into_text(mut self) -> Option<Vec<u8>> {
        if let Some(variables) = &self.variables {
            let value = serde_json::value::to_raw_value(variables).ok()?;
            self.members.insert(VARIABLES.to_owned(), value);
        }
        serde_json::to_vec(&self.members).ok()
    }

    fn get(&self, name: &str) -> Option<&RawValue> {
        let below = || self.variables.as_ref()?.get(name);
        self.members.get(name).or_else(below).map(|value| &**value)
    }

    /// Where an attribute is, or would be.
    fn place(&mut self, name: &str) -> &mut Members {
        match &mut self.variables {
            Some(variables) if variables.contains_key(name) && !self.members.contains_key(name) => variables,
            _ => &mut self.members,
        }
    }

    /// The variables, where there are any and `name` is, or would be, one of them.
    fn exported(&mut self, name: &str) -> Option<&mut Members> {
        self.variables.as_mut().filter(|_| !self.members.contains_key(name))
    }

    fn names(&self) -> impl Iterator<Item = &String> {
        let below = self.variables.iter().flat_map(BTreeMap::keys);
        let beside = self.members.keys().filter(|name| self.variables.is_none() || *name != VARIABLES);
        beside.chain(below)
    }
}

fn members(text: &[u8]) -> Result<Members, String> {
    let members: Members = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    match serde_json::to_vec(&members) {
        Ok(again) if again == text => Ok(members),
        _ => Err("they are not sorted by name and without spaces, as Nix writes them".to_owned()),
    }
}

impl<'a> Attributes<'a> {
    /// Those of a derivation.
    ///
    /// # Errors
    /// Structured attributes that are not written as Nix writes them: what is changed in them could not be written back.
    pub(super) fn of(derivation: &'a Derivation) -> Result<Attributes<'a>, String> {
        let env = Cow::Borrowed(&derivation.env);
        let Some(text) = derivation.structured_attrs() else {
            return Ok(Attributes { env, structured: None });
        };
        Ok(Attributes { env, structured: Some(Structured::read(text)?) })
    }

    /// The environment of the derivation that has these.
    pub(super) fn into_env(self) -> Environment {
        let mut env = self.env.into_owned();
        // Names and values that were read or made here are always writable.
        if let Some(text) = self.structured.and_then(Structured::into_text) {
            env.insert(STRUCTURED.to_vec(), text);
        }
        env
    }

    /// Every name.
    pub(super) fn names(&self) -> Vec<String> {
        match &self.structured {
            Some(structured) => structured.names().cloned().collect(),
            None => self.env.keys().filter_map(|name| String::from_utf8(name.clone()).ok()).collect(),
        }
    }

    /// Whether they are structured.
    pub(super) fn are_structured(&self) -> bool {
        self.structured.is_some()
    }

    /// The value as it would be in an environment; JSON where it would be in none. Nothing where there is no such attribute.
    pub(super) fn text(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        if !self.are_structured() {
            return self.env.get(name.as_bytes()).map(Cow::from);
        }
        let text = match self.json(name)? {
            Json::String(text) => text,
            Json::Bool(flag) => Value::Flag(flag).text(),
            Json::Null => String::new(),
            Json::Array(items) if items.iter().all(Json::is_string) => {
                items.iter().filter_map(Json::as_str).collect::<Vec<_>>().join(" ")
            }
            other => other.to_string(),
        };
        Some(Cow::Owned(text.into_bytes()))
    }

    /// The value as it is written: what a person is shown.
    pub(super) fn written(&self, name: &str) -> Option<&[u8]> {
        match &self.structured {
            Some(structured) => Some(structured.get(name)?.get().as_bytes()),
            None => self.env.get(name.as_bytes()).map(Vec::as_slice),
        }
    }

    /// A structured attribute.
    pub(super) fn json(&self, name: &str) -> Option<Json> {
        serde_json::from_str(self.structured.as_ref()?.get(name)?.get()).ok()
    }

    /// Sets a structured attribute; nothing where there are none.
    pub(super) fn set_json(&mut self, name: &str, value: &Json) {
        if let Some(structured) = &mut self.structured
            && let Ok(value) = serde_json::value::to_raw_value(value)
        {
            structured.place(name).insert(name.to_owned(), value);
        }
    }

    fn set_variable(&mut self, name: &str, value: Vec<u8>) {
        self.env.to_mut().insert(name.into(), value);
    }

    pub(super) fn set(&mut self, name: &str, value: &Value) {
        if self.are_structured() {
            self.set_json(name, &value.json());
        } else {
            self.set_variable(name, value.text().into_bytes());
        }
    }

    /// Sets a variable that the builder and its programs find. With structured attributes Nixpkgs exports what is in `env`, as
    /// text, and nothing else; a bare derivation has no `env`, and its builder knows what it does.
    pub(super) fn set_exported(&mut self, name: &str, value: &Value) {
        match self.structured.as_mut().and_then(|structured| structured.exported(name)) {
            Some(variables) => {
                if let Ok(text) = serde_json::value::to_raw_value(&value.text()) {
                    variables.insert(name.to_owned(), text);
                }
            }
            None => self.set(name, value),
        }
    }

    /// [`add_words`](Self::add_words) for such a variable.
    pub(super) fn add_exported_words(&mut self, name: &str, words: &[String]) {
        if self.are_structured() && self.written(name).is_none() {
            self.set_exported(name, &Value::List(words.to_vec()));
        } else {
            self.add_words(name, words);
        }
    }

    pub(super) fn remove(&mut self, name: &str) {
        match &mut self.structured {
            Some(structured) => drop(structured.place(name).remove(name)),
            None => drop(self.env.to_mut().remove(name.as_bytes())),
        }
    }

    /// Puts words that are missing at the end of a list, or of a text of words.
    pub(super) fn add_words(&mut self, name: &str, words: &[String]) {
        let text = self.text(name).unwrap_or_default().into_owned();
        let there: Vec<&[u8]> = text.split(u8::is_ascii_whitespace).collect();
        let missing: Vec<&str> =
            words.iter().map(String::as_str).filter(|word| !there.contains(&word.as_bytes())).collect();
        if missing.is_empty() {
            return;
        }
        let appended = |text: &[u8]| {
            let before = Some(text).filter(|text| !text.is_empty());
            before
                .into_iter()
                .chain(missing.iter().map(|word| word.as_bytes()))
                .collect::<Vec<_>>()
                .join(&b' ')
        };
        if !self.are_structured() {
            return self.set_variable(name, appended(&text));
        }
        let value = match self.json(name) {
            Some(Json::String(text)) if !text.is_empty() => {
                String::from_utf8(appended(text.as_bytes())).map(Json::from)
            }
            Some(Json::Array(items)) => {
                Ok(items.into_iter().chain(missing.iter().map(|word| (*word).into())).collect())
            }
            _ => Ok(missing.into()),
        };
        if let Ok(value) = value {
            self.set_json(name, &value);
        }
    }

    /// Takes the words that `gone` says out of a list, or of a text of words. What has none of them stays as it is, to the space.
    pub(super) fn remove_words(&mut self, name: &str, gone: &impl Fn(&[u8]) -> bool) {
        if !self.are_structured() {
            if let Some(rest) = self.env.get(name.as_bytes()).and_then(|value| words_without(value, gone)) {
                self.set_variable(name, rest);
            }
            return;
        }
        let value = match self.json(name) {
            Some(Json::String(text)) => words_without(text.as_bytes(), gone)
                .and_then(|rest| String::from_utf8(rest).ok())
                .map(Json::from),
            Some(Json::Array(items)) => {
                let is_gone = |item: &Json| item.as_str().is_some_and(|word| gone(word.as_bytes()));
                let rest: Vec<Json> = items.iter().filter(|item| !is_gone(item)).cloned().collect();
                (rest.len() < items.len()).then_some(Json::Array(rest))
            }
            _ => None,
        };
        if let Some(value) = value {
            self.set_json(name, &value);
        }
    }

    /// Puts one piece of text in the place of another.
    pub(super) fn replace(&mut self, name: &str, from: &str, to: &str) {
        if !self.are_structured() {
            let value = self.env.get(name.as_bytes()).filter(|value| value.contains_str(from));
            if let Some(value) = value.map(|value| replaced(value, from, to)) {
                self.set_variable(name, value);
            }
            return;
        }
        let Some(mut value) = self.json(name) else { return };
        let before = value.clone();
        replace_in(&mut value, from, to);
        if value != before {
            self.set_json(name, &value);
        }
    }
}

/// `text` with `to` wherever `from` stands.
pub(super) fn replaced(text: &[u8], from: &str, to: &str) -> Vec<u8> {
    text.replace(from, to)
}

/// In every text of a JSON value. How deep values are nested is bounded by who read them.
fn replace_in(value: &mut Json, from: &str, to: &str) {
    match value {
        Json::String(text) => *text = text.replace(from, to),
        Json::Array(items) => items.iter_mut().for_each(|item| replace_in(item, from, to)),
        Json::Object(members) => members.values_mut().for_each(|member| replace_in(member, from, to)),
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}

/// The words of a text that are not gone, joined by spaces; nothing when all are still there.
fn words_without(text: &[u8], gone: &impl Fn(&[u8]) -> bool) -> Option<Vec<u8>> {
    let words = || text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    words().any(gone).then(|| words().filter(|word| !gone(word)).collect::<Vec<_>>().join(&b' '))
}
