//! A manifest against what a rebuild gave: which lines came out the same, which did not, and why.

use std::io;

use super::{
    digest::{Digest, Hashing, Sha256},
    manifest::Artefact,
    objection::{Objected, Objection},
};
use crate::{
    diagnose::{Cause, diagnose},
    diff::{Comparison, Content, DiffError, Entry, Limits, Tree, compare_files},
};

/// An output that was rebuilt.
pub struct Rebuilt {
    /// Its store path, for people.
    pub place: String,
    /// What is in it.
    pub tree: Box<dyn Tree>,
}

/// One line of a manifest, and what became of it.
pub struct Line {
    /// The artefact.
    pub artefact: Artefact,
    /// What came out.
    pub outcome: Outcome,
}

/// What a rebuild says of an artefact.
pub enum Outcome {
    /// The same bytes.
    Same {
        /// Where they are.
        place: String,
    },
    /// Other bytes.
    Differs {
        /// Where they are.
        place: String,
        /// What they are.
        rebuilt: Sha256,
        /// In what they differ.
        why: Why,
    },
    /// No output has a file of that name.
    Absent,
    /// Nothing can be said, and why.
    NotChecked(String),
}

/// Why bytes differ.
pub enum Why {
    /// The published file was there to compare with.
    Compared {
        /// Where they differ.
        comparison: Box<Comparison>,
        /// What that comes from.
        causes: Vec<Cause>,
    },
    /// It was not.
    Unknown(String),
}

/// Gives a published file by its name, if it is there.
pub type Published<'a> = dyn Fn(&str) -> io::Result<Option<Box<dyn Content>>> + 'a;

/// A file of an output.
struct Candidate<'a> {
    rebuilt: &'a Rebuilt,
    path: &'a [u8],
    digest: Digest,
}

/// Looks for `artefact` among what was rebuilt; `published` gives the file as it was published, for the why.
///
/// # Errors
/// What could not be read or compared is an outcome, no error.
pub fn compare(artefact: &Artefact, rebuilt: &[Rebuilt], published: &Published<'_>) -> Outcome {
    let candidates = match candidates(artefact, rebuilt) {
        Ok(candidates) => candidates,
        Err(error) => return Outcome::NotChecked(error.to_string()),
    };
    let Some(first) = candidates.first() else { return Outcome::Absent };
    if let Some(other) = candidates.iter().find(|other| other.digest != first.digest) {
        let (a, b) = (first.place(), other.place());
        return Outcome::NotChecked(format!("two files have this name, and differ: {a} and {b}"));
    }
    let place = first.place();
    if first.digest.sha256 == artefact.sha256 {
        return Outcome::Same { place };
    }
    let why = why(artefact, first, published).unwrap_or_else(Why::Unknown);
    Outcome::Differs { place, rebuilt: first.digest.sha256, why }
}

impl Candidate<'_> {
    fn place(&self) -> String {
        // A single file is its own root.
        let path = String::from_utf8_lossy(self.path);
        if path.is_empty() { self.rebuilt.place.clone() } else { format!("{}/{path}", self.rebuilt.place) }
    }
}

/// The files of that name. An output that is a file has the name of its store path, without the hash.
fn candidates<'a>(artefact: &Artefact, rebuilt: &'a [Rebuilt]) -> io::Result<Vec<Candidate<'a>>> {
    let mut found = Vec::new();
    for output in rebuilt {
        for (path, entry) in output.tree.entries() {
            let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
            let own =
                output.place.rsplit('/').next().and_then(|base| base.split_once('-')).map(|(_, name)| name);
            let named =
                if path.is_empty() { own == Some(&artefact.file) } else { name == artefact.file.as_bytes() };
            if named && matches!(entry, Entry::Regular { .. }) {
                let digest = digest(&*output.tree.open(path)?)?;
                found.push(Candidate { rebuilt: output, path, digest });
            }
        }
    }
    Ok(found)
}

/// Compares with the published file, or says why that cannot be done.
fn why(artefact: &Artefact, ours: &Candidate<'_>, published: &Published<'_>) -> Result<Why, String> {
    let failed = |error: io::Error| format!("the published file cannot be read: {error}");
    let theirs = published(&artefact.file).map_err(failed)?;
    let theirs = theirs.ok_or("the published file is not beside the manifest")?;
    if digest(&*theirs).map_err(failed)?.sha256 != artefact.sha256 {
        return Err("the file beside the manifest is not the published one".to_owned());
    }
    let opened = ours.rebuilt.tree.open(ours.path).map_err(|error| format!("{}: {error}", ours.place()))?;
    let comparison = compare_files(&*theirs, &*opened, &Limits::default());
    let comparison = comparison.map_err(|error: DiffError| error.to_string())?;
    let causes = diagnose(&comparison, &[]);
    Ok(Why::Compared { comparison: Box::new(comparison), causes })
}

fn digest(content: &dyn Content) -> io::Result<Digest> {
    let mut hashing = Hashing::new(io::sink());
    let mut buffer = vec![0; 1 << 16];
    let mut offset = 0;
    while offset < content.len() {
        let want = (content.len() - offset).min(buffer.len() as u64) as usize;
        content.read_exact_at(offset, &mut buffer[..want])?;
        io::Write::write_all(&mut hashing, &buffer[..want])?;
        offset += want as u64;
    }
    Ok(hashing.finish().1)
}

/// The objection to the manifest of digest `manifest`, if anything came out otherwise.
pub fn objection(manifest: Sha256, lines: &[Line]) -> Option<Objection> {
    let objected = lines.iter().filter_map(|line| {
        let Outcome::Differs { rebuilt, why, .. } = &line.outcome else { return None };
        let causes = match why {
            Why::Compared { causes, .. } => causes.iter().map(|cause| cause.entry.id.to_owned()).collect(),
            Why::Unknown(_) => Vec::new(),
        };
        let (file, published) = (line.artefact.file.clone(), line.artefact.sha256);
        Some(Objected { file, published, rebuilt: *rebuilt, causes })
    });
    let artefacts: Vec<Objected> = objected.collect();
    if artefacts.is_empty() { None } else { Some(Objection::new(manifest, artefacts)) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    struct Files(BTreeMap<Vec<u8>, Entry>, BTreeMap<Vec<u8>, Vec<u8>>);

    impl Tree for Files {
        fn entries(&self) -> &BTreeMap<Vec<u8>, Entry> {
            &self.0
        }

        fn open(&self, path: &[u8]) -> io::Result<Box<dyn Content + '_>> {
            self.1.get(path).map(|bytes| content(bytes)).ok_or(io::ErrorKind::NotFound.into())
        }
    }

    struct Bytes(Vec<u8>);

    impl Content for Bytes {
        fn len(&self) -> u64 {
            self.0.len() as u64
        }

        fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
            self.0[..].read_exact_at(offset, buffer)
        }
    }

    fn content(bytes: &[u8]) -> Box<dyn Content> {
        Box::new(Bytes(bytes.to_vec()))
    }

    fn output(place: &str, files: &[(&str, &str)]) -> Rebuilt {
        let bytes: BTreeMap<Vec<u8>, Vec<u8>> =
            files.iter().map(|(path, text)| (path.as_bytes().to_vec(), text.as_bytes().to_vec())).collect();
        let entry = |bytes: &Vec<u8>| Entry::Regular { executable: false, size: bytes.len() as u64 };
        let entries = bytes.iter().map(|(path, bytes)| (path.clone(), entry(bytes))).collect();
        Rebuilt { place: place.to_owned(), tree: Box::new(Files(entries, bytes)) }
    }

    fn artefact(file: &str, text: &str) -> Artefact {
        let digest = Digest::of(text.as_bytes()).unwrap();
        Artefact {
            file: file.to_owned(),
            target: None,
            size: Some(digest.size),
            sha256: digest.sha256,
            tar: None,
        }
    }

    fn outcome(artefact: &Artefact, rebuilt: &[Rebuilt], published: Option<&str>) -> Outcome {
        let published = |_: &str| Ok(published.map(|text| content(text.as_bytes())));
        compare(artefact, rebuilt, &published)
    }

    #[test]
    fn files_are_found_by_name_in_any_output() {
        let outputs =
            [output("/nix/store/0-a", &[("share/x", "no")]), output("/nix/store/1-b", &[("d/tool", "yes")])];
        let same = outcome(&artefact("tool", "yes"), &outputs, None);
        assert!(matches!(same, Outcome::Same { place } if place == "/nix/store/1-b/d/tool"));
        assert!(matches!(outcome(&artefact("d", "yes"), &outputs, None), Outcome::Absent));
        let single = [output("/nix/store/0-tool.tar.gz", &[("", "yes")])];
        assert!(matches!(outcome(&artefact("tool.tar.gz", "yes"), &single, None), Outcome::Same { .. }));
        assert!(matches!(outcome(&artefact("tar.gz", "yes"), &single, None), Outcome::Absent));
    }

    #[test]
    fn two_files_of_one_name_that_differ_say_nothing() {
        let outputs = [output("a", &[("x/tool", "yes"), ("y/tool", "no")])];
        assert!(matches!(outcome(&artefact("tool", "yes"), &outputs, None), Outcome::NotChecked(_)));
        let outputs = [output("a", &[("x/tool", "yes"), ("y/tool", "yes")])];
        assert!(matches!(outcome(&artefact("tool", "yes"), &outputs, None), Outcome::Same { .. }));
    }

    #[test]
    fn why_is_known_if_the_published_file_is_there() {
        let outputs = [output("a", &[("tool", "built at /build/one\n")])];
        let published = "built at /build/two\n";
        let artefact = artefact("tool", published);
        for (there, known) in [(Some(published), true), (None, false), (Some("something else"), false)] {
            let Outcome::Differs { why, .. } = outcome(&artefact, &outputs, there) else {
                panic!("{there:?}")
            };
            assert_eq!(matches!(why, Why::Compared { .. }), known, "{there:?}");
        }
        let line = Line { outcome: outcome(&artefact, &outputs, Some(published)), artefact };
        let manifest = Digest::of(&b"manifest"[..]).unwrap().sha256;
        let said = objection(manifest, &[line]).unwrap();
        assert_eq!((said.manifest, said.artefacts.len()), (manifest, 1));
        let text = serde_json::to_vec(&said).unwrap();
        assert_eq!(Objection::parse(&text).unwrap(), said);
        assert!(objection(manifest, &[]).is_none());
    }
}
