use std::{fs, path::Path};

use super::*;
use crate::nix::{hash::NarHash, nar::Writer};

struct Cache {
    dir: tempfile::TempDir,
    store: Store,
    cache: BinaryCache,
}

fn path() -> StorePath {
    StorePath::from_base_name(format!("{}-a", "0".repeat(32)).as_bytes()).unwrap()
}

fn nar(contents: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    writer.regular(false, contents.len() as u64, contents).unwrap();
    writer.finish().unwrap()
}

fn xz(bytes: &[u8], dictionary: u32) -> Vec<u8> {
    let mut options = liblzma::stream::LzmaOptions::new_preset(1).unwrap();
    options.dict_size(dictionary);
    let mut filters = liblzma::stream::Filters::new();
    filters.lzma2(&options);
    let stream =
        liblzma::stream::Stream::new_stream_encoder(&filters, liblzma::stream::Check::Crc64).unwrap();
    let mut packed = Vec::new();
    liblzma::read::XzEncoder::new_stream(bytes, stream).read_to_end(&mut packed).unwrap();
    packed
}

impl Cache {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("state")).unwrap();
        let cache = BinaryCache::new(&format!("file://{}", dir.path().display())).unwrap();
        Cache { dir, store, cache }
    }

    fn folder(&self) -> &Path {
        self.dir.path()
    }

    /// Writes a cache's files about `nar`, which lies there as `file`, and fetches it.
    fn fetch(&self, nar: &[u8], file: &[u8], size: u64, more: &str) -> Result<Nar, CacheError> {
        fs::write(self.folder().join("a.nar"), file).unwrap();
        let text = format!(
            "StorePath: {}\nURL: a.nar\nNarHash: {}\nNarSize: {size}\n{more}",
            path(),
            NarHash::of(nar).to_nix()
        );
        fs::write(self.folder().join(format!("{}.narinfo", path().hash_part())), text).unwrap();
        let info = self.cache.narinfo(&path())?.unwrap();
        self.cache.fetch(&info, &self.store)
    }
}

#[test]
fn a_nar_is_taken_whole_and_as_promised() {
    let (cache, nar) = (Cache::new(), nar(b"contents"));
    let size = nar.len() as u64;
    let packed = xz(&nar, 1 << 20);
    let more = format!("Compression: xz\nFileSize: {}\n", packed.len());
    assert_eq!(cache.fetch(&nar, &packed, size, &more).unwrap().hash, NarHash::of(&nar));
    assert!(matches!(
        cache.fetch(&nar, &nar, size - 8, "Compression: none\n"),
        Err(CacheError::Store { .. })
    ));
    let other = super::tests::nar(b"different");
    assert!(matches!(cache.fetch(&nar, &other, size, "Compression: none\n"), Err(CacheError::Store { .. })));
}

#[test]
fn sizes_beyond_what_is_taken_are_refused_before_anything_is_read() {
    let (cache, nar) = (Cache::new(), nar(b"contents"));
    let promised = cache.fetch(&nar, &nar, MAX_NAR + 1, "Compression: none\n");
    assert!(matches!(promised, Err(CacheError::Answer { .. })), "{promised:?}");
    let size = nar.len() as u64;
    let padded = cache.fetch(&nar, &nar, size, "Compression: none\nFileSize: 99999999999\n");
    assert!(matches!(padded, Err(CacheError::Answer { .. })), "{padded:?}");
}

#[test]
fn a_compressed_file_longer_than_promised_is_not_read_to_its_end() {
    let (cache, nar) = (Cache::new(), nar(b"contents"));
    let cut = cache.fetch(&nar, &nar, nar.len() as u64, "Compression: none\nFileSize: 50\n");
    assert!(matches!(cut, Err(CacheError::Store { .. })), "{cut:?}");
}

#[test]
fn xz_that_wants_more_memory_than_it_may_have_is_refused() {
    let (cache, nar) = (Cache::new(), nar(b"contents"));
    let greedy = cache.fetch(&nar, &xz(&nar, 256 << 20), nar.len() as u64, "Compression: xz\n");
    let error = format!("{:?}", greedy.unwrap_err());
    assert!(error.to_lowercase().contains("mem"), "{error}");
}

#[test]
fn an_unsigned_narinfo_is_believed_only_when_the_caches_word_is() {
    let (cache, nar) = (Cache::new(), nar(b"contents"));
    cache.fetch(&nar, &nar, nar.len() as u64, "Compression: none\nSig: somebody-1:AAAA\n").unwrap();
    let info = cache.cache.narinfo(&path()).unwrap().unwrap();
    assert_eq!(Trust::Unsigned.check(&info, &cache.cache).unwrap(), None);
    let error = Trust::Signed(Vec::new()).check(&info, &cache.cache).unwrap_err();
    assert!(error.to_string().contains("somebody-1") && error.code() == crate::code::Code(484));
}
