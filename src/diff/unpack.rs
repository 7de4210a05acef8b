//! Compressed bytes, unpacked in memory within caps, and compared.

use std::{
    cell::RefCell,
    io::{self, BufRead, Read},
};

use super::{
    Content, Difference, Finding, Pair, ReadError, Side, Window,
    archive::Stop,
    bytes, file,
    limits::{Effort, Held},
};

/// Memory for the xz decoder: presets up to `-9` need 65 MiB.
const XZ_MEMORY: u64 = 96 << 20;

/// Largest zstd window, as a power of two: 128 MiB, the decoder's own default.
pub(super) const ZSTD_WINDOW_LOG: u32 = 27;

/// Up to here any ratio is fine; above it, what unpacks to more than [`MAX_RATIO`] times its size is a bomb. Deflate
/// cannot give more than 1032 times.
const ANY_RATIO: u64 = 64 << 20;
const MAX_RATIO: u64 = 2048;

/// How bytes are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    /// As they are.
    None,
    /// Deflate (RFC 1951), without a header.
    Deflate,
    /// Deflate with the header of zlib (RFC 1950).
    Zlib,
    /// Deflate with headers (RFC 1952), one member or several.
    Gzip,
    /// bzip2, one stream or several.
    Bzip2,
    /// xz, one stream or several.
    Xz,
    /// Zstandard (RFC 8878), one frame or several.
    Zstd,
    /// A method that is not unpacked here.
    Unknown,
}

impl Packing {
    /// Its name, as users know it.
    pub fn name(self) -> &'static str {
        match self {
            Packing::None => "stored",
            Packing::Deflate | Packing::Zlib => "deflate",
            Packing::Gzip => "gzip",
            Packing::Bzip2 => "bzip2",
            Packing::Xz => "xz",
            Packing::Zstd => "zstd",
            Packing::Unknown => "an unknown method",
        }
    }
}

/// Unpacked bytes; what they take of the budget is given back when they are dropped.
pub(super) struct Unpacked<'e> {
    bytes: Vec<u8>,
    held: Held<'e>,
}

impl Unpacked<'_> {
    /// Adds bytes, within the caps on what is held.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        let held = self.held.more(bytes.len() as u64);
        held.map_err(|cap| Stop::Cap { what: "bytes unpacked at once", cap })?;
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Unpacks all of a window.
pub(super) fn unpack<'e>(
    packing: Packing,
    window: Window<'_>,
    effort: &'e Effort<'_>,
) -> Result<Unpacked<'e>, Stop> {
    let input = Input::new(window);
    let source = io::BufReader::with_capacity(64 << 10, &input);
    let decoder: io::Result<Box<dyn Read + '_>> = match packing {
        Packing::None => Ok(Box::new(source)),
        Packing::Deflate => Ok(Box::new(flate2::bufread::DeflateDecoder::new(source))),
        Packing::Zlib => Ok(Box::new(flate2::bufread::ZlibDecoder::new(source))),
        Packing::Gzip => Ok(Box::new(flate2::bufread::MultiGzDecoder::new(source))),
        Packing::Bzip2 => Ok(Box::new(bzip2::bufread::MultiBzDecoder::new(source))),
        Packing::Xz => {
            let stream =
                liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, liblzma::stream::CONCATENATED);
            stream.map_err(io::Error::other).map(|stream| {
                Box::new(liblzma::bufread::XzDecoder::new_stream(source, stream)) as Box<dyn Read>
            })
        }
        Packing::Zstd => zstd::stream::read::Decoder::with_buffer(source).and_then(|mut decoder| {
            decoder.window_log_max(ZSTD_WINDOW_LOG)?;
            Ok(Box::new(decoder) as Box<dyn Read>)
        }),
        Packing::Unknown => {
            return Err(Stop::Broken {
                offset: window.start(),
                what: "a method of compression nobody here knows",
            });
        }
    };
    let mut unpacked = Unpacked { bytes: Vec::new(), held: effort.hold() };
    let outcome = decoder
        .map_err(|_| Stop::Broken { offset: window.start(), what: "its compressed data is broken" })
        .and_then(|mut decoder| fill(&mut decoder, &mut unpacked, window.size()));
    input.judge(outcome)?;
    Ok(unpacked)
}

/// An unpacked beginning, to be filled from several streams in a row.
pub(super) fn nothing<'e>(effort: &'e Effort<'_>) -> Unpacked<'e> {
    Unpacked { bytes: Vec::new(), held: effort.hold() }
}

/// Reads a decoder to its end, behind what is there already. `packed` is the size of all the input.
pub(super) fn fill(decoder: &mut dyn Read, unpacked: &mut Unpacked<'_>, packed: u64) -> Result<(), Stop> {
    let ratio = ANY_RATIO.max(packed.saturating_mul(MAX_RATIO));
    let mut block = vec![0; 64 << 10];
    loop {
        let count = match decoder.read(&mut block) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return Err(Stop::Broken { offset: 0, what: "its compressed data is broken" }),
        };
        if unpacked.bytes.len() as u64 + count as u64 > ratio {
            return Err(Stop::Cap { what: "times its size when unpacked", cap: MAX_RATIO });
        }
        unpacked.push(&block[..count])?;
    }
}

/// A window as a stream that remembers when reading itself failed, so that this is not taken for broken data.
pub(super) struct Input<'a> {
    window: Window<'a>,
    state: RefCell<(u64, Option<io::Error>)>,
}

impl<'a> Input<'a> {
    pub fn new(window: Window<'a>) -> Self {
        Input { window, state: RefCell::new((window.start(), None)) }
    }

    /// What became of decoding this input.
    pub fn judge<T>(&self, outcome: Result<T, Stop>) -> Result<T, Stop> {
        let (offset, error) = self.state.replace((0, None));
        match error {
            Some(source) => Err(Stop::Read { offset, source }),
            None => outcome.map_err(|stop| match stop {
                Stop::Broken { offset: 0, what } => Stop::Broken { offset, what },
                other => other,
            }),
        }
    }
}

impl Read for &Input<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.state.borrow_mut();
        let count = (self.window.end() - state.0).min(buffer.len() as u64) as usize;
        let at = state.0 - self.window.start();
        if let Err(error) = self.window.read_exact_at(at, &mut buffer[..count]) {
            state.1 = Some(error);
            return Err(io::ErrorKind::Other.into());
        }
        state.0 += count as u64;
        Ok(count)
    }
}

/// How far a buffered reader of an input has been read.
pub(super) fn position(reader: &io::BufReader<&Input<'_>>) -> u64 {
    reader.get_ref().state.borrow().0 - reader.buffer().len() as u64
}

/// Whether a buffered reader has come to the end of its input.
pub(super) fn at_end(reader: &mut io::BufReader<&Input<'_>>) -> Result<bool, Stop> {
    let empty = reader.fill_buf().map(<[u8]>::is_empty);
    empty.map_err(|_| Stop::Broken { offset: 0, what: "its compressed data is broken" })
}

/// Compares what is packed in two windows; adds what differs to `place`. Where one of them cannot be unpacked, says
/// so, and compares the bytes as they are.
pub(super) fn compare(
    packings: Pair<Packing>,
    windows: Pair<Window<'_>>,
    place: &mut Difference,
    effort: &Effort<'_>,
) -> Result<(), ReadError> {
    if packings.a == Packing::None && packings.b == Packing::None {
        return file::compare(Pair::new(&windows.a, &windows.b), place, effort);
    }
    let unpacked = |side: Side| match *packings.of(side) {
        Packing::None => Ok(Ok(None)),
        packing => match unpack(packing, *windows.of(side), effort) {
            Ok(unpacked) => Ok(Ok(Some(unpacked))),
            Err(stop) => stop.note(packing.name(), side).map(Err),
        },
    };
    let both = match (unpacked(Side::A)?, unpacked(Side::B)?) {
        (Ok(a), Ok(b)) => Pair::new(a, b),
        (Err(note), _) | (_, Err(note)) => {
            place.notes.push(note);
            if let Some(found) = bytes::compare(windows, effort)? {
                file::add(found, place);
            }
            return Ok(());
        }
    };
    let slices = both.as_ref().map(|unpacked| unpacked.as_ref().map(Unpacked::bytes));
    let content = |side: Side| -> &dyn Content {
        match slices.of(side) {
            Some(bytes) => bytes,
            None => windows.of(side),
        }
    };
    let contents = Pair::new(content(Side::A), content(Side::B));
    if bytes::equal(contents.map(Window::of))? {
        if packings.a == packings.b {
            place.found.push(Finding::Encoding {
                packing: packings.a.name(),
                size: contents.a.len(),
                packed: windows.map(|window| window.size()),
            });
        }
        return Ok(());
    }
    file::compare(contents, place, effort)
}
