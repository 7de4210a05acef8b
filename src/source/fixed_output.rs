//! What is known beforehand about a fixed-output derivation.

use crate::nix::derivation::Derivation;
use crate::nix::hash::Hash;
use crate::nix::make_path::{Method, fixed_output_path};
use crate::nix::store_path::StorePath;

/// URLs of one derivation that we look at; nixpkgs lists a dozen mirrors at most.
const MAX_URLS: usize = 256;

/// An input whose contents are named by their hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixedOutput {
    /// The derivation.
    pub drv: StorePath,
    /// Its output.
    pub path: StorePath,
    /// What the hash is taken over.
    pub method: Method,
    /// The hash its contents must have.
    pub hash: Hash,
    /// Where its author says it can be had: `url`, `urls`, in this order; whatever was written there.
    pub urls: Vec<String>,
    /// Whether a URL gives a NAR instead of a file (`unpack` of `builtin:fetchurl`).
    pub unpack: bool,
    /// Whether it needs nothing but the `nix` program itself (`builtin:fetchurl`): no inputs to build first.
    pub is_builtin: bool,
}

impl FixedOutput {
    /// Reads it from a derivation; `None` when that is not fixed-output.
    pub fn of(drv: &StorePath, derivation: &Derivation) -> Option<Self> {
        let (method, hash) = derivation.fixed_output()?;
        let path = derivation.output_path("out")?.clone();
        let attributes = Attributes::of(derivation);
        let mut urls: Vec<String> = attributes.words("url");
        for url in attributes.words("urls") {
            if !urls.contains(&url) {
                urls.push(url);
            }
        }
        urls.truncate(MAX_URLS);
        Some(FixedOutput {
            drv: drv.clone(),
            path,
            method,
            hash: hash.clone(),
            urls,
            unpack: attributes.words("unpack") == ["1"],
            is_builtin: derivation.builtin() == Some(b"fetchurl") && derivation.references().next().is_none(),
        })
    }

    /// The path that name, method and hash make; another one in the derivation is a lie.
    pub fn computed_path(&self) -> Option<StorePath> {
        fixed_output_path(self.path.name(), self.method, &self.hash).ok()
    }

    /// What a file of it is likely called by those who have it.
    pub fn likely_file_name(&self) -> &str {
        let url = self.urls.first().map_or("", String::as_str);
        let url = url.split(['?', '#']).next().unwrap_or_default();
        let last = url.rsplit('/').next().unwrap_or_default();
        if last.is_empty() || url.starts_with("apt:") && last.contains('=') { self.path.name() } else { last }
    }
}

/// A derivation's attributes, in the environment or in the JSON of `__structuredAttrs`.
struct Attributes<'a> {
    derivation: &'a Derivation,
    structured: Option<serde_json::Map<String, serde_json::Value>>,
}

impl<'a> Attributes<'a> {
    fn of(derivation: &'a Derivation) -> Self {
        let structured = derivation.structured_attrs().and_then(|json| serde_json::from_slice(json).ok());
        Attributes { derivation, structured }
    }

    /// A list, or a text split at white space as Nix makes one of a list. Empty when there is none.
    fn words(&self, name: &str) -> Vec<String> {
        let split = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        match self.structured.as_ref().and_then(|attributes| attributes.get(name)) {
            Some(serde_json::Value::String(text)) => split(text),
            Some(serde_json::Value::Bool(true)) => vec!["1".to_owned()],
            Some(serde_json::Value::Array(list)) => {
                list.iter().filter_map(|value| value.as_str()).map(str::to_owned).collect()
            }
            Some(_) => Vec::new(),
            None => self
                .derivation
                .env_get(name)
                .map(String::from_utf8_lossy)
                .map(|t| split(&t))
                .unwrap_or_default(),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::nix::derivation::Output;

    /// A fixed-output derivation for tests.
    pub(crate) fn derivation(name: &str, method: Method, hash: &Hash, env: &[(&str, &str)]) -> FixedOutput {
        let path = fixed_output_path(name, method, hash).unwrap();
        let output = Output::Fixed { path: path.clone(), method, hash: hash.clone() };
        let derivation = Derivation {
            outputs: [("out".to_owned(), output)].into(),
            input_drvs: Default::default(),
            input_srcs: Default::default(),
            system: b"builtin".to_vec(),
            builder: b"builtin:fetchurl".to_vec(),
            args: Vec::new(),
            env: env
                .iter()
                .map(|(key, value)| (key.as_bytes().to_vec(), value.as_bytes().to_vec()))
                .collect(),
        };
        let drv = StorePath::from_base_name(format!("{}-{name}.drv", "0".repeat(32)).as_bytes()).unwrap();
        FixedOutput::of(&drv, &derivation).unwrap()
    }

    #[test]
    fn urls_come_from_wherever_they_are_written() {
        let hash = Hash::of(crate::nix::hash::Algorithm::Sha256, b"");
        let fixed =
            derivation("x", Method::Flat, &hash, &[("url", "http://a/1"), ("urls", "http://b/2 http://a/1")]);
        assert_eq!(fixed.urls, ["http://a/1", "http://b/2"]);
        assert!(!fixed.unpack && fixed.is_builtin);
        assert_eq!(fixed.computed_path().as_ref(), Some(&fixed.path));
        let json = r#"{"urls":["http://c/x y"],"unpack":true}"#;
        let fixed = derivation("x", Method::Recursive, &hash, &[("__json", json)]);
        assert_eq!(fixed.urls, ["http://c/x y"]);
        assert!(fixed.unpack);
    }

    #[test]
    fn the_likely_file_name_is_the_urls_last_part() {
        let hash = Hash::of(crate::nix::hash::Algorithm::Sha256, b"");
        let name = |url| derivation("x", Method::Flat, &hash, &[("url", url)]).likely_file_name().to_owned();
        assert_eq!(name("http://a/hello-2.10.tar.gz?raw=1"), "hello-2.10.tar.gz");
        assert_eq!(name("apt:sid/source/hello=2.10-3/hello_2.10.orig.tar.gz"), "hello_2.10.orig.tar.gz");
        assert_eq!(name("apt:sid/amd64/hello=2.10-3"), "x");
        assert_eq!(name(""), "x");
    }
}
