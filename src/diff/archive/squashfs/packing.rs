//! What blocks of a squashfs image are compressed by.

use std::io::Read as _;

use super::super::Stop;

/// Memory for the xz decoder: a dictionary is as large as a block, 1 MiB at most.
const XZ_MEMORY: u64 = 16 << 20;

/// A compressor, by its number in the superblock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Compressor(pub u16);

const GZIP: u16 = 1;
const LZMA: u16 = 2;
const LZO: u16 = 3;
const XZ: u16 = 4;
const LZ4: u16 = 5;
const ZSTD: u16 = 6;

impl Compressor {
    pub fn name(self) -> &'static str {
        match self.0 {
            GZIP => "gzip",
            LZMA => "lzma",
            LZO => "lzo",
            XZ => "xz",
            LZ4 => "lz4",
            ZSTD => "zstd",
            _ => "a compressor nobody here knows",
        }
    }

    /// Unpacks one block that gives `most` bytes or fewer. `offset` is where it stands, for the error.
    pub fn unpack(self, packed: &[u8], most: usize, offset: u64) -> Result<Vec<u8>, Stop> {
        let mut out = Vec::new();
        let limit = most as u64 + 1;
        let read = match self.0 {
            GZIP => flate2::read::ZlibDecoder::new(packed).take(limit).read_to_end(&mut out).ok(),
            XZ => liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, 0).ok().and_then(|stream| {
                let decoder = liblzma::bufread::XzDecoder::new_stream(packed, stream);
                decoder.take(limit).read_to_end(&mut out).ok()
            }),
            ZSTD => zstd::stream::read::Decoder::with_buffer(packed).ok().and_then(|mut decoder| {
                decoder.window_log_max(super::super::super::unpack::ZSTD_WINDOW_LOG).ok()?;
                decoder.take(limit).read_to_end(&mut out).ok()
            }),
            LZ4 => {
                out = vec![0; most];
                let len = lz4_flex::block::decompress_into(packed, &mut out).ok();
                out.truncate(len.unwrap_or_default());
                len
            }
            // Nothing that writes images today uses these by default.
            LZMA | LZO => {
                return Err(Stop::Broken {
                    offset,
                    what: "it is compressed by lzo or lzma, which are not read here",
                });
            }
            _ => return Err(Stop::Broken { offset, what: "a compressor nobody here knows" }),
        };
        match read {
            Some(_) if out.len() <= most && !out.is_empty() => Ok(out),
            _ => Err(Stop::Broken { offset, what: "a compressed block is broken" }),
        }
    }
}
