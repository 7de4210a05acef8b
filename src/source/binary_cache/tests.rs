use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

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

/// A file of a cache, and how much of it was read.
#[derive(Debug)]
struct Counted {
    file: Vec<u8>,
    read: Arc<AtomicU64>,
}

struct Counting {
    bytes: io::Cursor<Vec<u8>>,
    read: Arc<AtomicU64>,
}

impl Read for Counting {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.bytes.read(buffer)?;
        self.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

impl CacheFiles for Counted {
    fn open(&self, _: &str) -> io::Result<Option<Box<dyn Read>>> {
        let bytes = io::Cursor::new(self.file.clone());
        Ok(Some(Box::new(Counting { bytes, read: self.read.clone() })))
    }
}

/// What comes of a compressed file that is said to be of a NAR, and how much of the file was read for that.
fn taken(nar: &[u8], compression: Compression, file: &[u8]) -> (Result<Nar, CacheError>, u64) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let read = Arc::new(AtomicU64::new(0));
    let cache = BinaryCache::over("x://y", Arc::new(Counted { file: file.to_vec(), read: read.clone() }));
    let text = format!(
        "StorePath: {}\nURL: a.nar\nCompression: {}\nNarHash: {}\nNarSize: {}\n",
        path(),
        compression.name(),
        NarHash::of(nar).to_nix(),
        nar.len()
    );
    let taken = cache.fetch(&NarInfo::parse(text.as_bytes()).unwrap(), &store);
    assert_eq!(store.nar(&NarHash::of(nar)).unwrap().is_some(), taken.is_ok(), "what is refused is not kept");
    (taken, read.load(Ordering::Relaxed))
}

/// Compresses what it reads, to a frame, member or stream that ends.
type Packer = fn(&mut dyn Read) -> Vec<u8>;

/// Every compression there is, and how it is done.
const COMPRESSIONS: [(Compression, Packer); 4] = [
    (Compression::Xz, |from| {
        let mut packed = Vec::new();
        liblzma::read::XzEncoder::new(from, 0).read_to_end(&mut packed).unwrap();
        packed
    }),
    (Compression::Bzip2, |from| {
        let mut packed = Vec::new();
        bzip2::read::BzEncoder::new(from, bzip2::Compression::fast()).read_to_end(&mut packed).unwrap();
        packed
    }),
    (Compression::Gzip, |from| {
        let mut packed = Vec::new();
        flate2::read::GzEncoder::new(from, flate2::Compression::fast()).read_to_end(&mut packed).unwrap();
        packed
    }),
    (Compression::Zstd, |from| zstd::encode_all(from, 1).unwrap()),
];

/// Bytes of which a compressed file would grow large, if all of it were unpacked.
const BOMB: u64 = 16 << 20;

/// What a decoder reads ahead, at most: blocks and buffers.
const AHEAD: u64 = 512 << 10;

/// What does not compress, so that it shows how much of the file was read.
fn noise() -> Vec<u8> {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 56) as u8
    };
    (0..4 << 20).map(|_| next()).collect()
}

#[test]
fn t46_of_a_bomb_no_more_is_unpacked_than_the_nar_has() {
    let (nar, noise) = (nar(b"contents"), noise());
    for (compression, packed) in COMPRESSIONS {
        // Nothing but zeros, and the NAR and what follows it in the same frame.
        let zeros = packed(&mut io::repeat(0).take(BOMB));
        let followed = packed(&mut nar.as_slice().chain(io::repeat(0)).take(BOMB));
        let by_noise = packed(&mut nar.as_slice().chain(&*noise));
        for bomb in [zeros, followed, by_noise] {
            let (taken, read) = taken(&nar, compression, &bomb);
            assert!(matches!(taken, Err(CacheError::Store { .. })), "{compression:?}: {taken:?}");
            assert!(read <= AHEAD, "{compression:?}: {read} of {}", bomb.len());
        }
    }
}

#[test]
fn t46_several_frames_are_one_file_and_what_follows_the_nar_in_another_one_is_too_much() {
    let nar = nar(&[7; 100_000]);
    for (compression, packed) in COMPRESSIONS {
        let (mut first, mut second) = nar.split_at(60_000);
        let (first, second) = (packed(&mut first), packed(&mut second));
        let two = [&first[..], &second].concat();
        let (whole, _) = taken(&nar, compression, &two);
        assert_eq!(whole.unwrap().hash, NarHash::of(&nar), "{compression:?}");
        let (half, _) = taken(&nar, compression, &first);
        assert!(matches!(half, Err(CacheError::Store { .. })), "{compression:?}: {half:?}");
        for bomb in [packed(&mut io::repeat(0).take(BOMB)), packed(&mut noise().as_slice())] {
            let (followed, read) = taken(&nar, compression, &[&two[..], &bomb].concat());
            assert!(matches!(followed, Err(CacheError::Store { .. })), "{compression:?}: {followed:?}");
            assert!(read <= two.len() as u64 + AHEAD, "{compression:?}: {read} of {}", bomb.len());
        }
    }
}

/// A zstd frame that asks for a window of so many bytes, as a power of two, and has these in it as they are (RFC 8878, section 3.1.1).
fn zstd_frame(window_log: u8, contents: &[u8]) -> Vec<u8> {
    let block = (contents.len() as u32) << 3 | 1;
    [&[0x28, 0xb5, 0x2f, 0xfd, 0, (window_log - 10) << 3], &block.to_le_bytes()[..3], contents].concat()
}

#[test]
fn t46_zstd_that_wants_a_window_of_two_gigabytes_is_refused() {
    let nar = nar(b"contents");
    let with = |window_log| taken(&nar, Compression::Zstd, &zstd_frame(window_log, &nar)).0;
    for allowed in [10, 27] {
        assert_eq!(with(allowed).unwrap().hash, NarHash::of(&nar));
    }
    for greedy in [28, 31, 41] {
        let error = format!("{:?}", with(greedy).unwrap_err());
        assert!(error.to_lowercase().contains("memory"), "{greedy}: {error}");
    }
}
