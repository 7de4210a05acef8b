//! `signers.toml`, from a file: who has to agree.

use std::path::Path;

use super::{
    Exit, Failure,
    document::folder_of,
    read::{self, bounded},
};
use crate::release::{
    openpgp,
    signers::{self, Signers, SignersError},
};

/// Reads `file`, and the keys that lie beside it.
pub fn read(file: &Path) -> Result<Signers, Failure> {
    let text = read::text(file, signers::MAX_LEN)?;
    let folder = folder_of(file);
    let key = |name: &str| bounded(&folder.join(name), openpgp::MAX_CERTIFICATE_LEN);
    Signers::parse(&text, &key).map_err(|error| Failure::from(error).about(file.display()))
}

impl From<SignersError> for Failure {
    fn from(error: SignersError) -> Self {
        Failure::new(error.code(), &error, Exit::Usage)
    }
}
