//! A path that was admitted as a source.

use std::io::Read as _;

use super::{Checker, Found, Kind};
use crate::{
    mirror::{follows::follows, layout::Object},
    nix::narinfo::NarInfo,
};

impl Checker<'_> {
    /// Looks at the NAR of a path that was admitted as a source; that it is the NAR which is promised is looked at elsewhere.
    pub(super) fn source(&self, found: &mut Found, name: &str, info: &NarInfo) {
        let Some(file) = info.file_hash.as_ref().and_then(|hash| hash.bytes().try_into().ok()) else {
            return;
        };
        let object = Object::Nar(crate::mirror::layout::FileHash(file)).name();
        let Some(opened) = self.open(found, &object) else { return };
        let follows = zstd::Decoder::new(opened.bytes.take(opened.size))
            .and_then(|nar| follows(&info.store_path, &info.references, nar.take(info.nar_size)));
        match follows {
            Ok(true) => {}
            Ok(false) => found.fault(
                Kind::Damaged,
                name,
                "it was admitted as a source, and its path does not follow from its bits",
            ),
            Err(error) => found.fault(Kind::Damaged, &object, error.to_string()),
        }
    }
}
