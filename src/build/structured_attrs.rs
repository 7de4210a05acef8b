//! `__structuredAttrs`: the derivation's attributes as `.attrs.json` and `.attrs.sh`, not in the environment.

use serde_json::{Map, Value};

use super::{
    attributes::{placeholders, rewrite, strings},
    environment::Environment,
    error::ContractError,
    inputs::Inputs,
    json_text,
    references_graph::Graphs,
};
use crate::nix::derivation::Derivation;

/// Adds both files and the variables that name them.
pub fn add(
    environment: &mut Environment,
    derivation: &Derivation,
    attributes: &Map<String, Value>,
    build_dir: &str,
    inputs: &Inputs,
) -> Result<(), ContractError> {
    let mut attributes = attributes.clone();
    let outputs = derivation.outputs.iter().filter_map(|(name, output)| Some((name, output.path()?)));
    let outputs = outputs.map(|(name, path)| (name.clone(), Value::String(path.to_string()))).collect();
    attributes.insert("outputs".to_owned(), Value::Object(outputs));
    if let Some(Value::Object(graphs)) = attributes.get("exportReferencesGraph").cloned() {
        let mut written = Graphs::new(inputs);
        for (name, paths) in graphs {
            let paths = strings("exportReferencesGraph", &paths)?;
            attributes.insert(name, written.json(&paths)?);
        }
    }
    let placeholders = placeholders(derivation);
    let shell = shell_text(&attributes);
    let json = json_text::dump(&Value::Object(attributes));
    for (file, text, variable) in
        [(".attrs.sh", shell, "NIX_ATTRS_SH_FILE"), (".attrs.json", json, "NIX_ATTRS_JSON_FILE")]
    {
        environment.files.insert(file.as_bytes().to_vec(), rewrite(text.as_bytes(), &placeholders));
        environment.set(variable, &format!("{build_dir}/{file}"));
    }
    Ok(())
}

/// The attributes a shell can hold, as declarations for bash.
fn shell_text(attributes: &Map<String, Value>) -> String {
    let mut out = String::new();
    for (name, value) in attributes.iter().filter(|(name, _)| is_variable(name)) {
        let line = match value {
            Value::Array(items) => items
                .iter()
                .map(|item| simple(item).map(|text| text + " "))
                .collect::<Option<String>>()
                .map(|items| format!("declare -a {name}=({items})\n")),
            Value::Object(items) => items
                .iter()
                .map(|(key, item)| simple(item).map(|text| format!("[{}]={text} ", quoted(key))))
                .collect::<Option<String>>()
                .map(|items| format!("declare -A {name}=({items})\n")),
            value => simple(value).map(|text| format!("declare {name}={text}\n")),
        };
        out.extend(line);
    }
    out
}

/// What a shell variable holds for a value that is no list and no object; `None` for a number with a fraction.
fn simple(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(quoted(text)),
        Value::Null => Some("''".to_owned()),
        Value::Bool(true) => Some("1".to_owned()),
        Value::Bool(false) => Some(String::new()),
        Value::Number(number) => {
            // Nix asks a 32-bit float whether it is whole, then prints a 32-bit integer.
            let float = number.as_f64()? as f32;
            let whole = float.ceil() == float;
            let integer = match (number.as_i64(), number.as_u64()) {
                (Some(n), _) => n as i32,
                (None, Some(n)) => n as i32,
                // What x86-64 makes of a float out of range.
                (None, None) => match number.as_f64()?.trunc() {
                    n if (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&n) => n as i32,
                    _ => i32::MIN,
                },
            };
            whole.then(|| integer.to_string())
        }
        Value::Array(_) | Value::Object(_) => None,
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// `[A-Za-z_][A-Za-z0-9_]*`
fn is_variable(name: &str) -> bool {
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    first && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
