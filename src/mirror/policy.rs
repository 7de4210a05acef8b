//! `mirror.json`: what a mirror admits and who says so. Written once, by `mirror init`; everything that is admitted follows
//! from it.
//!
//! The user writes it in TOML, and leaves out what is usual:
//!
//! ```toml
//! rounds = 3
//! level = 2
//! threshold = 1
//!
//! [systems]
//! riscv64-linux = ["embedded"]
//!
//! [[signer]]
//! name = "alice"
//! keys = ["alice-1:base64..."]
//!
//! [[trusted]]
//! what = "toolchain"
//! why = "Debian's gcc; not built from source yet"
//! ```

use std::{collections::BTreeMap, str::FromStr as _};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    code::{Code, Explanation},
    machine::Engine,
    nix::{
        secret_key::{self, SecretKey},
        signature::PublicKeyError,
    },
    release::{
        signers::{Contributor, Signers, SignersError},
        statement::pre_authentication_encoding,
    },
    verify::Level,
};

/// The schema of the document.
pub const SCHEMA: &str = "reprove.mirror/1";

/// The type that signatures of it name.
pub const KIND: &str = "application/vnd.reprove.mirror+json";

/// Longest document read, in bytes.
pub const MAX_LEN: u64 = 1 << 20;

/// How hard zstd tries. One level and one thread, so that the bytes of an object follow from those of its NAR; higher ones take
/// several times as long for a few per cent.
pub const ZSTD_LEVEL: i32 = 9;

/// What a mirror admits and who says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// [`SCHEMA`].
    #[serde(default = "usual_schema")]
    pub schema: String,
    /// What it is called, where one key signs for several mirrors: without, two of the same policy and key pass for each other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Which of several caches Nix asks first: lower is earlier; Nix's own has 40.
    #[serde(default = "usual_priority")]
    pub priority: u32,
    /// How NARs are compressed.
    #[serde(default)]
    pub compression: Compression,
    /// For each system the kinds of machine that have to agree; the first does the rounds.
    #[serde(default = "usual_systems")]
    pub systems: BTreeMap<String, Vec<String>>,
    /// How many builds of each derivation are compared.
    #[serde(default = "usual_rounds")]
    pub rounds: u32,
    /// The least level of assurance that is admitted (0 built to 4 cross-engine).
    #[serde(default = "usual_level")]
    pub level: u8,
    /// How many signers have to agree.
    #[serde(default = "usual_threshold")]
    pub threshold: usize,
    /// Who signs.
    #[serde(default, rename = "signer")]
    pub signers: Vec<Signer>,
    /// Names of policies that have to hold in what `populate` is asked for, each in the derivations that it looks at.
    #[serde(default)]
    pub policies: Vec<String>,
    /// For how many days a snapshot holds. Where it is said, as many signers as have to agree have to have one that holds, and whoever
    /// changes the mirror makes one; none is asked for where it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot_days: Option<u32>,
    /// What is trusted from outside, and why: read by people.
    #[serde(default)]
    pub trusted: Vec<Trusted>,
}

/// How NARs are compressed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Compression {
    /// The method, by its name in narinfo files.
    pub method: String,
    /// How hard it tries.
    pub level: i32,
}

/// Somebody who signs: one person, whatever keys they have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Signer {
    /// What they are called in reports.
    pub name: String,
    /// Their ed25519 keys, as Nix spells public keys.
    pub keys: Vec<String>,
}

/// Something that is trusted from outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Trusted {
    /// What.
    pub what: String,
    /// Why.
    pub why: String,
}

fn usual_schema() -> String {
    SCHEMA.to_owned()
}

fn usual_priority() -> u32 {
    50
}

fn usual_systems() -> BTreeMap<String, Vec<String>> {
    [("riscv64-linux".to_owned(), vec![Engine::Embedded.name().to_owned()])].into()
}

fn usual_rounds() -> u32 {
    2
}

fn usual_level() -> u8 {
    Level::Varied as u8
}

fn usual_threshold() -> usize {
    1
}

impl Default for Compression {
    fn default() -> Self {
        Compression { method: "zstd".to_owned(), level: ZSTD_LEVEL }
    }
}

/// Why a policy of a mirror is none.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// Not what it has to be.
    #[error("the mirror's policy cannot be read: {why}")]
    Malformed {
        /// What is wrong, and where.
        why: String,
    },
    /// Something that cannot be meant.
    #[error("the mirror's policy cannot be kept: {why}")]
    Impossible {
        /// What.
        why: String,
    },
    /// Signers that are none.
    #[error("the mirror's policy: {0}")]
    Signers(#[from] SignersError),
}

impl PolicyError {
    /// The stable code.
    pub fn code(&self) -> Code {
        Code(match self {
            PolicyError::Malformed { .. } => 1410,
            PolicyError::Impossible { .. } => 1411,
            PolicyError::Signers(error) => return error.code(),
        })
    }
}

/// What `reprove explain` prints for these codes.
pub const EXPLANATIONS: &[Explanation] = &[
    Explanation {
        code: Code(1410),
        title: "the policy of a mirror cannot be read",
        text: "The user's is TOML, the mirror's own is JSON, written by `reprove mirror init` and by nothing else: one that \
               does not read as it was written is not used. docs/mirror.md describes it.",
    },
    Explanation {
        code: Code(1411),
        title: "the policy of a mirror cannot be kept",
        text: "It asks for a level of assurance that its rounds and machines can never show (any needs two builds, by rounds or by \
               machines; level 3 the embedded machine, named first; level 4 two machines), names a machine that there is not or that does not run the system, a system that \
               no machine runs, a policy that this program does not bring, or a compression that it does not write. \
               `reprove mirror init` refuses all of these before anything is made.",
    },
];

impl Policy {
    /// Reads a user's TOML. Without signers the owner of `key` is the only one.
    ///
    /// # Errors
    /// [`PolicyError::Malformed`] for what is no policy, [`PolicyError::Impossible`] for one that nothing can meet or that this program does not
    /// write, and what is wrong with its signers.
    pub fn from_toml(text: &str, key: &SecretKey) -> Result<Self, PolicyError> {
        let read: Result<Policy, _> = toml::from_str(text);
        let mut policy =
            read.map_err(|error| PolicyError::Malformed { why: error.to_string().trim_end().to_owned() })?;
        if policy.signers.is_empty() {
            let public = key.public();
            policy.signers = vec![Signer { name: key.name().to_owned(), keys: vec![format!("{public:?}")] }];
        }
        policy.check()?;
        Ok(policy)
    }

    /// Reads a mirror's document: nothing but the very bytes that [`Policy::to_json`] writes.
    ///
    /// # Errors
    /// As [`Policy::from_toml`], and [`PolicyError::Malformed`] for any other spelling of a policy.
    pub fn from_json(bytes: &[u8]) -> Result<Self, PolicyError> {
        let policy: Policy = serde_json::from_slice(bytes)
            .map_err(|error| PolicyError::Malformed { why: error.to_string() })?;
        if policy.to_json() != bytes {
            let why = "it is not written as `mirror init` writes it".to_owned();
            return Err(PolicyError::Malformed { why });
        }
        policy.check()?;
        Ok(policy)
    }

    /// The document, the same for the same policy.
    pub fn to_json(&self) -> Vec<u8> {
        // Strings, numbers, lists and sorted maps with string keys: writing them to memory does not fail.
        let mut text = serde_json::to_vec_pretty(self).unwrap_or_default();
        text.push(b'\n');
        text
    }

    /// What a signature of the document is over.
    pub fn signed_bytes(document: &[u8]) -> Vec<u8> {
        pre_authentication_encoding(KIND, document)
    }

    /// Who has to agree.
    ///
    /// # Errors
    /// Keys that are none or have a name that a shell would read, a threshold that cannot be meant, and one person who would count as two.
    pub fn signers(&self) -> Result<Signers, PolicyError> {
        let contributor = |signer: &Signer| {
            let wrong =
                |source: PublicKeyError| SignersError::NixKey { contributor: signer.name.clone(), source };
            let nix = signer.keys.iter().map(|key| key.parse().map_err(wrong)).collect::<Result<_, _>>()?;
            Ok(Contributor { name: signer.name.clone(), nix, openpgp: Vec::new() })
        };
        let contributors = self.signers.iter().map(contributor).collect::<Result<Vec<_>, SignersError>>()?;
        let signers = Signers::new(self.threshold, contributors)?;
        // They stand in commands that people copy into a shell.
        if let Some((_, key)) = signers.nix_keys().find(|(_, key)| !secret_key::is_name(key.name())) {
            let why = format!("`{}` is no name for a key", key.name().escape_debug());
            return Err(PolicyError::Impossible { why });
        }
        Ok(signers)
    }

    /// The kinds of machine for a system, the one that does the rounds first; none when nothing of the system is admitted.
    pub fn engines(&self, system: &[u8]) -> Vec<Engine> {
        let names = self.systems.iter().find(|(name, _)| name.as_bytes() == system);
        let names = names.map(|(_, names)| names.as_slice()).unwrap_or_default();
        names.iter().filter_map(|name| Engine::from_str(name).ok()).collect()
    }

    /// Every kind of machine that it names for some system, in the order of the systems.
    pub fn all_engines(&self) -> Vec<Engine> {
        let mut engines = Vec::new();
        for engine in self.systems.keys().flat_map(|system| self.engines(system.as_bytes())) {
            if !engines.contains(&engine) {
                engines.push(engine);
            }
        }
        engines
    }

    /// `nix-cache-info`.
    pub fn cache_info(&self) -> String {
        format!("StoreDir: /nix/store\nWantMassQuery: 1\nPriority: {}\n", self.priority)
    }

    fn check(&self) -> Result<(), PolicyError> {
        let impossible = |why: String| Err(PolicyError::Impossible { why });
        if self.schema != SCHEMA {
            return Err(PolicyError::Malformed {
                why: format!("its schema is `{}`, not {SCHEMA}", self.schema),
            });
        }
        if self.compression != Compression::default() {
            return impossible(format!("this program writes zstd at level {ZSTD_LEVEL} only"));
        }
        self.signers()?;
        if !(1..=64).contains(&self.rounds) || self.level > Level::CrossEngine as u8 {
            return impossible("rounds are from 1 to 64, levels from 0 to 4".to_owned());
        }
        if self.level >= Level::Repeated as u8 && self.level < Level::CrossEngine as u8 && self.rounds < 2 {
            return impossible(format!("one round shows no level {}", self.level));
        }
        if self.snapshot_days == Some(0) {
            return impossible("a snapshot that holds for no day never does".to_owned());
        }
        for (system, engines) in &self.systems {
            let known: Result<Vec<Engine>, _> = engines.iter().map(|name| Engine::from_str(name)).collect();
            let Ok(known) = known else {
                return impossible(format!(
                    "{system} names a kind of machine that there is not: {engines:?}"
                ));
            };
            if known.is_empty() || (self.level == Level::CrossEngine as u8 && known.len() < 2) {
                return impossible(format!("{system} has too few kinds of machine for level {}", self.level));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
pub(in crate::mirror) mod tests {
    use super::*;
    use crate::nix::secret_key;

    /// A key whose secret is `seed`, repeated.
    pub(in crate::mirror) fn key(name: &str, seed: u8) -> SecretKey {
        secret_key::spelled(name, &[seed; 32]).parse().unwrap()
    }

    #[test]
    fn what_is_written_is_what_is_read_and_nothing_else_is() {
        let policy =
            Policy::from_toml("rounds = 3\n[[trusted]]\nwhat = \"x\"\nwhy = \"y\"\n", &key("k-1", 1))
                .unwrap();
        let json = policy.to_json();
        assert_eq!(Policy::from_json(&json).unwrap(), policy);
        assert_eq!((policy.rounds, policy.level, policy.signers[0].name.as_str()), (3, 2, "k-1"));
        let text = String::from_utf8(json.clone()).unwrap();
        for other in [
            text.replace("\"rounds\": 3", "\"rounds\":3"),
            text.replace("  \"rounds\": 3,\n", ""),
            text.replace("\"rounds\": 3", "\"rounds\": 3, \"more\": 1"),
            text.trim_end().to_owned(),
        ] {
            assert_eq!(Policy::from_json(other.as_bytes()).unwrap_err().code().0, 1410, "{other}");
        }
        for at in 0..json.len() {
            let mut changed = json.clone();
            changed[at] ^= 1;
            if let Ok(other) = Policy::from_json(&changed) {
                assert_ne!(other, policy, "byte {at}");
            }
        }
    }

    #[test]
    fn a_policy_that_nothing_can_meet_is_refused() {
        let one = "[[signer]]\nname = \"a\"\nkeys = [\"KEY\"]\n";
        let one = one.replace("KEY", &format!("{:?}", key("a-1", 1).public()));
        let names: String = (0..1001).map(|n| format!("[[signer]]\nname = \"{n}\"\nkeys = []\n")).collect();
        let many = format!("{names}{one}");
        for (text, code) in [
            ("rounds = 1\n".to_owned(), 1411),
            ("rounds = 0\nlevel = 0\n".to_owned(), 1411),
            ("snapshot_days = 0\n".to_owned(), 1411),
            ("level = 5\n".to_owned(), 1411),
            ("level = 4\n".to_owned(), 1411),
            ("[systems]\nriscv64-linux = [\"abacus\"]\n".to_owned(), 1411),
            ("[systems]\nriscv64-linux = []\n".to_owned(), 1411),
            ("compression = { method = \"xz\", level = 9 }\n".to_owned(), 1411),
            ("threshold = 2\n".to_owned(), 1231),
            ("threshold = 0\n".to_owned(), 1231),
            (one.replace("a-1:", "a';true;':"), 1411),
            (many.clone(), 1230),
            (format!("{one}{}", one.replace("\"a\"", "\"b\"")), 1232),
            ("colour = \"red\"\n".to_owned(), 1410),
        ] {
            let error = Policy::from_toml(&text, &key("a-1", 1)).unwrap_err();
            assert_eq!(error.code().0, code, "{text}: {error}");
        }
    }
}
