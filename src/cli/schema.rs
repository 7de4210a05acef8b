//! `reprove schema`: the JSON Schemas of what `--json` writes.

use std::io::Write as _;

use clap::Args;

use super::{Context, Exit, Failure, build, drv, machine, mirror, plan, release};
use crate::{attest, mirror as room, report};

/// Print the JSON Schema of a document that `--json` writes.
#[derive(Debug, Args)]
pub struct Schema {
    /// The document: its verb, as in `verify`; none lists them
    name: Option<String>,
}

/// A document: the verb that writes it, and its schema.
type Document = (&'static str, fn() -> schemars::Schema);

/// Every document, by name.
const DOCUMENTS: &[Document] = &[
    ("attest-envelope", report::schema::of::<attest::envelope::Envelope>),
    ("attest-provenance", report::schema::of::<attest::provenance::Provenance>),
    ("attest-statement", report::schema::of::<attest::statement::Statement>),
    ("attest-verdict", report::schema::of::<attest::verdict::VerdictPredicate>),
    ("build", build::schema),
    ("diagnose", report::diagnosis::schema),
    ("diff", report::diff::schema),
    ("drv-check", drv::schema),
    ("drv-diff", report::drv_diff::schema),
    ("machine-run", machine::run_schema),
    ("manifest", release::manifest::schema),
    ("mirror", report::schema::of::<room::policy::Policy>),
    ("mirror-admitted", report::schema::of::<room::memory::Admitted>),
    ("mirror-admission", report::schema::of::<room::statement::Admission>),
    ("mirror-challenge", report::challenge::schema),
    ("mirror-conflict", report::schema::of::<room::conflict::Conflict>),
    ("mirror-cosign", mirror::cosign::schema),
    ("mirror-gc", mirror::gc::schema),
    ("mirror-populate", mirror::populate::schema),
    ("mirror-reading", report::schema::of::<room::reading::Reading>),
    ("mirror-refusal", report::schema::of::<room::admission::Refusal>),
    ("mirror-removal", report::schema::of::<room::memory::Removal>),
    ("mirror-seed", report::schema::of::<room::seeds::Seed>),
    ("mirror-snapshot", mirror::snapshot::schema),
    ("mirror-snapshot-object", report::schema::of::<room::snapshot::Snapshot>),
    ("mirror-verify", mirror::verify::schema),
    ("objection", release::sign::objection_schema),
    ("plan", plan::schema),
    ("policy-check", report::policy::schema),
    ("release-archive", release::archive::schema),
    ("release-reproduce", release::reproduce::schema),
    ("release-verify", report::release::schema),
    ("verify", report::verify::schema),
];

impl Schema {
    /// Prints the schema, or the list.
    pub fn run(&self, _context: &Context) -> Result<Exit, Failure> {
        let mut out = anstream::stdout().lock();
        let written = match &self.name {
            None => DOCUMENTS.iter().try_for_each(|(name, _)| writeln!(out, "{name}")),
            Some(asked) => {
                let Some((_, schema)) = DOCUMENTS.iter().find(|(name, _)| name == asked) else {
                    let message = format!("there is no document `{asked}`; `reprove schema` lists them");
                    return Err(Failure::usage(message));
                };
                let text = serde_json::to_string_pretty(&schema())
                    .map_err(|error| Failure::io("the schema", &error.into()))?;
                writeln!(out, "{text}")
            }
        };
        written.map_err(|error| Failure::io("standard output", &error))?;
        Ok(Exit::Success)
    }
}
