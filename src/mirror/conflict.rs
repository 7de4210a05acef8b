//! Other bits for a path that is admitted: an alarm, never an overwrite.
//!
//! The record says what the mirror has, with the narinfo as its signers signed it, and what was found. The NAR that was found is kept
//! beside it, so that anybody can hold the one against the other. Nobody signs a narinfo of it: Nix would take that for admitted.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    MirrorError,
    layout::{HashPart, Object},
    pack::Packed,
    publish::{Published, Publisher},
};
use crate::{
    nix::{hash::NarHash, narinfo::NarInfo, store_path::StorePath},
    store::PathInfo,
};

/// The type that signatures of a conflict name.
pub const KIND: &str = "application/vnd.reprove.conflict+json";

/// The schema of [`Conflict`].
pub const SCHEMA: &str = "reprove.conflict/1";

/// Other bits for a path that is admitted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Conflict {
    /// [`SCHEMA`].
    pub schema: String,
    /// The path.
    pub path: StorePath,
    /// What the mirror has.
    pub admitted: Bits,
    /// The narinfo that says so, with its signatures; none of a path that was admitted once and is not there any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub narinfo: Option<String>,
    /// What was found. Its NAR lies beside the record.
    pub found: Bits,
}

/// The bits of a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bits {
    /// The hash of the NAR.
    pub nar_hash: NarHash,
    /// Its size in bytes.
    pub nar_size: u64,
    /// What it refers to.
    pub references: Vec<StorePath>,
}

impl Bits {
    /// Those that our store has.
    pub(super) fn found(info: &PathInfo) -> Self {
        Bits {
            nar_hash: info.nar_hash,
            nar_size: info.nar_size,
            references: info.references.iter().cloned().collect(),
        }
    }

    /// Those that a narinfo promises.
    pub fn of(info: &NarInfo) -> Self {
        Bits {
            nar_hash: info.nar_hash,
            nar_size: info.nar_size,
            references: info.references.iter().cloned().collect(),
        }
    }
}

/// What a mirror has, as far as that is known.
pub(super) enum Standing<'n> {
    /// Its narinfo, or that of one who has testified to it.
    Said(&'n NarInfo),
    /// What it had when it was there.
    Remembered(Bits),
}

impl Conflict {
    /// The narinfo of what the mirror has, if that was there.
    ///
    /// # Errors
    /// Why it is none of the path and bits that the record speaks of.
    pub fn narinfo(&self) -> Result<Option<NarInfo>, String> {
        let Some(text) = &self.narinfo else { return Ok(None) };
        let info = NarInfo::parse(text.as_bytes()).map_err(|error| error.to_string())?;
        if info.store_path != self.path || Bits::of(&info) != self.admitted {
            return Err("the narinfo in it is about something else".to_owned());
        }
        Ok(Some(info))
    }
}

impl Publisher<'_> {
    /// A path that is there keeps its bits; others leave a record, and their NAR.
    pub(super) fn conflict(&self, there: &Standing<'_>, info: &PathInfo) -> Result<Published, MirrorError> {
        let (admitted, narinfo) = match there {
            Standing::Said(narinfo) => (Bits::of(narinfo), Some(narinfo.to_string())),
            Standing::Remembered(bits) => (bits.clone(), None),
        };
        let part = HashPart::of(&info.path);
        let nar_hash = admitted.nar_hash;
        // The same bits that refer to something else are in the mirror already.
        if nar_hash != info.nar_hash {
            let Packed { mut file, .. } = self.pack(info)?;
            let object = Object::OtherNar(part.clone(), info.nar_hash);
            self.mirror.location.put_new_file(&object.name(), &mut file)?;
        }
        let conflict = Conflict {
            schema: SCHEMA.to_owned(),
            path: info.path.clone(),
            admitted,
            narinfo,
            found: Bits::found(info),
        };
        self.put_signed(&Object::Conflict(part, info.nar_hash), KIND, &conflict)?;
        Ok(Published::Conflict { admitted: nar_hash })
    }
}
