//! Deflate and gzip by an encoder that is named and pinned.
//!
//! Formats: RFC 1951, RFC 1952. The encoder is called directly, and not by way of `flate2`: what that works with is chosen
//! by whoever else in the program asks for another one.

use std::io::{self, Write};

use flate2::Crc;
use miniz_oxide::{
    DataFormat, MZFlush, MZStatus,
    deflate::{core::CompressorOxide, stream},
};

/// Who compresses. A test compares this with `Cargo.lock`, another one what it writes with what it wrote before.
pub const NAME: &str = "miniz_oxide 0.9.1";

/// How hard: as `gzip -9`.
pub const LEVEL: u8 = 9;

/// Raw deflate.
pub struct Deflate<W> {
    out: W,
    compressor: Box<CompressorOxide>,
    buffer: Vec<u8>,
}

impl<W: Write> Deflate<W> {
    /// Nothing written yet.
    pub fn new(out: W) -> Self {
        let mut compressor = Box::<CompressorOxide>::default();
        compressor.set_format_and_level(DataFormat::Raw, LEVEL);
        Deflate { out, compressor, buffer: vec![0; 1 << 16] }
    }

    /// Writes what is still held.
    pub fn finish(mut self) -> io::Result<W> {
        while self.step(&[], MZFlush::Finish)?.1 != MZStatus::StreamEnd {}
        Ok(self.out)
    }

    /// Gives the compressor some of `data`: how much it took.
    fn step(&mut self, data: &[u8], flush: MZFlush) -> io::Result<(usize, MZStatus)> {
        let done = stream::deflate(&mut self.compressor, data, &mut self.buffer, flush);
        self.out.write_all(&self.buffer[..done.bytes_written])?;
        let status = done.status.map_err(|error| io::Error::other(format!("deflate: {error:?}")))?;
        Ok((done.bytes_consumed, status))
    }
}

impl<W: Write> Write for Deflate<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        loop {
            let (taken, _) = self.step(data, MZFlush::None)?;
            if taken > 0 || data.is_empty() {
                return Ok(taken);
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        // A flush of the compressor would be seen in what it writes.
        self.out.flush()
    }
}

/// One gzip member without a name or a time, as `gzip -n` writes it but for the deflate encoder.
pub struct Gzip<W> {
    deflate: Deflate<W>,
    crc: Crc,
}

impl<W: Write> Gzip<W> {
    /// Writes the header: no flags, no time, "slowest algorithm", Unix.
    pub fn new(mut out: W) -> io::Result<Self> {
        out.write_all(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 3])?;
        Ok(Gzip { deflate: Deflate::new(out), crc: Crc::new() })
    }

    /// Writes what is still held, the checksum and the size (modulo 2^32).
    pub fn finish(self) -> io::Result<W> {
        let mut out = self.deflate.finish()?;
        out.write_all(&self.crc.sum().to_le_bytes())?;
        out.write_all(&self.crc.amount().to_le_bytes())?;
        Ok(out)
    }
}

impl<W: Write> Write for Gzip<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let count = self.deflate.write(data)?;
        self.crc.update(&data[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.deflate.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::release::digest::Digest;

    /// Half text, half noise, always the same.
    fn sample() -> Vec<u8> {
        let mut state = 1_u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        (0..300_000_usize)
            .map(|n| if n / 1000 % 2 == 0 { b"reproducible "[n % 13] } else { noise() })
            .collect()
    }

    fn compressed(chunk: usize) -> Vec<u8> {
        let mut gzip = Gzip::new(Vec::new()).unwrap();
        sample().chunks(chunk).for_each(|chunk| gzip.write_all(chunk).unwrap());
        gzip.finish().unwrap()
    }

    #[test]
    fn what_is_compressed_is_what_was_written_whatever_its_pieces_were() {
        let whole = compressed(usize::MAX);
        let mut read = Vec::new();
        flate2::read::GzDecoder::new(whole.as_slice()).read_to_end(&mut read).unwrap();
        assert!(read == sample());
        assert!([1000, 65_537].into_iter().all(|chunk| compressed(chunk) == whole));
    }

    /// If this fails, the encoder writes other bytes than in earlier releases: archives that were published can no longer
    /// be made again. Change [`NAME`] with it, and say so in the changelog.
    #[test]
    fn the_encoder_writes_what_it_always_wrote() {
        let lock = include_str!("../../../Cargo.lock");
        let (name, version) = NAME.split_once(' ').unwrap();
        assert!(lock.contains(&format!("name = \"{name}\"\nversion = \"{version}\"\n")));
        assert_eq!(
            Digest::of(compressed(usize::MAX).as_slice()).unwrap().sha256.to_string(),
            "3b0cd35cea58df407676892995d57db739c29d1907f3cdd44bb0ef4817ad9916"
        );
    }
}
