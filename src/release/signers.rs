//! `signers.toml`: who has to agree.
//!
//! ```toml
//! threshold = 2
//!
//! [[contributor]]
//! name = "alice"
//! nix = ["alice-1:base64..."]
//! openpgp = ["keys/alice.asc"]      # files beside this one, or the armoured text itself
//! ```
//!
//! One person is one contributor, whatever keys they have, and counts once.

use std::{collections::BTreeMap, io};

use serde::Deserialize;

use super::{manifest, openpgp};
use crate::{
    code::{Code, Explanation},
    nix::signature::{PublicKey, PublicKeyError},
};

/// Longest `signers.toml` in bytes.
pub const MAX_LEN: u64 = 1 << 20;

/// Contributors and keys; real projects have some ten.
const MAX_KEYS: usize = 1000;

/// Who has to agree.
pub struct Signers {
    /// How many of them.
    pub threshold: usize,
    /// Who counts.
    pub contributors: Vec<Contributor>,
}

/// One person.
pub struct Contributor {
    /// What they are called in reports.
    pub name: String,
    /// Their ed25519 keys.
    pub nix: Vec<PublicKey>,
    /// Their OpenPGP certificates.
    pub openpgp: Vec<openpgp::Certificate>,
}

/// Why there are no signers.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignersError {
    /// The file or a key in a file could not be read.
    #[error("{file}: {source}")]
    Read {
        /// The file, as it is named.
        file: String,
        /// The operating system's answer.
        source: io::Error,
    },
    /// Not what it has to be.
    #[error("signers cannot be read: {why}")]
    Malformed {
        /// What is wrong, and where.
        why: String,
    },
    /// A threshold nobody meets, or everybody.
    #[error(
        "the threshold is {threshold}, of {contributors} contributors: it has to be from 1 to as many as there are"
    )]
    Threshold {
        /// As written.
        threshold: usize,
        /// How many there are.
        contributors: usize,
    },
    /// One thing that is there for two.
    #[error("{what} is there twice, for {first} and for {second}: one person would count as two")]
    Twice {
        /// A name or a key.
        what: String,
        /// Who had it first.
        first: String,
        /// Who has it again.
        second: String,
    },
    /// An ed25519 key that is none.
    #[error("a key of {contributor}: {source}")]
    NixKey {
        /// Whose.
        contributor: String,
        /// What is wrong with it.
        source: PublicKeyError,
    },
    /// An OpenPGP certificate that is none.
    #[error("a key of {contributor}, {place}: {source}")]
    OpenPgpKey {
        /// Whose.
        contributor: String,
        /// The file, or `in the text`.
        place: String,
        /// What is wrong with it.
        source: openpgp::CertificateError,
    },
}

impl SignersError {
    /// The stable code.
    pub fn code(&self) -> Code {
        Code(match self {
            SignersError::Read { .. } | SignersError::Malformed { .. } => 1230,
            SignersError::Threshold { .. } => 1231,
            SignersError::Twice { .. } => 1232,
            SignersError::NixKey { .. } | SignersError::OpenPgpKey { .. } => 1233,
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    threshold: usize,
    #[serde(default)]
    contributor: Vec<ContributorText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ContributorText {
    name: String,
    #[serde(default)]
    nix: Vec<String>,
    #[serde(default)]
    openpgp: Vec<String>,
}

/// That there are not more than anybody can look after.
fn check_number(contributors: usize, keys: usize) -> Result<(), SignersError> {
    if contributors.max(keys) > MAX_KEYS {
        return Err(SignersError::Malformed { why: format!("more than {MAX_KEYS} contributors or keys") });
    }
    Ok(())
}

impl Signers {
    /// Reads `text`; `read` gives the files of keys that it names.
    pub fn parse(text: &str, read: &dyn Fn(&str) -> io::Result<Vec<u8>>) -> Result<Self, SignersError> {
        let malformed = |why: String| SignersError::Malformed { why };
        let Text { threshold, contributor } =
            toml::from_str(text).map_err(|error| malformed(error.to_string().trim_end().to_owned()))?;
        // Before any file is read.
        check_number(
            contributor.len(),
            contributor.iter().map(|one| one.nix.len() + one.openpgp.len()).sum(),
        )?;
        let contributors =
            contributor.into_iter().map(|one| one.read(read)).collect::<Result<Vec<_>, _>>()?;
        Signers::new(threshold, contributors)
    }

    /// Contributors, of whom `threshold` have to agree.
    ///
    /// # Errors
    /// A threshold that cannot be meant, one person who would count as two, and more keys than anybody can look after.
    pub fn new(threshold: usize, contributors: Vec<Contributor>) -> Result<Self, SignersError> {
        check_number(
            contributors.len(),
            contributors.iter().map(|one| one.nix.len() + one.openpgp.len()).sum(),
        )?;
        if threshold == 0 || threshold > contributors.len() {
            return Err(SignersError::Threshold { threshold, contributors: contributors.len() });
        }
        let signers = Signers { threshold, contributors };
        signers.check_that_nobody_is_two()?;
        Ok(signers)
    }

    /// The names of those who made one of `signatures` of `message`, each once, whatever keys they signed with; spelled as Nix
    /// spells them, `<key name>:<base-64>`. One that does not count takes nothing from the others.
    pub fn who_signed(&self, message: &[u8], signatures: &[String]) -> Vec<&str> {
        let signed = |one: &&Contributor| {
            one.nix.iter().any(|key| signatures.iter().any(|sig| key.has_signed_message(message, sig)))
        };
        self.contributors.iter().filter(signed).map(|one| one.name.as_str()).collect()
    }

    /// Every ed25519 key, and whose it is.
    pub fn nix_keys(&self) -> impl Iterator<Item = (&str, &PublicKey)> + Clone {
        self.contributors.iter().flat_map(|one| one.nix.iter().map(|key| (one.name.as_str(), key)))
    }

    /// Whether an ed25519 key is of one of them.
    pub fn has_nix_key(&self, key: &PublicKey) -> bool {
        self.nix_keys().any(|(_, own)| own == key)
    }

    fn check_that_nobody_is_two(&self) -> Result<(), SignersError> {
        let mut seen = BTreeMap::new();
        for contributor in &self.contributors {
            let name = std::iter::once(format!("the name {}", contributor.name));
            // The name of a key says who is to be asked: two keys of one name would make that a guess.
            let nix = contributor.nix.iter().flat_map(|key| {
                let bytes = data_encoding::BASE64.encode(key.bytes());
                [format!("the key {bytes}"), format!("a key named {}", key.name())]
            });
            let openpgp = contributor.openpgp.iter().flat_map(openpgp::Certificate::fingerprints);
            for what in name.chain(nix).chain(openpgp.map(|key| format!("the key {key}"))) {
                if let Some(first) = seen.insert(what.clone(), &contributor.name) {
                    let (first, second) = (first.clone(), contributor.name.clone());
                    return Err(SignersError::Twice { what, first, second });
                }
            }
        }
        Ok(())
    }
}

impl ContributorText {
    fn read(self, read: &dyn Fn(&str) -> io::Result<Vec<u8>>) -> Result<Contributor, SignersError> {
        let ContributorText { name, nix, openpgp } = self;
        manifest::check_name(&name).map_err(|error| SignersError::Malformed { why: error.to_string() })?;
        if nix.is_empty() && openpgp.is_empty() {
            return Err(SignersError::Malformed { why: format!("{name} has no key") });
        }
        let nix = nix.iter().map(|key| {
            key.parse().map_err(|source| SignersError::NixKey { contributor: name.clone(), source })
        });
        let nix = nix.collect::<Result<Vec<PublicKey>, _>>()?;
        let mut certificates = Vec::new();
        for key in &openpgp {
            let (place, bytes) = if key.trim_start().starts_with("-----BEGIN") {
                ("in the text", key.trim_start().as_bytes().to_vec())
            } else {
                let bytes = read(key);
                (key.as_str(), bytes.map_err(|source| SignersError::Read { file: key.clone(), source })?)
            };
            let read = openpgp::read(&bytes).map_err(|source| SignersError::OpenPgpKey {
                contributor: name.clone(),
                place: place.to_owned(),
                source,
            })?;
            certificates.extend(read);
        }
        Ok(Contributor { name, nix, openpgp: certificates })
    }
}

/// What `reprove explain` prints for these codes.
pub const EXPLANATIONS: &[Explanation] = &[
    Explanation {
        code: Code(1230),
        title: "signers.toml cannot be read",
        text: "It has `threshold`, and for each [[contributor]] a `name` and lists of keys, `nix` and `openpgp`; nothing else. \
               docs/release.md has an example.",
    },
    Explanation {
        code: Code(1231),
        title: "a threshold that cannot be meant",
        text: "Nobody would have to agree, or more people than there are.",
    },
    Explanation {
        code: Code(1232),
        title: "one name or key for two contributors",
        text: "One person would count as two. Put all keys of one person under one [[contributor]]; a subkey of somebody \
               else's certificate counts as theirs.",
    },
    Explanation {
        code: Code(1233),
        title: "a key in signers.toml cannot be used",
        text: "Keys of `nix` are spelled NAME:BASE64, as `nix key convert-secret-to-public` prints them; keys of `openpgp` are \
               files as `gpg --export` writes them, armoured or not, or the armoured text itself.",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    fn nix(name: &str, seed: u8) -> String {
        let key = ed25519_dalek::SigningKey::from_bytes(&[seed; 32]).verifying_key();
        format!("{name}:{}", data_encoding::BASE64.encode(key.as_bytes()))
    }

    fn parse(text: &str) -> Result<Signers, SignersError> {
        Signers::parse(text, &|_| Err(io::ErrorKind::NotFound.into()))
    }

    fn two(threshold: &str, first: &str, second: &str) -> String {
        format!(
            "threshold = {threshold}\n[[contributor]]\nname = \"alice\"\nnix = [\"{first}\"]\n\
             [[contributor]]\nname = \"bob\"\nnix = [\"{second}\"]\n"
        )
    }

    #[test]
    fn who_is_named_is_who_counts() {
        let signers = parse(&two("2", &nix("a-1", 1), &nix("b-1", 2))).unwrap();
        let names: Vec<&str> = signers.contributors.iter().map(|one| one.name.as_str()).collect();
        assert_eq!((signers.threshold, names), (2, vec!["alice", "bob"]));
    }

    #[test]
    fn thresholds_are_from_one_to_as_many_as_there_are() {
        for (threshold, code) in [("0", 1231), ("3", 1231), ("-1", 1230), ("\"2\"", 1230), ("2.0", 1230)] {
            let error = parse(&two(threshold, &nix("a-1", 1), &nix("b-1", 2))).err().unwrap();
            assert_eq!(error.code().0, code, "{threshold}: {error}");
        }
        assert_eq!(parse("threshold = 1").err().unwrap().code().0, 1231);
    }

    #[test]
    fn nobody_is_two_people() {
        let one = two("1", &nix("a-1", 1), &nix("b-1", 2));
        for twice in [
            two("1", &nix("a-1", 1), &nix("b-1", 1)),
            two("1", &nix("a-1", 1), &nix("a-1", 2)),
            one.replace("bob", "alice"),
        ] {
            assert_eq!(parse(&twice).err().unwrap().code().0, 1232, "{twice}");
        }
    }

    #[test]
    fn what_is_no_list_of_signers_is_refused() {
        let good = two("1", &nix("a-1", 1), &nix("b-1", 2));
        for (text, code) in [
            (good.replace("nix =", "keys ="), 1230),
            (good.replace("bob", "bo\\u202Eb"), 1230),
            (good.replace("bob", ""), 1230),
            (format!("{good}nix = []\n"), 1230),
            (format!("{good}openpgp = [\"nowhere.asc\"]\n"), 1230),
            (format!("{good}openpgp = [\"-----BEGIN PGP PUBLIC KEY BLOCK-----\"]\n"), 1233),
            (good.replace("b-1:", "b-1"), 1233),
            ("threshold = 1\n[[contributor]]\nname = \"alice\"\n".to_owned(), 1230),
            ("threshold".to_owned(), 1230),
        ] {
            let error = parse(&text).err().unwrap();
            assert_eq!(error.code().0, code, "{error}: {text}");
        }
    }
}
