//! Two JSON documents, value by value: which of their values differ.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::{Difference, Finding, Pair, Step, Value};

/// Values of one pair of documents that are told; all that differ are counted.
const MAX_TOLD: usize = 512;

/// What two documents differ in: one place for each value, by its path. `derived` says which paths follow from others.
pub(super) fn compare(documents: Pair<&Json>, derived: &dyn Fn(&str) -> bool) -> Vec<Difference> {
    let mut told = Vec::new();
    let mut more = 0;
    let mut todo = vec![(String::new(), documents.map(Some))];
    while let Some((path, pair)) = todo.pop() {
        match (pair.a, pair.b) {
            (a, b) if a == b => {}
            (Some(Json::Object(a)), Some(Json::Object(b))) => {
                let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
                let dot = if path.is_empty() { "" } else { "." };
                let below = names.into_iter().rev();
                todo.extend(
                    below.map(|name| (format!("{path}{dot}{name}"), Pair::new(a.get(name), b.get(name)))),
                );
            }
            (Some(Json::Array(a)), Some(Json::Array(b))) => {
                let below = (0..a.len().max(b.len())).rev();
                todo.extend(
                    below.map(|index| (format!("{path}[{index}]"), Pair::new(a.get(index), b.get(index)))),
                );
            }
            _ if told.len() == MAX_TOLD => more += 1,
            (a, b) => {
                let derived = derived(&path);
                let mut place = Difference::new(Step::Key(path));
                let values = Pair::new(shown(a), shown(b));
                place.found.push(Finding::Field { name: "value", values, at: None, derived });
                told.push(place);
            }
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
        let paths: Vec<&str> = said.iter().map(|text| text.split(' ').nth(1).unwrap()).collect();
        assert_eq!(paths, ["`config.Cmd`", "`config.Env[1]`", "`config.Env[2]`", "`created`"]);
        assert!(said[3].contains("derived: true") && said[0].contains("derived: false"));
        assert!(compare(Pair::new(&a, &a), &|_| false).is_empty());
    }

    #[test]
    fn values_without_end_are_counted() {
        let many = |with: u32| json!((0..10_000).map(|n| n + with).collect::<Vec<u32>>());
        assert_eq!(compare(Pair::new(&many(0), &many(1)), &|_| false).len(), MAX_TOLD + 1);
    }
}
