//! JSON documents against JSON Schemas, by Python's `jsonschema` (Debian's python3-jsonschema).

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;

/// Reads a schema's path from its arguments and a document from standard input. In documents of ours a member that no schema
/// names is an error too: a schema that forgets one would never be found out.
const CHECK: &str = r#"
import json, sys
import jsonschema
schema = json.load(open(sys.argv[1]))
def close(part):
    if isinstance(part, dict):
        if "properties" in part and "additionalProperties" not in part:
            part.setdefault("unevaluatedProperties", False)
        for inner in part.values():
            close(inner)
    elif isinstance(part, list):
        for inner in part:
            close(inner)
if sys.argv[2] == "closed":
    close(schema)
checker = jsonschema.validators.validator_for(schema)
checker.check_schema(schema)
for error in checker(schema).iter_errors(json.load(sys.stdin)):
    print("/".join(map(str, error.absolute_path)), error.message[:400])
"#;

/// What is wrong with a document of ours, by the schema of its verb in `docs/schemas`.
pub fn check(name: &str, document: &Value) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schemas");
    assert_eq!(faults(&folder.join(format!("{name}.json")), "closed", document), "", "{name}");
}

/// What is wrong with a document, a line each; `closed` as [`CHECK`] says, or `open`.
pub fn faults(schema: &Path, members: &str, document: &Value) -> String {
    let mut python = Command::new("/usr/bin/python3")
        .args(["-c", CHECK])
        .args([schema.as_os_str(), members.as_ref()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("Debian's python3 is there: scripts/install-deps --tests");
    let mut input = python.stdin.take().expect("it is piped");
    input.write_all(document.to_string().as_bytes()).expect("it reads");
    drop(input);
    let output = python.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "jsonschema (scripts/install-deps --tests installs it): {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
