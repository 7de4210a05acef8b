//! The policies that the program brings.

use std::sync::LazyLock;

use super::{Policy, PolicyError};

/// A policy as it is shipped.
#[derive(Clone, Copy, Debug)]
pub struct Shipped {
    /// Its name.
    pub name: &'static str,
    /// Its text, in the form that users write their own in.
    pub text: &'static str,
}

macro_rules! shipped {
    ($($name:literal)*) => {
        &[$(Shipped { name: $name, text: include_str!(concat!("shipped/", $name, ".toml")) },)*]
    };
}

/// All of them, in the order in which they are listed.
pub const SHIPPED: &[Shipped] = shipped! {
    "go-unpatched" "dont-strip" "go-release-flags" "go-omit-symbols" "source-date-epoch" "no-references-to"
    "single-core" "normalized-archives" "no-impure" "fixed-output-hash-strength"
};

/// All of them, read.
///
/// # Errors
/// None but a defect of the program, which its tests would show.
pub fn shipped() -> Result<&'static [Policy], &'static PolicyError> {
    static READ: LazyLock<Result<Vec<Policy>, PolicyError>> = LazyLock::new(|| {
        let texts = SHIPPED.iter().map(|shipped| Policy::parse(shipped.text));
        Ok(texts.collect::<Result<Vec<_>, _>>()?.concat())
    });
    READ.as_ref().map(Vec::as_slice)
}
