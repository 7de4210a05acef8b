//! Store paths in the texts of a derivation, replaced by others (pure).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::nix::{
    derivation::Derivation,
    hash_parts::hash_parts,
    store_path::{HASH_CHARS, StorePath},
};

/// Puts new paths in the place of old ones: in inputs, program, arguments and environment.
///
/// A path is recognised by its base name, or by its hash where the name stays: a text may name it without the store's folder.
pub fn rename(derivation: &mut Derivation, renames: &BTreeMap<&StorePath, &StorePath>) {
    let now = |path: StorePath| renames.get(&path).map_or(path, |new| StorePath::clone(new));
    let mut inputs: BTreeMap<StorePath, BTreeSet<String>> = BTreeMap::new();
    for (input, wanted) in std::mem::take(&mut derivation.input_drvs) {
        inputs.entry(now(input)).or_default().extend(wanted);
    }
    derivation.input_drvs = inputs;
    derivation.input_srcs = std::mem::take(&mut derivation.input_srcs).into_iter().map(now).collect();
    let words = Words::new(renames);
    let texts = std::iter::once(&mut derivation.builder).chain(&mut derivation.args);
    for text in texts.chain(derivation.env.values_mut()) {
        if let Some(renamed) = words.replaced(text) {
            *text = renamed;
        }
    }
}

/// What stands for paths in texts, by the hash that it begins with, the longest first.
struct Words<'a>(HashMap<&'a [u8], Vec<[&'a str; 2]>>);

impl<'a> Words<'a> {
    fn new(renames: &BTreeMap<&'a StorePath, &'a StorePath>) -> Self {
        let mut words: HashMap<&[u8], Vec<[&str; 2]>> = HashMap::new();
        for (old, new) in renames.iter().map(|(old, new)| (*old, *new)) {
            let word = match old.name() == new.name() {
                true => [old.hash_part(), new.hash_part()],
                false => [old.base_name(), new.base_name()],
            };
            words.entry(old.hash_part().as_bytes()).or_default().push(word);
        }
        words.values_mut().for_each(|words| words.sort_by_key(|[old, _]| std::cmp::Reverse(old.len())));
        Words(words)
    }

    /// The text with new words in the place of old ones, if it has any.
    fn replaced(&self, text: &[u8]) -> Option<Vec<u8>> {
        let (mut out, mut done) = (Vec::new(), 0);
        for at in hash_parts(text) {
            let Some(words) = self.0.get(&text[at..at + HASH_CHARS]).filter(|_| at >= done) else { continue };
            if let Some([old, new]) = words.iter().find(|[old, _]| text[at..].starts_with(old.as_bytes())) {
                out.extend_from_slice(&text[done..at]);
                out.extend_from_slice(new.as_bytes());
                done = at + old.len();
            }
        }
        if done == 0 {
            return None;
        }
        out.extend_from_slice(&text[done..]);
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::derivation;
    use super::*;

    #[test]
    fn a_path_is_renamed_with_its_name() {
        let (old, new) = (derivation("one", &[]), derivation("another", &[]));
        let [old, new] = [&old, &new].map(|derivation| derivation.output_path("out").unwrap().clone());
        let mut user = derivation("user", &[]);
        user.env.insert(b"x".to_vec(), format!("{old}/bin:{old}").into());
        user.input_srcs.insert(old.clone());
        rename(&mut user, &BTreeMap::from([(&old, &new)]));
        assert_eq!(user.env_get("x"), Some(format!("{new}/bin:{new}").as_bytes()));
        assert_eq!(user.input_srcs.iter().collect::<Vec<_>>(), [&new]);
    }

    #[test]
    fn a_hash_is_renamed_wherever_it_stands_and_another_name_of_it_is_not() {
        let path = |hash: char, name: &str| -> StorePath {
            format!("/nix/store/{}-{name}", hash.to_string().repeat(HASH_CHARS)).parse().unwrap()
        };
        let renames = [(path('1', "same"), path('2', "same")), (path('3', "old"), path('4', "new"))];
        let renames = renames.iter().map(|(old, new)| (old, new)).collect();
        let replaced = |text: &str| {
            let renamed = Words::new(&renames).replaced(text.as_bytes());
            renamed.map(|text| String::from_utf8(text).unwrap())
        };
        let [one, two, three, four] = ['1', '2', '3', '4'].map(|hash| hash.to_string().repeat(HASH_CHARS));
        for (text, expected) in [
            (one.clone(), Some(two.clone())),
            (format!("zz{one}-other {one}"), Some(format!("zz{two}-other {two}"))),
            (format!("{one}{one}"), Some(format!("{two}{two}"))),
            // A run that is longer: the first place counts, and what it covers is not looked at again.
            (format!("{one}1"), Some(format!("{two}1"))),
            (format!("a/{three}-old/b"), Some(format!("a/{four}-new/b"))),
            (format!("{three}-other {three}"), None),
            (format!("{three}-other {one}-same"), Some(format!("{three}-other {two}-same"))),
            (one[1..].to_owned(), None),
            (String::new(), None),
        ] {
            assert_eq!(replaced(&text), expected, "{text}");
        }
    }
}
