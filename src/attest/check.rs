//! What signed statements say, to whom the keys are known: no network, no store.

use std::collections::BTreeMap;

use super::{
    AttestError,
    envelope::{Envelope, IN_TOTO},
    provenance::{self, Provenance},
    statement::{self, Statement},
    verdict::{self, VerdictPredicate},
};
use crate::nix::{hash::NarHash, signature::PublicKey, store_path::StorePath};

/// Longest file of envelopes, in bytes.
pub const MAX_LEN: u64 = 64 << 20;

/// Statements in one file.
const MAX_STATEMENTS: usize = 100_000;

/// A statement that is signed by somebody who is believed.
#[derive(Debug)]
pub struct Attested {
    /// The store path it is about.
    pub path: StorePath,
    /// The hash of its NAR.
    pub nar_hash: NarHash,
    /// Who signed it: names of keys.
    pub signers: Vec<String>,
    /// What is said.
    pub said: Said,
}

/// What a statement says.
#[derive(Debug)]
pub enum Said {
    /// How it was built.
    Provenance(Box<Provenance>),
    /// What several builds showed.
    Verdict(Box<VerdictPredicate>),
}

/// Reads envelopes, one a line, and what the statements in them say.
///
/// # Errors
/// One that cannot be read, is not signed by any of `keys`, or contradicts another one or itself: then none of the file is
/// believed.
pub fn check(lines: &[u8], keys: &[PublicKey]) -> Result<Vec<Attested>, AttestError> {
    let malformed = |why: String| AttestError::Malformed { why };
    let text = str::from_utf8(lines).map_err(|error| malformed(error.to_string()))?;
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    if lines.is_empty() || lines.len() > MAX_STATEMENTS {
        return Err(malformed("it holds no statement, or more than 100000".to_owned()));
    }
    let mut hashes: BTreeMap<StorePath, NarHash> = BTreeMap::new();
    let mut attested = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let one = open(line, keys).map_err(|error| match error {
            AttestError::Malformed { why } => malformed(format!("line {}: {why}", index + 1)),
            error => error,
        })?;
        if *hashes.entry(one.path.clone()).or_insert(one.nar_hash) != one.nar_hash {
            return Err(AttestError::Contradiction { path: one.path.to_string(), what: "its hash" });
        }
        attested.push(one);
    }
    Ok(attested)
}

fn open(line: &str, keys: &[PublicKey]) -> Result<Attested, AttestError> {
    let Signed { path, nar_hash, signers, predicate_type, predicate } = signed(line, keys)?;
    let said = Said::read(&predicate_type, predicate, &path, nar_hash)?;
    Ok(Attested { path, nar_hash, signers, said })
}

/// A signed statement, whatever it says.
#[derive(Debug)]
pub struct Signed {
    /// The store path it is about.
    pub path: StorePath,
    /// The hash of its NAR.
    pub nar_hash: NarHash,
    /// Who signed it: names of keys.
    pub signers: Vec<String>,
    /// What kind of thing is said.
    pub predicate_type: String,
    /// What is said.
    pub predicate: serde_json::Value,
}

/// Reads one envelope, and the statement in it.
///
/// # Errors
/// One that is no envelope with a statement about the NAR of a store path, or is not signed by any of `keys`.
pub fn signed(line: &str, keys: &[PublicKey]) -> Result<Signed, AttestError> {
    let malformed = |why: &dyn std::fmt::Display| AttestError::Malformed { why: why.to_string() };
    let envelope: Envelope = serde_json::from_str(line).map_err(|error| malformed(&error))?;
    if envelope.payload_type != IN_TOTO {
        return Err(malformed(&format!("its payload is {}, not {IN_TOTO}", envelope.payload_type)));
    }
    let (document, signers) = envelope.open(keys)?;
    let statement: Statement = serde_json::from_slice(&document).map_err(|error| malformed(&error))?;
    if statement.kind != statement::TYPE {
        return Err(malformed(&format!("it is a {}, not a {}", statement.kind, statement::TYPE)));
    }
    let (path, nar_hash) = subject(&statement)?;
    let Statement { predicate_type, predicate, .. } = statement;
    Ok(Signed { path, nar_hash, signers, predicate_type, predicate })
}

impl Said {
    /// What a statement of one of these types says of a path.
    ///
    /// # Errors
    /// A type that is not known, a predicate that is none, and one that contradicts itself.
    pub fn read(
        predicate_type: &str,
        predicate: serde_json::Value,
        path: &StorePath,
        nar_hash: NarHash,
    ) -> Result<Self, AttestError> {
        let malformed = |why: String| AttestError::Malformed { why };
        match predicate_type {
            provenance::TYPE => {
                let said = serde_json::from_value(predicate);
                Ok(Said::Provenance(Box::new(said.map_err(|error| malformed(error.to_string()))?)))
            }
            verdict::TYPE => {
                let said = serde_json::from_value(predicate);
                let verdict: VerdictPredicate = said.map_err(|error| malformed(error.to_string()))?;
                agrees_with_itself(&verdict, path, nar_hash)?;
                Ok(Said::Verdict(Box::new(verdict)))
            }
            other => Err(malformed(format!("what {other} says is not known"))),
        }
    }
}

/// The one NAR that a statement is about.
fn subject(statement: &Statement) -> Result<(StorePath, NarHash), AttestError> {
    let malformed = |why: &str| AttestError::Malformed { why: why.to_owned() };
    let [subject] = statement.subject.as_slice() else { return Err(malformed("it is not about one thing")) };
    let path = subject.annotations.get("storePath").and_then(|path| path.parse::<StorePath>().ok());
    let path = path.ok_or_else(|| malformed("it names no store path"))?;
    let digest =
        subject.digest.get("sha256").and_then(|hex| data_encoding::HEXLOWER.decode(hex.as_bytes()).ok());
    let bytes = digest.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    let bytes = bytes.ok_or_else(|| malformed("its subject has no SHA-256"))?;
    if subject.name != format!("{}.nar", path.base_name()) {
        return Err(malformed("its subject is called otherwise than its store path"));
    }
    Ok((path, NarHash(bytes)))
}

/// A verdict that bits are equal cannot list builds with other bits.
fn agrees_with_itself(
    verdict: &VerdictPredicate,
    path: &StorePath,
    hash: NarHash,
) -> Result<(), AttestError> {
    if verdict.verdict != "reproduced" {
        return Ok(());
    }
    let ours = hash.to_string();
    let hashes = verdict.rounds.iter().map(|round| &round.nar_hash);
    let hashes = hashes.chain(verdict.references.iter().map(|one| &one.nar_hash));
    let witnesses: Vec<&String> = hashes.flatten().collect();
    if witnesses.len() < 2 || witnesses.iter().any(|other| **other != ours) {
        return Err(AttestError::Contradiction {
            path: path.to_string(),
            what: "reproduced, by builds that do not show it",
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        attest::make::statements,
        build::run_record::{RunRecord, StateRoots},
        machine::{End, Settings},
        nix::secret_key::SecretKey,
    };

    const PATH: &str = "/nix/store/00000000000000000000000000000000-a";

    fn key(name: &str, seed: u8) -> SecretKey {
        let key = ed25519_dalek::SigningKey::from_bytes(&[seed; 32]);
        format!("{name}:{}", data_encoding::BASE64.encode(&key.to_keypair_bytes())).parse().unwrap()
    }

    fn record(run: &str) -> Result<RunRecord, AttestError> {
        if run == "gone" {
            return Err(AttestError::NoRun { run: run.to_owned() });
        }
        let hex = "ab".repeat(32);
        Ok(RunRecord {
            schema: crate::build::run_record::SCHEMA.to_owned(),
            run: hex.clone(),
            drv: format!("{PATH}.drv"),
            engine: "embedded 1".to_owned(),
            bundle: hex.clone(),
            settings: Settings::default(),
            input: hex.clone(),
            end: End::PoweredOff,
            instructions: Some(1000),
            state: Some(StateRoots { first: hex.clone(), last: hex.clone(), along: Vec::new() }),
            result: None,
            console: hex,
            console_bytes: 0,
            output_drive: None,
            outputs: Vec::new(),
            error: None,
        })
    }

    /// What `verify --json` writes of one output, as far as it counts here.
    fn document(verdict: &str, hashes: [u8; 2], run: &str) -> Vec<u8> {
        let hash = |byte: u8| NarHash([byte; 32]).to_string();
        let round = |byte: u8| serde_json::json!({"round": "round", "run": run, "nar_hash": hash(byte)});
        let output = serde_json::json!({
            "installable": ".#a", "drv": format!("{PATH}.drv"), "output": "out", "path": PATH, "nar_hash": hash(1),
            "verdict": verdict, "level": 2, "level_name": "varied", "rounds": hashes.map(round),
            "policies": ["dont-strip (root)"],
        });
        let input = |name: &str, origin: serde_json::Value| serde_json::json!({"path": format!("{PATH}-{name}"), "origin": origin});
        let inputs = [
            input("built", serde_json::json!({"kind": "built", "run": "ab".repeat(32)})),
            input("taken", serde_json::json!({"kind": "substituted", "from": "file:///cache"})),
            input("host", serde_json::json!({"kind": "host-store"})),
        ];
        let document =
            serde_json::json!({"schema": "reprove.verify/1", "outputs": [output], "inputs": inputs});
        serde_json::to_vec(&document).unwrap()
    }

    fn signed(document: &[u8], key: &SecretKey) -> String {
        let statements = statements(document, &record).unwrap();
        let line = |statement| {
            let text = serde_json::to_vec(statement).unwrap();
            serde_json::to_string(&Envelope::sign(IN_TOTO, &text, key)).unwrap() + "\n"
        };
        statements.iter().map(line).collect()
    }

    #[test]
    fn what_is_signed_is_what_is_read() {
        let key = key("k-1", 1);
        let lines = signed(&document("reproduced", [1, 1], "run"), &key);
        let attested = check(lines.as_bytes(), &[key.public()]).unwrap();
        let [
            Attested { said: Said::Provenance(how), .. },
            Attested { said: Said::Verdict(what), path, signers, .. },
        ] = attested.as_slice()
        else {
            panic!("{attested:?}")
        };
        assert_eq!((path.to_string(), signers.as_slice()), (PATH.to_owned(), &["k-1".to_owned()][..]));
        assert_eq!(how.run_details.builder.id, "urn:reprove:machine:embedded:1");
        assert_eq!((what.level, what.rounds.len(), what.rounds[0].instructions), (2, 2, Some(1000)));
        assert_eq!(what.policies, ["dont-strip (root)"]);
        let taken: Vec<_> = what
            .taken_on_trust
            .iter()
            .map(|taken| (&taken.path[PATH.len()..], taken.from.as_deref()))
            .collect();
        assert_eq!(taken, [("-taken", Some("file:///cache")), ("-host", None)]);
    }

    #[test]
    fn nobody_else_can_say_it_and_no_byte_can_be_changed() {
        let (ours, other, same_name) = (key("k-1", 1), key("k-2", 2), key("k-1", 2));
        let lines = signed(&document("reproduced", [1, 1], "run"), &ours);
        for keys in [vec![], vec![other.public()], vec![same_name.public()]] {
            assert!(matches!(check(lines.as_bytes(), &keys), Err(AttestError::Untrusted { .. })));
        }
        let line = lines.lines().next().unwrap();
        for at in 0..line.len() {
            let mut changed = line.as_bytes().to_vec();
            changed[at] ^= 1;
            let told = check(&changed, &[ours.public()]);
            assert!(told.is_err(), "byte {at}: {told:?}");
            assert!(check(&line.as_bytes()[..at], &[ours.public()]).is_err(), "{at}");
        }
    }

    #[test]
    fn a_statement_that_contradicts_itself_or_another_is_not_believed() {
        let key = key("k-1", 1);
        let contradicts = |lines: &str| {
            matches!(check(lines.as_bytes(), &[key.public()]), Err(AttestError::Contradiction { .. }))
        };
        assert!(contradicts(&signed(&document("reproduced", [1, 2], "run"), &key)));
        assert!(!contradicts(&signed(&document("diverged", [1, 2], "run"), &key)));
        let ours = signed(&document("reproduced", [1, 1], "run"), &key);
        let path = format!("{}.nar", &PATH[11..]);
        let subject = |byte: &str| serde_json::json!({"name": path, "digest": {"sha256": byte.repeat(32)}, "annotations": {"storePath": PATH}});
        let statement = serde_json::json!({
            "_type": statement::TYPE, "subject": [subject("02")], "predicateType": verdict::TYPE,
            "predicate": {"derivation": "d", "output": "out", "verdict": "diverged", "level": 0, "levelName": "built",
                "outsideContract": false, "rounds": [], "references": [], "causes": [], "policies": [], "takenOnTrust": []},
        });
        let other = Envelope::sign(IN_TOTO, &serde_json::to_vec(&statement).unwrap(), &key);
        assert!(contradicts(&(ours + &serde_json::to_string(&other).unwrap())));
    }

    #[test]
    fn what_is_no_statement_is_refused() {
        let key = key("k-1", 1);
        let envelope = |kind: &str, text: &str| {
            serde_json::to_string(&Envelope::sign(kind, text.as_bytes(), &key)).unwrap()
        };
        for lines in [
            String::new(),
            "{}".to_owned(),
            envelope("text/plain", "{}"),
            envelope(IN_TOTO, "{}"),
            envelope(
                IN_TOTO,
                &format!(
                    "{{\"_type\": \"{}\", \"subject\": [], \"predicateType\": \"x\", \"predicate\": 1}}",
                    statement::TYPE
                ),
            ),
        ] {
            assert!(
                matches!(check(lines.as_bytes(), &[key.public()]), Err(AttestError::Malformed { .. })),
                "{lines}"
            );
        }
        assert!(matches!(
            statements(&document("reproduced", [1, 1], "gone"), &record),
            Err(AttestError::NoRun { .. })
        ));
        assert!(matches!(
            statements(b"{\"schema\": \"x\", \"outputs\": [], \"inputs\": []}", &record),
            Err(AttestError::Malformed { .. })
        ));
    }
}
