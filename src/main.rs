//! The `reprove` program; everything lives in the library.

fn main() {}
