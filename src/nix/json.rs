//! Store paths and NAR hashes in JSON documents: as strings, the way they are printed.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::{hash::NarHash, store_path::StorePath};

impl Serialize for StorePath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for StorePath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        StorePath::parse(String::deserialize(deserializer)?.as_bytes()).map_err(D::Error::custom)
    }
}

impl Serialize for NarHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for NarHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        NarHash::parse(String::deserialize(deserializer)?.as_bytes()).map_err(D::Error::custom)
    }
}
