//! Tells the machine whether the compiler turns calls in tail position into jumps.
//!
//! Blocks of decoded instructions call one another in tail position. An optimising build makes jumps of these calls
//! (`tests/random/depth.rs` runs long programs on a small stack to see that it does). Any other build, and one with
//! debug assertions, goes back to the loop after every block instead, so that the depth of the stack is bounded by the
//! length of one block.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(chained)");
    if std::env::var("OPT_LEVEL").is_ok_and(|level| level == "2" || level == "3") {
        println!("cargo::rustc-cfg=chained");
    }
}
