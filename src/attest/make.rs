//! From what `reprove verify --json` writes, and the records of its runs, to statements.

use serde::Deserialize;

use super::{
    AttestError,
    provenance::{self, Asked, Provenance},
    statement::Statement,
    verdict::{self, MachineRun, Reference, Taken, VerdictPredicate},
};
use crate::{
    build::run_record::RunRecord,
    nix::{hash::NarHash, store_path::StorePath},
    store::Origin,
};

/// Longest document read, in bytes.
pub const MAX_LEN: u64 = 256 << 20;

/// The document, as far as statements need it.
#[derive(Deserialize)]
struct Document {
    schema: String,
    outputs: Vec<Output>,
    inputs: Vec<Input>,
}

#[derive(Deserialize)]
struct Input {
    path: StorePath,
    origin: Origin,
}

#[derive(Deserialize)]
struct Output {
    installable: String,
    drv: StorePath,
    output: String,
    system: Option<String>,
    #[serde(default)]
    policies: Vec<String>,
    path: Option<StorePath>,
    nar_hash: Option<NarHash>,
    verdict: String,
    level: u64,
    level_name: String,
    #[serde(default)]
    outside_contract: bool,
    rounds: Vec<Round>,
    #[serde(default)]
    references: Vec<ReferenceOf>,
    #[serde(default)]
    causes: Vec<Cause>,
}

#[derive(Deserialize)]
struct Round {
    round: String,
    run: Option<String>,
    nar_hash: Option<NarHash>,
}

#[derive(Deserialize)]
struct ReferenceOf {
    reference: String,
    verdict: String,
    nar_hash: Option<NarHash>,
}

#[derive(Deserialize)]
struct Cause {
    id: String,
}

/// Statements about every output of the document that has bits: the provenance of the first build, and the verdict. `record`
/// gives a run's record.
///
/// # Errors
/// A document of another schema, and what `record` says.
pub fn statements(
    document: &[u8],
    record: &dyn Fn(&str) -> Result<RunRecord, AttestError>,
) -> Result<Vec<Statement>, AttestError> {
    const SCHEMA: &str = "reprove.verify/1";
    let malformed = |why: String| AttestError::Malformed { why };
    let read: Document = serde_json::from_slice(document).map_err(|error| malformed(error.to_string()))?;
    if read.schema != SCHEMA {
        return Err(malformed(format!("its schema is `{}`, not {SCHEMA}", read.schema)));
    }
    let taken = read.inputs.into_iter().filter_map(|input| Taken::of(input.path.to_string(), input.origin));
    let taken: Vec<Taken> = taken.collect();
    let mut statements = Vec::new();
    for output in read.outputs {
        let (Some(path), Some(hash)) = (output.path.clone(), output.nar_hash) else { continue };
        let mut rounds = Vec::new();
        let mut first = None;
        for Round { round, run, nar_hash } in output.rounds {
            let Some(run) = run else { continue };
            let record = record(&run)?;
            if first.is_none() && nar_hash == Some(hash) {
                first = Some(record.clone());
            }
            rounds.push(MachineRun::of(round, run, nar_hash.map(|hash| hash.to_string()), record));
        }
        if let Some(record) = first {
            let (derivation, name) = (output.drv.to_string(), output.output.clone());
            let asked = Asked { installable: output.installable, derivation, output: name };
            statements.push(statement(&path, hash, provenance::TYPE, &Provenance::of(asked, &record))?);
        }
        let references = output.references.into_iter().map(|one| Reference {
            reference: one.reference,
            verdict: one.verdict,
            nar_hash: one.nar_hash.map(|hash| hash.to_string()),
        });
        let predicate = VerdictPredicate {
            derivation: output.drv.to_string(),
            output: output.output,
            system: output.system,
            policies: output.policies,
            verdict: output.verdict,
            level: output.level,
            level_name: output.level_name,
            outside_contract: output.outside_contract,
            rounds,
            references: references.collect(),
            causes: output.causes.into_iter().map(|cause| cause.id).collect(),
            taken_on_trust: taken.clone(),
        };
        statements.push(statement(&path, hash, verdict::TYPE, &predicate)?);
    }
    Ok(statements)
}

fn statement(
    path: &StorePath,
    hash: NarHash,
    kind: &str,
    predicate: &impl serde::Serialize,
) -> Result<Statement, AttestError> {
    let value = serde_json::to_value(predicate);
    let value = value.map_err(|error| AttestError::Malformed { why: error.to_string() })?;
    Ok(Statement::new(path, hash, kind, value))
}
