//! A path that was admitted as a source.

use std::{cell::Cell, io::Read as _};

use super::{Checker, Found, Kind, unpack::Watched};
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
        let failed = Cell::new(false);
        let file = Watched { from: opened.bytes.take(opened.size), failed: &failed };
        let follows = zstd::Decoder::new(file)
            .and_then(|nar| follows(&info.store_path, &info.references, nar.take(info.nar_size)));
        match follows {
            Ok(true) => {}
            Ok(false) => found.fault(
                Kind::Damaged,
                name,
                "it was admitted as a source, and its path does not follow from its bits",
            ),
            // What cannot be read is not said to be wrong.
            Err(error) if failed.get() => found.fault(Kind::Unread, &object, error.to_string()),
            Err(error) => found.fault(Kind::Damaged, &object, error.to_string()),
        }
    }
}
