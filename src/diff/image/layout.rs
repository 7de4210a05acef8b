//! What a container image's own documents say: "OCI Image Layout" and "Image Manifest" of the Open Container
//! Initiative (image-spec 1.1), and the `manifest.json` that `docker save` writes ("Docker Image Specification" v1.2).
//!
//! A folder or archive that has such a document and breaks the format is no image here: its files are compared as
//! those of any other.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::JSON_OF_LAYER;
use crate::diff::{Content, Window};

/// The documents a layout is known by.
pub(in crate::diff) const DOCUMENTS: [&[u8]; 2] = [b"index.json", b"manifest.json"];

/// Largest document, and how many bytes of them are read in all.
const MAX_DOCUMENT: u64 = 2 << 20;
const MAX_DOCUMENTS: u64 = 4 << 20;
/// Bytes of all layers of all images, those that several name counted as often: they are compared as often.
const MAX_LAYER_BYTES: u64 = 64 << 30;
/// Images in one layout, layers in one image (Docker itself refuses more than 127), indices inside each other.
const MAX_IMAGES: usize = 256;
const MAX_LAYERS: usize = 1024;
const MAX_DEPTH: usize = 4;

/// The files of a folder or an archive, by paths from where the layout lies.
pub(in crate::diff) trait Files {
    /// Opens a regular file; `None` when there is none or it cannot be opened.
    fn open(&self, path: &[u8]) -> Option<Box<dyn Content + '_>>;
    /// Whether there is a regular file.
    fn has(&self, path: &[u8]) -> bool;
}

/// The documents of a layout, and the images they name.
#[derive(Default)]
pub(in crate::diff) struct Layout {
    /// `OCI image layout`, `docker archive`.
    pub form: &'static str,
    /// Documents about all images, by what they are: they say the same of every image's digests.
    pub documents: Vec<(String, Document)>,
    /// In the order of the index.
    pub images: Vec<Image>,
    /// What each file is that the documents name. Two files with the same part belong together, whatever their names.
    pub parts: BTreeMap<Vec<u8>, String>,
}

/// A JSON document.
pub(in crate::diff) struct Document {
    /// Its path.
    pub path: Vec<u8>,
    /// As it is written.
    pub bytes: Vec<u8>,
    /// What it says.
    pub value: Json,
}

/// One image.
pub(in crate::diff) struct Image {
    /// Its name and platform, as far as the index says them.
    pub name: String,
    /// Its manifest, if that is a file of its own.
    pub manifest: Option<Document>,
    /// Its configuration, if that is JSON.
    pub config: Option<Document>,
    /// Paths of its layers, the lowest first.
    pub layers: Vec<Vec<u8>>,
}

impl Layout {
    /// Reads the documents; `None` when they are not those of a sound layout.
    pub fn read(files: &dyn Files) -> Option<Layout> {
        let mut reading =
            Reading { files, left: MAX_DOCUMENTS, layers: MAX_LAYER_BYTES, layout: Layout::default() };
        if files.has(b"oci-layout") && files.has(b"index.json") {
            reading.oci()?;
            // What Docker reads of an image that has both.
            if files.has(b"manifest.json")
                && let Some(document) = reading.document(b"manifest.json")
            {
                reading.shared("docker manifest", document);
            }
        } else if files.has(b"manifest.json") {
            reading.docker()?;
        } else {
            return None;
        }
        if let Some(document) =
            files.has(b"repositories").then(|| reading.document(b"repositories")).flatten()
        {
            reading.shared("repositories", document);
        }
        Some(reading.layout)
    }
}

struct Reading<'a> {
    files: &'a dyn Files,
    /// Bytes of documents and of layers that may still be read.
    left: u64,
    layers: u64,
    layout: Layout,
}

impl Reading<'_> {
    fn document(&mut self, path: &[u8]) -> Option<Document> {
        let content = self.files.open(path)?;
        let size = content.len();
        if size > MAX_DOCUMENT || size > self.left {
            return None;
        }
        self.left -= size;
        let bytes = Window::of(&*content).to_vec().ok()?;
        let value = serde_json::from_slice(&bytes).ok()?;
        Some(Document { path: path.to_vec(), bytes, value })
    }

    fn shared(&mut self, name: &str, document: Document) {
        self.part(&document.path, name.to_owned());
        self.layout.documents.push((name.to_owned(), document));
    }

    fn part(&mut self, path: &[u8], part: String) {
        self.layout.parts.entry(path.to_vec()).or_insert(part);
    }

    fn oci(&mut self) -> Option<()> {
        self.layout.form = "OCI image layout";
        let index = self.document(b"index.json")?;
        let mut todo = vec![("index".to_owned(), index, 0)];
        while let Some((name, index, depth)) = todo.pop() {
            let manifests = index.value.get("manifests")?.as_array()?.clone();
            self.shared(&name, index);
            for descriptor in manifests {
                if self.layout.images.len() + todo.len() >= MAX_IMAGES {
                    return None;
                }
                let path = blob(&descriptor)?;
                // A layout may leave out what it names.
                let Some(document) = self.document(&path) else { continue };
                if document.value.get("manifests").is_some() {
                    if depth == MAX_DEPTH {
                        return None;
                    }
                    todo.push((format!("index below {name}"), document, depth + 1));
                    continue;
                }
                self.image(name_of(&descriptor), document)?;
            }
        }
        Some(())
    }

    /// An image by its manifest.
    fn image(&mut self, name: String, manifest: Document) -> Option<()> {
        let config = blob(manifest.value.get("config")?)?;
        let layers = manifest.value.get("layers")?.as_array()?;
        let layers: Vec<Vec<u8>> = layers.iter().map(blob).collect::<Option<_>>()?;
        let number = self.layout.images.len();
        self.part(&manifest.path, format!("manifest of image {number}"));
        self.rest(name, Some(manifest), &config, layers)
    }

    fn rest(
        &mut self,
        name: String,
        manifest: Option<Document>,
        config: &[u8],
        layers: Vec<Vec<u8>>,
    ) -> Option<()> {
        if layers.len() > MAX_LAYERS {
            return None;
        }
        for path in &layers {
            self.layers = self.layers.checked_sub(self.files.open(path)?.len())?;
        }
        let number = self.layout.images.len();
        // An artefact's configuration may be anything, and is compared as a file then.
        let config = self.document(config);
        if let Some(config) = &config {
            self.part(&config.path, format!("configuration of image {number}"));
        }
        for (index, path) in layers.iter().enumerate() {
            self.part(path, format!("layer {} of image {number}", index + 1));
        }
        self.layout.images.push(Image { name, manifest, config, layers });
        Some(())
    }

    fn docker(&mut self) -> Option<()> {
        self.layout.form = "docker archive";
        let manifest = self.document(b"manifest.json")?;
        let images = manifest.value.as_array().filter(|images| images.len() <= MAX_IMAGES)?.clone();
        self.shared("docker manifest", manifest);
        for image in images {
            let tags = image.get("RepoTags").and_then(Json::as_array).into_iter().flatten();
            let name = tags.filter_map(Json::as_str).collect::<Vec<_>>().join(" ");
            let config = image.get("Config")?.as_str()?.as_bytes().to_vec();
            let layers = image.get("Layers")?.as_array()?.iter();
            let layers: Vec<Vec<u8>> =
                layers.map(|path| Some(path.as_str()?.as_bytes().to_vec())).collect::<Option<_>>()?;
            let number = self.layout.images.len();
            for (index, path) in layers.iter().enumerate() {
                // Beside it, what older versions read: a folder named by a hash.
                let Some(folder) = path.strip_suffix(b"/layer.tar") else { continue };
                self.part(folder, format!("folder of layer {} of image {number}", index + 1));
                self.part(&[folder, &b"/VERSION"[..]].concat(), format!("version of layer {}", index + 1));
                let path = [folder, &b"/json"[..]].concat();
                if let Some(document) = self.files.has(&path).then(|| self.document(&path)).flatten() {
                    self.shared(&format!("{JSON_OF_LAYER} {} of image {number}", index + 1), document);
                }
            }
            self.rest(name, None, &config, layers)?;
        }
        Some(())
    }
}

/// Path of the blob that a descriptor names.
fn blob(descriptor: &Json) -> Option<Vec<u8>> {
    let (algorithm, hash) = descriptor.get("digest")?.as_str()?.split_once(':')?;
    let plain =
        |text: &str| !text.is_empty() && text.len() <= 256 && text.bytes().all(|b| b.is_ascii_alphanumeric());
    (plain(algorithm) && plain(hash)).then(|| format!("blobs/{algorithm}/{hash}").into_bytes())
}

/// What a descriptor says of an image: its name, operating system and processor.
fn name_of(descriptor: &Json) -> String {
    let text = |path: &str| descriptor.pointer(path).and_then(Json::as_str);
    let words = [
        text("/annotations/org.opencontainers.image.ref.name"),
        text("/platform/os"),
        text("/platform/architecture"),
        text("/platform/variant"),
    ];
    words.into_iter().flatten().collect::<Vec<_>>().join(" ")
}
