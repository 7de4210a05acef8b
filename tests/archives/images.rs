//! Container images: layouts and archives with their blobs named by hashes, as builders write them.

use std::collections::BTreeMap;

use reprove::{
    diagnose::diagnose,
    diff::{Content, Entry, Limits, Tree, compare_trees},
};
use serde_json::json;

use super::{
    Seen,
    layouts::{Files, Image, plain, tar},
    writers,
};

/// A folder in memory.
struct Folder {
    entries: BTreeMap<Vec<u8>, Entry>,
    files: BTreeMap<String, Vec<u8>>,
}

impl Folder {
    fn new(files: BTreeMap<String, Vec<u8>>) -> Folder {
        let mut entries = BTreeMap::from([(Vec::new(), Entry::Directory)]);
        for (path, data) in &files {
            for (slash, _) in path.match_indices('/') {
                entries.insert(path[..slash].into(), Entry::Directory);
            }
            entries
                .insert(path.clone().into(), Entry::Regular { executable: false, size: data.len() as u64 });
        }
        Folder { entries, files }
    }
}

impl Tree for Folder {
    fn entries(&self) -> &BTreeMap<Vec<u8>, Entry> {
        &self.entries
    }

    fn open(&self, path: &[u8]) -> std::io::Result<Box<dyn Content + '_>> {
        Ok(Box::new(self.files[std::str::from_utf8(path).unwrap()].as_slice().to_vec()))
    }
}

/// The pair as an archive of each form, and as folders: what is said first must be the same.
fn seen(a: &Image, b: &Image) -> Vec<Seen> {
    let folders = [a, b].map(|image| Folder::new(image.oci(writers::gzip)));
    let comparison = compare_trees(&folders[0], &folders[1], &Limits::default()).unwrap();
    let causes = diagnose(&comparison, &[]);
    vec![
        Seen::of(&tar(&a.oci(writers::gzip)), &tar(&b.oci(writers::gzip))),
        Seen::of(&tar(&a.oci(plain)), &tar(&b.oci(plain))),
        Seen::of(&tar(&a.docker()), &tar(&b.docker())),
        Seen { comparison, causes },
    ]
}

const BASE: Files<'_> = &[("etc/", ""), ("etc/passwd", "root"), ("bin/", ""), ("bin/sh", "shell")];

#[test]
fn a_file_in_a_layer_is_found_where_it_is_and_every_hash_follows() {
    let a = Image::new(&[BASE, &[("app", "at /nix/store/00000000000000000000000000000000-a")]]);
    let b = Image::new(&[BASE, &[("app", "at /nix/store/11111111111111111111111111111111-a")]]);
    for seen in seen(&a, &b) {
        assert_eq!(seen.ids(), ["nix-store-path"], "{}", seen.text());
        let (inside, ..) = seen.evidence();
        assert_eq!(inside, ["image", "layer 2", "app"]);
    }
}

#[test]
fn the_time_in_the_configuration() {
    let a = Image::new(&[BASE]);
    let mut b = a.clone();
    b.config["created"] = json!("2026-11-22T07:00:00Z");
    for seen in seen(&a, &b) {
        assert_eq!(seen.ids(), ["embedded-build-time"], "{}", seen.text());
        let (inside, part, ..) = seen.evidence();
        assert!(inside == ["image"] && part.contains("created"), "{inside:?} {part}");
    }
}

#[test]
fn layers_cut_otherwise_are_told_from_other_files() {
    let app: Files<'_> = &[("app", "same"), ("lib/", ""), ("lib/x", "one")];
    let a = Image::new(&[BASE, app]);
    let whole = [BASE, app].concat();
    let b = Image::new(&[&whole]);
    for seen in seen(&a, &b) {
        assert_eq!(seen.ids(), ["archive-format"], "{}", seen.text());
        assert!(seen.text().contains("the same files, cut otherwise into layers"), "{}", seen.text());
    }
    // The same, and one file is another.
    let mut other = whole.clone();
    other[4].1 = "1970-01-01";
    let c = Image::new(&[&other]);
    for seen in seen(&a, &c) {
        let text = seen.text();
        assert!(text.contains("final tree") && !text.contains("the same files, cut"), "{text}");
    }
}

#[test]
fn whiteouts_hide_what_is_below_them() {
    let hidden = Image::new(&[
        &[("a/", ""), ("a/gone", "1"), ("a/kept", "2"), ("b/", ""), ("b/x", "3"), ("b/y", "4")],
        &[("a/.wh.gone", ""), ("b/.wh..wh..opq", ""), ("b/z", "5")],
    ]);
    let never = Image::new(&[&[("a/", ""), ("a/kept", "2"), ("b/", ""), ("b/z", "5")]]);
    for seen in seen(&hidden, &never) {
        assert!(seen.text().contains("the same files, cut otherwise into layers"), "{}", seen.text());
    }
    let other = Image::new(&[&[("a/", ""), ("a/kept", "2"), ("a/gone", "1"), ("b/", ""), ("b/z", "5")]]);
    for seen in seen(&hidden, &other) {
        assert!(seen.ids().contains(&"missing-file"), "{}", seen.text());
    }
}

#[test]
fn the_same_layer_packed_otherwise() {
    fn level(bytes: &[u8]) -> Vec<u8> {
        use std::io::Write as _;
        let builder = flate2::GzBuilder::new().mtime(77).filename("name").comment("why").extra(vec![1, 2, 3]);
        let mut encoder = builder.write(Vec::new(), flate2::Compression::new(1));
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }
    let image = Image::new(&[BASE, &[("text", &"line of text\n".repeat(50))]]);
    let seen = Seen::of(&tar(&image.oci(writers::gzip)), &tar(&image.oci(level)));
    assert_eq!(seen.ids(), ["gzip-header", "deflate-encoder"], "{}", seen.text());
}

#[test]
fn hostile_documents_make_no_image_and_lose_nothing() {
    let sound = Image::new(&[BASE]).oci(plain);
    let with = |name: &str, data: &str| {
        let mut files = sound.clone();
        files.insert(name.to_owned(), data.as_bytes().to_vec());
        tar(&files)
    };
    let deep = "[".repeat(100_000);
    for index in [
        "{}",
        "[]",
        "null",
        "{\"manifests\": 7}",
        "{\"manifests\": [{\"digest\": \"sha256:../../x\"}]}",
        "{\"manifests\": [{\"digest\": 1}]}",
        deep.as_str(),
        "\u{0}",
    ] {
        let seen = Seen::of(&tar(&sound), &with("index.json", index));
        assert!(!seen.causes.is_empty());
    }
    // An index that names itself.
    let own = r#"{"manifests": [{"digest": "sha256:aa"}, {"digest": "sha256:aa"}]}"#;
    let mut files = sound.clone();
    files.insert("blobs/sha256/aa".to_owned(), own.as_bytes().to_vec());
    files.insert("index.json".to_owned(), own.as_bytes().to_vec());
    assert!(!Seen::of(&tar(&sound), &tar(&files)).causes.is_empty());
    // The same documents, and a blob whose bytes are not those of its name.
    let name = sound.keys().find(|name| name.starts_with("blobs")).unwrap().clone();
    for data in ["", "not what it was"] {
        assert!(!Seen::of(&tar(&sound), &with(&name, data)).causes.is_empty());
    }
}
