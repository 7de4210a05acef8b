//! Container images in OCI layouts and in archives of `docker save`: documents by value, layers by their position, and
//! the final file tree where layers are cut otherwise.
//!
//! Blobs are named by their hashes, so those of two images that differ have other names. What a blob is, the documents
//! say; blobs that are the same part of their images are compared, and their names, sizes and hashes follow.

mod layout;

use std::collections::{BTreeMap, BTreeSet, HashMap};

pub(super) use layout::{DOCUMENTS, Files, Layout};
use layout::{Document, Image};

use super::{
    Content, Difference, Finding, Note, Pair, ReadError, Side, Step, Window,
    archive::{self, Layers},
    bytes, compressed, file, keys,
    limits::Effort,
    unpack::{self, Unpacked},
};

/// What the name of a document about one layer begins with.
const JSON_OF_LAYER: &str = "json of layer";

/// Compares two layouts: everything that [`Layout::parts`] names, and nothing else.
pub(super) fn compare(
    layouts: Pair<&Layout>,
    files: Pair<&dyn Files>,
    difference: &mut Difference,
    effort: &Effort<'_>,
) -> Result<(), ReadError> {
    let Some(_deeper) = effort.deeper() else {
        difference.notes.push(effort.too_deep());
        return Ok(());
    };
    let mut images = Vec::new();
    let mut changed = false;
    for (name, pair) in matched(layouts) {
        match (pair.a, pair.b) {
            (Some(a), Some(b)) => {
                let mut place = Difference::new(Step::Member(title(&name).into_bytes()));
                Comparing { images: Pair::new(a, b), files, effort }.all(&mut place)?;
                changed |= place.is_some();
                if place.is_some() || !place.notes.is_empty() {
                    images.push(place);
                }
            }
            (a, b) => {
                let side = if a.is_some() { Side::A } else { Side::B };
                let layers = a.or(b).map_or(0, |image| image.layers.len() as u64);
                let mut place = Difference::new(Step::Member(title(&name).into_bytes()));
                place.found.push(Finding::OnlyIn { side, what: "image", size: layers });
                changed = true;
                images.push(place);
            }
        }
    }
    let mut of_b: BTreeMap<&str, &Document> =
        layouts.b.documents.iter().map(|(name, document)| (name.as_str(), document)).collect();
    for (name, a) in &layouts.a.documents {
        let place = Step::Member(name.clone().into_bytes());
        match of_b.remove(name.as_str()) {
            Some(b) => difference
                .inside
                .extend(document(place, Pair::new(a, b), &|path| changed && follows(name, path))),
            // A layer of one side is told with its image.
            None if name.starts_with(JSON_OF_LAYER) => {}
            None => difference.inside.push(only(place, Side::A, a)),
        }
    }
    for (name, b) in of_b.into_iter().filter(|(name, _)| !name.starts_with(JSON_OF_LAYER)) {
        difference.inside.push(only(Step::Member(name.as_bytes().to_vec()), Side::B, b));
    }
    difference.inside.extend(images);
    Ok(())
}

fn title(name: &str) -> String {
    if name.is_empty() { "image".to_owned() } else { format!("image {name}") }
}

/// Whether a value of a document about all images names parts of them by their hashes.
fn follows(document: &str, path: &str) -> bool {
    let last = path.rsplit('.').next().unwrap_or_default();
    let hashes = || !path.contains("annotations") && matches!(last, "digest" | "size");
    document == "repositories"
        || document.starts_with("index") && hashes()
        || document == "docker manifest" && (last == "Config" || last.starts_with("Layers[") || hashes())
        || document.starts_with(JSON_OF_LAYER) && matches!(path, "id" | "parent" | "layer_id")
}

fn only(at: Step, side: Side, document: &Document) -> Difference {
    let mut place = Difference::new(at);
    place.found.push(Finding::OnlyIn { side, what: "document", size: document.bytes.len() as u64 });
    place
}

/// What two documents differ in; nothing when their bytes are equal.
fn document(at: Step, pair: Pair<&Document>, derived: &dyn Fn(&str) -> bool) -> Option<Difference> {
    if pair.a.bytes == pair.b.bytes {
        return None;
    }
    let mut place = Difference::new(at);
    place.inside = keys::compare(pair.map(|document| &document.value), derived);
    if place.inside.is_empty() {
        place.found.push(Finding::SameValue { format: "JSON" });
    }
    Some(place)
}

/// The images of both sides by their names and how many of that name came before.
fn matched(layouts: Pair<&Layout>) -> Vec<(String, Pair<Option<&Image>>)> {
    let mut matched: Vec<(String, Pair<Option<&Image>>)> = Vec::new();
    let mut places: HashMap<(&str, usize), usize> = HashMap::new();
    // One image on both sides is the same one, whatever it is called.
    let alone = layouts.a.images.len() == 1 && layouts.b.images.len() == 1;
    for side in [Side::A, Side::B] {
        let mut seen: HashMap<&str, usize> = HashMap::new();
        for image in &layouts.of(side).images {
            let name = if alone { "" } else { image.name.as_str() };
            let ordinal = seen.entry(name).or_default();
            let place = *places.entry((name, *ordinal)).or_insert_with(|| {
                matched.push((name.to_owned(), Pair::default()));
                matched.len() - 1
            });
            *ordinal += 1;
            match side {
                Side::A => matched[place].1.a = Some(image),
                Side::B => matched[place].1.b = Some(image),
            }
        }
    }
    matched
}

struct Comparing<'a> {
    images: Pair<&'a Image>,
    files: Pair<&'a dyn Files>,
    effort: &'a Effort<'a>,
}

impl Comparing<'_> {
    fn all(&self, difference: &mut Difference) -> Result<(), ReadError> {
        let images = self.images;
        let both = images.a.layers.len().min(images.b.layers.len());
        let mut differ = Vec::new();
        for number in 0..both {
            let layers = Pair::new(self.open(Side::A, number)?, self.open(Side::B, number)?);
            if !bytes::equal(Pair::new(Window::of(&*layers.a), Window::of(&*layers.b)))? {
                differ.push(number);
            }
        }
        let cut = images.a.layers.len() != images.b.layers.len();
        let other = |number: usize| cut || differ.contains(&number);
        let of_layer = |path: &str, list: &str| {
            let number = path.strip_prefix(list).and_then(|rest| rest.strip_prefix('[')?.split_once(']'));
            number.is_some_and(|(number, _)| number.parse().is_ok_and(other))
        };
        let configs = Pair::new(images.a.config.as_ref(), images.b.config.as_ref());
        let manifests = Pair::new(images.a.manifest.as_ref(), images.b.manifest.as_ref());
        let mut configured = false;
        if let (Some(a), Some(b)) = (configs.a, configs.b) {
            let at = Step::Table("image configuration");
            let place = document(at, Pair::new(a, b), &|path| of_layer(path, "rootfs.diff_ids"));
            configured = place.is_some();
            difference.inside.extend(place);
        }
        if let (Some(a), Some(b)) = (manifests.a, manifests.b) {
            let derived = |path: &str| {
                of_layer(path, "layers") && !path.contains("annotations")
                    || configured && matches!(path, "config.digest" | "config.size")
            };
            difference.inside.extend(document(Step::Table("image manifest"), Pair::new(a, b), &derived));
        }
        if differ.is_empty() && !cut {
            return Ok(());
        }
        if self.cut_otherwise(&differ, difference)? {
            return Ok(());
        }
        for number in differ {
            let layers = Pair::new(self.open(Side::A, number)?, self.open(Side::B, number)?);
            let mut place = Difference::new(Step::Member(format!("layer {}", number + 1).into_bytes()));
            file::compare(Pair::new(&*layers.a, &*layers.b), &mut place, self.effort)?;
            difference.inside.push(place);
        }
        for side in [Side::A, Side::B] {
            for number in both..images.of(side).layers.len() {
                let size = self.open(side, number)?.len();
                let mut place = Difference::new(Step::Member(format!("layer {}", number + 1).into_bytes()));
                place.found.push(Finding::OnlyIn { side, what: "layer", size });
                difference.inside.push(place);
            }
        }
        Ok(())
    }

    fn open(&self, side: Side, number: usize) -> Result<Box<dyn Content + '_>, ReadError> {
        let layer = self.files.of(side).open(&self.images.of(side).layers[number]);
        let gone = || ReadError { side, offset: 0, source: std::io::ErrorKind::NotFound.into() };
        layer.ok_or_else(gone)
    }

    /// Compares the final trees where the layers are cut otherwise; whether they are. Where a layer cannot be read as
    /// one, they are compared one by one, and that says why.
    fn cut_otherwise(&self, differ: &[usize], difference: &mut Difference) -> Result<bool, ReadError> {
        // Most often one of many layers differs, in the contents of some file: the others need not be unpacked.
        let mut same = self.images.a.layers.len() == self.images.b.layers.len();
        for number in differ {
            match (self.paths(Side::A, *number)?, self.paths(Side::B, *number)?) {
                (Some(a), Some(b)) => same = same && a == b,
                _ => return Ok(false),
            }
        }
        if same {
            return Ok(false);
        }
        let opened = |side: Side| -> Result<Vec<_>, ReadError> {
            (0..self.images.of(side).layers.len()).map(|number| self.open(side, number)).collect()
        };
        let opened = Pair::new(opened(Side::A)?, opened(Side::B)?);
        let mut unpacked: Pair<Vec<Option<Unpacked<'_>>>> = Pair::default();
        for side in [Side::A, Side::B] {
            for layer in opened.of(side) {
                match self.unpacked(side, &**layer)? {
                    Ok(layer) if side == Side::A => unpacked.a.push(layer),
                    Ok(layer) => unpacked.b.push(layer),
                    Err(note) => {
                        difference.notes.push(note);
                        return Ok(false);
                    }
                }
            }
        }
        let slices = unpacked
            .as_ref()
            .map(|layers| layers.iter().map(|layer| layer.as_ref().map(Unpacked::bytes)).collect::<Vec<_>>());
        let read = |side: Side| {
            let contents =
                opened.of(side).iter().zip(slices.of(side)).map(|(layer, slice)| -> &dyn Content {
                    match slice {
                        Some(slice) => slice,
                        None => &**layer,
                    }
                });
            match Layers::read(contents.collect(), self.effort.limits) {
                Ok(layers) => Ok(Ok(layers)),
                Err((_, stop)) => stop.note("image layer", side).map(Err),
            }
        };
        let layers = match (read(Side::A)?, read(Side::B)?) {
            (Ok(a), Ok(b)) => Pair::new(a, b),
            (Err(note), _) | (_, Err(note)) => {
                difference.notes.push(note);
                return Ok(false);
            }
        };
        let otherwise = archive::cut_otherwise(layers.as_ref());
        if otherwise {
            archive::compare_layers(layers.as_ref(), difference, self.effort)?;
        }
        Ok(otherwise)
    }

    /// The paths of one layer; `None` when it is no layer or cannot be unpacked.
    fn paths(&self, side: Side, number: usize) -> Result<Option<BTreeSet<Vec<u8>>>, ReadError> {
        let layer = self.open(side, number)?;
        let Ok(unpacked) = self.unpacked(side, &*layer)? else { return Ok(None) };
        let slice = unpacked.as_ref().map(Unpacked::bytes);
        let content: &dyn Content = match &slice {
            Some(slice) => slice,
            None => &*layer,
        };
        Ok(archive::layer_paths(content, self.effort.limits))
    }

    /// What is in a compressed layer; `None` when it is not compressed, a note when it cannot be unpacked.
    fn unpacked(
        &self,
        side: Side,
        layer: &dyn Content,
    ) -> Result<Result<Option<Unpacked<'_>>, Note>, ReadError> {
        let head = Window::new(layer, 0, 16).to_vec().map_err(bytes::failed(side, 0))?;
        match compressed::packing(&head) {
            None => Ok(Ok(None)),
            Some(packing) => match unpack::unpack(packing, Window::of(layer), self.effort) {
                Ok(unpacked) => Ok(Ok(Some(unpacked))),
                Err(stop) => stop.note(packing.name(), side).map(Err),
            },
        }
    }
}
