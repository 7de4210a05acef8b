//! Two JSON documents, value by value: which of their values differ.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::{Difference, Finding, Pair, Step, Value};

/// Values of one pair of documents that are told; all that differ are counted.
const MAX_TOLD: usize = 512;

/// Characters of one name in a path.
const MAX_NAME: usize = 200;

/// Two objects or two arrays that differ, and how far they were gone through.
struct Level<'a> {
    pair: Pair<&'a Json>,
    /// All names of both objects; none for arrays.
    names: Vec<&'a String>,
    len: usize,
    next: usize,
}

impl<'a> Level<'a> {
    /// Of two values of one kind that has parts.
    fn of(pair: Pair<&'a Json>) -> Option<Self> {
        let (names, len) = match (pair.a, pair.b) {
            (Json::Object(a), Json::Object(b)) => {
                let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
                let names: Vec<&String> = names.into_iter().collect();
                let len = names.len();
                (names, len)
            }
            (Json::Array(a), Json::Array(b)) => (Vec::new(), a.len().max(b.len())),
            _ => return None,
        };
        Some(Level { pair, names, len, next: 0 })
    }

    fn part(&self, index: usize) -> Pair<Option<&'a Json>> {
        self.pair.map(|value| match self.names.get(index) {
            Some(name) => value.get(name.as_str()),
            None => value.get(index),
        })
    }
}

/// The path to the part that each level is at.
fn path(levels: &[Level<'_>]) -> String {
    let mut path = String::new();
    for level in levels {
        let index = level.next - 1;
        match level.names.get(index) {
            Some(name) => {
                path.push_str(if path.is_empty() { "" } else { "." });
                path.extend(name.chars().take(MAX_NAME));
            }
            None => path.push_str(&format!("[{index}]")),
        }
    }
    path
}

/// What two documents differ in: one place for each value, by its path. `derived` says which paths follow from others.
pub(super) fn compare(documents: Pair<&Json>, derived: &dyn Fn(&str) -> bool) -> Vec<Difference> {
    let mut told = Vec::new();
    let mut more = 0;
    let mut tell = |path: String, pair: Pair<Option<&Json>>| {
        if told.len() == MAX_TOLD {
            more += 1;
            return;
        }
        let derived = derived(&path);
        let mut place = Difference::new(Step::Key(path));
        let values = Pair::new(shown(pair.a), shown(pair.b));
        place.found.push(Finding::Field { name: "value", values, at: None, derived });
        told.push(place);
    };
    let mut levels: Vec<Level<'_>> = Level::of(documents).into_iter().collect();
    if levels.is_empty() && documents.a != documents.b {
        tell(String::new(), documents.map(Some));
    }
    while let Some(level) = levels.last_mut() {
        if level.next == level.len {
            levels.pop();
            continue;
        }
        level.next += 1;
        let part = level.part(level.next - 1);
        match part {
            Pair { a, b } if a == b => {}
            Pair { a: Some(a), b: Some(b) } => match Level::of(Pair::new(a, b)) {
                Some(below) => levels.push(below),
                None => tell(path(&levels), part),
            },
            _ => tell(path(&levels), part),
        }
    }
    if more > 0 {
        let mut place = Difference::new(Step::Key("(further values)".to_owned()));
        let values = Pair::new(Value::Decimal(more), Value::Decimal(more));
        place.found.push(Finding::Field { name: "how many differ", values, at: None, derived: false });
        told.push(place);
    }
    told
}

/// A value as it is written; strings without their quotes.
fn shown(value: Option<&Json>) -> Value {
    Value::Text(value.map(|value| match value {
        Json::String(text) => text.clone().into_bytes(),
        other => other.to_string().into_bytes(),
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_value_by_its_path() {
        let a =
            json!({"created": "2020", "config": {"Env": ["A=1", "B=2"], "Cmd": null}, "same": [1, {"x": 2}]});
        let b = json!({"same": [1, {"x": 2}], "config": {"Env": ["A=1", "B=3", "C"], "Cmd": ["sh"]}, "created": "2021"});
        let places = compare(Pair::new(&a, &b), &|path| path == "created");
        let said: Vec<String> =
            places.iter().map(|place| format!("{} {:?}", place.at, place.found)).collect();
        let paths: Vec<&str> = said.iter().map(|text| text.split(' ').next().unwrap()).collect();
        assert_eq!(paths, ["`config.Cmd`", "`config.Env[1]`", "`config.Env[2]`", "`created`"]);
        assert!(said[3].contains("derived: true") && said[0].contains("derived: false"));
        assert!(compare(Pair::new(&a, &a), &|_| false).is_empty());
    }

    #[test]
    fn values_without_end_are_counted() {
        let many = |with: u32| json!((0..10_000).map(|n| n + with).collect::<Vec<u32>>());
        assert_eq!(compare(Pair::new(&many(0), &many(1)), &|_| false).len(), MAX_TOLD + 1);
    }

    #[test]
    fn a_long_name_over_many_values_takes_no_memory_for_each() {
        let name = "n".repeat(1 << 20);
        let many = |with: u32| json!({ name.clone(): (0..100_000).map(|n| n + with).collect::<Vec<u32>>() });
        let told = compare(Pair::new(&many(0), &many(1)), &|_| false);
        assert!(told.iter().all(|place| place.at.to_string().len() < 300));
    }
}
