//! Tests of the formats: properties, and the hostile cases by their numbers (T01 and so on).

mod aterm;
mod errors;
mod hash;
mod modulo;
mod nar;
mod narinfo;
mod references;
mod store_path;

use super::store_path::StorePath;

/// A store path with a hash part made of the number.
fn path(number: u64, name: &str) -> StorePath {
    let mut digest = [0; 20];
    digest[..8].copy_from_slice(&number.to_le_bytes());
    StorePath::from_digest(&digest, name).expect("a valid name")
}
