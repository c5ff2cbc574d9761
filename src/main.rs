//! The `tripsync` binary.
fn main() {}
