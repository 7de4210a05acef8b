//! The kernel proper, taken out of a `bzImage`.
//!
//! Debian ships the x86_64 kernel with a small program in front that unpacks it at every boot: billions of emulated
//! instructions and, with address randomisation, another kernel layout for every seed. Unpacked here, once, it is
//! an ELF file that the machine enters directly.
//!
//! Formats: the kernel's `Documentation/arch/x86/boot.rst` (setup header), its `lib/decompress_unlz4.c` (the legacy
//! LZ4 frame, blocks of 8 MiB), the xz file format, and `arch/x86/boot/compressed/Makefile`, which puts the unpacked
//! length behind the compressed payload.

use std::io::Read;

use super::GuestError;

/// Largest kernel after unpacking; Debian's are some 60 MiB.
const MAX_KERNEL: usize = 256 << 20;

/// Memory for the xz decoder; the kernel's build uses a 32 MiB dictionary, or 128 MiB for the largest.
const XZ_MEMORY: u64 = 192 << 20;

const SETUP_SECTORS: usize = 0x1f1;
const HEADER_MAGIC: usize = 0x202;
const PROTOCOL: usize = 0x206;
const PAYLOAD: usize = 0x248;

const LZ4_LEGACY: u32 = 0x184c_2102;
const LZ4_BLOCK: usize = 8 << 20;
const XZ: &[u8] = b"\xfd7zXZ\0";
const ZSTD: &[u8] = b"\x28\xb5\x2f\xfd";
const GZIP: &[u8] = b"\x1f\x8b";
const ELF: &[u8] = b"\x7fELF";

/// The ELF file inside the `bzImage`.
pub fn extract(image: &[u8]) -> Result<Vec<u8>, GuestError> {
    let wrong = |what: &str| GuestError::Kernel(what.to_owned());
    if image.get(HEADER_MAGIC..HEADER_MAGIC + 4) != Some(b"HdrS") {
        return Err(wrong("it is no bzImage: no `HdrS` at byte 0x202"));
    }
    let protocol = u16::from_le_bytes([image[PROTOCOL], *image.get(PROTOCOL + 1).unwrap_or(&0)]);
    if protocol < 0x208 {
        return Err(wrong("its boot protocol is older than 2.08 and does not say where the kernel is"));
    }
    // Zero stands for four, says the boot protocol.
    let sectors = match image[SETUP_SECTORS] {
        0 => 4,
        sectors => usize::from(sectors),
    };
    let (offset, len) =
        word(image, PAYLOAD).zip(word(image, PAYLOAD + 4)).ok_or_else(|| wrong("its header is cut short"))?;
    let start = (sectors + 1) * 512 + offset as usize;
    let payload = image
        .get(start..)
        .and_then(|rest| rest.get(..len as usize))
        .ok_or_else(|| wrong("its header places the kernel outside of the file"))?;
    let (packed, unpacked) = payload
        .split_last_chunk::<4>()
        .map(|(packed, len)| (packed, u32::from_le_bytes(*len) as usize))
        .ok_or_else(|| wrong("its payload is empty"))?;
    let kernel = unpack(packed)?;
    if kernel.len() != unpacked {
        return Err(GuestError::Kernel(format!(
            "it unpacks to {} bytes instead of the {unpacked} it announces",
            kernel.len()
        )));
    }
    if !kernel.starts_with(ELF) {
        return Err(wrong("what it unpacks to is no ELF file"));
    }
    Ok(kernel)
}

/// Unpacks a payload, whichever of the kernel's compressions it has.
fn unpack(packed: &[u8]) -> Result<Vec<u8>, GuestError> {
    if word(packed, 0) == Some(LZ4_LEGACY) {
        return unpack_lz4(&packed[4..]);
    }
    if packed.starts_with(XZ) {
        let decoder = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, 0)
            .map_err(|error| GuestError::Kernel(format!("its xz payload: {error}")))?;
        return read(liblzma::read::XzDecoder::new_stream(packed, decoder));
    }
    if packed.starts_with(ZSTD) {
        return read(
            zstd::stream::read::Decoder::with_buffer(packed)
                .map_err(|error| GuestError::Kernel(format!("its zstd payload: {error}")))?
                .single_frame(),
        );
    }
    if packed.starts_with(GZIP) {
        return read(flate2::read::GzDecoder::new(packed));
    }
    Err(GuestError::Kernel("its payload has an unknown compression".to_owned()))
}

/// Blocks of up to 8 MiB, each behind its packed length, up to the end.
fn unpack_lz4(mut packed: &[u8]) -> Result<Vec<u8>, GuestError> {
    let mut kernel = Vec::new();
    let mut block = vec![0; LZ4_BLOCK];
    while let Some(len) = word(packed, 0) {
        let (body, rest) = packed[4..]
            .split_at_checked(len as usize)
            .ok_or_else(|| GuestError::Kernel("its lz4 payload is cut short".to_owned()))?;
        let n = lz4_flex::block::decompress_into(body, &mut block)
            .map_err(|error| GuestError::Kernel(format!("its lz4 payload: {error}")))?;
        if kernel.len() + n > MAX_KERNEL {
            return Err(too_large());
        }
        kernel.extend_from_slice(&block[..n]);
        packed = rest;
    }
    Ok(kernel)
}

fn read(reader: impl Read) -> Result<Vec<u8>, GuestError> {
    let mut kernel = Vec::new();
    reader
        .take(MAX_KERNEL as u64 + 1)
        .read_to_end(&mut kernel)
        .map_err(|error| GuestError::Kernel(format!("its payload: {error}")))?;
    if kernel.len() > MAX_KERNEL { Err(too_large()) } else { Ok(kernel) }
}

fn too_large() -> GuestError {
    GuestError::Kernel(format!("it unpacks to more than {MAX_KERNEL} bytes"))
}

/// The little-endian 32-bit number at `offset`.
fn word(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes.get(offset..)?.first_chunk::<4>().map(|word| u32::from_le_bytes(*word))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use super::*;

    /// Output of a program that packs its standard input.
    fn pack(program: &str, arguments: &[&str], input: &[u8]) -> Vec<u8> {
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|_| panic!("{program} must be installed"));
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        let writer = std::thread::spawn(move || stdin.write_all(&input).unwrap());
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        assert!(output.status.success());
        output.stdout
    }

    /// A kernel longer than one block of lz4, and quick to pack.
    fn kernel() -> Vec<u8> {
        let part: Vec<u8> = (0..10_000u64).flat_map(|n| (n * n).to_le_bytes()).collect();
        [ELF, &part.repeat(9_000_000 / part.len())].concat()
    }

    /// A `bzImage` with this payload, which says that it unpacks to `unpacked` bytes.
    fn image(packed: &[u8], unpacked: usize) -> Vec<u8> {
        let sectors = 7;
        let mut image = vec![0; (sectors + 1) * 512 + 100];
        image[SETUP_SECTORS] = sectors as u8;
        image[HEADER_MAGIC..HEADER_MAGIC + 4].copy_from_slice(b"HdrS");
        image[PROTOCOL..PROTOCOL + 2].copy_from_slice(&0x20fu16.to_le_bytes());
        image[PAYLOAD..PAYLOAD + 4].copy_from_slice(&100u32.to_le_bytes());
        image[PAYLOAD + 4..PAYLOAD + 8].copy_from_slice(&(packed.len() as u32 + 4).to_le_bytes());
        image.extend_from_slice(packed);
        image.extend_from_slice(&(unpacked as u32).to_le_bytes());
        image.extend_from_slice(&[0xaa; 40]); // what follows the payload in a real one
        image
    }

    #[test]
    fn kernels_packed_by_the_real_programs_are_unpacked() {
        let kernel = kernel();
        for (program, arguments) in [
            ("lz4", &["-l", "-c"][..]),
            ("xz", &["--check=crc32", "--x86", "--lzma2=preset=0,dict=32MiB", "-c"]),
            ("zstd", &["-c"]),
            ("gzip", &["-c"]),
        ] {
            let packed = pack(program, arguments, &kernel);
            assert!(extract(&image(&packed, kernel.len())).unwrap() == kernel, "{program}");
        }
    }

    #[test]
    fn damaged_kernels_are_refused() {
        let kernel = kernel();
        let packed = pack("lz4", &["-l", "-c"], &kernel);
        let problem = |image: &[u8]| extract(image).unwrap_err().to_string();
        assert!(problem(&[]).contains("no bzImage"));
        assert!(problem(&image(&packed, 5)).contains("announces"));
        assert!(problem(&image(b"plain", 1)).contains("unknown compression"));
        assert!(problem(&image(&packed, 0)[..9000]).contains("outside"));
        assert!(problem(&image(&packed[..packed.len() - 9], kernel.len())).contains("lz4"));
        let text = pack("gzip", &["-c"], b"not a kernel");
        assert!(problem(&image(&text, 12)).contains("no ELF"));
        let mut old = image(&packed, kernel.len());
        old[PROTOCOL] = 7;
        assert!(problem(&old).contains("2.08"));
    }
}
