//! Package lists that apt does not take. A mirror that is being synchronised, or that synchronises some architectures only, has lists of
//! another moment than its signed `Release` file. Where the hash of a package, or of what is taken out of it, is pinned, they still
//! tell where in the archive it lies: nothing else of them is believed, and the hash decides.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
};

use super::{
    AptError,
    error::at,
    index::{self, Download},
    mirrors::Archive,
    state::State,
};
use crate::source::pin::AptPin;

/// Longest lists that are unpacked, in bytes: those of Debian's main archive have some fifty million.
const MAX_LEN: u64 = 1 << 30;

/// Longest paragraph, in bytes; the longest of Debian's have a few hundred thousand.
const MAX_PARAGRAPH: usize = 4 << 20;

/// The forms in which an archive has lists.
const FORMS: [&str; 3] = ["Packages.xz", "Packages.gz", "Packages"];

/// Where the package of a pin lies, as the lists say that lie in the archive now; `None` when they do not know it, or none can be had.
pub(super) fn find(state: &State, archive: &Archive, arch: &str, pin: &AptPin) -> Option<Download> {
    for form in FORMS {
        let file = state.folder().join(format!("hint-{form}"));
        // What was fetched before, if it can be read and knows it.
        if let Ok(Some(found)) = look_up(&file, form, archive, pin) {
            return Some(found);
        }
        // What cannot be read is as good as not there: another form may be whole.
        if fetch(state, archive, arch, pin, form, &file).is_ok()
            && let Ok(found) = look_up(&file, form, archive, pin)
        {
            return found;
        }
    }
    None
}

/// Fetches the lists of this form; `file` is whole or as it was.
fn fetch(
    state: &State,
    archive: &Archive,
    arch: &str,
    pin: &AptPin,
    form: &str,
    file: &Path,
) -> Result<(), AptError> {
    let uri = archive.uri.trim_end_matches('/');
    let uri = format!("{uri}/dists/{}/main/binary-{arch}/{form}", pin.suite);
    let folder = tempfile::tempdir_in(state.folder()).map_err(at(state.folder()))?;
    let new = folder.path().join(form);
    let helper = state.tool("/usr/lib/apt/apt-helper");
    helper.args(["-qq", "download-file", &uri]).args([&new]).run()?;
    std::fs::rename(&new, file).map_err(at(file))
}

fn look_up(file: &Path, form: &str, archive: &Archive, pin: &AptPin) -> io::Result<Option<Download>> {
    let packed = BufReader::new(File::open(file)?);
    let unpacked: Box<dyn Read> = match form {
        "Packages.xz" => Box::new(liblzma::bufread::XzDecoder::new(packed)),
        "Packages.gz" => Box::new(flate2::bufread::MultiGzDecoder::new(packed)),
        _ => Box::new(packed),
    };
    let mut lines = BufReader::new(unpacked.take(MAX_LEN));
    let mut paragraph = String::new();
    loop {
        let before = paragraph.len();
        let mut line = Vec::new();
        let room = MAX_PARAGRAPH.saturating_sub(before) as u64;
        let read = lines.by_ref().take(room).read_until(b'\n', &mut line)?;
        paragraph.push_str(&String::from_utf8_lossy(&line));
        if read > 0 && line != b"\n" {
            continue;
        }
        if let Some(found) = of_paragraph(&paragraph, archive, pin) {
            return Ok(Some(found));
        }
        if read == 0 {
            return Ok(None);
        }
        paragraph.clear();
    }
}

/// The download of a paragraph that is about exactly this version, and whose file lies in the archive.
fn of_paragraph(paragraph: &str, archive: &Archive, pin: &AptPin) -> Option<Download> {
    let listed = index::parse(paragraph).ok()?.into_iter().next()?;
    if (&listed.package, &listed.version) != (&pin.package, &pin.version) {
        return None;
    }
    listed.in_archive(archive.uri.trim_end_matches('/'))
}
