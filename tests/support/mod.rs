//! What several test programs share.

#[allow(dead_code)] // not every test program uses every helper
pub mod browser;
#[allow(dead_code)]
pub mod go;
#[allow(dead_code)]
pub mod guest;
#[allow(dead_code)]
pub mod nix;
#[allow(dead_code)]
pub mod run;
#[allow(dead_code)]
pub mod schema;
